//! A copied disk that comes back by its key instead of opening sessions, and what must not be taken for one: answers
//! that were lost, a person, a machine that has newer keys.

use super::machine::{ADMIN, Machine, SOURCE};
use super::world::World;
use app::activation::{Claim, Outcome};
use app::page::PageAsk;
use app::tokens::{Wish, make};
use app::{ConflictStatus, conflicts, devices};
use base::{DeviceId, Span};
use control::{Event, Level, Rights, State};

const ANNA: &str = "anna@example.org";
const GOOD: &str = "correct horse battery";

/// A machine that is activated and has opened sessions: its record, and the counters that it was given.
async fn original(world: &World) -> (Machine, DeviceId, Vec<[u8; 56]>) {
    world.person(ANNA, Some(GOOD)).await;
    let machine = Machine::new(world, "laptop");
    let bound = machine.by_password(world, ANNA, GOOD).bound().await;
    let mut counters = vec![bound.counter];
    for _ in 0..3 {
        let next = machine.open(world, bound.device, counters.last().copied()).await.expect("its own key");
        counters.push(next);
    }
    (machine, bound.device, counters)
}

async fn open_conflicts(world: &World) -> Vec<conflicts::Conflict> {
    conflicts::page(&world.app, &ADMIN, true, &PageAsk::first()).await.expect("readable").items
}

/// Who has done this to the device last, from where and by which proof.
async fn written(world: &World, device: DeviceId, action: &str) -> (String, String, String) {
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable").into_iter().rev();
    let row = rows.filter(|row| row.subject == device.to_string()).find(|row| row.action == action);
    let row = row.expect("it is written down");
    (row.actor, row.source, row.proof)
}

async fn state(world: &World, device: DeviceId) -> State {
    world.record(device).await.state
}

