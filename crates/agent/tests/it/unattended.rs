//! Activation without a person: what installers leave, what is tried again, what is kept, what is cleared away.

use crate::command::{Ran, holdfast, place, refused, taker};
use crate::play::{Play, Reply, around, problem, silent_port};
use agent::remote::Around;
use agent::state::StateDir;
use agent::unattended::{self, Found, Origin, Record, Wish};
use base::{Clock, ManualClock, SeededEntropy, Span, Timestamp};
use protocol::agent::activation::{ActivationRequest, Choice, Proof};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

const TOKEN: &str = "hft2_NotForAnybodysEyes";

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

/// Nothing that was shown or kept holds the token; only the files of the installer may.
fn shows_no_token(ran: &Ran, state: &Path) {
    assert!(!ran.stdout.contains(TOKEN) && !ran.stderr.contains(TOKEN), "{} {}", ran.stdout, ran.stderr);
    for entry in fs::read_dir(state).expect("a folder").flatten() {
        let bytes = fs::read(entry.path()).expect("a file");
        assert!(!bytes.windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes()), "{:?}", entry.path());
    }
}

#[test]
fn an_environment_file_is_enough_and_a_second_start_does_nothing() {
    let (dir, state, _) = place();
    let play = Play::start(taker);
    let token_file = private(&dir.path().join("token"), TOKEN);
    let ca = private(&dir.path().join("ca.pem"), &play.ca_pem);
    let text = format!(
        "# left by an installer\nHOLDFAST_SERVER=\"{}\"\nHOLDFAST_CA={ca}\nHOLDFAST_TOKEN_FILE='{token_file}'\n\
         HOLDFAST_CHOICE=add\nHOLDFAST_RESTORE=none\nPATH=/bin\n",
        play.url()
    );
    let env_file = private(&dir.path().join("activate.env"), &text);
    let ran = holdfast(&state, &["--json", "-v", "unattended", "--env-file", &env_file]);
    assert_eq!((ran.exit, ran.json()["outcome"].clone()), (0, json!("new")), "{} {}", ran.stdout, ran.stderr);
    shows_no_token(&ran, &state);
    let [request] = requests(&play).try_into().expect("one request");
    assert!(matches!(&request.proof, Proof::Token { token } if token == TOKEN));
    assert_eq!((request.choice, request.can_ask, request.email.as_str()), (Choice::Add, false, ""));
    let again = holdfast(&state, &["--json", "unattended", "--env-file", &env_file]);
    assert_eq!((again.exit, again.json()["outcome"].clone()), (0, json!("in_service")));
    assert_eq!(requests(&play).len(), 1, "a device in service is left as it is");
}

