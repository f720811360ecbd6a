//! What was proved and is taken back while the request waits for its turn: a password, a ticket, a token, a user.
//! Refuses a binding by what was true a moment ago.

use crate::machine::{ADMIN, Asking, Machine};
use crate::world::World;
use app::activation::Answer;
use app::password::Password;
use app::tokens::{Wish, make};
use app::{AppError, Config, tickets, users};
use base::{Clock, ManualClock, Span, Timestamp, UserId};
use control::UserEvent;
use control::activation::{Choice, Restore};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Notify;

const ANNA: &str = "anna@example.org";
const GOOD: &str = "correct horse battery";

/// A clock that says when somebody begins to wait by it, which is what a request does that finds no turn.
struct Noticed {
    inner: Arc<ManualClock>,
    waits: Notify,
}

impl Clock for Noticed {
    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn sleep(&self, _: Span) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.waits.notify_one();
        Box::pin(std::future::pending())
    }
}

struct Queue {
    world: World,
    clock: Arc<Noticed>,
    user: UserId,
}

impl Queue {
    /// A world in which one activation is worked on at a time.
    async fn new() -> Self {
        let inner = Arc::new(ManualClock::at(Timestamp::from_ms(1_750_000_000_000)));
        let clock = Arc::new(Noticed { inner: inner.clone(), waits: Notify::new() });
        let config = Config::parse("password.memory_mib = 1\npassword.passes = 1\nlane.activations_max = 1");
        let world = World::with(clock.clone(), inner, config.expect("good text")).await;
        let user = world.person(ANNA, Some(GOOD)).await;
        Self { world, clock, user }
    }

    /// The request proves who asks and waits for its turn; then something happens; then it is its turn.
    async fn after(&self, asking: &Asking<'_>, happens: impl Future<Output = ()>) -> Result<Answer, AppError> {
        let turn = self.world.app.lanes.activation.turn().await.expect("nobody waits");
        let then = async {
            self.clock.waits.notified().await;
            happens.await;
            drop(turn);
        };
        futures::future::join(asking.answer(), then).await.0
    }

    async fn nothing_was_bound(&self) {
        assert!(self.world.records(self.user).await.is_empty());
    }
}

#[tokio::test]
async fn nothing_changes_for_who_waits_while_nothing_happens() {
    let queue = Queue::new().await;
    let world = &queue.world;
    let machine = Machine::new(world, "laptop");
    let answer = queue.after(&machine.by_password(world, ANNA, GOOD), async {}).await;
    assert!(matches!(answer, Ok(Answer::Activated(_))), "{answer:?}");
}

#[tokio::test]
async fn a_password_that_was_changed_meanwhile_proves_nothing() {
    let queue = Queue::new().await;
    let (world, user) = (&queue.world, queue.user);
    let machine = Machine::new(world, "laptop");
    let changed = async {
        let other = Password::new("of the admin".to_owned());
        users::password_set(&world.app, &ADMIN, user, &other).await.expect("a user");
    };
    let answer = queue.after(&machine.by_password(world, ANNA, GOOD), changed).await;
    assert_eq!(crate::world::code(answer), "wrong_credentials");
    queue.nothing_was_bound().await;
}

#[tokio::test]
async fn a_user_who_was_locked_meanwhile_activates_nothing() {
    let queue = Queue::new().await;
    let (world, user) = (&queue.world, queue.user);
    let machine = Machine::new(world, "laptop");
    let locked = async {
        users::change(&world.app, &ADMIN, user, UserEvent::Lock).await.expect("active until now");
    };
    let answer = queue.after(&machine.by_password(world, ANNA, GOOD), locked).await;
    assert_eq!(crate::world::code(answer), "user_not_active");
    queue.nothing_was_bound().await;
}

#[tokio::test]
async fn a_ticket_that_was_revoked_meanwhile_proves_nothing() {
    let queue = Queue::new().await;
    let world = &queue.world;
    let wish = tickets::Wish { email: ANNA.to_owned(), choice: Choice::Auto, restore: Restore::None, span: None };
    let made = tickets::make(&world.app, &ADMIN, &wish).await.expect("a user");
    let machine = Machine::new(world, "laptop");
    let asking = machine.by_ticket(world, &made.code.to_text());
    let revoked = async {
        tickets::revoke(&world.app, &ADMIN, made.ticket.id).await.expect("good until now");
    };
    assert_eq!(crate::world::code(queue.after(&asking, revoked).await), "ticket_invalid");
    queue.nothing_was_bound().await;
}

#[tokio::test]
async fn a_token_that_was_revoked_meanwhile_lets_nobody_in() {
    let queue = Queue::new().await;
    let world = &queue.world;
    let wish = Wish { name: "installer".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
    let made = make(&world.app, &ADMIN, &wish).await.expect("a good wish");
    let machine = Machine::new(world, "laptop").of("anna");
    let asking = machine.by_token(world, &made.text);
    let revoked = async {
        app::tokens::revoke(&world.app, &ADMIN, made.token.id).await.expect("good until now");
    };
    assert_eq!(crate::world::code(queue.after(&asking, revoked).await), "token_revoked");
    queue.nothing_was_bound().await;
}
