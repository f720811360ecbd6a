//! The journal of macOS, on the fake: what is named, and when it is in doubt.

use super::events::flags;
use super::fake::Fake;
use super::*;
use base::{ManualClock, SeededEntropy, Span, Timestamp};
use engine::Visit;
use std::sync::Arc;

const FILE: u32 = flags::ITEM_IS_FILE;
const DIRECTORY: u32 = flags::ITEM_IS_DIR;
/// FSEvents.h: kFSEventStreamEventFlagItemModified, …ItemRemoved, …ItemXattrMod.
const MODIFIED: u32 = 0x0000_1000;
const REMOVED: u32 = 0x0000_0200;
const XATTR_MOD: u32 = 0x0000_8000;

struct Scene {
    system: Fake,
    clock: Arc<ManualClock>,
    journal: FsEvents<Fake>,
    folders: Vec<StoredPath>,
}

fn path(text: &str) -> StoredPath {
    StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path")
}

impl Scene {
    fn new() -> Self {
        let (system, clock) = (Fake::default(), Arc::new(ManualClock::at(Timestamp::from_ms(5_000))));
        let volumes = [("", Some([1; 16])), ("Volumes/disk", Some([2; 16])), ("Volumes/share", None)];
        system.0.borrow_mut().volumes.extend(volumes.map(|(point, journal)| (path(point), journal)));
        let means = Means { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(1)) };
        let journal = FsEvents::of(system.clone(), &means);
        Self { system, clock, journal, folders: vec![path("Users")] }
    }

    fn position(&mut self) -> Position {
        self.journal.look(&self.folders, None).expect("the journal looks").position
    }

    fn changes(&mut self, since: &Position) -> Result<Changes, Doubt> {
        self.journal.look(&self.folders, Some(since)).expect("the journal looks").changes
    }
}

/// What one event says of some paths.
#[track_caller]
fn check(at: &str, flags: u32, visits: &[(&str, Visit)]) {
    let mut scene = Scene::new();
    let before = scene.position();
    scene.system.happens(at, flags);
    let changes = scene.changes(&before).expect("no doubt");
    for (path_of, visit) in visits {
        assert_eq!(changes.at(&path(path_of)), *visit, "{at} {flags:#x}: {path_of}");
    }
    let now = scene.position();
    assert_eq!(scene.changes(&now), Ok(Changes::default()), "it is told once");
}

#[test]
fn an_event_is_named_by_its_directory() {
    let (all, entries, nothing) = (Visit::All, Visit::Entries, Visit::Nothing);
    let file = [("Users", Visit::Way), ("Users/ann", entries), ("Users/bob", nothing)];
    for what in [flags::ITEM_CREATED, REMOVED, MODIFIED, XATTR_MOD, flags::ITEM_RENAMED, flags::ITEM_CLONED, 1 << 30] {
        check("/Users/ann/file", FILE | what, &file);
        check("/Users/ann/link", flags::ITEM_IS_SYMLINK | what, &file);
    }
    check("/Users/ann/docs", DIRECTORY | XATTR_MOD, &[("Users/ann", entries), ("Users/ann/docs", entries)]);
    check("/Users/ann/docs", DIRECTORY | flags::ITEM_RENAMED, &[("Users/ann", entries), ("Users/ann/docs/deep", all)]);
    check("/Users/ann/docs", DIRECTORY | flags::ITEM_CREATED, &[("Users/ann/docs", all)]);
    check("/Users/ann/docs/", 0, &[("Users/ann/docs", entries), ("Users/ann/docs/deep", nothing)]);
    check("/Users/ann/was", FILE | DIRECTORY | MODIFIED, &[("Users/ann", entries), ("Users/ann/was", entries)]);
}

#[test]
fn what_the_system_is_not_sure_of_is_looked_at_whole() {
    for what in [flags::MUST_SCAN_SUB_DIRS, flags::ROOT_CHANGED, flags::MOUNT, flags::UNMOUNT] {
        let beside = [("Users", Visit::Entries), ("Users/bob", Visit::Nothing)];
        check("/Users/ann", what, &[("Users/ann", Visit::All), ("Users/ann/deep", Visit::All)]);
        check("/Users/ann", what, &beside);
    }
}

