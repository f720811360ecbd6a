//! The answers of an activation other than yes: a question for a script and for a person at a real terminal, a record
//! that waits, the old key beside another proof, and an answer that came while the power went.

use crate::command::{activate, holdfast, place, taker};
use crate::play::{Play, Reply, Request, problem};
use base::Secret;
use format::{ChunkKind, ChunkRef, Content, Entry, EntryBody, Meta, NamingKey, Totals, Tree};
use protocol::agent::activation::{ActivationRequest, Choice, Proof, Restore};
use protocol::agent::fetch::{Parcel, ParcelChunk, encode_end};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const DEVICE: &str = "dev_248h248h248h248h248h248h24";

fn question() -> Reply {
    Reply::Json(
        200,
        json!({
            "answer": "question",
            "replaceable": [{
                "device": DEVICE, "name": "Anna's laptop", "state": "deactivated", "host_name": "laptop",
                "serial": "PF3XK9LM", "last_backup_at_ms": 1_764_006_480_000_i64, "snapshots": 12,
            }],
            "adding_refused": null,
            "suggestion": { "kind": "replace", "device": DEVICE },
        }),
    )
}

fn waiting(retry_after_ms: u64) -> Reply {
    let detail = "An admin has to approve this computer.";
    Reply::Json(
        200,
        json!({ "answer": "waiting", "device": DEVICE, "detail": detail, "retry_after_ms": retry_after_ms }),
    )
}

fn asked(request: &Request) -> ActivationRequest {
    serde_json::from_slice(&request.body).expect("an activation request")
}

fn requests(play: &Play) -> Vec<ActivationRequest> {
    play.seen_at("/v1/activations").iter().map(asked).collect()
}

/// Asks which device, until somebody has chosen.
fn asks(number: usize, request: &Request) -> Reply {
    let is_open = request.path == "/v1/activations" && asked(request).choice == Choice::Auto;
    if is_open { question() } else { taker(number, request) }
}

#[test]
fn a_script_gets_the_question_and_gives_the_choice() {
    let (_dir, state, password) = place();
    let play = Play::start(asks);
    let ran = activate(&play, &state, &password);
    assert_eq!((ran.exit, ran.stderr.as_str()), (7, ""));
    let asked = &ran.json()["question"];
    assert_eq!((&asked["suggestion"], &asked["may_add"]), (&json!(DEVICE), &json!(true)));
    assert_eq!(
        (&asked["replaceable"][0]["device"], &asked["replaceable"][0]["snapshots"]),
        (&json!(DEVICE), &json!(12))
    );
    assert!(!state.join("state.json").exists());

    let pin: String = play.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    let who = ["--email", "anna@example.com", "--password-file", &password, "--fingerprint", &pin];
    let rest = ["--server", &play.url(), "--choice", DEVICE, "--restore", "none", "--json"];
    let done = holdfast(&state, &[&["activate"], &who[..], &rest[..]].concat());
    assert_eq!(done.exit, 0, "{}", done.stdout);
    let [first, second] = requests(&play).try_into().expect("two requests");
    assert!(first.can_ask && !second.can_ask, "who has chosen is not asked");
    assert!(matches!(second.choice, Choice::Replace { device } if device.0.to_string() == DEVICE));
    assert_eq!(second.restore, Some(Restore::None));
    assert_ne!((first.request, first.device_key), (second.request, second.device_key), "another question");
}

#[test]
fn a_question_that_no_terminal_shows_has_every_name_whole() {
    let (_dir, state, password) = place();
    let name = "a very long name ".repeat(8);
    let long = name.trim_end().to_owned();
    let play = Play::start(move |number, request| match asks(number, request) {
        Reply::Json(status, mut body) if body["answer"] == "question" => {
            body["replaceable"][0]["name"] = json!(name.trim_end());
            Reply::Json(status, body)
        }
        reply => reply,
    });
    let pin: String = play.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    let who = ["activate", "--email", "anna@example.com", "--password-file", &password, "--fingerprint", &pin];
    let ran = holdfast(&state, &[&who[..], &["--server", &play.url()]].concat());
    assert_eq!((ran.exit, ran.stdout.matches(&long).count()), (7, 2), "{}", ran.stdout);
}

