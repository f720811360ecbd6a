//! The order to erase, killed at every step; the counter, across commands; the bundle, without a secret.

use crate::command::{activate, holdfast, place, refused, taker};
use crate::play::{Play, Reply, Request, problem};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Names of files in a folder, without locks.
fn names(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).expect("a folder").flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.ends_with(".lock"))
        .collect()
}

fn ordered(number: usize, request: &Request) -> Reply {
    match request.path.as_str() {
        "/v1/device/wiped" => Reply::Json(200, json!({})),
        "/v1/device" => match taker(number, request) {
            Reply::Json(status, mut body) => {
                body["orders"] = json!(["wipe"]);
                body["state"] = json!("decommissioning");
                Reply::Json(status, body)
            }
            other => other,
        },
        "/v1/runs" | "/v1/snapshots" | "/v1/policy" => problem(403, "device_decommissioning", None),
        _ => taker(number, request),
    }
}

/// A server that gives the order once `is_due`.
fn server(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> (Play, Arc<AtomicBool>) {
    let is_due = Arc::new(AtomicBool::new(false));
    let due = Arc::clone(&is_due);
    let play = Play::start(move |number, request| match due.load(Ordering::SeqCst) {
        true => answer(number, request),
        false => taker(number, request),
    });
    (play, is_due)
}

#[test]
fn whatever_command_meets_the_order_carries_it_out_and_tells_the_server_before_the_key_goes() {
    for arguments in [&["status"][..], &["backup", "/etc"], &["snapshots"], &["policy"]] {
        let (dir, state, password) = place();
        let at = state.clone();
        let left = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = Arc::clone(&left);
        let (play, is_due) = server(move |number, request| {
            if request.path == "/v1/device/wiped" {
                *seen.lock().expect("no panic with the lock") = names(&at);
            }
            ordered(number, request)
        });
        assert_eq!(activate(&play, &state, &password).exit, 0);
        let mine = dir.path().join("mine");
        fs::write(&mine, "my own file").expect("a file");
        assert!(holdfast(&state, &["backup", mine.to_str().expect("UTF-8")]).exit == 0);
        for name in
            ["pending.key", "pending.json", "policy.json", "last.json", "unattended.json", "trees.cache", "parent.json"]
        {
            fs::write(state.join(format!("{name}.new")), "left by a crash").expect("a file");
        }
        is_due.store(true, Ordering::SeqCst);
        let ran = holdfast(&state, &[arguments, &["--json"]].concat());
        assert_eq!(
            (ran.exit, ran.json()["wiped"]["server"].clone()),
            (4, json!(play.url())),
            "{arguments:?}: {}",
            ran.stdout
        );
        let expected = ["device.key", "state.json", "wipe.json"].map(str::to_owned);
        assert_eq!(*left.lock().expect("no panic with the lock"), expected.into(), "when the server was told");
        assert_eq!(names(&state), ["wiped.json".to_owned()].into(), "{arguments:?}");
        assert!(mine.exists(), "the user's own files are not touched");

        let status = holdfast(&state, &["status"]);
        assert!(status.exit == 1 && status.stdout.contains("retired"), "{}", status.stdout);
        refused(&holdfast(&state, &["backup", "/etc", "--json"]), 1, "not_activated");
        let pin: String = play.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
        let ran = holdfast(&state, &["unattended", "--json", "--server", &play.url(), "--fingerprint", &pin]);
        refused(&ran, 1, "device_wiped");
        is_due.store(false, Ordering::SeqCst);
        assert_eq!(activate(&play, &state, &password).exit, 0, "a person brings it back");
        assert!(!names(&state).contains("wiped.json"));
    }
}

#[test]
fn an_order_that_was_cut_short_goes_on_where_it_was() {
    // The server is told so many times in vain first: no answer, then an answer that was lost.
    let (_dir, state, password) = place();
    let told = AtomicUsize::new(0);
    let (play, is_due) = server(move |number, request| match request.path.as_str() {
        "/v1/device/wiped" => match told.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Silence,
            _ => problem(403, "device_decommissioned", None),
        },
        _ => ordered(number, request),
    });
    assert_eq!(activate(&play, &state, &password).exit, 0);
    is_due.store(true, Ordering::SeqCst);
    refused(&holdfast(&state, &["--patience", "0", "status", "--json"]), 5, "server_unreachable");
    assert_eq!(names(&state), ["device.key", "state.json", "wipe.json"].map(str::to_owned).into());
    assert_eq!(holdfast(&state, &["snapshots", "--json"]).exit, 4, "goes on");
    assert_eq!(names(&state), ["wiped.json".to_owned()].into());

    // Killed after the server was told, with the state half erased.
    let wiped = fs::read(state.join("wiped.json")).expect("a file");
    let begun = json!({ "confirmed": true, "wiped": serde_json::from_slice::<Value>(&wiped).expect("JSON") });
    let private = |name: &str, bytes: &[u8]| {
        fs::write(state.join(name), bytes).expect("a file");
        fs::set_permissions(state.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
    };
    private("wipe.json", begun.to_string().as_bytes());
    private("state.json", &[0; 300]);
    private("device.key", &[0; 48]);
    let before = play.seen().len();
    assert_eq!(holdfast(&state, &["status", "--json"]).exit, 4);
    assert_eq!(play.seen().len(), before, "the server knows already");
    assert_eq!(names(&state), ["wiped.json".to_owned()].into());
}

#[test]
fn an_order_that_was_taken_back_leaves_the_device_as_it_is() {
    let (_dir, state, password) = place();
    let (play, is_due) = server(|number, request| match request.path.as_str() {
        "/v1/device/wiped" => Reply::Silence,
        _ => ordered(number, request),
    });
    assert_eq!(activate(&play, &state, &password).exit, 0);
    is_due.store(true, Ordering::SeqCst);
    assert_eq!(holdfast(&state, &["--patience", "0", "status", "--json"]).exit, 5);
    is_due.store(false, Ordering::SeqCst);
    let status = holdfast(&state, &["status", "--json"]);
    assert_eq!((status.exit, status.json()["state"].clone()), (0, json!("active")));
    assert!(!names(&state).contains("wipe.json"));
}

#[test]
fn each_session_presents_what_the_one_before_was_given_also_side_by_side() {
    let (_dir, state, password) = place();
    let given = Arc::new(Mutex::new(6_u8));
    let last = Arc::clone(&given);
    let wrong = Arc::new(AtomicBool::new(false));
    let is_wrong = Arc::clone(&wrong);
    let play = Play::start(move |number, request| {
        if request.path != "/v1/sessions" {
            return taker(number, request);
        }
        let mut last = last.lock().expect("no panic with the lock");
        if request.json()["counter"] != json!(format!("{:02x}", *last).repeat(56)) {
            is_wrong.store(true, Ordering::SeqCst);
        }
        *last += 1;
        let counter = format!("{:02x}", *last).repeat(56);
        Reply::Json(200, json!({ "token": format!("t{number}"), "expires_in_ms": 900_000, "counter": counter }))
    });
    assert_eq!(activate(&play, &state, &password).exit, 0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(holdfast(&state, &["snapshots", "--json"]).exit, 0));
        }
    });
    assert!(!wrong.load(Ordering::SeqCst), "two commands at once looked like two computers");
    assert_eq!(*given.lock().expect("no panic with the lock"), 12);
    let kept: Value = serde_json::from_slice(&fs::read(state.join("state.json")).expect("a state")).expect("JSON");
    assert_eq!(kept["counter"], json!("0c".repeat(56)), "kept before the session was used");
}

