//! The journal of a volume, on the fake: what is named, and when it is in doubt.

use super::fake::{Fake, Version};
use super::records::FileId;
use super::*;
use base::{ManualClock, SeededEntropy, Timestamp};
use engine::Visit;
use std::sync::Arc;

struct Scene {
    volume: Fake,
    journal: Usn<Fake>,
    folders: Vec<StoredPath>,
}

fn journal(volume: &Fake) -> Usn<Fake> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_ms(5_000)));
    Usn::of(volume.clone(), &Means { clock, entropy: Arc::new(SeededEntropy::new(1)) })
}

fn path(text: &str) -> StoredPath {
    StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path")
}

impl Scene {
    fn of(version: Version) -> Self {
        let volume = Fake::new(version);
        let journal = journal(&volume);
        Self { volume, journal, folders: vec![path("C:")] }
    }

    fn directory(&self, name: &str) -> FileId {
        self.volume.create(self.volume.root(), name, true)
    }

    /// Makes more files than one reading has room for.
    fn fill(&self, directory: FileId, name: &str) {
        for at in 0..40 {
            self.volume.create(directory, &format!("{name} {at}"), false);
        }
    }

    fn position(&mut self) -> Position {
        self.journal.look(&self.folders, None).expect("the journal looks").position
    }

    fn changes(&mut self, since: &Position) -> Result<Changes, Doubt> {
        self.journal.look(&self.folders, Some(since)).expect("the journal looks").changes
    }

    #[track_caller]
    fn expect(&mut self, since: &Position, visits: &[(&str, Visit)]) {
        let changes = self.changes(since).expect("no doubt");
        for (at, visit) in visits {
            assert_eq!(changes.at(&path(at)), *visit, "{at}");
        }
    }
}

#[test]
fn changes_are_named_by_their_directories_in_both_versions() {
    for version in [Version::V2, Version::V3] {
        let mut scene = Scene::of(version);
        let [written, removed, from, to, still] =
            ["written", "removed", "from", "to", "still"].map(|name| scene.directory(name));
        let [file, gone, moved] = [written, removed, from].map(|parent| scene.volume.create(parent, "file", false));
        scene.volume.create(still, "file", false);
        let before = scene.position();
        assert_eq!(scene.changes(&before), Ok(Changes::default()), "{version:?}");
        scene.volume.write(file);
        scene.volume.remove(gone, 0);
        scene.volume.rename(moved, to, "other");
        let (entries, nothing) = (Visit::Entries, Visit::Nothing);
        let visits = [("C:/written", entries), ("C:/removed", entries), ("C:/from", entries), ("C:/to", entries)];
        scene.expect(&before, &visits);
        scene.expect(&before, &[("C:", Visit::Way), ("C:/still", nothing)]);
        let now = scene.position();
        assert_eq!(scene.changes(&now), Ok(Changes::default()));
    }
}

#[test]
fn a_directory_is_named_where_it_is_now_and_its_own_changes_too() {
    let mut scene = Scene::of(Version::V3);
    let [a, b] = ["a", "b"].map(|name| scene.directory(name));
    let inner = scene.volume.create(a, "inner", true);
    let file = scene.volume.create(inner, "file", false);
    let before = scene.position();
    scene.volume.write(file);
    scene.volume.rename(inner, b, "new");
    let (entries, nothing) = (Visit::Entries, Visit::Nothing);
    scene.expect(&before, &[("C:/a", entries), ("C:/b", entries), ("C:/b/new", entries), ("C:/a/inner", nothing)]);
    let moved = scene.position();
    scene.volume.change(b, reasons::BASIC_INFO_CHANGE);
    scene.expect(&moved, &[("C:", entries), ("C:/b", entries), ("C:/a", nothing)]);
}

#[test]
fn what_is_gone_counts_as_where_it_was_and_its_number_may_come_again() {
    let mut scene = Scene::of(Version::V2);
    let (top, other) = (scene.directory("top"), scene.directory("other"));
    let (gone, before) = (scene.volume.create(top, "gone", true), scene.position());
    let file = scene.volume.create(gone, "file", false);
    scene.volume.remove(file, 0);
    scene.volume.remove(gone, 0);
    let again = scene.volume.create(other, "again", true);
    assert_ne!(again, gone);
    assert_eq!(again.0 & 0xffff, gone.0 & 0xffff, "the same number, with another sequence number");
    let visits = [("C:/top", Visit::Entries), ("C:/top/gone", Visit::Nothing), ("C:/other/again", Visit::Entries)];
    scene.expect(&before, &visits);
}

#[test]
fn a_position_outlives_the_process_and_not_the_journal() {
    let mut scene = Scene::of(Version::V3);
    let directory = scene.directory("docs");
    let before = scene.position();
    scene.volume.create(directory, "file", false);
    scene.journal = journal(&scene.volume);
    scene.expect(&before, &[("C:/docs", Visit::Entries)]);
    scene.volume.delete_journal();
    assert_eq!(scene.changes(&before), Err(Doubt::NotWatched));
    scene.volume.create_journal(72, before.at + 4_096);
    assert_eq!(scene.changes(&before), Err(Doubt::OtherJournal));
    let anew = scene.position();
    scene.volume.create(directory, "other", false);
    scene.expect(&anew, &[("C:/docs", Visit::Entries)]);
    scene.volume.create_journal(73, 0);
    while scene.volume.extent().is_ok_and(|extent| extent.next < anew.at) {
        scene.fill(directory, "again");
    }
    assert_eq!(scene.changes(&anew), Err(Doubt::OtherJournal), "the same USN is another one");
}

