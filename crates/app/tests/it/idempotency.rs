//! Idempotency keys: done once, whatever breaks between the change and its answer; and nothing of an answer is in the
//! clear in the database.

use super::world::{World, code};
use app::credentials::{self, CredentialNew};
use app::idempotency::{self, Claim, Ended, Mark};
use app::{AdminActor, AppError};
use base::Span;
use control::{Permits, UserEvent};

const SPAN: Span = Span::seconds(30);
const REQUEST: [&[u8]; 3] = [b"POST", b"/api/v1/things", b"{}"];

async fn caller(world: &World) -> AdminActor {
    let new = CredentialNew { name: "a".to_owned(), permits: Permits::all(), all: false, expires_at: None };
    let (_, text) = credentials::make(&world.app, &AdminActor::Command, new).await.expect("good");
    credentials::authenticate(&world.app, Some(text.expose()), None).await.expect("in force")
}

async fn claim(world: &World, caller: &AdminActor) -> Result<Claim, AppError> {
    idempotency::claim(&world.app, caller, b"key", &REQUEST, SPAN).await
}

async fn taken(world: &World, caller: &AdminActor) -> Mark {
    match claim(world, caller).await.expect("free") {
        Claim::Go(mark) => mark,
        Claim::Again { .. } => panic!("nothing was answered yet"),
    }
}

#[tokio::test]
async fn an_answer_is_kept_sealed_and_given_again() {
    let world = World::new().await;
    let caller = caller(&world).await;
    let mark = taken(&world, &caller).await;
    assert_eq!(code(claim(&world, &caller).await), "idempotency_in_progress");
    idempotency::keep(&world.app, mark, 200, b"the secret text of a token").await.expect("writable");
    match claim(&world, &caller).await.expect("answered") {
        Claim::Again { status, body } => {
            assert_eq!((status, body.as_slice()), (200, &b"the secret text of a token"[..]));
        }
        Claim::Go(_) => panic!("it was answered"),
    }
    let mut tx = world.app.db.write().await.expect("nobody else writes");
    let wrong = db::testing::execute(&mut tx, "update idempotency set status = 201").await;
    tx.commit().await.expect("nothing stands against it");
    assert_eq!((wrong, code(claim(&world, &caller).await)), (1, "kept_answer_damaged"), "the seal covers the status");
}

#[tokio::test]
async fn a_request_that_broke_before_its_change_is_done_by_the_next_and_one_that_broke_after_it_never_again() {
    let world = World::new().await;
    let caller = caller(&world).await;
    let lock = async |mark: Mark| {
        let actor = caller.clone().marked(mark);
        app::users::change(&world.app, &actor, super::world::USER, UserEvent::Lock).await
    };
    // The server ends before the change.
    let _ = taken(&world, &caller).await;
    world.clock.advance(SPAN);
    assert_eq!(code(claim(&world, &caller).await), "idempotency_in_progress", "it may still be under way");
    world.clock.advance(Span::minutes(1));
    let mark = taken(&world, &caller).await;
    // A part breaks, and says so.
    idempotency::release(&world.app, mark, Ended::Broken).await.expect("writable");
    let mark = taken(&world, &caller).await;
    // The change is committed, and the server ends before the answer is kept.
    lock(mark).await.expect("it was active");
    world.clock.advance(SPAN);
    world.clock.advance(Span::minutes(1));
    for _ in 0..2 {
        assert_eq!(code(claim(&world, &caller).await), "idempotency_answer_lost");
    }
    world.clock.advance(Span::hours(24));
    let _ = taken(&world, &caller).await;
}

#[tokio::test]
async fn a_refusal_frees_the_key_and_another_caller_never_meets_it() {
    let world = World::new().await;
    let (one, other) = (caller(&world).await, caller(&world).await);
    let mark = taken(&world, &one).await;
    let _ = taken(&world, &other).await;
    idempotency::release(&world.app, mark, Ended::Refused).await.expect("writable");
    let _ = taken(&world, &one).await;
    let longer = idempotency::claim(&world.app, &one, b"key", &[b"POST", b"/api/v1/things{}", b""], SPAN).await;
    assert_eq!(code(longer), "idempotency_key_reused", "parts do not run together");
}
