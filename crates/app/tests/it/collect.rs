//! Collection beside backups: what nothing needs goes, and what anybody needs stays, whatever happens between two
//! steps of it.

use super::world::{Device, Draft, Run, World, code, directory, noise, sample_of};
use app::backup::Uploaded;
use app::collect::{self, Found, Status};
use app::scrub::{Options, Report, scrub};
use app::{AdminActor, AppError, Config, jobs};
use base::{Clock as _, Count, ManualClock, SnapshotId, Span, Timestamp};
use db::CollectionPhase;
use format::{ChunkId, SealedPack, Totals};
use std::sync::Arc;
use store::{Mishap, ObjectName, Store as _, StoreError, Verb};

const ADMIN: AdminActor = AdminActor::Command;

/// A world in which nothing waits longer than it must.
async fn world() -> World {
    world_with_grace(0).await
}

/// A world in which what was found stays for so many hours.
async fn world_with_grace(hours: u64) -> World {
    let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_750_000_000_000)));
    let text = format!("collect.grace_hours = {hours}\nrun.lease_hours = 1\n");
    World::with(clock.clone(), clock, Config::parse(&text).expect("good text")).await
}

async fn backup(run: &Run<'_>, seed: u64) -> (SnapshotId, SealedPack) {
    let (draft, root, totals) = sample_of(&run.naming, seed);
    let pack = run.pack(&draft);
    run.upload(&pack).await.expect("the pack is good");
    (run.commit(&run.manifest(root, totals)).await.expect("the snapshot is good").snapshot.id, pack)
}

async fn tick(world: &World) -> Result<(), AppError> {
    jobs::tick_all(&world.app).await
}

/// Collects as far as it goes now.
async fn collect(world: &World) {
    collect::start(&world.app, &ADMIN).await.expect("permitted");
    tick(world).await.expect("the jobs work");
}

/// Lets the time pass after which objects go.
async fn later(world: &World) {
    world.clock.advance(Span::hours(3));
    tick(world).await.expect("the jobs work");
}

async fn let_go(world: &World, snapshot: SnapshotId) {
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::snapshot_remove(&mut tx, snapshot).await.expect("there");
    tx.commit().await.expect("nothing stands against it");
}

async fn has(world: &World, pack: &SealedPack) -> bool {
    let name = ObjectName::new(format!("packs/{}", pack.id)).expect("a name");
    world.store.inner().head(&name).await.expect("memory does not fail").is_some()
}

async fn look(world: &World) -> Report {
    scrub(&world.app, &ADMIN, Options { read_data: true }, &mut |_| {}).await.expect("the store answers")
}

#[track_caller]
fn clean(report: &Report) {
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(report.orphans, [""; 0], "no object is left over");
}

async fn status(world: &World) -> Status {
    collect::status(&world.app, &ADMIN).await.expect("permitted")
}

/// The phase of the newest collection.
async fn phase(world: &World) -> CollectionPhase {
    status(world).await.collections[0].row.phase
}

/// Two snapshots of one device in a pack each, of which the first is forgotten.
async fn two(world: &World) -> (Device, SealedPack, SealedPack) {
    let device = world.device(1).await;
    let (gone, first) = backup(&world.begin(&device).await, 1).await;
    let (_, second) = backup(&world.begin(&device).await, 2).await;
    let_go(world, gone).await;
    let manifest = format!("manifests/{}/{gone}", device.actor.device);
    world.object_remove(&manifest).await;
    (device, first, second)
}

