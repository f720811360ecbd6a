//! Sessions over the wire: challenges are used once, keys are checked, tokens end.

use crate::world::{Device, EMAIL, PASSWORD, World, password};
use base::{DeviceId, Span};
use control::{Event, Level};
use protocol::Hex;
use protocol::agent::activation::ActivationReply;
use protocol::agent::session::{HelloReply, SessionReply, SessionRequest};
use protocol::agent::status::DeviceReply;

const ROUTE: &str = "/v1/sessions";

#[tokio::test]
async fn hello_says_which_versions_are_spoken_before_anybody_is_known() {
    let world = World::start().await;
    let hello: HelloReply = world.ask("GET", "/v1/hello", "").await.json();
    assert_eq!((hello.protocol.min, hello.protocol.max), (1, 1));
    assert!(hello.now_ms > 1_700_000_000_000);
}

#[tokio::test]
async fn a_signed_challenge_opens_a_session_and_the_device_sees_itself() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let own: DeviceReply = device.ask(&world, "GET", "/v1/device", "").await.json();
    assert_eq!((own.device.0, own.name.as_str(), own.state.as_str()), (device.id, "laptop", "active"));
    assert_eq!((own.rights.as_str(), own.snapshot, own.snapshots), ("full", None, 0));
}

#[tokio::test]
async fn a_challenge_is_answered_once_soon_and_by_whom_it_was_given_to() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let other = Device::activated(&world, "other").await;

    let used = device.answer_to(&device.challenge(&world).await);
    world.post(ROUTE, &used).await.json::<SessionReply>();
    assert_eq!(world.post(ROUTE, &used).await.refused(), (403, "challenge_used".to_owned()));

    let foreign = other.answer_to(&device.challenge(&world).await);
    assert_eq!(world.post(ROUTE, &foreign).await.refused(), (403, "signature_invalid".to_owned()));

    let late = device.answer_to(&device.challenge(&world).await);
    world.clock.advance(Span::seconds(60));
    assert_eq!(world.post(ROUTE, &late).await.refused(), (403, "challenge_expired".to_owned()));

    let mut altered = device.challenge(&world).await;
    altered[0] ^= 1;
    assert_eq!(world.post(ROUTE, &device.answer_to(&altered)).await.refused(), (403, "signature_invalid".to_owned()));
}

#[tokio::test]
async fn a_first_session_whose_answer_was_lost_is_not_taken_for_a_second_machine() {
    let world = World::start().await;
    let mut device = Device::new("laptop");
    let asked = device.activation(EMAIL, password(PASSWORD));
    let bound: ActivationReply = world.post("/v1/activations", &asked).await.json();
    device.bound(&bound);
    for _ in 0..3 {
        let answer = device.answer_to(&device.challenge(&world).await);
        let request = SessionRequest { counter: Some(bound.counter), ..answer };
        device.token = world.post(ROUTE, &request).await.json::<SessionReply>().token;
    }
    let own: DeviceReply = device.ask(&world, "GET", "/v1/device", "").await.json();
    assert_eq!(own.state, "active");
}

#[tokio::test]
async fn a_wrong_signature_an_unknown_device_and_a_foreign_key_get_the_same_answer() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let mut wrong = device.answer_to(&device.challenge(&world).await);
    wrong.signature = Hex([7; 64]);
    let nobody = Device { id: DeviceId::from_bytes([9; 16]), ..Device::new("nobody") };
    let unknown = nobody.answer_to(&nobody.challenge(&world).await);
    let thief = Device { id: device.id, ..Device::new("thief") };
    let foreign = thief.answer_to(&thief.challenge(&world).await);
    let wrong = world.post(ROUTE, &wrong).await;
    assert_eq!(wrong.refused(), (403, "signature_invalid".to_owned()));
    for answer in [world.post(ROUTE, &unknown).await, world.post(ROUTE, &foreign).await] {
        assert_eq!((answer.status, &answer.body), (wrong.status, &wrong.body));
    }
}

#[tokio::test]
async fn a_token_ends_and_a_restart_does_not_end_it() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let open = |app: std::sync::Arc<app::App>, token: String| async move {
        app::session::authenticate(&app, &token, control::access::Verb::ReadStatus).await.map(|actor| actor.device)
    };
    world.stop().await;
    let again = app::App::open(&world.data, world.clock.clone(), std::sync::Arc::new(base::OsEntropy)).await;
    let again = std::sync::Arc::new(again.expect("the same directory"));
    assert_eq!(open(again.clone(), device.token.clone()).await.expect("good still"), device.id);
    world.clock.advance(Span::minutes(15));
    let ended = open(again, device.token.clone()).await.expect_err("it is too old");
    assert_eq!(ended.code(), "session_expired");
}

#[tokio::test]
async fn who_was_cut_off_and_still_has_the_key_is_told_why() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    world.admin(device.id, Event::Deactivate { level: Level::Rotate }).await;
    let answer = device.open(&world).await;
    assert_eq!(answer.refused(), (403, "device_deactivated".to_owned()));
    assert!(answer.problem().detail.contains("Activate it again"), "{}", answer.problem().detail);
    let thief = Device { id: device.id, ..Device::new("thief") };
    assert_eq!(thief.open(&world).await.refused().1, "signature_invalid", "a stranger learns nothing");
}
