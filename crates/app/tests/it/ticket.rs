//! Tickets: for one user, once, until they end; and what who guesses them learns.

use super::machine::{ADMIN, Machine};
use super::world::{World, code};
use app::activation::{Answer, Outcome};
use app::tickets::{TicketRow, TicketWay, Wish, make, revoke};
use base::{DeviceId, Span};
use control::Rights;
use control::activation::{Choice, Preview, Restore};
use control::ticket::Code;

const ANNA: &str = "anna@example.org";

/// A ticket that was shown.
struct Shown {
    ticket: TicketRow,
    code: Code,
}

async fn ticket(world: &World, choice: Choice, restore: Restore) -> Shown {
    let wish = Wish { email: ANNA.to_owned(), choice, restore, span: None, show: false };
    let made = make(&world.app, &ADMIN, &wish).await.expect("a user");
    let TicketWay::Shown { code, .. } = made.way else { panic!("there is no mail server") };
    Shown { ticket: made.ticket, code }
}

#[tokio::test]
async fn a_ticket_is_a_person_once_and_brings_back_what_the_admin_said() {
    let world = World::quick().await;
    world.person(ANNA, None).await;
    let made = ticket(&world, Choice::Auto, Restore::Data).await;
    let machine = Machine::new(&world, "laptop");
    let asking = machine.by_ticket(&world, &made.code.to_text().to_lowercase());
    let bound = asking.bound().await;
    assert_eq!((bound.rights, bound.outcome, bound.restore), (Rights::Full, Outcome::New, Restore::Data));
    assert_eq!(asking.bound().await, bound, "a lost answer is given again");
    let other = Machine::new(&world, "other");
    assert_eq!(other.by_ticket(&world, &made.code.to_text()).refused().await, "ticket_invalid");
    let theirs = ticket(&world, Choice::Auto, Restore::All).await;
    let wish = other.by_ticket(&world, &theirs.code.to_text()).restore(&other, Restore::None);
    assert_eq!(wish.bound().await.restore, Restore::None, "the user's own wish goes first");
}

#[tokio::test]
async fn a_ticket_replaces_the_record_that_it_names_and_adds_one_when_it_says_so() {
    let world = World::quick().await;
    world.person(ANNA, None).await;
    let first = Machine::new(&world, "old");
    let old = first.by_ticket(&world, &ticket(&world, Choice::Auto, Restore::None).await.code.to_text()).bound().await;
    let next = Machine::new(&world, "new");
    let replaces = ticket(&world, Choice::Replace(old.device), Restore::None).await.code.to_text();
    let replaced = next.by_ticket(&world, &replaces).bound().await;
    assert_eq!((replaced.device, replaced.epoch, replaced.outcome), (old.device, 2, Outcome::Replaced));
    let adds = ticket(&world, Choice::AddNew, Restore::None).await.code.to_text();
    let added = next.again(&world).by_ticket(&world, &adds).bound().await;
    assert_ne!(added.device, old.device);
}

#[tokio::test]
async fn unknown_used_revoked_expired_and_anothers_tickets_say_the_same() {
    let world = World::quick().await;
    world.person(ANNA, None).await;
    world.person("ben@example.org", None).await;
    let machine = Machine::new(&world, "laptop");
    let used = ticket(&world, Choice::Auto, Restore::None).await;
    machine.by_ticket(&world, &used.code.to_text()).bound().await;
    let revoked = ticket(&world, Choice::Auto, Restore::None).await;
    revoke(&world.app, &ADMIN, revoked.ticket.id).await.expect("good until now");
    let expired = ticket(&world, Choice::Auto, Restore::None).await;
    world.clock.advance(Span::days(7));
    let good = ticket(&world, Choice::Auto, Restore::None).await;
    let next = machine.again(&world);
    let mut seen = Vec::new();
    for text in ["HT-0000-0000-0000-0000", "nonsense", ""] {
        seen.push(next.by_ticket(&world, text).answer().await.expect_err("unknown").to_string());
    }
    for made in [&used, &revoked, &expired] {
        seen.push(next.by_ticket(&world, &made.code.to_text()).answer().await.expect_err("ended").to_string());
    }
    let mut theirs = next.by_ticket(&world, &good.code.to_text());
    theirs.activation.email = "ben@example.org".to_owned();
    seen.push(theirs.answer().await.expect_err("for Anna").to_string());
    assert!(seen.iter().all(|sentence| *sentence == seen[0] && sentence.starts_with("This ticket")), "{seen:?}");
    next.by_ticket(&world, &good.code.to_text()).bound().await;
    assert_eq!(code(revoke(&world.app, &ADMIN, good.ticket.id).await), "ticket_ended");
}

