//! Files with holes: the holes are neither read nor sent nor written.

use crate::world::content::{Content, Segment, noise};
use crate::world::files::path;
use crate::world::target::MemoryTarget;
use crate::world::{World, compare};
use engine::restore::Selection;
use format::{ChunkKind, Content as Saved, EntryBody, Piece};

/// `count` stretches of `len` bytes, each before a hole.
fn comb(count: u64, len: usize, hole: u64) -> Content {
    let teeth = (0..count).flat_map(|seed| [Segment::Data(noise(seed, len)), Segment::Hole(hole)]);
    Content::sparse(teeth)
}

fn lists(world: &World, at: &str) -> usize {
    match world.entry(at).body {
        EntryBody::File { content: Saved::Lists(lists), .. } => lists.len(),
        _ => 0,
    }
}

#[test]
fn ten_gigabytes_of_nothing_are_not_read() {
    let world = World::of(|files| files.put("image", Content::sparse([Segment::Hole(10 << 30)])));
    let backup = world.assert_round_trip();
    assert_eq!((backup.source.bytes_read, backup.traffic.of(ChunkKind::Content).0), (0, 0));
    assert_eq!(backup.outcome.totals.bytes.0, 10 << 30);
    assert_eq!(world.pieces("image"), [Piece::Hole { len: 10 << 30 }]);
    assert_eq!(world.restore().bytes_written(), 0);
    assert_eq!(world.backup().source.opens, []);
}

#[test]
fn holes_at_the_beginning_in_the_middle_and_at_the_end_come_back() {
    let shapes = [
        vec![Segment::Hole(1 << 30), Segment::Data(noise(1, 100))],
        vec![Segment::Data(noise(1, 100)), Segment::Hole(1 << 30)],
        vec![Segment::Data(noise(1, 5_000_000)), Segment::Hole(1 << 30), Segment::Data(noise(2, 5_000_000))],
        vec![Segment::Hole(1), Segment::Data(noise(3, 9_000_000)), Segment::Hole(1)],
        vec![Segment::Hole(100_000), Segment::Data(noise(4, 1)), Segment::Hole(100_000)],
        vec![Segment::Hole(65_536)],
        vec![Segment::Hole(65_537)],
        vec![Segment::Hole(1)],
        vec![Segment::Data(noise(5, 600)), Segment::Hole(5 << 30), Segment::Data(noise(6, 600))],
        vec![Segment::Data(noise(7, 600)), Segment::Hole(9 << 40)],
        vec![Segment::Hole(i64::MAX as u64)],
        vec![Segment::Hole(i64::MAX as u64 - 600), Segment::Data(noise(8, 600))],
        vec![Segment::Data(noise(9, 600)), Segment::Hole(i64::MAX as u64 - 600)],
    ];
    let world = World::of(|files| {
        for (number, shape) in shapes.iter().enumerate() {
            files.put(format!("{number}"), Content::sparse(shape.clone()));
        }
    });
    world.assert_round_trip();
}

#[test]
fn many_files_that_wait_for_one_chunk_are_not_all_kept_open() {
    // The shared chunk comes first and goes into every file; each then waits for its own.
    let shared = noise(0, 600);
    for world in [World::new(), World::with_threads()] {
        world.edit(|files| {
            for number in 1..=700 {
                let own = Segment::Data(noise(number, 600));
                let content = [Segment::Data(shared.clone()), Segment::Hole(100_000), own];
                files.put(format!("{number}"), Content::sparse(content));
            }
        });
        world.assert_round_trip();
        let target = MemoryTarget::default();
        world.restore_to(&target, Selection::Everything).expect("nothing is wrong");
        let most = target.open_most();
        assert!(most <= 140, "{most} files were open side by side");
    }
}

#[test]
fn only_the_data_of_a_sparse_file_is_read_sent_and_written() {
    let world = World::of(|files| files.put("image", comb(300, 4_096, 1 << 20)));
    let backup = world.assert_round_trip();
    assert_eq!(backup.source.bytes_read, 300 * 4_096);
    assert_eq!(backup.traffic.of(ChunkKind::Content), (300, 300 * 4_096));
    assert_eq!(world.restore().bytes_written(), 300 * 4_096);
    assert_eq!(lists(&world, "image"), 0, "600 pieces stand in the entry");
}

#[test]
fn holes_of_small_files_are_left_out_too() {
    let world = World::of(|files| files.put("image", comb(3, 4_096, 100_000)));
    let backup = world.assert_round_trip();
    assert_eq!(backup.source.bytes_read, 3 * 4_096);
    assert_eq!(world.restore().bytes_written(), 3 * 4_096);
}

#[test]
fn thousands_of_stretches_go_into_lists() {
    let world = World::of(|files| files.put("image", comb(12_000, 512, 4_096)));
    let backup = world.assert_round_trip();
    let count = lists(&world, "image");
    assert!(count > 5, "{count} lists");
    assert_eq!(backup.traffic.of(ChunkKind::List).0, count);
    assert_eq!(world.pieces("image").len(), 24_000);

    let unchanged = world.backup();
    assert_eq!((unchanged.source.opens.len(), unchanged.traffic.packs.len()), (0, 0));

    world.edit(|files| {
        let teeth = (0..12_000_u64).flat_map(|seed| {
            let changed = if seed == 6_000 { 99_999 } else { seed };
            [Segment::Data(noise(changed, 512)), Segment::Hole(4_096)]
        });
        files.put("image", Content::sparse(teeth));
    });
    let edited = world.assert_round_trip();
    assert_eq!(edited.traffic.of(ChunkKind::Content), (1, 512));
    let lists = edited.traffic.of(ChunkKind::List).0;
    assert!(lists <= 2, "{lists} lists were sent for one stretch");
}

#[test]
fn pieces_at_the_limit_of_an_entry() {
    for (teeth, has_lists) in [(512, false), (513, true)] {
        let world = World::of(|files| files.put("image", comb(teeth, 300, 8_192)));
        world.assert_round_trip();
        assert_eq!(lists(&world, "image") > 0, has_lists, "{teeth} stretches");
    }
}

#[test]
fn a_lost_list_is_a_lost_file_and_nothing_more() {
    let world = World::of(|files| {
        files.put("image", comb(2_000, 512, 4_096));
        files.write("other", noise(1, 5_000));
    });
    world.backup();
    let EntryBody::File { content: Saved::Lists(lists), .. } = world.entry("image").body else {
        panic!("2,000 stretches go into lists")
    };
    world.server.lose(&lists[1].list);
    let target = MemoryTarget::default();
    let restore = world.restore_to(&target, Selection::Everything).expect("one file does not end it");
    assert_eq!(restore.problems(), crate::world::problems(&[("image", "content_missing")]));
    compare::assert_restored_where(&world.source.files(), &target, |at| *at == path("other"));
}
