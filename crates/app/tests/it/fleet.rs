//! Campaigns over many devices, clones and the conflict desk, the watch and the purge, on a database with its jobs.

use super::world::{Device, USER, World, code};
use app::campaigns::{self, Plan};
use app::conflicts::{self, Decision};
use app::page::PageAsk;
use app::session::{self, Opening};
use app::{AdminActor, ConflictStatus, devices, jobs, watch};
use base::{CampaignId, DeviceId, Span, Timestamp};
use control::campaign::{Class, Place, Reason, Reminders, Reset, Scope, Status, Tell};
use control::watch::Finding;
use control::{Event, Level, Proof, Rights, State};
use std::collections::BTreeMap;

const ADMIN: AdminActor = AdminActor::Command;
const MINUTE: Span = Span::minutes(1);

pub fn plan(level: Reset) -> Plan {
    Plan {
        name: format!("{} all", level.word()),
        reason: "a laptop was stolen".to_owned(),
        level,
        scope: Scope { everyone: true, ..Scope::default() },
        deadline: None,
        append_until: None,
        wave_size: 10,
        wave_span: MINUTE,
        watch_span: None,
        template: String::new(),
        tell: Tell::All,
        reminders: Reminders::USUAL,
    }
}

/// Devices of one user that were seen today, in every state that a fleet has.
async fn fleet(world: &World, count: u8) -> Vec<Device> {
    let mut fleet = Vec::new();
    for seed in 1..=count {
        let mut device = world.device(seed).await;
        let was = Box::new(State::Active { rights: Rights::Full });
        match seed % 10 {
            0 => {
                world.state_set(&mut device, State::Deactivated { rights: Rights::Full, level: Level::Distrust }).await;
            }
            1 => world.state_set(&mut device, State::Suspended { was }).await,
            2 => world.state_set(&mut device, State::Quarantined { was }).await,
            3 => world.state_set(&mut device, State::Decommissioned).await,
            _ => {}
        }
        seen(world, device.actor.device).await;
        fleet.push(device);
    }
    // Whoever is reset at once was seen before that, and not in the same moment.
    world.clock.advance(Span::seconds(1));
    fleet
}

async fn seen(world: &World, device: DeviceId) {
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::device_seen_update(&mut tx, device, world.clock_now()).await.expect("the device is there");
    tx.commit().await.expect("nothing stands against it");
}

pub async fn started(world: &World, plan: Plan) -> CampaignId {
    let campaign = campaigns::make(&world.app, &ADMIN, plan).await.expect("a good plan");
    campaigns::start(&world.app, &ADMIN, campaign.id, None).await.expect("a draft starts").id
}

pub async fn tick(world: &World) {
    campaigns::tick(&world.app).await.expect("the job works");
}

