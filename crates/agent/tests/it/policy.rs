//! What the server's policy does to a backup, how its user changes it, and what is done when the server is silent.

use crate::command::{Ran, activate, holdfast, place, refused, taker};
use crate::play::{Play, Reply, Request, problem};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const ONE: &str = "fld_248h248h248h248h248h248h24";
const TWO: &str = "fld_48h248h248h248h248h248h248";
/// The device's own, of the same path as the first.
const OWN: &str = "fld_48h248h248h248h248h248h240";

fn folder(name: &str, path: &str, more: &Value) -> Value {
    let mut folder = json!({
        "folder": name, "path": path, "os": "any", "from": "profile", "mandatory": false, "linked": true,
        "include": [], "exclude": [],
    });
    folder.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
    folder
}

fn policy(folders: &[Value]) -> Value {
    json!({
        "revision": 7, "profile": "Default", "exclusions": ["*.tmp", ".cache/"],
        "values": [
            { "key": "interval", "value": "4h", "from": "profile", "may_change": true },
            { "key": "cpu_priority", "value": "low", "from": "device", "may_change": false },
            {
                "key": "start_hours", "value": "mon-fri 08:00-18:00, sat 10:00-12:00", "from": "user",
                "may_change": false,
            },
            { "key": "exclusions", "value": "*.tmp\n.cache/", "from": "profile", "may_change": false },
        ],
        "folders": folders,
        "quota": { "used": 1_500_000_000_u64, "limit": 10_000_000_000_u64, "from": "user" },
    })
}

/// A server whose policy can be changed from outside; `None` is a server that cannot tell it.
fn server(first: Option<Value>) -> (Play, Arc<Mutex<Option<Value>>>) {
    let shared = Arc::new(Mutex::new(first));
    let policy = Arc::clone(&shared);
    let play = Play::start(move |number, request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/v1/policy") | ("PATCH", "/v1/policy/values") => {
            match &*policy.lock().expect("no panic with the lock") {
                Some(policy) => Reply::Json(200, policy.clone()),
                None => problem(403, "rights_append_only", None),
            }
        }
        (_, path) if path.starts_with("/v1/policy") => Reply::Json(200, json!({})),
        _ => taker(number, request),
    });
    (play, shared)
}

/// A home directory with something in it.
fn home(dir: &TempDir) -> PathBuf {
    let home = dir.path().canonicalize().expect("a path").join("home");
    for name in ["doc/a.odt", "doc/b.tmp", "doc/cache/x", "music/song", ".cache/y", "photos/p"] {
        let path = home.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, name).expect("a file");
    }
    home
}

