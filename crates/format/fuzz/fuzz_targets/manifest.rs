//! Any bytes as a manifest, and as the body of one in the open: what is read, is written the same.
#![no_main]

use base::Secret;
use format::{Manifest, RepositoryKey, SignedManifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signed) = SignedManifest::decode(bytes) {
        assert_eq!(signed.encode(), bytes);
        let problems = &signed.unverified().problems;
        assert!(problems.listed().len() as u64 <= problems.total().0);
    }
    // The key of the golden files, so that one of them can be the seed that opens.
    let repository = RepositoryKey::new(0x0102_0304, Secret::new([0x11; 32]));
    if let Ok(signed) = Manifest::open(bytes, |header| Some(repository.run_key(header.run))) {
        let _ = signed.verify(&[0; 32]);
    }
});
