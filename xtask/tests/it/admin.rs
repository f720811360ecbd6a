//! The admin's commands over HTTPS, each for machines and for people: a campaign from its draft to its evidence, the
//! decisions about two machines and two records, the watch, the outbox, quotas, and what is set for everyone.

use crate::world::desk::Desk;
use crate::world::noise::noise;
use crate::world::{ANN, BOB, Device, World, configure};
use serde_json::Value;
use std::ffi::OsStr;

fn text(json: &Value, field: &str) -> String {
    json[field].as_str().unwrap_or_else(|| panic!("{field} is missing: {json}")).to_owned()
}

fn items(json: &Value) -> Vec<Value> {
    json["items"].as_array().unwrap_or_else(|| panic!("no list: {json}")).clone()
}

/// Until something holds that the server does by itself.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    // Each round asks the server over a connection of its own: that is the wait.
    for _ in 0..500 {
        if holds() {
            return;
        }
    }
    panic!("it never came that {what}");
}

#[test]
fn an_admin_does_everything_over_https_for_machines_and_for_people() {
    // Nobody listens there: messages are queued, and stay so.
    let mail = "[mail]\nserver = \"127.0.0.1\"\nport = 1\nsecurity = \"none\"\nfrom = \"backup@example.test\"";
    let world = World::start_with(|data| configure(data, mail));
    world.write("file", noise(1, 50_000));
    let desk = Desk::of(&world);
    let ann = world.activated("ann");
    ann.backup().done();
    let name = text(&ann.ask(["status"]).done(), "device");
    campaign(&desk, &ann, &name);
    campaign_that_is_stopped(&desk, &ann, &name);
    clone_of(&desk, &world, &ann, &name);
    two_records(&desk, &world);
    for_everyone(&desk, &name);
    outbox(&desk);
    let (verified, said) = desk.both(["audit", "verify"]);
    assert!(verified["error"].is_null() && !said.is_empty(), "{verified}");
}

fn campaign(desk: &Desk<'_>, device: &Device<'_>, name: &str) {
    let make = ["campaign", "make", "monday", "--level", "revoke", "--user", ANN, "--reason", "a laptop was stolen"];
    let words = make.iter().chain(&["--wave-minutes", "0", "--deadline-days", "7"]);
    desk.ask(words).done();
    desk.both(["campaign", "list"]);
    desk.both(["campaign", "show", "monday"]);
    let (dry, _) = desk.both(["campaign", "dry-run", "monday"]);
    assert_eq!(dry["counts"]["needs_user"], 1, "its user has to sign in: {dry}");
    desk.both(["campaign", "dry-run", "monday", "--devices"]);
    desk.text(["campaign", "start", "monday"]);
    until("it is reset", || device.ask(["status"]).json["error"]["code"] == "device_deactivated");
    let (board, _) = desk.both(["campaign", "board", "monday"]);
    assert!(!board.to_string().contains("\"done\":1"), "{board}");
    let (devices, _) = desk.both(["campaign", "devices", "monday"]);
    assert_eq!(items(&devices).len(), 1, "{devices}");
    let world = device.world;
    device.activate_with(&["--ca".as_ref(), device.ca.as_os_str()]).done();
    device.ask(["backup", world.source().to_str().expect("a plain path")]).done();
    until("it is done", || {
        let devices = desk.done(["campaign", "devices", "monday"]);
        items(&devices).iter().any(|one| one["place"] == "done")
    });
    let evidence = world.place().join("evidence.csv");
    let evidence_path = evidence.to_str().expect("a plain path");
    desk.text(["campaign", "evidence", "monday", "--out", evidence_path]);
    let csv = std::fs::read_to_string(&evidence).expect("written");
    assert!(csv.contains(name) && csv.contains("password"), "by which proof it came back: {csv}");
    desk.both(["watch", "list"]);
    desk.both(["watch", "list", "--alarms"]);
}

fn campaign_that_is_stopped(desk: &Desk<'_>, device: &Device<'_>, name: &str) {
    let make = ["campaign", "make", "tuesday", "--level", "rotate", "--device", name, "--reason", "to be sure"];
    desk.ask(make.iter().chain(&["--wave-minutes", "0"])).done();
    desk.text(["campaign", "start", "tuesday"]);
    until("it is reset", || device.ask(["status"]).json["error"]["code"] == "device_deactivated");
    desk.text(["campaign", "abort", "tuesday", "--reason", "a mistake"]);
    desk.text(["campaign", "bring-back", "tuesday"]);
    until("it is back", || device.ask(["status"]).json["state"] == "active");

    let make = ["campaign", "make", "later", "--level", "hold", "--device", name, "--reason", "to be sure"];
    desk.ask(make.iter().chain(&["--append-days", "7"])).done();
    desk.text(["campaign", "start", "later"]);
    until("it is held", || device.ask(["status"]).json["state"] == "held");
    desk.text(["campaign", "pause", "later"]);
    desk.text(["campaign", "resume", "later"]);
    desk.text(["campaign", "excuse", "later", name, "--reason", "on a journey"]);
    let devices = desk.done(["campaign", "devices", "later"]);
    assert!(items(&devices).iter().all(|one| one["place"] == "excused"), "{devices}");
    desk.text(["device", "reactivate", name]);
    let make = ["campaign", "make", "never", "--level", "hold", "--device", name, "--reason", "to be sure"];
    desk.ask(make.iter().chain(&["--append-days", "7"])).done();
    desk.text(["campaign", "start", "never", "--in-minutes", "600"]);
    desk.text(["campaign", "abort", "never", "--reason", "not needed"]);
    let code = desk.ask(["campaign", "pause", "no such campaign"]).json["error"]["code"].clone();
    assert_eq!(code, "campaign_unknown");
}

