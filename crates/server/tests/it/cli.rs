//! The program as a person runs it: arguments in, text or JSON and an exit code out.

use crate::repository::Backup;
use crate::world::{Device, EMAIL, PASSWORD, World};
use base::{Clock as _, Span, SystemClock};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A directory with a data directory in it that is not made yet.
pub struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new() -> Desk {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("password"), format!("{PASSWORD}\n")).expect("own file");
        Desk { dir }
    }

    pub fn initialised() -> Desk {
        let desk = Desk::new();
        let made = desk.init();
        assert!(made.status.success(), "{}", said(&made));
        desk
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn password(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    fn init(&self) -> Output {
        let password = self.password();
        let password = password.to_str().expect("text");
        self.run(&["init", "--admin-email", "admin@example.org", "--admin-password-file", password])
    }

    /// Runs a command on the data directory.
    pub fn run(&self, arguments: &[&str]) -> Output {
        program().arg("--data").arg(self.data()).args(arguments).output().expect("the program is built")
    }

    /// The same with `--json`; the one line of the answer.
    pub fn json(&self, arguments: &[&str]) -> (bool, Value) {
        let output = self.run(&[arguments, &["--json"]].concat());
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
        (output.status.success(), serde_json::from_str(&text).expect("JSON"))
    }

    pub fn refused(&self, arguments: &[&str]) -> String {
        let (good, answer) = self.json(arguments);
        assert!(!good, "{answer}");
        answer["error"]["code"].as_str().expect("a code").to_owned()
    }

    pub fn add_user(&self, email: &str) -> (bool, Value) {
        let password = self.password();
        self.json(&["user", "add", email, "--password-file", password.to_str().expect("text")])
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast-server"));
    command.env_remove("HOLDFAST_DATA").stdin(Stdio::null());
    command
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn init_makes_a_private_data_directory_once() {
    let desk = Desk::initialised();
    for (name, mode) in [
        ("keys", 0o700),
        ("keys/master.key", 0o600),
        ("keys/ca.key", 0o600),
        ("keys/server.key", 0o600),
        ("holdfast.db", 0o600),
    ] {
        let found = std::fs::metadata(desk.data().join(name)).expect(name).permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
    let before = files(&desk.data());
    for name in ["ca.pem", "server.pem", "holdfast.toml", "holdfast.db", "store"] {
        assert!(before.iter().any(|(path, _)| path == name), "{name} is not in {before:?}");
    }
    let again = desk.init();
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("already") && said(&again).contains("holdfast-server run"), "{}", said(&again));
    assert_eq!(files(&desk.data()), before, "a refused init changes nothing");
    assert_eq!(desk.refused(&["init", "--admin-email", "a@b", "--admin-password-file", "/dev/null"]), "password_file");
}

#[test]
fn init_refuses_what_it_cannot_use_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let password = desk.password();
    let password = password.to_str().expect("text");
    let init = |email: &'static str, name: &'static str| {
        desk.refused(&["init", "--admin-email", email, "--admin-password-file", password, "--name", name])
    };
    assert_eq!(init("nobody", "host"), "email_invalid");
    assert_eq!(init("admin@example.org", "h\u{f6}st"), "name_invalid");
    std::fs::write(desk.password(), "short\n").expect("own file");
    assert_eq!(init("admin@example.org", "host"), "password_too_short");
    std::fs::write(desk.password(), format!("short\r\n{PASSWORD}\n")).expect("own file");
    assert_eq!(init("admin@example.org", "host"), "password_too_short", "only the first line counts");
    std::fs::write(desk.password(), format!("\n{PASSWORD}\n")).expect("own file");
    assert_eq!(init("admin@example.org", "host"), "password_file", "the first line is empty");
    std::fs::write(desk.password(), format!("{PASSWORD}\n")).expect("own file");
    assert!(desk.init().status.success(), "after all of that");
}

#[test]
fn users_are_added_listed_and_given_passwords() {
    let desk = Desk::initialised();
    let (good, added) = desk.add_user("Anna@Example.org");
    assert!(good && added["email"] == "anna@example.org", "{added}");
    let (good, twice) = desk.add_user("anna@example.org");
    assert_eq!((good, &twice["error"]["code"]), (false, &Value::from("user_exists")));
    let (_, listed) = desk.json(&["user", "list"]);
    assert_eq!(listed["items"].as_array().expect("a list").len(), 1);
    assert_eq!(
        (&listed["items"][0]["state"], &listed["items"][0]["devices"]),
        (&Value::from("active"), &Value::from(0))
    );
    let password = desk.password();
    let set = ["user", "set-password", "anna@example.org", "--password-file", password.to_str().expect("text")];
    assert!(desk.run(&set).status.success());
    let unknown = ["user", "set-password", "ben@example.org", "--password-file", password.to_str().expect("text")];
    assert_eq!(desk.refused(&unknown), "user_unknown");
    assert_eq!(desk.refused(&["user", "add", "ben@example.org"]), "no_terminal", "no password is invented");
}

#[test]
fn devices_and_snapshots_are_listed_and_unknown_ones_refused() {
    let desk = Desk::initialised();
    let empty = serde_json::json!({ "items": [], "next": null });
    assert_eq!(desk.json(&["device", "list"]), (true, empty.clone()));
    assert_eq!(desk.json(&["snapshot", "list"]), (true, empty));
    let verbs = ["show", "deactivate", "hold", "reactivate", "approve", "suspend", "enable", "decommission", "delete"];
    for verb in verbs.into_iter().chain(["undelete"]) {
        assert_eq!(desk.refused(&["device", verb, "laptop"]), "device_unknown", "{verb}");
    }
    assert_eq!(desk.refused(&["snapshot", "show", "snp_0"]), "snapshot_unknown");
    let (good, report) = desk.json(&["scrub"]);
    assert!(good && report["clean"] == true && report["packs"] == 0, "{report}");
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    let desk = Desk::initialised();
    let key = desk.data().join("keys/master.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("own file");
    let output = desk.run(&["device", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&format!("chmod 0600 {}", key.display())), "{}", said(&output));
    assert_eq!(desk.refused(&["user", "list"]), "keys_exposed");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("own file");
    std::fs::set_permissions(desk.data().join("keys"), PermissionsExt::from_mode(0o755)).expect("own directory");
    assert_eq!(desk.refused(&["user", "list"]), "keys_exposed");
}

#[test]
fn an_unknown_configuration_key_is_refused_by_its_name() {
    let desk = Desk::initialised();
    std::fs::write(desk.data().join("holdfast.toml"), "[session]\ntoken_hours = 1\n").expect("own file");
    let output = desk.run(&["run", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("`session.token_hours`"), "{}", said(&output));
    assert_eq!(desk.refused(&["device", "list"]), "config_invalid");
}

#[test]
fn a_directory_that_is_none_and_a_missing_one_are_told_apart_from_a_usage_error() {
    let desk = Desk::new();
    assert_eq!(desk.refused(&["device", "list"]), "not_initialised");
    let none = program().args(["device", "list", "--json"]).output().expect("the program is built");
    assert_eq!(none.status.code(), Some(2), "{}", said(&none));
    assert!(said(&none).contains("data_not_given"), "{}", said(&none));
    let usage = program().args(["device", "lst"]).output().expect("the program is built");
    assert_eq!(usage.status.code(), Some(2));
    let desk = Desk::initialised();
    let by_variable = program().env("HOLDFAST_DATA", desk.data()).args(["device", "list"]).output();
    assert!(by_variable.expect("the program is built").status.success());
}

#[test]
fn run_says_where_it_listens_and_stops_at_sigterm() {
    let desk = Desk::initialised();
    let (_, fingerprint) = desk.json(&["fingerprint"]);
    let mut server = program()
        .arg("--data")
        .arg(desk.data())
        .args(["run", "--listen", "127.0.0.1:0", "--json", "--log-format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is built");
    let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
    let ready: Value = serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON");
    assert_eq!(ready["ca_sha256"], fingerprint["ca_sha256"]);
    let address: std::net::SocketAddr = ready["listening"].as_str().expect("an address").parse().expect("an address");
    assert_ne!(address.port(), 0);
    std::net::TcpStream::connect(address).expect("it listens");
    assert!(desk.json(&["device", "list"]).0, "admin commands work beside the server");
    let killed = Command::new("kill").arg(server.id().to_string()).status().expect("there is a kill");
    assert!(killed.success());
    let output = server.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_command_changes_a_device_of_a_running_server() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let snapshot = Backup::begin(&world, &device).await.commit_small(&world, &device).await;
    let run = |arguments: &[&str]| {
        program().arg("--data").arg(&world.data).args(arguments).output().expect("the program is built")
    };
    let json = |arguments: &[&str]| {
        let output = run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let listed = json(&["device", "list", "--user", EMAIL]);
    assert_eq!(listed["items"][0]["device"], device.id.to_string());
    assert_eq!(listed["items"][0]["last_snapshot"], snapshot.to_string());
    assert_eq!(json(&["snapshot", "list", "--device", "laptop"])["items"][0]["snapshot"], snapshot.to_string());
    assert_eq!(json(&["snapshot", "show", &snapshot.to_string()])["totals"]["files"], 1);

    let beginning = device.id.to_string()[..12].to_owned();
    for (arguments, state, code) in [
        (&["device", "deactivate", "laptop", "--level", "revoke"][..], "deactivated", Some("device_deactivated")),
        (&["device", "reactivate", beginning.as_str()], "active", Some("session_invalid")),
        (&["device", "suspend", "laptop"], "suspended", Some("device_suspended")),
        (&["device", "enable", "laptop"], "active", Some("session_invalid")),
        (&["device", "delete", "laptop"], "deleted", Some("device_deleted")),
        (&["device", "undelete", "laptop"], "active", Some("session_invalid")),
        (&["device", "hold", "laptop", "--append-days", "3"], "held", Some("session_invalid")),
    ] {
        let changed = json(arguments);
        assert_eq!(changed["state"], state, "{arguments:?}");
        // The server sees what another process did within half a second.
        SystemClock.sleep(Span::ms(600)).await;
        let answer = device.ask(&world, "GET", "/v1/device", "").await;
        assert_eq!((answer.status != 200).then(|| answer.refused().1).as_deref(), code, "{arguments:?}");
    }
    let shown = json(&["device", "show", "laptop"]);
    assert_eq!((&shown["epoch"], &shown["rights"]), (&Value::from(2), &Value::from("full")));
    assert!(shown["append_until_ms"].as_i64().is_some_and(|until| until > 1_700_000_000_000));
    for arguments in [&["device", "list"][..], &["device", "show", "laptop"], &["snapshot", "list"]] {
        let text = String::from_utf8(run(arguments).stdout).expect("text");
        assert!(text.contains("laptop") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
    let clean = json(&["scrub"]);
    assert_eq!((&clean["clean"], &clean["packs"], &clean["snapshots"]), (&true.into(), &1.into(), &1.into()));
    damage(&world.data.join("store"));
    let hurt = run(&["scrub", "--json"]);
    assert_eq!(hurt.status.code(), Some(1), "{}", said(&hurt));
    let report: Value = serde_json::from_slice(&hurt.stdout).expect("JSON");
    assert_eq!((&report["clean"], &report["snapshots_hurt"][0]), (&false.into(), &snapshot.to_string().into()));
}

/// Turns one bit in the middle of the largest file below a directory.
fn damage(dir: &Path) {
    let mut found: Option<(u64, PathBuf)> = None;
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a directory") {
            let (path, meta) =
                entry.map(|entry| (entry.path(), entry.metadata().expect("readable"))).expect("readable");
            if meta.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().contains("packs")
                && found.as_ref().is_none_or(|(len, _)| *len < meta.len())
            {
                found = Some((meta.len(), path));
            }
        }
    }
    let (_, path) = found.expect("there is a pack");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("own file");
    let mut bytes = std::fs::read(&path).expect("own file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("own file");
}

#[test]
fn text_for_people_fits_80_columns() {
    let desk = Desk::initialised();
    desk.add_user(&format!("{}@example.org", "x".repeat(120)));
    for arguments in [&["user", "list"][..], &["device", "list"], &["snapshot", "list"], &["config"], &["scrub"]] {
        let output = desk.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        for line in String::from_utf8(output.stdout).expect("text").lines() {
            assert!(line.chars().count() <= 80, "{arguments:?}: {line}");
        }
    }
}

#[test]
fn what_config_prints_is_a_configuration_file_that_says_the_same() {
    let desk = Desk::initialised();
    let printed = desk.run(&["config"]);
    std::fs::write(desk.data().join("holdfast.toml"), &printed.stdout).expect("own file");
    assert_eq!(desk.run(&["config"]).stdout, printed.stdout);
    std::fs::write(desk.data().join("holdfast.toml"), "session.token_minutes = 5\n").expect("own file");
    let text = String::from_utf8(desk.run(&["config"]).stdout).expect("text");
    assert!(text.contains("session.token_minutes = 5") && text.contains("Default: 15."), "{text}");
}

/// Every file below a directory, with its length.
fn files(dir: &Path) -> Vec<(String, u64)> {
    let mut found: Vec<(String, u64)> = std::fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("readable"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.metadata().expect("readable").len()))
        .collect();
    found.sort();
    found
}
