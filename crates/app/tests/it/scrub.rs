//! Scrub finds what is wrong, says which snapshots are hurt by it, and finds nothing where nothing is.

use super::world::{World, code, directory, noise, sample, sample_of};
use app::AdminActor;
use app::scrub::{Options, Problem, ProblemCode, Progress, Report, scrub};
use base::{Count, DeviceId, Kind, SnapshotId, Span, Timestamp};
use bytes::Bytes;
use db::testing::execute;
use db::{ChunkRow, Shape};
use format::{ChunkId, ChunkKind, ObjectName as Named, PackId, SealedPack, Totals};
use store::{Mishap, ObjectName, Store as _, StoreError, Verb};

const WHOLE: Options = Options { read_data: true };
const QUICK: Options = Options { read_data: false };

async fn look(world: &World, options: Options) -> Report {
    let report = scrub(&world.app, &AdminActor::Command, options, &mut |_| {}).await.expect("the store answers");
    assert_eq!(report.problems_total, Count::of(report.problems.len()));
    report
}

fn found(report: &Report) -> Vec<(ProblemCode, &str)> {
    report.problems.iter().map(|problem| (problem.code, problem.subject.as_str())).collect()
}

/// Two snapshots of two devices that share nothing, and their packs.
async fn two(world: &World) -> [(SnapshotId, SealedPack); 2] {
    let (one, two) = (world.device(1).await, world.device(2).await);
    let first = world.backup(&one).await;
    let run = world.begin(&two).await;
    let mut draft = super::world::Draft::new(&run.naming);
    let file = draft.file("other", &[&noise(99, 10_000)]);
    let (sub, below) = draft.tree(vec![file], Totals::default());
    let (root, sum) = draft.tree(vec![directory("sub", sub)], below);
    let pack = run.pack(&draft);
    run.upload(&pack).await.expect("good");
    let committed = run.commit(&run.manifest(root, sum)).await.expect("good");
    [first, (committed.snapshot.id, pack)]
}

#[tokio::test]
async fn a_repository_in_order_has_no_problems_and_is_counted() {
    let world = World::new().await;
    let [(_, first), (_, second)] = two(&world).await;
    for options in [WHOLE, QUICK] {
        let mut steps = Vec::new();
        let mut note = |progress| steps.push(progress);
        let report = scrub(&world.app, &AdminActor::Command, options, &mut note).await.expect("readable");
        assert!(report.is_clean(), "{:?}", report.problems);
        let chunks = first.index.chunks().count() + second.index.chunks().count();
        assert_eq!((report.packs, report.chunks, report.snapshots), (Count(2), Count::of(chunks), Count(2)));
        assert_eq!((report.orphans_total, &report.snapshots_hurt), (Count(0), &vec![]));
        let read = if options.read_data { first.bytes.len() + second.bytes.len() } else { 0 };
        assert_eq!(report.bytes, base::Bytes::of(read));
        assert!(matches!(steps[0], Progress::Packs { done: Count(1), total: Count(2), .. }), "{steps:?}");
        assert_eq!(steps.last(), Some(&Progress::Objects { done: Count(6) }));
    }
}

#[tokio::test]
async fn a_flipped_bit_in_any_part_of_a_pack_is_found_and_only_the_snapshots_that_need_it_are_hurt() {
    let world = World::new().await;
    let [(hurt, pack), _] = two(&world).await;
    let name = format!("packs/{}", pack.id);
    let frames = pack.index.frames();
    let tail = pack.bytes.len();
    // The header and the tail hold nothing that the index does not know: what is in the frames can still be restored.
    let parts = [
        ("the first frame", 64, true),
        ("the second frame", frames[1].offset as usize + 5, true),
        ("the header", 33, false),
        ("the table", tail - 30, false),
        ("the trailer", tail - 1, false),
    ];
    for (what, at, is_hurt) in parts {
        world.object_replace(&name, |bytes| bytes[at] ^= 0x10).await;
        let report = look(&world, WHOLE).await;
        let mut expected = vec![(ProblemCode::PackDamaged, name.as_str())];
        let subject = hurt.to_string();
        if is_hurt {
            expected.push((ProblemCode::SnapshotHurt, &subject));
        }
        assert_eq!(found(&report), expected, "{what}: {:?}", report.problems);
        assert_eq!(report.snapshots_hurt, if is_hurt { vec![hurt] } else { vec![] }, "{what}");
        world.object_replace(&name, |bytes| bytes[at] ^= 0x10).await;
        let report = look(&world, WHOLE).await;
        assert!(report.is_clean(), "{what}, mended: {:?}", report.problems);
    }
    // Found whole again, the pack is no longer marked: its chunks are there.
    let device = world.device(3).await;
    let run = world.begin(&device).await;
    let (_, root, _) = sample(&run.naming);
    assert_eq!(run.dedupe(&[root]).await.expect("open"), [false]);
}