pub async fn places(world: &World, id: CampaignId) -> BTreeMap<Place, u64> {
    let counts = campaigns::board(&world.app, &ADMIN, id).await.expect("there").counts;
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

pub async fn state(world: &World, device: DeviceId) -> State {
    devices::get(&world.app, &ADMIN, device).await.expect("there").state
}

/// As an activation by this proof does it in its transaction.
async fn come_back(world: &World, device: &Device) {
    devices::change(&world.app, &ADMIN, device.actor.device, Event::Reactivate { proof: Proof::Admin })
        .await
        .expect("an admin brings back what is held or deactivated");
}

async fn audited(world: &World, action: &str) -> usize {
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    rows.iter().filter(|row| row.action == action && row.actor.starts_with("campaign")).count()
}

#[tokio::test]
async fn each_turn_of_a_campaign_says_who_has_started_it_and_from_where() {
    let world = World::new().await;
    fleet(&world, 12).await;
    let id = campaigns::make(&world.app, &ADMIN, plan(Reset::Hold)).await.expect("well said").id;
    let permits = control::Permits::all();
    let (name, prefix, source) = ("c".to_owned(), "hfa1_c".to_owned(), "198.51.100.9".parse().ok());
    let credential = base::CredentialId::mint(world.entropy.as_ref());
    let other = app::CredentialActor { id: credential, name, prefix, permits, source, mark: None };
    let other = app::AdminActor::Credential(Box::new(other));
    campaigns::start(&world.app, &other, id, None).await.expect("a draft starts");
    for _ in 0..3 {
        tick(&world).await;
        world.clock.advance(Span::seconds(6));
    }
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    let by_campaign: Vec<_> = rows.iter().filter(|row| row.actor == format!("campaign {id}")).collect();
    assert!(by_campaign.len() > 3, "{by_campaign:?}");
    for row in by_campaign {
        assert_eq!((row.source.as_str(), row.proof.as_str()), ("198.51.100.9", "campaign"), "{row:?}");
        let started_by = row.detail.ends_with(&format!("; started by credential {credential}"));
        assert!(started_by || row.action == "campaign_begin", "{row:?}");
    }
}

#[tokio::test]
async fn a_campaign_at_each_level_resets_wave_by_wave_and_each_device_once() {
    for level in Reset::ALL {
        let world = World::new().await;
        fleet(&world, 35).await;
        let id = started(&world, plan(level)).await;
        let dry_run = campaigns::dry_run(&world.app, &ADMIN, id).await.expect("there");
        assert_eq!((dry_run.devices.len(), dry_run.waves, dry_run.span), (35, 4, Span::minutes(4)));
        tick(&world).await;
        let events = match level {
            Reset::Hold => "device_hold",
            Reset::Rotate | Reset::Revoke => "device_deactivate",
        };
        assert_eq!(audited(&world, events).await, 1, "the first has its turn at once, and no other");
        // Repeated without time passing, and by two jobs at once, nothing more happens.
        let before = places(&world, id).await;
        let (one, other) = tokio::join!(campaigns::tick(&world.app), campaigns::tick(&world.app));
        one.and(other).expect("both work");
        assert_eq!(places(&world, id).await, before);
        for _ in 0..40 {
            world.clock.advance(Span::seconds(6));
            tick(&world).await;
        }
        let board = campaigns::board(&world.app, &ADMIN, id).await.expect("there");
        assert_eq!(board.counts[&Place::Waiting], 0, "{level:?}");
        for ((class, place), count) in &board.by_class {
            assert!(class.may_end(*place), "{level:?}: {count} {class:?} at {place:?}");
        }
        assert_eq!(audited(&world, events).await, 35, "one row for each, granted or refused");
    }
}

#[tokio::test]
async fn a_wave_comes_in_its_time_and_a_clock_that_jumps_brings_no_second_one() {
    let world = World::new().await;
    for seed in 1..=30 {
        world.device(seed).await;
    }
    let id = started(&world, plan(Reset::Revoke)).await;
    tick(&world).await;
    assert_eq!(places(&world, id).await[&Place::Waiting], 29, "the first has its turn at once");
    world.clock.advance(Span::seconds(30));
    tick(&world).await;
    assert_eq!(places(&world, id).await[&Place::Waiting], 24, "one every six seconds");
    world.clock.advance(Span::days(9));
    tick(&world).await;
    assert_eq!(places(&world, id).await[&Place::Waiting], 14, "no more than one wave, however long nobody looked");
}

#[tokio::test]
async fn a_pause_moves_what_comes_later_and_an_abort_leaves_the_rest_alone() {
    let world = World::new().await;
    let mut devices = Vec::new();
    for seed in 1..=20 {
        devices.push(world.device(seed).await);
    }
    let id = started(&world, plan(Reset::Revoke)).await;
    tick(&world).await;
    campaigns::pause(&world.app, &ADMIN, id).await.expect("it runs");
    for _ in 0..5 {
        world.clock.advance(MINUTE);
        tick(&world).await;
    }
    assert_eq!(places(&world, id).await[&Place::Waiting], 19);
    campaigns::resume(&world.app, &ADMIN, id).await.expect("it is paused");
    world.clock.advance(Span::seconds(12));
    tick(&world).await;
    assert_eq!(places(&world, id).await[&Place::Waiting], 17, "the pause is no part of its clock");
    campaigns::abort(&world.app, &ADMIN, id, "a mistake").await.expect("it runs");
    world.clock.advance(MINUTE);
    tick(&world).await;
    let page =
        campaigns::board_page(&world.app, &ADMIN, id, Some(Place::Waiting), &PageAsk::first()).await.expect("there");
    assert_eq!(page.items.len(), 17);
    assert!(page.items.iter().all(|entry| entry.reason == Reason::CampaignEnded));
    assert_eq!(campaigns::bring_back(&world.app, &ADMIN, id).await.expect("aborted"), 3);
    assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Done, 3), (Place::Waiting, 17)]));
    assert_eq!(campaigns::bring_back(&world.app, &ADMIN, id).await.expect("again"), 0);
    // They have proved nothing: the board says whose word it was.
    assert_eq!(campaigns::board(&world.app, &ADMIN, id).await.expect("there").vouched, 3);
    let rows = campaigns::board_page(&world.app, &ADMIN, id, Some(Place::Done), &world.all()).await.expect("there");
    for row in rows.items {
        assert_eq!((row.reason, row.proof.as_deref()), (Reason::Vouched, Some("admin")), "{}", row.name);
    }
    for device in &devices {
        open(&world, device, None).await.expect("whoever was brought back goes on with the key that it has");
    }
    let error = campaigns::resume(&world.app, &ADMIN, id).await.expect_err("it has ended");
    assert_eq!(error.code(), "campaign_state");
}