#[test]
fn a_bundle_tells_everything_but_what_opens_something() {
    let (dir, state, password) = place();
    let play = Play::start(taker);
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let missing = dir.path().join("missing");
    assert_eq!(holdfast(&state, &["backup", missing.to_str().expect("UTF-8")]).exit, 1);
    let file = dir.path().join("bundle.json");
    let ran = holdfast(&state, &["support-bundle", file.to_str().expect("UTF-8")]);
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
    let text = fs::read_to_string(&file).expect("a file");
    let bundle: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(bundle["last"]["error"]["code"], "nothing_to_read");
    for part in ["program", "computer", "state", "server", "policy", "last", "unattended"] {
        assert!(bundle.get(part).is_some() && ran.stdout.contains(part), "{part}");
    }
    assert_eq!(
        fs::metadata(&file).map(|found| std::os::unix::fs::MetadataExt::mode(&found) & 0o777).expect("a file"),
        0o600
    );
    let key = fs::read(state.join("device.key")).expect("a key");
    let secrets = [
        data_encoding::HEXLOWER.encode(&key[16..]),
        data_encoding::BASE64.encode(&key),
        "07".repeat(56),
        "correct horse".to_owned(),
        "naming_key".to_owned(),
        "run_key".to_owned(),
    ];
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()) && !ran.stdout.contains(secret.as_str()), "{secret}");
    }
    refused(&holdfast(&state, &["support-bundle", file.to_str().expect("UTF-8"), "--json"]), 1, "file_unusable");
}

