//! `holdfast verify-restore` as a script sees it: what it says, how it ends, and that it writes nothing and asks for no
//! content. The trees are those of the last backup, which this computer keeps.

use crate::command::{Ran, activate, holdfast, place, taker};
use crate::play::{Play, Reply};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

const SNAPSHOT: &str = "snp_248h248h248h248h248h248h24";

/// A computer that has backed up one folder.
struct Scene {
    _dir: TempDir,
    play: Play,
    state: PathBuf,
    folder: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let (dir, state, password) = place();
        // What the server says of the snapshot that is read: only its root is of interest here.
        let root: Arc<Mutex<Option<Value>>> = Arc::default();
        let known = Arc::clone(&root);
        let play = Play::start(move |number, request| {
            let reply = taker(number, request);
            let root = known.lock().expect("nobody panics with it").clone();
            let (Reply::Json(200, mut run), Some(root)) = (reply.clone(), root) else { return reply };
            if request.path != "/v1/runs" {
                return reply;
            }
            run["snapshot"] = json!({
                "snapshot": SNAPSHOT, "device": "dev_j8xg6w36jwd3x9v879qwt986q0", "root": root, "began_at_ms": 1,
                "ended_at_ms": 2, "committed_at_ms": 3, "totals": { "entries": 1, "files": 1, "bytes": 1 },
                "folders": ["home/anna"], "host_name": "laptop", "problems": 0,
            });
            Reply::Json(200, run)
        });
        assert_eq!(activate(&play, &state, &password).exit, 0);
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).expect("a folder");
        for number in 0..20 {
            fs::write(folder.join(format!("file {number}")), vec![number; 10_000]).expect("a file");
        }
        let folder = folder.canonicalize().expect("a path");
        assert_eq!(holdfast(&state, &["backup", "--json", text(&folder)]).exit, 0);
        let parent = fs::read(state.join("parent.json")).expect("it is kept");
        let parent: Value = serde_json::from_slice(&parent).expect("JSON");
        *root.lock().expect("nobody panics with it") = Some(parent["root"].clone());
        Self { _dir: dir, play, state, folder }
    }

    fn verify(&self, arguments: &[&str]) -> Ran {
        holdfast(&self.state, &[&["verify-restore"], arguments].concat())
    }

    /// Everything that writing would change.
    fn looks(&self) -> Vec<(PathBuf, i64, i64, u64)> {
        let look = |at: &Path| {
            let found = fs::symlink_metadata(at).expect("it is there");
            (at.to_owned(), found.ctime(), found.ctime_nsec(), found.ino())
        };
        let entries = fs::read_dir(&self.folder).expect("a folder").map(|entry| look(&entry.expect("an entry").path()));
        let mut looks: Vec<_> = entries.collect();
        looks.push(look(&self.folder));
        looks.sort();
        looks
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn what_is_here_is_compared_without_a_byte_of_content_or_a_write() {
    let scene = Scene::new();
    let before = scene.looks();
    let folder = text(&scene.folder).to_owned();
    let same = scene.verify(&["--json", "latest", &folder]);
    let fields = same.json();
    assert_eq!((same.exit, &fields["difference_count"], &fields["problem_count"]), (0, &json!(0), &json!(0)));
    assert_eq!((&fields["files"], &fields["bytes"], &fields["extra"]), (&json!(20), &json!(200_000), &json!(null)));
    assert_eq!((&fields["snapshot"], &fields["to"]), (&json!(SNAPSHOT), &json!("/")));
    assert_eq!(scene.looks(), before);
    assert!(!scene.play.seen().iter().any(|request| request.path.ends_with("/fetch")), "all of it is known by name");
    assert!(scene.play.seen().iter().any(|request| request.path.ends_with("/abort")), "the run is ended");
    let said = scene.verify(&["latest", &folder]).stdout;
    assert!(said.starts_with(&format!("Everything is as in snapshot {SNAPSHOT}.\n")), "{said}");
}

#[test]
fn what_differs_ends_with_3_and_is_listed() {
    let scene = Scene::new();
    let time = |at: &Path| fs::metadata(at).expect("it is there").modified().expect("a time");
    let (one, above) = (scene.folder.join("file 1"), time(&scene.folder));
    let before = time(&one);
    fs::write(&one, vec![99; 10_000]).expect("written");
    fs::File::options().write(true).open(&one).expect("a file").set_modified(before).expect("a time");
    fs::remove_file(scene.folder.join("file 2")).expect("removed");
    fs::write(scene.folder.join("more"), b"x").expect("written");
    fs::File::open(&scene.folder).expect("a folder").set_modified(above).expect("a time");
    let folder = text(&scene.folder).to_owned();
    let ran = scene.verify(&["--json", "--extra", "latest", &folder]);
    let fields = ran.json();
    assert_eq!((ran.exit, &fields["missing"], &fields["different"]), (3, &json!(1), &json!(1)), "{fields}");
    assert_eq!((&fields["extra"], &fields["difference_count"]), (&json!(1), &json!(2)));
    let below = folder.trim_start_matches('/');
    assert_eq!(
        fields["differences"],
        json!([
            { "path": format!("{below}/file 1"), "what": ["content"] },
            { "path": format!("{below}/file 2"), "what": ["missing"] },
        ])
    );
    let said = scene.verify(&["latest", &folder]);
    assert_eq!(said.exit, 3);
    assert!(said.stdout.contains("other content") && said.stdout.contains("2 differences:"), "{}", said.stdout);

    // Where nothing was restored to everything is missing, and the folder has to be there.
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let ran = scene.verify(&["--json", "--to", text(elsewhere.path())]);
    assert_eq!((ran.exit, &ran.json()["different"]), (3, &json!(0)));
    let ran = scene.verify(&["--json", "--to", "/nowhere/at/all"]);
    assert_eq!((ran.exit, &ran.json()["error"]["code"]), (1, &json!("file_unusable")));
}
