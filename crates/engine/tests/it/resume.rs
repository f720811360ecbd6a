//! A run that is cut off at any call to the server leaves nothing wrong behind, and the next one sends only what is
//! missing.

use crate::world::content::{Content, Segment, noise};
use crate::world::files::path;
use crate::world::server::{Broken, Limits};
use crate::world::target::MemoryTarget;
use crate::world::{Restore, World, compare};
use base::{Bytes as Size, Kind};
use engine::Target;
use engine::restore::Selection;
use format::{ChunkKind, ChunkRef, Piece};
use std::collections::BTreeSet;

/// A few packs and a few dozen calls.
fn world() -> World {
    let world = World::of(|files| {
        for number in 0..24_u64 {
            files.write(format!("{}/{number}", number % 5), noise(number, 100_000));
        }
        files.write("large", noise(99, 5_000_000));
    });
    *world.server.limits.lock().expect("nobody panics with it") = Limits { pack: Size::mib(8), refs: 4 };
    world
}

fn kept(world: &World) -> BTreeSet<ChunkRef> {
    world.server.state().chunks.keys().copied().collect()
}

/// Breaks every call once, in a world of its own each time. How many calls there were.
fn break_every_call(broken: Broken, mut check: impl FnMut(&World, u64) -> bool) -> u64 {
    for call in 1.. {
        let world = world();
        world.server.break_at(call, broken);
        if !check(&world, call) {
            return call - 1;
        }
    }
    unreachable!("a run has an end")
}

#[test]
fn a_backup_cut_off_anywhere_is_completed_by_the_next_with_what_was_missing() {
    for broken in [Broken::Before, Broken::After] {
        let calls = break_every_call(broken, |world, call| {
            let Err(error) = world.try_backup() else { return false };
            assert_eq!((error.code(), error.kind()), ("connection_lost", Kind::Unavailable), "call {call}");
            world.server.clear_faults();
            let there = kept(world);
            let second = world.assert_round_trip();
            let sent: BTreeSet<ChunkRef> = second.traffic.uploaded.iter().map(|(_, chunk, _)| *chunk).collect();
            assert_eq!(second.traffic.again, 0, "call {call}: nothing goes over twice");
            assert!(sent.is_disjoint(&there), "call {call}");
            assert_eq!(sent.len(), second.traffic.uploaded.len(), "call {call}");
            true
        });
        assert!(calls > 12, "{calls} calls");
    }
}

#[test]
fn a_second_backup_cut_off_anywhere_leaves_the_first_snapshot_as_it_was() {
    for broken in [Broken::Before, Broken::After] {
        break_every_call(broken, |world, call| {
            world.server.clear_faults();
            let first = world.backup();
            world.edit(|files| {
                files.write("0/5", noise(1_000, 90_000));
                files.write("new/large", noise(1_001, 9_000_000));
                files.remove("1");
            });
            // Half of the time it has to fetch its trees too.
            if call % 2 == 0 {
                world.cache.empty();
            }
            world.server.break_at(call, broken);
            if world.try_backup().is_ok() {
                return false;
            }
            world.server.clear_faults();
            let snapshots = world.server.state().snapshots.len();
            // Only a commit that was carried out makes a snapshot, whether or not the answer came.
            assert!(snapshots == 1 || broken == Broken::After, "call {call}");
            assert_eq!(world.server.state().snapshots[0], first.manifest);
            let second = world.assert_round_trip();
            assert_eq!(second.traffic.again, 0, "call {call}");
            true
        });
    }
}

#[test]
fn a_restore_cut_off_anywhere_is_completed_by_the_next() {
    let calls = break_every_call(Broken::Before, |world, call| {
        world.server.clear_faults();
        world.backup();
        world.server.break_at(call, Broken::Before);
        let target = MemoryTarget::default();
        let Err(error) = world.restore_to(&target, Selection::Everything) else { return false };
        assert_eq!(error.code(), "connection_lost", "call {call}");
        world.server.clear_faults();
        for part in target.parts() {
            target.discard_part(&part);
        }
        let restore = world.restore_to(&target, Selection::Everything).expect("nothing is broken any more");
        assert_eq!(restore.problems, [], "call {call}");
        compare::assert_restored(&world.source.files(), &target);
        true
    });
    assert!(calls > 12, "{calls} calls");
}