#[test]
fn a_token_that_was_used_is_not_left_for_who_steals_the_computer() {
    let rest = |play: &Play, ca: &str| {
        format!("# left by an installer\nHOLDFAST_SERVER=\"{}\"\nHOLDFAST_CA={ca}\nPATH=/bin\n", play.url())
    };
    let (dir, state, _) = place();
    let play = Play::start(taker);
    let ca = private(&dir.path().join("ca.pem"), &play.ca_pem);
    let token_file = private(&dir.path().join("token"), TOKEN);
    let text = format!("{}HOLDFAST_TOKEN_FILE='{token_file}'\nHOLDFAST_TOKEN={TOKEN}\n", rest(&play, &ca));
    let env_file = private(&dir.path().join("activate.env"), &text);
    let ran = holdfast(&state, &["--json", "unattended", "--env-file", &env_file]);
    assert_eq!((ran.exit, &ran.json()["token_left"]), (0, &json!(null)), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(ran.json()["token_taken_out_of"], json!([env_file, token_file]));
    let left = fs::read_to_string(&env_file).expect("a file");
    assert!(left.starts_with(&rest(&play, &ca)) && !left.contains(TOKEN), "{left}");
    assert_eq!(fs::read_to_string(&token_file).expect("a file"), "");
    let again = holdfast(&state, &["--json", "unattended", "--env-file", &env_file]);
    assert_eq!((again.exit, again.json()["outcome"].clone()), (0, json!("in_service")), "it needs no token");

    let (dir, state, _) = place();
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let shared = private(&elsewhere.path().join("token"), TOKEN);
    let text = format!("{}HOLDFAST_TOKEN_FILE={shared}\n", rest(&play, &ca));
    let env_file = private(&dir.path().join("activate.env"), &text);
    let ran = holdfast(&state, &["--json", "unattended", "--env-file", &env_file]);
    let left = ran.json()["token_left"]["code"].clone();
    assert_eq!((ran.exit, left), (0, json!("token_left")), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(fs::read_to_string(&shared).expect("a file"), TOKEN, "other computers may need it");
}

#[test]
fn a_token_beside_the_environment_file_is_taken_out_however_the_way_to_it_is_written() {
    let play = Play::start(taker);
    let written: [fn(&Path) -> String; 4] = [
        |place| format!("{}/there/../there/./token", place.display()),
        |place| format!("{}/link/token", place.display()),
        |_| "there/token".to_owned(),
        |_| "./there//token".to_owned(),
    ];
    for written in written {
        let (dir, state, _) = place();
        let there = dir.path().join("there");
        fs::create_dir(&there).expect("a folder");
        std::os::unix::fs::symlink(&there, dir.path().join("link")).expect("a link");
        let token_file = private(&there.join("token"), TOKEN);
        let (url, pin, named) = (play.url(), pin(&play), written(dir.path()));
        let text = format!("HOLDFAST_SERVER={url}\nHOLDFAST_FINGERPRINT={pin}\nHOLDFAST_TOKEN_FILE={named}\n");
        let env_file = private(&there.join("activate.env"), &text);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"))
            .env_clear()
            .current_dir(dir.path())
            .env("HOLDFAST_STATE", &state)
            .args(["--json", "unattended", "--env-file", &env_file])
            .output()
            .expect("the program runs");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!((output.status.code(), &said["token_left"]), (Some(0), &json!(null)), "{named}: {said}");
        assert_eq!(said["token_taken_out_of"], json!([env_file, named]));
        assert_eq!(fs::read_to_string(&token_file).expect("a file"), "", "{named}");
    }
}

#[test]
fn a_legacy_file_activates_and_loses_its_token_and_nothing_else() {
    let (dir, state, _) = place();
    let play = Play::start(taker);
    let config = dir.path().join(".config/holdfast");
    fs::create_dir_all(&config).expect("a folder");
    let rest = format!("SERVERS = ['127.0.0.1:{}']\nFINGERPRINT = '{}'\nWRUSER = 'anna'\n", play.port, pin(&play));
    let path = config.join("legacy.cfg");
    private(&path, &format!("{rest}TOKEN = '{TOKEN}'\nREPLACE_DEVICE= 'Yes'\nLAST_CONNECT = 1432.5\n"));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .env_clear()
        .env("HOLDFAST_STATE", &state)
        .env("HOME", dir.path())
        .args(["-v", "unattended"])
        .output()
        .expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let ran =
        Ran { exit: output.status.code().expect("a code"), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert_eq!(ran.exit, 0, "{} {}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("taken out of"), "{}", ran.stdout);
    shows_no_token(&ran, &state);
    let left = fs::read_to_string(&path).expect("a file");
    assert_eq!(left, format!("{rest}REPLACE_DEVICE= 'Yes'\nLAST_CONNECT = 1432.5\n"));
    let [request] = requests(&play).try_into().expect("one request");
    assert_eq!(request.choice, Choice::Auto);
}

#[test]
fn a_legacy_file_in_the_users_own_configuration_is_picked_up_by_what_the_units_of_users_run() {
    let (dir, state, _) = place();
    let play = Play::start(taker);
    // Neither folder of the state is there yet: it is the first start of a new user.
    let (config, state_home) = (dir.path().join("configuration"), dir.path().join("local/state"));
    fs::create_dir_all(config.join("holdfast")).expect("a folder");
    let rest = format!("SERVERS = ['127.0.0.1:{}']\nFINGERPRINT = '{}'\n", play.port, pin(&play));
    let path = config.join("holdfast/legacy.cfg");
    private(&path, &format!("{rest}TOKEN = '{TOKEN}'\nREPLACE_DEVICE = 'No'\n"));
    let unit = include_str!("../../../../packaging/systemd/user/holdfast-unattended.service");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/holdfast ")).expect("a command");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .env_clear()
        .envs([("XDG_CONFIG_HOME", &config), ("XDG_STATE_HOME", &state_home), ("HOME", &dir.path().to_owned())])
        // As root, the state would be the system's.
        .envs(is_root().then_some(("HOLDFAST_STATE", state_home.join("holdfast"))))
        .args(line.split_whitespace())
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "{output:?}");
    let [request] = requests(&play).try_into().expect("one request");
    assert!(matches!(&request.proof, Proof::Token { token } if token == TOKEN));
    assert_eq!((request.choice, request.email.as_str()), (Choice::Add, ""));
    assert!(state_home.join("holdfast/state.json").exists() && !state.exists());
    assert_eq!(fs::read_to_string(&path).expect("a file"), format!("{rest}REPLACE_DEVICE = 'No'\n"));
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn what_is_missing_or_wrong_is_said_and_shown_by_the_status() {
    let (dir, state, _) = place();
    let file = |text: &str| private(&dir.path().join("activate.env"), text);
    let server = "HOLDFAST_SERVER=https://127.0.0.1:1\n";
    let known = format!("{server}HOLDFAST_FINGERPRINT={}\n", "00".repeat(32));
    let cases = [
        (String::new(), 2, "server_missing"),
        (server.to_owned(), 2, "certificate_unpinned"),
        (known.clone(), 2, "token_missing"),
        (format!("{known}HOLDFAST_TOKEN=\n"), 2, "token_missing"),
        (format!("{known}HOLDFAST_TOKN={TOKEN}\n"), 2, "file_invalid"),
        (format!("{known}HOLDFAST_CHOICE=perhaps\n"), 2, "file_invalid"),
        (format!("{known}HOLDFAST_TOKEN='{TOKEN}\n"), 2, "file_invalid"),
        (format!("{known}HOLDFAST_TOKEN_FILE=/not/there\n"), 2, "token_missing"),
        (format!("{server}HOLDFAST_FINGERPRINT=12\n"), 2, "fingerprint_invalid"),
    ];
    for (text, exit, code) in cases {
        let env_file = file(&text);
        let ran = holdfast(&state, &["--json", "unattended", "--env-file", &env_file]);
        refused(&ran, exit, code);
        shows_no_token(&ran, &state);
        let status = holdfast(&state, &["status", "--json"]).json();
        assert_eq!((&status["unattended"]["code"], &status["unattended"]["next_at_ms"]), (&json!(code), &json!(null)));
    }
    let env_file = file(&format!("{known}HOLDFAST_TOKEN={TOKEN}\n"));
    fs::set_permissions(&env_file, fs::Permissions::from_mode(0o644)).expect("a mode");
    refused(&holdfast(&state, &["--json", "unattended", "--env-file", &env_file]), 1, "file_exposed");
}

/// A wish that names everything itself, for a play.
fn wish(play: &Play, patience: Option<Span>) -> Wish {
    Wish {
        said: Found {
            origin: Origin::CommandLine,
            servers: vec![play.url()],
            fingerprint: Some(pin(play)),
            token: Some(agent::hidden::Hidden::new(TOKEN.to_owned())),
            ..Found::default()
        },
        env_file: None,
        legacy_file: None,
        config: None,
        patience,
    }
}

fn world() -> (TempDir, StateDir, Arc<ManualClock>, Around) {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = StateDir::open(&temp.path().join("state")).expect("a state directory");
    let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_764_006_000_000)));
    let entropy = Arc::new(SeededEntropy::new(1));
    let around = Around { clock: Arc::clone(&clock) as _, entropy, ..around(Span::ZERO) };
    (temp, dir, clock, around)
}

#[tokio::test]
async fn a_refusal_that_may_pass_is_asked_again_for_days_with_the_same_request() {
    let play = Play::start(|number, request| {
        let answered = |count: usize| request.path == "/v1/activations" && number / 2 < count;
        match request.path.as_str() {
            _ if answered(20) => problem(403, "user_unknown_to_token", None),
            "/v1/activations" if number / 2 == 20 => problem(429, "token_rate", Some(1_800_000)),
            _ => taker(number, request),
        }
    });
    let (_temp, dir, clock, around) = world();
    let mut records: Vec<Record> = Vec::new();
    let began_at = clock.now();
    let ended = unattended::run(&around, &dir, &wish(&play, None), |record| records.push(record.clone())).await;
    assert!(ended.expect("activated").activated.is_some());
    assert!(clock.now().since(began_at) > Span::hours(10), "{}", clock.now().since(began_at));
    assert!(records.len() >= 21, "{}", records.len());
    let waits: Vec<i64> =
        records.iter().map(|record| record.next_at_ms.expect("a next time") - record.tried_at_ms).collect();
    assert!(waits.iter().all(|wait| (5_000..=3_600_000).contains(wait)), "{waits:?}");
    let limited = records.iter().find(|record| record.code == "token_rate").expect("the server's limit");
    assert!(limited.next_at_ms.expect("a next time") - limited.tried_at_ms >= 1_800_000, "{limited:?}");
    assert_eq!(records[4].attempts, 5);
    let requests = requests(&play);
    assert!(requests.windows(2).all(|pair| pair[0] == pair[1]), "one request and one key, however often");
    assert!(unattended::look(&dir).is_none(), "there is nothing to tell any more");
}

#[tokio::test]
async fn a_refusal_that_does_not_pass_ends_and_is_kept() {
    let play = Play::start(|number, request| match request.path.as_str() {
        "/v1/activations" => problem(403, "token_revoked", None),
        _ => taker(number, request),
    });
    let (_temp, dir, _, around) = world();
    let ended = unattended::run(&around, &dir, &wish(&play, None), |_| panic!("not tried again")).await;
    let error = ended.expect_err("refused");
    assert_eq!((error.code(), error.exit() as i32), ("token_revoked", 4));
    let record = unattended::look(&dir).expect("the reason");
    assert_eq!((record.attempts, record.code.as_str(), record.next_at_ms), (1, "token_revoked", None));
    assert!(!record.may_pass);
    let conflict = Play::start(|number, request| match request.path.as_str() {
        "/v1/activations" => problem(409, "key_in_use", None),
        _ => taker(number, request),
    });
    let error = unattended::run(&around, &dir, &wish(&conflict, None), |_| ()).await.expect_err("refused");
    assert_eq!((error.code(), error.exit() as i32), ("key_in_use", 4));
}

#[tokio::test]
async fn the_patience_ends_it_and_the_next_start_goes_on_counting() {
    let play = Play::start(|number, request| match request.path.as_str() {
        "/v1/activations" => Reply::Json(
            200,
            json!({
                "answer": "waiting", "device": "dev_248h248h248h248h248h248h24",
                "detail": "An admin looks.", "retry_after_ms": 300_000,
            }),
        ),
        _ => taker(number, request),
    });
    let (_temp, dir, clock, around) = world();
    for starts in 1..=2 {
        let began_at = clock.now();
        let error = unattended::run(&around, &dir, &wish(&play, Some(Span::minutes(20))), |_| ()).await;
        let error = error.expect_err("still waiting");
        assert_eq!((error.code(), error.exit() as i32), ("device_pending", 8));
        assert!(clock.now().since(began_at) <= Span::minutes(20));
        let record = unattended::look(&dir).expect("the reason");
        assert!(record.attempts >= 3 * starts, "{record:?}");
        assert_eq!((record.next_at_ms, record.may_pass), (None, true));
    }
    assert!(requests(&play).windows(2).all(|pair| pair[0] == pair[1]), "also after a restart");
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_does_not_answer() {
    let play = Play::start(taker);
    let (_temp, dir, _, around) = world();
    let mut wish = wish(&play, None);
    wish.said.servers.insert(0, format!("127.0.0.1:{}", silent_port()));
    let mut codes = Vec::new();
    let ended =
        unattended::run(&around, &dir, &wish, |record| codes.push(record.code.clone())).await.expect("activated");
    assert_eq!((ended.state.server.url, codes), (play.url(), vec!["server_unreachable".to_owned()]));
}

#[tokio::test]
async fn a_deactivated_device_comes_back_with_the_token_and_its_old_key() {
    let play = Play::start(|number, request| match request.path.as_str() {
        "/v1/device" => problem(403, "device_deactivated", None),
        _ => taker(number, request),
    });
    let (_temp, dir, _, around) = world();
    let first = unattended::run(&around, &dir, &wish(&play, None), |_| ()).await.expect("activated");
    let mut without_token = wish(&play, None);
    without_token.said.token = None;
    for wish in [wish(&play, None), without_token] {
        let back = unattended::run(&around, &dir, &wish, |_| ()).await.expect("back");
        assert!(back.activated.is_some());
        assert_ne!(back.state.public_key, first.state.public_key);
    }
    let [_, by_token, by_key] = requests(&play).try_into().expect("three requests");
    assert!(matches!(by_token.proof, Proof::Token { .. }) && by_token.old_key.is_some());
    assert!(matches!(by_key.proof, Proof::OldKey) && by_key.old_key.is_some());
}

#[test]
fn two_do_not_run_side_by_side_and_one_that_is_stopped_goes_on_later() {
    let (dir, state, _) = place();
    let play = Play::start(|number, request| match request.path.as_str() {
        "/v1/activations" => problem(403, "user_unknown_to_token", None),
        _ => taker(number, request),
    });
    let token_file = private(&dir.path().join("token"), TOKEN);
    let url = play.url();
    let pin = pin(&play);
    let arguments = ["unattended", "--server", &url, "--fingerprint", &pin, "--token-file", &token_file];
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .env_clear()
        .env("HOLDFAST_STATE", &state)
        .args(arguments)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program runs");
    while !state.join("unattended.json").exists() {
        std::thread::yield_now();
    }
    refused(&holdfast(&state, &[&["--json"], &arguments[..]].concat()), 1, "already_running");
    let status = holdfast(&state, &["status"]);
    assert!(status.stdout.contains("user_unknown_to_token") && status.stdout.contains("next try"), "{}", status.stdout);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .expect("a signal");
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(log.contains("not activated yet") && !log.contains(TOKEN), "{log}");
    assert!(state.join("pending.json").exists(), "the question is kept");
}

#[test]
fn what_may_pass_and_what_is_asked_again_are_told_apart_in_one_voice() {
    for (code, may_pass) in [("user_unknown_to_token", true), ("token_network", true), ("token_revoked", false)] {
        let (dir, state, _) = place();
        let refusal = control::Refusal::samples().into_iter().find(|one| one.code() == code).expect("a refusal");
        let sentence = refusal.sentence();
        let play = Play::start(move |number, request| match (request.path.as_str(), problem(403, code, None)) {
            ("/v1/activations", Reply::Json(status, mut body)) => {
                body["detail"] = json!(sentence);
                Reply::Json(status, body)
            }
            _ => taker(number, request),
        });
        let token_file = private(&dir.path().join("token"), TOKEN);
        let (url, pin) = (play.url(), pin(&play));
        let server = ["unattended", "--server", &url, "--fingerprint", &pin, "--token-file", &token_file];
        let ran = holdfast(&state, &[&["--patience", "0"], &server[..]].concat());
        assert_eq!(ran.exit, 4, "{} {}", ran.stdout, ran.stderr);
        let shown = holdfast(&state, &["status"]).stdout;
        // Nothing claims that a program goes on which has ended.
        for text in [&ran.stderr, &shown] {
            assert!(!text.contains("by itself") && text.contains(code), "{text}");
        }
        assert_eq!(shown.contains("asking again does not help"), !may_pass, "{shown}");
        assert_eq!(shown.contains("`holdfast unattended` asks again"), may_pass, "{shown}");
        let record = &holdfast(&state, &["status", "--json"]).json()["unattended"];
        assert_eq!((&record["may_pass"], &record["next_at_ms"]), (&json!(may_pass), &json!(null)), "{record}");
    }
}

#[test]
fn activate_with_a_token_and_unattended_is_the_same() {
    let (dir, state, password) = place();
    let play = Play::start(taker);
    let token_file = private(&dir.path().join("token"), TOKEN);
    let (url, pin) = (play.url(), pin(&play));
    let who = ["--json", "activate", "--unattended", "--server", &url, "--fingerprint", &pin];
    let ran = holdfast(&state, &[&who[..], &["--token-file", &token_file]].concat());
    assert_eq!(ran.exit, 0, "{}", ran.stdout);
    shows_no_token(&ran, &state);
    let ran = holdfast(&state, &[&who[..], &["--password-file", &password]].concat());
    refused(&ran, 2, "usage");
}
