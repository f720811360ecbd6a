//! One run whose commits reach two servers on one database and one store: the same manifest and others, at the same
//! moment and one in the middle of the other, and after a server that died. Refuses a second manifest for a run, and
//! two answers to one request.

use super::world::{Device, Run, World, code, sample, sample_of};
use app::backup::{Committed, Reported, commit};
use app::scrub::{Options, scrub};
use app::{AdminActor, App, AppError};
use base::{Count, Kind, RunId, SnapshotId};
use bytes::Bytes;
use db::RunStatus;
use format::{ChunkRef, Totals};
use futures::future::join_all;
use std::sync::{Arc, Mutex};
use store::{Mishap, Store as _, StoreError, Verb};

/// Races of one test: each meets in another place.
const RACES: u64 = 12;

/// A run that has sent all that it commits.
async fn sent<'a>(world: &'a World, device: &'a Device, seed: u64) -> (Run<'a>, ChunkRef, Totals) {
    let run = world.begin(device).await;
    let (draft, root, totals) = sample_of(&run.naming, seed);
    run.upload(&run.pack(&draft)).await.expect("the pack is good");
    (run, root, totals)
}

/// A device with a snapshot, of which the store has a card: the next object that a commit writes is its manifest.
async fn carded(world: &World) -> Device {
    let device = world.device(1).await;
    world.backup(&device).await;
    device
}

async fn commit_at(app: &App, run: &Run<'_>, manifest: &Bytes) -> Result<Committed, AppError> {
    commit(app, &run.device.actor, run.id(), manifest.clone(), Reported::default()).await
}

/// The names of the manifests in the store.
async fn manifests(world: &World) -> Vec<String> {
    let listed = world.store.inner().inner().list("manifests/", None, 1_000).await.expect("memory does not fail");
    listed.into_iter().map(|object| object.name.as_str().to_owned()).collect()
}

async fn status(world: &World, run: RunId) -> RunStatus {
    let mut tx = world.app.db.read().await.expect("readable");
    db::run_get(&mut tx, run).await.expect("readable").expect("the run is there").status
}

