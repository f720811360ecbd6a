//! Activation over the wire: what is signed, what is kept, and that a lost answer does no harm.

use crate::play::{Play, Reply, Request, around, problem};
use agent::activation::{self, Activated, Answer, Ask, AskProof};
use agent::error::AgentError;
use agent::hidden::Hidden;
use agent::remote::Around;
use agent::state::{Pin, Server, StateDir};
use base::{DeviceId, SeededEntropy, Span};
use format::StoredPath;
use protocol::agent::activation::{ActivationRequest, Choice, Preview, Proof};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::json;
use tempfile::TempDir;

fn hello(request: &Request) -> Option<Reply> {
    (request.path == "/v1/hello")
        .then(|| Reply::Json(200, json!({ "release": "9", "protocol": { "min": 1, "max": 1 }, "now_ms": 5 })))
}

fn device() -> DeviceId {
    DeviceId::mint(&SeededEntropy::new(1))
}

fn accepted(epoch: u64) -> Reply {
    let reply = json!({
        "answer": "activated", "device": device().to_string(), "epoch": epoch, "rights": "full", "outcome": "new",
        "user": "anna@example.com", "snapshot": null, "restore": "none",
        "changes": { "kept": false, "folders": [], "values": [] }, "catch_up_at_ms": null,
        "counter": format!("{epoch:02x}").repeat(56),
    });
    Reply::Json(200, reply)
}

fn by_password(server: Server) -> Ask {
    let proof =
        AskProof::Password { email: "anna@example.com".to_owned(), password: Hidden::new("correct horse".to_owned()) };
    let folder = StoredPath::from_bytes(b"home/anna".to_vec()).expect("a path");
    Ask {
        server,
        proof,
        choice: Choice::Auto,
        restore: None,
        can_ask: true,
        preview: Preview::None,
        folders: vec![folder],
    }
}

fn by_old_key(server: Server) -> Ask {
    Ask {
        server,
        proof: AskProof::OldKey,
        choice: Choice::Auto,
        restore: None,
        can_ask: false,
        preview: Preview::None,
        folders: vec![],
    }
}

/// Activates, and takes no other answer.
async fn activate(around: &Around, dir: &StateDir, ask: Ask) -> Result<Activated, AgentError> {
    match activation::run(around, dir, &ask).await? {
        Answer::Activated(done) => Ok(*done),
        other => panic!("{other:?}"),
    }
}

fn state_dir() -> (TempDir, StateDir) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = StateDir::open(&dir.path().join("state")).expect("a state directory");
    (dir, state)
}

fn requests(play: &Play) -> Vec<ActivationRequest> {
    let seen = play.seen_at("/v1/activations");
    seen.iter().map(|request| serde_json::from_slice(&request.body).expect("an activation request")).collect()
}

fn verify(key: &[u8; 32], request: &ActivationRequest, signature: &[u8; 64]) {
    UnparsedPublicKey::new(&ED25519, key).verify(&request.signed_bytes(), signature).expect("a good signature");
}

