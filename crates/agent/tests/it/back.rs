//! Coming back: a held device without waiting for its date, by the key where the token has ended, what would change
//! shown first, what is still owed, the slot for what was missed, and a password by a link.

use crate::choices::at_terminal;
use crate::command::{activate, holdfast, place, refused, taker};
use crate::play::{Play, Reply, Request, around, problem};
use agent::backup;
use agent::remote::Around;
use agent::state::StateDir;
use base::{Clock, ManualClock, SeededEntropy, Span, Timestamp};
use protocol::agent::activation::{ActivationRequest, Preview, Proof};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const DEVICE: &str = "dev_248h248h248h248h248h248h24";

fn private(path: &Path, text: &str) -> String {
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("a mode");
    path.to_str().expect("UTF-8").to_owned()
}

fn pin(play: &Play) -> String {
    play.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn requests(play: &Play) -> Vec<ActivationRequest> {
    let seen = play.seen_at("/v1/activations");
    seen.iter().map(|request| serde_json::from_slice(&request.body).expect("a request")).collect()
}

/// What `taker` answers, with these fields changed.
fn changed(number: usize, request: &Request, fields: &Value) -> Reply {
    let Reply::Json(status, mut answer) = taker(number, request) else { panic!("no JSON") };
    for (field, value) in fields.as_object().expect("an object") {
        answer[field] = value.clone();
    }
    Reply::Json(status, answer)
}

#[test]
fn a_held_device_comes_back_at_once_and_by_its_key_where_the_token_has_ended() {
    let (dir, state, _) = place();
    let is_held = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&is_held);
    let play = Play::start(move |number, request| match request.path.as_str() {
        "/v1/device" if held.load(Ordering::SeqCst) => changed(number, request, &json!({ "state": "held" })),
        "/v1/activations" if held.load(Ordering::SeqCst) => {
            let asked: ActivationRequest = serde_json::from_slice(&request.body).expect("a request");
            match asked.proof {
                Proof::Token { .. } => problem(403, "token_expired", None),
                _ => taker(number, request),
            }
        }
        _ => taker(number, request),
    });
    let token = private(&dir.path().join("token"), "hft2_NotForAnybodysEyes");
    let (url, pin) = (play.url(), pin(&play));
    let unattended = ["--json", "unattended", "--server", &url, "--fingerprint", &pin, "--token-file", &token];
    assert_eq!(holdfast(&state, &unattended).json()["outcome"], "new");
    assert_eq!(holdfast(&state, &unattended).json()["outcome"], "in_service");
    is_held.store(true, Ordering::SeqCst);
    let back = holdfast(&state, &unattended);
    assert_eq!((back.exit, back.json()["outcome"].clone()), (0, json!("new")), "{}", back.stdout);
    let [_, by_token, by_key] = requests(&play).try_into().expect("three requests");
    assert!(matches!(by_token.proof, Proof::Token { .. }) && matches!(by_key.proof, Proof::OldKey));
    assert!(by_key.old_key.is_some() && by_key.device_key != by_token.device_key);
}

/// Says what would change to whoever wants to see it.
fn shows(number: usize, request: &Request) -> Reply {
    let asked = (request.path == "/v1/activations").then(|| request.json());
    match asked.filter(|asked| !asked["preview"].is_null()) {
        Some(_) => Reply::Json(
            200,
            json!({
                "answer": "changes", "device": DEVICE, "name": "Anna's laptop", "outcome": "reactivated",
                "changes": {
                    "kept": false,
                    "folders": [{ "folder": "fld_248h248h248h248h248h248h24", "path": "${home}/Music" }],
                    "values": [{ "key": "interval", "was": "2h", "now": "8h" }],
                },
            }),
        ),
        None => taker(number, request),
    }
}