#[tokio::test]
async fn what_no_snapshot_needs_goes_and_everything_else_stays() {
    let world = world().await;
    let (_, first, second) = two(&world).await;
    let chunks = (first.index.chunks().count() + second.index.chunks().count()) as u64;
    let said = collect::dry_run(&world.app, &ADMIN, &mut |_| {}).await.expect("permitted");
    let live = second.index.chunks().count() as u64;
    let expected = Found {
        snapshots: Count(1),
        chunks: Count(chunks),
        chunks_live: Count(live),
        bytes: base::Bytes::of(first.bytes.len() + second.bytes.len()),
        packs_dead: Count(1),
        bytes_dead: base::Bytes::of(first.bytes.len()),
        ..Found::default()
    };
    assert_eq!(said, expected);
    assert!(status(&world).await.collections.is_empty(), "a dry run leaves nothing behind");
    assert_eq!(look(&world).await.orphans, [""; 0]);

    collect(&world).await;
    let row = status(&world).await.collections[0].row.clone();
    assert_eq!(row.phase, CollectionPhase::Ended);
    let figures = row.figures;
    assert_eq!((figures.chunks, figures.chunks_live), (Count(chunks), Count(live)));
    assert_eq!((figures.packs_removed, figures.bytes_removed), (Count(1), base::Bytes::of(first.bytes.len())));
    assert!(has(&world, &first).await, "whoever reads it may go on");
    clean(&look(&world).await);
    later(&world).await;
    assert!(!has(&world, &first).await && has(&world, &second).await);
    clean(&look(&world).await);
    assert_eq!(
        world.store.list("", None, 99).await.expect("memory does not fail").len(),
        3,
        "a pack, a manifest, a card"
    );
    let said = collect::dry_run(&world.app, &ADMIN, &mut |_| {}).await.expect("permitted");
    assert_eq!((said.packs_dead, said.bytes), (Count(0), base::Bytes::of(second.bytes.len())));
}

#[tokio::test]
async fn a_run_that_was_told_that_a_chunk_is_there_finds_it_there_at_its_commit() {
    let world = world().await;
    let (device, first, _) = two(&world).await;
    let run = world.begin(&device).await;
    let (draft, root, totals) = sample_of(&run.naming, 1);
    let refs: Vec<_> = first.index.chunks().map(|(_, _, chunk)| chunk.chunk).collect();
    assert!(run.dedupe(&refs).await.expect("a good question").iter().all(|missing| !missing));
    collect(&world).await;
    let waiting = status(&world).await.waiting;
    assert_eq!((waiting[0].packs, waiting[0].runs), (Count(1), Count(1)), "it is condemned, and waits for the run");
    assert_eq!(waiting[0].oldest.map(|oldest| oldest.run), Some(run.id()));
    // Nothing is sent: all of it is there.
    drop(draft);
    run.commit(&run.manifest(root, totals)).await.expect("what it was told holds");
    tick(&world).await.expect("the jobs work");
    assert_eq!(phase(&world).await, CollectionPhase::Ended);
    later(&world).await;
    assert!(has(&world, &first).await);
    assert_eq!(status(&world).await.collections[0].row.figures.packs_removed, Count(0));
    clean(&look(&world).await);
}

#[tokio::test]
async fn a_run_that_begins_afterwards_takes_back_what_it_asks_for_until_it_is_too_late() {
    let world = world_with_grace(2).await;
    let (device, first, _) = two(&world).await;
    collect(&world).await;
    assert_eq!(phase(&world).await, CollectionPhase::Wait);
    let run = world.begin(&device).await;
    let one = first.index.chunks().next().expect("it has one").2.chunk;
    assert_eq!(run.dedupe(&[one]).await.expect("a good question"), [false], "it is there, and stays");
    assert_eq!(status(&world).await.waiting, [], "nothing is condemned any more");
    app::runs::abort(&world.app, &device.actor, run.id()).await.expect("its own");

    // The next collection finds it again; this time nobody asks before the grace is over.
    collect(&world).await;
    world.clock.advance(Span::hours(2));
    tick(&world).await.expect("the jobs work");
    let run = world.begin(&device).await;
    assert_eq!(run.dedupe(&[one]).await.expect("a good question"), [true], "it is sent again");
    let (draft, root, totals) = sample_of(&run.naming, 1);
    assert_eq!(code(run.commit(&run.manifest(root, totals)).await), "tree_names_missing");
    run.upload(&run.pack(&draft)).await.expect("new again");
    run.commit(&run.manifest(root, totals)).await.expect("all is there");
    later(&world).await;
    clean(&look(&world).await);
}