fn clone_of(desk: &Desk<'_>, world: &World, device: &Device<'_>, name: &str) {
    let copy = Device { state: world.place().join("state-copy"), ..device.clone() };
    let copied = std::process::Command::new("cp").arg("-a").arg(&device.state).arg(&copy.state).status();
    assert!(copied.is_ok_and(|copied| copied.success()), "cp is missing");
    // Either opens its second session beside the other, and presents a counter that was overtaken.
    for _ in 0..2 {
        let _ = device.ask(["status"]);
        let _ = copy.ask(["status"]);
    }
    let (list, _) = desk.both(["conflict", "list"]);
    let conflict = text(&items(&list)[0], "conflict");
    desk.both(["conflict", "show", &conflict]);
    let decided = desk.text(["conflict", "resolve", &conflict, "one-machine"]);
    assert!(!decided.is_empty());
    assert_eq!(text(&desk.done(["device", "show", name]), "state"), "active");
    desk.text(["conflict", "undo", &conflict]);
    assert_eq!(text(&desk.done(["device", "show", name]), "state"), "quarantined");
    desk.done(["conflict", "resolve", &conflict, "one-machine"]);
    desk.both(["conflict", "list", "--all"]);
}

/// Two records of one computer: kept both, and made one.
fn two_records(desk: &Desk<'_>, world: &World) {
    let first = Device { user: BOB, ..world.device("bob") };
    first.activate().done();
    first.backup().done();
    let first_name = text(&first.ask(["status"]).done(), "device");
    let second = Device { user: BOB, ..world.device("bob-2") };
    let words: [&OsStr; 4] = ["--ca".as_ref(), second.ca.as_os_str(), "--choice".as_ref(), "add".as_ref()];
    let second_name = text(&second.activate_with(&words).done(), "device");
    let ours = |list: &Value| {
        let found = items(list).into_iter().find(|one| one.to_string().contains(&second_name));
        found.map(|one| text(&one, "conflict"))
    };
    // The serial number is the evidence; where this computer's system shows none, no two records resemble each other.
    if let Some(conflict) = ours(&desk.done(["conflict", "list"])) {
        desk.text(["conflict", "resolve", &conflict, "keep-both"]);
        desk.text(["conflict", "undo", &conflict]);
        desk.text(["conflict", "resolve", &conflict, "keep-both"]);
    }
    desk.text(["conflict", "merge", &first_name, &second_name]);
    assert_eq!(text(&desk.done(["device", "show", &second_name]), "state"), "suspended");
    second.ask(["status"]).error(4, "device_suspended");
    first.ask(["backup", first.source().to_str().expect("a plain path")]).done();
}

fn for_everyone(desk: &Desk<'_>, name: &str) {
    desk.done(["organisation", "set", "interval=6h"]);
    let (set, said) = desk.both(["organisation", "show"]);
    assert!(set.to_string().contains("6h") && said.contains("6h"), "{said}");
    desk.text(["organisation", "set", "interval=5h"]);
    desk.text(["organisation", "unset", "interval"]);
    let (quota, said) = desk.both(["quota", "show"]);
    assert!(items(&quota).iter().any(|one| one.to_string().contains(ANN)) && said.contains(ANN), "{said}");
    desk.both(["quota", "show", "--user", ANN]);
    desk.both(["policy", "show", "--device", name]);
    desk.both(["policy", "keys"]);
    for list in [["device", "list"], ["user", "list"], ["profile", "list"], ["token", "list"], ["ticket", "list"]] {
        desk.both(list);
    }
    desk.both(["device", "show", name]);
    desk.both(["user", "show", ANN]);
    desk.both(["desk", "append-only"]);
    desk.both(["template", "list"]);
    desk.both(["password-policy", "show"]);
    desk.both(["credential", "list"]);
    desk.both(["snapshot", "list", "--device", name]);
}

fn outbox(desk: &Desk<'_>) {
    let (list, _) = desk.both(["mail", "list"]);
    let first = items(&list).into_iter().next().expect("the reset was told to its user");
    let mail = text(&first, "mail");
    // For people it is the message as it is sent, whose lines are the reader's.
    desk.done(["mail", "show", &mail]);
    let test = desk.ask(["mail", "test", "ann@example.test"]);
    assert_eq!((test.exit, &test.json["outcome"]), (Some(1), &Value::from("temporary")), "{}", test.json);
}
