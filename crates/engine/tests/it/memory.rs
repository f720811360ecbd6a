//! The memory of a backup and of a restore has a budget, under an allocator that counts. What is backed up does not
//! exist and what is sent is thrown away, so that all of it is the engine's own; packs wait for their server as long as
//! they ever do.

use crate::world::cache::MemoryCache;
use crate::world::endless::{Endless, restore_to_nowhere};
use crate::world::heap::most_held;
use base::{Bytes as Size, Count};
use std::sync::Arc;

/// What an endpoint may have is 150 MB; this is the part of it that the engine's own heap gets. Four packs of 8 MiB are
/// on their way, one waits, one is filled; six batches wait for an answer, in windows of up to 8 MiB; three are read
/// ahead. Seen: 102 MB.
const BUDGET: Size = Size::mib(112);

fn check(files: Endless, budget: Size) {
    let (done, held) = most_held(|| files.backup());
    let (outcome, _packed) = done.expect("the server takes everything");
    let expected = 1 + files.directories * (1 + files.files);
    assert_eq!((outcome.totals.entries, outcome.problems.len()), (Count(expected - 1), 0));
    assert!(Size(held) <= budget, "{} were held, of {budget}", Size(held));
}

#[test]
fn what_is_held_is_seen() {
    let (_, held) = most_held(|| drop(vec![1_u8; 5 << 20]));
    assert!((5 << 20..6 << 20).contains(&held), "{held}");
    let (_, held) = most_held(|| {
        let mut growing: Vec<u8> = Vec::new();
        for _ in 0..1_000 {
            growing.extend_from_slice(&[7; 1_000]);
            drop(vec![1_u8; 100_000]);
        }
    });
    assert!((1_100_000..1_200_000).contains(&held), "{held}");
}

#[test]
fn a_backup_of_200_000_small_files_keeps_to_its_budget() {
    check(Endless { directories: 200, files: 1_000, bytes: 1_000 }, BUDGET);
}

#[test]
fn a_backup_of_a_large_file_that_nothing_makes_smaller_keeps_to_its_budget() {
    check(Endless { directories: 1, files: 1, bytes: 700 << 20 }, BUDGET);
}

#[test]
fn a_backup_of_a_million_entries_in_one_directory_keeps_to_its_budget() {
    check(Endless { directories: 1, files: 1_000_000, bytes: 20 }, BUDGET);
}

#[test]
fn a_restore_of_a_million_entries_in_one_directory_keeps_to_its_budget() {
    let files = Endless { directories: 1, files: 1_000_000, bytes: 20 };
    let cache = Arc::new(MemoryCache::default());
    let (outcome, _) = files.backup_with(Arc::clone(&cache) as _).expect("the server takes everything");
    let (written, held) = most_held(|| restore_to_nowhere(outcome.root, cache));
    assert_eq!(written.expect("the cache has all trees"), 1_000_000);
    // A few thousand entries at a time, and the names of all pages.
    assert!(Size(held) <= Size::mib(16), "{} were held", Size(held));
}

#[test]
fn a_comparison_of_a_million_entries_in_one_directory_keeps_to_its_budget() {
    let files = Endless { directories: 1, files: 1_000_000, bytes: 20 };
    let cache = Arc::new(MemoryCache::default());
    let (outcome, _) = files.backup_with(Arc::clone(&cache) as _).expect("the server takes everything");
    let (compared, held) = most_held(|| files.compare(outcome.root, cache));
    let compared = compared.expect("the cache has all trees");
    assert_eq!((compared.differences, compared.problems), (vec![], vec![]));
    assert_eq!((compared.counts.files, compared.counts.extra), (1_000_000, 0));
    // Some thousand entries of the tree at a time, 16,384 of the disk that are shown at once, the names of all pages.
    assert!(Size(held) <= Size::mib(24), "{} were held", Size(held));
}
