//! What an admin decides on the conflict desk and at the pending desk, and that nothing of it takes back, hides or
//! counts as proved what it must not.

use super::fleet::{conflict, copy_seen, open, places, plan, started, state, tick};
use super::machine::{ADMIN, Machine};
use super::world::{Device, USER, World, code};
use app::activation::Claim;
use app::campaigns::{self, Plan};
use app::conflicts::{self, Decision};
use app::devices::{self, DeviceOrder};
use app::tokens::{Wish, make, revoke};
use app::{ConflictStatus, SecretText, desk};
use base::{ConflictId, DeviceId, Span, TokenId};
use control::campaign::{Place, Reset};
use control::{Event, Level, Rights, State};
use std::collections::BTreeMap;

const TWO: Decision = Decision::TwoMachines { other_user: None };
const ANNA: &str = "anna@example.org";
const GOOD: &str = "correct horse battery";

/// A device that two machines present themselves as, and the conflict.
async fn copied(world: &World, seed: u8) -> (Device, ConflictId) {
    let device = world.device(seed).await;
    copy_seen(world, &device).await;
    (device, conflict(world).await.expect("seen").id)
}

async fn with_token() -> (World, SecretText, TokenId) {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    let wish = Wish { name: "spring".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
    let made = make(&world.app, &ADMIN, &wish).await.expect("a good wish");
    (world, made.text, made.token.id)
}

async fn cut(world: &World, device: DeviceId) {
    let event = Event::Deactivate { level: Level::Revoke };
    devices::change(&world.app, &ADMIN, device, event).await.expect("it is in service");
}

async fn campaign(world: &World) -> base::CampaignId {
    let id = started(world, Plan { wave_span: Span::ZERO, ..plan(Reset::Revoke) }).await;
    tick(world).await;
    id
}

#[tokio::test]
async fn an_undo_takes_back_nothing_that_came_after_the_decision() {
    let orders = [DeviceOrder::Suspend, DeviceOrder::Decommission, DeviceOrder::Delete];
    for order in orders {
        let world = World::new().await;
        let (device, id) = copied(&world, 1).await;
        conflicts::resolve(&world.app, &ADMIN, id, TWO).await.expect("it is open");
        let ordered = devices::order(&world.app, &ADMIN, device.actor.device, order).await.expect("granted").state;
        assert_eq!(code(conflicts::undo(&world.app, &ADMIN, id).await), "undo_too_late", "{order:?}");
        assert_eq!(state(&world, device.actor.device).await, ordered);
        // What an admin has taken back itself is as if it had not been.
        let back = if order == DeviceOrder::Delete { DeviceOrder::Undelete } else { DeviceOrder::Enable };
        devices::order(&world.app, &ADMIN, device.actor.device, back).await.expect("granted");
        conflicts::undo(&world.app, &ADMIN, id).await.expect("it stands where the split has put it");
    }
}

#[tokio::test]
async fn a_reset_after_a_split_makes_it_final_though_it_changes_nothing() {
    for by_campaign in [false, true] {
        let world = World::new().await;
        let (device, id) = copied(&world, 1).await;
        conflicts::resolve(&world.app, &ADMIN, id, TWO).await.expect("it is open");
        world.clock.advance(Span::minutes(1));
        let split = state(&world, device.actor.device).await;
        if by_campaign {
            campaign(&world).await;
        } else {
            let event = Event::Deactivate { level: Level::Revoke };
            let again = devices::change(&world.app, &ADMIN, device.actor.device, event).await;
            assert_eq!(code(again), "nothing_to_change");
        }
        world.clock.advance(Span::minutes(1));
        assert_eq!(code(conflicts::undo(&world.app, &ADMIN, id).await), "undo_too_late", "{by_campaign}");
        assert_eq!(state(&world, device.actor.device).await, split);
    }
}

#[tokio::test]
async fn a_record_that_an_admin_has_suspended_stays_so_when_its_merge_is_undone() {
    let world = World::new().await;
    let (keep, other) = (world.device(1).await.actor.device, world.device(2).await.actor.device);
    let merged = conflicts::merge(&world.app, &ADMIN, keep, other).await.expect("one user");
    let again = devices::order(&world.app, &ADMIN, other, DeviceOrder::Suspend).await;
    assert_eq!(code(again), "nothing_to_change");
    conflicts::undo(&world.app, &ADMIN, merged.id).await.expect("within thirty days");
    assert!(matches!(state(&world, other).await, State::Suspended { .. }));
}

#[tokio::test]
async fn a_decision_is_audited_with_the_states_before_and_after() {
    let world = World::new().await;
    let (device, id) = copied(&world, 1).await;
    let other_user = Some(USER);
    let split = Decision::TwoMachines { other_user };
    let prepared = conflicts::resolve(&world.app, &ADMIN, id, split).await.expect("open").other.expect("made").device;
    conflicts::undo(&world.app, &ADMIN, id).await.expect("within thirty days");
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    let detail = |action: &str| rows.iter().find(|row| row.action == action).expect("a row").detail.clone();
    let device = device.actor.device;
    let (resolved, undone) = (detail("conflict_resolve"), detail("conflict_undo"));
    assert!(resolved.contains(&format!("{device} quarantined")) && resolved.contains("to deactivated"), "{resolved}");
    assert!(resolved.contains(&format!("{prepared} made, pending")), "{resolved}");
    assert!(undone.contains(&format!("{device} deactivated")) && undone.contains("to quarantined"), "{undone}");
    assert!(undone.contains(&format!("{prepared} pending to deleted")), "{undone}");
}

#[tokio::test]
async fn two_records_in_question_hide_no_copy_and_each_is_decided() {
    let (world, text, _) = with_token().await;
    let machine = Machine::new(&world, "laptop").of("anna");
    let known = machine.by_password(&world, ANNA, GOOD).bound().await;
    machine.again(&world).by_token(&world, &text).bound().await;
    let records = conflict(&world).await.expect("two records of one machine");
    let device = machine.device(&world, known.device).await;
    copy_seen(&world, &device).await;
    assert!(matches!(state(&world, known.device).await, State::Quarantined { .. }));
    let open = conflicts::page(&world.app, &ADMIN, true, &world.all()).await.expect("readable").items;
    let [one, other] = open.as_slice() else { panic!("{open:?}") };
    let clone = if one.id == records.id { other } else { one };
    conflicts::resolve(&world.app, &ADMIN, records.id, Decision::KeepBoth).await.expect("it is open");
    assert!(matches!(state(&world, known.device).await, State::Quarantined { .. }));
    conflicts::resolve(&world.app, &ADMIN, clone.id, Decision::OneMachine).await.expect("a way out");
    assert_eq!(state(&world, known.device).await, State::Active { rights: Rights::Full });
}

#[tokio::test]
async fn a_conflict_whose_device_has_signed_in_since_is_decided_and_its_new_key_stays() {
    let (world, ..) = with_token().await;
    let machine = Machine::new(&world, "laptop");
    let known = machine.by_password(&world, ANNA, GOOD).bound().await.device;
    let device = machine.device(&world, known).await;
    copy_seen(&world, &device).await;
    let id = conflict(&world).await.expect("seen").id;
    cut(&world, known).await;
    world.clock.advance(Span::minutes(1));
    machine.again(&world).by_password(&world, ANNA, GOOD).bound().await;
    let decided = conflicts::resolve(&world.app, &ADMIN, id, TWO).await.expect("it is open");
    assert_eq!(decided.status, ConflictStatus::Split);
    assert_eq!(state(&world, known).await, State::Active { rights: Rights::Full }, "the new key is not the copied one");
    conflicts::undo(&world.app, &ADMIN, id).await.expect("within thirty days");
    assert_eq!(state(&world, known).await, State::Active { rights: Rights::Full });
}

#[tokio::test]
async fn of_two_records_the_one_that_was_heard_of_last_stays_unless_the_admin_chooses() {
    for chosen in [false, true] {
        let (world, text, _) = with_token().await;
        let machine = Machine::new(&world, "laptop").of("anna");
        let old = machine.by_password(&world, ANNA, GOOD).bound().await.device;
        world.clock.advance(Span::minutes(1));
        let new = machine.again(&world).by_token(&world, &text).bound().await.device;
        let found = conflict(&world).await.expect("two records of one machine");
        assert_eq!((found.device.device, found.merge_keeps), (old, Some(new)), "re-imaged: it lives there");
        let keep = chosen.then_some(old);
        let stranger = Decision::Merge { keep: Some(DeviceId::from_bytes([9; 16])) };
        assert_eq!(code(conflicts::resolve(&world.app, &ADMIN, found.id, stranger).await), "decision_unfit");
        conflicts::resolve(&world.app, &ADMIN, found.id, Decision::Merge { keep }).await.expect("one user");
        let (stays, goes) = if chosen { (old, new) } else { (new, old) };
        assert!(matches!(state(&world, stays).await, State::Active { .. }), "{chosen}");
        assert!(matches!(state(&world, goes).await, State::Suspended { .. }), "{chosen}");
        conflicts::undo(&world.app, &ADMIN, found.id).await.expect("within thirty days");
        assert!(matches!(state(&world, goes).await, State::Active { .. }), "{chosen}");
    }
}

#[tokio::test]
async fn a_merged_record_leaves_its_campaign() {
    let world = World::new().await;
    let (keep, other) = (world.device(1).await.actor.device, world.device(2).await.actor.device);
    let id = campaign(&world).await;
    conflicts::merge(&world.app, &ADMIN, keep, other).await.expect("one user");
    assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Offline, 1), (Place::Retired, 1)]));
}