/// Which sources were written down as locked, and for what.
async fn limited(world: &World) -> Vec<(String, String)> {
    audited(world, "sign_in_source_limited").await
}

/// The subject and the proof of each row of this action.
async fn audited(world: &World, action: &str) -> Vec<(String, String)> {
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    rows.into_iter().filter(|row| row.action == action).map(|row| (row.subject, row.proof)).collect()
}

#[tokio::test]
async fn guessing_tickets_ends_for_its_source_and_sooner_when_many_guess() {
    let world = World::quick().await;
    world.person(ANNA, None).await;
    let machine = Machine::new(&world, "laptop");
    let good = ticket(&world, Choice::Auto, Restore::None).await.code.to_text();
    let guess = |source: String| {
        let asking = machine.by_ticket(&world, "HT-0000-0000-0000-0000").from(&source);
        async move { asking.refused().await }
    };
    for _ in 0..30 {
        assert_eq!(guess("203.0.113.5".to_owned()).await, "ticket_invalid");
    }
    for _ in 0..2 {
        assert_eq!(machine.by_ticket(&world, &good).from("203.0.113.5").refused().await, "too_many_requests");
    }
    let once = || ("203.0.113.5".to_owned(), "ticket".to_owned());
    assert_eq!(limited(&world).await, [once()], "once for the lock");
    for n in 0..970_u32 {
        if n == 969 {
            assert_eq!(audited(&world, "sign_in_alarmed").await, [], "999 are no alarm yet");
        }
        assert_eq!(guess(format!("10.0.{}.{}", n / 250, n % 250)).await, "ticket_invalid");
    }
    for expected in ["ticket_invalid", "ticket_invalid", "ticket_invalid", "too_many_requests"] {
        assert_eq!(guess("198.51.100.1".to_owned()).await, expected, "the alarm leaves three");
    }
    assert_eq!(limited(&world).await, [once(), ("198.51.100.1".to_owned(), "ticket".to_owned())]);
    assert_eq!(audited(&world, "sign_in_alarmed").await, [("everywhere".to_owned(), "ticket".to_owned())]);
    machine.by_ticket(&world, &good).from("198.51.100.2").bound().await;
}

#[tokio::test]
async fn many_side_by_side_use_a_ticket_once() {
    let world = World::quick().await;
    let user = world.person(ANNA, None).await;
    let code = ticket(&world, Choice::AddNew, Restore::None).await.code.to_text();
    let machines: Vec<Machine> = (0..20).map(|n| Machine::new(&world, &format!("m{n}"))).collect();
    let asking: Vec<_> = machines.iter().map(|machine| machine.by_ticket(&world, &code)).collect();
    let answers = futures::future::join_all(asking.iter().map(|asking| asking.answer())).await;
    let granted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((granted, world.records(user).await.len()), (1, 1));
}

#[tokio::test]
async fn a_ticket_is_made_for_a_known_user_and_device_and_a_bounded_time() {
    let world = World::quick().await;
    world.person(ANNA, None).await;
    let wish = Wish { email: ANNA.to_owned(), choice: Choice::Auto, restore: Restore::None, span: None, show: false };
    let app = &world.app;
    let nobody = Wish { email: "x@example.org".to_owned(), ..wish.clone() };
    assert_eq!(code(make(app, &ADMIN, &nobody).await), "user_unknown");
    for wrong in [
        Wish { span: Some(Span::days(31)), ..wish.clone() },
        Wish { span: Some(Span::ZERO), ..wish.clone() },
        Wish { choice: Choice::Replace(DeviceId::from_bytes([9; 16])), ..wish.clone() },
    ] {
        assert_eq!(code(make(app, &ADMIN, &wrong).await), "ticket_wish_invalid");
    }
}

#[tokio::test]
async fn what_is_only_shown_binds_nothing_and_uses_nothing_up() {
    let world = World::quick().await;
    let user = world.person(ANNA, None).await;
    let code = ticket(&world, Choice::Auto, Restore::None).await.code.to_text();
    let machine = Machine::new(&world, "laptop");
    let shown = machine.by_ticket(&world, &code).preview(&machine, Preview::Always).answer().await.expect("shown");
    let Answer::Changes(shown) = shown else { panic!("bound: {shown:?}") };
    assert_eq!((shown.device, shown.outcome), (None, Outcome::New));
    assert!(world.records(user).await.is_empty());
    // Where nothing would change there is nothing to show: the key is bound at once.
    let bound = machine.by_ticket(&world, &code).preview(&machine, Preview::Changes).bound().await;
    assert_eq!(bound.outcome, Outcome::New);
    let next = machine.again(&world);
    assert_eq!(next.by_ticket(&world, &code).refused().await, "ticket_invalid");
}