#[tokio::test]
async fn the_place_that_is_hurt_is_named() {
    let world = World::new().await;
    let [_, (hurt, pack)] = two(&world).await;
    world.object_replace(&format!("packs/{}", pack.id), |bytes| bytes[70] ^= 1).await;
    let report = look(&world, WHOLE).await;
    let problem = Problem {
        code: ProblemCode::SnapshotHurt,
        subject: hurt.to_string(),
        sentence: "It cannot be restored whole: \"sub/other\" is named, and the server does not have its data."
            .to_owned(),
    };
    assert_eq!(report.problems[1], problem);
}

/// The paths of what is lost, by snapshot.
fn files(report: &Report) -> Vec<(SnapshotId, String)> {
    report.files_hurt.iter().map(|(snapshot, path)| (*snapshot, path.to_string())).collect()
}

#[tokio::test]
async fn every_file_of_which_something_is_lost_is_named_and_no_other() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let mut draft = super::world::Draft::new(&run.naming);
    let (kept, lost) = (noise(1, 9_000), noise(2, 9_000));
    let below = vec![draft.file("c", &[&lost, &noise(3, 9_000)]), draft.file("d", &[&kept])];
    let (sub, below) = draft.tree(below, Totals::default());
    let lists = draft.file_of_lists("e", &[&[&noise(4, 5_000)], &[&kept, &lost]]);
    let entries = vec![draft.file("a", &[&kept]), draft.file("b", &[&lost]), lists, directory("sub", sub)];
    let (root, totals) = draft.tree(entries, below);
    // What is lost lies in a pack of its own.
    let apart = run.pack_of(&[&[(ChunkKind::Content, lost.clone())]]);
    draft.contents.retain(|(_, bytes)| *bytes != lost);
    for pack in [&apart, &run.pack(&draft)] {
        run.upload(pack).await.expect("good");
    }
    let snapshot = run.commit(&run.manifest(root, totals)).await.expect("good").snapshot.id;
    world.object_remove(&format!("packs/{}", apart.id)).await;
    for options in [WHOLE, QUICK] {
        let report = look(&world, options).await;
        let expected = ["b", "e", "sub/c"].map(|path| (snapshot, path.to_owned()));
        assert_eq!((files(&report), report.files_hurt_more), (expected.to_vec(), false));
    }
}

#[tokio::test]
async fn of_a_folder_whose_tree_is_lost_the_folder_is_named() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let mut draft = super::world::Draft::new(&run.naming);
    let below = vec![draft.file("c", &[&noise(3, 9_000)])];
    let (sub, below) = draft.tree(below, Totals::default());
    let tree = draft.trees.remove(0);
    let entries = vec![draft.file("a", &[&noise(1, 9_000)]), directory("sub", sub)];
    let (root, totals) = draft.tree(entries, below);
    let apart = run.pack_of(&[&[tree]]);
    for pack in [&apart, &run.pack(&draft)] {
        run.upload(pack).await.expect("good");
    }
    let snapshot = run.commit(&run.manifest(root, totals)).await.expect("good").snapshot.id;
    world.object_replace(&format!("packs/{}", apart.id), |bytes| bytes[70] ^= 1).await;
    assert_eq!(files(&look(&world, WHOLE).await), [(snapshot, "sub".to_owned())]);
}

/// So many packs, each of a snapshot of its own, all of them damaged.
async fn damaged(world: &World, count: u64) {
    let device = world.device(1).await;
    for seed in 0..count {
        let run = world.begin(&device).await;
        let (draft, root, totals) = sample_of(&run.naming, seed);
        let pack = run.pack(&draft);
        run.upload(&pack).await.expect("good");
        run.commit(&run.manifest(root, totals)).await.expect("good");
        world.object_replace(&format!("packs/{}", pack.id), |bytes| bytes[70] ^= 1).await;
    }
}