/// Runs the program at a pseudo-terminal, and types `answers` one by one as the prompts come.
pub fn at_terminal(state: &Path, arguments: &[&str], answers: &[(&str, &str)]) -> (i32, String) {
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let master = rustix::pty::openpt(flags).expect("a pseudo-terminal");
    rustix::pty::grantpt(&master).expect("granted");
    rustix::pty::unlockpt(&master).expect("unlocked");
    let name = rustix::pty::ptsname(&master, Vec::new()).expect("a name");
    let open = || {
        let path = Path::new(std::str::from_utf8(name.as_bytes()).expect("UTF-8"));
        fs::OpenOptions::new().read(true).write(true).open(path).expect("the terminal")
    };
    // The password is asked for at the controlling terminal, which a session of its own gets.
    let mut child = Command::new("/usr/bin/setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_holdfast")])
        .env_clear()
        .env("HOLDFAST_STATE", state)
        .args(arguments)
        .stdin(Stdio::from(open()))
        .stderr(Stdio::from(open()))
        .stdout(Stdio::from(open()))
        .spawn()
        .expect("the program runs");
    let mut terminal = fs::File::from(master);
    let mut shown = String::new();
    let mut answers = answers.iter();
    let mut next = answers.next();
    let mut bytes = [0; 4_096];
    // A terminal whose last program has gone cannot be read any more: that is its end.
    while let Ok(len @ 1..) = terminal.read(&mut bytes) {
        shown.push_str(&String::from_utf8_lossy(&bytes[..len]));
        if let Some((prompt, answer)) = next.filter(|(prompt, _)| shown.trim_end().ends_with(prompt)) {
            assert!(shown.contains(prompt));
            // The echo is off a moment after the prompt is there, and nobody types as fast as a test does.
            std::thread::sleep(std::time::Duration::from_millis(300));
            terminal.write_all(format!("{answer}\n").as_bytes()).expect("typed");
            next = answers.next();
        }
    }
    assert!(next.is_none(), "never asked for {next:?}: {shown}");
    (child.wait().expect("an end").code().expect("an exit code"), shown)
}

#[test]
fn a_person_is_asked_for_everything_that_is_missing() {
    let (_dir, state, _) = place();
    let play = Play::start(asks);
    let url = play.url();
    let answers = [
        ("8471:", url.as_str()),
        ("go on:", "yes"),
        ("E-mail address:", "anna@example.com"),
        ("Password of anna@example.com:", "correct horse"),
        ("n [1]:", ""),
        ("[none]:", "settings"),
    ];
    let (exit, shown) = at_terminal(&state, &["activate"], &answers);
    assert_eq!(exit, 0, "{shown}");
    assert!(shown.contains("This computer is activated."), "{shown}");
    assert!(!shown.contains("correct horse"), "without echo: {shown}");
    let [first, second] = requests(&play).try_into().expect("two requests");
    assert!(first.can_ask && first.restore.is_none());
    assert!(matches!(second.proof, Proof::Password { ref password } if password == "correct horse"));
    assert!(matches!(second.choice, Choice::Replace { .. }));
    assert_eq!(second.restore, Some(Restore::Settings));
}

#[test]
fn a_ticket_and_a_token_prove_too_and_the_token_needs_no_name() {
    let (dir, state, password) = place();
    let play = Play::start(taker);
    let secret = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (ticket, token) = (secret("ticket", "ABCD-EFGH\n"), secret("token", "hft2_secret\n"));
    let pin: String = play.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    let server = ["activate", "--json", "--server", &play.url(), "--fingerprint", &pin];
    let run = |proof: &[&str]| {
        let ran = holdfast(&state, &[&server[..], proof].concat());
        assert_eq!(ran.exit, 0, "{}", ran.stdout);
    };
    run(&["--token-file", &token]);
    run(&["--email", "anna@example.com", "--ticket-file", &ticket]);
    run(&["--email", "anna@example.com", "--password-file", &password, "--choice", "add"]);
    run(&["--email", "anna@example.com", "--password-file", &password, "--choice", DEVICE]);
    let [token, ticket, add, other] = requests(&play).try_into().expect("four requests");
    assert!(matches!(&token.proof, Proof::Token { token } if token == "hft2_secret"));
    assert_eq!((token.email.as_str(), token.can_ask, token.old_key), ("", false, None));
    assert!(matches!(&ticket.proof, Proof::Ticket { code } if code == "ABCD-EFGH"));
    let old = ticket.old_key.clone().expect("the key that this computer has, beside the ticket");
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, token.device_key.0);
    key.verify(&ticket.signed_bytes(), &old.signature.0).expect("signed by the key before");
    assert_eq!((add.old_key, other.old_key), (None, None), "who wants another record does not show it");
}

