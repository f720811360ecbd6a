//! The bytes that are frozen: testdata/format/v1 still reads, and is still what this build writes.
//! `UPDATE_GOLDEN=1 cargo test -p format golden` writes the files anew; after a release that is a break of the format.

use crate::sample::{self, Frames};
use format::{Age, Card, Keyring, List, Manifest, PackIndex, SignedManifest, Tree, open_pack};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// One frozen file: its name, its bytes as this build writes them, and the test that they still read.
struct Golden {
    name: &'static str,
    bytes: Vec<u8>,
    reads: fn(&[u8]),
    /// Whether another version of a library may write other bytes that mean the same.
    written_anew: bool,
}

fn all() -> Vec<Golden> {
    let frozen = |name, bytes, reads| Golden { name, bytes, reads, written_anew: false };
    let tree = |tree: &Tree| tree.encode().expect("the sample keeps the rules");
    let pack = sample::pack(0x77, &sample::noisy_frames());
    let manifest = sample::sealed_manifest();
    let body = Manifest::open(&manifest, sample::run_key_for).expect("nothing was changed").encode();
    let keyring = sample::keyring().seal(&sample::master_key(), [0x67; 32]).expect("the sample keeps the rules");
    let card = sample::card().seal(&sample::repository_key(), [0x68; 32]).expect("the sample keeps the rules");
    vec![
        frozen("age.bin", sample::age().encode().to_vec(), |bytes| assert_eq!(Age::decode(bytes), Ok(sample::age()))),
        frozen("card.bin", card, |bytes| {
            let key = |id| Some(sample::repository_key()).filter(|key| key.id() == id);
            assert_eq!(Card::open(bytes, key), Ok(sample::card()));
        }),
        frozen("keyring.bin", keyring, |bytes| {
            let keyring = Keyring::open(bytes, &sample::master_key()).expect("it is frozen");
            assert_eq!(keyring.seal(&sample::master_key(), [0x67; 32]).as_deref(), Ok(bytes));
        }),
        frozen("list.bin", sample::list().encode().expect("the sample keeps the rules"), |bytes| {
            assert_eq!(List::decode(bytes), Ok(sample::list()));
        }),
        frozen("manifest-body.bin", body, |bytes| {
            let signed = SignedManifest::decode(bytes).expect("it is frozen");
            assert_eq!(signed.verify(&sample::device_public_key()), Ok(sample::manifest()));
        }),
        frozen("manifest.bin", manifest, |bytes| {
            let signed = Manifest::open(bytes, sample::run_key_for).expect("it is frozen");
            assert_eq!(signed.verify(&sample::device_public_key()), Ok(sample::manifest()));
        }),
        frozen("pack-index.bin", pack.index.encode(), |bytes| {
            let index = PackIndex::decode(bytes).expect("it is frozen");
            assert_eq!(index, sample::pack(0x77, &sample::noisy_frames()).index);
        }),
        frozen("pack-stored.bin", pack.bytes, |bytes| reads_pack(bytes, &sample::noisy_frames())),
        Golden {
            name: "pack-zstd.bin",
            bytes: sample::pack(0x78, &sample::texts()).bytes,
            reads: |bytes| reads_pack(bytes, &sample::texts()),
            written_anew: true,
        },
        frozen("tree-fan.bin", tree(&sample::fan()), |bytes| assert_eq!(Tree::decode(bytes), Ok(sample::fan()))),
        frozen("tree-leaf.bin", tree(&sample::leaf()), |bytes| assert_eq!(Tree::decode(bytes), Ok(sample::leaf()))),
    ]
}

fn reads_pack(bytes: &[u8], frames: &Frames) {
    let open = open_pack(bytes, sample::run_key_for).expect("it is frozen");
    let naming = sample::naming_key();
    assert_eq!(open.index().frames().len(), frames.len());
    for (number, chunks) in (0..).zip(frames) {
        let plain = open.frame(number).expect("it is frozen");
        open.index().frames()[number as usize].verify(number, &naming, &plain).expect("names are frozen");
        assert_eq!(plain, chunks.iter().flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<u8>>());
    }
}

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/format/v1"))
}

#[expect(clippy::disallowed_methods, reason = "a person asks for new golden files by a variable")]
fn updating() -> bool {
    std::env::var("UPDATE_GOLDEN").is_ok_and(|value| value == "1")
}

#[test]
fn golden_files_still_read_and_are_still_written() {
    for golden in all() {
        let file = directory().join(golden.name);
        if updating() {
            fs::create_dir_all(directory()).expect("the test may write its data when it is asked to");
            fs::write(&file, &golden.bytes).expect("the test may write its data when it is asked to");
        }
        let bytes = fs::read(&file).unwrap_or_else(|cause| panic!("{}: {cause}", golden.name));
        (golden.reads)(&bytes);
        assert!(golden.written_anew || bytes == golden.bytes, "this build writes other bytes than {}", golden.name);
    }
}

#[test]
fn the_list_of_golden_files_is_the_directory() {
    if updating() {
        return; // the other test is writing them
    }
    let listed: BTreeSet<String> = all().iter().map(|golden| golden.name.to_owned()).collect();
    let found: BTreeSet<String> = fs::read_dir(directory())
        .expect("the golden files are in the repository")
        .map(|file| file.expect("the directory reads").file_name().into_string().expect("names are ASCII"))
        .collect();
    assert_eq!(found, listed);
}