#[tokio::test]
async fn a_pack_with_what_is_condemned_is_kept_and_the_chunks_move_to_it() {
    let world = world_with_grace(2).await;
    let (device, first, _) = two(&world).await;
    collect(&world).await;
    let run = world.begin(&device).await;
    let (draft, root, totals) = sample_of(&run.naming, 1);
    let again = run.pack(&draft);
    let chunks_new = Count::of(first.index.chunks().count());
    assert_eq!(run.upload(&again).await.expect("a good pack"), Uploaded { chunks_new });
    run.commit(&run.manifest(root, totals)).await.expect("all is there");
    world.clock.advance(Span::hours(2));
    tick(&world).await.expect("the jobs work");
    later(&world).await;
    assert!(!has(&world, &first).await && has(&world, &again).await);
    clean(&look(&world).await);
}

#[tokio::test]
async fn a_snapshot_that_is_committed_while_it_marks_keeps_what_it_names() {
    let world = world().await;
    let (device, first, _) = two(&world).await;
    let run = world.begin(&device).await;
    let (_, root, totals) = sample_of(&run.naming, 1);
    let manifest = run.seal(&run.manifest(root, totals));
    let (app, actor, id) = (world.app.clone(), device.actor.clone(), run.id());
    // The first object that the collection stores are the marks of what was there when it began.
    world.store.after_put(move || {
        Box::pin(async move {
            let reported = app::backup::Reported::default();
            app::backup::commit(&app, &actor, id, manifest, reported).await.expect("all is there");
        })
    });
    collect(&world).await;
    later(&world).await;
    assert_eq!(phase(&world).await, CollectionPhase::Ended);
    assert!(has(&world, &first).await);
    clean(&look(&world).await);
}

/// A tree that nobody has committed, closed by a commit that came to nothing, over content that nothing needs.
#[tokio::test]
async fn a_tree_that_was_found_whole_before_does_not_vouch_for_what_is_gone() {
    let world = world().await;
    let (device, first, _) = two(&world).await;
    let run = world.begin(&device).await;
    let mut draft = Draft::new(&run.naming);
    let old = draft.file("a", &[&noise(11, 5_000), &noise(12, 300)]);
    let (sub, below) = draft.tree(vec![old], Totals::default());
    let (root, totals) = draft.tree(vec![directory("sub", sub)], below);
    draft.contents.clear();
    run.upload(&run.pack(&draft)).await.expect("trees alone");
    // The walk finds it whole; the database does not take the snapshot.
    let broken = run.manifest(root, Totals { bytes: base::Bytes(totals.bytes.0 + 1), ..totals });
    assert_eq!(code(run.commit(&broken).await), "manifest_mismatch");
    app::runs::abort(&world.app, &device.actor, run.id()).await.expect("its own");
    collect(&world).await;
    later(&world).await;
    assert!(!has(&world, &first).await, "nothing needs it");
    let run = world.begin(&device).await;
    assert_eq!(code(run.commit(&run.manifest(root, totals)).await), "tree_names_missing");
    clean(&look(&world).await);
}

#[tokio::test]
async fn a_pack_of_which_little_is_needed_gives_way_to_a_fuller_one() {
    let world = world().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let mut draft = Draft::new(&run.naming);
    let large: Vec<_> = (0..20).map(|n| draft.file(&format!("f{n:02}"), &[&noise(500 + n, 2_000)])).collect();
    let small = draft.file("small", &[&noise(600, 300)]);
    let (kept_tree, kept) = draft.tree(vec![small], Totals::default());
    let (gone_tree, gone) = draft.tree(large, Totals::default());
    let (both, sum) = draft.tree(vec![directory("gone", gone_tree), directory("kept", kept_tree)], gone + kept);
    let pack = run.pack(&draft);
    run.upload(&pack).await.expect("good");
    let first = run.commit(&run.manifest(both, sum)).await.expect("good").snapshot.id;
    let run = world.begin(&device).await;
    let mut draft = Draft::new(&run.naming);
    let (root, totals) = draft.tree(vec![directory("kept", kept_tree)], kept);
    run.upload(&run.pack(&draft)).await.expect("good");
    run.commit(&run.manifest(root, totals)).await.expect("good");
    let_go(&world, first).await;
    world.object_remove(&format!("manifests/{}/{first}", device.actor.device)).await;

    collect(&world).await;
    let figures = status(&world).await.collections[0].row.figures;
    assert_eq!((figures.packs_repacked, figures.packs_removed), (Count(1), Count(0)));
    assert!(figures.bytes_waste.0 > 30_000, "{:?}", figures.bytes_waste);
    clean(&look(&world).await);
    collect(&world).await;
    later(&world).await;
    assert!(!has(&world, &pack).await);
    let report = look(&world).await;
    clean(&report);
    // That of the second snapshot, and what is kept of the first: its content, and its tree in a pack of its own.
    assert_eq!(report.packs, Count(3));
    assert!(report.bytes.0 < 2_000, "{:?}", report.bytes);
}