#[test]
fn a_person_sees_what_would_change_and_may_say_no() {
    let (_dir, state, password) = place();
    let play = Play::start(shows);
    let (url, pin) = (play.url(), pin(&play));
    let who = ["--server", &url, "--fingerprint", &pin, "--email", "anna@example.com", "--password-file", &password];
    let words = [&["activate"], &who[..]].concat();
    let (exit, shown) = at_terminal(&state, &words, &[("[yes]:", "no")]);
    assert_eq!(exit, 2, "{shown}");
    for part in ["Anna's laptop again", "${home}/Music", "interval: 2h -> 8h", "activation_declined"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!state.join("state.json").exists(), "nothing was changed");
    let (exit, shown) = at_terminal(&state, &words, &[("[yes]:", "")]);
    assert_eq!(exit, 0, "{shown}");
    let [_, looked, bound] = requests(&play).try_into().expect("three requests");
    assert_eq!((looked.preview, bound.preview), (Preview::Changes, Preview::None));
    assert_ne!((looked.request, looked.device_key), (bound.request, bound.device_key), "another question");

    // A script is shown nothing that it has not asked for.
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let looked = holdfast(&state, &[&words[..], &["--dry-run", "--json"]].concat());
    let preview = &looked.json()["preview"];
    assert_eq!((looked.exit, preview["changes"]["values"][0]["was"].clone()), (0, json!("2h")), "{preview}");
    let said = holdfast(&state, &[&words[..], &["--dry-run"]].concat()).stdout;
    assert!(said.contains("would be back") && said.lines().all(|line| line.chars().count() <= 80), "{said}");
}

#[test]
fn what_may_not_be_read_yet_is_owed_and_an_own_wish_gives_it_up() {
    let (dir, state, password) = place();
    let (rights, name) = (Arc::new(AtomicBool::new(false)), "snp_248h248h248h248h248h248h24");
    let is_full = Arc::clone(&rights);
    let play = Play::start(move |number, request| {
        let is_full = is_full.load(Ordering::SeqCst);
        let rights = if is_full { "full" } else { "append_only" };
        let Reply::Json(_, listed) =
            taker(0, &Request { path: "/v1/snapshots".to_owned(), method: "GET".to_owned(), ..request.clone() })
        else {
            panic!("no JSON")
        };
        let snapshot = &listed["snapshots"][0];
        match request.path.as_str() {
            "/v1/activations" if is_full => changed(number, request, &json!({ "snapshot": snapshot })),
            "/v1/activations" => {
                changed(number, request, &json!({ "rights": rights, "snapshot": snapshot, "restore": "data" }))
            }
            "/v1/device" => changed(number, request, &json!({ "rights": rights })),
            "/v1/runs" => problem(503, "server_busy", None),
            _ => taker(number, request),
        }
    });
    let token = private(&dir.path().join("token"), "hft2_NotForAnybodysEyes");
    let (url, pin) = (play.url(), pin(&play));
    let server = ["unattended", "--server", &url, "--fingerprint", &pin, "--token-file", &token];
    let unattended = || holdfast(&state, &[&["--json", "--patience", "0"], &server[..]].concat());
    let came = unattended();
    let owed = json!(name);
    assert_eq!((came.exit, &came.json()["restore_owed"]["snapshot"]), (0, &owed), "{}", came.stdout);
    assert!(play.seen_at("/v1/runs").is_empty(), "what is refused for certain is not tried");
    let status = holdfast(&state, &["status"]);
    assert!(status.stdout.contains("has full rights, by `holdfast unattended`"), "{}", status.stdout);
    // Approved, but the server has no time: it stays owed.
    rights.store(true, Ordering::SeqCst);
    let busy = unattended();
    assert_eq!((busy.exit, busy.json()["restored"]["error"]["code"].clone()), (5, json!("server_busy")));
    assert_eq!(busy.json()["restore_owed"]["snapshot"], owed);
    let who = ["activate", "--server", &url, "--fingerprint", &pin, "--email", "anna@example.com"];
    let given_up = [&["--json"], &who[..], &["--password-file", &password, "--restore", "none"]].concat();
    let signed_in = holdfast(&state, &given_up);
    assert_eq!((signed_in.exit, signed_in.json()["restore_owed"].clone()), (0, Value::Null), "{}", signed_in.stdout);
    assert!(!state.join("owed.json").exists());
}