#[test]
fn a_record_that_waits_is_asked_for_again_with_the_same_request() {
    let (_dir, state, password) = place();
    let asked_times = AtomicUsize::new(0);
    let play = Play::start(move |number, request| match request.path.as_str() {
        "/v1/activations" => match asked_times.fetch_add(1, Ordering::SeqCst) {
            0 => waiting(600_000),
            1 => waiting(1_000),
            _ => taker(number, request),
        },
        _ => taker(number, request),
    });
    let ran = activate(&play, &state, &password);
    assert_eq!((ran.exit, ran.stderr.as_str()), (8, ""));
    let said = &ran.json()["waiting"];
    assert_eq!((&said["device"], &said["retry_after_ms"]), (&json!(DEVICE), &json!(600_000)));
    // Given again, it goes on, and this time the patience is long enough.
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let requests = requests(&play);
    assert_eq!(requests.len(), 3);
    assert!(requests.windows(2).all(|pair| pair[0] == pair[1]), "the same request each time");
}

#[test]
fn folders_that_the_policy_does_not_take_are_said_and_remembered_here() {
    let (dir, state, password) = place();
    let play = Play::start(|number, request| match request.path.as_str() {
        "/v1/policy/folders" => problem(403, "folders_not_yours", None),
        _ => taker(number, request),
    });
    let pin: String = play.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = dir.path().canonicalize().expect("a path").to_str().expect("UTF-8").to_owned();
    let who = ["activate", "--json", "--server", &play.url(), "--fingerprint", &pin, "--email", "anna@example.com"];
    let ran = holdfast(&state, &[&who[..], &["--password-file", &password, "--folder", &folder]].concat());
    let answer = ran.json();
    assert_eq!((ran.exit, &answer["folders"]), (0, &json!([folder])), "{answer}");
    let refused = json!({
        "code": "folders_not_yours", "sentence": "the sentence of folders_not_yours", "kind": "refused",
        "retry": "when_changed",
    });
    assert_eq!(answer["folders_refused"], json!([{ "path": folder, "error": refused }]));
}