#[test]
fn what_is_above_a_folder_and_had_another_name_meanwhile_makes_it_uncertain() {
    let mut scene = Scene::new();
    scene.folders = ["Users/ann/docs", "Users/bob"].map(path).to_vec();
    for (above, what, docs) in [
        ("/Users/ann", flags::ITEM_RENAMED, Visit::All),
        ("/Users/ann", flags::ITEM_CREATED, Visit::All),
        ("/Users/ann/", flags::MUST_SCAN_SUB_DIRS, Visit::All),
        ("/Users/ann", MODIFIED, Visit::Nothing),
        ("/Users/ann/doc", flags::ITEM_RENAMED, Visit::Nothing),
        ("/Users/ann/x/docs", flags::ITEM_RENAMED, Visit::Nothing),
    ] {
        scene.system.0.borrow_mut().clear();
        let before = scene.position();
        scene.system.happens(above, DIRECTORY | what);
        let changes = scene.changes(&before).expect("no doubt");
        let visits = ["Users/ann/docs", "Users/bob"].map(|folder| changes.at(&path(folder)));
        assert_eq!(visits, [docs, Visit::Nothing], "{above} {what:#x}");
    }
}

#[test]
fn paths_of_the_data_volume_are_those_that_are_seen_from_the_root() {
    check("/System/Volumes/Data/Users/ann/file", FILE | MODIFIED, &[("Users/ann", Visit::Entries)]);
    check("/System/Volumes/DataUsers/ann/file", FILE | MODIFIED, &[("Users/ann", Visit::Nothing)]);
    for above in ["/System/Volumes/Data", "/System/Volumes/Data/", "/System/Volumes", "/"] {
        check(above, DIRECTORY | flags::MUST_SCAN_SUB_DIRS, &[("Users/ann", Visit::All)]);
    }
    check("/System/Library", DIRECTORY | flags::MUST_SCAN_SUB_DIRS, &[("Users/ann", Visit::Nothing)]);
    let mut scene = Scene::new();
    scene.folders = ["System/Volumes/Data/Users/ann", "Users/bob"].map(path).to_vec();
    let before = scene.position();
    let changes = scene.changes(&before).expect("no doubt");
    let visits = ["System/Volumes/Data/Users/ann", "Users/bob"].map(|at| changes.at(&path(at)));
    assert_eq!(visits, [Visit::All, Visit::Nothing], "a folder that is named by that way");
}

#[test]
fn what_is_told_again_is_looked_at_again() {
    let mut scene = Scene::new();
    scene.system.happens("/Users/ann/file", FILE | MODIFIED);
    let before = scene.position();
    scene.system.happens("/Users/bob/file", FILE | MODIFIED);
    scene.system.0.borrow_mut().told_again = 1_000;
    let changes = scene.changes(&before).expect("no doubt");
    let visits = ["Users/ann", "Users/bob", "Users/eve"].map(|at| changes.at(&path(at)));
    assert_eq!(visits, [Visit::Entries, Visit::Entries, Visit::Nothing]);
}

#[test]
fn what_is_missing_is_a_gap() {
    for what in [flags::USER_DROPPED, flags::KERNEL_DROPPED, flags::EVENT_IDS_WRAPPED] {
        let mut scene = Scene::new();
        let before = scene.position();
        scene.system.happens("/Users", what | flags::MUST_SCAN_SUB_DIRS);
        assert_eq!(scene.changes(&before), Err(Doubt::Gap), "{what:#x}");
    }
    let mut scene = Scene::new();
    let before = scene.position();
    scene.system.happens("/Users/ann/file", FILE | MODIFIED);
    scene.system.lose_history();
    assert_eq!(scene.changes(&before), Err(Doubt::Gap), "the system says that it has lost something");
    let now = scene.position();
    scene.system.0.borrow_mut().is_stuck = true;
    assert_eq!(scene.changes(&now), Err(Doubt::Gap), "the history does not end");
}

#[test]
fn what_happens_while_the_history_is_read_is_told_now_and_once_more() {
    let mut scene = Scene::new();
    let before = scene.position();
    scene.system.0.borrow_mut().late = Some("/Users/ann/late");
    let told = scene.journal.look(&scene.folders, Some(&before)).expect("the journal looks");
    for changes in [told.changes, scene.changes(&told.position)] {
        assert_eq!(changes.map(|changes| changes.at(&path("Users/ann"))), Ok(Visit::Entries));
    }
}

