//! The day on which something is lost: the database, the keys, the place of one of two copies. What the store has comes
//! back, what does not belong together is told before anything is written.

use super::POSTGRES;
use super::world::{Device, World, sample_of};
use app::keys::{MasterKey, rotate_data, rotate_master};
use app::page::PageAsk;
use app::password::Password;
use app::recovery::{self, HOLD, Kit, Rebuild, Rebuilt};
use app::repair::{Options, Report, repair};
use app::runs::Purpose;
use app::scrub::{Options as Scrub, scrub};
use app::{AdminActor, App, AppError, holds, keys};
use base::{Clock, Count, DeviceId, Entropy, SeededEntropy, SnapshotId, Span};
use control::State;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Store as _;
use tempfile::TempDir;

const ADMIN: AdminActor = AdminActor::Command;
const SHOWN: Options = Options { apply: false, hold: None };
const DONE: Options = Options { apply: true, hold: None };

/// A backup whose contents no other one has, a minute after the one before.
async fn backup(world: &World, device: &Device, seed: u64) -> SnapshotId {
    world.clock.advance(Span::minutes(1));
    let run = world.begin(device).await;
    let (draft, root, totals) = sample_of(&run.naming, seed);
    run.upload(&run.pack(&draft)).await.expect("the pack is good");
    run.commit(&run.manifest(root, totals)).await.expect("the snapshot is good").snapshot.id
}

/// The snapshots of a device, the oldest first.
async fn snapshots(app: &App, device: DeviceId) -> Vec<SnapshotId> {
    let mut tx = app.db.read().await.expect("readable");
    let rows = db::snapshot_list_by_device(&mut tx, device, None, None, 100).await.expect("readable");
    rows.into_iter().rev().map(|row| row.new.id).collect()
}

async fn is_clean(app: &App) -> bool {
    let report = scrub(app, &ADMIN, Scrub { read_data: true }, &mut |_| {}).await.expect("it answers");
    assert_eq!((&report.problems, &report.orphans), (&vec![], &vec![]));
    report.is_clean()
}

fn parts(world: &World) -> (Arc<dyn Clock>, Arc<dyn Entropy>) {
    (world.clock.clone(), Arc::new(SeededEntropy::new(99)))
}

async fn open(world: &World, data_dir: &Path) -> Result<App, AppError> {
    let (clock, entropy) = parts(world);
    App::open(data_dir, clock, entropy).await
}

async fn open_unmatched(world: &World, data_dir: &Path) -> App {
    let (clock, entropy) = parts(world);
    let opening = app::Opening { is_unmatched: true, ..app::Opening::default() };
    App::open_as(data_dir, opening, clock, entropy).await.expect("whatever it is")
}

fn refused<T>(result: Result<T, AppError>) -> &'static str {
    result.map(|_| ()).expect_err("it must be refused").code()
}

async fn repaired(app: &App, options: &Options) -> Report {
    repair(app, options, &mut |_| {}).await.expect("it answers")
}

fn key_of(world: &World) -> MasterKey {
    let kit = recovery::kit(&world.app, &world.data_dir());
    Kit::key_parse(kit.key.expose()).expect("as printed")
}

/// A data directory of which only the store is left, and, where that is in use, another empty database.
async fn bare(world: &World) -> (TempDir, PathBuf, Option<db::testing::TempDb>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let data_dir = dir.path().join("anew");
    std::fs::create_dir(&data_dir).expect("the directory is ours");
    copy(&world.data_dir().join("store"), &data_dir.join("store"));
    let temp = if POSTGRES { Some(db::testing::postgres().await) } else { None };
    if let Some(url) = temp.as_ref().and_then(db::testing::TempDb::url) {
        std::fs::write(data_dir.join("holdfast.toml"), format!("database.url = \"{url}\"\n")).expect("own file");
    }
    (dir, data_dir, temp)
}

fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp is there");
    assert!(done.success());
}

