//! What goes in comes out: kinds, metadata, names, depths, and every size at which something changes inside.

use crate::world::content::{noise, text};
use crate::world::files::{Body, Files, path};
use crate::world::server::Verb;
use crate::world::{World, compare};
use engine::restore::Selection;
use format::{ChunkKind, Content, EntryBody};

#[test]
fn every_kind_of_entry_comes_back_with_all_its_metadata() {
    let world = World::of(|files| {
        files.write("etc/config", "key = value\n");
        files.write("etc/large", noise(1, 300_000));
        files.chmod("etc/large", 0o4755);
        files.chown("etc/large", 0, 70_000);
        files.touch("etc/large", -86_400, 999_999_999);
        files.set_xattr("etc/large", "user.note", b"\x00\xff");
        files.set_xattr("etc/large", "security.capability", [1, 2, 3]);
        files.set_xattr("etc", "user.on-a-folder", b"");
        files.chmod("etc", 0o1777);
        files.touch("etc", 1, 1);
        files.symlink("etc/link", "../no/such/place");
        files.set_xattr("etc/link", "trusted.t", b"on a link");
        files.special("dev/pipe", Body::Fifo);
        files.special("dev/socket", Body::Socket);
        files.special("dev/tty", Body::CharDevice(4, u32::MAX));
        files.special("dev/disk", Body::BlockDevice(259, 0));
        files.set_xattr("dev/disk", "user.d", b"on a device");
        files.chmod("dev/tty", 0o7777);
    });
    world.assert_round_trip();
}

#[test]
fn a_file_comes_back_whatever_its_size() {
    let sizes = [
        0,
        1,
        511,
        512,
        513,
        4_095,
        4_096,
        4_097,
        65_535,
        65_536,
        65_537,
        (256 << 10) - 1,
        256 << 10,
        (256 << 10) + 1,
        (1 << 20) + 1,
        (4 << 20) - 1,
        4 << 20,
        (4 << 20) + 1,
        (8 << 20) - 1,
        8 << 20,
        (8 << 20) + 1,
    ];
    let world = World::of(|files| {
        for (seed, size) in (0..).zip(sizes) {
            files.write(format!("noise-{size}"), noise(seed, size));
            files.write(format!("text-{size}"), text(seed, size));
        }
    });
    let backup = world.assert_round_trip();
    assert_eq!(backup.source.bytes_read, 2 * sizes.iter().sum::<usize>() as u64, "every byte is read once");
    assert_eq!(backup.source.opens.len(), 2 * sizes.len());
    for (name, is_inline) in [("noise-0", true), ("noise-512", true), ("noise-513", false)] {
        let EntryBody::File { content, .. } = world.entry(name).body else { panic!("{name} is no file") };
        assert_eq!(matches!(content, Content::Inline(_)), is_inline, "{name}");
    }
    assert_eq!(world.pieces(&format!("noise-{}", 256 << 10)).len(), 1, "nothing shorter than 256 KiB is cut");
}

#[test]
fn the_cuts_are_the_same_on_both_ways_through_the_reader() {
    // Up to 4 MiB a file is read in one go, above in windows; an append must not move the cuts before it.
    let bytes = noise(5, (4 << 20) + 1);
    let world = World::of(|files| {
        files.write("small", bytes.slice(..4 << 20));
        files.write("large", bytes.clone());
    });
    world.backup();
    let (small, large) = (world.chunks("small"), world.chunks("large"));
    assert_eq!(small[..small.len() - 1], large[..small.len() - 1]);
}

#[test]
fn names_are_bytes_and_nothing_else() {
    let names: [&[u8]; 8] =
        [b"\xff\xfe", b"a b", b"a\nb", b"...", b"-", "\u{202e}gpj.exe".as_bytes(), &[0x80; 255], b"\x01"];
    let world = World::of(|files| {
        for name in names {
            files.write([b"files/", name].concat(), name.to_vec());
            files.mkdir([b"folders/", name].concat());
            files.symlink([b"links/", name].concat(), name);
        }
    });
    world.assert_round_trip();
}

#[test]
fn order_is_by_components_not_by_bytes_of_the_path() {
    let world = World::of(|files| {
        for name in ["a", "a-b", "a.b", "aa", "B", "\u{e9}"] {
            files.write(format!("{name}/file"), name.to_owned());
        }
        files.write("a+", "sorts between a and a-b");
    });
    world.assert_round_trip();
    let second = world.backup();
    assert_eq!((second.source.opens.len(), second.traffic.packs.len()), (0, 0), "the walk keeps step with the parent");
}

#[test]
fn a_path_may_be_four_thousand_bytes_deep() {
    let mut deep = vec!["d"; 1_999].join("/");
    deep.push_str("/f");
    let world = World::of(|files| files.write(&deep, noise(1, 1_000)));
    world.assert_round_trip();
    let second = world.backup();
    assert_eq!((second.source.opens.len(), second.traffic.packs.len()), (0, 0));
}