#[tokio::test]
async fn devices_come_back_once_and_their_first_backup_is_the_evidence() {
    let world = World::new().await;
    let mut device = world.device(1).await;
    let other = world.device(2).await;
    world.backup(&device).await;
    let id = started(&world, Plan { wave_span: Span::ZERO, ..plan(Reset::Hold) }).await;
    tick(&world).await;
    assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Offline, 2)]));
    world.clock.advance(Span::seconds(5));
    seen(&world, device.actor.device).await;
    assert_eq!(places(&world, id).await, BTreeMap::from([(Place::WaitingForUser, 1), (Place::Offline, 1)]));
    come_back(&world, &device).await;
    device.actor.state = state(&world, device.actor.device).await;
    world.clock.advance(Span::seconds(5));
    let (snapshot, _) = world.backup(&device).await;
    world.backup(&device).await;
    let page =
        campaigns::board_page(&world.app, &ADMIN, id, Some(Place::Done), &PageAsk::first()).await.expect("there");
    let [entry] = page.items.as_slice() else { panic!("one is done: {page:?}") };
    assert_eq!((entry.device, entry.first_good), (device.actor.device, Some(snapshot)), "the first, not the second");
    assert_eq!(entry.proof.as_deref(), Some("admin"));
    assert!(entry.bytes_sent.is_some() && entry.bytes_covered.is_some() && entry.back_at.is_some());
    let line = campaigns::evidence::csv_line(entry);
    assert!(line.contains(&snapshot.to_string()) && line.ends_with("\r\n"), "{line}");
    // Settled by an excuse, it closes by itself, and nothing moves it any more.
    campaigns::excuse(&world.app, &ADMIN, id, other.actor.device, "on leave").await.expect("it is awaited");
    let again = campaigns::excuse(&world.app, &ADMIN, id, other.actor.device, "on leave").await;
    assert_eq!(again.expect_err("it has closed by that").code(), "campaign_state");
    world.clock.advance(MINUTE);
    tick(&world).await;
    let board = campaigns::board(&world.app, &ADMIN, id).await.expect("there");
    assert_eq!(board.campaign.status, Status::Closed);
    assert_eq!(board.burn_down.first().map(|point| point.left), Some(2));
    assert_eq!(board.burn_down.last().map(|point| point.left), Some(1));
}

