//! The same request with the same idempotency key is carried out once, whatever happens to its answer.

use crate::world::{Answer, World, full};
use base::Span;
use control::{Permit, Permits};
use protocol::admin::Page;
use protocol::admin::user::{User, UserAdd};

const PASSWORD: &str = "correct horse battery";

async fn post(world: &World, credential: &str, key: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {credential}");
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", key)];
    world.send("POST", path, &headers, full(body.to_owned())).await
}

fn user(email: &str) -> String {
    let body = UserAdd { email: email.to_owned(), password: PASSWORD.to_owned() };
    serde_json::to_string(&body).expect("plain values")
}

async fn emails(world: &World, credential: &str) -> Vec<String> {
    let page: Page<User> = world.api(credential, "GET", "/api/v1/users", "").await.json();
    page.items.into_iter().map(|user| user.email).collect()
}

#[tokio::test]
async fn the_same_request_with_the_same_key_is_done_once_and_answered_alike_for_a_day() {
    let world = World::start().await;
    let credential = world.credential(Permits::all()).await;
    let add = || post(&world, &credential, "one", "/api/v1/users", BODY);
    const BODY: &str = r#"{"email":"ben@example.org","password":"correct horse battery"}"#;
    let first = add().await;
    let made: User = first.json();
    for _ in 0..3 {
        let again = add().await;
        assert_eq!((&again.body, again.json::<User>().user), (&first.body, made.user));
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(again.headers["content-type"], "application/json");
    }
    assert!(first.headers.get("idempotency-replayed").is_none());
    assert_eq!(emails(&world, &credential).await, ["anna@example.org", "ben@example.org"]);
    world.clock.advance(Span::hours(25));
    assert_eq!(add().await.refused(), (409, "user_exists".to_owned()), "after a day the key is free");
}

#[tokio::test]
async fn another_request_with_the_key_is_refused_and_another_caller_has_keys_of_its_own() {
    let world = World::start().await;
    let (one, other) = (world.credential(Permits::all()).await, world.credential(Permits::all()).await);
    assert_eq!(post(&world, &one, "k", "/api/v1/users", &user("ben@example.org")).await.status, 200);
    let reused = post(&world, &one, "k", "/api/v1/users", &user("carl@example.org")).await;
    assert_eq!(reused.refused(), (409, "idempotency_key_reused".to_owned()));
    let path = "/api/v1/users/usr_00000000000000000000000000/lock";
    assert_eq!(post(&world, &one, "k", path, "").await.refused().1, "idempotency_key_reused");
    assert_eq!(post(&world, &other, "k", "/api/v1/users", &user("carl@example.org")).await.status, 200);
    assert_eq!(emails(&world, &one).await.len(), 3);
}

#[tokio::test]
async fn what_is_no_key_is_refused_before_anything_is_done() {
    let world = World::start().await;
    let credential = world.credential(Permits::all()).await;
    for key in ["", "a b", &"k".repeat(129), "\u{e9}"] {
        let answer = post(&world, &credential, key, "/api/v1/users", &user("ben@example.org")).await;
        assert_eq!(answer.refused(), (400, "idempotency_key_invalid".to_owned()), "{key:?}");
    }
    let bearer = format!("Bearer {credential}");
    let two = [("authorization", bearer.as_str()), ("idempotency-key", "a"), ("idempotency-key", "b")];
    let answer = world.send("POST", "/api/v1/users", &two, full(user("ben@example.org"))).await;
    assert_eq!(answer.refused().1, "idempotency_key_invalid");
    assert_eq!(emails(&world, &credential).await, ["anna@example.org"]);
    assert_eq!(post(&world, &credential, &"~".repeat(128), "/api/v1/users", &user("ben@x.org")).await.status, 200);
}

#[tokio::test]
async fn a_refusal_leaves_the_key_free_for_another_try() {
    let world = World::start().await;
    let credential = world.credential(Permits::all()).await;
    let add = || post(&world, &credential, "k", "/api/v1/users", BODY);
    const BODY: &str = r#"{"email":"anna@example.org","password":"correct horse battery"}"#;
    assert_eq!(add().await.refused().1, "user_exists");
    assert_eq!(add().await.refused().1, "user_exists", "decided anew");
    let reader = world.credential(Permits::NONE.with(Permit::UserRead)).await;
    assert_eq!(post(&world, &reader, "k", "/api/v1/users", BODY).await.refused().1, "not_permitted");
}

#[tokio::test]
async fn requests_side_by_side_with_one_key_are_one() {
    let world = std::sync::Arc::new(World::start().await);
    let credential = world.credential(Permits::all()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (world, credential) = (world.clone(), credential.clone());
        tasks.spawn(async move {
            let answer = post(&world, &credential, "k", "/api/v1/users", &user("ben@example.org")).await;
            if answer.status == 200 { String::new() } else { answer.refused().1 }
        });
    }
    let codes = tasks.join_all().await;
    assert!(codes.iter().any(String::is_empty), "{codes:?}");
    assert!(codes.iter().all(|code| code.is_empty() || code == "idempotency_in_progress"), "{codes:?}");
    assert_eq!(emails(&world, &credential).await.len(), 2);
}
