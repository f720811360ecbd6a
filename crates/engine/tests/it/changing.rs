//! Files that change while they are read: once is read again, always is reported, and what is saved is what was read.

use crate::world::content::{Content, Segment, noise};
use crate::world::files::path;
use crate::world::source::{ALWAYS, Op, When};
use crate::world::{World, compare, problems};
use base::Bytes as Size;
use format::EntryBody;

const LARGE: usize = 9 << 20;

/// Where in the reading of a file it is changed.
const MOMENTS: [(When, Op); 6] = [
    (When::Before, Op::Open),
    (When::After, Op::Open),
    (When::After, Op::StatOpen),
    (When::Before, Op::Read),
    (When::After, Op::Read),
    (When::Before, Op::StatOpen),
];

fn size_of(world: &World, at: &str) -> u64 {
    match world.entry(at).body {
        EntryBody::File { size, .. } => size,
        other => panic!("{at} is {other:?}"),
    }
}

#[test]
fn a_file_that_changes_once_while_it_is_read_is_saved_as_it_is_then() {
    for len in [100, 5_000, LARGE] {
        // A small file is looked at once more when it has been read, and not before: the next run sees what comes then.
        for moment in MOMENTS.into_iter().filter(|moment| len == LARGE || *moment != (When::After, Op::StatOpen)) {
            let world = World::of(|files| files.write("log", noise(1, len)));
            let change = move |files: &mut crate::world::files::Files| files.write("log", noise(2, len + 7));
            world.source.change(moment, &path("log"), 1..=1, change);
            world.assert_round_trip();
            assert_eq!(size_of(&world, "log"), len as u64 + 7, "{len} bytes, changed {moment:?}");
        }
    }
}

#[test]
fn a_file_that_always_changes_is_saved_once_and_reported() {
    for len in [100, 5_000, LARGE] {
        let world = World::of(|files| files.write("log", noise(1, len)));
        let mut seed = 1;
        world.source.change((When::After, Op::Read), &path("log"), ALWAYS, move |files| {
            seed += 1;
            files.write("log", noise(seed, len));
        });
        let backup = world.backup();
        assert_eq!(backup.problems(), problems(&[("log", "file_changed")]), "{len} bytes");
        assert_eq!(backup.source.opens.len(), 2, "{len} bytes: not without end");
        assert_eq!(size_of(&world, "log"), len as u64);
        world.restore();

        world.source.drop_rules();
        let second = world.assert_round_trip();
        assert_eq!(second.source.opens, [path("log")], "{len} bytes: the next run reads it again");
    }
}

#[test]
fn a_file_that_only_looks_touched_is_read_again() {
    let world = World::of(|files| files.write("file", noise(1, 5_000)));
    world.source.change((When::After, Op::Read), &path("file"), 1..=1, |files| files.chmod("file", 0o600));
    let backup = world.assert_round_trip();
    assert_eq!(backup.source.opens.len(), 2);
}

#[test]
fn no_reading_is_larger_than_a_window_even_of_a_file_that_grew() {
    let world = World::of(|files| {
        files.write("log", noise(1, 100));
        files.write("large", noise(2, 9_000_000));
    });
    let grow = |files: &mut crate::world::files::Files| files.write("log", noise(3, 9_000_000));
    world.source.change((When::Before, Op::Open), &path("log"), 1..=1, grow);
    let backup = world.assert_round_trip();
    assert!(backup.source.largest_read <= 4 << 20, "{} bytes in one reading", backup.source.largest_read);
}

#[test]
fn a_file_that_ends_before_it_says_is_saved_as_far_as_it_went_and_reported() {
    for (len, end) in [(400, 100), (400, 0), (5_000, 1_000), (LARGE, 6 << 20), (LARGE, 4 << 20), (LARGE, 0)] {
        let world = World::of(|files| files.write("file", noise(1, len)));
        world.source.cut_off(&path("file"), end);
        let backup = world.backup();
        assert_eq!(backup.problems(), problems(&[("file", "file_changed")]), "{len} cut off at {end}");
        assert_eq!(size_of(&world, "file"), end);
        world.restore();
        world.source.drop_rules();
        // Nothing but its length tells that it was not whole.
        assert_eq!(world.assert_round_trip().source.opens, [path("file")]);
    }
}