#[tokio::test]
async fn who_comes_back_by_a_token_alone_is_unproved_until_somebody_stands_for_it() {
    for approved in [false, true] {
        let (world, text, _) = with_token().await;
        let machine = Machine::new(&world, "laptop").of("anna");
        let device = machine.by_password(&world, ANNA, GOOD).bound().await.device;
        let id = campaign(&world).await;
        let impostor = machine.again(&world);
        impostor.by_token(&world, &text).bound().await;
        assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Unproved, 1)]));
        world.clock.advance(Span::minutes(2));
        tick(&world).await;
        let running = campaigns::get(&world.app, &ADMIN, id).await.expect("there").status;
        assert_eq!(running, control::campaign::Status::Running, "it is awaited");
        // Its new key is whose it is, whoever that may be; and a reset that is taken back says nothing of that.
        let next = impostor.again(&world);
        next.ask(&world, "", Claim::OldKey).old_key(device, &impostor).bound().await;
        let hold = Event::Hold { append_until: world.app.clock.now() + Span::days(1) };
        devices::change(&world.app, &ADMIN, device, hold).await.expect("in service");
        devices::change(&world.app, &ADMIN, device, Event::Reactivate { proof: control::Proof::Admin })
            .await
            .expect("held");
        assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Unproved, 1)]), "and as unproved as before");
        if approved {
            desk::approve(&world.app, &ADMIN, device).await.expect("append-only");
        } else {
            machine.again(&world).by_password(&world, ANNA, GOOD).bound().await;
        }
        assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Done, 1)]), "{approved}");
        let board = campaigns::board(&world.app, &ADMIN, id).await.expect("there");
        assert_eq!(board.vouched, u64::from(approved), "the device itself has shown nothing");
    }
}