/// How many packs are marked as damaged: those that were read.
async fn marked(world: &World) -> usize {
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = db::pack_list(&mut tx, 0, 100).await.expect("readable");
    rows.iter().filter(|row| row.damaged_at.is_some()).count()
}

#[tokio::test]
async fn samples_read_the_next_packs_each_time_and_all_of_them_in_the_end() {
    let world = World::new().await;
    damaged(&world, 10).await;
    for (percent, read) in [(30, 3), (30, 6), (1, 7), (25, 10)] {
        let admin = AdminActor::Command;
        let report = app::scrub::sample(&world.app, &admin, percent, &mut |_| {}).await.expect("the store answers");
        assert_eq!((marked(&world).await, report.snapshots), (read, Count(0)), "{percent}");
    }
    for wrong in [0, 101] {
        let refused = app::scrub::sample(&world.app, &AdminActor::Command, wrong, &mut |_| {}).await;
        assert_eq!(code(refused), "sample_invalid");
    }
}

#[tokio::test]
async fn the_job_reads_every_pack_once_in_its_days_and_not_all_at_once() {
    let world = World::new().await;
    assert_eq!(world.app.config.scrub_days, Span::days(30));
    damaged(&world, 10).await;
    let mut read = vec![];
    for _ in 0..31 {
        app::jobs::tick_all(&world.app).await.expect("the jobs work");
        read.push(marked(&world).await);
        world.clock.advance(Span::days(1));
    }
    assert!(read.windows(2).all(|days| days[1] <= days[0] + 1), "{read:?}");
    assert_eq!((read[0], read[15], read[30]), (1, 6, 10), "{read:?}");
    // After a month without a server it makes up for a day, and not for the month.
    let world = World::new().await;
    damaged(&world, 10).await;
    app::jobs::tick_all(&world.app).await.expect("the jobs work");
    world.clock.advance(Span::days(29));
    app::jobs::tick_all(&world.app).await.expect("the jobs work");
    assert_eq!(marked(&world).await, 2);
}

#[tokio::test]
async fn a_truncated_and_a_missing_object_are_found_also_without_reading_the_data() {
    for options in [WHOLE, QUICK] {
        let world = World::new().await;
        let [(first, pack), (second, other)] = two(&world).await;
        let (name, other) = (format!("packs/{}", pack.id), format!("packs/{}", other.id));
        world.object_replace(&name, |bytes| bytes.truncate(bytes.len() / 2)).await;
        world.object_remove(&other).await;
        let report = look(&world, options).await;
        let codes = found(&report);
        assert!(codes.contains(&(ProblemCode::PackDamaged, &name)), "{codes:?}");
        assert!(codes.contains(&(ProblemCode::ObjectMissing, &other)), "{codes:?}");
        assert_eq!(report.snapshots_hurt, [second, first], "newest first");
    }
}

#[tokio::test]
async fn an_object_that_nothing_names_is_told_and_is_no_problem() {
    let world = World::new().await;
    let device = world.device(1).await;
    world.backup(&device).await;
    let left = format!("packs/{}", "ab".repeat(32));
    for name in ["strange", &left] {
        let name = ObjectName::new(name).expect("a name");
        world.store.put_new(&name, Bytes::from_static(b"left")).await.expect("memory does not fail");
    }
    let report = look(&world, WHOLE).await;
    assert!(report.is_clean());
    assert_eq!(report.orphans, [left, "strange".to_owned()]);
}

