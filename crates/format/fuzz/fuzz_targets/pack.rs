//! Any bytes as a pack, as the index of one in the open, and as the compressed bytes of a frame.
#![no_main]

use base::Secret;
use format::{Codec, PackIndex, RepositoryKey, compress, open_pack};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = PackIndex::decode(bytes) {
        assert_eq!(index.encode(), bytes);
        let plain: u64 = index.chunks().map(|(_, _, chunk)| u64::from(chunk.len)).sum();
        assert_eq!(plain, index.plain_len());
    }
    // The key of the golden files, so that one of them can be the seed that opens.
    let repository = RepositoryKey::new(0x0102_0304, Secret::new([0x11; 32]));
    if let Ok(open) = open_pack(bytes, |header| Some(repository.run_key(header.run))) {
        for (number, frame) in (0..).zip(open.index().frames()) {
            if let Ok(plain) = open.frame(number) {
                assert_eq!(plain.len(), frame.plain_len as usize);
            }
        }
    }
    if let Some((len, packed)) = bytes.split_first_chunk::<2>() {
        let plain_len = u32::from(u16::from_le_bytes(*len));
        if let Ok(plain) = compress::decompress(Codec::Zstd, packed, plain_len) {
            assert_eq!(plain.len(), plain_len as usize);
        }
    }
});