#[tokio::test]
async fn a_copied_key_and_a_token_close_no_campaign() {
    for decided in [false, true] {
        let (world, text, _) = with_token().await;
        let machine = Machine::new(&world, "laptop").of("anna");
        let known = machine.by_password(&world, ANNA, GOOD).bound().await.device;
        let id = campaign(&world).await;
        devices::change(&world.app, &ADMIN, known, Event::Deactivate { level: Level::Distrust })
            .await
            .expect("stricter");
        machine.again(&world).by_token(&world, &text).old_key(known, &machine).bound().await;
        assert_eq!(state(&world, known).await, State::Active { rights: Rights::AppendOnly });
        assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Unproved, 1)]));
        if decided {
            machine.again(&world).by_password(&world, ANNA, GOOD).bound().await;
            assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Done, 1)]));
        }
        tick(&world).await;
        let status = campaigns::get(&world.app, &ADMIN, id).await.expect("there").status;
        let awaited = status == control::campaign::Status::Running;
        assert_eq!(awaited, !decided, "{status:?}");
    }
}

#[tokio::test]
async fn a_key_that_its_machine_has_erased_proves_nothing_beside_a_token() {
    let (world, text, _) = with_token().await;
    let machine = Machine::new(&world, "laptop").of("anna");
    let known = machine.by_password(&world, ANNA, GOOD).bound().await.device;
    let id = started(&world, Plan { wave_span: Span::ZERO, ..plan(Reset::Hold) }).await;
    tick(&world).await;
    devices::order(&world.app, &ADMIN, known, DeviceOrder::Decommission).await.expect("held");
    let device = machine.device(&world, known).await;
    devices::wiped(&world.app, &device.actor).await.expect("it was told to");
    assert_eq!(state(&world, known).await, State::Decommissioned);
    machine.again(&world).by_token(&world, &text).old_key(known, &machine).bound().await;
    assert_eq!(state(&world, known).await, State::Active { rights: Rights::AppendOnly });
    assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Unproved, 1)]));
}

