//! What an admin decides at the command line: conflicts, and records and rights that wait. Each answer once for people,
//! whole whatever a computer calls itself, and once for machines.

use crate::cli::{program, said};
use crate::world::{Answer, Device, EMAIL, PASSWORD, World, password};
use app::AdminActor;
use app::tokens::{Wish, make};
use control::policy::Key;
use protocol::agent::activation::{ActivationAnswer, ActivationReply, Proof};
use protocol::agent::session::SessionReply;
use serde_json::Value;
use std::process::Output;

/// What a computer says that wants to be seen.
const LOUD: &str =
    "a very long name of several words that no terminal shows in one line, and that is not cut off by itself";

impl World {
    pub fn run(&self, arguments: &[&str]) -> Output {
        program().arg("--data").arg(&self.data).args(arguments).output().expect("the program is built")
    }

    /// An answer for machines.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// An answer for people.
    pub fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        let text = String::from_utf8(output.stdout).expect("text");
        for line in text.lines() {
            assert!(!line.contains('…'), "{arguments:?} is cut, and no terminal shows it: {line}");
            assert!(!line.chars().any(char::is_control), "{arguments:?} steers the terminal: {line:?}");
        }
        text
    }

    fn refused_with(&self, arguments: &[&str]) -> String {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let sentence = self.run(arguments);
        let code = answer["error"]["code"].as_str().expect("a code").to_owned();
        let (sentence, whole) = (said(&sentence), format!(" ({code})\n"));
        assert!(sentence.starts_with("holdfast-server: ") && sentence.ends_with(&whole), "{sentence}");
        code
    }

    pub async fn installer(&self) -> String {
        let wish = Wish { name: "installer".to_owned(), domains: vec!["example.org".to_owned()], ..Wish::default() };
        make(&self.app, &AdminActor::Command, &wish).await.expect("a good wish").text.expose().to_owned()
    }
}

/// The machine asks for a device with this key, by its user's password or by a token at that user's account.
pub async fn asks(world: &World, device: &Device, serial: &str, token: Option<&str>) -> Answer {
    let mut asked = match token {
        Some(token) => device.activation("", Proof::Token { token: token.to_owned() }),
        None => device.activation(EMAIL, password(PASSWORD)),
    };
    asked.evidence.serial = serial.to_owned();
    asked.evidence.os_user = EMAIL.split('@').next().expect("an address").to_owned();
    world.post("/v1/activations", &device.signed(asked)).await
}

/// Two machines present themselves as this device.
pub async fn copied(world: &World, device: &Device) {
    let mut counters = vec![None];
    for presented in [0, 1, 2, 1] {
        let challenge = device.challenge(world).await;
        let mut asked = device.answer_to(&challenge);
        asked.counter = counters[presented];
        let reply: SessionReply = world.post("/v1/sessions", &asked).await.json();
        counters.push(Some(reply.counter));
    }
}

fn texts<'a>(list: &'a Value, of: &str) -> Vec<&'a str> {
    let items = list["items"].as_array().expect("a list").iter();
    items.map(|item| item.pointer(of).and_then(Value::as_str).expect("a text")).collect()
}