#[tokio::test]
async fn a_timer_waits_for_the_slot_by_the_servers_clock_and_a_person_does_not() {
    let (_dir, state, password) = place();
    let play = Play::start(|number, request| match request.path.as_str() {
        "/v1/device" => changed(number, request, &json!({ "now_ms": 1_000, "catch_up_at_ms": 601_000 })),
        _ => taker(number, request),
    });
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let dir = StateDir::open(&state).expect("a state directory");
    let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_764_006_000_000)));
    let entropy = Arc::new(SeededEntropy::new(1));
    let around = Around { clock: Arc::clone(&clock) as _, entropy, ..around(Span::ZERO) };
    let began_at = clock.now();
    let mut said = None;
    backup::await_slot(&around, &dir, |wait| said = Some(wait)).await.expect("a device");
    assert_eq!((said, clock.now().since(began_at)), (Some(Span::minutes(10)), Span::minutes(10)));
}

fn links(number: usize, request: &Request) -> Reply {
    match request.path.as_str() {
        "/v1/password-links" => match request.json()["password"].as_str() {
            Some("short") => problem(400, "password_too_short", None),
            Some(_) if request.json()["link"] == "hfl1_good" => {
                Reply::Json(200, json!({ "email": "anna@example.com" }))
            }
            _ => problem(403, "link_invalid", None),
        },
        _ => taker(number, request),
    }
}

#[test]
fn a_password_is_set_by_a_link_and_typed_twice_until_it_is_good() {
    let (dir, state, password) = place();
    let play = Play::start(links);
    let (url, pin) = (play.url(), pin(&play));
    let server = ["password", "--server", &url, "--fingerprint", &pin];
    let file = |name: &str, text: &str| private(&dir.path().join(name), text);
    let (good, bad, short) = (
        file("good", "https://backup.example.com:8471/password#hfl1_good\n"),
        file("bad", "hfl1_bad\n"),
        file("short", "short\n"),
    );
    let run = |more: &[&str]| holdfast(&state, &[&["--json"], &server[..], more].concat());
    refused(&run(&["--link-file", &good, "--password-file", &short]), 1, "password_too_short");
    refused(&run(&["--link-file", &bad, "--password-file", &password]), 4, "link_invalid");
    refused(&run(&["--password-file", &password]), 2, "link_missing");
    refused(&run(&["--link-file", &good]), 2, "password_missing");
    let done = run(&["--link-file", &good, "--password-file", &password]);
    assert_eq!((done.exit, done.json()["email"].clone()), (0, json!("anna@example.com")));
    let text = holdfast(&state, &[&server[..], &["--link-file", &good, "--password-file", &password]].concat());
    assert!(text.stdout.contains("The password is set") && !text.stdout.contains("correct horse"), "{}", text.stdout);

    let answers = [
        ("its page:", "hfl1_good"),
        ("New password:", "short"),
        ("The same again:", "short"),
        // Not accepted: the link is good still, and another one is asked for.
        ("New password:", "a longer one"),
        ("The same again:", "a longer one"),
    ];
    let (exit, shown) = at_terminal(&state, &server, &answers);
    assert_eq!(exit, 0, "{shown}");
    assert!(shown.contains("password_too_short") && shown.contains("anna@example.com"), "{shown}");
    assert!(!shown.contains("a longer one") && !shown.contains("hfl1_good"), "without echo: {shown}");
    let (exit, shown) = at_terminal(
        &state,
        &server,
        &[("its page:", "hfl1_good"), ("New password:", "one two three"), ("The same again:", "one two four")],
    );
    assert!(exit == 2 && shown.contains("passwords_differ"), "{shown}");
    assert!(!state.join("state.json").exists(), "this computer need not be a device");
}
