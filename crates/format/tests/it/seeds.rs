//! The seeds of the fuzz targets: each is still read by a decoder of its target, or it would be no seed.

use crate::sample;
use format::{Card, Keyring, List, Manifest, PackIndex, SignedManifest, Tree, open_pack};
use std::fs;

#[test]
fn every_seed_is_read_by_its_target() {
    check("tree", |bytes| Tree::decode(bytes).is_ok());
    check("list", |bytes| List::decode(bytes).is_ok());
    check("pack", |bytes| PackIndex::decode(bytes).is_ok() || open_pack(bytes, sample::run_key_for).is_ok());
    check("keyring", |bytes| Keyring::open(bytes, &sample::master_key()).is_ok());
    check("card", |bytes| Card::open(bytes, |_| Some(sample::repository_key())).is_ok());
    check("manifest", |bytes| {
        SignedManifest::decode(bytes).is_ok() || Manifest::open(bytes, sample::run_key_for).is_ok()
    });
}

fn check(target: &str, is_read: fn(&[u8]) -> bool) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for file in fs::read_dir(&folder).unwrap_or_else(|cause| panic!("{folder}: {cause}")) {
        let path = file.expect("the directory reads").path();
        assert!(is_read(&fs::read(&path).expect("the seed reads")), "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "{target} has no seeds");
}