#[tokio::test]
async fn a_password_makes_a_device_and_an_old_key_brings_it_back() {
    let play = Play::start(|number, request| hello(request).unwrap_or_else(|| accepted(number as u64)));
    let (_temp, dir) = state_dir();
    let around = around(Span::ZERO);
    let done = activate(&around, &dir, by_password(play.server())).await.expect("activated");
    assert_eq!((done.state.device, done.state.epoch), (device(), 1));
    let (kept, key) = dir.activated().expect("a state");
    assert_eq!((&kept, key.public()), (&done.state, done.state.public_key));

    let ask = by_old_key(play.server());
    let back = activate(&around, &dir, ask).await.expect("back");
    assert_eq!((back.state.epoch, &back.state.folders), (3, &kept.folders), "the folders stay");
    let (_, new_key) = dir.activated().expect("a state");
    assert_ne!(new_key.public(), key.public());

    let [first, second] = requests(&play).try_into().expect("two requests");
    assert!(matches!(&first.proof, Proof::Password { password } if password == "correct horse"));
    verify(&first.device_key.0, &first, &first.signature.0);
    assert_eq!(first.device_key.0, key.public());
    assert_eq!((&second.proof, second.email.as_str(), &first.old_key), (&Proof::OldKey, "", &None));
    let old = second.old_key.as_ref().expect("the old key");
    assert_eq!((old.device.0, old.counter), (device(), kept.counter), "as the next session would present it");
    verify(&key.public(), &second, &old.signature.0);
    verify(&new_key.public(), &second, &second.signature.0);
    assert!(!first.evidence.host_name.is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_number_and_key() {
    let play = Play::start(|number, request| match hello(request) {
        Some(reply) => reply,
        None if number < 2 => Reply::Silence,
        None => accepted(1),
    });
    let (_temp, dir) = state_dir();
    let around = around(Span::ZERO);
    let lost = activate(&around, &dir, by_password(play.server())).await.expect_err("no answer");
    assert_eq!(lost.code(), "server_unreachable");
    assert!(dir.load().expect("readable").is_none());
    // The program is started again.
    activate(&around, &dir, by_password(play.server())).await.expect("activated");
    let [first, second] = requests(&play).try_into().expect("two requests");
    assert_eq!(first, second);
    assert!(dir.pending().expect("readable").is_none());
}

#[tokio::test]
async fn another_question_gets_another_number_and_key() {
    let play = Play::start(|_, request| hello(request).unwrap_or_else(|| problem(403, "wrong_credentials", None)));
    let (_temp, dir) = state_dir();
    let around = around(Span::minutes(1));
    for choice in [Choice::Auto, Choice::Auto, Choice::Add] {
        let ask = Ask { choice, ..by_password(play.server()) };
        let refused = activate(&around, &dir, ask).await.expect_err("refused");
        assert_eq!(refused.code(), "wrong_credentials");
    }
    let [first, again, other] = requests(&play).try_into().expect("a wrong password is tried once for each call");
    assert_eq!((first.request, first.device_key), (again.request, again.device_key));
    assert_ne!((first.request, first.device_key), (other.request, other.device_key));
}

#[tokio::test]
async fn a_damaged_state_is_put_right_by_a_password_and_not_by_the_old_key() {
    let play = Play::start(|_, request| hello(request).unwrap_or_else(|| accepted(1)));
    let (temp, dir) = state_dir();
    let around = around(Span::ZERO);
    activate(&around, &dir, by_password(play.server())).await.expect("activated");
    std::fs::write(temp.path().join("state/state.json"), b"{").expect("damage");
    let old_key = by_old_key(play.server());
    assert_eq!(activate(&around, &dir, old_key).await.expect_err("damaged").code(), "state_damaged");
    activate(&around, &dir, by_password(play.server())).await.expect("activated");
    dir.activated().expect("a state");
}

#[tokio::test]
async fn without_an_old_key_there_is_nothing_to_come_back_with() {
    let (_temp, dir) = state_dir();
    let server = Server { url: "https://127.0.0.1:1".to_owned(), pin: Pin::Fingerprint([0; 32]) };
    let ask = by_old_key(server);
    assert_eq!(activate(&around(Span::ZERO), &dir, ask).await.expect_err("no key").code(), "not_activated");
}

#[tokio::test]
async fn a_server_of_another_time_is_told_apart_before_anything_is_said() {
    for (min, max, who) in [(2, 3, "this computer"), (0, 0, "the server")] {
        let play = Play::start(move |_, _| {
            Reply::Json(200, json!({ "release": "9", "protocol": { "min": min, "max": max }, "now_ms": 5 }))
        });
        let (_temp, dir) = state_dir();
        let error = activate(&around(Span::ZERO), &dir, by_password(play.server())).await.expect_err("too old");
        assert_eq!(error.code(), "protocol_mismatch");
        assert!(error.sentence().ends_with(&format!("update Holdfast on {who}")), "{}", error.sentence());
        assert_eq!(requests(&play).len(), 0, "no password was sent");
    }
}