#[tokio::test]
async fn what_is_stricter_is_passed_over_and_what_is_deleted_meanwhile_is_retired() {
    let world = World::new().await;
    let mut strict = world.device(1).await;
    let gone = world.device(2).await;
    let revoked = State::Deactivated { rights: Rights::Full, level: Level::Revoke };
    world.state_set(&mut strict, revoked.clone()).await;
    let id = started(
        &world,
        Plan { wave_span: Span::ZERO, deadline: Some(world.clock_now() + MINUTE), ..plan(Reset::Rotate) },
    )
    .await;
    tick(&world).await;
    assert_eq!(state(&world, strict.actor.device).await, revoked);
    world.clock.advance(Span::seconds(1));
    seen(&world, strict.actor.device).await;
    devices::change(&world.app, &ADMIN, gone.actor.device, Event::Delete { purge_after: world.clock_now() })
        .await
        .expect("an admin deletes");
    let page = campaigns::board_page(&world.app, &ADMIN, id, None, &PageAsk::first()).await.expect("there");
    let found: Vec<_> = page.items.iter().map(|entry| (entry.place, entry.reason, entry.class)).collect();
    assert_eq!(
        found,
        [(Place::WaitingForUser, Reason::Stricter, Class::Already), (Place::Retired, Reason::Deleted, Class::NotSeen),]
    );
    world.clock.advance(MINUTE);
    assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Overdue, 1), (Place::Retired, 1)]));
}

#[tokio::test]
async fn an_ill_said_campaign_is_refused_and_a_late_start_waits() {
    let world = World::new().await;
    world.device(1).await;
    let make = async |plan| campaigns::make(&world.app, &ADMIN, plan).await.map_err(|error| error.code());
    assert_eq!(make(Plan { scope: Scope::default(), ..plan(Reset::Hold) }).await.err(), Some("scope_empty"));
    assert_eq!(make(Plan { reason: " ".to_owned(), ..plan(Reset::Hold) }).await.err(), Some("reason_invalid"));
    assert_eq!(make(Plan { wave_size: 0, ..plan(Reset::Hold) }).await.err(), Some("campaign_invalid"));
    let draft = make(plan(Reset::Revoke)).await.expect("a good plan");
    let at = world.clock_now() + Span::hours(1);
    campaigns::start(&world.app, &ADMIN, draft.id, Some(at)).await.expect("a draft starts");
    tick(&world).await;
    assert_eq!(places(&world, draft.id).await, BTreeMap::new());
    world.clock.advance(Span::hours(1));
    tick(&world).await;
    assert_eq!(places(&world, draft.id).await, BTreeMap::from([(Place::Offline, 1)]));
    let list = campaigns::page(&world.app, &ADMIN, &PageAsk::first()).await.expect("readable");
    assert_eq!(list.items.len(), 1);
}

#[tokio::test]
async fn what_has_not_ended_has_its_name_alone_and_a_draft_can_be_deleted() {
    let world = World::new().await;
    world.device(1).await;
    let named = |name: &str| Plan { name: name.to_owned(), ..plan(Reset::Revoke) };
    let make = async |name| campaigns::make(&world.app, &ADMIN, named(name)).await.map_err(|error| error.code());
    let (one, two) = (make("one").await.expect("the first").id, make("two").await.expect("another").id);
    assert_eq!(make(" one ").await.err(), Some("name_taken"), "a draft");
    let edit = async |name| campaigns::edit(&world.app, &ADMIN, two, named(name)).await.map_err(|error| error.code());
    assert_eq!(edit("one").await.err(), Some("name_taken"));
    edit("two").await.expect("its own name");
    campaigns::start(&world.app, &ADMIN, one, None).await.expect("a draft starts");
    assert_eq!(make("one").await.err(), Some("name_taken"), "it runs");
    assert_eq!(code(campaigns::delete(&world.app, &ADMIN, one).await), "campaign_state");
    campaigns::pause(&world.app, &ADMIN, one).await.expect("it runs");
    assert_eq!(make("one").await.err(), Some("name_taken"), "it is paused");
    campaigns::abort(&world.app, &ADMIN, one, "a mistake").await.expect("it is paused");
    assert_eq!(code(campaigns::delete(&world.app, &ADMIN, one).await), "campaign_state", "it is evidence");
    make("one").await.expect("the other one has ended");
    campaigns::delete(&world.app, &ADMIN, two).await.expect("a draft");
    assert_eq!(code(campaigns::get(&world.app, &ADMIN, two).await), "campaign_unknown");
    assert_eq!(code(campaigns::delete(&world.app, &ADMIN, two).await), "campaign_unknown");
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    drop(tx);
    let deleted: Vec<&str> =
        rows.iter().filter(|row| row.action == "campaign_delete").map(|row| row.subject.as_str()).collect();
    assert_eq!(deleted, [two.to_string()]);
    make("two").await.expect("it is gone");
}