#[tokio::test]
async fn nothing_is_removed_while_a_tree_cannot_be_read() {
    let world = world().await;
    let (_, first, second) = two(&world).await;
    let trees = second.index.frames()[1].offset as usize;
    world.object_replace(&format!("packs/{}", second.id), |bytes| bytes[trees + 3] ^= 1).await;
    assert!(!look(&world).await.is_clean(), "and nothing of it is in memory any more");
    collect(&world).await;
    let row = status(&world).await.collections[0].row.clone();
    assert_eq!(row.phase, CollectionPhase::Abandoned);
    assert!(row.figures.flaws > Count(0));
    later(&world).await;
    assert!(has(&world, &first).await, "what is beneath the tree is not known");

    // It was the disk's cable.
    world.object_replace(&format!("packs/{}", second.id), |bytes| bytes[trees + 3] ^= 1).await;
    clean(&look(&world).await);
    collect(&world).await;
    later(&world).await;
    assert!(!has(&world, &first).await);
    clean(&look(&world).await);
}

#[tokio::test]
async fn a_hurt_snapshot_that_is_given_up_holds_no_collection_up_any_longer() {
    let world = world().await;
    let device = world.device(1).await;
    let (hurt, first) = backup(&world.begin(&device).await, 1).await;
    let (_, second) = backup(&world.begin(&device).await, 2).await;
    let give_up = || app::retention::give_up(&world.app, &ADMIN, hurt);
    assert_eq!(code(give_up().await), "snapshot_whole");
    let trees = first.index.frames()[1].offset as usize;
    world.object_replace(&format!("packs/{}", first.id), |bytes| bytes[trees + 3] ^= 1).await;
    assert_eq!(look(&world).await.snapshots_hurt, [hurt]);
    collect(&world).await;
    assert_eq!(phase(&world).await, CollectionPhase::Abandoned);

    give_up().await.expect("it is hurt");
    app::retention::keep(&world.app, &ADMIN, hurt).await.expect("it is there");
    world.clock.advance(Span::hours(2));
    tick(&world).await.expect("the jobs work");
    let view = app::snapshots::admin_get(&world.app, &ADMIN, hurt).await.expect("it is there");
    assert_eq!((view.expired_at, view.given_up_at), (None, None), "the policy keeps it");
    give_up().await.expect("it is hurt");
    world.clock.advance(Span::hours(2));
    tick(&world).await.expect("the jobs work");
    let view = app::snapshots::admin_get(&world.app, &ADMIN, hurt).await.expect("it can still be taken back");
    assert!(view.expired_at.is_some() && view.given_up_at.is_some());
    // The time of retention follows the clock at most so fast.
    for _ in 0..60 {
        world.clock.advance(Span::hours(3));
        tick(&world).await.expect("the jobs work");
    }
    assert_eq!(code(app::snapshots::admin_get(&world.app, &ADMIN, hurt).await), "snapshot_unknown");
    collect(&world).await;
    assert_ne!(phase(&world).await, CollectionPhase::Abandoned);
    later(&world).await;
    later(&world).await;
    assert!(!has(&world, &first).await && has(&world, &second).await);
    clean(&look(&world).await);
}