#[tokio::test]
async fn a_device_that_its_token_keeps_out_is_refused_on_the_board_and_a_stranger_marks_nobody() {
    let (world, text, token) = with_token().await;
    let machine = Machine::new(&world, "laptop").of("anna");
    let device = machine.by_password(&world, ANNA, GOOD).bound().await.device;
    // It was heard of by the activation, and not since the reset.
    world.clock.advance(Span::minutes(1));
    let id = campaign(&world).await;
    revoke(&world.app, &ADMIN, token).await.expect("it is in force");
    let stranger = machine.again(&world).by_token(&world, &text);
    assert_eq!(stranger.refused().await, "token_revoked");
    assert_eq!(places(&world, id).await, BTreeMap::from([(Place::Offline, 1)]), "anybody can say so");
    let known = machine.again(&world).by_token(&world, &text).old_key(device, &machine);
    assert_eq!(known.refused().await, "token_revoked");
    let board = campaigns::board_page(&world.app, &ADMIN, id, None, &world.all()).await.expect("there").items;
    assert_eq!((board[0].place, board[0].note.as_str()), (Place::Refused, "token_revoked"));
    let wrong = machine.again(&world).by_password(&world, ANNA, "wrong horse").old_key(device, &machine);
    assert_eq!(wrong.refused().await, "wrong_credentials");
    let board = campaigns::board_page(&world.app, &ADMIN, id, None, &world.all()).await.expect("there").items;
    assert_eq!(board[0].note, "wrong_credentials");
}

