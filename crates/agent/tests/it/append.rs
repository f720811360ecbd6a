//! A device that may append but not read: what the server does not tell of the last snapshot, this computer knows
//! where it has made that very one, and nothing else is believed.

use crate::command::{Ran, activate, holdfast, place, taker};
use crate::play::{Play, Reply};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

const FILES: u64 = 20;
/// What happens to the bytes of a file.
type Damage = fn(&mut Vec<u8>);

const OTHER: &str = "snp_248h248h248h248h248h248h24";

/// A folder with files that are old enough for their times to be trusted.
fn folder(at: &Path) -> String {
    let folder = at.join("folder");
    fs::create_dir(&folder).expect("a folder");
    for number in 0..FILES {
        fs::write(folder.join(format!("file {number}")), vec![number as u8; 10_000]).expect("a file");
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    folder.canonicalize().expect("a path").to_str().expect("UTF-8").to_owned()
}

/// Files opened, bytes read, and the parent.
fn cost(ran: &Ran) -> (u64, u64, Value) {
    assert_eq!((ran.exit, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    let fields = ran.json();
    assert_eq!((&fields["problem_count"], &fields["files_seen"]), (&json!(0), &json!(FILES)), "{fields}");
    let number = |name: &str| fields[name].as_u64().expect("a number");
    (number("files_opened"), number("bytes_read"), fields["parent"].clone())
}

#[test]
fn the_snapshot_that_this_computer_has_made_is_gone_on_from_without_reading_a_file_or_asking_for_a_tree() {
    let (dir, state, password) = place();
    let folder = folder(dir.path());
    let named: Arc<Mutex<Value>> = Arc::default();
    let told = Arc::clone(&named);
    let play = Play::start(move |number, request| match (taker(number, request), request.path.as_str()) {
        (Reply::Json(status, mut body), "/v1/runs") => {
            body["unreadable"] = told.lock().expect("no panic with the lock").clone();
            Reply::Json(status, body)
        }
        (reply, _) => reply,
    });
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let backup = |unreadable: &Value| {
        *named.lock().expect("no panic with the lock") = unreadable.clone();
        holdfast(&state, &["backup", "--json", &folder])
    };
    let everything = (FILES, FILES * 10_000, Value::Null);
    let first = backup(&Value::Null);
    assert_eq!(cost(&first), everything);

    let made = first.json()["snapshot"].clone();
    let second = backup(&made);
    assert_eq!(cost(&second), (0, 0, made));
    fs::write(Path::new(&folder).join("file 7"), b"changed").expect("a file");
    let made = second.json()["snapshot"].clone();
    let third = backup(&made);
    assert_eq!(cost(&third), (1, 7, made.clone()), "what has changed is read");
    fs::write(Path::new(&folder).join("file 7"), vec![7; 10_000]).expect("a file");
    std::thread::sleep(std::time::Duration::from_millis(50));

    // The last snapshot is another one: somebody else's, or one that this computer has forgotten.
    assert_eq!(cost(&backup(&json!(OTHER))), everything);
    assert_eq!(cost(&backup(&made)), everything, "an older one of this computer's own is another one too");
    let damages: [(&str, Damage); 4] = [
        ("trees.cache", |bytes| bytes.truncate(bytes.len() / 2)),
        ("trees.cache", |bytes| bytes[64..].iter_mut().for_each(|byte| *byte ^= 1)),
        ("parent.json", |bytes| bytes.truncate(bytes.len() / 2)),
        ("parent.json", |bytes| bytes.clear()),
    ];
    let mut made = backup(&Value::Null).json()["snapshot"].clone();
    for (file, damage) in damages {
        let mut bytes = fs::read(state.join(file)).expect("a file");
        damage(&mut bytes);
        fs::write(state.join(file), bytes).expect("a file");
        let ran = backup(&made);
        let (opened, read, _) = cost(&ran);
        assert_eq!((opened, read), (FILES, FILES * 10_000), "{file}");
        made = ran.json()["snapshot"].clone();
        let mended = backup(&made);
        assert_eq!(cost(&mended), (0, 0, made), "{file}: one full backup mends it");
        made = mended.json()["snapshot"].clone();
    }
    let fetched: Vec<_> = play.seen().into_iter().filter(|request| request.path.contains("/fetch")).collect();
    assert!(fetched.is_empty(), "{fetched:?}");
}

#[test]
fn a_snapshot_that_is_shown_without_its_root_is_gone_on_from_too() {
    let (dir, state, password) = place();
    let folder = folder(dir.path());
    let shown: Arc<Mutex<Value>> = Arc::default();
    let told = Arc::clone(&shown);
    let path = folder.trim_start_matches('/').to_owned();
    let play = Play::start(move |number, request| match (taker(number, request), request.path.as_str()) {
        (Reply::Json(status, mut body), "/v1/runs") => {
            let name = told.lock().expect("no panic with the lock").clone();
            if !name.is_null() {
                body["snapshot"] = json!({
                    "snapshot": name, "device": "dev_248h248h248h248h248h248h24", "began_at_ms": 1, "ended_at_ms": 2,
                    "committed_at_ms": 3, "totals": { "entries": 1, "files": 1, "bytes": 1 }, "folders": [path],
                    "host_name": "laptop", "problems": 0,
                });
            }
            Reply::Json(status, body)
        }
        (reply, _) => reply,
    });
    assert_eq!(activate(&play, &state, &password).exit, 0);
    let first = holdfast(&state, &["backup", "--json", &folder]);
    assert_eq!(cost(&first).0, FILES);
    let made = first.json()["snapshot"].clone();
    *shown.lock().expect("no panic with the lock") = made.clone();
    assert_eq!(cost(&holdfast(&state, &["backup", "--json", &folder])), (0, 0, made));
}