#[test]
fn a_file_that_grows_while_it_is_read_never_comes_out_torn() {
    for (before, after) in [(100, 6 << 20), (5_000, 6_000), (LARGE, LARGE + (5 << 20)), (0, 600)] {
        let world = World::of(|files| files.write("log", noise(1, before)));
        let grow = move |files: &mut crate::world::files::Files| {
            files.write("log", [&noise(1, before)[..], &noise(2, after - before)].concat());
        };
        world.source.change((When::Before, Op::Read), &path("log"), 1..=1, grow);
        world.assert_round_trip();
        assert_eq!(size_of(&world, "log"), after as u64, "from {before} to {after}");
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_read_never_comes_out_torn() {
    for (before, after) in [(6_000, 5_000), (5_000, 0), (LARGE, LARGE - 1), (LARGE, 5 << 20), (LARGE, 10), (LARGE, 0)] {
        let world = World::of(|files| files.write("log", noise(1, before)));
        let shrink = move |files: &mut crate::world::files::Files| files.write("log", noise(1, before).slice(..after));
        world.source.change((When::Before, Op::Read), &path("log"), 1..=1, shrink);
        world.assert_round_trip();
        assert_eq!(size_of(&world, "log"), after as u64, "from {before} to {after}");
    }
}

#[test]
fn a_file_that_shrinks_at_every_reading_is_saved_as_far_as_it_went() {
    // Each reading finds it half as long as the look before said.
    for len in [6_000, LARGE] {
        let world = World::of(|files| files.write("log", noise(1, len)));
        let mut left = len;
        world.source.change((When::Before, Op::Read), &path("log"), ALWAYS, move |files| {
            left /= 2;
            files.write("log", noise(1, len).slice(..left));
        });
        let backup = world.backup();
        assert_eq!(backup.problems(), problems(&[("log", "file_changed")]), "{len} bytes");
        let size = size_of(&world, "log");
        assert!(size < len as u64, "{len} bytes: {size}");
        let target = world.restore();
        let saved = Content::of(noise(1, len).slice(..size as usize));
        let restored = target.get(&path("log")).expect("it was saved");
        compare::assert_content(&path("log"), &saved, &restored.body);
    }
}

#[test]
fn a_sparse_file_that_changes_while_it_is_read_comes_out_whole() {
    let sparse = |seed: u64, hole: u64| {
        Content::sparse([
            Segment::Data(noise(seed, 10_000)),
            Segment::Hole(hole),
            Segment::Data(noise(seed + 1, 10_000)),
            Segment::Hole(1 << 20),
        ])
    };
    for (before, after) in [(8 << 20, 4 << 20), (4 << 20, 8 << 20), (4 << 20, 4 << 20)] {
        for call in 1..=2 {
            let world = World::of(|files| files.put("image", sparse(1, before)));
            world.source.change((When::Before, Op::Read), &path("image"), call..=call, move |files| {
                files.put("image", sparse(5, after));
            });
            let backup = world.assert_round_trip();
            assert!(backup.source.bytes_read <= 40_000, "{} bytes: the holes were read", backup.source.bytes_read);
        }
    }
}

#[test]
fn a_sparse_file_cut_off_at_every_reading_is_saved_up_to_there() {
    let world = World::of(|files| {
        files.put("image", Content::sparse([Segment::Hole(8 << 20), Segment::Data(noise(1, 10_000))]));
    });
    world.source.change((When::Before, Op::Read), &path("image"), 1..=1, |files| {
        files.put("image", Content::sparse([Segment::Hole(6 << 20), Segment::Data(noise(1, 10_000))]));
    });
    world.source.change((When::Before, Op::Read), &path("image"), 2..=2, |files| files.write("image", "short"));
    let backup = world.backup();
    assert_eq!(backup.problems(), problems(&[("image", "file_changed")]));
    world.restore();
}

#[test]
fn a_file_swapped_for_another_between_scan_and_reading_is_saved_with_its_own_metadata() {
    let world = World::of(|files| files.write("file", noise(1, 5_000)));
    world.source.change((When::Before, Op::Open), &path("file"), 1..=1, |files| {
        files.remove("file");
        files.write("file", noise(2, 9_000));
        files.chmod("file", 0o640);
        files.link("file", "twin");
    });
    world.backup();
    let entry = world.entry("file");
    assert_eq!((entry.meta.mode, entry.meta.device.is_some()), (0o640, true));
    assert_eq!(size_of(&world, "file"), 9_000);
    assert_eq!(world.find_entry("twin"), None, "the folder was listed before");
    let next = world.assert_round_trip();
    assert!(next.outcome.totals.bytes >= Size(18_000));
}
