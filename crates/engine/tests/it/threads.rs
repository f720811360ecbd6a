//! The same with threads: what comes out must not depend on who is first.

use crate::world::content::{Content, Segment, noise, text};
use crate::world::files::{Body, Files, path};
use crate::world::source::{Op, Refusal, When};
use crate::world::target::MemoryTarget;
use crate::world::{World, compare, problems};
use base::Bytes as Size;
use engine::EngineError;
use engine::restore::Selection;

fn fill(files: &mut Files) {
    for number in 0..2_000_u64 {
        files.write(format!("{}/{number}", number % 30), text(number, (number as usize * 7) % 3_000));
    }
    for number in 0..6 {
        files.write(format!("large/{number}"), noise(number, 6_000_000));
        let teeth =
            (0..700).flat_map(|tooth| [Segment::Data(noise(number * 1_000 + tooth, 600)), Segment::Hole(9_000)]);
        files.put(format!("sparse/{number}"), Content::sparse(teeth));
    }
    files.link("large/3", "30/twin");
    files.special("pipe", Body::Fifo);
}

#[test]
fn threads_make_the_snapshot_that_one_thread_makes() {
    let (alone, many) = (World::of(fill), World::with_threads());
    many.edit(fill);
    let (one, other) = (alone.backup(), many.backup());
    assert_eq!(one.outcome.root, other.outcome.root);
    assert_eq!(one.outcome.totals, other.outcome.totals);
    assert_eq!(other.outcome.problems, []);
    assert_eq!(other.traffic.again, 0);
    assert_eq!(other.traffic.uploaded.len(), one.traffic.uploaded.len());
    compare::assert_restored(&many.source.files(), &many.restore());
    let second = many.backup();
    assert_eq!((&second.source.opens[..], second.traffic.packs.len()), (&[][..], 0));
}

#[test]
fn threads_find_the_same_faults() {
    let world = World::with_threads();
    world.edit(fill);
    world.source.refuse(Op::Open, &path("3/33"), 1..=1, Refusal::Denied);
    world.source.refuse(Op::Read, &path("large/2"), 2..=2, Refusal::Io);
    world.source.change((When::After, Op::Read), &path("large/4"), 1..=1, |files| {
        files.write("large/4", noise(77, 7_000_000));
    });
    let backup = world.backup();
    assert_eq!(backup.problems(), problems(&[("3/33", "entry_denied"), ("large/2", "entry_unreadable")]));
    let lost = [path("3/33"), path("large/2")];
    compare::assert_restored_where(&world.source.files(), &world.restore(), |at| !lost.contains(at));
}

#[test]
fn threads_fill_a_disk_no_further_and_lose_no_other_file() {
    let world = World::with_threads();
    world.edit(fill);
    world.backup();
    let lost = world.chunks("large/5")[2];
    world.server.lose(&lost);
    let target = MemoryTarget::default();
    let restore = world.restore_to(&target, Selection::Everything).expect("one file does not end it");
    assert_eq!(restore.problems(), problems(&[("large/5", "content_missing")]));
    compare::assert_restored_where(&world.source.files(), &target, |at| *at != path("large/5"));

    let full = MemoryTarget::with_room(Size::mib(9));
    let ended = world.restore_to(&full, Selection::Everything);
    assert!(matches!(ended, Err(EngineError::TargetFull)));
}

#[test]
fn a_server_that_stops_answering_ends_a_run_with_threads() {
    for call in [1, 3, 6, 9] {
        let world = World::with_threads();
        world.edit(fill);
        world.server.break_at(call, crate::world::server::Broken::Before);
        let error = world.try_backup().err().expect("the server does not answer");
        assert_eq!(error.code(), "connection_lost");
        world.server.clear_faults();
        let second = world.assert_round_trip();
        assert_eq!(second.traffic.again, 0);
    }
}
