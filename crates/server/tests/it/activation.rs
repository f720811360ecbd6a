//! Activation over the wire: proofs, lock-out, idempotency.

use crate::world::{Device, EMAIL, PASSWORD, World, password, sign};
use base::{DeviceId, Span};
use protocol::agent::activation::{ActivationReply, Choice, OldKey};
use protocol::{Hex, Text};

const ROUTE: &str = "/v1/activations";

#[tokio::test]
async fn the_right_password_binds_a_key_to_a_new_record() {
    let world = World::start().await;
    let device = Device::new("laptop");
    let reply: ActivationReply = world.post(ROUTE, &device.activation(EMAIL, password(PASSWORD))).await.json();
    assert_eq!((reply.epoch, reply.outcome.as_str(), reply.rights.as_str()), (1, "new", "full"));
    assert_eq!((reply.user.as_str(), reply.snapshot), (EMAIL, None));
    let typed: ActivationReply =
        world.post(ROUTE, &Device::new("other").activation(" Anna@Example.ORG ", password(PASSWORD))).await.json();
    assert_ne!(typed.device, reply.device);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_get_the_same_answer() {
    let world = World::start().await;
    let device = Device::new("laptop");
    let wrong = world.post(ROUTE, &device.activation(EMAIL, password("not the password"))).await;
    let unknown = world.post(ROUTE, &device.activation("nobody@example.org", password("not the password"))).await;
    assert_eq!(wrong.refused(), (403, "wrong_credentials".to_owned()));
    assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body));
    let names = |answer: &crate::world::Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&wrong), names(&unknown));
}

#[tokio::test]
async fn ten_wrong_passwords_lock_the_address_whether_or_not_it_has_an_account() {
    let world = World::start().await;
    for email in [EMAIL, "nobody@example.org"] {
        let device = Device::new("laptop");
        for attempt in 0..10 {
            let answer = world.post(ROUTE, &device.activation(email, password("not the password"))).await;
            assert_eq!(answer.refused().1, "wrong_credentials", "{email}, attempt {attempt}");
        }
        let locked = world.post(ROUTE, &device.activation(email, password(PASSWORD))).await;
        assert_eq!(locked.refused(), (403, "account_locked".to_owned()), "the right password does not help: {email}");
        assert!(locked.problem().retry_after_ms.is_some_and(|ms| ms > 3_500_000 && ms <= 3_600_000));
        assert!(locked.headers.contains_key("retry-after"));
    }
    world.clock.advance(Span::hours(1));
    world.post(ROUTE, &Device::new("laptop").activation(EMAIL, password(PASSWORD))).await.json::<ActivationReply>();
}

#[tokio::test]
async fn a_right_password_ends_the_count_of_wrong_ones() {
    let world = World::start().await;
    for _ in 0..3 {
        for _ in 0..6 {
            let answer = world.post(ROUTE, &Device::new("x").activation(EMAIL, password("not the password"))).await;
            assert_eq!(answer.refused().1, "wrong_credentials");
        }
        world.post(ROUTE, &Device::new("laptop").activation(EMAIL, password(PASSWORD))).await.json::<ActivationReply>();
    }
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_also_side_by_side_and_after_more_happened() {
    let world = World::start().await;
    let device = Device::new("laptop");
    let request = device.activation(EMAIL, password(PASSWORD));
    let (one, two) = tokio::join!(world.post(ROUTE, &request), world.post(ROUTE, &request));
    assert_eq!(one.json::<ActivationReply>(), two.json::<ActivationReply>());
    let next = Device::new("laptop");
    let replaced: ActivationReply = world.post(ROUTE, &next.activation(EMAIL, password(PASSWORD))).await.json();
    assert_eq!(
        (replaced.device, replaced.epoch, replaced.outcome.as_str()),
        (one.json::<ActivationReply>().device, 2, "replaced")
    );
    assert_eq!(world.post(ROUTE, &request).await.json::<ActivationReply>(), one.json::<ActivationReply>());
    let (all, first) = (app::devices::DeviceAsk::default(), app::page::PageAsk::first());
    let listed = app::devices::page(&world.app, &app::AdminActor::Command, &all, &first).await.expect("readable").items;
    assert_eq!((listed.len(), listed[0].epoch), (1, 2), "a repeated request binds nothing again");
}

#[tokio::test]
async fn another_body_under_the_same_request_or_with_the_same_key_is_refused() {
    let world = World::start().await;
    let device = Device::new("laptop");
    let request = device.activation(EMAIL, password(PASSWORD));
    world.post(ROUTE, &request).await.json::<ActivationReply>();
    let mut other = request.clone();
    other.choice = Choice::Add;
    other.signature = Hex(sign(&device.key, &other.signed_bytes()));
    assert_eq!(world.post(ROUTE, &other).await.refused(), (409, "key_in_use".to_owned()));
    let fresh = device.activation(EMAIL, password(PASSWORD));
    assert_eq!(world.post(ROUTE, &fresh).await.refused(), (409, "key_in_use".to_owned()));
    let mut wrong = request;
    wrong.proof = password("not the password");
    assert_eq!(world.post(ROUTE, &wrong).await.refused(), (409, "key_in_use".to_owned()));
}

#[tokio::test]
async fn a_key_that_did_not_sign_the_request_is_not_bound() {
    let world = World::start().await;
    let device = Device::new("laptop");
    let mut request = device.activation(EMAIL, password(PASSWORD));
    request.evidence.host_name = "another".to_owned();
    assert_eq!(world.post(ROUTE, &request).await.refused(), (403, "signature_invalid".to_owned()));
    request.device_key = Hex([0xff; 32]);
    assert_eq!(world.post(ROUTE, &request).await.refused(), (403, "signature_invalid".to_owned()));
}

#[tokio::test]
async fn an_old_key_of_nobody_or_a_wrong_one_gets_the_same_answer() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let (_, mut unknown) = device.return_with_old_key();
    let (_, mut wrong) = Device { id: device.id, ..Device::new("laptop") }.return_with_old_key();
    if let Some(OldKey { device, .. }) = &mut unknown.old_key {
        *device = Text(DeviceId::from_bytes([9; 16]));
    }
    wrong.email = String::new();
    let (unknown, wrong) = (world.post(ROUTE, &unknown).await, world.post(ROUTE, &wrong).await);
    assert_eq!(unknown.refused(), (403, "signature_invalid".to_owned()));
    assert_eq!(unknown.body, wrong.body);
}

