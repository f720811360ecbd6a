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

pub fn program() -> Command {
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
    assert_eq!(
        desk.refused(&["init", "--admin-email", "a@b", "--admin-password-file", "/dev/null"]),
        "password_missing"
    );
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
    for name in ["h\u{f6}st", "bad host!", "https://backup.example.org", "10.0.0.256"] {
        assert_eq!(init("admin@example.org", name), "name_invalid", "{name}");
    }
    std::fs::write(desk.password(), "short\n").expect("own file");
    assert_eq!(init("admin@example.org", "host"), "password_too_short");
    std::fs::write(desk.password(), format!("short\r\n{PASSWORD}\n")).expect("own file");
    assert_eq!(init("admin@example.org", "host"), "password_too_short", "only the first line counts");
    std::fs::write(desk.password(), format!("\n{PASSWORD}\n")).expect("own file");
    assert_eq!(init("admin@example.org", "host"), "password_missing", "the first line is empty");
    std::fs::write(desk.password(), format!("{PASSWORD}\n")).expect("own file");
    assert!(desk.init().status.success(), "after all of that");
}

#[test]
fn templates_are_shown_set_and_reset_and_a_test_message_says_why_it_was_not_taken() {
    let desk = Desk::initialised();
    let (_, listed) = desk.json(&["template", "list"]);
    assert!(listed["items"].as_array().is_some_and(|items| items.len() > 20), "{listed}");
    let text = desk.dir.path().join("text");
    let path = text.to_str().expect("text");
    std::fs::write(&text, "{{ device.name }} until {{ dedline }}\n").expect("own file");
    let set = ["template", "set", "held", "--subject", "Hold on", "--text-file", path];
    let (_, refused) = desk.json(&set);
    assert_eq!(refused["error"]["code"], "template_invalid");
    assert!(refused["error"]["sentence"].as_str().is_some_and(|said| said.contains("`dedline`")), "{refused}");
    std::fs::write(&text, "{{ device.name }} until {{ deadline }}\n").expect("own file");
    let (good, set) = desk.json(&set);
    assert!(good && set["set_by"] == app::AdminActor::Command.to_string(), "{set}");
    let shown = desk.run(&["template", "preview", "held"]);
    assert_eq!(said(&shown), "Subject: Hold on\n\nAnna's laptop until 2027-01-31 12:00 UTC\n");
    assert_eq!(desk.refused(&["template", "show", "../held"]), "template_unknown");
    let (good, reset) = desk.json(&["template", "reset", "held"]);
    assert!(good && reset["set_at_ms"].is_null(), "{reset}");

    assert_eq!(desk.refused(&["mail", "test", "you@example.org"]), "mail_off");
    // A port that was free a moment ago: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let config = desk.data().join("holdfast.toml");
    let before = std::fs::read_to_string(&config).expect("init makes it");
    let mail = "[mail]\nserver = \"127.0.0.1\"\nsecurity = \"none\"\nfrom = \"Backups <backup@example.org>\"\n";
    std::fs::write(&config, format!("{before}\n{mail}port = {port}\n")).expect("own file");
    let (good, tested) = desk.json(&["mail", "test", "you@example.org"]);
    assert_eq!((good, &tested["outcome"]), (false, &Value::from("temporary")), "{tested}");
    assert!(tested["said"].as_str().is_some_and(|said| said.contains("No connection to 127.0.0.1")), "{tested}");
    let (good, outbox) = desk.json(&["mail", "list", "--status", "failed"]);
    assert!(good && outbox["items"].as_array().is_some_and(Vec::is_empty), "{outbox}");
    assert_eq!(desk.refused(&["mail", "show", "eml_00000000000000000000000000"]), "mail_unknown");
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
fn links_tokens_tickets_and_the_map_are_made_listed_and_taken_back() {
    let desk = Desk::initialised();
    let (good, link) = desk.json(&["user", "invite", "new@example.org"]);
    assert!(good && link["link"].as_str().expect("text").starts_with("hfl1_"), "{link}");
    let (good, again) = desk.json(&["user", "invite", "new@example.org"]);
    assert!(good && again["link"] != link["link"], "the user is there already");
    assert!(desk.json(&["user", "reset-password", "new@example.org"]).0);
    let (good, token) =
        desk.json(&["token", "make", "installer", "--network", "10.0.0.0/8", "--uses", "3", "--days", "7"]);
    assert!(good && token["text"].as_str().expect("text").starts_with("hft2_"), "{token}");
    let id = token["token"]["token"].as_str().expect("an identifier");
    assert!(desk.json(&["token", "revoke", id]).0);
    assert_eq!(desk.refused(&["token", "expire", id]), "token_ended");
    assert_eq!(desk.refused(&["token", "make", "bad", "--network", "nowhere"]), "token_wish_invalid");
    assert!(desk.json(&["token", "legacy-make"]).0);
    assert_eq!(desk.json(&["token", "legacy"]).1["token"]["version"], 1);
    assert_eq!(desk.json(&["token", "list"]).1["items"].as_array().expect("a list").len(), 2);
    let (good, ticket) = desk.json(&["ticket", "make", "new@example.org", "--add", "--restore", "data", "--days", "3"]);
    assert!(good && ticket["code"].as_str().expect("text").starts_with("HT-"), "{ticket}");
    assert!(desk.json(&["ticket", "revoke", ticket["ticket"]["ticket"].as_str().expect("an identifier")]).0);
    assert_eq!(desk.json(&["ticket", "list"]).1["items"].as_array().expect("a list").len(), 1);
    let (file, rejected) = (desk.data().join("map.csv"), desk.data().join("rejected.csv"));
    std::fs::write(&file, "email,device_id,device_id_type\nnew@example.org,S1,serial\n@x,S2,serial\n")
        .expect("own file");
    let (file, rejected) = (file.to_str().expect("text"), rejected.to_str().expect("text"));
    let (good, imported) = desk.json(&["device-map", "import", file, "--rejected", rejected]);
    assert!(!good && imported["stored"] == 1, "{imported}");
    assert!(std::fs::read_to_string(rejected).expect("own file").contains("'@x,S2,serial"));
    let row = desk.json(&["device-map", "list"]).1["items"][0]["row"].as_str().expect("an identifier").to_owned();
    assert!(desk.json(&["device-map", "remove", &row]).0);
    let empty = serde_json::json!({ "items": [], "next": null });
    for list in ["pending", "append-only", "refused"] {
        assert_eq!(desk.json(&["desk", list]), (true, empty.clone()), "{list}");
    }
    assert_eq!(desk.refused(&["desk", "approve", "laptop"]), "device_unknown");
    assert!(desk.json(&["password-policy", "set", "password.length_min", "12"]).0);
    assert_eq!(desk.refused(&["password-policy", "set", "password.length_min", "3"]), "setting_invalid");
    assert_eq!(desk.json(&["password-policy", "show"]).1["settings"][0]["value"], 12);
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
fn what_has_a_name_is_named_by_it_and_what_two_have_by_more() {
    let desk = Desk::initialised();
    desk.add_user("anna@example.org");
    let password = desk.password();
    let password = password.to_str().expect("text");
    let make = |email, permit| ["admin", "make", email, "--permit", permit, "--password-file", password];
    assert!(desk.json(&make("zoe@example.org", "device_read")).0);
    assert_eq!(desk.refused(&["admin", "remove", "admin@example.org"]), "last_admin");
    assert!(desk.json(&["admin", "permits", "zoe@example.org", "all"]).0);
    assert!(desk.json(&["admin", "disable", "admin@example.org"]).0);
    let (_, listed) = desk.json(&["admin", "list"]);
    let states: Vec<&str> =
        listed["items"].as_array().expect("a list").iter().map(|a| a["state"].as_str().expect("a word")).collect();
    assert_eq!(states, ["disabled", "active"]);
    assert!(desk.json(&["admin", "remove", "admin@example.org"]).0);
    assert_eq!(desk.refused(&["admin", "show", "admin@example.org"]), "admin_unknown");

    desk.json(&["profile", "make", "Field"]);
    let (good, token) = desk.json(&["token", "make", "laptops", "--profile", "Field"]);
    assert!(good, "{token}");
    let id = token["token"]["token"].as_str().expect("an identifier");
    for named in ["laptops", id, &id[..12]] {
        assert_eq!(desk.json(&["token", "show", named]).1["name"], "laptops", "{named}");
    }
    assert_eq!(desk.refused(&["token", "revoke", "desktops"]), "token_unknown");
    assert_eq!(desk.refused(&["token", "make", "laptops"]), "name_taken");
    assert!(desk.json(&["token", "revoke", id]).0);
    assert!(desk.json(&["token", "make", "laptops"]).0, "the other one is good for nothing");
    assert_eq!(desk.refused(&["token", "revoke", "laptops"]), "name_ambiguous");
    let make = ["campaign", "make", "c", "--level", "rotate", "--reason", "r", "--profile", "Field", "--token", id];
    assert!(desk.json(&make).0);
    assert_eq!(desk.json(&["campaign", "show", "c"]).1["plan"]["name"], "c");
    assert_eq!(desk.refused(&make), "name_taken");
    assert!(desk.json(&["campaign", "delete", "c"]).0);
    assert_eq!(desk.refused(&["campaign", "show", "c"]), "campaign_unknown");
    desk.json(&["credential", "make", "--name", "report", "--permit", "user_read"]);
    assert!(desk.json(&["credential", "revoke", "report"]).0);
    let (_, ticket) = desk.json(&["ticket", "make", "anna@example.org"]);
    assert!(desk.json(&["ticket", "revoke", ticket["ticket"]["prefix"].as_str().expect("text")]).0);
    assert_eq!(desk.refused(&["device", "support-bundle", "nobody"]), "device_unknown");
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
fn the_program_says_which_release_it_is() {
    let output = program().arg("--version").output().expect("the program is built");
    let release = said(&output);
    assert_eq!(release, format!("holdfast-server {}\n", env!("CARGO_PKG_VERSION")));
    assert!(!release.contains(" 0.0.0"), "a release that nobody can tell from another: {release}");
}

#[test]
fn run_warns_once_when_the_disk_has_less_than_the_reserve() {
    for (reserve, warned) in [(0, 0), (1 << 30, 1)] {
        let desk = Desk::initialised();
        let config = format!("[store]\nreserve_mib = {reserve}\n");
        std::fs::write(desk.data().join("holdfast.toml"), config).expect("own file");
        let mut server = program()
            .arg("--data")
            .arg(desk.data())
            .args(["run", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program is built");
        let mut lines = BufReader::new(server.stdout.take().expect("piped")).lines();
        lines.next().expect("a line").expect("text");
        assert!(Command::new("kill").arg(server.id().to_string()).status().expect("there is a kill").success());
        let log = said(&server.wait_with_output().expect("it ends"));
        assert_eq!(log.matches("short of the reserve").count(), warned, "{log}");
    }
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
        assert!(text.contains("laptop") && !text.contains('…'), "{text}");
    }
    let clean = json(&["scrub"]);
    assert_eq!((&clean["clean"], &clean["packs"], &clean["snapshots"]), (&true.into(), &1.into(), &1.into()));
    damage(&world.data.join("store"));
    let hurt = run(&["scrub", "--json"]);
    assert_eq!(hurt.status.code(), Some(1), "{}", said(&hurt));
    let report: Value = serde_json::from_slice(&hurt.stdout).expect("JSON");
    assert_eq!((&report["clean"], &report["snapshots_hurt"][0]), (&false.into(), &snapshot.to_string().into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_asks_a_server_far_away_as_it_asks_a_data_directory() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    let files = tempfile::tempdir().expect("a temporary directory");
    let (credential, ca) = (files.path().join("credential"), world.data.join("ca.pem"));
    let local = |arguments: &[&str]| {
        program().arg("--data").arg(&world.data).args(arguments).output().expect("the program is built")
    };
    let path = credential.to_str().expect("text");
    let made = local(&["credential", "make", "--name", "remote", "--permit", "all", "--file", path]);
    assert!(made.status.success() && !said(&made).contains("hfa1_"), "{}", said(&made));
    let mode = std::fs::metadata(&credential).expect("written").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert_eq!(local(&["credential", "make", "--name", "b", "--permit", "all", "--file", path]).status.code(), Some(1));
    let server = format!("https://localhost:{}", world.address.port());
    let remote = |arguments: &[&str]| {
        let mut command = program();
        command.args(["--server", &server, "--credential-file", path, "--ca"]).arg(&ca).args(arguments);
        command.output().expect("the program is built")
    };
    for arguments in [
        &["user", "list"][..],
        &["user", "show", EMAIL],
        &["device", "list"],
        &["device", "show", "laptop"],
        &["snapshot", "list"],
        &["scrub"],
        &["audit", "list"],
        &["audit", "verify"],
        &["audit", "export", "--form", "csv"],
        &["credential", "list"],
    ] {
        for json in [&[][..], &["--json"]] {
            let arguments = [arguments, json].concat();
            let (far, near) = (remote(&arguments), local(&arguments));
            assert!(far.status.success(), "{arguments:?}: {}", said(&far));
            assert_eq!(said(&far), said(&near), "{arguments:?}");
        }
    }
    let cut = remote(&["device", "deactivate", "laptop", "--json"]);
    let cut: Value = serde_json::from_slice(&cut.stdout).expect("JSON");
    assert_eq!((&cut["state"], &cut["level"]), (&"deactivated".into(), &"distrust".into()));
    assert_eq!(device.ask(&world, "GET", "/v1/device", "").await.refused().1, "device_deactivated");
    let again = remote(&["device", "suspend", "nobody", "--json"]);
    assert!(said(&again).contains("device_unknown") && again.status.code() == Some(1), "{}", said(&again));
    let hash = "00".repeat(32);
    assert_eq!(remote(&["audit", "verify", "--number", "1", "--hash", &hash]).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_the_pinned_one_and_a_credential_that_is_none_get_nothing() {
    let (world, other) = (World::start().await, World::start().await);
    let files = tempfile::tempdir().expect("a temporary directory");
    let path = files.path().join("credential");
    std::fs::write(&path, "hfa1_nonsense\n").expect("own file");
    let server = format!("https://127.0.0.1:{}", world.address.port());
    let ask = |more: &[&str]| {
        let mut command = program();
        command.args(["--json", "user", "list"]).args(more);
        let output = command.output().expect("the program is built");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (answer["error"]["code"].as_str().unwrap_or_default().to_owned(), output.status.code())
    };
    let path = path.to_str().expect("text");
    let ca = |world: &World| world.data.join("ca.pem").to_str().expect("text").to_owned();
    let good = ["--server", &server, "--credential-file", path];
    let with = |more: &[&str]| ask(&[&good[..], more].concat());
    assert_eq!(with(&["--ca", &ca(&world)]), ("credential_invalid".to_owned(), Some(1)));
    assert_eq!(with(&["--ca", &ca(&other)]), ("certificate_mismatch".to_owned(), Some(1)));
    assert_eq!(with(&["--fingerprint", &"00".repeat(32)]), ("certificate_mismatch".to_owned(), Some(1)));
    let fingerprint = app::init::tls_files(&world.data).expect("what init has made").ca_fingerprint;
    assert_eq!(with(&["--fingerprint", &fingerprint]).0, "credential_invalid");
    assert_eq!(with(&["--fingerprint", "abc"]).0, "fingerprint_invalid");
    assert_eq!(with(&["--ca", path]).0, "ca_invalid");
    assert_eq!(with(&[]), ("certificate_unpinned".to_owned(), Some(2)));
    assert_eq!(ask(&["--server", &server, "--ca", path]), ("credential_file_missing".to_owned(), Some(2)));
    assert_eq!(ask(&["--server", "http://a", "--credential-file", path, "--ca", &ca(&world)]).0, "url_invalid");
    world.stop().await;
    assert_eq!(with(&["--ca", &ca(&world)]), ("server_unreachable".to_owned(), Some(1)));
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
fn text_for_people_is_cut_only_by_a_terminal() {
    let desk = Desk::initialised();
    let (email, name) = (format!("{}@example.org", "x".repeat(120)), "y".repeat(100));
    desk.add_user(&email);
    let made = desk.run(&["credential", "make", "--name", &name, "--permit", "user_read"]);
    assert!(made.status.success() && said(&made).contains("hfa1_"), "{}", said(&made));
    for arguments in [
        &["user", "list"][..],
        &["device", "list"],
        &["snapshot", "list"],
        &["config"],
        &["scrub"],
        &["credential", "list"],
        &["audit", "list"],
        &["audit", "verify"],
    ] {
        let output = desk.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(!text.contains('…'), "{arguments:?}: {text}");
        let whole = match arguments {
            ["user", "list"] => &email,
            ["credential", "list"] => &name,
            _ => continue,
        };
        assert!(text.contains(whole), "{arguments:?}: {text}");
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
