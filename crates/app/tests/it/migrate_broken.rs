//! A migrate that something comes between: killed at any step, a full disk, a wrong byte, a target that is somebody
//! else's. Refuses a target that could be taken for a whole installation, and a source that is harmed.

use crate::migrate::{FIRST, LAST, There, backup, ends, is_clean, many, one, open, parts, pass, refused};
use crate::world::{World, key_file};
use app::migrate::{Ends, Moves, Options, Progress, Side, migrate};
use app::{App, chain};
use base::Count;
use db::Steps;
use db::testing::{TempDb, execute};
use futures::FutureExt as _;
use std::future::pending;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{Fault, Memory, Mishap, ObjectName, Store, StoreError, Verb};
use tokio::sync::Notify;

/// Runs the last pass until its `nth` step, and drops it there, as a kill would. Gives whether it came to its end.
async fn interrupted(world: &World, ends: &Ends, nth: usize) -> bool {
    let (clock, entropy) = parts(world);
    let steps = AtomicUsize::new(0);
    let (say, heard) = tokio::sync::oneshot::channel();
    let mut say = Some(say);
    let mut listen = |progress: Progress| {
        // While it is watched whether a server runs, nothing is done.
        if !matches!(progress, Progress::Watches { .. }) && steps.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            let _ = say.take().map(|say| say.send(()));
        }
    };
    let work = migrate(ends, LAST, clock.as_ref(), entropy.as_ref(), &mut listen);
    tokio::select! {
        biased;
        _ = heard.map(|heard| heard.ok()) => false,
        done = work => {
            done.expect("nothing stands against it");
            true
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_step_it_goes_on_and_nobody_is_served_before_the_end() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    backup(&world, &device, 2).await;
    let (here, many) = (world.data_dir(), many().await);
    world.app.db.close().await;
    let mut kills = 0;
    for nth in (1..).step_by(3) {
        let both = ends(&world, &here, &many.file).await.expect("both answer");
        let is_done = interrupted(&world, &both, nth).await;
        both.close().await;
        if is_done {
            break;
        }
        kills += 1;
        assert_eq!(refused(open(&world, &many.data_dir()).await), "migrate_unfinished", "after {nth} steps");
        open(&world, &here).await.expect("here it is whole").db.close().await;
    }
    assert!(kills > 10, "it was killed {kills} times");
    assert_eq!(refused(open(&world, &here).await), "installation_moved");
    assert!(is_clean(&open(&world, &many.data_dir()).await.expect("it is whole")).await);
}

/// Has whoever commits stop for good at the `nth` moment before or after a commit, as a kill would, and tells.
#[derive(Debug)]
struct Stop {
    nth: usize,
    steps: AtomicUsize,
    reached: Notify,
}

impl Steps for Stop {
    fn step(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            if self.steps.fetch_add(1, Ordering::SeqCst) + 1 == self.nth {
                self.reached.notify_one();
                pending::<()>().await;
            }
        })
    }
}

/// Runs the last pass up to the `nth` moment before or after a commit; gives how many it came by.
async fn stopped(world: &World, mut ends: Ends, nth: usize) -> usize {
    let (clock, entropy) = parts(world);
    let stop = Arc::new(Stop { nth, steps: AtomicUsize::new(0), reached: Notify::new() });
    ends.source.db = ends.source.db.with_steps(Arc::clone(&stop) as _);
    ends.target.db = ends.target.db.with_steps(Arc::clone(&stop) as _);
    let mut listen = |_: Progress| {};
    let work = migrate(&ends, LAST, clock.as_ref(), entropy.as_ref(), &mut listen);
    tokio::select! {
        biased;
        () = stop.reached.notified() => {}
        done = work => drop(done.expect("nothing stands against it")),
    }
    ends.close().await;
    stop.steps.load(Ordering::SeqCst)
}

