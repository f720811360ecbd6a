//! A database whose disk fills up in the middle: of activations, of a campaign's wave, of a snapshot's commit, of an
//! import. Refuses a thing that is lost or done twice, and a server that must be started anew once there is room.

use crate::fleet::plan;
use crate::machine::{ADMIN, Machine};
use crate::world::{Draft, World, body, noise};
use app::device_map::import_csv;
use app::tokens::{Wish, get, make};
use app::{AppError, campaigns};
use base::{Count, Kind, Span};
use control::campaign::Reset;
use db::testing::execute;
use format::Totals;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const ANNA: &str = "anna@example.org";
const GOOD: &str = "correct horse battery";
/// Refusals of a full disk that a test waits for: each at another statement, as pages fill up.
const REFUSALS: usize = 12;

/// Leaves the database the pages that it has, and no more.
async fn full(world: &World) {
    room(world, "pragma max_page_count = 1").await;
}

/// Gives it room again.
async fn mended(world: &World) {
    room(world, "pragma max_page_count = 1000000").await;
}

async fn room(world: &World, statement: &'static str) {
    let mut tx = world.app.db.write().await.expect("it can still be asked");
    execute(&mut tx, statement).await;
}

/// What is said of it: to be asked again, and to the operator what it is.
fn said(error: &AppError) {
    assert_eq!((error.kind(), error.code()), (Kind::Unavailable, "database_disk_full"), "{error}");
}

async fn audited(world: &World, action: &str) -> usize {
    let mut tx = world.app.db.read().await.expect("readable");
    let mut rows = Vec::new();
    loop {
        let page = app::audit::list(&mut tx, rows.last().map_or(0, |row: &db::AuditRow| row.seq)).await;
        let page = page.expect("readable");
        if page.is_empty() {
            return rows.iter().filter(|row| row.action == action).count();
        }
        rows.extend(page);
    }
}

async fn world() -> World {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    world
}

