//! A timer that asks often: what the server says decides, what is kept here does while it is silent, and no run is
//! begun where none is due.

use crate::command::{Ran, activate, holdfast, place, refused, taker};
use crate::play::{Play, Reply, Request, problem};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const HOUR_MS: i64 = 3_600_000;

/// What the server says of the device at the moment.
#[derive(Clone)]
struct Said {
    now_ms: i64,
    good_ms: Option<i64>,
    slot_ms: Option<i64>,
    interval: &'static str,
    orders: Value,
    refuses: Option<u16>,
    full: bool,
}

const FRESH: i64 = 1_800_000_000_000;

struct Scene {
    _dir: TempDir,
    folder: PathBuf,
    state: PathBuf,
    play: Play,
    said: Arc<Mutex<Said>>,
}

fn answer(said: &Said, folder: &str, number: usize, request: &Request) -> Reply {
    match (request.method.as_str(), request.path.as_str(), said.refuses) {
        ("POST", "/v1/device/wiped", _) => Reply::Json(200, json!({})),
        ("GET", "/v1/device" | "/v1/policy", Some(status)) => problem(status, "device_deactivated", None),
        ("GET", "/v1/device", None) => match taker(number, request) {
            Reply::Json(status, mut body) => {
                body["now_ms"] = json!(said.now_ms);
                body["catch_up_at_ms"] = json!(said.slot_ms);
                body["orders"] = said.orders.clone();
                match said.good_ms {
                    Some(good_ms) => body["snapshot"]["committed_at_ms"] = json!(good_ms),
                    None => body["snapshot"] = Value::Null,
                }
                Reply::Json(status, body)
            }
            other => other,
        },
        ("POST", path, None) if said.full && path.contains("/commit?") => problem(409, "quota_exceeded", None),
        ("GET", "/v1/policy", None) => Reply::Json(
            200,
            json!({
                "revision": 7, "profile": "Default", "exclusions": [],
                "values": [{ "key": "interval", "value": said.interval, "from": "profile", "may_change": true }],
                "folders": [{
                    "folder": "fld_248h248h248h248h248h248h24", "path": folder, "os": "any", "from": "profile",
                    "mandatory": false, "linked": true, "include": [], "exclude": [],
                }],
                "quota": { "used": 1, "limit": null, "from": "default" },
            }),
        ),
        _ => taker(number, request),
    }
}

impl Scene {
    fn new() -> Self {
        let (dir, state, password) = place();
        let folder = dir.path().join("doc");
        std::fs::create_dir(&folder).expect("a folder");
        let (good_ms, orders) = (Some(FRESH - HOUR_MS), json!([]));
        let said = Said { now_ms: FRESH, good_ms, slot_ms: None, interval: "4h", orders, refuses: None, full: false };
        let (said, folder) = (Arc::new(Mutex::new(said)), folder.to_str().expect("UTF-8").to_owned());
        let shared = Arc::clone(&said);
        let play = Play::start(move |number, request| {
            let said = shared.lock().expect("no panic with the lock").clone();
            answer(&said, &folder, number, request)
        });
        assert_eq!(activate(&play, &state, &password).exit, 0);
        let folder = dir.path().join("doc");
        Self { _dir: dir, folder, state, play, said }
    }

    fn set(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.said.lock().expect("no panic with the lock"));
    }

    /// The folder of the policy.
    fn folder(&self) -> &str {
        self.folder.to_str().expect("UTF-8")
    }

    fn runs(&self) -> usize {
        self.play.seen().iter().filter(|seen| is(seen, "POST", "/v1/runs")).count()
    }

    /// What a start of the timer does: whether a run was begun, and what was said.
    fn tick(&self) -> (bool, Ran) {
        let before = self.runs();
        let ran = ask(&self.state);
        (self.runs() > before, ran)
    }
}

fn is(request: &Request, method: &str, path: &str) -> bool {
    request.method == method && request.path == path
}

fn ask(state: &Path) -> Ran {
    holdfast(state, &["backup", "--if-due", "--in-slot", "--json", "--patience", "0"])
}