#[test]
fn a_position_is_good_for_the_same_journals_and_ids() {
    let mut scene = Scene::new();
    scene.system.happens("/Users/ann/file", FILE | MODIFIED);
    let before = scene.position();
    scene.system.happens("/Users/bob/file", FILE | MODIFIED);
    let means = scene.journal.means.clone();
    scene.journal = FsEvents::of(scene.system.clone(), &means);
    let changes = scene.changes(&before).expect("another process may ask");
    assert_eq!((changes.at(&path("Users/ann")), changes.at(&path("Users/bob"))), (Visit::Nothing, Visit::Entries));
    assert_eq!(scene.journal.look(&scene.folders, None).map(|told| told.changes).ok(), Some(Err(Doubt::NoPosition)));
    scene.folders.push(path("Volumes/disk/x"));
    assert_eq!(scene.changes(&before), Err(Doubt::OtherJournal), "the journals are others");
    scene.folders.pop();
    scene.system.0.borrow_mut().volumes.insert(path(""), Some([9; 16]));
    assert_eq!(scene.changes(&before), Err(Doubt::OtherJournal), "the journal was made anew");
    let anew = scene.position();
    scene.system.count_anew();
    assert_eq!(scene.changes(&anew), Err(Doubt::OtherJournal), "the ids are below those of the position");
}

#[test]
fn folders_without_a_journal_are_looked_at_whole() {
    let mut scene = Scene::new();
    scene.folders = ["Users", "Volumes", "tmp/x"].map(path).to_vec();
    scene.system.0.borrow_mut().links.push(path("tmp/x"));
    let before = scene.position();
    let changes = scene.changes(&before).expect("no doubt");
    for (at, visit) in [
        ("Users", Visit::Nothing),
        ("Volumes", Visit::Way),
        ("Volumes/disk", Visit::All),
        ("Volumes/share/x", Visit::All),
        ("tmp/x", Visit::All),
    ] {
        assert_eq!(changes.at(&path(at)), visit, "{at}");
    }
    scene.system.0.borrow_mut().volumes.remove(&path("Volumes/disk"));
    assert_eq!(scene.changes(&before), Err(Doubt::OtherJournal), "what was mounted beneath a folder is gone");
    scene.folders = vec![path("")];
    scene.system.0.borrow_mut().volumes.retain(|point, _| point.is_root());
    let root = scene.position();
    assert_eq!((root.journal, scene.changes(&root)), ([1; 16], Ok(Changes::default())), "it is mounted, not beneath");
    scene.folders = vec![path("tmp/x")];
    let nowhere = scene.position();
    assert_eq!((nowhere.journal, scene.changes(&nowhere)), ([0; 16], Err(Doubt::NotWatched)));
}

#[test]
fn files_with_several_names_are_a_doubt_unless_they_are_new() {
    for linked in [flags::ITEM_IS_HARDLINK, flags::ITEM_IS_LAST_HARDLINK] {
        let mut scene = Scene::new();
        let before = scene.position();
        scene.clock.advance(Span::seconds(60));
        scene.system.happens("/Users/ann/file", FILE | MODIFIED | linked);
        assert_eq!(check_linked("/Users/ann/docs", DIRECTORY | linked), Err(Doubt::HardLinks));
        assert_eq!(
            check_linked("/tmp/other name", FILE | linked),
            Err(Doubt::HardLinks),
            "it may have one in a folder"
        );
        assert_eq!(scene.changes(&before), Err(Doubt::HardLinks), "it is gone, or nobody knows its age");
        for (born_ms, doubt) in [(5_000, Some(Doubt::HardLinks)), (5_001, None), (65_001, Some(Doubt::HardLinks))] {
            let born = Timestamp::from_ms(born_ms);
            scene.system.0.borrow_mut().births.insert(path("Users/ann/file"), born);
            assert_eq!(scene.changes(&before).err(), doubt, "born at {born_ms}");
        }
    }
}

fn check_linked(at: &str, flags: u32) -> Result<Changes, Doubt> {
    let mut scene = Scene::new();
    let before = scene.position();
    scene.system.happens(at, XATTR_MOD | flags);
    scene.changes(&before)
}