#[tokio::test]
async fn marks_that_were_changed_end_the_collection_and_nothing_else() {
    let world = world().await;
    let (_, first, _) = two(&world).await;
    let store = world.store.clone();
    world.store.after_put(move || {
        Box::pin(async move {
            let marks = store.inner().list("collect/", None, 9).await.expect("memory does not fail");
            let name = marks[0].name.clone();
            let mut bytes = store.inner().get(&name).await.expect("there").to_vec();
            bytes[0] ^= 1;
            store.inner().remove(&name).await.expect("memory does not fail");
            store.inner().put_new(&name, bytes.into()).await.expect("memory does not fail");
        })
    });
    collect(&world).await;
    assert_eq!(phase(&world).await, CollectionPhase::Abandoned);
    later(&world).await;
    assert!(has(&world, &first).await);
    collect(&world).await;
    later(&world).await;
    assert!(!has(&world, &first).await);
    clean(&look(&world).await);
}

#[tokio::test]
async fn a_collection_that_is_cut_short_at_any_call_of_the_store_goes_on() {
    for verb in [Verb::PutNew, Verb::GetRange, Verb::Head, Verb::List, Verb::Remove] {
        for nth in 1.. {
            let world = world().await;
            let (_, first, second) = two(&world).await;
            world.store.plan(verb, nth, Mishap::Fail(StoreError::Closing));
            collect::start(&world.app, &ADMIN).await.expect("permitted");
            for _ in 0..4 {
                let _ = tick(&world).await;
            }
            world.clock.advance(Span::hours(3));
            for _ in 0..4 {
                let _ = tick(&world).await;
            }
            let is_past = world.store.planned() > 0;
            later(&world).await;
            assert!(!has(&world, &first).await && has(&world, &second).await, "{verb:?} {nth}");
            assert!(nth < 40, "{verb:?} is called for ever");
            if is_past {
                break;
            }
            clean(&look(&world).await);
        }
    }
}

/// Puts an object into the store that no row names.
async fn stray(world: &World, name: String, bytes: &[u8]) {
    let name = ObjectName::new(name).expect("a name");
    world.store.put_new(&name, bytes.to_vec().into()).await.expect("memory does not fail");
}

#[tokio::test]
async fn what_an_ended_upload_left_goes_unless_the_database_may_be_older_than_the_store() {
    let world = world().await;
    let device = world.device(1).await;
    backup(&world.begin(&device).await, 1).await;
    let run = world.begin(&device).await;
    let (draft, ..) = sample_of(&run.naming, 2);
    let (left, another) = (run.pack(&draft), run.pack(&draft));
    stray(&world, format!("packs/{}", left.id), &left.bytes).await;
    stray(&world, "lost-found".to_owned(), b"?").await;
    stray(&world, "collect/1/1/trees-0-000000".to_owned(), b"marks of nobody").await;
    collect(&world).await;
    world.clock.advance(Span::minutes(59));
    collect(&world).await;
    assert!(has(&world, &left).await, "its upload may still go on");
    world.clock.advance(Span::hours(2));
    collect(&world).await;
    later(&world).await;
    assert!(!has(&world, &left).await);
    assert_eq!(look(&world).await.orphans, ["lost-found"], "what is none of ours stays");

    // A pack of a run that the database does not know: a copy of it was brought back that is older than the store.
    let mut foreign = another.bytes.clone();
    foreign[20] ^= 1;
    let foreign_name = format!("packs/{}", format::PackId::of(&foreign));
    stray(&world, foreign_name.clone(), &foreign).await;
    stray(&world, format!("packs/{}", another.id), &another.bytes).await;
    for _ in 0..3 {
        collect(&world).await;
        later(&world).await;
    }
    assert!(has(&world, &another).await, "what is lost there may rely on it");
    world.object_remove(&foreign_name).await;
    collect(&world).await;
    later(&world).await;
    assert!(!has(&world, &another).await);
}

#[tokio::test]
async fn the_manifest_of_a_run_that_has_ended_goes_and_keeps_no_pack() {
    let world = world().await;
    let device = world.device(1).await;
    backup(&world.begin(&device).await, 1).await;
    // Both are there, and the server ends before the commit; the device begins anew.
    let run = world.begin(&device).await;
    let (draft, root, totals) = sample_of(&run.naming, 2);
    let (left, manifest) = (run.pack(&draft), run.manifest(root, totals));
    let name = format!("manifests/{}/{}", device.actor.device, manifest.snapshot);
    stray(&world, format!("packs/{}", left.id), &left.bytes).await;
    stray(&world, name.clone(), &run.seal(&manifest)).await;
    collect(&world).await;
    assert_eq!(look(&world).await.orphans_total, Count(2), "the run may still be committed");
    world.begin(&device).await;
    world.clock.advance(Span::hours(3));
    collect(&world).await;
    later(&world).await;
    assert_eq!(look(&world).await.orphans, [""; 0], "a run that was superseded commits nothing");
}