/// Opens a session that presents `counter`; gives the next one.
pub async fn open(world: &World, device: &Device, counter: Option<[u8; 56]>) -> Result<[u8; 56], &'static str> {
    let challenge = session::challenge(&world.app, device.actor.device);
    answer(world, device, &challenge.bytes, counter).await
}

/// Two machines present the key of one device. Gives the counter that the copy has.
pub async fn copy_seen(world: &World, device: &Device) -> [u8; 56] {
    let first = open(world, device, None).await.expect("a first session");
    let second = open(world, device, Some(first)).await.expect("a second");
    open(world, device, Some(second)).await.expect("a third");
    open(world, device, Some(first)).await.expect("a copy");
    first
}

async fn answer(
    world: &World,
    device: &Device,
    challenge: &[u8; 48],
    counter: Option<[u8; 56]>,
) -> Result<[u8; 56], &'static str> {
    let signature = device.sign(challenge);
    let opening = Opening {
        device: device.actor.device,
        challenge,
        signed: challenge,
        signature: &signature,
        counter: counter.as_ref(),
        source: "192.0.2.7",
    };
    session::open(&world.app, &opening).await.map(|session| session.counter).map_err(|error| error.code())
}

pub async fn conflict(world: &World) -> Option<conflicts::Conflict> {
    let page = conflicts::page(&world.app, &ADMIN, true, &PageAsk::first()).await.expect("readable");
    page.items.into_iter().next()
}