pub fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_are_listed_shown_decided_and_taken_back() {
    let world = World::start().await;
    let device = Device::activated(&world, "laptop").await;
    assert_eq!(world.json(&["conflict", "list"])["items"], serde_json::json!([]));
    copied(&world, &device).await;
    has(&world.text(&["conflict", "list"]), &["ID", "laptop", "clone", "open"]);
    let listed = world.json(&["conflict", "list"]);
    assert_eq!((texts(&listed, "/device/name"), texts(&listed, "/kind")), (vec!["laptop"], vec!["clone"]));
    let id = texts(&listed, "/conflict")[0].to_owned();
    let shown = world.json(&["conflict", "show", "laptop"]);
    assert_eq!((&shown, &shown["device"]["state"]), (&listed["items"][0], &"quarantined".into()));
    assert_eq!((&shown["source"], &shown["device"]["user"]), (&"127.0.0.1".into(), &EMAIL.into()));
    has(&world.text(&["conflict", "show", &id]), &[&id, "quarantined", "0 of 2 sessions, from 127.0.0.1", EMAIL]);

    assert_eq!(world.refused_with(&["conflict", "resolve", "laptop", "keep-both"]), "decision_unfit");
    assert_eq!(world.refused_with(&["conflict", "resolve", "desktop", "one-machine"]), "conflict_unknown");
    assert_eq!(world.run(&["conflict", "resolve", "laptop", "three-machines"]).status.code(), Some(2));
    let split = world.json(&["conflict", "resolve", "laptop", "two-machines", "--other-user", EMAIL]);
    assert_eq!((&split["status"], &split["device"]["state"]), (&"split".into(), &"deactivated".into()));
    assert_eq!((&split["other"]["state"], &split["cut_off"]), (&"pending".into(), &true.into()));
    assert!(split["resolved_by"].as_str().is_some_and(|by| by.starts_with("local ")), "{split}");
    assert!(split["undo_until_ms"].as_i64() > split["resolved_at_ms"].as_i64(), "{split}");
    assert_eq!(world.refused_with(&["conflict", "resolve", &id, "one-machine"]), "conflict_decided");
    assert!(!world.text(&["conflict", "list"]).contains("laptop"), "it is decided");
    has(&world.text(&["conflict", "list", "--all"]), &["laptop", "split"]);
    let undone = world.json(&["conflict", "undo", "laptop"]);
    assert_eq!((&undone["status"], &undone["device"]["state"]), (&"open".into(), &"quarantined".into()));
    assert_eq!(undone["undo_until_ms"], Value::Null);
    let one = world.text(&["conflict", "resolve", "laptop", "one-machine"]);
    has(&one, &["merged", "local ", "undo until", "active"]);
    has(&world.text(&["conflict", "undo", &id]), &["open", "quarantined"]);
    assert_eq!(world.refused_with(&["conflict", "undo", &id]), "undo_too_late");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_records_are_merged_kept_and_taken_apart() {
    let world = World::start().await;
    let token = world.installer().await;
    let (old, new) = (Device::new("laptop"), Device::new(LOUD));
    let first: ActivationReply = asks(&world, &old, "SN-1", None).await.json();
    let second: ActivationReply = asks(&world, &new, "SN-1", Some(&token)).await.json();
    let (first, second) = (first.device.0.to_string(), second.device.0.to_string());
    assert_ne!(first, second);
    let listed = world.json(&["conflict", "list"]);
    assert_eq!((texts(&listed, "/kind"), texts(&listed, "/device/device")), (vec!["records"], vec![first.as_str()]));
    let id = texts(&listed, "/conflict")[0].to_owned();
    assert_eq!(listed["items"][0]["merge_keeps"], Value::from(second.as_str()), "it was heard of last");
    has(&world.text(&["conflict", "show", &id]), &["merge keeps", &first, &second, "its own word", "SN-1"]);
    let state = |device: &str| world.json(&["device", "show", device])["state"].clone();

    assert_eq!(world.refused_with(&["conflict", "resolve", &id, "one-machine"]), "decision_unfit");
    let merged = world.json(&["conflict", "resolve", "laptop", "merge", "--keep", &first]);
    assert_eq!((&merged["status"], &merged["device"]["device"]), (&"merged".into(), &first.as_str().into()));
    assert_eq!((state(&first), state(&second)), ("active".into(), "suspended".into()));
    has(&world.text(&["conflict", "undo", &id]), &["open", &first, &second]);
    assert_eq!(state(&second), "active");
    has(&world.text(&["conflict", "resolve", &id, "merge"]), &["merged", "suspended"]);
    assert_eq!((state(&first), state(&second)), ("suspended".into(), "active".into()), "the one heard of last");
    world.json(&["conflict", "undo", &id]);
    has(&world.text(&["conflict", "resolve", &id, "keep-both"]), &["kept", "active"]);

    let merged = world.json(&["conflict", "merge", "laptop", &second]);
    assert_eq!(
        (&merged["status"], &merged["kind"], &merged["times"]),
        (&"merged".into(), &"records".into(), &0.into())
    );
    assert_eq!(world.refused_with(&["conflict", "merge", "laptop", &second]), "merge_unfit");
    let id = merged["conflict"].as_str().expect("text").to_owned();
    assert_eq!(world.json(&["conflict", "undo", &id])["status"], "undone");
    let text = world.text(&["conflict", "merge", &second, "laptop"]);
    has(&text, &["merged", "suspended", &first, &second]);
    has(&world.text(&["conflict", "list", "--all"]), &["kept", "undone", "merged"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_listed_approved_and_refused() {
    let world = World::start().await;
    let token = world.installer().await;
    for list in ["pending", "append-only"] {
        assert_eq!(world.text(&["desk", list]), "Nothing waits.\n");
        assert_eq!(world.json(&["desk", list])["items"], serde_json::json!([]));
    }
    world.json(&["organisation", "set", &format!("{}=yes", Key::TokenWaits)]);
    let (ours, theirs) = (Device::new("ours"), Device::new(LOUD));
    for (device, serial) in [(&ours, "SN-1"), (&theirs, "SN-2")] {
        let answer: ActivationAnswer = asks(&world, device, serial, Some(&token)).await.json();
        assert!(matches!(answer, ActivationAnswer::Waiting(_)), "{answer:?}");
    }
    let listed = world.json(&["desk", "pending"]);
    assert_eq!(texts(&listed, "/came/proof"), ["token", "token"]);
    assert_eq!(texts(&listed, "/came/token_name"), ["installer", "installer"]);
    let text = world.text(&["desk", "pending"]);
    has(&text, &["ours", EMAIL, "installer (tok_", "asks for this record, and waits", "its own word", "SN-1"]);
    assert_eq!(world.run(&["desk", "refuse", "ours"]).status.code(), Some(2), "a reason is needed");
    assert_eq!(world.refused_with(&["desk", "refuse", "ours", "--reason", " "]), "reason_invalid");
    has(&world.text(&["desk", "approve", "ours"]), &["ours (dev_", "active, was pending"]);
    assert_eq!(asks(&world, &ours, "SN-1", Some(&token)).await.refused().1, "key_in_use", "another request");
    let left = world.json(&["desk", "pending"]);
    let stranger = texts(&left, "/device/device")[0].to_owned();
    let refused = world.json(&["desk", "refuse", &stranger, "--reason", "Not one of ours"]);
    assert_eq!((&refused["state"], &refused["device"]), (&"deleted".into(), &stranger.as_str().into()));
    assert_eq!(world.refused_with(&["desk", "refuse", &stranger, "--reason", "again"]), "nobody_waits");
    assert_eq!(world.refused_with(&["desk", "approve", &stranger]), "wrong_state");
    assert_eq!(world.text(&["desk", "pending"]), "Nothing waits.\n");

    world.json(&["organisation", "set", &format!("{}=no", Key::TokenWaits)]);
    let reply: ActivationReply = asks(&world, &Device::new("third"), "SN-3", Some(&token)).await.json();
    let listed = world.json(&["desk", "append-only"]);
    assert_eq!(texts(&listed, "/device/device"), [reply.device.0.to_string()]);
    assert_eq!((texts(&listed, "/device/rights"), texts(&listed, "/came/outcome")), (vec!["append_only"], vec!["new"]));
    has(&world.text(&["desk", "append-only"]), &["third", "made a new record", "127.0.0.1", "SN-3"]);
    let approved = world.json(&["desk", "approve", "third"]);
    assert_eq!((&approved["state"], &approved["rights"]), (&"active".into(), &"full".into()));
    assert_eq!(world.text(&["desk", "append-only"]), "Nothing waits.\n");
    assert_eq!(world.refused_with(&["desk", "approve", "third"]), "nothing_to_change");
    let asked = world.json(&["desk", "refused"]);
    assert_eq!(
        asked["items"].as_array().map(Vec::len),
        Some(1),
        "the key that asked twice, and nothing an admin refused"
    );
    world.stop().await;
}
