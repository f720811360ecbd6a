//! A database that goes away in the middle: the line is cut before a commit and before its answer, the backend is
//! terminated, the server crashes. Refuses a request that was lost, done twice, or told to be anything but repeated.

use crate::between::{Between, Cut};
use crate::fleet::plan;
use crate::machine::{ADMIN, Asking, Machine, ticket_code};
use crate::world::{World, sample_of};
use app::activation::{Activated, Answer};
use app::tokens::{Wish, get, make};
use app::{AppError, SecretText, campaigns, devices, tickets};
use base::{Clock as _, Count, DeviceId, Kind, ManualClock, Span, SystemClock, Timestamp, TokenId, UserId};
use control::activation::{Choice, Restore};
use control::campaign::Reset;
use control::{Event, Level};
use db::Db;
use db::testing::{OwnServer, TempDb, execute};
use futures::future::{join, join_all};
use std::pin::pin;
use std::sync::Arc;

const ANNA: &str = "anna@example.org";
const GOOD: &str = "correct horse battery";
/// Machines of a storm.
const MACHINES: usize = 30;
/// Crashes in it.
const CRASHES: usize = 2;

/// A world on this database, which `db` is a way to.
async fn world(db: Db, temp: TempDb) -> (World, UserId) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_750_000_000_000)));
    let config = app::Config::parse("password.memory_mib = 1\npassword.passes = 1").expect("good text");
    let world = World::on(db, temp, clock.clone(), clock, config).await;
    let user = world.person(ANNA, Some(GOOD)).await;
    (world, user)
}

/// A world whose line to its database can be cut.
async fn cuttable() -> (World, UserId, Between) {
    let temp = db::testing::postgres().await;
    let line = Between::to(temp.url().expect("a server has an address"));
    let db = Db::connect(line.url(), None).await.expect("the line is whole");
    let (world, user) = world(db, temp).await;
    (world, user, line)
}

async fn token(world: &World) -> (TokenId, SecretText) {
    let wish = Wish { name: "installer".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
    let made = make(&world.app, &ADMIN, &wish).await.expect("a good wish");
    (made.token.id, made.text)
}

async fn audited(world: &World, action: &str) -> usize {
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    rows.iter().filter(|row| row.action == action).count()
}

/// What somebody is told who lost a connection that he knows nothing of: not a refusal, and to be tried again.
fn passing(error: &AppError) {
    assert_eq!((error.kind(), error.code()), (Kind::Unavailable, "database_failed"), "{error}");
}

/// The request once with a cut in it, where it comes so far, and then until it is answered.
async fn through(line: &Between, asking: &Asking<'_>, cut: Cut, after: u32) -> (bool, Activated) {
    line.cut(cut, after);
    let first = asking.answer().await;
    let was_cut = !line.is_armed();
    line.mend();
    match &first {
        Err(error) => passing(error),
        Ok(_) => assert!(!was_cut, "an answer without its commit: {first:?}"),
    }
    let answer = asking.bound().await;
    if let Ok(Answer::Activated(first)) = first {
        assert_eq!(*first, answer);
    }
    (was_cut, answer)
}

/// Every cut of every request of one kind; `ask` makes the next request, and `check` looks after it was repeated.
async fn every_cut<'a>(
    line: &Between,
    mut ask: impl AsyncFnMut() -> Asking<'a>,
    mut check: impl AsyncFnMut(Activated, u64),
) -> u32 {
    let mut cuts = 0;
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        for after in 0.. {
            let asking = ask().await;
            let (was_cut, answer) = through(line, &asking, cut, after).await;
            assert_eq!(asking.bound().await, answer, "the same answer for ever");
            check(answer, u64::from(cuts) + 1).await;
            if !was_cut {
                break;
            }
            cuts += 1;
        }
    }
    cuts
}