#[tokio::test]
async fn of_objects_that_take_each_others_place_the_older_are_left_over_and_what_leaves_is_not_told() {
    let world = World::new().await;
    let (one, two) = (world.device(1).await, world.device(2).await);
    let (snapshot, _) = world.backup(&one).await;
    let stranger = DeviceId::from_bytes([9; 16]);
    let pack = |byte: u8| PackId::from_bytes([byte; 32]);
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    assert_eq!(execute(&mut tx, "update installation set keyring = 5").await, 1);
    db::device_card_update(&mut tx, one.actor.device, 5, &[0; 32]).await.expect("writable");
    let leaving =
        [Named::Card(one.actor.device, 3), Named::Manifest(two.actor.device, snapshot), Named::Pack(pack(0xee))];
    for name in &leaving {
        db::leaving_insert(&mut tx, &name.to_string(), Timestamp::from_ms(0)).await.expect("writable");
    }
    tx.commit().await.expect("nothing stands against it");
    let named =
        [Named::Card(one.actor.device, 5), Named::Card(one.actor.device, 6), Named::Keyring(5), Named::Keyring(6)];
    let left = [
        Named::Card(one.actor.device, 4),
        Named::Card(stranger, 1),
        Named::Keyring(4),
        Named::Manifest(one.actor.device, SnapshotId::from_bytes([9; 16])),
        Named::Manifest(stranger, snapshot),
        Named::Pack(pack(0x00)),
        Named::Pack(pack(0xff)),
    ];
    let mut before = look(&world, QUICK).await.orphans;
    for name in named.iter().chain(&leaving).chain(&left) {
        let name = ObjectName::new(name.to_string()).expect("a name");
        world.store.put_new(&name, Bytes::from_static(b"left")).await.expect("memory does not fail");
    }
    before.extend(left.map(|name| name.to_string()));
    before.sort_unstable();
    assert_eq!(look(&world, QUICK).await.orphans, before);
}

#[tokio::test]
async fn a_damaged_manifest_is_found_and_its_snapshot_can_still_be_restored() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (snapshot, _) = world.backup(&device).await;
    let name = format!("manifests/{}/{snapshot}", device.actor.device);
    world.object_replace(&name, |bytes| bytes[100] ^= 1).await;
    let report = look(&world, QUICK).await;
    assert_eq!(found(&report), [(ProblemCode::ManifestDamaged, snapshot.to_string().as_str())]);
    assert_eq!(report.snapshots_hurt, []);
    assert_eq!(code(app::snapshots::problems(&world.app, &device.actor, snapshot).await), "stored_data_damaged");
    world.object_remove(&name).await;
    assert_eq!(found(&look(&world, QUICK).await)[0].0, ProblemCode::ManifestDamaged);
}

#[tokio::test]
async fn an_index_that_says_more_than_the_pack_is_found() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (_, pack) = world.backup(&device).await;
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let row = db::pack_get(&mut tx, pack.id).await.expect("readable").expect("there");
    let invented = ChunkRow { id: ChunkId::from_bytes([1; 32]), kind: ChunkKind::Content, frame: 0, at: 0, len: 1 };
    db::chunk_insert(&mut tx, world.repository, row.seq, &[invented]).await.expect("new");
    tx.commit().await.expect("nothing stands against it");
    for options in [WHOLE, QUICK] {
        let report = look(&world, options).await;
        assert_eq!(found(&report), [(ProblemCode::IndexDiffers, format!("packs/{}", pack.id).as_str())]);
    }
}

#[tokio::test]
async fn what_is_remembered_as_closed_is_not_believed() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let mut draft = super::world::Draft::new(&run.naming);
    let gone = draft.file("gone", &[b"never sent"]);
    draft.contents.clear();
    let (root, sum) = draft.tree(vec![gone], Totals::default());
    run.upload(&run.pack(&draft)).await.expect("good");
    let closed = db::ClosedRow { id: root.id(), shape: Shape::Leaf, totals: sum };
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::closed_insert(&mut tx, world.repository, &[closed]).await.expect("new");
    tx.commit().await.expect("nothing stands against it");
    let committed = run.commit(&run.manifest(root, sum)).await.expect("the table says so");
    assert_eq!(look(&world, QUICK).await.snapshots_hurt, [committed.snapshot.id]);
}

#[tokio::test]
async fn a_store_that_does_not_answer_ends_the_scrub_and_marks_nothing() {
    let world = World::new().await;
    let device = world.device(1).await;
    world.backup(&device).await;
    for (verb, options) in [(Verb::Get, WHOLE), (Verb::Head, QUICK), (Verb::List, WHOLE)] {
        world.store.plan(verb, 1, Mishap::Fail(StoreError::Closing));
        let error = scrub(&world.app, &AdminActor::Command, options, &mut |_| {}).await.expect_err("no answer");
        assert_eq!(error.kind(), Kind::Unavailable, "{verb}");
    }
    assert!(look(&world, WHOLE).await.is_clean());
}
