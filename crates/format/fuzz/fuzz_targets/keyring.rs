//! Any bytes as a keyring, and as an age: what is read, is written the same.
#![no_main]

use base::Secret;
use format::{Age, Keyring};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The key of the golden files, so that one of them can be the seed that opens.
    let master = Secret::new([0x55; 32]);
    if let Ok(keyring) = Keyring::open(bytes, &master) {
        let salt = bytes[32..64].try_into().expect("a header has 64 bytes");
        assert_eq!(keyring.seal(&master, salt).expect("it was read"), bytes);
    }
    if let Ok(age) = Age::decode(bytes) {
        assert_eq!(age.encode(), bytes);
    }
});
