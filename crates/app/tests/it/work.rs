//! The same answer after the same work, for an account that there is and one that there is not. Refuses a clock: what
//! is compared is how many hashes were computed and how many statements went to the database.

use crate::between::Between;
use crate::machine::{ADMIN, Machine};
use crate::world::World;
use app::password::Password;
use app::passwords::{Purpose, link_make, link_use};
use app::{AppError, SecretText, tickets};
use base::{ManualClock, Span, Timestamp, UserId};
use control::UserEvent;
use control::activation::{Choice, Restore};
use db::Db;
use std::sync::Arc;

const ANNA: &str = "anna@example.org";
/// Without a password.
const BEN: &str = "ben@example.org";
/// Suspended.
const CLEO: &str = "cleo@example.org";
const NOBODY: &str = "nobody@example.org";
const GOOD: &str = "correct horse battery";

/// Hashes, statements, and what was said.
type Seen = (u64, u64, String);

struct Counted {
    world: World,
    line: Between,
    anna: UserId,
}

impl Counted {
    async fn new() -> Self {
        let temp = db::testing::postgres().await;
        let line = Between::to(temp.url().expect("a server has an address"));
        let db = Db::connect(line.url(), None).await.expect("the line is whole");
        let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_750_000_000_000)));
        let config = app::Config::parse("password.memory_mib = 1\npassword.passes = 1").expect("good text");
        let world = World::on(db, temp, clock.clone(), clock, config).await;
        let anna = world.person(ANNA, Some(GOOD)).await;
        world.person(BEN, None).await;
        let cleo = world.person(CLEO, Some(GOOD)).await;
        app::users::change(&world.app, &ADMIN, cleo, UserEvent::Lock).await.expect("she is there");
        Self { world, line, anna }
    }

    /// What a request that is refused costs.
    async fn refused<T: std::fmt::Debug>(&self, asked: impl Future<Output = Result<T, AppError>>) -> Seen {
        let before = (self.world.app.passwords.computed(), self.line.statements());
        let error = asked.await.expect_err("it proves nothing");
        let after = (self.world.app.passwords.computed(), self.line.statements());
        (after.0 - before.0, after.1 - before.1, format!("{}: {error}", error.code()))
    }
}

fn all_the_same(seen: &[Seen]) {
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
    assert!(seen[0].1 > 0, "statements are counted");
}

#[tokio::test]
async fn a_wrong_password_is_the_same_work_whoever_it_is_for() {
    let counted = Counted::new().await;
    let machine = Machine::new(&counted.world, "laptop");
    let mut seen = Vec::new();
    for email in [ANNA, BEN, CLEO, NOBODY, "not an address", ""] {
        let asking = machine.by_password(&counted.world, email, "wrong");
        seen.push(counted.refused(asking.answer()).await);
    }
    all_the_same(&seen);
    assert_eq!(seen[0].0, 1, "one hash");
    // Locked out, and still the same for all of them.
    let mut locked = Vec::new();
    for email in [ANNA, BEN, CLEO, NOBODY] {
        for _ in 0..9 {
            machine.by_password(&counted.world, email, "wrong").answer().await.expect_err("wrong");
        }
        let asking = machine.by_password(&counted.world, email, GOOD);
        locked.push(counted.refused(asking.answer()).await);
    }
    all_the_same(&locked);
    assert_eq!(locked[0].0, 0, "no hash is computed for who is locked out");
}

#[tokio::test]
async fn a_ticket_that_does_not_work_is_the_same_work_whatever_is_wrong_with_it() {
    let counted = Counted::new().await;
    let world = &counted.world;
    let wish = tickets::Wish { email: ANNA.to_owned(), choice: Choice::Auto, restore: Restore::None, span: None };
    let made = async || tickets::make(&world.app, &ADMIN, &wish).await.expect("a user");
    let (revoked, expired) = (made().await, made().await);
    tickets::revoke(&world.app, &ADMIN, revoked.ticket.id).await.expect("good until now");
    world.clock.advance(Span::days(7));
    let good = made().await;
    let machine = Machine::new(world, "laptop");
    let mut seen = Vec::new();
    for code in [revoked.code.to_text(), expired.code.to_text(), "HT-0000-0000-0000-0000".to_owned(), "none".to_owned()]
    {
        seen.push(counted.refused(machine.by_ticket(world, &code).answer()).await);
    }
    for email in [BEN, NOBODY] {
        let mut asking = machine.by_ticket(world, &good.code.to_text());
        asking.activation.email = email.to_owned();
        seen.push(counted.refused(asking.answer()).await);
    }
    all_the_same(&seen);
}

#[tokio::test]
async fn a_link_that_does_not_work_is_the_same_work_whatever_is_wrong_with_it() {
    let counted = Counted::new().await;
    let app = &counted.world.app;
    let made = async || link_make(app, &ADMIN, counted.anna, Purpose::Reset).await.expect("a user").text;
    let replaced = made().await;
    let expired = made().await;
    counted.world.clock.advance(Span::hours(25));
    let unknown = SecretText::new(format!("hfl1_{}", "A".repeat(43)));
    let garbage = SecretText::new("garbage".to_owned());
    let mut seen = Vec::new();
    for link in [&replaced, &expired, &unknown, &garbage] {
        let source = "192.0.2.1".parse().expect("an address");
        let password = Password::new("a new password".to_owned());
        seen.push(counted.refused(link_use(app, source, link, &password)).await);
    }
    all_the_same(&seen);
    assert_eq!(seen[0].0, 1, "one hash");
}
