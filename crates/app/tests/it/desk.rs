//! The desk: what waits, what a yes and a no do, and that nothing comes in beside it. And the questions.

use super::machine::{ADMIN, Machine};
use super::world::{World, code};
use app::activation::{Answer, Outcome, Waiting};
use app::conflicts::{self, Decision};
use app::desk::{append_only, approve, pending, refuse};
use app::devices::{self, DeviceOrder};
use app::tokens::{Wish, get, make};
use app::{AppError, SecretText};
use base::{Count, DeviceId, Span, TokenId};
use control::activation::{Choice, Restore};
use control::{Event, Refusal, Rights, State};

const ANNA: &str = "anna@example.org";
const GOOD: &str = "correct horse battery";

async fn world() -> (World, SecretText, TokenId) {
    let world = World::quick().await;
    world.person(ANNA, Some(GOOD)).await;
    world.policy("token_waits", "yes").await;
    let wish = Wish { name: "i".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
    let made = make(&world.app, &ADMIN, &wish).await.expect("a good wish");
    (world, made.text, made.token.id)
}

fn waits(answer: Result<Answer, AppError>) -> DeviceId {
    match answer.expect("it waits") {
        Answer::Waiting(Waiting { device, left }) if left == Span::minutes(5) => device,
        answer => panic!("does not wait: {answer:?}"),
    }
}

#[tokio::test]
async fn a_record_waits_until_an_admin_says_yes_and_the_same_request_is_answered() {
    let (world, text, token) = world().await;
    let machine = Machine::new(&world, "laptop").of("anna");
    let asking = machine.by_token(&world, &text).restore(&machine, Restore::All);
    let device = waits(asking.answer().await);
    assert_eq!(waits(asking.answer().await), device, "the same record");
    assert_eq!(world.record(device).await.state, State::Pending);
    let listed = pending(&world.app, &ADMIN, &world.all()).await.expect("readable").items;
    let [one] = listed.as_slice() else { panic!("{listed:?}") };
    let came = one.came.as_ref().expect("it was asked for");
    assert_eq!((one.device.user.as_str(), came.token.clone()), (ANNA, Some((token, "i".to_owned()))));
    assert_eq!((came.proof.as_str(), one.device.about.serial.as_str()), ("token", "SN-laptop"));
    assert_eq!((came.source.as_str(), came.former.clone()), ("192.0.2.1", None));
    let other = machine.again(&world);
    assert_eq!(other.by_token(&world, &text).refused().await, "device_pending", "another request of the machine");
    approve(&world.app, &ADMIN, device).await.expect("it waits");
    let bound = asking.bound().await;
    assert_eq!((bound.device, bound.epoch, bound.rights), (device, 1, Rights::Full));
    assert_eq!((bound.outcome, bound.restore), (Outcome::New, Restore::All));
    assert!(pending(&world.app, &ADMIN, &world.all()).await.expect("readable").items.is_empty());
    assert_eq!(get(&world.app, &ADMIN, token).await.expect("there").uses, Count(1), "one use in all");
}

#[tokio::test]
async fn a_no_deletes_the_record_and_the_endpoint_shows_the_reason() {
    let (world, text, _) = world().await;
    let machine = Machine::new(&world, "laptop").of("anna");
    let asking = machine.by_token(&world, &text);
    let device = waits(asking.answer().await);
    assert_eq!(code(refuse(&world.app, &ADMIN, device, " \n").await), "reason_invalid");
    refuse(&world.app, &ADMIN, device, "Not one of ours").await.expect("it waits");
    match asking.answer().await.expect_err("refused") {
        AppError::Refused(Refusal::ActivationRefused { reason }) => assert_eq!(reason, "Not one of ours"),
        error => panic!("{error}"),
    }
    assert_eq!(world.record(device).await.state.word(), "deleted");
    assert_eq!(code(refuse(&world.app, &ADMIN, device, "Again").await), "nobody_waits");
    assert_eq!(code(approve(&world.app, &ADMIN, device).await), "wrong_state");
    let again = waits(machine.again(&world).by_token(&world, &text).answer().await);
    assert_ne!(again, device, "a machine that asks anew waits anew");
}

#[tokio::test]
async fn a_key_that_waits_is_nobody_elses_and_a_changed_request_is_refused() {
    let (world, text, _) = world().await;
    let machine = Machine::new(&world, "laptop").of("anna");
    let mut asking = machine.by_token(&world, &text);
    waits(asking.answer().await);
    asking.activation.about.host_name = "another".to_owned();
    assert_eq!(asking.refused().await, "key_in_use");
    assert_eq!(machine.by_password(&world, ANNA, GOOD).refused().await, "key_in_use");
}

#[tokio::test]
async fn a_person_who_signs_in_need_not_wait_and_takes_the_record_that_does() {
    let (world, text, _) = world().await;
    let machine = Machine::new(&world, "laptop").of("anna");
    let asking = machine.by_token(&world, &text);
    let device = waits(asking.answer().await);
    let next = machine.again(&world);
    let bound = next.by_password(&world, ANNA, GOOD).bound().await;
    assert_eq!((bound.device, bound.rights), (device, Rights::Full));
    assert!(pending(&world.app, &ADMIN, &world.all()).await.expect("readable").items.is_empty());
    assert_eq!(code(approve(&world.app, &ADMIN, device).await), "nothing_to_change");
    // The request that waited is one like any other now: a token does not take over what is in service.
    let late = waits(asking.answer().await);
    assert_ne!(late, device, "it waits as a further record");
}

#[tokio::test]
async fn a_record_that_waits_beside_one_of_its_machine_is_on_the_conflict_desk_and_merged_it_is_not_approved() {
    let (world, text, _) = world().await;
    let machine = Machine::new(&world, "laptop").of("anna");
    let known = machine.by_password(&world, ANNA, GOOD).bound().await.device;
    let asking = machine.again(&world).by_token(&world, &text);
    let device = waits(asking.answer().await);
    let open = conflicts::page(&world.app, &ADMIN, true, &world.all()).await.expect("readable").items;
    let [conflict] = open.as_slice() else { panic!("{open:?}") };
    let other = conflict.other.as_ref().map(|other| (other.device, other.state.clone()));
    assert_eq!((conflict.device.device, other), (known, Some((device, State::Pending))));
    conflicts::resolve(&world.app, &ADMIN, conflict.id, Decision::Merge { keep: None }).await.expect("one machine");
    assert_eq!(code(approve(&world.app, &ADMIN, device).await), "device_merged");
    let ordered = devices::order(&world.app, &ADMIN, device, DeviceOrder::Approve).await;
    assert_eq!(code(ordered), "device_merged");
    assert_eq!((world.record(device).await.state, waits(asking.answer().await)), (State::Pending, device));
    conflicts::undo(&world.app, &ADMIN, conflict.id).await.expect("within thirty days");
    approve(&world.app, &ADMIN, device).await.expect("it waits");
    assert_eq!(asking.bound().await.device, device);
}

#[tokio::test]
async fn a_record_that_is_deleted_in_another_way_waits_no_longer() {
    let (world, text, _) = world().await;
    let asking = Machine::new(&world, "laptop").of("anna").by_token(&world, &text).activation;
    let answer = app::activation::activate(&world.app, &asking).await;
    let device = waits(answer);
    let delete = Event::Delete { purge_after: world.app.clock.now() + Span::days(7) };
    app::devices::change(&world.app, &ADMIN, device, delete).await.expect("granted");
    assert_eq!(code(app::activation::activate(&world.app, &asking).await), "device_deleted");
    assert!(pending(&world.app, &ADMIN, &world.all()).await.expect("readable").items.is_empty());
}

#[tokio::test]
async fn append_only_devices_are_listed_and_approved_to_full_rights() {
    let (world, text, _) = world().await;
    world.policy("token_waits", "no").await;
    let bound = Machine::new(&world, "laptop").of("anna").by_token(&world, &text).bound().await;
    let listed = append_only(&world.app, &ADMIN, &world.all()).await.expect("readable").items;
    assert_eq!(listed.iter().map(|row| row.device.id).collect::<Vec<_>>(), [bound.device]);
    let approved = app::devices::change(&world.app, &ADMIN, bound.device, Event::Approve).await.expect("granted");
    assert_eq!(approved.state, State::Active { rights: Rights::Full });
    assert_eq!(approved.epoch, 1, "the credential stays");
    assert!(append_only(&world.app, &ADMIN, &world.all()).await.expect("readable").items.is_empty());
    assert_eq!(code(approve(&world.app, &ADMIN, DeviceId::from_bytes([9; 16])).await), "device_unknown");
}

#[tokio::test]
async fn a_question_lists_what_may_be_replaced_and_binds_nothing() {
    let (world, _, _) = world().await;
    let old = Machine::new(&world, "old").by_password(&world, ANNA, GOOD).bound().await;
    let machine = Machine::new(&world, "new");
    let asking = machine.by_password(&world, ANNA, GOOD).asks(&machine);
    for _ in 0..12 {
        let Answer::Question(question) = asking.answer().await.expect("a question") else { panic!("bound") };
        let [only] = question.replaceable.as_slice() else { panic!("{question:?}") };
        assert_eq!((only.device, only.name.as_str(), only.state), (old.device, "old", "active"));
        assert_eq!((only.serial.as_str(), only.snapshots, only.last_backup_at), ("SN-old", Count(0), None));
        assert_eq!((question.suggestion, question.adding_refused), (Choice::AddNew, None));
    }
    world.policy("first_device_only", "yes").await;
    let Answer::Question(question) = asking.answer().await.expect("a question") else { panic!("bound") };
    assert_eq!(question.suggestion, Choice::Replace(old.device));
    assert!(question.adding_refused.expect("one is enough").starts_with("Only the first device"));
    let chosen = machine.by_password(&world, ANNA, GOOD).choice(&machine, Choice::Replace(old.device));
    assert_eq!(chosen.bound().await.device, old.device);
}

#[tokio::test]
async fn a_limit_counts_what_waits() {
    let (world, text, _) = world().await;
    world.policy("device_limit", "1").await;
    waits(Machine::new(&world, "one").of("anna").by_token(&world, &text).answer().await);
    let two = Machine::new(&world, "two").of("anna");
    assert_eq!(two.by_token(&world, &text).refused().await, "device_limit");
    assert_eq!(two.by_password(&world, ANNA, GOOD).refused().await, "device_limit");
}

#[tokio::test]
async fn a_machine_without_a_serial_number_comes_back_as_itself_with_its_old_key() {
    let (world, _, _) = world().await;
    let mut machine = Machine::new(&world, "laptop");
    machine.about.serial = String::new();
    machine.about.hardware_uuid = String::new();
    let first = machine.by_password(&world, ANNA, GOOD).bound().await;
    let cut = Event::Deactivate { level: control::Level::Revoke };
    app::devices::change(&world.app, &ADMIN, first.device, cut).await.expect("granted");
    let next = machine.again(&world);
    let back = next.by_password(&world, ANNA, GOOD).old_key(first.device, &machine).bound().await;
    assert_eq!((back.device, back.outcome), (first.device, Outcome::Reactivated));
    // A key that is not the newest proves nothing, and does no harm beside a password.
    let third = machine.again(&world);
    let stale = third.by_password(&world, ANNA, GOOD).old_key(first.device, &machine).bound().await;
    assert_eq!((stale.device, stale.outcome), (first.device, Outcome::Replaced), "by its name");
    let alone = third.again(&world).ask(&world, "", app::activation::Claim::OldKey).old_key(first.device, &machine);
    assert_eq!(alone.refused().await, "signature_invalid");
}

#[tokio::test]
async fn a_source_activates_so_many_a_minute_and_what_it_asks_twice_is_one() {
    let clock = std::sync::Arc::new(base::ManualClock::at(base::Timestamp::from_ms(0)));
    let text = "password.memory_mib = 1\npassword.passes = 1\nactivation.per_source_minute = 2";
    let config = app::Config::parse(text).expect("good text");
    let world = World::with(clock.clone(), clock, config).await;
    world.person(ANNA, Some(GOOD)).await;
    let one = Machine::new(&world, "one");
    let asking = one.by_password(&world, ANNA, GOOD);
    asking.bound().await;
    asking.bound().await;
    Machine::new(&world, "two").by_password(&world, ANNA, GOOD).bound().await;
    let three = Machine::new(&world, "three");
    assert_eq!(three.by_password(&world, ANNA, GOOD).refused().await, "too_many_requests");
    three.by_password(&world, ANNA, GOOD).from("192.0.2.2").bound().await;
    world.clock.advance(Span::minutes(1));
    three.again(&world).by_password(&world, ANNA, GOOD).bound().await;
}
