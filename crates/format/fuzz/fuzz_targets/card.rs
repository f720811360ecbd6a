//! Any bytes as a card: what is read, is written the same.
#![no_main]

use base::Secret;
use format::{Card, RepositoryKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The key of the golden files, so that one of them can be the seed that opens.
    let mut key_id = 0;
    let key = |id| RepositoryKey::new(id, Secret::new([0x11; 32]));
    let opened = Card::open(bytes, |id| {
        key_id = id;
        Some(key(id))
    });
    if let Ok(card) = opened {
        let salt = bytes[32..64].try_into().expect("a header has 64 bytes");
        assert_eq!(card.seal(&key(key_id), salt).expect("it was read"), bytes);
    }
});