#[tokio::test]
async fn an_activation_whose_commit_or_its_answer_is_lost_is_done_once_by_the_same_request() {
    let (world, user, line) = cuttable().await;
    let world = &world;
    let (id, text) = token(world).await;
    let mut made = 0;
    let fresh = |n: &mut u32| {
        *n += 1;
        Machine::new(world, &format!("m{n}")).of("anna")
    };
    let mut expected = 0;
    let mut cuts = Vec::new();
    // Each leaves one more record than before, with one key, one use of what proved it, and one row in the log.
    let by_token = every_cut(
        &line,
        async || fresh(&mut made).by_token(world, &text),
        async |answer, _| {
            expected += 1;
            once(world, user, &answer, expected).await;
            assert_eq!(get(&world.app, &ADMIN, id).await.expect("there").uses, Count(expected as u64));
        },
    );
    cuts.push(by_token.await);
    let by_password = every_cut(
        &line,
        async || fresh(&mut made).by_password(world, ANNA, GOOD),
        async |answer, _| {
            expected += 1;
            once(world, user, &answer, expected).await;
        },
    );
    cuts.push(by_password.await);
    let (choice, restore) = (Choice::AddNew, Restore::None);
    let wish = tickets::Wish { email: ANNA.to_owned(), choice, restore, span: None, show: true };
    let by_ticket = every_cut(
        &line,
        async || {
            let ticket = tickets::make(&world.app, &ADMIN, &wish).await.expect("a user");
            fresh(&mut made).by_ticket(world, &ticket_code(&ticket))
        },
        async |answer, _| {
            expected += 1;
            once(world, user, &answer, expected).await;
        },
    );
    cuts.push(by_ticket.await);
    // Before and after each commit: of the key alone; with a sign-in that is counted, and then
    // found right, before it; with a ticket found before it.
    assert_eq!(cuts, [2, 6, 4]);
    assert_eq!(app::audit::verify(&world.app, &ADMIN, None).await.expect("readable").broken, None);
}

/// The newest activation has made one record with one key, and one row in the log.
async fn once(world: &World, user: UserId, answer: &Activated, records: usize) {
    assert_eq!((answer.epoch, world.records(user).await.len()), (1, records));
    assert_eq!(audited(world, "device_activate").await, records);
    let mut tx = world.app.db.read().await.expect("readable");
    let live = db::credential_get_live(&mut tx, answer.device).await.expect("readable").expect("it has a key");
    assert_eq!(live.epoch, 1);
}

#[tokio::test]
async fn a_reactivation_whose_commit_or_its_answer_is_lost_gives_one_epoch() {
    let (world, user, line) = cuttable().await;
    let mut old = Machine::new(&world, "laptop");
    let first = old.by_password(&world, ANNA, GOOD).bound().await;
    for (cut, epoch) in [(Cut::BeforeCommit, 2), (Cut::AfterCommit, 3)] {
        let event = Event::Deactivate { level: Level::Rotate };
        devices::change(&world.app, &ADMIN, first.device, event).await.expect("granted");
        let next = old.again(&world);
        let asking = next.ask(&world, "", app::activation::Claim::OldKey).old_key(first.device, &old);
        let (was_cut, back) = through(&line, &asking, cut, 0).await;
        assert!(was_cut);
        assert_eq!((back.device, back.epoch), (first.device, epoch));
        assert_eq!(asking.bound().await, back);
        old = next;
    }
    assert_eq!(world.records(user).await.len(), 1);
    assert_eq!(audited(&world, "device_activate").await, 3);
}

#[tokio::test]
async fn a_snapshot_and_a_wave_whose_commit_or_its_answer_is_lost_are_there_once() {
    let (world, _, line) = cuttable().await;
    for (seed, cut) in [(1, Cut::BeforeCommit), (2, Cut::AfterCommit)] {
        let device = world.device(seed).await;
        let run = world.begin(&device).await;
        let (draft, root, totals) = sample_of(&run.naming, seed.into());
        let pack = run.pack(&draft);
        line.cut(cut, 0);
        passing(&run.upload(&pack).await.expect_err("cut off"));
        run.upload(&pack).await.expect("the pack is good");
        let manifest = run.seal(&run.manifest(root, totals));
        line.cut(cut, 0);
        passing(&run.commit_bytes(manifest.clone()).await.expect_err("cut off"));
        let committed = run.commit_bytes(manifest.clone()).await.expect("the snapshot is good");
        let again = run.commit_bytes(manifest).await.expect("the same answer");
        assert_eq!(again.snapshot.id, committed.snapshot.id);
        let mut tx = world.app.db.read().await.expect("readable");
        let listed = db::snapshot_list_by_device(&mut tx, device.actor.device, None, None, 10).await.expect("readable");
        assert_eq!(listed.len(), 1, "{cut:?}");
    }
    let plan = plan(Reset::Revoke);
    for seed in 3..=20 {
        world.device(seed).await;
    }
    let campaign = campaigns::make(&world.app, &ADMIN, plan).await.expect("a good plan");
    campaigns::start(&world.app, &ADMIN, campaign.id, None).await.expect("a draft starts");
    for n in 0..40 {
        let cut = if n % 2 == 0 { Cut::BeforeCommit } else { Cut::AfterCommit };
        line.cut(cut, 0);
        if let Err(error) = campaigns::tick(&world.app).await {
            passing(&error);
        }
        line.mend();
        campaigns::tick(&world.app).await.expect("the line is whole");
        world.clock.advance(Span::seconds(6));
    }
    assert_eq!(audited(&world, "device_deactivate").await, 20, "each device has had its turn once");
}