fn at_home(home: &Path, state: &Path, arguments: &[&str]) -> Ran {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_holdfast"));
    let output = command.env_clear().env("HOLDFAST_STATE", state).env("HOME", home).args(arguments).output();
    let output = output.expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { exit: output.status.code().expect("a code"), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn a_backup_follows_the_policy_and_the_one_of_last_time_when_it_is_not_told() {
    let (dir, state, password) = place();
    let home = home(&dir);
    let all = vec![
        folder(ONE, "${home}/doc", &json!({ "exclude": ["cache/"], "mandatory": true, "linked": false })),
        folder(TWO, "${home}/music", &json!({ "linked": false })),
        folder(TWO, "C:\\Users", &json!({ "os": "windows" })),
        folder(TWO, "${home}/photos", &json!({ "from": "user", "include": ["*.jpg"] })),
        folder(TWO, "${home}/gone", &json!({})),
    ];
    let (play, shared) = server(Some(policy(&all)));
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let done = at_home(&home, &state, &["backup", "--json"]);
    let fields = done.json();
    let text = |below: &str| home.join(below).to_str().expect("UTF-8").to_owned();
    assert_eq!(fields["folders"], json!([text("doc"), text("photos"), text("gone")]), "{fields}");
    assert_eq!(
        (&fields["files_seen"], &fields["excluded"], &fields["policy_revision"]),
        (&json!(1), &json!(3), &json!(7))
    );
    // A folder that is not there is a problem, and no failure.
    assert_eq!((done.exit, &fields["problems"][0]["code"]), (3, &json!("entry_gone")));
    let commit =
        play.seen_at("/v1/runs").into_iter().find(|request| request.path.contains("/commit")).expect("a commit");
    assert!(commit.path.ends_with("/commit?files_opened=1&bytes_read=9"), "{}", commit.path);

    *shared.lock().expect("no panic with the lock") = None;
    let again = at_home(&home, &state, &["backup", "--json"]).json();
    assert_eq!((&again["folders"], &again["excluded"]), (&fields["folders"], &json!(3)), "{again}");
    let stale = at_home(&home, &state, &["policy", "--json"]).json();
    assert_eq!((&stale["stale"]["code"], &stale["policy"]["revision"]), (&json!("rights_append_only"), &json!(7)));
    // A damaged copy is none.
    fs::write(state.join("policy.json"), b"{").expect("damage");
    refused(&at_home(&home, &state, &["policy", "--json"]), 4, "rights_append_only");
}

#[test]
fn a_folder_that_is_named_is_backed_up_without_what_the_policy_leaves_out_everywhere() {
    let (dir, state, password) = place();
    let home = home(&dir);
    let (play, _) = server(Some(policy(&[folder(ONE, "${home}/doc", &json!({}))])));
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let done = at_home(&home, &state, &["backup", "--json", home.to_str().expect("UTF-8")]).json();
    assert_eq!((&done["files_seen"], &done["excluded"]), (&json!(4), &json!(2)), "all but b.tmp and .cache: {done}");
}

#[test]
fn a_folder_that_this_person_does_not_have_is_shown_once_and_is_no_problem_of_a_backup() {
    let (dir, state, password) = place();
    let home = home(&dir);
    let all = [folder(ONE, "${home}/doc", &json!({})), folder(TWO, "${desktop}", &json!({ "mandatory": true }))];
    let (play, _) = server(Some(policy(&all)));
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let done = at_home(&home, &state, &["backup", "--json"]);
    assert_eq!((done.exit, &done.json()["problem_count"]), (0, &json!(0)), "{}", done.stdout);
    for command in ["status", "folders", "policy"] {
        let absent = at_home(&home, &state, &[command, "--json"]).json()["absent"].clone();
        assert_eq!(absent, json!(["${desktop}"]), "{command}");
    }
    let status = at_home(&home, &state, &["status"]).stdout;
    assert!(status.matches("${desktop}").count() == 1 && status.contains("not on this computer"), "{status}");
    assert!(at_home(&home, &state, &["folders"]).stdout.contains("not here   profile"), "shown in its row");
    fs::create_dir(home.join("Desktop")).expect("a folder");
    let now = at_home(&home, &state, &["backup", "--json"]).json();
    assert_eq!(now["folders"].as_array().map(Vec::len), Some(2), "as soon as it is there: {now}");
}

#[test]
fn every_folder_taken_out_is_said_and_not_replaced_by_others() {
    let (dir, state, password) = place();
    let home = home(&dir);
    let (play, _) = server(Some(policy(&[folder(ONE, "${home}/doc", &json!({ "linked": false }))])));
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let sentence = refused(&at_home(&home, &state, &["backup", "--json"]), 2, "no_folders");
    assert!(sentence.contains("holdfast folders link"), "{sentence}");
}

#[test]
fn changes_go_to_the_server_as_it_wants_them() {
    let (dir, state, password) = place();
    let home = home(&dir);
    let own = folder(OWN, "${home}/doc", &json!({ "from": "device" }));
    let all = vec![own, folder(ONE, "${home}/doc", &json!({})), folder(TWO, "/srv", &json!({ "from": "user" }))];
    let (play, _) = server(Some(policy(&all)));
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let doc = home.join("doc");
    let doc = doc.to_str().expect("UTF-8");
    let cases: [(&[&str], &str, String, Value); 9] = [
        (&["folders", "unlink", doc], "POST", format!("/{ONE}/unlink"), Value::Null),
        (&["folders", "link", "${home}/doc"], "POST", format!("/{ONE}/link"), Value::Null),
        (&["folders", "remove", TWO], "DELETE", format!("/{TWO}"), Value::Null),
        (&["folders", "remove", doc], "DELETE", format!("/{OWN}"), Value::Null),
        (
            &["folders", "add", "${home}/x", "--exclude", "*.iso", "--include", "a", "--include", "b"],
            "POST",
            String::new(),
            json!({ "path": "${home}/x", "include": ["a", "b"], "exclude": ["*.iso"] }),
        ),
        (
            &["folders", "add", "/srv/./data"],
            "POST",
            String::new(),
            json!({ "path": "/srv/data", "include": [], "exclude": [] }),
        ),
        (
            &["settings", "set", "interval", "1h"],
            "PATCH",
            "values".to_owned(),
            json!({ "values": { "interval": "1h" } }),
        ),
        (&["settings", "reset", "interval"], "PATCH", "values".to_owned(), json!({ "values": { "interval": null } })),
        (&["folders", "link", "/srv"], "POST", format!("/{TWO}/link"), Value::Null),
    ];
    for (arguments, method, path, body) in cases {
        let before = play.seen().len();
        let ran = at_home(&home, &state, &[arguments, &["--json"]].concat());
        assert_eq!(
            (ran.exit, ran.json()["policy"]["revision"].clone()),
            (0, json!(7)),
            "{arguments:?}: {}",
            ran.stdout
        );
        let is_change = |request: &&Request| request.path.starts_with("/v1/policy") && request.method != "GET";
        let seen = play.seen();
        let [made] = seen[before..].iter().filter(is_change).collect::<Vec<_>>().try_into().expect("one change");
        let path = if path == "values" { "/v1/policy/values".to_owned() } else { format!("/v1/policy/folders{path}") };
        assert_eq!((made.method.as_str(), &made.path), (method, &path), "{arguments:?}");
        let sent = if made.body.is_empty() { Value::Null } else { made.json() };
        assert_eq!(sent, body, "{arguments:?}");
        let is_asked = |request: &Request| request.method == "GET" && request.path == "/v1/policy";
        let is_asked_after = seen[before..].iter().any(is_asked);
        assert_eq!(is_asked_after, method != "PATCH", "the answer to new values is the whole policy: {arguments:?}");
    }
    refused(&at_home(&home, &state, &["folders", "unlink", "/nope", "--json"]), 1, "folder_unknown");
}

#[test]
fn what_the_profile_does_not_allow_is_said_in_the_servers_words() {
    let (_dir, state, password) = place();
    let play = Play::start(|number, request| match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/v1/policy") => Reply::Json(200, policy(&[folder(ONE, "/srv", &json!({ "mandatory": true }))])),
        (_, path) if path.starts_with("/v1/policy") => problem(403, "folder_mandatory", None),
        _ => taker(number, request),
    });
    assert_eq!(activate(&play, &state, &password).exit, 0);
    for arguments in [["folders", "unlink", "/srv"], ["folders", "add", "/x"], ["settings", "reset", "interval"]] {
        let sentence = refused(&holdfast(&state, &[&arguments[..], &["--json"]].concat()), 4, "folder_mandatory");
        assert_eq!(sentence, "the sentence of folder_mandatory");
    }
}

#[test]
fn people_read_it_as_tables_of_80_columns() {
    let (dir, state, password) = place();
    let home = home(&dir);
    let all = vec![
        folder(ONE, "${home}/doc", &json!({ "mandatory": true, "exclude": ["cache/", "*.iso"] })),
        folder(TWO, "/srv", &json!({ "from": "user", "linked": false })),
    ];
    let (play, _) = server(Some(policy(&all)));
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let whole = at_home(&home, &state, &["policy"]).stdout;
    let expected = "  profile     Default\n\
        \x20 quota       1.5 GB of 10 GB (user)\n\
        \x20 left out    *.tmp\n\
        \x20             .cache/\n\n\
        SETTING                       VALUE                   FROM          YOURS\n\
        interval                      4h                      profile       yes\n\
        cpu_priority                  low                     device        no\n\
        start_hours                                           user          no\n\
        \x20                             mon-fri 08:00-18:00, sat 10:00-12:00\n\n\
        BACKUP     FROM      SYSTEM    FOLDER\n\
        always     profile   any       ${home}/doc\n\
        \x20                              without cache/ *.iso\n\
        taken out  user      any       /srv\n";
    assert_eq!(whole, expected);
    assert!(whole.lines().all(|line| line.len() <= 80));
    assert!(whole.ends_with(&at_home(&home, &state, &["folders"]).stdout));
    assert!(whole.contains(&at_home(&home, &state, &["settings"]).stdout));
    let status = at_home(&home, &state, &["status"]).stdout;
    for part in ["active, full rights", "1 of 2 are backed up", "1.5 GB of 10 GB", "call 555", "newest"] {
        assert!(status.contains(part), "{part}: {status}");
    }
    assert!(status.lines().count() < 24 && status.lines().all(|line| line.len() <= 80), "{status}");
}
