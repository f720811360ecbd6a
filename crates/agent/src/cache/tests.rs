//! The cache under damage: every bit, every length, another device. Refuses an error where a miss is meant.

use super::*;
use base::{Secret, SeededEntropy};
use format::{ChunkKind, NamingKey};
use std::fs;

fn device(seed: u64) -> DeviceId {
    DeviceId::mint(&SeededEntropy::new(seed))
}

fn snapshot() -> SnapshotId {
    SnapshotId::mint(&SeededEntropy::new(9))
}

fn naming() -> NamingKey {
    NamingKey::new(&Secret::new([7; 32]))
}

fn tree(number: usize) -> (ChunkRef, Vec<u8>) {
    let plain = format!("tree {number}").repeat(number % 7 + 1).into_bytes();
    (naming().name(ChunkKind::Tree, &plain), plain)
}

fn keep(path: &Path, trees: impl Iterator<Item = usize>, max: Bytes) {
    let cache = FileCache::for_run(path, device(1), snapshot(), max);
    for (name, plain) in trees.map(tree) {
        cache.keep(&name, &plain);
    }
    cache.adopt();
}

fn found(path: &Path, numbers: impl Iterator<Item = usize>) -> usize {
    let cache = FileCache::read_only(path, device(1));
    numbers
        .map(tree)
        .filter(|(name, plain)| match cache.get(name) {
            Some(found) => {
                assert_eq!(found, *plain);
                true
            }
            None => false,
        })
        .count()
}

#[test]
fn what_a_run_kept_is_there_for_the_next_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    assert_eq!(found(&path, 0..10), 0, "no file yet");
    for count in [1, 63, 64, 65, 1_000] {
        let _ = fs::remove_file(&path);
        keep(&path, 0..count, CACHE_BYTES_MAX);
        assert_eq!(found(&path, 0..count), count);
        assert_eq!(found(&path, count..count + 500), 0);
    }
}

#[test]
fn trees_are_the_same_after_their_memory_was_given_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    let large = |number: u8| {
        let plain = vec![number; 3 << 20];
        (naming().name(ChunkKind::Tree, &plain), plain)
    };
    let cache = FileCache::for_run(&path, device(1), snapshot(), CACHE_BYTES_MAX);
    (0..12).map(large).for_each(|(name, plain)| cache.keep(&name, &plain));
    cache.adopt();
    let cache = FileCache::read_only(&path, device(1));
    for number in (0..12).chain(0..12) {
        let (name, plain) = large(number);
        assert!(cache.get(&name).is_some_and(|found| found == plain), "tree {number}");
    }
}

#[test]
fn a_tree_kept_twice_is_there_once() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, [5, 6, 5].into_iter(), CACHE_BYTES_MAX);
    assert_eq!(found(&path, 0..10), 2);
}

#[test]
fn the_next_run_takes_old_trees_over_and_drops_what_is_gone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..200, CACHE_BYTES_MAX);
    keep(&path, 100..300, CACHE_BYTES_MAX);
    assert_eq!(found(&path, 0..100), 0);
    assert_eq!(found(&path, 100..300), 200);
}

#[test]
fn a_run_without_a_new_tree_writes_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..200, CACHE_BYTES_MAX);
    let before = fs::read(&path).expect("the cache");
    keep(&path, 0..200, CACHE_BYTES_MAX);
    assert_eq!(fs::read(&path).expect("the cache"), before);
    assert_eq!(fs::read_dir(dir.path()).expect("the directory").count(), 1, "no new file is left");
}

#[test]
fn a_tree_that_was_found_damaged_is_written_anew() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..20, CACHE_BYTES_MAX);
    let cache = FileCache::for_run(&path, device(1), snapshot(), CACHE_BYTES_MAX);
    let (damaged, sound, unknown) = (tree(3), tree(4), tree(20));
    cache.mark_damaged(&damaged.0);
    assert_eq!([&damaged, &sound, &unknown].map(|(name, _)| cache.keep_again(name)), [false, true, false]);
    cache.keep(&damaged.0, &damaged.1);
    cache.adopt();
    assert_eq!(found(&path, 0..20), 2, "the one that was kept on, and the one that was written");
}

#[test]
fn a_run_that_is_not_adopted_leaves_the_last_trees() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..20, CACHE_BYTES_MAX);
    let cache = FileCache::for_run(&path, device(1), snapshot(), CACHE_BYTES_MAX);
    let (name, plain) = tree(77);
    cache.keep(&name, &plain);
    drop(cache);
    assert_eq!((found(&path, 0..20), found(&path, 77..78)), (20, 0));
    assert_eq!(fs::read_dir(dir.path()).expect("the directory").count(), 1);
}

#[test]
fn above_its_maximum_the_cache_leaves_trees_out() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..1_000, Bytes::kib(10));
    let there = found(&path, 0..1_000);
    assert!((50..300).contains(&there), "{there}");
    assert!(fs::metadata(&path).expect("the cache").len() <= (10 << 10) + 200);
}

#[test]
fn another_device_finds_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..20, CACHE_BYTES_MAX);
    let (name, _) = tree(3);
    assert!(FileCache::read_only(&path, device(1)).get(&name).is_some());
    assert!(FileCache::read_only(&path, device(2)).get(&name).is_none());
}

/// Few, because every bit of the file is tried.
const DAMAGED_TREES: usize = 6;

