//! The program itself, as a script sees it: exit codes, one JSON object, nothing but it on stdout.

use crate::play::{Play, Reply, Request, problem, silent_port};
use base::{DeviceId, RepositoryId, RunId, SeededEntropy};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use tempfile::TempDir;

pub struct Ran {
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        assert_eq!(self.stdout.matches('\n').count(), 1, "one line: {:?}", self.stdout);
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {:?}", self.stdout))
    }
}

pub fn holdfast(state: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.env_clear().env("HOLDFAST_STATE", state).stdin(Stdio::null()).args(arguments);
    let Output { status, stdout, stderr } = command.output().expect("the program runs");
    Ran {
        exit: status.code().expect("an exit code"),
        stdout: String::from_utf8(stdout).expect("UTF-8"),
        stderr: String::from_utf8(stderr).expect("UTF-8"),
    }
}

/// A state directory that is not there yet, and a file with a password.
pub fn place() -> (TempDir, std::path::PathBuf, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let password = dir.path().join("password");
    fs::write(&password, "correct horse\n").expect("a file");
    let state = dir.path().join("state");
    let password = password.to_str().expect("UTF-8").to_owned();
    (dir, state, password)
}

pub fn refused(ran: &Ran, exit: i32, code: &str) -> String {
    let error = &ran.json()["error"];
    assert_eq!((ran.exit, error["code"].as_str()), (exit, Some(code)), "{} {}", ran.stdout, ran.stderr);
    let mut fields: Vec<_> = error.as_object().expect("an object").keys().map(String::as_str).collect();
    fields.sort_unstable();
    match error["retry"].as_str() {
        Some("later") => assert_eq!(fields, ["code", "kind", "retry", "retry_after_ms", "sentence"]),
        Some("never" | "when_changed") => assert_eq!(fields, ["code", "kind", "retry", "sentence"]),
        other => panic!("retry is {other:?}"),
    }
    assert_eq!(ran.stderr, "");
    error["sentence"].as_str().expect("a sentence").to_owned()
}

#[test]
fn a_wrong_command_line_ends_with_2_and_says_so_to_people_and_to_scripts() {
    let (_dir, state, _) = place();
    let cases: [&[&str]; 8] = [
        &[],
        &["bakcup"],
        &["restore", "latest"],
        &["ls"],
        &["backup", "--nope"],
        &["activate", "--ca", "a", "--fingerprint", "b"],
        &["activate", "--old-key", "--email", "anna@example.com"],
        &["activate", "--choice", "perhaps"],
    ];
    for arguments in cases {
        let ran = holdfast(&state, arguments);
        assert_eq!((ran.exit, ran.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.stderr.contains("Usage") || ran.stderr.contains("--help"), "{arguments:?}: {}", ran.stderr);
        let (first, _) = ran.stderr.split_once("\n\n").expect("a sentence, and then the right use");
        assert!(first.starts_with("holdfast: ") && first.ends_with(" (usage)"), "{arguments:?}: {first}");
        assert!(!first.contains("error: "), "{arguments:?}: {first}");
        let sentence = refused(&holdfast(&state, &[arguments, &["--json"]].concat()), 2, "usage");
        assert!(!sentence.is_empty() && !sentence.starts_with("error"), "{sentence}");
    }
    // What is missing is named, to scripts too.
    let sentence = refused(&holdfast(&state, &["restore", "latest", "--json"]), 2, "usage");
    assert!(sentence.ends_with("--to <DIR>"), "{sentence}");
    let sentence = refused(&holdfast(&state, &["folders", "add", "--json"]), 2, "usage");
    assert!(sentence.ends_with("<PATH>"), "{sentence}");
    assert!(holdfast(&state, &["bakcup"]).stderr.contains("tip: a similar subcommand exists: 'backup'"));
    assert!(holdfast(&state, &["a\u{1b}[2Jb"]).stderr.chars().all(|letter| letter == '\n' || !letter.is_control()));
    assert!(!state.exists(), "nothing was made");
}

#[test]
fn a_password_is_never_an_argument() {
    let (_dir, state, _) = place();
    let ran = holdfast(&state, &["activate", "--email", "anna@example.com", "--password", "secret"]);
    assert_eq!(ran.exit, 2);
    assert!(!holdfast(&state, &["activate", "--help"]).stdout.contains("--password <"));
}

#[test]
fn help_and_version_are_answers() {
    let (_dir, state, _) = place();
    for (arguments, expected) in [(vec!["--help"], "Exit codes"), (vec!["--version"], "holdfast ")] {
        let ran = holdfast(&state, &arguments);
        assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""));
        assert!(ran.stdout.contains(expected), "{}", ran.stdout);
    }
}

