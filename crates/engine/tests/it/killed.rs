//! An endpoint that dies at the boundary of each step: it says nothing more, nobody catches an error, and what was on
//! its way is gone. The next run, of a process that knows no more than the cache, sends exactly what is missing.
//! Refuses to take an error for a death: `resume` has those.

use crate::world::content::{noise, text};
use crate::world::files::{Body, Files, path};
use crate::world::server::{Broken, Verb};
use crate::world::source::{Op, When};
use crate::world::{World, compare};
use format::ChunkRef;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a process dies of here.
struct Death;

/// Where it dies.
#[derive(Clone, Copy, Debug)]
enum At {
    /// While it does this to an entry: the scan is over, or a file was read.
    Source(When, Op, &'static str),
    /// At the so-manieth call of this kind.
    Server(Verb, u64, Broken),
}

/// Every boundary, and where in the tree or among the calls it is met: first, in the middle, last.
const BOUNDARIES: [(&str, At); 19] = [
    ("scan begins", At::Source(When::Before, Op::List, "0")),
    ("a directory was scanned", At::Source(When::After, Op::List, "5")),
    ("scan ends", At::Source(When::After, Op::List, "9")),
    ("chunk begins", At::Source(When::Before, Op::Open, "0/0")),
    ("a small file was cut", At::Source(When::After, Op::StatOpen, "5/15")),
    ("in the middle of a large file", At::Source(When::After, Op::Read, "large")),
    ("a large file was cut", At::Source(When::After, Op::StatOpen, "large")),
    ("chunk ends", At::Source(When::After, Op::StatOpen, "last")),
    ("dedupe begins", At::Server(Verb::Dedupe, 1, Broken::Before)),
    ("a question was answered", At::Server(Verb::Dedupe, 2, Broken::After)),
    ("a later one too", At::Server(Verb::Dedupe, 5, Broken::After)),
    ("a pack is full", At::Server(Verb::Upload, 1, Broken::Before)),
    ("another one is", At::Server(Verb::Upload, 2, Broken::Before)),
    ("a pack is there", At::Server(Verb::Upload, 1, Broken::After)),
    ("upload ends", At::Server(Verb::Upload, 3, Broken::After)),
    ("verify begins", At::Server(Verb::Verify, 1, Broken::Before)),
    ("verify ends", At::Server(Verb::Verify, 1, Broken::After)),
    ("commit begins", At::Server(Verb::Commit, 1, Broken::Before)),
    ("the snapshot is there, and nobody was told", At::Server(Verb::Commit, 1, Broken::After)),
];

fn fill(files: &mut Files) {
    for number in 0..100_u64 {
        files.write(format!("{}/{number}", number % 10), text(number, 3_000 + number as usize * 100));
    }
    files.write("large", noise(1_000, 18_000_000));
    files.write("last", noise(1_001, 60_000));
    files.link("0/0", "twin");
    files.special("pipe", Body::Fifo);
}

/// What the server has: each chunk with its length.
fn kept(world: &World) -> BTreeMap<ChunkRef, usize> {
    world.server.state().chunks.iter().map(|(chunk, kept)| (*chunk, kept.plain.len())).collect()
}

fn die() {
    // Nothing is said of it: it is no failure of the test.
    resume_unwind(Box::new(Death));
}

fn kill(world: &World, at: At) {
    match at {
        At::Source(when, op, entry) => world.source.change((when, op), &path(entry), 1..=1, |_| die()),
        At::Server(verb, nth, broken) => world.server.on_call(verb, nth, broken, die),
    }
    let ended = catch_unwind(AssertUnwindSafe(|| world.try_backup().map(drop)));
    assert!(ended.is_err_and(|death| death.is::<Death>()), "{at:?}: the run has died");
    world.source.drop_rules();
    world.server.clear_faults();
}

fn check(make: fn() -> World) {
    let clean = make();
    clean.edit(fill);
    clean.backup();
    let all = kept(&clean);
    let total: usize = all.values().sum();
    for (boundary, at) in BOUNDARIES {
        let world = make();
        world.edit(fill);
        kill(&world, at);
        let there = kept(&world);
        let is_committed = !world.server.state().snapshots.is_empty();
        assert_eq!(is_committed, matches!(at, At::Server(Verb::Commit, _, Broken::After)), "{boundary}");

        let next = world.assert_round_trip();
        let sent: BTreeMap<ChunkRef, usize> =
            next.traffic.uploaded.iter().map(|(_, chunk, len)| (*chunk, *len as usize)).collect();
        assert_eq!(next.traffic.uploaded.len(), sent.len(), "{boundary}: no chunk comes twice");
        let missing: BTreeMap<ChunkRef, usize> =
            all.iter().filter(|(chunk, _)| !there.contains_key(chunk)).map(|(chunk, len)| (*chunk, *len)).collect();
        assert_eq!(sent, missing, "{boundary}: what is missing is sent, and nothing else");
        let of_packs: usize = next.traffic.packs.iter().sum();
        let bytes: usize = missing.values().sum();
        // Of what is compressed and sealed, so many bytes are neither: headers, indexes, tags.
        assert!(of_packs <= bytes + (64 << 10), "{boundary}: {of_packs} bytes of packs for {bytes} of {total}");
        if is_committed {
            assert_eq!((next.traffic.packs.len(), next.source.opens.len()), (0, 0), "{boundary}");
        }
        compare::assert_restored(&world.source.files(), &world.restore());
    }
}

#[test]
fn an_endpoint_that_dies_at_the_boundary_of_any_step_sends_what_is_missing_afterwards_and_nothing_else() {
    check(World::new);
}

#[test]
fn with_threads_too() {
    check(World::with_threads);
}
