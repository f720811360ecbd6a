//! The journal without rights, on the file system of this computer.

use super::*;
use base::{OsEntropy, SystemClock};
use engine::Visit;
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Scene {
    journal: Inotify,
    dir: tempfile::TempDir,
    folders: Vec<StoredPath>,
}

/// Calls `check` with a scene of these folders. What anybody mounts on this computer meanwhile is a gap that is none of
/// ours, and all is done once more.
fn scene(folders: &[&str], check: impl Fn(&mut Scene) -> Result<(), Doubt>) {
    const TRIES: usize = 20;
    let passes = (0..TRIES).any(|_| check(&mut Scene::of(folders)).is_ok());
    assert!(passes, "in doubt {TRIES} times: that is not the others");
}

impl Scene {
    /// A journal that watches a directory with these folders and a file in each.
    fn of(folders: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for folder in folders {
            fs::create_dir_all(dir.path().join(folder)).expect("a folder");
            fs::write(dir.path().join(folder).join("file"), "before").expect("a file");
        }
        let means = Means { clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy) };
        let journal = Inotify::open(&means).expect("every user may watch some directories");
        let folders = vec![path_of(dir.path())];
        let mut scene = Self { journal, dir, folders };
        scene.position();
        scene
    }

    fn position(&mut self) -> Position {
        self.journal.look(&self.folders, None).expect("the journal looks").position
    }

    fn changes(&mut self, since: &Position) -> Result<Changes, Doubt> {
        self.journal.look(&self.folders, Some(since)).expect("the journal looks").changes
    }

    fn top(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    fn at(&self, name: &str) -> StoredPath {
        path_of(&self.dir.path().join(name))
    }
}

fn path_of(path: &Path) -> StoredPath {
    let path: PathBuf = path.components().collect();
    stored(path.as_os_str().as_bytes()).expect("a short path")
}

#[test]
fn changes_are_seen_where_they_happen_and_nowhere_else() {
    scene(&["written", "made", "removed", "from", "to", "still", "deep/er/est"], |scene| {
        let (top, before) = (scene.top(), scene.position());
        fs::write(top.join("written/file"), "after!").expect("a file");
        fs::create_dir(top.join("made/inner")).expect("a folder");
        fs::remove_file(top.join("removed/file")).expect("it was there");
        fs::rename(top.join("from/file"), top.join("to/other")).expect("both are there");
        fs::write(top.join("deep/er/est/file"), "after!").expect("a file");
        let changes = scene.changes(&before)?;
        for (name, visit) in [
            ("written", Visit::Entries),
            ("made", Visit::Entries),
            ("made/inner", Visit::All),
            ("removed", Visit::Entries),
            ("from", Visit::Entries),
            ("to", Visit::Entries),
            ("deep", Visit::Way),
            ("deep/er/est", Visit::Entries),
            ("still", Visit::Nothing),
        ] {
            assert_eq!(changes.at(&scene.at(name)), visit, "{name}");
        }
        let now = scene.position();
        assert_eq!(scene.changes(&now)?.at(&scene.at("")), Visit::Nothing);
        Ok(())
    });
}

#[test]
fn a_folder_that_moves_is_watched_where_it_goes() {
    scene(&["a/b/c", "to"], |scene| {
        let top = scene.top();
        fs::rename(top.join("a/b"), top.join("to/b")).expect("it is there");
        let moved = scene.position();
        fs::write(top.join("to/b/c/file"), "after the move").expect("a file");
        fs::create_dir_all(top.join("to/b/c/new/er")).expect("folders");
        let made = scene.changes(&moved)?;
        assert_eq!((made.at(&scene.at("to/b/c")), made.at(&scene.at("a"))), (Visit::Entries, Visit::Nothing));
        assert_eq!(made.at(&scene.at("to/b/c/new/er")), Visit::All);
        let later = scene.position();
        fs::write(top.join("to/b/c/new/er/file"), "in a new folder").expect("a file");
        assert_eq!(scene.changes(&later)?.at(&scene.at("to/b/c/new/er")), Visit::Entries);
        let elsewhere = tempfile::tempdir().expect("a temporary directory");
        fs::rename(top.join("to"), elsewhere.path().join("away")).expect("it is there");
        let away = scene.position();
        fs::write(elsewhere.path().join("away/b/c/file"), "elsewhere").expect("a file");
        let changes = scene.changes(&away)?;
        assert_eq!(changes.at(&scene.at("")), Visit::Nothing, "what is not in the folders is not watched");
        Ok(())
    });
}

#[test]
fn a_changed_file_with_two_names_is_a_doubt() {
    scene(&["one", "two"], |scene| {
        let top = scene.top();
        fs::hard_link(top.join("one/file"), top.join("two/link")).expect("a second name");
        let before = scene.position();
        scene.changes(&before)?;
        fs::write(top.join("two/link"), "changed").expect("a file");
        match scene.changes(&before) {
            Err(Doubt::Gap) => Err(Doubt::Gap),
            told => {
                assert_eq!(told, Err(Doubt::HardLinks));
                Ok(())
            }
        }
    });
}

#[test]
fn other_folders_begin_anew() {
    scene(&["one", "two"], |scene| {
        let before = scene.position();
        scene.folders = vec![scene.at("one")];
        assert_eq!(scene.changes(&before), Err(Doubt::Gap));
        let now = scene.position();
        fs::write(scene.top().join("two/file"), "not asked for").expect("a file");
        fs::write(scene.top().join("one/file"), "asked for").expect("a file");
        let changes = scene.changes(&now)?;
        assert_eq!((changes.at(&scene.at("one")), changes.at(&scene.at("two"))), (Visit::Entries, Visit::Nothing));
        Ok(())
    });
}