#[test]
fn every_help_fits_a_terminal_of_80_columns() {
    let (_dir, state, _) = place();
    let commands: [&[&str]; 21] = [
        &[],
        &["activate"],
        &["unattended"],
        &["password"],
        &["backup"],
        &["status"],
        &["policy"],
        &["folders"],
        &["folders", "add"],
        &["folders", "remove"],
        &["folders", "unlink"],
        &["folders", "link"],
        &["settings"],
        &["settings", "set"],
        &["settings", "reset"],
        &["support-bundle"],
        &["snapshots"],
        &["ls"],
        &["restore"],
        &["verify-restore"],
        &["folders", "list"],
    ];
    for command in commands {
        for flag in ["-h", "--help"] {
            let help = holdfast(&state, &[command, &[flag]].concat());
            let long: Vec<&str> = help.stdout.lines().filter(|line| line.chars().count() > 80).collect();
            assert_eq!((help.exit, long), (0, vec![]), "{command:?} {flag}");
        }
    }
}

#[test]
fn what_cannot_be_asked_for_without_a_terminal_is_said() {
    let (_dir, state, password) = place();
    let url = "https://127.0.0.1:1";
    let json = |arguments: &[&str]| holdfast(&state, &[&["--json", "activate"], arguments].concat());
    let pin = "00".repeat(32);
    refused(&json(&[]), 2, "server_missing");
    refused(&json(&["--server", "http://plain"]), 2, "url_invalid");
    refused(&json(&["--server", url]), 2, "certificate_unpinned");
    refused(&json(&["--server", url, "--fingerprint", "12"]), 2, "fingerprint_invalid");
    refused(&json(&["--server", url, "--ca", "/not/there"]), 1, "file_unusable");
    refused(
        &json(&["--server", url, "--ca", &password, "--email", "a", "--password-file", &password]),
        2,
        "ca_invalid",
    );
    refused(&json(&["--server", url, "--fingerprint", &pin]), 2, "email_missing");
    refused(&json(&["--server", url, "--fingerprint", &pin, "--email", "a"]), 2, "password_missing");
    refused(&json(&["--server", url, "--fingerprint", &pin, "--old-key"]), 1, "not_activated");
}

#[test]
fn before_activation_every_command_says_what_to_do() {
    let (_dir, state, _) = place();
    let cases: [&[&str]; 5] = [
        &["policy"],
        &["backup"],
        &["snapshots"],
        &["ls", "latest"],
        &["restore", "latest", "--to", "/nowhere/at/all"],
    ];
    for arguments in cases {
        let sentence = refused(&holdfast(&state, &[arguments, &["--json"]].concat()), 1, "not_activated");
        assert!(sentence.contains("holdfast activate"), "{sentence}");
        let ran = holdfast(&state, arguments);
        assert_eq!((ran.exit, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.starts_with("holdfast: ") && ran.stderr.ends_with("(not_activated)\n"), "{}", ran.stderr);
    }
    assert!(!Path::new("/nowhere").exists());
    let status = holdfast(&state, &["status", "--json"]);
    assert_eq!((status.exit, &status.json()["error"]["code"]), (1, &json!("not_activated")));
    assert!(holdfast(&state, &["status"]).stdout.contains("holdfast activate"));
}

#[test]
fn a_state_that_others_can_read_is_refused() {
    let (_dir, state, _) = place();
    fs::create_dir(&state).expect("a folder");
    fs::write(state.join("anything"), b"x").expect("a file");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).expect("a mode");
    refused(&holdfast(&state, &["status", "--json"]), 1, "state_exposed");
    let other = state.join("other");
    let ran = holdfast(&state, &["status", "--json", "--state", other.to_str().expect("UTF-8")]);
    assert_eq!((ran.exit, &ran.json()["activated"]), (1, &json!(false)));
}

#[test]
fn a_server_that_is_not_there_ends_with_5_and_a_stranger_too() {
    let (_dir, state, password) = place();
    let pin = "00".repeat(32);
    let activate = |url: &str| {
        let who = ["--json", "--patience", "0", "activate", "--email", "a", "--password-file", &password];
        holdfast(&state, &[&who[..], &["--server", url, "--fingerprint", &pin]].concat())
    };
    refused(&activate(&format!("https://127.0.0.1:{}", silent_port())), 5, "server_unreachable");
    let play = Play::start(|_, _| Reply::Silence);
    refused(&activate(&play.url()), 5, "certificate_mismatch");
    assert!(play.seen().is_empty(), "no password went to the stranger");
}