/// Has this done to a segment once it is written, and gives how the collection ends.
async fn after_marks(
    world: &World,
    change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>> + Send + 'static,
) -> CollectionPhase {
    let store = world.store.clone();
    world.store.after_put(move || {
        Box::pin(async move {
            let marks = store.inner().list("collect/", None, 9).await.expect("memory does not fail");
            let name = marks[0].name.clone();
            let bytes = store.inner().get(&name).await.expect("there").to_vec();
            store.inner().remove(&name).await.expect("memory does not fail");
            if let Some(bytes) = change(bytes) {
                store.inner().put_new(&name, bytes.into()).await.expect("memory does not fail");
            }
        })
    });
    collect(world).await;
    phase(world).await
}

#[tokio::test]
async fn marks_that_are_gone_or_shorter_end_the_collection_too() {
    let world = world().await;
    let (_, first, second) = two(&world).await;
    assert_eq!(after_marks(&world, |_| None).await, CollectionPhase::Abandoned);
    let shorter = |bytes: Vec<u8>| Some(bytes[..bytes.len() - 16].to_vec());
    assert_eq!(after_marks(&world, shorter).await, CollectionPhase::Abandoned);
    assert_eq!(after_marks(&world, |_| Some(Vec::new())).await, CollectionPhase::Abandoned);
    later(&world).await;
    assert!(has(&world, &first).await && has(&world, &second).await);
    clean(&look(&world).await);
}

#[tokio::test]
async fn with_next_to_no_memory_it_finds_the_same_and_goes_on_after_every_crash() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_750_000_000_000)));
    let mut config = Config::parse("collect.grace_hours = 0").expect("good text");
    // Room for two marks of a kind, and one pack at a time.
    config.collect_memory = base::Bytes(512);
    let world = World::with(clock.clone(), clock, config).await;
    let (_, first, second) = two(&world).await;
    collect::start(&world.app, &ADMIN).await.expect("permitted");
    let mut failures = 0;
    for nth in 1..200 {
        world.store.plan(Verb::PutNew, nth, Mishap::Fail(StoreError::Closing));
        let failed = tick(&world).await.is_err();
        failures += u32::from(failed);
        if !failed {
            break;
        }
    }
    assert!(failures > 3, "{failures}");
    assert_eq!(phase(&world).await, CollectionPhase::Ended);
    later(&world).await;
    assert!(!has(&world, &first).await && has(&world, &second).await);
}

#[tokio::test]
async fn a_server_that_has_lost_the_lease_writes_nothing_more() {
    let world = world().await;
    let (_, first, _) = two(&world).await;
    let other = world.beside().await;
    collect::start(&world.app, &ADMIN).await.expect("permitted");
    // The other server takes the job over while this one's first marks are on their way.
    let clock = world.clock.clone();
    world.store.after_put(move || {
        Box::pin(async move {
            clock.advance(Span::minutes(5));
            let mut tx = other.db.write().await.expect("nobody else writes");
            let now = other.clock.now();
            let until = now + Span::days(100_000);
            let fence = db::job_lease_update(&mut tx, "collect", &[7; 16], now, until).await.expect("writable");
            assert!(fence.is_some(), "the lease has run out");
            tx.commit().await.expect("nothing stands against it");
        })
    });
    let stop = world.clock.clone();
    let ran = jobs::run(world.app.clone(), async move {
        // Until the job has met the other one's lease.
        for _ in 0..200 {
            tokio::task::yield_now().await;
            tokio::time::timeout(std::time::Duration::from_millis(5), std::future::pending::<()>()).await.ok();
        }
        drop(stop);
    });
    ran.await;
    let row = status(&world).await.collections[0].row.clone();
    assert_eq!((row.phase, row.snapshot_done), (CollectionPhase::Mark, 0), "none of its marks count");
    assert!(has(&world, &first).await);
    clean(&look(&world).await);
}