#[test]
fn nothing_at_all_is_a_snapshot_too() {
    let world = World::new();
    let backup = world.assert_round_trip();
    assert_eq!(backup.outcome.totals, format::Totals::default());
    assert_eq!(backup.source.details, [], "the root has no metadata in a snapshot, so none is read");
}

#[test]
fn empty_folders_and_files_come_back() {
    let world = World::of(|files| {
        files.mkdir("empty/also empty");
        files.write("nothing", "");
        for number in 0..50 {
            files.mkdir(format!("many/{number}"));
        }
    });
    let backup = world.assert_round_trip();
    assert_eq!(backup.traffic.of(ChunkKind::Content), (0, 0));
}

#[test]
fn totals_count_what_is_there() {
    let world = World::of(|files| {
        files.write("a/b/one", noise(1, 1_000));
        files.write("a/two", "22");
        files.link("a/two", "a/b/again");
        files.symlink("a/link", "b");
        files.mkdir("c");
    });
    let backup = world.assert_round_trip();
    let totals = backup.outcome.totals;
    assert_eq!((totals.entries.0, totals.files.0, totals.bytes.0), (7, 3, 1_004));
    let progress = backup.progress;
    assert_eq!((progress.files_seen, progress.files_opened), (3, 3));
    assert_eq!((progress.bytes_seen, progress.bytes_read), (1_004, 1_004));
    assert_eq!(progress.packs, backup.traffic.packs.len() as u64);
    assert_eq!(progress.chunks_new, backup.traffic.uploaded.len() as u64);
}

#[test]
fn a_restore_counts_what_it_writes() {
    let world = World::of(|files| {
        files.write("large", noise(1, 300_000));
        files.write("small", "12345");
        files.link("small", "again");
        files.symlink("link", "small");
    });
    world.backup();
    let target = crate::world::target::MemoryTarget::default();
    let restore = world.restore_to(&target, Selection::Everything).expect("nothing is wrong");
    assert_eq!((restore.progress.files_seen, restore.progress.bytes_written), (3, 300_005));
    assert_eq!(target.bytes_written(), 300_005);
}

#[test]
fn content_that_stands_twice_is_sent_once() {
    let same = noise(1, 400_000);
    let world = World::of(|files| {
        files.write("one", same.clone());
        files.write("deep/down/two", same.clone());
        files.write("three", [&same[..], b"and a tail"].concat());
    });
    let backup = world.assert_round_trip();
    assert_eq!(backup.traffic.again, 0);
    let distinct: std::collections::BTreeSet<_> =
        ["one", "deep/down/two", "three"].iter().flat_map(|file| world.chunks(file)).collect();
    assert_eq!(backup.traffic.of(ChunkKind::Content).0, distinct.len());
    assert_eq!(world.chunks("one"), world.chunks("deep/down/two"));
}

#[test]
fn a_chunk_that_fills_a_file_many_times_is_sent_and_fetched_once() {
    // Twelve MiB of zeroes that are no hole: the same chunk over and over.
    let world = World::of(|files| files.write("zeroes", vec![0_u8; 12 << 20]));
    let backup = world.backup();
    assert_eq!(backup.traffic.of(ChunkKind::Content), (1, 4 << 20));
    let target = crate::world::target::MemoryTarget::default();
    let restore = world.restore_to(&target, Selection::Everything).expect("nothing is wrong");
    let fetched = restore.traffic.fetched.iter().filter(|(kind, _)| *kind == ChunkKind::Content);
    assert_eq!(fetched.count(), 1);
    compare::assert_restored(&world.source.files(), &target);
}

#[test]
fn thousands_of_small_files_share_a_few_packs_and_requests() {
    let world = World::of(|files| {
        for number in 0..3_000_u64 {
            files.write(format!("{}/{number}", number % 40), noise(number, 600));
        }
    });
    let backup = world.assert_round_trip();
    assert_eq!(backup.traffic.packs.len(), 2, "one of content and one of trees");
    assert!(backup.traffic.count(Verb::Dedupe) <= 10, "{} questions", backup.traffic.count(Verb::Dedupe));
    assert_eq!(backup.traffic.count(Verb::Verify), 1);
    assert_eq!(backup.traffic.of(ChunkKind::Content), (3_000, 3_000 * 600));
    let target = crate::world::target::MemoryTarget::default();
    let restore = world.restore_to(&target, Selection::Everything).expect("nothing is wrong");
    let (requests, parcels) = (restore.traffic.count(Verb::Fetch), restore.traffic.count(Verb::Parcel));
    assert!(requests <= 20 && parcels <= 30, "{requests} requests, {parcels} parcels: frames are not read in order");
}

