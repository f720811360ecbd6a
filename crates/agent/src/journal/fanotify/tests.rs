//! The journal on the file system of this computer: needs the rights of a service, and says loudly where it has none.

use super::*;
use base::{OsEntropy, SystemClock};
use engine::Visit;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// Calls `check` with a journal and a directory that it watches. Whole file systems are watched: where other programs
/// link files meanwhile, there is a doubt that is none of ours, and all is done once more.
fn scene(check: impl Fn(&mut Fanotify, &Path) -> Result<(), Doubt>) {
    const TRIES: usize = 20;
    let means = Means { clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy) };
    for _ in 0..TRIES {
        let mut journal = match Fanotify::open(&means) {
            Ok(journal) => journal,
            Err(error) => {
                let kind = error.kind();
                assert!(matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported), "{error}");
                eprintln!("NOT TESTED: fanotify needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH: {error}");
                return;
            }
        };
        let dir = tempfile::tempdir().expect("a temporary directory");
        if check(&mut journal, dir.path()).is_ok() {
            return;
        }
    }
    panic!("in doubt {TRIES} times: that is not the others");
}

fn at(dir: &Path, name: &str) -> StoredPath {
    let path = fs::canonicalize(dir).expect("it is there").join(name);
    stored(path.as_os_str().as_bytes().strip_suffix(b"/").unwrap_or(path.as_os_str().as_bytes())).expect("a short path")
}

fn position(journal: &mut Fanotify) -> Position {
    journal.look(&[], None).expect("the journal looks").position
}

fn changes(journal: &mut Fanotify, since: &Position) -> Result<Changes, Doubt> {
    journal.look(&[], Some(since)).expect("the journal looks").changes
}