#[test]
fn no_command_shows_a_secret_however_much_it_says() {
    let (dir, state, password) = place();
    let play = Play::start(taker);
    let pin: String = play.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    let who = ["-v", "activate", "--email", "anna@example.com", "--password-file", &password];
    let mut shown = String::new();
    let mut run = |arguments: &[&str]| {
        let ran = holdfast(&state, arguments);
        shown.push_str(&ran.stdout);
        shown.push_str(&ran.stderr);
    };
    run(&[&who[..], &["--server", &play.url(), "--fingerprint", &pin]].concat());
    let folder = dir.path().to_str().expect("UTF-8");
    for arguments in [&["backup", folder][..], &["status"], &["policy"], &["snapshots"], &["status", "--json"]] {
        run(&[&["-v"], arguments].concat());
    }
    let key = fs::read(state.join("device.key")).expect("a key");
    let tokens: BTreeSet<String> = play.seen().into_iter().filter_map(|request| request.bearer).collect();
    assert!(!tokens.is_empty() && shown.contains("/v1/sessions"), "the log says what is done");
    let secrets =
        ["correct horse".to_owned(), "07".repeat(56), "06".repeat(56), data_encoding::HEXLOWER.encode(&key[16..])];
    for secret in &secrets {
        assert!(!shown.contains(secret.as_str()), "{secret}");
    }
    for token in tokens {
        assert!(!shown.contains(&format!("Bearer {token}")) && !shown.contains(&format!("\"{token}\"")), "{token}");
    }
}

#[test]
fn a_support_bundle_that_an_admin_has_asked_for_is_sent_by_backup_and_by_status_and_the_user_sees_it() {
    for arguments in [&["status"][..], &["backup", "/etc/hostname"]] {
        let (_dir, state, password) = place();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sent);
        let (play, is_due) = server(move |number, request| match request.path.as_str() {
            "/v1/device/support-bundle" => {
                let mut sent = seen.lock().expect("no panic with the lock");
                sent.push(String::from_utf8(request.body.to_vec()).expect("text"));
                if sent.len() == 1 { Reply::Json(200, json!(null)) } else { problem(409, "bundle_not_asked", None) }
            }
            "/v1/device" => match taker(number, request) {
                Reply::Json(status, mut body) => {
                    body["orders"] = json!(["dance", "support_bundle"]);
                    Reply::Json(status, body)
                }
                other => other,
            },
            _ => taker(number, request),
        });
        assert_eq!(activate(&play, &state, &password).exit, 0);
        is_due.store(true, Ordering::SeqCst);
        for _ in 0..2 {
            let ran = holdfast(&state, arguments);
            assert_eq!(ran.exit, 0, "{arguments:?}: {}", ran.stderr);
        }
        let sent = sent.lock().expect("no panic with the lock").clone();
        assert_eq!(sent.len(), 2, "{arguments:?}: for as long as the server asks for it");
        let bundle: Value = serde_json::from_str(&sent[0]).expect("JSON");
        assert!(bundle["program"]["release"].is_string() && bundle["state"]["url"].is_string(), "{bundle}");
        let status = holdfast(&state, &["status"]).stdout;
        assert!(status.contains("has asked for a support bundle") && status.contains("sent on"), "{status}");
    }
}