/// Takes whatever it is given: enough to see the program's side of a backup.
pub fn taker(number: usize, request: &Request) -> Reply {
    let entropy = SeededEntropy::new(7);
    let (device, run, repository) = (DeviceId::mint(&entropy), RunId::mint(&entropy), RepositoryId::mint(&entropy));
    let snapshot = json!({
        "snapshot": "snp_248h248h248h248h248h248h24", "device": device.to_string(), "began_at_ms": 1,
        "ended_at_ms": 2, "committed_at_ms": 3, "totals": { "entries": 1, "files": 1, "bytes": 1 },
        "folders": ["home/anna"], "host_name": "laptop", "problems": 0,
    });
    let path = request.path.split('?').next().unwrap_or_default();
    let step = path.rsplit('/').next().unwrap_or_default();
    match (request.method.as_str(), step) {
        ("GET", "hello") => {
            Reply::Json(200, json!({ "release": "9", "protocol": { "min": 1, "max": 1 }, "now_ms": 5 }))
        }
        ("POST", "activations") => Reply::Json(
            200,
            json!({
                "answer": "activated", "device": device.to_string(), "epoch": 1, "rights": "full", "outcome": "new",
                "user": "anna@example.com", "snapshot": null, "restore": "none",
                "changes": { "kept": false, "folders": [], "values": [] }, "catch_up_at_ms": null,
                "counter": "06".repeat(56),
            }),
        ),
        ("POST", "challenge") => Reply::Json(200, json!({ "challenge": "05".repeat(48), "expires_in_ms": 60_000 })),
        ("POST", "sessions") => Reply::Json(
            200,
            json!({ "token": format!("t{number}"), "expires_in_ms": 900_000, "counter": "07".repeat(56) }),
        ),
        ("POST", "runs") => Reply::Json(
            200,
            json!({
                "run": run.to_string(), "repository": repository.to_string(), "naming_key": "01".repeat(32),
                "run_key": "02".repeat(32), "key_id": 1, "lease_ms": 86_400_000,
                "limits": { "pack_bytes": 16 << 20, "uploads": 2, "refs": 8_192 },
            }),
        ),
        ("POST", "dedupe") => {
            let count = request.body.len() / 32;
            let mut bits = vec![0xff; count.div_ceil(8)];
            if !count.is_multiple_of(8) {
                *bits.last_mut().expect("a byte") = (1 << (count % 8)) - 1;
            }
            Reply::Bytes(bits)
        }
        ("POST", "verify") => Reply::Bytes(vec![0; (request.body.len() / 32).div_ceil(8)]),
        ("POST", "commit") => {
            Reply::Json(200, json!({ "snapshot": snapshot, "bytes_received": 1_000, "chunks_new": 5, "packs": 1 }))
        }
        ("GET", "snapshots") => Reply::Json(200, json!({ "snapshots": [snapshot] })),
        ("GET", "device") => Reply::Json(
            200,
            json!({
                "device": device.to_string(), "name": "laptop", "user": "anna@example.com", "state": "active",
                "rights": "full", "snapshot": snapshot, "snapshots": 1, "now_ms": 5, "orders": [],
                "catch_up_at_ms": null, "policy_revision": 1, "support": "call 555",
            }),
        ),
        ("PUT", _) => Reply::Json(200, json!({ "chunks_new": 5 })),
        _ => problem(404, "route_unknown", None),
    }
}

pub fn activate(play: &Play, state: &Path, password: &str) -> Ran {
    let pin: String = play.fingerprint.iter().map(|byte| format!("{byte:02X}:")).collect();
    let who = ["--json", "activate", "--email", "anna@example.com", "--password-file", password];
    holdfast(state, &[&who[..], &["--server", &play.url(), "--fingerprint", pin.trim_end_matches(':')]].concat())
}