/// What comes back from a damaged file is nothing, or is not what its name says, and the engine names it again.
fn never_believed(path: &Path, what: &str) -> usize {
    let cache = FileCache::read_only(path, device(1));
    (0..DAMAGED_TREES)
        .map(tree)
        .filter(|(name, plain)| match cache.get(name) {
            Some(found) if found != *plain => {
                assert_ne!(naming().name(ChunkKind::Tree, &found), *name, "{what}");
                false
            }
            found => found.is_some(),
        })
        .count()
}

#[test]
fn every_flipped_bit_is_a_miss_and_never_an_error() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..DAMAGED_TREES, CACHE_BYTES_MAX);
    let whole = fs::read(&path).expect("the cache");
    let table_len = DAMAGED_TREES * ROW_LEN + TRAILER_LEN;
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << bit;
            fs::write(&path, &damaged).expect("the damaged cache");
            let there = never_believed(&path, &format!("bit {bit} of byte {at}"));
            let is_in_a_tree = (HEADER_LEN..whole.len() - table_len).contains(&at);
            assert_eq!(there, if is_in_a_tree { DAMAGED_TREES - 1 } else { 0 }, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_file_cut_short_anywhere_or_with_more_at_its_end_is_empty() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..DAMAGED_TREES, CACHE_BYTES_MAX);
    let whole = fs::read(&path).expect("the cache");
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).expect("the short cache");
        assert_eq!(never_believed(&path, "cut"), 0, "{len} bytes");
    }
    fs::write(&path, [whole.as_slice(), &[0]].concat()).expect("the long cache");
    assert_eq!(never_believed(&path, "longer"), 0);
}

#[test]
fn a_place_that_cannot_be_written_keeps_nothing_and_says_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("not there/trees.cache");
    keep(&path, 0..20, CACHE_BYTES_MAX);
    assert_eq!(found(&path, 0..20), 0);
}

/// A run that did not look at everything: `old` is one tree that it took over with all beneath it.
fn keep_more(path: &Path, old: usize, trees: impl Iterator<Item = usize>, max: Bytes) {
    let cache = FileCache::for_run(path, device(1), snapshot(), max);
    cache.keep_beneath(&tree(old).0);
    for (name, plain) in trees.map(tree) {
        cache.keep(&name, &plain);
    }
    cache.adopt();
}

#[test]
fn a_run_that_did_not_look_at_everything_adds_to_what_is_there() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..200, CACHE_BYTES_MAX);
    let before = fs::read(&path).expect("the cache");
    for more in 1..5 {
        keep_more(&path, 7, 200..200 + 50 * more, CACHE_BYTES_MAX);
        assert_eq!(found(&path, 0..200 + 50 * more), 200 + 50 * more);
    }
    assert_eq!(fs::read(&path).expect("the cache")[..before.len()], before, "what is mapped somewhere does not change");
    assert_eq!(fs::read_dir(dir.path()).expect("the directory").count(), 1, "no new file is left");
    let grown = fs::metadata(&path).expect("the cache").len();
    keep_more(&path, 7, 100..300, CACHE_BYTES_MAX);
    assert_eq!(fs::metadata(&path).expect("the cache").len(), grown, "nothing was new");
    keep(&path, 0..1, CACHE_BYTES_MAX);
    keep(&path, [0, 500].into_iter(), CACHE_BYTES_MAX);
    assert_eq!(found(&path, 0..501), 2, "a run that looked at everything leaves out what is not needed");
}

#[test]
fn what_was_added_is_never_believed_when_it_is_damaged_or_cut_short() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..2, CACHE_BYTES_MAX);
    let first = fs::metadata(&path).expect("the cache").len() as usize;
    keep_more(&path, 1, 2..DAMAGED_TREES, CACHE_BYTES_MAX);
    let whole = fs::read(&path).expect("the cache");
    for at in first..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).expect("the damaged cache");
        let there = never_believed(&path, &format!("byte {at}"));
        assert!(there == DAMAGED_TREES - 1 || there == 0, "byte {at}: {there} trees");
        fs::write(&path, &whole[..at]).expect("the short cache");
        assert_eq!(never_believed(&path, "cut"), if at == first { 2 } else { 0 }, "{at} bytes");
    }
}

#[test]
fn a_damaged_tree_is_replaced_by_what_is_added() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..20, CACHE_BYTES_MAX);
    let mut bytes = fs::read(&path).expect("the cache");
    let (name, plain) = tree(3);
    let at = bytes.windows(plain.len()).position(|window| window == plain).expect("the tree");
    bytes[at] ^= 1;
    fs::write(&path, &bytes).expect("the damaged cache");
    let cache = FileCache::for_run(&path, device(1), snapshot(), CACHE_BYTES_MAX);
    cache.keep_beneath(&tree(4).0);
    cache.mark_damaged(&name);
    cache.keep(&name, &plain);
    cache.adopt();
    assert_eq!(found(&path, 0..20), 20);
}

#[test]
fn above_its_maximum_nothing_is_added() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("trees.cache");
    keep(&path, 0..50, Bytes::kib(10));
    let before = fs::read(&path).expect("the cache");
    keep_more(&path, 7, 50..1_000, Bytes::kib(10));
    assert_eq!(fs::read(&path).expect("the cache"), before);
    assert_eq!(fs::read_dir(dir.path()).expect("the directory").count(), 1, "no new file is left");
}