async fn rebuilt(world: &World, data_dir: &Path, key: &MasterKey) -> Result<Rebuilt, AppError> {
    let (clock, entropy) = parts(world);
    let password = Password::new("another long password".to_owned());
    let rebuild = Rebuild {
        data_dir,
        admin_email: "b@example.org",
        admin_password: &password,
        names: &[],
        key,
        master_key: None,
    };
    recovery::rebuild(&rebuild, &clock, &entropy, &mut |_| {}).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_comes_back_from_the_store_and_the_kit() {
    let world = World::on_disk().await;
    let (one, two) = (world.device(1).await, world.device(2).await);
    let mut made = Vec::new();
    for seed in 0..3 {
        made.push(backup(&world, &one, seed).await);
    }
    let other = backup(&world, &two, 7).await;
    world.clock.advance(Span::hours(1));
    rotate_data(&world.app, &world.data_dir()).await.expect("a new key");
    world.clock.advance(keys::SETTLE_SPAN);
    made.push(backup(&world, &one, 8).await);
    let key = key_of(&world);
    let trial = recovery::trial(&world.app, &world.data_dir(), &key).await.expect("the kit is at hand");
    assert_eq!((trial.keyring, trial.repositories, trial.snapshot), (2, Count(1), made.last().copied()));
    let stranger = MasterKey::mint(&SeededEntropy::new(5));
    assert_eq!(refused(recovery::trial(&world.app, &world.data_dir(), &stranger).await), "kit_foreign");

    let (_dir, data_dir, _temp) = bare(&world).await;
    assert_eq!(refused(rebuilt(&world, &data_dir, &stranger).await), "kit_foreign");
    let back = rebuilt(&world, &data_dir, &key).await.expect("everything is there");
    assert_eq!(back.ca_fingerprint, world.app.ca_fingerprint, "devices know the server again");
    assert_eq!((back.report.devices_taken, back.report.users_taken), (Count(2), Count(1)));
    assert_eq!((back.report.snapshots_taken, back.report.unreadable_total), (Count(5), Count(0)));
    assert_eq!(back.report.snapshots_hurt, []);

    let app = open(&world, &data_dir).await.expect("it is whole");
    assert_eq!(snapshots(&app, one.actor.device).await, made);
    assert_eq!(snapshots(&app, two.actor.device).await, [other]);
    assert!(is_clean(&app).await);
    let mut tx = app.db.read().await.expect("readable");
    let device = db::device_get(&mut tx, one.actor.device).await.expect("readable").expect("it is back");
    assert!(matches!(device.state, State::Deactivated { .. }), "which keys were good is not known");
    assert_eq!((device.name.as_str(), device.last_snapshot), ("device 1", made.last().copied()));
    assert_eq!(db::user_get(&mut tx, device.user).await.expect("readable").expect("back").email, "u@example.org");
    assert_eq!(device.epoch, 1, "the next binding is another one");
    let live = db::credential_get_live(&mut tx, one.actor.device).await.expect("readable");
    assert_eq!(live, None, "its key tells who it is, and lets it do nothing");
    let newest = db::snapshot_get_newest(&mut tx, one.actor.device).await.expect("readable").expect("five");
    drop(tx);
    let mut tx = world.app.db.read().await.expect("readable");
    let before = db::snapshot_get_newest(&mut tx, one.actor.device).await.expect("readable").expect("five");
    let took = before.new.committed_at.since(newest.new.committed_at);
    assert!(newest.new.committed_at <= before.new.committed_at && took < Span::hours(1), "when its run began: {took}");
    drop(tx);
    let held = holds::page(&app, &ADMIN, &PageAsk::first()).await.expect("permitted").items;
    assert_eq!(held.iter().map(|hold| hold.name.as_str()).collect::<Vec<_>>(), [HOLD]);
    assert_eq!(refused(rebuilt(&world, &data_dir, &key).await), "already_initialised");
    // The keys are good for what comes: a device that is activated again goes on.
    assert_eq!(app.keys.repositories()[0].newest(world.clock.now() + keys::SETTLE_SPAN).id(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_was_interrupted_serves_nobody_and_goes_on() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    let made = [backup(&world, &device, 1).await, backup(&world, &device, 2).await];
    let (key, (_dir, data_dir, _temp)) = (key_of(&world), bare(&world).await);
    let (clock, entropy) = parts(&world);
    let password = Password::new("another long password".to_owned());
    let rebuild = Rebuild {
        data_dir: &data_dir,
        admin_email: "b@example.org",
        admin_password: &password,
        names: &[],
        key: &key,
        master_key: None,
    };
    let (say, heard) = tokio::sync::oneshot::channel();
    let mut say = Some(say);
    let mut stop = move |_| {
        let _ = say.take().map(|say| say.send(()));
    };
    // What is dropped here, in the middle of whatever it is at, is what a kill leaves.
    tokio::select! {
        biased;
        _ = heard => {}
        done = recovery::rebuild(&rebuild, &clock, &entropy, &mut stop) => panic!("it was to be interrupted: {done:?}"),
    }
    let code = refused(open(&world, &data_dir).await);
    assert_eq!(code, "rebuild_unfinished");
    let back = rebuilt(&world, &data_dir, &key).await.expect("it goes on");
    assert!(back.report.snapshots_taken <= Count(2));
    let app = open(&world, &data_dir).await.expect("it is whole");
    assert_eq!(snapshots(&app, device.actor.device).await, made);
    assert!(is_clean(&app).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_in_the_store_hurts_its_own_snapshot_and_no_other() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    let made = [backup(&world, &device, 1).await, backup(&world, &device, 2).await];
    let (key, (_dir, data_dir, _temp)) = (key_of(&world), bare(&world).await);
    // The card is lost, and one pack.
    std::fs::remove_dir_all(data_dir.join("store/cards")).expect("it has cards");
    let mut tx = world.app.db.read().await.expect("readable");
    let pack = db::pack_list(&mut tx, 0, 10).await.expect("readable")[1].new.id;
    drop(tx);
    remove_object(&data_dir, &format!("{pack}"));
    let back = rebuilt(&world, &data_dir, &key).await.expect("the rest is there");
    assert_eq!((back.report.devices_taken, back.report.snapshots_taken), (Count(1), Count(2)));
    assert_eq!(back.report.snapshots_hurt, [made[1]]);
    let app = open(&world, &data_dir).await.expect("it is whole");
    let mut tx = app.db.read().await.expect("readable");
    let device = db::device_get(&mut tx, device.actor.device).await.expect("readable").expect("it is back");
    let user = db::user_get(&mut tx, device.user).await.expect("readable").expect("somebody");
    assert_eq!((device.name.as_str(), user.email.as_str()), ("laptop", "recovered@localhost"));
}

/// Takes an object out of a store of files, wherever it lies.
fn remove_object(data_dir: &Path, name: &str) {
    let mut find = std::process::Command::new("find");
    let found = find.arg(data_dir.join("store")).args(["-name", &format!("*{name}")]).output();
    let found = String::from_utf8(found.expect("find is there").stdout).expect("UTF-8");
    let path = found.lines().next().unwrap_or_else(|| panic!("{name} is not there"));
    std::fs::remove_file(path).expect("own file");
}

/// A copy of the database as it is now, as `backup-db` makes it.
async fn database_copied(world: &World) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let copied = dir.path().join("copy.db");
    app::database::copy(&world.app, &copied).await.expect("room enough");
    (dir, copied)
}

/// Ends the server, and puts an old copy of the database in the place of the one it had.
async fn database_put_back(world: &World, copied: &Path) {
    world.app.db.close().await;
    for name in ["holdfast.db-wal", "holdfast.db-shm"] {
        let _ = std::fs::remove_file(world.data_dir().join(name));
    }
    std::fs::copy(copied, world.data_dir().join("holdfast.db")).expect("own file");
}

/// Puts an old copy of a store, or somebody else's, in the place of the one that the server had.
fn store_put_back(world: &World, copied: &Path) {
    std::fs::remove_dir_all(world.data_dir().join("store")).expect("own files");
    copy(copied, &world.data_dir().join("store"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_of_the_database_is_told_and_brought_up_to_its_store() {
    if POSTGRES {
        return; // It is copied by its own tools.
    }
    let world = World::on_disk().await;
    let device = world.device(1).await;
    let mut made = vec![backup(&world, &device, 1).await];
    let (_dir, copied) = database_copied(&world).await;
    // The server goes on: backups, another device, a start.
    made.push(backup(&world, &device, 2).await);
    let late = world.device(3).await;
    let lates = backup(&world, &late, 3).await;
    let world = world.reopened().await;
    recovery::prepare(&world.app, &world.data_dir()).await.expect("it fits");
    made.push(backup(&world, &device, 4).await);

    database_put_back(&world, &copied).await;
    assert_eq!(refused(open(&world, &world.data_dir()).await), "database_older");
    let app = open_unmatched(&world, &world.data_dir()).await;
    let shown = repaired(&app, &SHOWN).await;
    assert_eq!((shown.packs_taken, shown.devices_taken, shown.snapshots_taken), (Count(3), Count(1), Count(3)));
    assert_eq!(shown, repaired(&app, &SHOWN).await, "nothing was changed");
    assert_eq!(snapshots(&app, device.actor.device).await, made[..1]);
    let done = repaired(&app, &DONE).await;
    assert_eq!(done, shown);
    app.db.close().await;
    let app = open(&world, &world.data_dir()).await.expect("they belong together");
    assert_eq!(snapshots(&app, device.actor.device).await, made);
    assert_eq!(snapshots(&app, late.actor.device).await, [lates]);
    assert!(is_clean(&app).await);
    assert!(repaired(&app, &SHOWN).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_was_told_that_the_copy_knows_as_open_comes_back_too() {
    if POSTGRES {
        return; // It is copied by its own tools.
    }
    let world = World::on_disk().await;
    let device = world.device(1).await;
    let first = backup(&world, &device, 1).await;
    let run = world.begin(&device).await;
    let (draft, root, totals) = sample_of(&run.naming, 2);
    run.upload(&run.pack(&draft)).await.expect("the pack is good");
    let (_dir, copied) = database_copied(&world).await;
    let second = run.commit(&run.manifest(root, totals)).await.expect("the snapshot is good").snapshot.id;
    drop(run);
    let world = world.reopened().await;
    recovery::prepare(&world.app, &world.data_dir()).await.expect("it fits");

    database_put_back(&world, &copied).await;
    let app = open_unmatched(&world, &world.data_dir()).await;
    assert_eq!(snapshots(&app, device.actor.device).await, [first]);
    assert_eq!(repaired(&app, &DONE).await.snapshots_taken, Count(1));
    assert_eq!(snapshots(&app, device.actor.device).await, [first, second]);
    assert!(is_clean(&app).await);
    assert!(repaired(&app, &SHOWN).await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_of_the_store_is_told_and_what_it_lacks_is_sent_again() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    copy(&world.data_dir().join("store"), &dir.path().join("store"));
    let lost = backup(&world, &device, 2).await;
    let world = world.reopened().await;
    recovery::prepare(&world.app, &world.data_dir()).await.expect("it fits");
    store_put_back(&world, &dir.path().join("store"));

    assert_eq!(refused(open(&world, &world.data_dir()).await), "store_older");
    let app = open_unmatched(&world, &world.data_dir()).await;
    let done = repaired(&app, &DONE).await;
    assert_eq!((done.packs_missing, done.packs_taken, done.snapshots_taken), (Count(1), Count(0), Count(0)));
    app.db.close().await;
    let world = world.reopened().await;
    // The device sends what is missing again, and the snapshot of before is whole.
    backup(&world, &device, 2).await;
    let report = scrub(&world.app, &ADMIN, Scrub { read_data: true }, &mut |_| {}).await.expect("it answers");
    assert_eq!(report.snapshots_hurt, []);
    let manifest = report.problems.iter().find(|problem| problem.subject == lost.to_string());
    assert!(manifest.is_some(), "its manifest is lost, which costs nothing: {:?}", report.problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_of_somebody_else_is_refused_and_not_touched() {
    let (world, other) = (World::on_disk().await, World::on_disk_of(8).await);
    let device = other.device(1).await;
    backup(&other, &device, 1).await;
    store_put_back(&world, &other.data_dir().join("store"));
    assert_eq!(refused(open(&world, &world.data_dir()).await), "store_foreign");
    let app = open_unmatched(&world, &world.data_dir()).await;
    for options in [SHOWN, DONE] {
        assert_eq!(refused(repair(&app, &options, &mut |_| {}).await), "store_foreign");
    }
    // Nor does the database of somebody else open with these keys.
    let (own, theirs) = (world.data_dir().join("keys/master.key"), other.data_dir().join("keys/master.key"));
    std::fs::copy(theirs, own).expect("own file");
    assert_eq!(refused(open(&world, &world.data_dir()).await), "keys_foreign");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_copies_of_one_database_the_second_finds_out() {
    if POSTGRES {
        return; // A data directory is copied with its database.
    }
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    world.app.db.close().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let twin_dir = dir.path().join("twin");
    copy(&world.data_dir(), &twin_dir);
    // Both are used with the one store: the twin's is a link to it.
    std::fs::remove_dir_all(twin_dir.join("store")).expect("own files");
    std::os::unix::fs::symlink(world.data_dir().join("store"), twin_dir.join("store")).expect("own directory");
    let world = world.reopened().await;
    let twin = open(&world, &twin_dir).await.expect("they fit, still");
    recovery::prepare(&world.app, &world.data_dir()).await.expect("the first comes to the next age");
    assert_eq!(refused(recovery::prepare(&twin, &twin_dir).await), "database_older");
    repaired(&twin, &DONE).await;
    assert_eq!(refused(recovery::prepare(&world.app, &world.data_dir()).await), "database_older");
    // The server that runs on the other copy finds out within the hour, and ends.
    let error = app::age::watch(&world.app).await;
    assert_eq!(error.code(), "database_older");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_key_is_rotated_beside_runs_and_every_server_hears_of_it() {
    let world = World::new().await;
    let (device, other) = (world.device(1).await, world.device(2).await);
    let beside = world.beside().await;
    let dir = tempfile::tempdir().expect("a directory without certificates");
    let before = world.begin(&device).await;
    rotate_data(&world.app, dir.path()).await.expect("a new key");
    assert_eq!(world.begin(&other).await.begun.key_id, 1, "not every server has heard of it yet");
    world.clock.advance(keys::SETTLE_SPAN);
    let after = world.begin(&other).await;
    assert_eq!((before.begun.key_id, after.begun.key_id), (1, 2));
    // The run of before goes on with its key, here and at a server that has heard of neither.
    let (draft, root, totals) = sample_of(&before.naming, 1);
    before.upload(&before.pack(&draft)).await.expect("its key is good");
    before.commit(&before.manifest(root, totals)).await.expect("its key is good");
    let (draft, root, totals) = sample_of(&after.naming, 2);
    let (pack, manifest) = (after.pack(&draft), after.seal(&after.manifest(root, totals)));
    let (len, body) = (pack.bytes.len() as u64, super::world::body(pack.bytes.clone()));
    let uploaded = app::backup::upload(&beside, &other.actor, after.id(), pack.id, Some(len), body).await;
    assert!(uploaded.expect("the other server asks for the key").chunks_new > Count(0));
    let reported = app::backup::Reported::default();
    app::backup::commit(&beside, &other.actor, after.id(), manifest, reported).await.expect("the same");
    assert!(is_clean(&world.app).await);
    let names: Vec<String> = world
        .store
        .inner()
        .list("keys/", None, 10)
        .await
        .expect("memory")
        .into_iter()
        .map(|object| object.name.to_string())
        .collect();
    assert_eq!(names, ["keys/00000002"], "the keyring of before is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_key_is_rotated_and_a_crash_in_between_is_made_good() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    let snapshot = backup(&world, &device, 1).await;
    let (data_dir, file) = (world.data_dir(), world.data_dir().join("keys/master.key"));
    let (before, old) = (key_of(&world), std::fs::read(&file).expect("own file"));
    let rotated = rotate_master(&world.app, &data_dir, None, None).await.expect("a new key");
    assert_eq!(rotated.keyring, 2);
    assert_ne!(std::fs::read(&file).expect("own file"), old);
    // The server that runs goes on: what it holds in memory has not changed.
    backup(&world, &device, 2).await;
    let world = world.reopened().await;
    assert_eq!(refused(recovery::trial(&world.app, &data_dir, &before).await), "kit_foreign");
    recovery::trial(&world.app, &data_dir, &key_of(&world)).await.expect("the new one");
    assert!(app::snapshots::admin_get(&world.app, &ADMIN, snapshot).await.is_ok());
    assert!(is_clean(&world.app).await);

    // As a crash leaves it: the database has the new key, and its file has not its place.
    let next = data_dir.join("keys/master.key.next");
    std::fs::rename(&file, &next).expect("own file");
    std::fs::write(&file, &old).expect("own file");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("own file");
    let world = world.reopened().await;
    assert!(!next.exists() && std::fs::read(&file).expect("own file") != old);
    assert!(is_clean(&world.app).await);
    // And one that was interrupted before it had changed the database is as if it had not begun.
    std::fs::write(&next, "00".repeat(32)).expect("own file");
    std::fs::set_permissions(&next, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("own file");
    let world = world.reopened().await;
    rotate_master(&world.app, &data_dir, None, None).await.expect("what was left is no matter");
    let world = world.reopened().await;
    let (device, purpose) = (world.device(4).await, Purpose::Backup);
    assert!(app::runs::begin(&world.app, &device.actor, [1; 16], purpose).await.is_ok());
}

#[tokio::test]
async fn an_age_that_comes_while_the_two_are_compared_is_taken_for_no_copy() {
    let world = World::new().await;
    let dir = tempfile::tempdir().expect("a directory without certificates");
    recovery::prepare(&world.app, dir.path()).await.expect("the first");
    // Another server starts after this one has read its row, and listed the ages.
    let (other, place) = (world.beside().await, dir.path().to_owned());
    world.store.after_list(move || {
        Box::pin(async move { recovery::prepare(&other, &place).await.expect("nobody is in its way") })
    });
    recovery::prepare(&world.app, dir.path()).await.expect("nothing is a copy of anything");
    let mut tx = world.app.db.read().await.expect("readable");
    let row = db::installation_get(&mut tx).await.expect("readable").expect("there");
    assert_eq!((row.age, row.age_next), (3, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_and_commands_beside_them_never_take_an_age_that_comes_for_a_copy() {
    let world = World::on_disk().await;
    let data_dir = world.data_dir();
    let starts = (0..4).map(|_| {
        let (data_dir, world) = (data_dir.clone(), &world);
        async move {
            for _ in 0..8 {
                let app = open(world, &data_dir).await.expect("nothing is a copy of anything");
                recovery::prepare(&app, &data_dir).await.expect("nothing is a copy of anything");
                app.db.close().await;
            }
        }
    });
    futures::future::join_all(starts).await;
    let mut tx = world.app.db.read().await.expect("readable");
    let row = db::installation_get(&mut tx).await.expect("readable").expect("there");
    assert!(row.age > 8 && row.age_next.is_none(), "{row:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_from_before_a_rotation_takes_the_key_over_and_loses_nothing_that_it_sealed() {
    if POSTGRES {
        return; // It is copied by its own tools.
    }
    let world = World::on_disk().await;
    let device = world.device(1).await;
    let mut made = vec![backup(&world, &device, 1).await];
    let (_dir, copied) = database_copied(&world).await;
    rotate_data(&world.app, &world.data_dir()).await.expect("a new key");
    world.clock.advance(keys::SETTLE_SPAN);
    made.push(backup(&world, &device, 2).await);
    recovery::prepare(&world.app, &world.data_dir()).await.expect("it fits");
    database_put_back(&world, &copied).await;
    let app = open_unmatched(&world, &world.data_dir()).await;
    let done = repaired(&app, &DONE).await;
    assert_eq!((done.snapshots_taken, done.unreadable_total), (Count(1), Count(0)), "{done:?}");
    app.db.close().await;
    let app = open(&world, &world.data_dir()).await.expect("they belong together");
    recovery::prepare(&app, &world.data_dir()).await.expect("the keyring has every key");
    assert_eq!(snapshots(&app, device.actor.device).await, made);
    assert!(is_clean(&app).await);
    let (key, (_dir, data_dir, _temp)) = (key_of(&world), bare(&world).await);
    rebuilt(&world, &data_dir, &key).await.expect("both keys are in the keyring");
    assert_eq!(snapshots(&open(&world, &data_dir).await.expect("whole"), device.actor.device).await, made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_whose_pack_is_gone_is_found_in_the_pack_that_has_it() {
    let world = World::new().await;
    let (device, other) = (world.device(1).await, world.device(2).await);
    let run = world.begin(&device).await;
    let (draft, root, totals) = sample_of(&run.naming, 1);
    let pack = run.pack(&draft);
    run.upload(&pack).await.expect("the pack is good");
    run.commit(&run.manifest(root, totals)).await.expect("the snapshot is good");
    // As a repacking leaves it that this database has not heard of: the same chunks in a pack that no row names.
    let again = world.begin(&other).await;
    let copied = again.pack(&draft);
    let name = store::ObjectName::new(format!("packs/{}", copied.id)).expect("a name");
    world.store.put_new(&name, copied.bytes.clone().into()).await.expect("memory does not fail");
    world.object_remove(&format!("packs/{}", pack.id)).await;
    let done = repaired(&world.app, &DONE).await;
    assert_eq!((done.packs_missing, done.packs_taken), (Count(1), Count(1)));
    let report = scrub(&world.app, &ADMIN, Scrub { read_data: true }, &mut |_| {}).await.expect("it answers");
    assert_eq!(report.snapshots_hurt, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_has_lost_its_age_is_told_and_repaired() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    let made = backup(&world, &device, 1).await;
    std::fs::remove_dir_all(world.data_dir().join("store/ages")).expect("it has ages");
    assert_eq!(refused(open(&world, &world.data_dir()).await), "store_older");
    let app = open_unmatched(&world, &world.data_dir()).await;
    assert_eq!(repaired(&app, &DONE).await.packs_missing, Count(0));
    app.db.close().await;
    let app = open(&world, &world.data_dir()).await.expect("they belong together");
    assert_eq!(snapshots(&app, device.actor.device).await, [made]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_that_was_overtaken_leaves_nothing_that_counts() {
    let world = World::new().await;
    let dir = tempfile::tempdir().expect("a directory without certificates");
    recovery::prepare(&world.app, dir.path()).await.expect("the first");
    let (beside, place) = (world.beside().await, dir.path().to_owned());
    world.store.after_put(move || {
        Box::pin(async move { drop(rotate_data(&beside, &place).await.expect("nobody is in its way")) })
    });
    assert_eq!(refused(rotate_data(&world.app, dir.path()).await), "rotation_overtaken");
    let ring = world.store.inner().inner().list("keys/", None, 10).await.expect("memory does not fail");
    assert_eq!(ring.len(), 1, "{ring:?}");
    recovery::prepare(&world.app, dir.path()).await.expect("it has every key");
    let trial = recovery::trial(&world.app, dir.path(), &MasterKey::mint(&SeededEntropy::new(7))).await;
    assert_eq!(trial.expect("the kit is the right one").repositories, Count(1));
    // And a second one beside a server that has not heard of the first keeps both keys.
    rotate_data(&world.app, dir.path()).await.expect("a third key");
    assert!([1, 2, 3].iter().all(|id| world.app.keys.repositories()[0].seal_key(*id).is_some()));
}
