//! Random values of every structure go out and come back, and random damage is refused or is another value's bytes.

use crate::{random, sample};
use format::{Error, List, Manifest, PackId, PackIndex, SignedManifest, Tree, open_pack};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

/// The rule of every decoder: what it reads, the encoder writes the same.
fn one_form<T>(bytes: &[u8], decode: fn(&[u8]) -> Result<T, Error>, encode: fn(&T) -> Vec<u8>) -> TestCaseResult {
    if let Ok(value) = decode(bytes) {
        prop_assert_eq!(encode(&value), bytes);
    }
    Ok(())
}

/// Bytes near `bytes`: one changed, some removed, some put in.
fn near(bytes: &[u8], (at, other, drop, insert): Change) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = at.index(bytes.len());
    bytes[at] = other;
    let end = (at + drop).min(bytes.len());
    bytes.splice(at..end, insert);
    bytes
}

type Change = (prop::sample::Index, u8, usize, Vec<u8>);

fn change() -> impl Strategy<Value = Change> {
    let none_or_few = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(any::<u8>(), 1..3)];
    (any::<prop::sample::Index>(), any::<u8>(), prop_oneof![2 => Just(0), 1 => 1_usize..3], none_or_few)
}

fn tree_bytes(tree: &Tree) -> Vec<u8> {
    tree.encode().expect("it keeps the rules")
}

fn list_bytes(list: &List) -> Vec<u8> {
    list.encode().expect("it keeps the rules")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn trees(tree in random::tree(), change in change(), cut in any::<prop::sample::Index>()) {
        let bytes = tree_bytes(&tree);
        prop_assert_eq!(Tree::decode(&bytes), Ok(tree));
        prop_assert!(Tree::decode(&bytes[..cut.index(bytes.len())]).is_err());
        let other = near(&bytes, change);
        one_form(&other, Tree::decode, tree_bytes)?;
        prop_assert_eq!(Tree::check(&other).is_ok(), Tree::decode(&other).is_ok());
    }

    #[test]
    fn lists(list in random::list(), change in change(), cut in any::<prop::sample::Index>()) {
        let bytes = list_bytes(&list);
        prop_assert_eq!(List::decode(&bytes), Ok(list));
        prop_assert!(List::decode(&bytes[..cut.index(bytes.len())]).is_err());
        one_form(&near(&bytes, change), List::decode, list_bytes)?;
    }

    #[test]
    fn manifests(manifest in random::manifest(), change in change()) {
        let bytes = manifest.seal(&sample::run_key(), &sample::header(1), sample::sign).expect("it keeps the rules");
        let signed = Manifest::open(&bytes, sample::run_key_for).expect("nothing was changed");
        let body = signed.encode();
        prop_assert_eq!(signed.verify(&sample::device_public_key()), Ok(manifest));
        one_form(&near(&body, change), SignedManifest::decode, SignedManifest::encode)?;
    }

    #[test]
    fn packs(frames in random::frames(), change in change()) {
        let pack = sample::pack(1, &frames);
        prop_assert_eq!(PackId::of(&pack.bytes), pack.id);
        let open = open_pack(&pack.bytes, sample::run_key_for).expect("nothing was changed");
        prop_assert_eq!(open.index(), &pack.index);
        prop_assert_eq!(open.index().frames().len(), frames.len());
        for (number, chunks) in (0..).zip(&frames) {
            let plain = open.frame(number).expect("nothing was changed");
            let entry = &open.index().frames()[number as usize];
            prop_assert_eq!(entry.verify(number, &sample::naming_key(), &plain), Ok(()));
            let read: Vec<_> = entry.ranges().map(|(range, chunk)| (chunk.kind, plain[range].to_vec())).collect();
            prop_assert_eq!(&read, chunks);
        }
        one_form(&near(&pack.index.encode(), change), PackIndex::decode, PackIndex::encode)?;
    }

    #[test]
    fn noise_is_never_read_as_something_else(bytes in prop::collection::vec(0_u8..4, 0..80)) {
        one_form(&bytes, Tree::decode, tree_bytes)?;
        one_form(&bytes, List::decode, list_bytes)?;
        one_form(&bytes, PackIndex::decode, PackIndex::encode)?;
        prop_assert!(open_pack(&bytes, sample::run_key_for).is_err());
        prop_assert!(Manifest::open(&bytes, sample::run_key_for).is_err());
    }
}