#[tokio::test]
async fn one_user_cannot_take_over_the_record_of_another() {
    let world = World::start().await;
    world.user("ben@example.org").await;
    let device = Device::activated(&world, "laptop").await;
    let thief = Device::new("laptop");
    let choice = Choice::Replace { device: Text(device.id) };
    let chosen = thief.activation_as("ben@example.org", password(PASSWORD), choice);
    assert_eq!(world.post(ROUTE, &chosen).await.refused(), (404, "device_not_yours".to_owned()));
    let matched: ActivationReply =
        world.post(ROUTE, &thief.activation("ben@example.org", password(PASSWORD))).await.json();
    assert_eq!((matched.device == Text(device.id), matched.outcome.as_str()), (false, "new"));
    assert_eq!(device.ask(&world, "GET", "/v1/device", "").await.status, 200, "the record goes on");
}

#[tokio::test]
async fn what_is_not_a_request_is_refused_before_anything_is_done() {
    let world = World::start().await;
    let long = format!("{{\"email\":\"{}\"}}", "x".repeat(20_000));
    for (what, body, refused) in [
        ("nothing", "", (400, "request_malformed")),
        ("half an object", "{\"email\":", (400, "request_malformed")),
        ("another object", "{\"later\":1}", (400, "request_malformed")),
        ("too long", long.as_str(), (413, "request_too_large")),
    ] {
        let (status, code) = world.ask("POST", ROUTE, body.to_owned()).await.refused();
        assert_eq!((status, code.as_str()), refused, "{what}");
    }
    let mut control = Device::new("lap\u{1b}[2Jtop").activation(EMAIL, password(PASSWORD));
    assert_eq!(world.post(ROUTE, &control).await.refused(), (400, "request_malformed".to_owned()));
    control = Device::new(&"x".repeat(257)).activation(EMAIL, password(PASSWORD));
    assert_eq!(world.post(ROUTE, &control).await.refused(), (400, "request_malformed".to_owned()));
}

#[tokio::test]
async fn every_activation_granted_or_refused_is_in_the_audit_log_and_its_chain_holds() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    world.admin(device.id, control::Event::Deactivate { level: control::Level::Revoke }).await;
    let (_, request) = device.return_with_old_key();
    assert_eq!(world.post(ROUTE, &request).await.refused().1, "sign_in_needed");
    let mut tx = world.app.db.read().await.expect("readable");
    assert_eq!(app::audit::verify_chain(&mut tx, None).await.expect("readable").broken, None);
    let said: Vec<(String, String)> =
        app::audit::list(&mut tx, 0).await.expect("readable").into_iter().map(|row| (row.action, row.detail)).collect();
    let has = |action: &str, detail: &str| said.iter().any(|row| row.0 == action && row.1.contains(detail));
    assert!(has("device_activate", "new by password, epoch 1"), "{said:?}");
    assert!(has("device_deactivate", "revoke_credential"), "{said:?}");
    assert!(has("device_activate", "refused: sign_in_needed"), "{said:?}");
}
