//! When a campaign closes, and what becomes of devices in conflict, merged and suspended in it: as its dry run said.

use super::fleet::plan;
use super::world::{Device, World, code};
use app::campaigns::{self, Plan};
use app::conflicts::{self, Decision};
use app::credentials::{self, CredentialNew};
use app::idempotency::{self, Claim};
use app::{AdminActor, devices};
use base::{CampaignId, DeviceId, Span};
use control::campaign::{Class, Place, Reset, Status};
use control::{Event, Level, Permits, Proof, Rights, State};

const ADMIN: AdminActor = AdminActor::Command;

async fn made(world: &World, level: Reset) -> CampaignId {
    let plan = Plan { wave_span: Span::ZERO, ..plan(level) };
    campaigns::make(&world.app, &ADMIN, plan).await.expect("a good plan").id
}

async fn start(world: &World, id: CampaignId) {
    campaigns::start(&world.app, &ADMIN, id, None).await.expect("a draft starts");
    tick(world).await;
}

async fn tick(world: &World) {
    campaigns::tick(&world.app).await.expect("the job works");
}

async fn status(world: &World, id: CampaignId) -> Status {
    campaigns::get(&world.app, &ADMIN, id).await.expect("there").status
}

async fn class(world: &World, id: CampaignId, device: DeviceId) -> Class {
    let run = campaigns::dry_run(&world.app, &ADMIN, id).await.expect("there");
    run.devices.into_iter().find(|foretold| foretold.device == device).expect("it is reached").class
}

async fn place(world: &World, id: CampaignId, device: DeviceId) -> Place {
    let page = campaigns::board_page(&world.app, &ADMIN, id, None, &app::page::PageAsk::first()).await;
    page.expect("readable").items.into_iter().find(|entry| entry.device == device).expect("it is on it").place
}

async fn put(world: &World, device: DeviceId, event: Event) {
    devices::change(&world.app, &ADMIN, device, event).await.expect("the state allows it");
}

const BACK: Event = Event::Reactivate { proof: Proof::Admin };

/// A device that two machines have presented.
async fn conflict(world: &World, device: &Device) -> base::ConflictId {
    put(world, device.actor.device, Event::Conflict).await;
    let id = base::ConflictId::mint(world.entropy.as_ref());
    let row = db::ConflictRow::open(id, device.actor.device, db::ConflictKind::Clone, String::new(), world.clock_now());
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::conflict_insert(&mut tx, &row).await.expect("the first");
    tx.commit().await.expect("nothing stands against it");
    id
}

#[tokio::test]
async fn a_campaign_closes_with_its_last_device_and_not_before() {
    let world = World::new().await;
    let (first, second, third) = (world.device(1).await, world.device(2).await, world.device(3).await);
    let id = made(&world, Reset::Revoke).await;
    start(&world, id).await;
    put(&world, first.actor.device, BACK).await;
    assert_eq!(status(&world, id).await, Status::Running);
    campaigns::excuse(&world.app, &ADMIN, id, second.actor.device, "on leave").await.expect("it is awaited");
    assert_eq!(status(&world, id).await, Status::Running);
    put(&world, third.actor.device, BACK).await;
    assert_eq!(status(&world, id).await, Status::Closed, "in the transaction that brought the last one back");
    let campaign = campaigns::get(&world.app, &ADMIN, id).await.expect("there");
    assert_eq!(campaign.ended_at, Some(world.clock_now()));
}

#[tokio::test]
async fn a_campaign_closes_by_an_excuse_and_at_the_tick_after_a_deletion() {
    let world = World::new().await;
    let (first, second) = (world.device(1).await, world.device(2).await);
    let id = made(&world, Reset::Revoke).await;
    start(&world, id).await;
    put(&world, first.actor.device, BACK).await;
    campaigns::excuse(&world.app, &ADMIN, id, second.actor.device, "on leave").await.expect("it is awaited");
    assert_eq!(status(&world, id).await, Status::Closed);

    let id = made(&world, Reset::Rotate).await;
    start(&world, id).await;
    put(&world, first.actor.device, BACK).await;
    let purge_after = world.clock_now() + Span::days(7);
    put(&world, second.actor.device, Event::Delete { purge_after }).await;
    tick(&world).await;
    assert_eq!(status(&world, id).await, Status::Closed);
}

#[tokio::test]
async fn a_device_that_was_cut_off_in_a_conflict_stands_where_the_dry_run_said() {
    let world = World::new().await;
    let device = world.device(1).await;
    let of = device.actor.device;
    let conflict = conflict(&world, &device).await;
    put(&world, of, Event::Deactivate { level: Level::Revoke }).await;
    let id = made(&world, Reset::Revoke).await;
    assert_eq!(class(&world, id, of).await, Class::Duplicate, "though it is cut off as strictly already");
    start(&world, id).await;
    let stands = place(&world, id, of).await;
    assert_eq!(stands, Place::Conflict);
    assert!(Class::Duplicate.may_end(stands));
    // Distrust is never undone but by a new key, whatever the admin finds.
    conflicts::resolve(&world.app, &ADMIN, conflict, Decision::OneMachine).await.expect("it is only recorded");
    let cut = State::Deactivated { rights: Rights::Full, level: Level::Distrust };
    assert_eq!(devices::get(&world.app, &ADMIN, of).await.expect("there").state, cut);
    assert_eq!(place(&world, id, of).await, Place::Offline);
    conflicts::undo(&world.app, &ADMIN, conflict).await.expect("within thirty days");
    assert_eq!(devices::get(&world.app, &ADMIN, of).await.expect("there").state, cut);
    assert_eq!(place(&world, id, of).await, Place::Conflict, "it is open again");
}