#[test]
fn every_kind_of_change_is_seen_where_it_happens_and_nowhere_else() {
    scene(|journal, top| {
        for folder in ["written", "made", "removed", "mode", "attribute", "from", "to", "still", "mapped"] {
            fs::create_dir(top.join(folder)).expect("a folder");
            fs::write(top.join(folder).join("file"), "before").expect("a file");
        }
        let before = position(journal);
        fs::write(top.join("written/file"), "after!").expect("a file");
        fs::create_dir(top.join("made/inner")).expect("a folder");
        fs::remove_file(top.join("removed/file")).expect("it was there");
        fs::set_permissions(top.join("mode"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("its own");
        rustix::fs::setxattr(top.join("attribute/file"), "trusted.x", b"1", rustix::fs::XattrFlags::empty()).ok();
        fs::rename(top.join("from/file"), top.join("to/other")).expect("both are there");
        let changes = changes(journal, &before)?;
        for (name, visit) in [
            ("written", Visit::Entries),
            ("made", Visit::Entries),
            ("removed", Visit::Entries),
            ("mode", Visit::Entries),
            ("from", Visit::Entries),
            ("to", Visit::Entries),
            ("still", Visit::Nothing),
            ("", Visit::Way),
        ] {
            assert_eq!(changes.at(&at(top, name)), visit, "{name}");
        }
        let now = position(journal);
        let after = self::changes(journal, &now)?;
        assert_eq!(after.at(&at(top, "")), Visit::Nothing, "all of that was told already");
        Ok(())
    });
}

#[test]
fn a_folder_that_was_moved_after_its_change_is_found_where_it_is_now() {
    scene(|journal, top| {
        fs::create_dir_all(top.join("a/b/c")).expect("folders");
        fs::create_dir(top.join("gone")).expect("a folder");
        let before = position(journal);
        fs::write(top.join("a/b/c/file"), "new").expect("a file");
        fs::write(top.join("gone/file"), "new").expect("a file");
        fs::rename(top.join("a/b"), top.join("moved")).expect("it is there");
        fs::remove_dir_all(top.join("gone")).expect("it is there");
        let changes = changes(journal, &before)?;
        assert_eq!(changes.at(&at(top, "moved/c")), Visit::Entries);
        assert_eq!(changes.at(&at(top, "a")), Visit::Entries);
        assert_eq!(changes.at(&at(top, "")), Visit::Entries, "an entry more, an entry less");
        Ok(())
    });
}

#[test]
fn a_file_with_a_second_name_is_a_doubt_and_a_new_one_is_none() {
    scene(|journal, top| {
        for folder in ["one", "two"] {
            fs::create_dir(top.join(folder)).expect("a folder");
        }
        fs::write(top.join("one/old"), "old").expect("a file");
        fs::write(top.join("one/single"), "old").expect("a file");
        fs::hard_link(top.join("one/old"), top.join("two/old")).expect("a second name");
        std::thread::sleep(std::time::Duration::from_millis(60));
        let before = position(journal);
        std::thread::sleep(std::time::Duration::from_millis(60));
        // As git writes an object: all names of it are new.
        fs::write(top.join("one/new"), "new").expect("a file");
        fs::hard_link(top.join("one/new"), top.join("two/new")).expect("a second name");
        fs::remove_file(top.join("one/new")).expect("it is there");
        fs::write(top.join("one/single"), "changed").expect("a file");
        changes(journal, &before)?;

        fs::write(top.join("two/old"), "changed by its second name").expect("a file");
        assert_eq!(changes(journal, &before), Err(Doubt::HardLinks));

        let before = position(journal);
        changes(journal, &before)?;
        // A second name for a moment, through which a file is changed.
        fs::hard_link(top.join("one/single"), top.join("two/moment")).expect("a second name");
        fs::write(top.join("two/moment"), "changed by it").expect("a file");
        fs::remove_file(top.join("two/moment")).expect("it is there");
        assert_eq!(changes(journal, &before), Err(Doubt::HardLinks));

        let before = position(journal);
        fs::hard_link(top.join("one/single"), top.join("two/moment")).expect("a second name");
        fs::write(top.join("two/moment"), "changed by it").expect("a file");
        fs::write(top.join("two/other"), "put over it").expect("a file");
        fs::rename(top.join("two/other"), top.join("two/moment")).expect("both are there");
        assert_eq!(changes(journal, &before), Err(Doubt::HardLinks));
        Ok(())
    });
}

#[test]
fn what_is_mapped_for_writing_counts_as_changed_until_it_is_closed() {
    scene(|journal, top| {
        fs::create_dir(top.join("mapped")).expect("a folder");
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(top.join("mapped/file"));
        let file = file.expect("a new file");
        file.set_len(4096).expect("some length");
        let map = map(&file);
        let before = position(journal);
        let during = changes(journal, &before)?;
        assert_eq!(during.at(&at(top, "mapped")), Visit::Entries, "it may be written at any time");
        drop((map, file));
        let closed = changes(journal, &before)?;
        assert_eq!(closed.at(&at(top, "mapped")), Visit::Entries, "closing it was noted");
        let now = position(journal);
        assert_eq!(changes(journal, &now)?.at(&at(top, "mapped")), Visit::Nothing);
        Ok(())
    });
}

#[expect(unsafe_code, reason = "nothing else can map a file")]
fn map(file: &fs::File) -> memmap2::MmapMut {
    // SAFETY: nobody else has the file.
    unsafe { memmap2::MmapMut::map_mut(file) }.expect("a file can be mapped")
}

#[test]
fn what_the_kernel_could_not_keep_is_a_gap() {
    scene(|journal, _| {
        let before = position(journal);
        journal.notes.begin();
        journal.note(Event::OVERFLOW);
        assert_eq!(changes(journal, &before), Err(Doubt::Gap));
        let now = position(journal);
        changes(journal, &now).map(|_| ())
    });
}

#[test]
fn what_is_mounted_or_unmounted_is_looked_at_and_watched() {
    scene(|journal, top| {
        fs::create_dir(top.join("point")).expect("a folder");
        let mount = |args: &[&str]| {
            let done = std::process::Command::new(args[0]).args(&args[1..]).arg(top.join("point")).output();
            done.is_ok_and(|done| done.status.success())
        };
        let before = position(journal);
        if !mount(&["mount", "-t", "tmpfs", "none"]) {
            eprintln!("NOT TESTED: this process may not mount");
            return Ok(());
        }
        let point = at(top, "point");
        let mounted = changes(journal, &before).map(|changes| changes.at(&point));
        let now = position(journal);
        fs::create_dir(top.join("point/inner")).expect("a folder on it");
        let written = changes(journal, &now).map(|changes| changes.at(&point));
        let again = position(journal);
        let quiet = changes(journal, &again).map(|changes| changes.at(&point));
        let replaced = mount(&["umount"]) && mount(&["mount", "-t", "tmpfs", "none"]);
        let remounted = changes(journal, &again).map(|changes| changes.at(&point));
        assert!(mount(&["umount"]) && replaced);
        let unmounted = changes(journal, &again).map(|changes| changes.at(&point));
        assert_eq!(mounted?, Visit::All);
        assert_eq!((written?, quiet?), (Visit::Entries, Visit::Nothing), "it is watched");
        assert!(matches!(remounted, Ok(Visit::All) | Err(Doubt::Gap)), "{remounted:?}");
        assert!(matches!(unmounted, Ok(Visit::All) | Err(Doubt::Gap)), "{unmounted:?}");
        Ok(())
    });
}
