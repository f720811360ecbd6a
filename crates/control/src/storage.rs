//! Whose are the bytes in the store: how what several subjects need is divided among them, in whole bytes, so that the
//! rows of a storage report add up to what there is. Refuses fractions: what cannot be divided has its place.
//! Rules: docs/control.md, "What takes room".

use base::Bytes;

/// The sealed bytes that a chunk stands for: those of its frame, of which it has `len` of `plain` bytes in the open,
/// from `at` on. Chunks that follow each other through a whole frame have all of its sealed bytes together. Never
/// fails: what lies beyond the frame's end counts for nothing.
pub fn sealed_part(at: Bytes, len: Bytes, sealed: Bytes, plain: Bytes) -> Bytes {
    let until = |end: u64| {
        let scaled = u128::from(end.min(plain.0)) * u128::from(sealed.0);
        // It is no more than `sealed`, which fits.
        u64::try_from(scaled.checked_div(u128::from(plain.0)).unwrap_or(0)).unwrap_or(u64::MAX)
    };
    Bytes(until(at.0.saturating_add(len.0)) - until(at.0))
}

/// What the one in this place, from 0, gets of bytes that so many need alike: an equal part; the bytes that are left go
/// one each to the first of them. Nobody gets anything where nobody needs it. Never fails.
pub fn share(bytes: Bytes, count: u64, place: u64) -> Bytes {
    let (Some(part), Some(left)) = (bytes.0.checked_div(count), bytes.0.checked_rem(count)) else { return Bytes(0) };
    Bytes(part + u64::from(place < left))
}

/// How often the second goes into the first, in thousandths, rounded down; `None` where the second is nothing. Never
/// fails.
pub fn ratio_permille(of: Bytes, to: Bytes) -> Option<u64> {
    let permille = (u128::from(of.0) * 1_000).checked_div(u128::from(to.0))?;
    Some(u64::try_from(permille).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_chunks_of_a_frame_have_all_of_its_sealed_bytes(
            lens in prop::collection::vec(0_u64..5_000_000, 1..40),
            sealed in 0_u64..=u64::from(u32::MAX),
        ) {
            let plain: u64 = lens.iter().sum::<u64>().max(1);
            let (mut at, mut sum) = (0, Bytes(0));
            for len in &lens {
                sum += sealed_part(Bytes(at), Bytes(*len), Bytes(sealed), Bytes(plain));
                at += len;
            }
            let expected = if lens.iter().all(|len| *len == 0) { 0 } else { sealed };
            prop_assert_eq!(sum, Bytes(expected));
        }

        #[test]
        fn shares_add_up_and_differ_by_one_byte_at_most(bytes in any::<u64>(), count in 1_u64..100) {
            let shares: Vec<u64> = (0..count).map(|place| share(Bytes(bytes), count, place).0).collect();
            prop_assert_eq!(shares.iter().map(|share| u128::from(*share)).sum::<u128>(), u128::from(bytes));
            prop_assert!(shares[0] - shares[shares.len() - 1] <= 1 && shares.is_sorted_by(|a, b| a >= b));
        }
    }

    #[test]
    fn what_is_damaged_or_nobodys_is_no_division_by_nothing() {
        assert_eq!(sealed_part(Bytes(0), Bytes(7), Bytes(9), Bytes(0)), Bytes(0));
        assert_eq!(sealed_part(Bytes(5), Bytes(u64::MAX), Bytes(10), Bytes(10)), Bytes(5));
        assert_eq!(sealed_part(Bytes(50), Bytes(1), Bytes(10), Bytes(10)), Bytes(0));
        assert_eq!(share(Bytes(7), 0, 0), Bytes(0));
        assert_eq!(ratio_permille(Bytes(7), Bytes(0)), None);
        assert_eq!(ratio_permille(Bytes(7), Bytes(2)), Some(3_500));
        assert_eq!(ratio_permille(Bytes(u64::MAX), Bytes(1)), Some(u64::MAX));
    }
}