#[test]
fn more_files_than_a_restore_takes_in_one_window_come_back() {
    let world = World::of(|files| {
        for number in 0..17_000_u32 {
            files.write(format!("{:02}/{number}", number % 100), number.to_le_bytes().repeat(150));
        }
        files.link("00/0", "zz/the first file of the first window");
        files.link("99/16999", "zz/the last file of the last window");
    });
    world.server.limits.lock().expect("nobody panics with it").refs = 50_000;
    world.backup();
    let target = crate::world::target::MemoryTarget::default();
    let restore = world.restore_to(&target, Selection::Everything).expect("nothing is wrong");
    compare::assert_restored(&world.source.files(), &target);
    let located = restore.traffic.asked.iter().filter(|(verb, _)| *verb == Verb::Locate);
    let windows: Vec<usize> = located.map(|(_, refs)| refs.len()).collect();
    assert!(windows.len() >= 2 && windows.iter().all(|refs| *refs <= 16_384), "{windows:?}");
}

#[test]
fn the_same_world_makes_the_same_requests_and_the_same_packs() {
    let run = || {
        let world = World::of(|files| {
            for number in 0..300 {
                files.write(format!("{}/{number}", number % 7), noise(number, 1_500));
                files.mkdir(format!("empty/{number}"));
            }
            files.write("large", noise(1_000, 20_000_000));
        });
        world.server.limits.lock().expect("nobody panics with it").refs = 50;
        let backup = world.backup();
        world.cache.empty();
        let second = world.backup();
        let target = crate::world::target::MemoryTarget::default();
        let restore = world.restore_to(&target, Selection::Everything).expect("nothing is wrong");
        let traffics = [backup.traffic, second.traffic, restore.traffic];
        (traffics.map(|traffic| (traffic.calls, traffic.asked, traffic.pack_ids)), target.events())
    };
    let ((one, events_of_one), (other, events_of_other)) = (run(), run());
    for (step, (one, other)) in one.iter().zip(&other).enumerate() {
        assert_eq!(one.0, other.0, "calls of run {step}");
        assert!(one.1 == other.1, "refs of run {step}");
        assert_eq!(one.2, other.2, "packs of run {step}");
    }
    assert_eq!(events_of_one, events_of_other);
}

#[test]
fn attributes_too_large_for_the_format_are_left_out_and_reported() {
    let world = World::of(|files| {
        files.write("file", "content");
        files.set_xattr("file", "user.fits", vec![1; 1 << 19]);
        files.set_xattr("file", "user.too-large", vec![2; 2 << 20]);
        files.set_xattr("file", [b'n'; 1_025], b"the name is too long");
        files.set_xattr("file", "user.z", b"fits again");
        files.mkdir("folder");
        files.set_xattr("folder", "user.too-large", vec![2; 2 << 20]);
    });
    let backup = world.backup();
    let expected = [("file", "xattrs_too_large"), ("folder", "xattrs_too_large")];
    assert_eq!(backup.problems(), crate::world::problems(&expected));
    let names: Vec<Vec<u8>> = world.entry("file").meta.xattrs.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [b"user.fits".to_vec(), b"user.z".to_vec()]);
    assert_eq!(world.entry("folder").meta.xattrs, []);
    let target = world.restore();
    assert!(target.get(&path("file")).is_some());
}

#[test]
fn a_name_that_is_in_the_way_is_replaced_by_what_is_restored() {
    let world = World::of(|files| {
        files.write("a/file", noise(1, 5_000));
        files.write("a/small", "now");
        files.link("a/small", "a/twin");
    });
    world.backup();
    let target = world.restore();
    world.edit(|files: &mut Files| {
        files.write("a/file", noise(2, 900));
        files.write("a/small", "later");
    });
    world.backup();
    let again = world.restore_to(&target, Selection::Everything).expect("the place is there already");
    assert_eq!(again.problems, []);
    compare::assert_restored(&world.source.files(), &target);
}

#[test]
fn a_target_that_keeps_what_is_there_gets_only_what_is_missing_and_fetches_no_more() {
    let world = World::of(|files| {
        files.write("a/kept", noise(1, 50_000));
        files.write("a/twin-1", noise(2, 50_000));
        files.link("a/twin-1", "a/twin-2");
        files.symlink("a/link", "kept");
    });
    world.backup();
    let target = world.restore();
    world.edit(|files: &mut Files| {
        files.write("a/kept", noise(3, 60_000));
        files.write("a/missing", noise(4, 70_000));
        files.write("a/twin-1", noise(5, 80_000));
        files.link("a/twin-1", "a/twin-3");
    });
    world.backup();
    let before = (target.get(&path("a/kept")), target.bytes_written());
    target.keep();
    let again = world.restore_to(&target, Selection::Everything).expect("the place is there already");
    assert_eq!(again.problems, []);
    assert_eq!(format!("{:?}", target.get(&path("a/kept"))), format!("{:?}", before.0), "as it was");
    // The first name is kept with other content, so the further name that is missing gets its own.
    assert_eq!(target.bytes_written() - before.1, 70_000 + 80_000);
    let number =
        |at: &str| target.walk().into_iter().find(|(found, ..)| *found == path(at)).map(|(_, number, _)| number);
    assert!(number("a/missing").is_some() && number("a/twin-3").is_some());
    assert_ne!(number("a/twin-1"), number("a/twin-3"));
}