#[tokio::test]
async fn a_quarantined_device_is_held_once_its_conflict_is_decided() {
    let world = World::new().await;
    let device = world.device(1).await;
    let of = device.actor.device;
    let conflict = conflict(&world, &device).await;
    let id = made(&world, Reset::Hold).await;
    assert_eq!(class(&world, id, of).await, Class::Duplicate);
    start(&world, id).await;
    tick(&world).await;
    assert_eq!(place(&world, id, of).await, Place::Conflict);
    conflicts::resolve(&world.app, &ADMIN, conflict, Decision::OneMachine).await.expect("it is quarantined");
    tick(&world).await;
    assert_eq!(devices::get(&world.app, &ADMIN, of).await.expect("there").state.word(), "held");
    put(&world, of, BACK).await;
    assert_eq!(status(&world, id).await, Status::Closed);
}

#[tokio::test]
async fn nobody_waits_for_a_merged_record_and_its_key_is_reset_all_the_same() {
    let world = World::new().await;
    let (keep, other) = (world.device(1).await, world.device(2).await);
    let (keep, other) = (keep.actor.device, other.actor.device);
    let merge = conflicts::merge(&world.app, &ADMIN, keep, other).await.expect("two records of one user");
    let id = made(&world, Reset::Revoke).await;
    assert_eq!(class(&world, id, other).await, Class::OutOfService);
    start(&world, id).await;
    assert_eq!(place(&world, id, other).await, Place::Retired);
    put(&world, keep, BACK).await;
    tick(&world).await;
    assert_eq!(status(&world, id).await, Status::Closed);
    conflicts::undo(&world.app, &ADMIN, merge.id).await.expect("within thirty days");
    let cut = State::Deactivated { rights: Rights::Full, level: Level::Revoke };
    assert_eq!(devices::get(&world.app, &ADMIN, other).await.expect("there").state, cut);
}

#[tokio::test]
async fn a_suspended_and_a_pending_record_stand_where_the_dry_run_said() {
    let world = World::new().await;
    let (mut waits, stopped) = (world.device(1).await, world.device(2).await);
    world.state_set(&mut waits, State::Pending).await;
    put(&world, stopped.actor.device, Event::Suspend).await;
    for level in Reset::ALL {
        let id = made(&world, level).await;
        let expected = [(waits.actor.device, Place::Retired), (stopped.actor.device, Place::Refused)];
        for (device, _) in expected {
            assert_eq!(class(&world, id, device).await, Class::OutOfService);
        }
        start(&world, id).await;
        for (device, stands) in expected {
            assert_eq!(place(&world, id, device).await, stands, "{}", level.word());
            assert!(Class::OutOfService.may_end(stands));
        }
        campaigns::close(&world.app, &ADMIN, id, "seen").await.expect("it runs");
    }
}

#[tokio::test]
async fn a_bringing_back_that_broke_off_is_finished_by_the_same_request_which_says_all_of_it() {
    let world = World::new().await;
    for seed in 1..=201 {
        world.device(seed).await;
    }
    let id = made(&world, Reset::Revoke).await;
    start(&world, id).await;
    tick(&world).await;
    campaigns::abort(&world.app, &ADMIN, id, "a mistake").await.expect("it runs");
    let new = CredentialNew { name: "a".to_owned(), permits: Permits::all(), all: false, expires_at: None };
    let (_, text) = credentials::make(&world.app, &ADMIN, new).await.expect("good");
    let caller = credentials::authenticate(&world.app, Some(text.expose()), None).await.expect("in force");
    let request: [&[u8]; 1] = [b"bring-back"];
    let claim = async || idempotency::claim(&world.app, &caller, b"key", &request, Span::seconds(30)).await;
    let Claim::Go(mark) = claim().await.expect("free") else { panic!("nothing was answered yet") };
    // The server ends after the first batch.
    let marked = caller.clone().marked(mark);
    let mut work = Box::pin(campaigns::bring_back(&world.app, &marked, id));
    let back = async || campaigns::board(&world.app, &ADMIN, id).await.expect("there").counts[&Place::Done];
    loop {
        assert!(futures::poll!(&mut work).is_pending(), "it has two batches");
        if back().await > 0 {
            break;
        }
    }
    drop(work);
    let before = back().await;
    assert!((1..201).contains(&before), "{before}");
    world.clock.advance(Span::minutes(5));
    let Claim::Go(mark) = claim().await.expect("it was not done") else { panic!("nothing was answered yet") };
    let all = campaigns::bring_back(&world.app, &caller.clone().marked(mark), id).await.expect("aborted");
    assert_eq!((all, back().await), (201, 201));
    world.clock.advance(Span::minutes(5));
    assert_eq!(code(claim().await), "idempotency_answer_lost", "now it is done");
}
