//! Scrub finds what is wrong, says which snapshots are hurt by it, and finds nothing where nothing is.

use super::world::{World, code, directory, noise, sample};
use app::AdminActor;
use app::scrub::{Options, Problem, ProblemCode, Progress, Report, scrub};
use base::{Count, Kind, SnapshotId};
use bytes::Bytes;
use db::{ChunkRow, Shape};
use format::{ChunkId, ChunkKind, SealedPack, Totals};
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