/// Machines that ask until they are answered, while something happens to the database: each is activated once.
async fn storm(world: &World, user: UserId, happens: impl Future<Output = ()>) {
    let (id, text) = token(world).await;
    let machines: Vec<Machine> = (0..MACHINES).map(|n| Machine::new(world, &format!("m{n}")).of("anna")).collect();
    let asking: Vec<_> = machines.iter().map(|machine| machine.by_token(world, &text)).collect();
    let patient = async |asking: &Asking<'_>| loop {
        match asking.answer().await {
            Ok(Answer::Activated(activated)) => return activated.device,
            Ok(answer) => panic!("not activated: {answer:?}"),
            Err(error) => passing(&error),
        }
        // As an endpoint, which waits before it asks again.
        SystemClock.sleep(Span::ms(20)).await;
    };
    let asked = join_all(asking.iter().map(|asking| async move {
        let mut seen = Vec::new();
        for _ in 0..8 {
            seen.push(patient(asking).await);
        }
        assert!(seen.iter().all(|device| *device == seen[0]), "one record for one request: {seen:?}");
        seen[0]
    }));
    let (devices, ()) = join(asked, happens).await;
    let mut different: Vec<DeviceId> = devices.clone();
    different.sort();
    different.dedup();
    assert_eq!((different.len(), world.records(user).await.len()), (MACHINES, MACHINES));
    assert_eq!(get(&world.app, &ADMIN, id).await.expect("there").uses, Count(MACHINES as u64));
    assert_eq!(audited(world, "device_activate").await, MACHINES);
    for record in world.records(user).await {
        assert_eq!(record.epoch, 1, "one key each");
    }
    assert_eq!(app::audit::verify(&world.app, &ADMIN, None).await.expect("readable").broken, None);
}

#[tokio::test]
async fn activations_whose_backends_are_terminated_are_done_once_and_the_pool_heals() {
    let temp = db::testing::postgres().await;
    let (db, other) = (temp.again().await, temp.again().await);
    let (world, user) = world(db, temp).await;
    let terminate = async {
        let mut terminated = 0;
        for _ in 0..60 {
            let mut tx = other.read().await.expect("nobody ends this one");
            terminated += execute(
                &mut tx,
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
                 and pid <> pg_backend_pid() and query like '%advisory%'",
            )
            .await;
            terminated += execute(
                &mut tx,
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
                 and pid <> pg_backend_pid() and backend_type = 'client backend' and random() < 0.3",
            )
            .await;
            drop(tx);
            SystemClock.sleep(Span::ms(10)).await;
        }
        assert!(terminated > 0, "nothing was terminated");
    };
    storm(&world, user, terminate).await;
}

#[tokio::test]
async fn activations_while_the_database_crashes_and_comes_back_are_done_once() {
    let (server, temp) = db::testing::postgres_alone().await;
    let (world, user) = world(temp.again().await, temp).await;
    let (sent, crashes) = (&world, crash(&server));
    storm(sent, user, pin!(crashes)).await;
}

async fn crash(server: &OwnServer) {
    for _ in 0..CRASHES {
        SystemClock.sleep(Span::ms(150)).await;
        server.crash().await;
    }
}