#[test]
fn an_activation_survives_a_kill_between_the_answer_and_the_state() {
    let (_dir, state, password) = place();
    let play = Play::start(taker);
    // The answer came, and the power went before it was kept: what is left is the question with its key.
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let key = fs::read(state.join("device.key")).expect("a key");
    let first: Value = serde_json::from_slice(&play.seen_at("/v1/activations")[0].body).expect("JSON");
    let pending = json!({
        "request": first["request"], "url": play.url(), "email": first["email"], "evidence": first["evidence"],
        "choice": first["choice"], "restore": first["restore"], "can_ask": first["can_ask"], "proof": "password",
    });
    for (name, bytes) in [("pending.json", pending.to_string().into_bytes()), ("pending.key", key)] {
        fs::write(state.join(name), bytes).expect("a file");
        fs::set_permissions(state.join(name), fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    for name in ["state.json", "device.key"] {
        fs::remove_file(state.join(name)).expect("gone");
    }
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let [first, second] = requests(&play).try_into().expect("two requests");
    assert_eq!(first, second, "the same question, so that the server gives the same answer");
    assert!(state.join("state.json").exists() && !state.join("pending.json").exists());
}

/// The trees of a snapshot that has two small files in the folder at `at`, by their refs; the first is the root's.
fn trees(at: &Path) -> Vec<(ChunkRef, Vec<u8>)> {
    let naming = NamingKey::new(&Secret::new([1; 32]));
    let me = Meta {
        mode: 0o700,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        ..Meta::default()
    };
    let file = |name: &[u8], text: &[u8]| Entry {
        name: name.to_vec(),
        meta: me.clone(),
        body: EntryBody::File { size: text.len() as u64, content: Content::Inline(text.to_vec()) },
    };
    let mut trees = Vec::new();
    let mut entries = vec![file(b"here", b"of the snapshot"), file(b"missing", b"of the snapshot")];
    let mut below = Totals::default();
    let mut names: Vec<Vec<u8>> = at.iter().skip(1).map(|name| name.as_encoded_bytes().to_vec()).collect();
    loop {
        let tree = Tree::leaf(entries, below);
        below = tree.totals;
        let bytes = tree.encode().expect("a tree");
        let name = naming.name(ChunkKind::Tree, &bytes);
        trees.insert(0, (name, bytes));
        let Some(above) = names.pop() else { return trees };
        entries = vec![Entry { name: above, meta: me.clone(), body: EntryBody::Directory { tree: name } }];
    }
}

#[test]
fn data_that_is_brought_back_lands_where_it_was_and_spares_what_is_there() {
    let (dir, state, password) = place();
    let home = dir.path().canonicalize().expect("a path").join("home");
    fs::create_dir(&home).expect("a folder");
    fs::write(home.join("here"), "written since").expect("a file");
    let trees = trees(&home);
    let (play, breaks) = restoring(trees);
    let ran = activate(&play, &state, &password);
    assert_eq!((ran.exit, ran.json()["restored"]["kept"].clone()), (0, json!(1)), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(fs::read(home.join("here")).expect("a file"), b"written since");
    assert_eq!(fs::read(home.join("missing")).expect("a file"), b"of the snapshot");

    // A restore that fails does not undo the activation.
    breaks.store(1, Ordering::SeqCst);
    let ran = activate(&play, &state, &password);
    let answer = ran.json();
    assert_eq!((ran.exit, answer["restored"]["error"]["code"].clone()), (4, json!("rights_append_only")), "{answer}");
    assert_eq!(holdfast(&state, &["snapshots", "--json"]).exit, 0, "it is activated all the same");
}

/// A server that wants data brought back, and has these trees; once the number is not 0 it refuses to restore.
fn restoring(trees: Vec<(ChunkRef, Vec<u8>)>) -> (Play, Arc<AtomicUsize>) {
    let breaks = Arc::new(AtomicUsize::new(0));
    let refuses = Arc::clone(&breaks);
    let play = Play::start(move |number, request| {
        let step = request.path.rsplit('/').next().unwrap_or_default();
        let Reply::Json(_, listed) = taker(number, &Request { path: "/v1/device".to_owned(), ..get(request) }) else {
            panic!("the device is told as JSON");
        };
        let with = |name: &str, value: Value| match taker(number, request) {
            Reply::Json(status, mut body) => {
                body[name] = value;
                Reply::Json(status, body)
            }
            other => other,
        };
        let mut snapshot = listed["snapshot"].clone();
        match step {
            "activations" => {
                let Reply::Json(status, mut body) = with("restore", json!("data")) else { panic!("JSON") };
                body["snapshot"] = snapshot;
                Reply::Json(status, body)
            }
            "runs" if refuses.load(Ordering::SeqCst) > 0 => problem(403, "rights_append_only", None),
            "runs" => {
                snapshot["root"] = json!(data_encoding::HEXLOWER.encode(trees[0].0.as_bytes()));
                with("snapshot", snapshot)
            }
            "locate" => Reply::Bytes(vec![0; request.body.len() / 4]),
            "fetch" => Reply::Bytes(parcels(&trees, &request.body)),
            _ => taker(number, request),
        }
    });
    (play, breaks)
}

fn get(request: &Request) -> Request {
    Request { method: "GET".to_owned(), body: Vec::new(), ..request.clone() }
}

fn parcels(trees: &[(ChunkRef, Vec<u8>)], refs: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let names = refs.as_chunks::<32>().0;
    for (position, name) in (0..).zip(names) {
        let (_, bytes) = trees.iter().find(|(tree, _)| tree.as_bytes() == name).expect("a tree of the snapshot");
        let len = bytes.len() as u32;
        let chunks = vec![ParcelChunk { position, len }];
        wire.extend(Parcel { codec: 0, plain_len: len, chunks, bytes: bytes.clone() }.encode());
    }
    wire.extend_from_slice(&encode_end(names.len() as u32));
    wire
}