#[tokio::test]
async fn a_server_that_has_the_lease_again_does_not_go_on_where_it_was() {
    let world = world().await;
    let (_, first, second) = two(&world).await;
    collect::start(&world.app, &ADMIN).await.expect("permitted");
    let (clock, db) = (world.clock.clone(), world.app.db.clone());
    // Another has the job while this one's first marks are on their way, and is killed.
    world.store.after_put(move || {
        Box::pin(async move {
            clock.advance(Span::minutes(5));
            let mut tx = db.write().await.expect("nobody else writes");
            let until = clock.now() + Span::seconds(30);
            let fence = db::job_lease_update(&mut tx, "collect", &[7; 16], clock.now(), until).await.expect("writable");
            assert!(fence.is_some(), "the lease has run out");
            tx.commit().await.expect("nothing stands against it");
            clock.advance(Span::minutes(5));
        })
    });
    let failed = jobs::tick_held(&world.app, &[1; 16]).await;
    let failed: Vec<_> = failed.iter().map(|(job, error)| (*job, error.code())).collect();
    assert_eq!(failed, [("collect", "job_taken_over")]);
    let row = status(&world).await.collections[0].row.clone();
    assert_eq!((row.phase, row.snapshot_done), (CollectionPhase::Mark, 0), "the other one may have begun anew");
    assert!(jobs::tick_held(&world.app, &[1; 16]).await.is_empty(), "from what is written it does");
    later(&world).await;
    assert!(!has(&world, &first).await && has(&world, &second).await);
    clean(&look(&world).await);
}

#[tokio::test]
async fn a_question_in_two_halves_has_the_answer_of_one() {
    let world = world().await;
    let (_, first, second) = two(&world).await;
    let known = first.index.chunks().chain(second.index.chunks()).map(|(_, _, chunk)| chunk.chunk.id());
    let known: Vec<ChunkId> = known.collect();
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let gone = db::pack_get(&mut tx, first.id).await.expect("readable").expect("there").seq;
    let kept = db::pack_get(&mut tx, second.id).await.expect("readable").expect("there").seq;
    db::pack_condemned_update(&mut tx, world.repository, 5, kept, &[gone]).await.expect("there");
    tx.commit().await.expect("nothing stands against it");
    for len in [0, 1, 199, 200, 201, 999] {
        let name = |n: usize| match n % 3 {
            0 => ChunkId::from_bytes([n as u8; 32]),
            _ => known[n * 7 % known.len()],
        };
        let asked: Vec<ChunkId> = (0..len).map(name).collect();
        let mut tx = world.app.db.read().await.expect("readable");
        let whole = db::chunk_claim_list(&mut tx, world.repository, &asked).await.expect("readable");
        drop(tx);
        let halved = app::backup::claims(&world.app, world.repository, &asked).await.expect("readable");
        assert_eq!(halved, whole, "{len} names");
        assert_eq!((halved.missing.len(), halved.condemned.is_empty()), (len.div_ceil(3), len < 2), "{len} names");
    }
}

#[tokio::test]
async fn every_chunk_of_what_is_kept_is_known_afterwards_and_no_other() {
    let world = world().await;
    let (_, first, second) = two(&world).await;
    collect(&world).await;
    let ids = |pack: &SealedPack| pack.index.chunks().map(|(_, _, chunk)| chunk.chunk.id()).collect::<Vec<ChunkId>>();
    let mut tx = world.app.db.read().await.expect("readable");
    let claims = db::chunk_claim_list(&mut tx, world.repository, &ids(&first)).await.expect("readable");
    assert_eq!(claims.missing.len(), ids(&first).len());
    let claims = db::chunk_claim_list(&mut tx, world.repository, &ids(&second)).await.expect("readable");
    assert_eq!(claims, db::Claims::default());
    let packs = db::pack_list(&mut tx, 0, 9).await.expect("readable");
    assert_eq!(packs.len(), 1);
}