#[tokio::test]
async fn a_record_that_nobody_has_asked_for_is_listed_waited_for_and_refused() {
    let (world, text, _) = with_token().await;
    world.policy("token_waits", "yes").await;
    let machine = Machine::new(&world, "laptop").of("anna");
    let asking = machine.by_token(&world, &text);
    asking.answer().await.expect("it waits");
    let listed = async || desk::pending(&world.app, &ADMIN, &world.all()).await.expect("readable").items;
    let device = listed().await[0].device.id;
    desk::refuse(&world.app, &ADMIN, device, "not ours").await.expect("it waits");
    devices::order(&world.app, &ADMIN, device, DeviceOrder::Undelete).await.expect("a second thought");
    let unasked = listed().await;
    assert_eq!((unasked[0].device.id, unasked[0].came.is_none()), (device, true), "{unasked:?}");
    assert_eq!(code(desk::approve(&world.app, &ADMIN, device).await), "nobody_waits");
    let next = machine.again(&world).by_token(&world, &text);
    next.answer().await.expect("it waits");
    let asked = listed().await;
    assert_eq!((asked.len(), asked[0].device.id, asked[0].came.is_some()), (1, device, true));
    desk::approve(&world.app, &ADMIN, device).await.expect("it waits");
    assert_eq!(next.bound().await.device, device);
    // One that an admin has prepared goes by a no.
    let (copied, id) = copied(&world, 7).await;
    let split = Decision::TwoMachines { other_user: Some(copied.actor.user) };
    let prepared = conflicts::resolve(&world.app, &ADMIN, id, split).await.expect("open").other.expect("made").device;
    assert_eq!(listed().await.iter().map(|row| row.device.id).collect::<Vec<_>>(), [prepared]);
    desk::refuse(&world.app, &ADMIN, prepared, "not needed").await.expect("it is pending");
    assert!(listed().await.is_empty());
}

#[tokio::test]
async fn the_desk_shows_by_what_a_record_was_taken_over_and_what_is_different() {
    let (world, text, token) = with_token().await;
    let machine = Machine::new(&world, "laptop").of("anna");
    let device = machine.by_password(&world, ANNA, GOOD).bound().await.device;
    let seen = machine.device(&world, device).await;
    open(&world, &seen, None).await.expect("a session");
    let seen_at = world.clock_now();
    cut(&world, device).await;
    world.clock.advance(Span::days(2));
    let mut other = machine.again(&world);
    other.about.os_user = "anna".to_owned();
    other.about.hardware_uuid = "another".to_owned();
    other.by_token(&world, &text).from("192.0.2.66").bound().await;
    let listed = desk::append_only(&world.app, &ADMIN, &world.all()).await.expect("readable").items;
    let came = listed[0].came.clone().expect("it was activated");
    assert_eq!((came.proof.as_str(), came.source.as_str()), ("token", "192.0.2.66"));
    assert_eq!((came.token, came.at), (Some((token, "spring".to_owned())), world.clock_now()));
    let former = came.former.expect("it had a machine before");
    assert_eq!((former.device, former.about, former.seen_at), (device, machine.about.clone(), Some(seen_at)));
    assert_eq!(former.differs, ["hardware_uuid"]);
}

#[tokio::test]
async fn a_device_is_heard_of_by_every_activation() {
    let (world, text, _) = with_token().await;
    let seen = async |device| {
        let view = devices::get(&world.app, &ADMIN, device).await.expect("it is there");
        (view.last_seen_at, view.activated_at)
    };
    let machine = Machine::new(&world, "laptop").of("anna");
    let device = machine.by_password(&world, ANNA, GOOD).bound().await.device;
    assert_eq!(seen(device).await, (Some(world.clock_now()), world.clock_now()));
    cut(&world, device).await;
    world.clock.advance(Span::days(2));
    let back = machine.again(&world).by_token(&world, &text).bound().await.device;
    assert_eq!((back, seen(device).await), (device, (Some(world.clock_now()), world.clock_now())));
}

#[tokio::test]
async fn a_clock_that_was_set_back_leaves_no_quarantine_without_a_way_out() {
    let world = World::new().await;
    let device = world.device(1).await;
    // By the clock of another server, or by one that was set back, the key was bound after the conflict is seen.
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let later = world.clock_now() + Span::minutes(30);
    db::testing::device_put(&mut tx, device.actor.device, |row| row.activated_at = later).await;
    tx.commit().await.expect("nothing stands against it");
    copy_seen(&world, &device).await;
    let id = conflict(&world).await.expect("seen").id;
    conflicts::resolve(&world.app, &ADMIN, id, TWO).await.expect("it is open");
    let cut = State::Deactivated { rights: Rights::Full, level: Level::Distrust };
    assert_eq!(state(&world, device.actor.device).await, cut, "a quarantined key is one that both have");
}