#[tokio::test]
async fn a_hold_that_is_over_before_it_begins_is_refused() {
    let world = World::new().await;
    let now = world.clock_now();
    let until = |append_until| Plan { append_until: Some(append_until), ..plan(Reset::Hold) };
    let starts = async |plan: Plan, at| {
        let made = campaigns::page(&world.app, &ADMIN, &PageAsk::first()).await.expect("readable").items.len();
        let plan = Plan { name: format!("hold {made}"), ..plan };
        let made = campaigns::make(&world.app, &ADMIN, plan).await.expect("a good plan");
        campaigns::start(&world.app, &ADMIN, made.id, at).await.map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(starts(until(now), None).await, Err("campaign_invalid"));
    assert_eq!(starts(until(now + MINUTE), Some(now + MINUTE)).await, Err("campaign_invalid"));
    assert_eq!(starts(until(now + MINUTE), None).await, Ok(()));
    let revoke = Plan { append_until: Some(now), ..plan(Reset::Revoke) };
    assert_eq!(starts(revoke, None).await, Ok(()), "there, nothing is appended anyway");
}

#[tokio::test]
async fn a_copy_is_found_a_lost_answer_is_not_and_a_late_request_changes_nothing() {
    let world = World::new().await;
    let device = world.device(1).await;
    let first = open(&world, &device, None).await.expect("a first session");
    let second = open(&world, &device, Some(first)).await.expect("as it should be");
    let late = session::challenge(&world.app, device.actor.device);
    world.clock.advance(Span::ms(5));
    let third = open(&world, &device, Some(second)).await.expect("as it should be");
    assert_eq!(answer(&world, &device, &late.bytes, Some(second)).await, Err("challenge_expired"));
    open(&world, &device, Some(third)).await.expect("its answer gets lost");
    let fourth = open(&world, &device, Some(third)).await.expect("so it presents the same again");
    assert!(conflict(&world).await.is_none());
    // The copy was made when the second was in force.
    open(&world, &device, Some(second)).await.expect("it may append all the same");
    let found = conflict(&world).await.expect("two machines are seen");
    assert_eq!((found.source.as_str(), found.times), ("192.0.2.7", 1));
    assert!(matches!(state(&world, device.actor.device).await, State::Quarantined { .. }));
    open(&world, &device, Some(fourth)).await.expect("it may append all the same");
    let again = conflict(&world).await.expect("still one");
    assert_eq!((again.id, again.times), (found.id, 2));
}

#[tokio::test]
async fn two_machines_that_a_reset_has_cut_off_can_still_be_decided_on() {
    let world = World::new().await;
    let device = world.device(1).await;
    let first = copy_seen(&world, &device).await;
    let id = conflict(&world).await.expect("seen").id;
    let reset = Event::Deactivate { level: Level::Rotate };
    devices::change(&world.app, &ADMIN, device.actor.device, reset).await.expect("it is quarantined");
    let cut_off = state(&world, device.actor.device).await;
    assert_eq!(cut_off.level(), Some(Level::Distrust), "two machines with one key prove nothing by it");
    let decision = Decision::TwoMachines { other_user: None };
    let decided = conflicts::resolve(&world.app, &ADMIN, id, decision).await.expect("it is open");
    assert_eq!((decided.status, decided.device.state), (ConflictStatus::Split, cut_off.clone()));
    assert!(conflict(&world).await.is_none(), "nothing is left on the desk");
    let undone = conflicts::undo(&world.app, &ADMIN, id).await.expect("within thirty days");
    assert_eq!((undone.status, undone.device.state), (ConflictStatus::Open, cut_off));
    assert!(open(&world, &device, Some(first)).await.is_err(), "its key is worth nothing");
}

#[tokio::test]
async fn every_decision_about_a_clone_can_be_undone() {
    let world = World::new().await;
    let device = world.device(1).await;
    let first = copy_seen(&world, &device).await;
    let quarantined = state(&world, device.actor.device).await;
    let id = conflict(&world).await.expect("seen").id;
    for decision in [Decision::OneMachine, Decision::TwoMachines { other_user: Some(USER) }] {
        let decided = conflicts::resolve(&world.app, &ADMIN, id, decision).await.expect("it is open");
        assert_ne!(decided.device.state, quarantined);
        let twice = conflicts::resolve(&world.app, &ADMIN, id, decision).await;
        assert_eq!(twice.expect_err("it is decided").code(), "conflict_decided");
        let undone = conflicts::undo(&world.app, &ADMIN, id).await.expect("within thirty days");
        assert_eq!((undone.status, undone.device.state), (ConflictStatus::Open, quarantined.clone()));
    }
    let unfit = conflicts::resolve(&world.app, &ADMIN, id, Decision::KeepBoth).await;
    assert_eq!(unfit.expect_err("two machines cannot both be kept").code(), "decision_unfit");
    conflicts::resolve(&world.app, &ADMIN, id, Decision::OneMachine).await.expect("it is open");
    assert!(open(&world, &device, Some(first)).await.is_ok() && conflict(&world).await.is_none(), "a new line");
    world.clock.advance(Span::days(30));
    assert_eq!(conflicts::undo(&world.app, &ADMIN, id).await.expect_err("too late").code(), "undo_too_late");
}

#[tokio::test]
async fn merged_records_are_read_as_one_until_that_is_undone() {
    let world = World::new().await;
    let (keep, other) = (world.device(1).await, world.device(2).await);
    let (old, _) = world.backup(&other).await;
    assert_eq!(
        app::snapshots::get(&world.app, &keep.actor, old).await.expect_err("not its own").code(),
        "snapshot_not_yours"
    );
    let merged = conflicts::merge(&world.app, &ADMIN, keep.actor.device, other.actor.device).await.expect("one user");
    assert!(app::snapshots::get(&world.app, &keep.actor, old).await.is_ok());
    world.begin_restore(&keep, old).await.expect("it is read under the record that is kept");
    let enable = devices::change(&world.app, &ADMIN, other.actor.device, Event::Enable).await;
    assert_eq!(enable.expect_err("only an undo does").code(), "device_merged");
    let again = conflicts::merge(&world.app, &ADMIN, keep.actor.device, other.actor.device).await;
    assert_eq!(again.expect_err("it is merged").code(), "merge_unfit");
    conflicts::undo(&world.app, &ADMIN, merged.id).await.expect("within thirty days");
    assert!(app::snapshots::get(&world.app, &keep.actor, old).await.is_err());
    assert_eq!(state(&world, other.actor.device).await, State::Active { rights: Rights::Full });
}

#[tokio::test]
async fn a_merged_record_comes_into_service_by_no_word_of_an_admin() {
    let world = World::new().await;
    let (keep, mut other) = (world.device(1).await, world.device(2).await);
    let id = other.actor.device;
    let rights = Rights::Full;
    let append_until = world.clock_now() + Span::days(9);
    let reactivate = Event::Reactivate { proof: Proof::Admin };
    conflicts::merge(&world.app, &ADMIN, keep.actor.device, id).await.expect("one user");
    for (stands, event) in [
        (State::Pending, Event::Approve),
        (State::Active { rights: Rights::AppendOnly }, Event::Approve),
        (State::Suspended { was: Box::new(State::Active { rights }) }, Event::Enable),
        (State::Decommissioning { was: Box::new(State::Active { rights }) }, Event::Enable),
        (State::Held { rights, append_until }, reactivate),
        (State::Deactivated { rights, level: Level::Revoke }, reactivate),
        (State::Decommissioned, reactivate),
    ] {
        world.state_set(&mut other, stands.clone()).await;
        let changed = devices::change(&world.app, &ADMIN, id, event).await;
        assert_eq!(changed.expect_err("only an undo does").code(), "device_merged", "{stands}: {event:?}");
        assert_eq!(state(&world, id).await, stands);
    }
}

#[tokio::test]
async fn what_was_merged_since_a_campaign_has_reset_it_is_not_brought_back() {
    let world = World::new().await;
    let (keep, mut other) = (world.device(1).await, world.device(2).await);
    let id = started(&world, Plan { wave_span: Span::ZERO, ..plan(Reset::Revoke) }).await;
    tick(&world).await;
    let reset = state(&world, other.actor.device).await;
    conflicts::merge(&world.app, &ADMIN, keep.actor.device, other.actor.device).await.expect("one user");
    world.state_set(&mut other, reset.clone()).await;
    campaigns::abort(&world.app, &ADMIN, id, "a mistake").await.expect("it runs");
    assert_eq!(campaigns::bring_back(&world.app, &ADMIN, id).await.expect("aborted"), 1);
    assert_eq!(state(&world, other.actor.device).await, reset);
    assert_eq!(state(&world, keep.actor.device).await, State::Active { rights: Rights::Full });
}

#[tokio::test]
async fn a_settled_campaign_closes_by_itself_when_it_runs_and_not_while_it_is_paused() {
    let world = World::new().await;
    let device = world.device(1).await.actor.device;
    let id = started(&world, plan(Reset::Revoke)).await;
    tick(&world).await;
    campaigns::pause(&world.app, &ADMIN, id).await.expect("it runs");
    campaigns::excuse(&world.app, &ADMIN, id, device, "on leave").await.expect("it is awaited");
    let status = async || campaigns::get(&world.app, &ADMIN, id).await.expect("there").status;
    world.clock.advance(MINUTE);
    tick(&world).await;
    assert_eq!(status().await, Status::Paused);
    let resumed = campaigns::resume(&world.app, &ADMIN, id).await.expect("it is paused");
    assert_eq!(resumed.status, Status::Closed, "at once");
}

#[tokio::test]
async fn a_device_that_is_back_gets_a_slot_and_is_watched_until_it_backs_up_as_planned() {
    let world = World::new().await;
    let mut device = world.device(1).await;
    let cut = Event::Deactivate { level: Level::Revoke };
    devices::change(&world.app, &ADMIN, device.actor.device, cut).await.expect("it is active");
    come_back(&world, &device).await;
    let list = async |alarms| {
        let page = watch::page(&world.app, &ADMIN, alarms, &PageAsk::first()).await.expect("readable");
        page.items.into_iter().map(|entry| (entry.finding, entry.catch_up_at.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(list(false).await, [(Finding::FirstPending, true)]);
    assert_eq!(list(true).await, []);
    world.clock.advance(Span::hours(3));
    assert_eq!(list(true).await, [(Finding::FirstMissing, true)]);
    device.actor.epoch = 2;
    world.backup(&device).await;
    assert_eq!(list(false).await, [(Finding::Well, false)]);
    // Every four hours, as is the default; then as its policy says, from the organisation's to its own.
    world.clock.advance(Span::hours(6));
    assert_eq!((list(false).await, list(true).await), (vec![(Finding::Missed, false)], vec![]));
    world.clock.advance(Span::hours(3));
    assert_eq!(list(true).await, [(Finding::Overdue, false)]);
    let set = async |subject, key: &str, value: &str| {
        let values = [(key.to_owned(), Some(value.to_owned()))];
        app::policy::set(&world.app, &ADMIN, subject, &values).await.expect("a value");
    };
    set(db::PolicySubject::Organisation, "interval", "8h").await;
    assert_eq!(list(false).await, [(Finding::Missed, false)]);
    set(db::PolicySubject::User(device.actor.user), "start_hours", "08:00-18:00").await;
    assert_eq!(list(false).await, [(Finding::Well, false)], "no backup may begin at night");
    set(db::PolicySubject::Device(device.actor.device), "interval", "off").await;
    assert_eq!(list(false).await, [(Finding::Unplanned, false)]);
    world.clock.advance(Span::days(7));
    assert_eq!(list(false).await, []);
}

#[tokio::test]
async fn a_deleted_record_is_purged_after_its_time_with_everything_but_its_packs() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (snapshot, _) = world.backup(&device).await;
    let id = device.actor.device;
    let purge_after = world.clock_now() + Span::days(7);
    devices::change(&world.app, &ADMIN, id, Event::Delete { purge_after }).await.expect("an admin deletes");
    jobs::tick_all(&world.app).await.expect("the jobs work");
    assert!(matches!(state(&world, id).await, State::Deleted { .. }));
    world.clock.advance(Span::days(7));
    for _ in 0..2 {
        jobs::tick_all(&world.app).await.expect("the jobs work, and again");
        assert_eq!(state(&world, id).await, State::Purged);
    }
    assert!(app::snapshots::admin_get(&world.app, &ADMIN, snapshot).await.is_err());
    let mut tx = world.app.db.read().await.expect("readable");
    assert_eq!(db::credential_get_newest(&mut tx, id).await.expect("readable"), None);
    drop(tx);
    let report = app::scrub::scrub(&world.app, &ADMIN, app::scrub::Options { read_data: true }, &mut |_| {}).await;
    assert!(report.expect("it runs").problems.is_empty(), "nothing names what is gone");
}

#[tokio::test]
async fn a_retired_device_hears_of_the_order_and_confirms_it_once() {
    let world = World::new().await;
    let mut device = world.device(1).await;
    let refused = devices::wiped(&world.app, &device.actor).await;
    assert_eq!(refused.expect_err("there is no order").code(), "wrong_state");
    devices::change(&world.app, &ADMIN, device.actor.device, Event::Decommission).await.expect("it is active");
    open(&world, &device, None).await.expect("it may hear of the order");
    device.actor.state = state(&world, device.actor.device).await;
    assert!(devices::own(&world.app, &device.actor).await.expect("its own").wipe);
    devices::wiped(&world.app, &device.actor).await.expect("it was told to");
    assert_eq!(state(&world, device.actor.device).await, State::Decommissioned);
    assert_eq!(open(&world, &device, None).await, Err("device_decommissioned"));
}

#[tokio::test]
async fn of_two_servers_on_one_database_one_does_a_job_and_gives_it_back_when_it_stops() {
    let world = World::new().await;
    world.device(1).await;
    let id = started(&world, Plan { wave_span: Span::ZERO, ..plan(Reset::Revoke) }).await;
    let (one, other) = (world.app.clone(), world.app.clone());
    let soon = async || tokio::task::yield_now().await;
    tokio::join!(jobs::run(one, soon()), jobs::run(other, soon()));
    assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Offline, 1)]));
    assert_eq!(audited(&world, "device_deactivate").await, 1);
    let mut tx = world.app.db.read().await.expect("readable");
    let lease = db::job_lease_get(&mut tx, "campaigns").await.expect("readable").expect("it was taken");
    assert!(lease.until < Timestamp::from_ms(world.clock_now().as_ms() + 1), "given back: {lease:?}");
}