/// Pieces that a target has whole, under the file's name or as a part of it.
fn pieces_at(world: &World, target: &MemoryTarget) -> BTreeSet<ChunkRef> {
    let there = std::cell::RefCell::new(BTreeSet::new());
    target.written(|path, written| {
        let mut at = 0;
        for piece in world.pieces(&path.to_string()) {
            if let Piece::Data { chunk, .. } = &piece
                && written.get(&at).is_some_and(|bytes| bytes.len() as u64 == piece.len())
            {
                there.borrow_mut().insert(*chunk);
            }
            at += piece.len();
        }
    });
    there.into_inner()
}

fn content_of(restore: &Restore) -> Vec<ChunkRef> {
    let fetched = restore.traffic.fetched.iter();
    fetched.filter(|(kind, _)| *kind == ChunkKind::Content).map(|(_, chunk)| *chunk).collect()
}

#[test]
fn a_restore_cut_off_anywhere_is_gone_on_with_and_nothing_is_fetched_that_is_here() {
    let mut most = 0;
    let calls = break_every_call(Broken::Before, |world, call| {
        world.server.clear_faults();
        world.backup();
        world.server.break_at(call, Broken::Before);
        let target = MemoryTarget::default();
        if world.restore_to(&target, Selection::Everything).is_ok() {
            return false;
        }
        world.server.clear_faults();
        let here = pieces_at(world, &target);
        let all = world.server.state().chunks.values().filter(|kept| kept.kind == ChunkKind::Content).count();
        let restore = world.restore_to(&target, Selection::Everything).expect("nothing is broken any more");
        assert_eq!(restore.problems, [], "call {call}");
        compare::assert_restored(&world.source.files(), &target);
        let fetched = content_of(&restore);
        assert!(fetched.iter().all(|chunk| !here.contains(chunk)), "call {call}: nothing comes twice");
        assert_eq!(fetched.len() + here.len(), all, "call {call}: and everything else comes");
        most = most.max(here.len());
        // All of it is here now.
        let again = world.restore_to(&target, Selection::Everything).expect("nothing is broken");
        assert_eq!((content_of(&again), again.progress.bytes_written), (vec![], 0), "call {call}");
        true
    });
    assert!(calls > 12 && most > 12, "{calls} calls, {most} chunks");
}

#[test]
fn damaged_bytes_that_are_here_are_fetched_anew() {
    let world = world();
    world.backup();
    // In the midst of the content: some files are finished, and some are not.
    world.server.break_at(30, Broken::Before);
    let target = MemoryTarget::default();
    assert!(world.restore_to(&target, Selection::Everything).is_err(), "it was cut off");
    world.server.clear_faults();
    let here = pieces_at(&world, &target);
    assert!(!here.is_empty());
    target.written(|_, written| {
        for bytes in written.values_mut() {
            let mut damaged = bytes.to_vec();
            damaged[bytes.len() / 2] ^= 1;
            *bytes = damaged.into();
        }
    });
    let restore = world.restore_to(&target, Selection::Everything).expect("nothing is broken any more");
    assert_eq!(restore.problems, []);
    compare::assert_restored(&world.source.files(), &target);
    let fetched: BTreeSet<ChunkRef> = content_of(&restore).into_iter().collect();
    assert!(fetched.is_superset(&here));
}

#[test]
fn a_part_with_something_in_the_place_of_a_hole_is_begun_anew() {
    let world = World::of(|files| {
        let segments = [Segment::Data(noise(1, 900_000)), Segment::Hole(9_000_000), Segment::Data(noise(2, 900_000))];
        files.put("holey", Content::sparse(segments));
    });
    world.backup();
    for byte in [0, 1] {
        let target = MemoryTarget::default();
        let part = target.open_part(&path("holey"), 10_800_000).expect("a part");
        part.write_at(5_000_000, &[byte; 10]).expect("written");
        drop(part);
        let restore = world.restore_to(&target, Selection::Everything).expect("nothing is broken");
        assert_eq!(restore.problems, []);
        compare::assert_restored(&world.source.files(), &target);
        assert_eq!(target.discarded().len(), usize::from(byte != 0));
        assert_eq!(restore.progress.bytes_read > 0, byte == 0, "what is here of it is counted");
    }
}