/// A case, whether a backup is due in it, and what makes it.
type Case = (&'static str, bool, fn(&mut Said));

#[test]
fn the_interval_of_the_server_decides_at_every_tick() {
    let scene = Scene::new();
    let (begun, ran) = scene.tick();
    let next =
        json!({ "due": "later", "at_ms": FRESH + 3 * HOUR_MS, "interval": "4h", "last_good_at_ms": FRESH - HOUR_MS });
    assert_eq!((begun, ran.exit, ran.json()), (false, 0, json!({ "not_due": next })));
    let status = holdfast(&scene.state, &["status", "--json"]);
    assert_eq!(status.json()["next_backup"], next);
    let text = holdfast(&scene.state, &["backup", "--if-due"]).stdout;
    assert!(text.starts_with("Not due until 2027-01-15 11:00: the last good backup is of 2027-01-15 07:00"), "{text}");
    let cases: [Case; 6] = [
        ("the admin wants it hourly", true, |said| said.interval = "1h"),
        ("or not by itself", false, |said| said.interval = "off"),
        ("it is time", true, |said| (said.interval, said.now_ms) = ("4h", FRESH + 3 * HOUR_MS)),
        ("not yet", false, |said| said.now_ms = FRESH + 3 * HOUR_MS - 1),
        ("the clock was set back", true, |said| said.good_ms = Some(FRESH + 30 * HOUR_MS)),
        ("there is none", true, |said| said.good_ms = None),
    ];
    for (case, is_due, change) in cases {
        scene.set(change);
        let (begun, ran) = scene.tick();
        assert_eq!((begun, ran.exit), (is_due, 0), "{case}: {}", ran.stdout);
        assert_eq!(ran.json()["not_due"].is_null(), is_due, "{case}: {}", ran.stdout);
    }
    refused(&holdfast(&scene.state, &["backup", "--if-due", "/etc", "--json"]), 2, "usage");
}

#[test]
fn a_slot_is_kept_and_is_no_reason_to_wait_for_the_interval() {
    let scene = Scene::new();
    scene.set(|said| (said.slot_ms, said.good_ms) = (Some(FRESH + 600_000), None));
    let waits = holdfast(&scene.state, &["backup", "--if-due", "--json"]);
    assert_eq!((waits.exit, &waits.json()["not_due"]["due"]), (0, &json!("in_slot")));
    assert_eq!(scene.runs(), 0);
    scene.set(|said| (said.slot_ms, said.good_ms) = (Some(FRESH + 50), Some(FRESH)));
    assert!(scene.tick().0, "it waits for a slot that comes");
    scene.set(|said| said.slot_ms = Some(FRESH));
    assert!(scene.tick().0, "a slot that has come");
}

#[test]
fn a_backup_of_one_folder_by_hand_is_not_the_one_that_is_due() {
    let scene = Scene::new();
    scene.set(|said| said.good_ms = None);
    let aside = scene.state.parent().expect("a folder").join("aside");
    std::fs::create_dir(&aside).expect("a folder");
    let aside = aside.to_str().expect("UTF-8");
    let partials = || -> Vec<bool> {
        let commits = scene.play.seen().into_iter().filter(|seen| seen.path.contains("/commit?"));
        // The key of the run that the played server gives.
        let key = |_: &format::ObjectHeader| Some(format::RunKey::new(base::Secret::new([2; 32])));
        let manifest = |seen: Request| format::Manifest::open(&seen.body, key).expect("a manifest");
        commits.map(|seen| manifest(seen).unverified().partial).collect()
    };
    let by_hand = holdfast(&scene.state, &["backup", aside, "--json"]);
    assert_eq!((by_hand.exit, &by_hand.json()["partial"]), (0, &json!(true)), "{}", by_hand.stdout);
    assert_eq!(partials(), [true]);
    let text = holdfast(&scene.state, &["backup", aside]).stdout;
    assert!(text.contains("  part        not all that this computer backs up"), "{text}");
    // Also while the server is silent: what is kept here is the last one of all folders.
    scene.set(|said| said.refuses = Some(503));
    assert!(scene.tick().0, "due");
    scene.set(|said| said.refuses = None);
    assert_eq!(scene.tick().1.json()["partial"], json!(false));
    assert_eq!(partials().last(), Some(&false));
    let whole = holdfast(&scene.state, &["backup", scene.folder(), aside, "--json"]);
    assert_eq!(whole.json()["partial"], json!(false), "with another one beside all of them");
}

#[test]
fn what_somebody_has_to_change_first_is_tried_again_after_an_hour() {
    let scene = Scene::new();
    scene.set(|said| (said.good_ms, said.full) = (None, true));
    let (begun, ran) = scene.tick();
    assert!(begun, "{}", ran.stdout);
    refused(&ran, 1, "quota_exceeded");
    let (begun, ran) = scene.tick();
    assert_eq!((begun, ran.exit, &ran.json()["not_due"]["due"]), (false, 0, &json!("refused")), "{}", ran.stdout);
    let text = holdfast(&scene.state, &["backup", "--if-due"]).stdout;
    assert!(text.starts_with("No backup is begun before "), "{text}");
    let status = holdfast(&scene.state, &["status"]).stdout;
    assert!(status.contains("due, and was refused: tried again from "), "{status}");
    // An hour ago, as this computer knows it.
    let file = scene.state.join("last.json");
    let mut last: Value = serde_json::from_slice(&std::fs::read(&file).expect("it")).expect("JSON");
    last["error"]["at_ms"] = json!(last["error"]["at_ms"].as_i64().expect("a time") - HOUR_MS);
    std::fs::write(&file, last.to_string()).expect("writable");
    assert!(scene.tick().0, "tried again");
    assert!(!scene.tick().0, "and left at that for another hour");
    scene.set(|said| said.full = false);
    assert_eq!(holdfast(&scene.state, &["backup", "--json"]).exit, 0, "by hand at once");
    assert!(scene.tick().0, "what came about since ends the wait");
}

#[test]
fn while_the_server_is_silent_what_is_kept_decides() {
    let scene = Scene::new();
    scene.set(|said| (said.good_ms, said.interval) = (None, "30d"));
    assert!(scene.tick().0, "the first one, which is kept with the policy");
    scene.set(|said| said.refuses = Some(503));
    let (begun, ran) = scene.tick();
    assert_eq!((begun, ran.exit, &ran.json()["not_due"]["interval"]), (false, 0, &json!("30d")), "{}", ran.stdout);
    let last: Value = serde_json::from_slice(&std::fs::read(scene.state.join("last.json")).expect("it")).expect("JSON");
    assert!(last["error"].is_null(), "nothing failed: {last}");
    std::fs::remove_file(scene.state.join("last.json")).expect("a file");
    assert!(scene.tick().0, "without a good one that is known it is tried");
}

#[test]
fn a_refusal_is_an_error_and_a_backup_that_runs_is_none() {
    let scene = Scene::new();
    scene.set(|said| said.refuses = Some(403));
    refused(&scene.tick().1, 4, "device_deactivated");
    let status = holdfast(&scene.state, &["status", "--json"]);
    assert!(status.json()["next_backup"].is_null(), "no backup is due of a device that is cut off");
    scene.set(|said| (said.refuses, said.good_ms) = (None, None));
    let lock = std::fs::File::create(scene.state.join("backup.lock")).expect("a file");
    lock.lock().expect("a lock");
    let (begun, ran) = scene.tick();
    assert_eq!((begun, ran.exit, ran.json()), (false, 0, json!({ "not_due": { "due": "running" } })));
    let (dir, state, _) = place();
    refused(&ask(&state), 1, "not_activated");
    drop(dir);
}

#[test]
fn a_tick_without_a_backup_obeys_orders() {
    let scene = Scene::new();
    scene.set(|said| said.orders = json!(["support_bundle"]));
    let (begun, _) = scene.tick();
    assert!(!begun && scene.play.seen().iter().any(|seen| is(seen, "PUT", "/v1/device/support-bundle")));
    // Also where one would be due.
    scene.set(|said| (said.orders, said.good_ms) = (json!(["wipe"]), None));
    let (begun, ran) = scene.tick();
    assert_eq!((begun, ran.exit), (false, 4), "{}", ran.stdout);
    assert!(scene.state.join("wiped.json").exists() && !scene.state.join("device.key").exists());
}