/// An installation with a backup, and where it is to go.
async fn before_a_move() -> (World, There) {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    world.app.db.close().await;
    (world, many().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_commit_of_the_switch_of_both_it_is_at_one_place_at_most_and_goes_on() {
    let (world, many) = before_a_move().await;
    let both = ends(&world, &world.data_dir(), &many.file).await.expect("both answer");
    let all = stopped(&world, both, usize::MAX).await;
    // From the end: the arrival, the leave, the word at the target that it is coming.
    let (here, on_its_way, there) = (
        (None, Some("migrate_unfinished")),
        (Some("installation_moved"), Some("migrate_unfinished")),
        (Some("installation_moved"), None),
    );
    for (nth, expected) in [(5, here), (4, here), (3, here), (2, on_its_way), (1, on_its_way), (0, there)] {
        let (world, many) = before_a_move().await;
        let both = ends(&world, &world.data_dir(), &many.file).await.expect("both answer");
        assert_eq!(stopped(&world, both, all - nth).await, all - nth);
        let served = async |data_dir: &Path| match open(&world, data_dir).await {
            Ok(app) => {
                app.db.close().await;
                None
            }
            Err(error) => Some(error.code()),
        };
        assert_eq!((served(&world.data_dir()).await, served(&many.data_dir()).await), expected, "{nth} from the end");
        assert!(pass(&world, &world.data_dir(), &many.file, LAST).await.expect("it goes on").switched);
        assert_eq!(served(&world.data_dir()).await, Some("installation_moved"));
        assert!(is_clean(&open(&world, &many.data_dir()).await.expect("it is whole")).await, "{nth} from the end");
    }
}

/// The two sides as they are, with a store that goes wrong on request at the target.
fn faulty(world: &World, store: Arc<Fault<Memory>>, temp: &TempDb) -> Ends {
    let app = &world.app;
    let side = |db: &db::Db, store: Arc<dyn Store>| Side {
        data_dir: world.data_dir(),
        config: app.config.clone(),
        db: db.clone(),
        store,
    };
    let both = Moves { database: true, store: true };
    Ends::of(side(&app.db, Arc::clone(&app.store)), side(&temp.db, store), both)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_the_target_may_fail_and_may_lose_its_answer() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    let (clock, entropy) = parts(&world);
    for verb in [Verb::PutNew, Verb::List, Verb::Remove, Verb::Get] {
        for is_lost in [false, true] {
            let store = Arc::new(Fault::new(Memory::new()));
            let temp = db::testing::sqlite().await;
            let both = faulty(&world, Arc::clone(&store), &temp);
            let mut failures = 0;
            for nth in 1.. {
                let error = StoreError::Closing;
                store.plan(verb, nth, if is_lost { Mishap::LoseAnswer(error) } else { Mishap::Fail(error) });
                let options = Options { verify: true, ..LAST };
                let done = migrate(&both, options, clock.as_ref(), entropy.as_ref(), &mut |_| {}).await;
                match done {
                    Ok(_) => break,
                    Err(error) => assert_eq!(error.code(), "store_failed", "{verb:?} {nth}: {}", chain(&error)),
                }
                failures += 1;
                let mut tx = temp.db.read().await.expect("readable");
                let there = db::installation_get(&mut tx).await.expect("readable");
                let here = there.is_some_and(|row| row.moved.standing == db::Standing::Here);
                let mut tx = world.app.db.read().await.expect("readable");
                let row = db::installation_get(&mut tx).await.expect("readable").expect("there");
                assert!(row.moved.standing == db::Standing::Left || !here, "two places serve after {verb:?} {nth}");
            }
            assert!(failures > 0, "{verb:?} never failed");
            // For the next round it is here again.
            let moved = db::MoveRow::default();
            let mut tx = world.app.db.write().await.expect("nobody else writes");
            db::installation_move_update(&mut tx, &moved).await.expect("writable");
            tx.commit().await.expect("nothing stands against it");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_target_is_said_and_goes_on_when_there_is_room() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let long = "insert into setting (key, value, set_at, set_by) values ('long', hex(randomblob(300000)), 1, 'a test')";
    execute(&mut tx, long).await;
    tx.commit().await.expect("nothing stands against it");
    world.app.db.close().await;
    let (here, there) = (world.data_dir(), one());
    // More is kept in reserve than there is.
    std::fs::write(&there.file, "store.reserve_mib = 104857600\n").expect("own file");
    let error = pass(&world, &here, &there.file, LAST).await.map(drop).expect_err("no room");
    assert_eq!(error.code(), "store_full");
    assert!(chain(&error).contains("free some space there"), "{}", chain(&error));
    assert_eq!(refused(open(&world, &there.data_dir()).await), "migrate_unfinished");
    std::fs::write(&there.file, "").expect("own file");
    // Then the disk of the database.
    let both = ends(&world, &here, &there.file).await.expect("both answer");
    let (clock, entropy) = parts(&world);
    migrate(&both, FIRST, clock.as_ref(), entropy.as_ref(), &mut |_| {}).await.expect("there is room");
    let mut tx = both.target.db.write().await.expect("nobody else writes");
    execute(&mut tx, "pragma max_page_count = 1").await;
    drop(tx);
    let error = migrate(&both, LAST, clock.as_ref(), entropy.as_ref(), &mut |_| {}).await.map(drop).expect_err("full");
    assert_eq!(error.code(), "database_disk_full", "{}", chain(&error));
    both.close().await;
    open(&world, &here).await.expect("here it is whole").db.close().await;
    pass(&world, &here, &there.file, LAST).await.expect("there is room");
    assert!(is_clean(&open(&world, &there.data_dir()).await.expect("it is whole")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_byte_at_the_target_is_found_and_put_right() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    let store = Arc::new(Fault::new(Memory::new()));
    let temp = db::testing::postgres().await;
    let both = faulty(&world, Arc::clone(&store), &temp);
    let (clock, entropy) = parts(&world);
    let verified = Options { verify: true, ..FIRST };
    let run = async |options| migrate(&both, options, clock.as_ref(), entropy.as_ref(), &mut |_| {}).await;
    let first = run(FIRST).await.expect("nothing stands against it");
    // One object of each kind: what a name tells and what it does not.
    let listed = store.list("", None, 100).await.expect("memory does not fail");
    let turned: Vec<ObjectName> = ["cards/", "manifests/", "packs/"]
        .iter()
        .map(|prefix| listed.iter().find(|object| object.name.as_str().starts_with(prefix)).expect("one").name.clone())
        .collect();
    for name in &turned {
        let mut bytes = store.get(name).await.expect("it is there").to_vec();
        bytes[9] ^= 1;
        store.remove(name).await.expect("memory does not fail");
        store.put_new(name, bytes.into()).await.expect("memory does not fail");
    }
    let unseen = run(FIRST).await.expect("sizes are right");
    assert_eq!((unseen.objects.there, unseen.objects.replaced), (first.objects.looked, Count(0)));
    let report = run(verified).await.expect("it is put right").objects;
    let named: Vec<(&str, String)> = turned.iter().map(|name| ("replaced", name.to_string())).collect();
    let mut found = report.named.clone();
    found.sort();
    assert_eq!((report.replaced, found), (Count(3), named));
    assert_eq!((report.verified, report.there), (report.looked, Count(first.objects.looked.0 - 3)));
    // One that is shorter is seen by its size; a target that turns bytes again and again is given up.
    let bytes = store.get(&turned[2]).await.expect("it is there");
    store.remove(&turned[2]).await.expect("memory does not fail");
    store.put_new(&turned[2], bytes.slice(..9)).await.expect("memory does not fail");
    assert_eq!(run(FIRST).await.expect("it is replaced").objects.replaced, Count(1));
    store.plan(Verb::Get, 1, Mishap::Flip(0));
    store.plan(Verb::Get, 2, Mishap::Flip(0));
    assert_eq!(refused(run(verified).await), "target_differs");

    // A row that differs is found in any case, and put right by the next one.
    let (target, turned) = (temp.db.clone(), std::sync::atomic::AtomicBool::new(false));
    let mut listen = |progress| {
        let is_late = matches!(progress, Progress::Table { name, .. } if name == "snapshot");
        if is_late && !turned.swap(true, Ordering::SeqCst) {
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(async {
                    let mut tx = target.write().await.expect("nobody else writes");
                    assert!(execute(&mut tx, "update pack set bytes = bytes + 1").await > 0);
                    tx.commit().await.expect("nothing stands against it");
                });
            });
        }
    };
    let done = migrate(&both, LAST, clock.as_ref(), entropy.as_ref(), &mut listen).await;
    assert_eq!(refused(done), "target_differs");
    run(LAST).await.expect("what differs is copied anew");
    let packs = async |db: &db::Db| {
        let mut tx = db.read().await.expect("readable");
        db::pack_list(&mut tx, 0, 10).await.expect("readable")
    };
    assert_eq!(packs(&temp.db).await, packs(&world.app.db).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_that_is_damaged_here_waits_for_the_last_pass_and_is_named() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    let listed = world.app.store.list("packs/", None, 9).await.expect("it answers");
    let pack = &listed[0].name;
    let sound = world.app.store.get(pack).await.expect("it is there");
    let put = async |bytes: Vec<u8>| {
        world.app.store.remove(pack).await.expect("it answers");
        world.app.store.put_new(pack, bytes.into()).await.expect("it answers");
    };
    let mut hurt = sound.to_vec();
    hurt[9] ^= 1;
    put(hurt.clone()).await;
    let (here, there) = (world.data_dir(), one());
    let first = pass(&world, &here, &there.file, FIRST).await.expect("it may run beside").objects;
    assert_eq!((first.damaged, &first.named), (Count(1), &vec![("damaged", pack.to_string())]));
    // A device has sent it again.
    put(sound.to_vec()).await;
    let again = pass(&world, &here, &there.file, FIRST).await.expect("it may run beside").objects;
    assert_eq!((again.damaged, again.copied), (Count(0), Count(1)));
    // One that stays damaged comes along as it is: what is said of it in the database is so.
    put(hurt.clone()).await;
    world.app.db.close().await;
    let verified = Options { verify: true, ..LAST };
    let last = pass(&world, &here, &there.file, verified).await.expect("nobody is served").objects;
    assert_eq!((last.damaged, last.replaced), (Count(0), Count(0)), "there it is sound");
    let app = open(&world, &there.data_dir()).await.expect("it is whole");
    assert!(is_clean(&app).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_ignores_conditions_is_refused_before_anything_is_put() {
    let world = World::on_disk().await;
    let (here, many) = (world.data_dir(), many().await);
    let bucket = many.bucket.as_ref().expect("it has one");
    bucket.conditions_ignore(true, true);
    let error = pass(&world, &here, &many.file, FIRST).await.map(drop).expect_err("an unfit server");
    assert!(chain(&error).contains("ignores If-None-Match"), "{}", chain(&error));
    assert_eq!(bucket.keys(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_holds_anything_else_is_refused_and_left_alone() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    let here = world.data_dir();
    let itself = here.join("holdfast.toml");
    assert_eq!(refused(pass(&world, &here, &itself, FIRST).await), "target_same");
    let absent = here.join("absent.toml");
    assert_eq!(refused(pass(&world, &here, &absent, FIRST).await), "file_failed");
    std::fs::write(here.join("wrong.toml"), "databas.url = \"\"\n").expect("own file");
    let error = pass(&world, &here, &here.join("wrong.toml"), FIRST).await.map(drop).expect_err("no such key");
    assert!(error.to_string().starts_with("wrong.toml: there is no key `databas.url`"), "{error}");

    // Another installation, here and there.
    let other = World::on_disk_of(8).await;
    let theirs = other.data_dir().join("holdfast.toml");
    let before = other.app.db.read().await.is_ok();
    assert_eq!(refused(pass(&world, &here, &theirs, LAST).await), "target_taken");
    assert!(before && is_clean(&other.app).await, "nothing of it was changed");
    let mixed = one();
    std::fs::write(&mixed.file, "store.reserve_mib = 1\n").expect("own file");
    let theirs = other.data_dir().join("store");
    let copied = std::process::Command::new("cp").arg("-a").arg(theirs).arg(mixed.data_dir()).status();
    assert!(copied.expect("cp is there").success());
    assert_eq!(refused(pass(&world, &here, &mixed.file, LAST).await), "target_taken");

    // A bucket with objects, tables of somebody else, another release's.
    let many = many().await;
    let bucket = many.bucket.as_ref().expect("it has one");
    bucket.key_add("letters/1");
    let error = pass(&world, &here, &many.file, FIRST).await.map(drop).expect_err("it is not empty");
    assert!(chain(&error).contains("not empty"), "{}", chain(&error));
    for (statement, said) in [
        ("update _sqlx_migrations set version = 99 where version = 3", "database_form_differs"),
        ("delete from _sqlx_migrations where version = 99", "database_form_differs"),
        ("drop table _sqlx_migrations", "target_taken"),
    ] {
        let temp = many.database.as_ref().expect("it has one");
        let mut tx = temp.db.write().await.expect("nobody else writes");
        execute(&mut tx, statement).await;
        tx.commit().await.expect("nothing stands against it");
        assert_eq!(refused(pass(&world, &here, &many.file, FIRST).await), said, "{statement}");
    }
    // The source is of another release, too, and is not brought up by the way.
    world.app.db.close().await;
    let db = db::Db::open(&here.join("holdfast.db")).await.expect("it is ours");
    for form in ["pragma user_version = 2", "pragma user_version = 4"] {
        let mut tx = db.write().await.expect("nobody else writes");
        execute(&mut tx, form).await;
        tx.commit().await.expect("nothing stands against it");
        let there = one();
        assert_eq!(refused(pass(&world, &here, &there.file, FIRST).await), "database_form_differs", "{form}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_place_by_another_name_and_the_wrong_direction_are_refused() {
    let world = World::on_disk().await;
    let device = world.device(1).await;
    backup(&world, &device, 1).await;
    let (here, many) = (world.data_dir(), many().await);
    world.app.db.close().await;
    pass(&world, &here, &many.file, LAST).await.expect("nobody is served");
    let app: App = open(&world, &many.data_dir()).await.expect("it is whole");
    app::recovery::prepare(&app, &many.data_dir()).await.expect("a server starts");
    app.db.close().await;
    // The same database and bucket, written otherwise.
    let twin = one();
    let text = std::fs::read_to_string(&many.file).expect("own file");
    let (url, bucket) = (text.replace("sslmode=disable", "sslmode=disable&application_name=x"), &many.bucket);
    std::fs::write(&twin.file, url.replace("localhost:", "127.0.0.1:")).expect("own file");
    key_file(&twin.data_dir(), &bucket.as_ref().expect("it has one").key());
    assert_eq!(refused(pass(&world, &many.data_dir(), &twin.file, FIRST).await), "target_same");
    // The bucket alone.
    std::fs::write(&twin.file, text.replace("localhost:", "127.0.0.1:").replace("database.url", "#")).expect("own");
    assert_eq!(refused(pass(&world, &many.data_dir(), &twin.file, FIRST).await), "target_same");
    // The source was left; and its store is behind.
    assert_eq!(refused(pass(&world, &here, &one().file, LAST).await), "installation_moved");
    assert_eq!(refused(pass(&world, &here, &one().file, FIRST).await), "installation_moved");
}