/// So many snapshots, nothing wrong with them, and no object that nothing names.
async fn nothing_else_is_there(world: &World, snapshots: u64) {
    let report = scrub(&world.app, &AdminActor::Command, Options { read_data: true }, &mut |_| {}).await;
    let report = report.expect("it answers");
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!((report.snapshots, report.orphans), (Count(snapshots), Vec::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_manifest_that_reaches_two_servers_at_the_same_time_is_committed_once_and_answered_twice() {
    let world = World::new().await;
    let other = world.beside().await;
    let device = world.device(1).await;
    for race in 0..RACES {
        let (run, root, totals) = sent(&world, &device, race).await;
        let manifest = run.seal(&run.manifest(root, totals));
        let servers: [&App; 4] = [&world.app, &other, &world.app, &other];
        let answers = join_all(servers.map(|app| commit_at(app, &run, &manifest))).await;
        let answers: Vec<Committed> = answers.into_iter().map(|answer| answer.expect("committed")).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(status(&world, run.id()).await, RunStatus::Committed);
    }
    nothing_else_is_there(&world, RACES).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_manifests_that_reach_two_servers_at_the_same_time_one_is_committed_and_no_other_is_written() {
    let world = World::new().await;
    let other = world.beside().await;
    let device = world.device(1).await;
    for race in 0..RACES {
        let (run, root, totals) = sent(&world, &device, race).await;
        // The first two name one snapshot and are sealed each in its own way; the others name a snapshot each.
        let shared = run.manifest(root, totals);
        let sealed = [run.seal(&shared), run.seal(&shared)].into_iter();
        let sealed: Vec<Bytes> = sealed.chain((0..2).map(|_| run.seal(&run.manifest(root, totals)))).collect();
        let servers: [&App; 4] = [&world.app, &other, &other, &world.app];
        let answers = join_all(servers.into_iter().zip(&sealed).map(|(app, one)| commit_at(app, &run, one))).await;
        let (good, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(good.len(), 1, "{refused:?}");
        for no in refused {
            let said = code(no);
            assert!(["run_closed", "manifest_mismatch"].contains(&said), "{said}");
        }
    }
    assert_eq!(manifests(&world).await.len() as u64, RACES);
    nothing_else_is_there(&world, RACES).await;
}

/// Lets another server commit a manifest of the run in the middle of a commit of `first`: once its object is durable,
/// and before its server learns of that. Gives both answers.
async fn in_between(
    world: &World,
    run: &Run<'_>,
    first: &Bytes,
    second: &Bytes,
) -> (Result<Committed, AppError>, Result<Committed, AppError>) {
    let other = world.beside().await;
    let (actor, id, second) = (run.device.actor.clone(), run.id(), second.clone());
    let answer = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&answer);
    world.store.after_put(move || {
        Box::pin(async move {
            let done = commit(&other, &actor, id, second, Reported::default()).await;
            *kept.lock().expect("no test panics with it") = Some(done);
        })
    });
    let first = commit_at(&world.app, run, first).await;
    let second = answer.lock().expect("no test panics with it").take();
    (first, second.expect("the object was put"))
}

#[tokio::test]
async fn a_commit_in_the_middle_of_the_same_commit_elsewhere_gives_its_answer_to_both() {
    let world = World::new().await;
    let device = carded(&world).await;
    let (run, root, totals) = sent(&world, &device, 1).await;
    let manifest = run.seal(&run.manifest(root, totals));
    let (first, second) = in_between(&world, &run, &manifest, &manifest).await;
    assert_eq!(first.expect("committed elsewhere"), second.expect("nobody was faster"));
    nothing_else_is_there(&world, 2).await;
}

#[tokio::test]
async fn a_run_that_writes_one_manifest_commits_no_other_at_another_server() {
    let world = World::new().await;
    let device = carded(&world).await;
    let (run, root, totals) = sent(&world, &device, 1).await;
    let (one, two) = (run.seal(&run.manifest(root, totals)), run.seal(&run.manifest(root, totals)));
    let (first, second) = in_between(&world, &run, &one, &two).await;
    assert_eq!(code(second), "manifest_mismatch");
    let committed = first.expect("no other came before it");
    assert_eq!(manifests(&world).await.len(), 2);
    assert_eq!(code(commit_at(&world.app, &run, &two).await), "run_closed");
    assert_eq!(commit_at(&*world.beside().await, &run, &one).await.expect("the same answer"), committed);
    nothing_else_is_there(&world, 2).await;
}

#[tokio::test]
async fn a_run_whose_server_died_before_or_after_its_manifest_was_written_goes_on_at_another() {
    let world = World::new().await;
    let device = carded(&world).await;
    let deaths = [Mishap::Fail(StoreError::Closing), Mishap::LoseAnswer(StoreError::Closing)];
    for (race, death) in deaths.into_iter().enumerate() {
        let (run, root, totals) = sent(&world, &device, race as u64).await;
        let manifest = run.manifest(root, totals);
        let (one, two) = (run.seal(&manifest), run.seal(&manifest));
        let three = run.seal(&run.manifest(root, totals));
        world.store.plan(Verb::PutNew, 1, death);
        assert_eq!(commit_at(&world.app, &run, &one).await.expect_err("it is cut off").kind(), Kind::Unavailable);
        let other = world.beside().await;
        for different in [&two, &three] {
            assert_eq!(code(commit_at(&other, &run, different).await), "manifest_mismatch");
        }
        commit_at(&other, &run, &one).await.expect("the manifest that the run is bound to");
    }
    nothing_else_is_there(&world, 3).await;
}

#[tokio::test]
async fn a_run_that_was_superseded_at_another_server_writes_no_manifest() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (run, root, totals) = sent(&world, &device, 1).await;
    let manifest = run.seal(&run.manifest(root, totals));
    let other = world.beside().await;
    app::runs::begin(&other, &device.actor, [8; 16], app::runs::Purpose::Backup).await.expect("a newer run");
    assert_eq!(code(commit_at(&world.app, &run, &manifest).await), "run_superseded");
    assert_eq!(manifests(&world).await, [""; 0]);
}

#[tokio::test]
async fn a_commit_of_what_is_not_there_binds_its_run_to_nothing() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, totals) = sample(&run.naming);
    assert_eq!(code(run.commit(&run.manifest(root, totals)).await), "tree_names_missing");
    run.upload(&run.pack(&draft)).await.expect("the pack is good");
    let manifest = run.seal(&run.manifest(root, totals));
    let snapshot: SnapshotId = commit_at(&*world.beside().await, &run, &manifest).await.expect("sent").snapshot.id;
    assert!(manifests(&world).await[0].contains(&snapshot.to_string()), "{:?}", manifests(&world).await);
    nothing_else_is_there(&world, 1).await;
}