#[test]
fn a_journal_that_has_made_room_is_a_gap_for_who_needs_what_is_gone() {
    let mut scene = Scene::of(Version::V2);
    let directory = scene.directory("docs");
    let early = scene.position();
    scene.fill(directory, "file");
    let late = scene.position();
    scene.volume.wrap(0);
    assert!(scene.changes(&early).is_ok(), "this process has read it in time");
    scene.journal = journal(&scene.volume);
    assert_eq!(scene.changes(&early), Err(Doubt::Gap), "another one has not");
    assert_eq!(scene.changes(&late), Ok(Changes::default()));
    scene.fill(directory, "more");
    scene.volume.wrap(5);
    assert_eq!(scene.changes(&late), Err(Doubt::Gap), "it was outrun while nobody asked");
    let now = scene.position();
    assert_eq!(scene.changes(&now), Ok(Changes::default()));
}

#[test]
fn a_file_that_stays_open_is_named_in_every_answer() {
    let mut scene = Scene::of(Version::V3);
    let directory = scene.directory("database");
    let file = scene.volume.create(directory, "data", false);
    scene.volume.change(file, reasons::DATA_OVERWRITE);
    let before = scene.position();
    // Not a word in the journal: the reason was told when the file was first written.
    scene.volume.change(file, reasons::DATA_OVERWRITE);
    scene.expect(&before, &[("C:/database", Visit::Entries)]);
    scene.journal = journal(&scene.volume);
    scene.expect(&before, &[("C:/database", Visit::Entries)]);
    scene.volume.close(file);
    scene.expect(&before, &[("C:/database", Visit::Entries)]);
    let closed = scene.position();
    assert_eq!(scene.changes(&closed), Ok(Changes::default()));
}

#[test]
fn files_with_several_names_are_a_doubt() {
    let mut scene = Scene::of(Version::V3);
    let [one, two] = ["one", "two"].map(|name| scene.directory(name));
    let [linked, single] = ["linked", "single"].map(|name| scene.volume.create(one, name, false));
    let before = scene.position();
    scene.volume.write(single);
    assert!(scene.changes(&before).is_ok());
    scene.volume.link(linked, two, "second");
    assert_eq!(scene.changes(&before), Err(Doubt::HardLinks), "it has won a name");
    let linked_at = scene.position();
    assert!(scene.changes(&linked_at).is_ok());
    scene.volume.write(linked);
    assert_eq!(scene.changes(&linked_at), Err(Doubt::HardLinks), "only one of its names is told");
    let written_at = scene.position();
    scene.volume.rename(linked, one, "renamed");
    assert_eq!(scene.changes(&written_at), Err(Doubt::HardLinks), "its other name is told to nobody");
    let renamed_at = scene.position();
    scene.volume.remove(linked, 0);
    assert_eq!(scene.changes(&renamed_at), Err(Doubt::HardLinks), "it has lost a name");
    let new_at = scene.position();
    let new = scene.volume.create(one, "new", false);
    scene.volume.link(new, two, "new too");
    assert_eq!(scene.changes(&new_at), Err(Doubt::HardLinks), "where its other name is, nobody says");
    scene.volume.remove(new, 1);
    scene.volume.remove(new, 0);
    assert_eq!(scene.changes(&new_at), Err(Doubt::HardLinks), "nor where it was");
    let later = scene.position();
    scene.volume.write(single);
    scene.volume.remove(single, 0);
    scene.expect(&later, &[("C:/one", Visit::Entries), ("C:/two", Visit::Nothing)]);
}

#[test]
fn an_unknown_record_is_a_gap_for_good() {
    let mut scene = Scene::of(Version::V3);
    let before = scene.position();
    scene.volume.log_unknown();
    assert_eq!(scene.changes(&before), Err(Doubt::Gap));
    let now = scene.position();
    assert_eq!(scene.changes(&now), Err(Doubt::Gap), "which files are open is not known any more");
}

#[test]
fn what_changes_nothing_in_a_snapshot_is_not_named() {
    let mut scene = Scene::of(Version::V3);
    let directory = scene.directory("docs");
    let (file, before) = (scene.volume.create(directory, "file", false), scene.position());
    scene.volume.change(file, reasons::OBJECT_ID_CHANGE);
    scene.volume.close(file);
    assert_eq!(scene.changes(&before), Ok(Changes::default()));
    scene.volume.change(file, 0x4000_0000);
    scene.expect(&before, &[("C:/docs", Visit::Entries)]);
}

#[test]
fn only_folders_of_one_volume_by_their_own_names_are_vouched_for() {
    let mut scene = Scene::of(Version::V3);
    let users = scene.directory("Users");
    let other = r"\\?\Volume{d}\";
    let places = [(other, r"D:\"), (other, r"C:\Users\mount\"), (fake::VOLUME, r"C:\again\")];
    let places = places.map(|(volume, at)| Place { volume: volume.to_owned(), at: at.to_owned() });
    scene.volume.0.borrow_mut().places.extend(places);
    scene.folders = ["C:/Users", "c:/again/Users", "D:/data", "Z:/share"].map(path).to_vec();
    let before = scene.position();
    scene.volume.create(users, "file", false);
    let all = ["c:/again/Users", "D:/data", "Z:/share", "C:/Users/mount"].map(|at| (at, Visit::All));
    scene.expect(&before, &all);
    scene.expect(&before, &[("C:/Users", Visit::Entries), ("C:/again/Users", Visit::Entries)]);
    scene.folders = vec![path("C:/Users")];
    scene.volume.0.borrow_mut().places[2].at = r"C:\users\MOUNT\".to_owned();
    scene.expect(&before, &[("C:/Users/any", Visit::All)]);
    scene.folders = vec![path("Z:/share")];
    assert_eq!(scene.changes(&before), Err(Doubt::NotWatched));
    assert_eq!(scene.position().journal, [0; 16]);
}
