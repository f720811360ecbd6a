//! Figures of which so many of a hundred are not larger. Refuses to draw between two: it gives one that there is.

/// The least of `sorted`, which ascends, that `percent` of a hundred do not exceed; `None` of nothing. Never fails.
pub fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_a_hundred_are_not_larger() {
        let sorted: Vec<u32> = (1..=200).collect();
        assert_eq!([0, 50, 99, 100].map(|percent| percentile(&sorted, percent)), [1, 100, 198, 200].map(Some));
        assert_eq!(percentile(&sorted[..1], 99), Some(1));
        assert_eq!(percentile::<u32>(&[], 50), None);
    }
}