#[test]
fn a_computer_is_activated_backed_up_and_looked_at() {
    let (dir, state, password) = place();
    let play = Play::start(taker);
    let activated = activate(&play, &state, &password);
    assert_eq!((activated.exit, activated.stderr.as_str()), (0, ""), "{}", activated.stdout);
    assert_eq!(activated.json()["rights"], "full");
    assert!(!activated.stdout.contains("correct horse"));

    refused(&holdfast(&state, &["backup", "--json"]), 2, "no_folders");
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    for number in 0..20 {
        fs::write(folder.join(format!("file {number}")), vec![number; 10_000]).expect("a file");
    }
    let folder_text = folder.canonicalize().expect("a path").to_str().expect("UTF-8").to_owned();
    let done = holdfast(&state, &["backup", "--json", &folder_text]);
    assert_eq!((done.exit, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    let fields = done.json();
    assert_eq!((&fields["files_seen"], &fields["files_opened"]), (&json!(20), &json!(20)));
    assert_eq!((&fields["bytes_read"], &fields["problem_count"]), (&json!(200_000), &json!(0)));
    assert_eq!((&fields["folders"], &fields["parent"]), (&json!([folder_text]), &json!(null)));
    assert!(fields["bytes_sent"].as_u64().is_some_and(|sent| sent > 500), "{fields}");
    assert!(
        play.seen_at("/v1/runs")
            .iter()
            .any(|request| request.path.ends_with("/commit?files_opened=20&bytes_read=200000"))
    );
    assert!(state.join("trees.cache").exists());

    let again = holdfast(&state, &["backup"]);
    assert_eq!((again.exit, again.stderr.as_str()), (0, ""), "the folder was remembered");
    assert!(again.stdout.contains("is safe on the server.") && again.stdout.contains("20 seen"), "{}", again.stdout);

    assert_eq!(holdfast(&state, &["status", "--json"]).json()["state"], "active");
    assert_eq!(holdfast(&state, &["snapshots", "--json"]).json()["snapshots"][0]["host_name"], "laptop");
    refused(&holdfast(&state, &["ls", "snp_0000", "--json"]), 1, "snapshot_unknown");
    refused(&holdfast(&state, &["ls", "snp_0", "--json"]), 2, "snapshot_name_invalid");
    refused(&holdfast(&state, &["restore", "latest", "/a/x", "/b/x", "--to", "/tmp", "--json"]), 2, "same_name");
}

#[test]
fn entries_that_cannot_be_saved_end_with_3_and_are_listed() {
    let (dir, state, password) = place();
    let play = Play::start(taker);
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("file"), b"x").expect("a file");
    let missing = dir.path().join("not there");
    let both = [folder.to_str().expect("UTF-8"), missing.to_str().expect("UTF-8")];
    let done = holdfast(&state, &[&["backup", "--json"], &both[..]].concat());
    let fields = done.json();
    assert_eq!((done.exit, &fields["problem_count"]), (3, &json!(1)), "{}", done.stdout);
    assert_eq!(fields["problems"][0]["code"], "entry_gone");
    assert_eq!(fields["problems"][0]["path"], both[1]);
    let only = holdfast(&state, &["backup", "--json", both[1]]);
    let sentence = refused(&only, 1, "nothing_to_read");
    assert!(sentence.contains(both[1]), "{sentence}");
}

#[test]
fn a_refusal_ends_with_4_and_is_part_of_the_status() {
    let (dir, state, password) = place();
    let is_cut_off = std::sync::Arc::new(Mutex::new(false));
    let cut_off = std::sync::Arc::clone(&is_cut_off);
    let play = Play::start(move |number, request| {
        let is_cut_off = *cut_off.lock().expect("no panic with the lock");
        if is_cut_off { problem(403, "device_deactivated", None) } else { taker(number, request) }
    });
    assert_eq!(activate(&play, &state, &password).exit, 0);
    *is_cut_off.lock().expect("no panic with the lock") = true;
    let folder = dir.path().to_str().expect("UTF-8");
    for arguments in
        [vec!["backup", folder], vec!["snapshots"], vec!["ls", "latest"], vec!["restore", "latest", "--to", "x"]]
    {
        let sentence = refused(&holdfast(&state, &[&arguments[..], &["--json"]].concat()), 4, "device_deactivated");
        assert_eq!(sentence, "the sentence of device_deactivated");
    }
    let status = holdfast(&state, &["status", "--json"]);
    assert_eq!((status.exit, &status.json()["error"]["code"]), (4, &json!("device_deactivated")));
    assert_eq!(status.json()["user"], "anna@example.com");
    assert!(!Path::new("x").exists());
}

#[test]
fn two_backups_of_one_state_do_not_run_side_by_side() {
    let (dir, state, password) = place();
    let play = Play::start(taker);
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let lock = fs::File::create(state.join("backup.lock")).expect("a file");
    lock.lock().expect("a lock");
    let folder = dir.path().to_str().expect("UTF-8");
    let sentence = refused(&holdfast(&state, &["backup", folder, "--json"]), 1, "already_running");
    assert!(sentence.contains("a backup is running already"), "{sentence}");
    assert_eq!(holdfast(&state, &["snapshots"]).exit, 0, "looking is allowed");
}

#[test]
fn a_backup_that_is_told_to_stop_says_so() {
    let (dir, state, password) = place();
    let play = Play::start(|number, request| match request.path.as_str() {
        "/v1/runs" => Reply::Silence,
        _ => taker(number, request),
    });
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["--json", "backup"])
        .arg(dir.path())
        .env("HOLDFAST_STATE", &state)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    while play.seen_at("/v1/runs").is_empty() {
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    let output = child.wait_with_output().expect("an end");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &answer["error"]["code"]), (Some(1), &json!("interrupted")));
}
