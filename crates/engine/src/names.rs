//! The names of a large directory, back to back in ascending order: a million of them take some ten megabytes.
//! Refuses nothing; what a name may be is the format's business.

/// Names without their lengths between them.
#[derive(Debug, Default)]
pub struct Names {
    bytes: Vec<u8>,
    /// Where each begins and ends.
    places: Vec<(u32, u32)>,
    /// How many were taken from the front.
    taken: usize,
}

impl Names {
    /// Adds one, in any order. False where all names together are longer than can be told: some gigabytes.
    pub fn push(&mut self, name: &[u8]) -> bool {
        let (from, to) = (self.bytes.len(), self.bytes.len() + name.len());
        let place = u32::try_from(from).ok().zip(u32::try_from(to).ok());
        if let Some(place) = place {
            self.bytes.extend_from_slice(name);
            self.places.push(place);
        }
        place.is_some()
    }

    /// Puts them in order, each once. Never fails.
    pub fn sort(&mut self) {
        let Self { bytes, places, .. } = self;
        let name = |(from, to): &(u32, u32)| &bytes[*from as usize..*to as usize];
        places.sort_unstable_by(|one, other| name(one).cmp(name(other)));
        places.dedup_by(|one, other| name(one) == name(other));
    }

    /// How many are left. Never fails.
    pub fn left(&self) -> usize {
        self.places.len() - self.taken
    }

    /// Takes the next ones, so many at most. Never fails.
    pub fn take(&mut self, most: usize) -> impl Iterator<Item = &[u8]> {
        let from = self.taken;
        self.taken = (from + most).min(self.places.len());
        self.places[from..self.taken].iter().map(|(from, to)| &self.bytes[*from as usize..*to as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_out_in_order_and_once() {
        let mut names = Names::default();
        for name in ["b", "a", "c", "aa", "", "a", "\u{ff}"] {
            assert!(names.push(name.as_bytes()));
        }
        names.sort();
        assert_eq!(names.left(), 6);
        let first: Vec<Vec<u8>> = names.take(4).map(<[u8]>::to_vec).collect();
        assert_eq!(first, [&b""[..], b"a", b"aa", b"b"]);
        assert_eq!((names.left(), names.take(9).count(), names.left()), (2, 2, 0));
        assert_eq!(names.take(9).count(), 0);
    }
}