#[tokio::test]
async fn a_copy_whose_counter_was_overtaken_does_not_take_the_record_over_by_its_key() {
    for token in [false, true] {
        let world = World::quick().await;
        let (machine, device, counters) = original(&world).await;
        let wish = Wish { name: "installer".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
        let made = make(&world.app, &ADMIN, &wish).await.expect("a good wish");
        let copy = machine.again(&world);
        let claim = if token { Claim::Token(made.text) } else { Claim::OldKey };
        let asked = copy.ask(&world, "", claim).old_key_with(device, &machine, Some(counters[0]));
        assert_eq!(asked.refused().await, "device_quarantined");
        assert!(matches!(state(&world, device).await, State::Quarantined { .. }));
        assert_eq!(world.record(device).await.epoch, 1, "nothing was bound");
        let (by, proof) = match token {
            true => (format!("token {}", made.token.id), "old_key_and_token"),
            false => (format!("user {}", world.record(device).await.user), "old_key"),
        };
        let deed = (by, SOURCE.to_owned(), proof.to_owned());
        assert_eq!(written(&world, device, "device_conflict").await, deed, "the alarm is the activation's deed");
        let [found] = open_conflicts(&world).await.try_into().expect("one conflict");
        assert_eq!((found.device.device, found.source.as_str(), found.times), (device, SOURCE, 1));
        assert_eq!(asked.refused().await, "device_quarantined", "and again");
        machine.open(&world, device, counters.last().copied()).await.expect("the original appends as before");
        assert_eq!(open_conflicts(&world).await[0].times, 1, "and is no other machine");
    }
}

#[tokio::test]
async fn a_second_record_of_a_machine_is_the_deed_of_the_activation_that_made_it() {
    let world = World::quick().await;
    let (machine, device, _) = original(&world).await;
    let wish = Wish { name: "installer".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
    let made = make(&world.app, &ADMIN, &wish).await.expect("a good wish");
    let twin = machine.again(&world).of("anna").by_token(&world, &made.text).from("192.0.2.9").bound().await.device;
    assert_ne!(twin, device);
    let deed = (format!("token {}", made.token.id), "192.0.2.9".to_owned(), "token".to_owned());
    assert_eq!(written(&world, device, "conflict_open").await, deed);
}

#[tokio::test]
async fn a_state_without_a_counter_is_a_copy_once_one_was_presented() {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    let machine = Machine::new(&world, "laptop");
    let bound = machine.by_password(&world, ANNA, GOOD).bound().await;
    let next = machine.again(&world);
    let back = next.ask(&world, "", Claim::OldKey).old_key(bound.device, &machine).bound().await;
    assert_eq!((back.device, back.outcome), (bound.device, Outcome::Reactivated), "no program has kept any");
    next.open(&world, bound.device, Some(back.counter)).await.expect("its own key");
    let thief = next.again(&world);
    let asked = thief.ask(&world, "", Claim::OldKey).old_key(bound.device, &next);
    assert_eq!(asked.refused().await, "device_quarantined");
}

#[tokio::test]
async fn a_copy_of_a_device_that_was_cut_off_leaves_its_key_worth_nothing() {
    let world = World::quick().await;
    let (machine, device, counters) = original(&world).await;
    let reset = Event::Deactivate { level: Level::Rotate };
    devices::change(&world.app, &ADMIN, device, reset).await.expect("it is active");
    let copy = machine.again(&world);
    let asked = copy.ask(&world, "", Claim::OldKey).old_key_with(device, &machine, Some(counters[0]));
    assert_eq!(asked.refused().await, "sign_in_needed");
    assert_eq!(state(&world, device).await, State::Deactivated { rights: Rights::Full, level: Level::Distrust });
    assert_eq!(open_conflicts(&world).await.len(), 1);
    let next = machine.again(&world);
    let last = counters.last().copied();
    let asked = next.ask(&world, "", Claim::OldKey).old_key_with(device, &machine, last);
    assert_eq!(asked.refused().await, "sign_in_needed", "two machines with one key prove nothing by it");
    let back = next.by_password(&world, ANNA, GOOD).old_key_with(device, &machine, last).bound().await;
    assert_eq!((back.device, back.rights), (device, Rights::Full), "its user does");
}

#[tokio::test]
async fn a_copy_that_came_first_is_found_when_the_original_comes_back() {
    let world = World::quick().await;
    let (machine, device, counters) = original(&world).await;
    let last = counters.last().copied();
    let copy = machine.again(&world);
    let thief = copy.ask(&world, "", Claim::OldKey).old_key_with(device, &machine, last).bound().await;
    assert_eq!(machine.open(&world, device, last).await, Err("signature_invalid"));
    assert!(open_conflicts(&world).await.is_empty(), "as long as nobody uses the new key, its answer may be lost");
    let next = copy.open(&world, device, Some(thief.counter)).await.expect("the key that is bound");
    assert_eq!(machine.open(&world, device, None).await, Err("signature_invalid"));
    assert!(open_conflicts(&world).await.is_empty(), "a machine with newer keys has no counter of the older one");
    assert_eq!(machine.open(&world, device, last).await, Err("signature_invalid"));
    assert!(matches!(state(&world, device).await, State::Quarantined { .. }));
    assert_eq!(open_conflicts(&world).await.len(), 1);
    copy.open(&world, device, Some(next)).await.expect("it appends");
    // By an activation it is found as well, through any number of keys.
    let world = World::quick().await;
    let (machine, device, counters) = original(&world).await;
    let (mut old, mut counter) = (machine.again(&world), counters.last().copied());
    let first = old.ask(&world, "", Claim::OldKey).old_key_with(device, &machine, counter).bound().await;
    counter = Some(first.counter);
    for _ in 0..12 {
        let next = old.again(&world);
        let bound = next.ask(&world, "", Claim::OldKey).old_key_with(device, &old, counter).bound().await;
        (old, counter) = (next, Some(bound.counter));
    }
    old.open(&world, device, counter).await.expect("the key that is bound");
    let asked = machine.again(&world);
    let asked = asked.ask(&world, "", Claim::OldKey).old_key_with(device, &machine, counters.last().copied());
    world.clock.advance(Span::ms(1));
    assert_eq!(asked.refused().await, "signature_invalid");
    assert!(matches!(state(&world, device).await, State::Quarantined { .. }));
}

#[tokio::test]
async fn a_lost_answer_is_no_second_machine() {
    let world = World::quick().await;
    let (machine, device, counters) = original(&world).await;
    // The answer to the last session was lost, and so is the one to the activation.
    let before_last = counters.iter().rev().nth(1).copied();
    let next = machine.again(&world);
    let asked = next.ask(&world, "", Claim::OldKey).old_key_with(device, &machine, before_last);
    let lost = asked.bound().await;
    for _ in 0..3 {
        assert_eq!(machine.open(&world, device, before_last).await, Err("signature_invalid"));
    }
    let again = asked.bound().await;
    assert_eq!(again, lost, "the same request, the same answer");
    let counter = next.open(&world, device, Some(again.counter)).await.expect("the new key");
    next.open(&world, device, Some(counter)).await.expect("and on");
    assert_eq!(asked.bound().await, lost, "however late");
    assert!(open_conflicts(&world).await.is_empty());
}

#[tokio::test]
async fn a_person_is_worth_more_than_a_counter_and_ends_the_matter() {
    let world = World::quick().await;
    let (machine, device, counters) = original(&world).await;
    let next = machine.again(&world);
    let back = next.by_password(&world, ANNA, GOOD).old_key_with(device, &machine, Some(counters[0])).bound().await;
    assert_eq!(back.device, device);
    next.open(&world, device, Some(back.counter)).await.expect("the new key");
    assert_eq!(machine.open(&world, device, counters.last().copied()).await, Err("signature_invalid"));
    let asked = machine.again(&world);
    let asked = asked.ask(&world, "", Claim::OldKey).old_key_with(device, &machine, counters.last().copied());
    assert_eq!(asked.refused().await, "signature_invalid");
    assert!(open_conflicts(&world).await.is_empty(), "somebody has vouched for the newer key");
}

#[tokio::test]
async fn an_admin_who_has_seen_one_machine_lets_whichever_comes_first_go_on() {
    let world = World::quick().await;
    let (machine, device, counters) = original(&world).await;
    let restored = machine.again(&world);
    let asked = restored.ask(&world, "", Claim::OldKey).old_key_with(device, &machine, Some(counters[0]));
    assert_eq!(asked.refused().await, "device_quarantined");
    let id = open_conflicts(&world).await[0].id;
    let decided = conflicts::resolve(&world.app, &ADMIN, id, conflicts::Decision::OneMachine).await.expect("open");
    assert_eq!(decided.status, ConflictStatus::Merged);
    assert_eq!(asked.bound().await.device, device, "the same request");
}

#[tokio::test]
async fn what_came_between_the_look_and_the_session_is_looked_at_again() {
    let world = World::quick().await;
    let (machine, device, counters) = original(&world).await;
    let last = counters.last().copied();
    // Another server has bound another key: what this one remembers is older.
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    db::testing::device_put(&mut tx, device, |row| row.epoch = 2).await;
    tx.commit().await.expect("nothing stands against it");
    assert_eq!(machine.open(&world, device, last).await, Err("signature_invalid"));
    assert!(open_conflicts(&world).await.is_empty(), "its counter is not judged by the line of another key");
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let suspended = State::Suspended { was: Box::new(State::Active { rights: Rights::Full }) };
    db::testing::device_put(&mut tx, device, |row| (row.epoch, row.state) = (1, suspended)).await;
    tx.commit().await.expect("nothing stands against it");
    assert_eq!(machine.open(&world, device, last).await, Err("device_suspended"));
}