#[tokio::test]
async fn activations_on_a_full_disk_are_refused_as_such_and_each_is_done_once_when_there_is_room() {
    let world = world().await;
    let user = world.person("many@example.org", None).await;
    let wish = Wish { name: "installer".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
    let made = make(&world.app, &ADMIN, &wish).await.expect("a good wish");
    let machines: Vec<Machine> = (0..400).map(|n| Machine::new(&world, &format!("m{n}")).of("many")).collect();
    let (mut asked, mut refused) = (Vec::new(), 0);
    for machine in &machines {
        let asking = machine.by_token(&world, &made.text);
        // Every time: a connection that has met the end is given up, and the next one knows no such limit.
        full(&world).await;
        let answer = asking.answer().await;
        if let Err(error) = &answer {
            said(error);
            refused += 1;
        }
        asked.push((asking, answer.ok()));
        // And so is a person, whose password was right.
        let person = machine.again(&world);
        full(&world).await;
        if let Err(error) = person.by_password(&world, ANNA, GOOD).answer().await {
            said(&error);
            refused += 1;
        }
        if refused >= REFUSALS {
            break;
        }
    }
    assert!(refused >= REFUSALS, "the disk was never full");
    mended(&world).await;
    let mut devices = BTreeSet::new();
    for (asking, before) in &asked {
        let bound = asking.bound().await;
        if let Some(app::activation::Answer::Activated(before)) = before {
            assert_eq!(**before, bound, "what was answered stays");
        }
        devices.insert(bound.device);
    }
    assert_eq!((devices.len(), world.records(user).await.len()), (asked.len(), asked.len()));
    let token = get(&world.app, &ADMIN, made.token.id).await.expect("there");
    assert_eq!((token.uses, token.failures), (Count(asked.len() as u64), Count(0)));
    let rows = audited(&world, "device_activate").await;
    let all = app::devices::page(&world.app, &ADMIN, &app::devices::DeviceAsk::default(), &world.all()).await;
    assert!(rows >= asked.len() && all.is_ok());
    assert_eq!(app::audit::verify(&world.app, &ADMIN, None).await.expect("readable").broken, None);
}

#[tokio::test]
async fn a_wave_on_a_full_disk_goes_on_when_there_is_room_and_each_device_has_its_turn_once() {
    let world = world().await;
    for seed in 1..=200 {
        world.device(seed).await;
    }
    let reason = "a laptop was stolen, and this is a long reason ".repeat(4).trim().to_owned();
    let plan = campaigns::Plan { reason, wave_size: 200, wave_span: Span::minutes(10), ..plan(Reset::Revoke) };
    let campaign = campaigns::make(&world.app, &ADMIN, plan).await.expect("a good plan");
    campaigns::start(&world.app, &ADMIN, campaign.id, None).await.expect("a draft starts");
    let mut refused = 0;
    for _ in 0..120 {
        full(&world).await;
        if let Err(error) = campaigns::tick(&world.app).await {
            said(&error);
            refused += 1;
        }
        mended(&world).await;
        campaigns::tick(&world.app).await.expect("there is room");
        world.clock.advance(Span::seconds(6));
    }
    assert!(refused >= 3, "the disk was full {refused} times");
    assert_eq!(audited(&world, "device_deactivate").await, 200, "each device has had its turn once");
    let board = campaigns::board(&world.app, &ADMIN, campaign.id).await.expect("there");
    assert_eq!(board.counts[&control::campaign::Place::Waiting], 0);
}

#[tokio::test]
async fn a_commit_on_a_full_disk_loses_nothing_and_the_same_run_commits_when_there_is_room() {
    let world = world().await;
    let (mut refused, mut snapshots) = ([0, 0, 0], 0);
    for seed in 1..=120 {
        let device = world.device(seed).await;
        let run = world.begin(&device).await;
        // Of each its own: a pack that brings nothing new is not written at all.
        let mut draft = Draft::new(&run.naming);
        let file = draft.file("a", &[&noise(seed.into(), 5_000)]);
        let (root, totals) = draft.tree(vec![file], Totals::default());
        let pack = run.pack(&draft);
        full(&world).await;
        if let Err(error) = run.upload(&pack).await {
            said(&error);
            refused[0] += 1;
            mended(&world).await;
            run.upload(&pack).await.expect("there is room");
        }
        full(&world).await;
        let manifest = run.seal(&run.manifest(root, totals));
        if let Err(error) = run.commit_bytes(manifest.clone()).await {
            said(&error);
            refused[1] += 1;
        }
        mended(&world).await;
        let committed = run.commit_bytes(manifest.clone()).await.expect("there is room");
        let again = run.commit_bytes(manifest).await.expect("the same answer");
        assert_eq!(again.snapshot.id, committed.snapshot.id);
        let mut tx = world.app.db.read().await.expect("readable");
        let listed = db::snapshot_list_by_device(&mut tx, device.actor.device, None, None, 10).await.expect("readable");
        snapshots += listed.len();
        refused[2] += usize::from(listed.len() != 1);
    }
    assert_eq!((snapshots, refused[2]), (120, 0));
    assert!(refused[0] > 0 && refused[1] > 0, "the disk was never full: {refused:?}");
    let report = app::scrub::scrub(&world.app, &ADMIN, app::scrub::Options { read_data: true }, &mut |_| ()).await;
    assert_eq!(report.expect("readable").problems, []);
}

#[tokio::test]
async fn an_import_on_a_full_disk_is_sent_again_and_leaves_every_row_once() {
    let world = world().await;
    let mut text = "email,device_id,device_id_type\n".to_owned();
    for n in 0..1_700 {
        writeln!(text, "{ANNA},S{n:04},serial").expect("memory takes it");
    }
    full(&world).await;
    let error = import_csv(&world.app, &ADMIN, body(text.clone().into_bytes())).await.expect_err("full");
    said(&error);
    mended(&world).await;
    let imported = import_csv(&world.app, &ADMIN, body(text.clone().into_bytes())).await.expect("there is room");
    assert_eq!(imported.stored + imported.unchanged, Count(1_700));
    let again = import_csv(&world.app, &ADMIN, body(text.into_bytes())).await.expect("nothing to do");
    assert_eq!((again.stored, again.unchanged), (Count(0), Count(1_700)));
}
