//! Where content is cut: FastCDC, so that an edit in the middle of a file moves no cut but those around it.
//! The sizes are frozen like a format: changing them would send everybody's large files again (docs/performance.md).

use base::Bytes;

/// Nothing shorter than this is cut.
pub const CHUNK_BYTES_MIN: Bytes = Bytes::kib(256);
/// About how long a chunk becomes.
pub const CHUNK_BYTES_AVERAGE: Bytes = Bytes::mib(1);
/// Nothing is left longer than this.
pub const CHUNK_BYTES_MAX: Bytes = Bytes::mib(4);

/// The length of the first chunk of `bytes`; `None` when it could go on past their end and more are to come.
/// `is_end` says that no more are to come. Never fails.
pub fn first_cut(bytes: &[u8], is_end: bool) -> Option<usize> {
    if !is_end && bytes.len() < CHUNK_BYTES_MAX.0 as usize {
        return None;
    }
    if bytes.len() <= CHUNK_BYTES_MIN.0 as usize {
        return (!bytes.is_empty()).then_some(bytes.len());
    }
    let cutter = fastcdc::v2020::FastCDC::new(
        bytes,
        CHUNK_BYTES_MIN.0 as usize,
        CHUNK_BYTES_AVERAGE.0 as usize,
        CHUNK_BYTES_MAX.0 as usize,
    );
    let (_, end) = cutter.cut(0, bytes.len());
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Entropy, SeededEntropy};

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        SeededEntropy::new(seed).fill(&mut bytes);
        bytes
    }

    fn cuts(bytes: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        let mut rest = bytes;
        while let Some(len) = first_cut(rest, true) {
            lengths.push(len);
            rest = &rest[len..];
        }
        lengths
    }

    /// The lengths that a reader gets who sees the content in windows of `window` bytes.
    fn cuts_in_windows(bytes: &[u8], window: usize) -> Vec<usize> {
        let (mut lengths, mut carry, mut rest) = (Vec::new(), Vec::new(), bytes);
        loop {
            let taken = window.min(rest.len());
            carry.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            while let Some(len) = first_cut(&carry, rest.is_empty()) {
                lengths.push(len);
                carry.drain(..len);
            }
            if rest.is_empty() {
                return lengths;
            }
        }
    }

    #[test]
    fn the_cuts_do_not_depend_on_how_the_content_arrives() {
        let bytes = noise(3, 20_000_000);
        let whole = cuts(&bytes);
        assert_eq!(whole.iter().sum::<usize>(), bytes.len());
        for window in [777_777, 4 << 20, 9_000_000] {
            assert_eq!(cuts_in_windows(&bytes, window), whole, "windows of {window}");
        }
    }

    /// Bytes that nothing but this function decides: SplitMix64, low byte first.
    fn frozen_bytes(mut state: u64, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn the_cuts_are_frozen() {
        // Changing these means that every large file in every repository is sent again.
        let sizes = [CHUNK_BYTES_MIN, CHUNK_BYTES_AVERAGE, CHUNK_BYTES_MAX];
        assert_eq!(sizes.map(|size| size.0), [262_144, 1_048_576, 4_194_304]);
        assert_eq!(frozen_bytes(1, 10)[..], [0xc1, 0x5c, 0x02, 0x89, 0xec, 0x2d, 0x0a, 0x91, 0x67, 0xec]);
        assert_eq!(cuts(&frozen_bytes(1, 16_000_000)), FROZEN);
        assert_eq!(cuts(&vec![0; 9_000_000]), [4 << 20, 4 << 20, 611_392]);
    }

    const FROZEN: [usize; 13] = [
        278_755, 827_435, 1_633_517, 1_252_205, 593_103, 2_103_531, 805_973, 1_202_200, 1_619_404, 1_993_092,
        1_534_877, 1_163_367, 992_541,
    ];

    #[test]
    fn an_insertion_moves_only_the_cuts_around_it() {
        let before = noise(5, 30_000_000);
        let mut after = before.clone();
        after.splice(9_000_000..9_000_000, *b"inserted");
        let ends = |lengths: &[usize]| {
            lengths
                .iter()
                .scan(0, |end, len| {
                    *end += len;
                    Some(*end)
                })
                .collect::<Vec<usize>>()
        };
        let (ends_before, ends_after) = (ends(&cuts(&before)), ends(&cuts(&after)));
        let kept =
            ends_before.iter().filter(|end| ends_after.contains(&(**end + if **end > 9_000_000 { 8 } else { 0 })));
        assert!(kept.count() + 3 >= ends_before.len(), "{ends_before:?} {ends_after:?}");
    }

    #[test]
    fn short_content_is_one_chunk_and_empty_content_none() {
        assert_eq!(cuts(b""), [0; 0]);
        assert_eq!(cuts(b"x"), [1]);
        assert_eq!(cuts(&noise(2, 256 << 10)), [256 << 10]);
    }
}
