//! What is left by one restore and found by the next. Refuses what somebody else may have laid there.

use super::super::parts::part_name;
use super::*;
use engine::Target;
use format::FileTime;
use rustix::fs::{XattrFlags, setxattr};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const LARGE: u64 = 10 << 20;

fn temp() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn path(text: &str) -> StoredPath {
    StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path")
}

fn target(dir: &TempDir) -> FolderTarget {
    FolderTarget::open(dir.path()).expect("a target")
}

fn meta(mode: u16) -> Meta {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Meta { mode, uid, gid, mtime: FileTime { seconds: 1_234_567_890, nanos: 5 }, ..Meta::default() }
}

/// Two MiB at the beginning of a file that is not finished.
fn leave(dir: &TempDir) -> PathBuf {
    let target = target(dir);
    target.open_part(&path("file"), LARGE).expect("a part").write_at(0, &vec![7; 2 << 20]).expect("written");
    drop(target);
    dir.path().join(String::from_utf8(part_name(&path("file"))).expect("ASCII"))
}

fn is_left(dir: &TempDir) -> bool {
    target(dir).part_left(&path("file"), LARGE).is_some()
}

#[test]
fn the_part_of_a_large_file_is_left_and_gone_on_with() {
    let dir = temp();
    let part = leave(&dir);
    let inode = fs::metadata(&part).expect("it is left").ino();
    let target = target(&dir);
    let left = target.part_left(&path("file"), LARGE).expect("a part");
    let mut bytes = [0; 4];
    assert_eq!(left.read_at((2 << 20) - 2, &mut bytes).expect("read"), 2);
    assert_eq!(bytes, [7, 7, 0, 0]);
    target.open_part(&path("file"), LARGE).expect("the part").write_at(LARGE - 1, b"x").expect("written");
    assert!(target.finish_file(&path("file"), LARGE, &meta(0o640)).expect("finished").is_empty());
    let found = fs::metadata(dir.path().join("file")).expect("a file");
    assert_eq!((found.ino(), found.len(), found.mode() & 0o7777), (inode, LARGE, 0o640));
    assert!(!part.exists());
}

#[test]
fn small_parts_and_those_with_little_in_them_are_taken_away() {
    let dir = temp();
    for (size, bytes) in [(LARGE, 4_096), (KEPT_BYTES_MIN - 1, 2 << 20)] {
        let target = target(&dir);
        target.open_part(&path("file"), size).expect("a part").write_at(0, &vec![7; bytes]).expect("written");
        drop(target);
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0, "{size}, {bytes}");
    }
}

#[test]
fn a_part_that_may_be_somebody_elses_is_not_gone_on_with() {
    let dir = temp();
    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil); 4] = [
        ("without the mark", |part| fs::set_permissions(part, Permissions::from_mode(0o600)).expect("a mode")),
        ("open to others", |part| fs::set_permissions(part, Permissions::from_mode(0o1640)).expect("a mode")),
        ("with another name", |part| fs::hard_link(part, part.with_extension("other")).expect("a link")),
        ("a link", |part| {
            let other = part.with_extension("other");
            fs::rename(part, &other).expect("renamed");
            std::os::unix::fs::symlink(other, part).expect("a link");
        }),
    ];
    for (what, spoil) in spoil {
        let part = leave(&dir);
        spoil(&part);
        assert!(!is_left(&dir), "{what}");
        // It is out of the way of a fresh one, and not written to.
        let target = target(&dir);
        target.open_part(&path("file"), LARGE).expect("a part").write_at(0, b"fresh").expect("written");
        target.discard_part(&path("file"));
        let other = part.with_extension("other");
        if other.exists() {
            assert_eq!(fs::read(&other).expect("it is there")[..5], [7; 5], "{what}");
            fs::remove_file(other).expect("removed");
        }
    }
    leave(&dir);
    assert!(is_left(&dir), "and nothing else was wrong with it");
}

#[test]
fn a_part_that_another_restore_is_writing_is_not_taken_over() {
    let dir = temp();
    let first = target(&dir);
    first.open_part(&path("file"), LARGE).expect("a part").write_at(0, &vec![7; 2 << 20]).expect("written");
    assert!(!is_left(&dir));
    drop(first);
    assert!(is_left(&dir));
}

#[test]
fn a_file_of_this_size_and_time_is_found_and_dressed_and_no_other_one_is() {
    let dir = temp();
    let at = dir.path().join("file");
    let file = File::create(&at).expect("a file");
    file.write_at(b"content", 0).expect("written");
    let wanted = meta(0o640);
    let find = |wanted: &Meta| target(&dir).there(&path("file"), 7, wanted);
    assert!(find(&wanted).is_none(), "another time");
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_234_567_890, 5);
    let touch = || file.set_modified(time).expect("a time");
    touch();
    assert!(target(&dir).there(&path("file"), 8, &wanted).is_none(), "another size");
    fs::set_permissions(&at, Permissions::from_mode(0o600)).expect("a mode");
    assert!(find(&wanted).expect("it may be it").dress(&wanted).is_empty());
    assert_eq!(fs::metadata(&at).expect("a file").mode() & 0o7777, 0o640);
    let changed = fs::metadata(&at).expect("a file").ctime_nsec();
    assert!(find(&wanted).expect("it is it").dress(&wanted).is_empty());
    assert_eq!(fs::metadata(&at).expect("a file").ctime_nsec(), changed, "what is right is not set again");
    let mut bytes = [0; 9];
    assert_eq!(find(&wanted).expect("it is it").read_at(0, &mut bytes).expect("read"), 7);
    assert_eq!(&bytes, b"content\0\0");
    // What dressing would not take away makes it another file.
    if setxattr(&at, "user.more", b"1", XattrFlags::empty()).is_ok() {
        assert!(find(&wanted).is_none(), "with an attribute that the snapshot does not have");
        let with = Meta { xattrs: vec![(b"user.more".to_vec(), b"2".to_vec())], ..wanted };
        assert!(find(&with).expect("it can be dressed").dress(&with).is_empty());
    }
}

#[test]
fn a_file_with_a_name_elsewhere_is_taken_only_as_it_is() {
    let (dir, elsewhere) = (temp(), temp());
    let (at, other) = (dir.path().join("file"), elsewhere.path().join("precious"));
    fs::write(&other, b"content").expect("a file");
    fs::set_permissions(&other, Permissions::from_mode(0o600)).expect("a mode");
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_234_567_890, 5);
    File::options().write(true).open(&other).expect("a file").set_modified(time).expect("a time");
    if fs::hard_link(&other, &at).is_err() {
        return; // Two file systems.
    }
    let find = |mode| target(&dir).there(&path("file"), 7, &meta(mode));
    assert!(find(0o644).is_none());
    let found = find(0o600).expect("it is as it should be");
    assert!(found.dress(&meta(0o600)).is_empty());
    fs::remove_file(&at).expect("removed");
    // One that gets its second name only now is not dressed either.
    fs::write(&at, b"content").expect("a file");
    File::options().write(true).open(&at).expect("a file").set_modified(time).expect("a time");
    fs::set_permissions(&at, Permissions::from_mode(0o600)).expect("a mode");
    let found = find(0o644).expect("it has one name");
    fs::hard_link(&at, elsewhere.path().join("second")).expect("a link");
    let codes: Vec<_> = found.dress(&meta(0o644)).iter().map(TargetError::code).collect();
    assert_eq!(codes, ["target_in_the_way"]);
    assert_eq!(fs::metadata(&at).expect("a file").mode() & 0o7777, 0o600);
}

#[test]
fn a_folder_that_was_left_unfinished_is_finished_also_where_what_is_there_stays() {
    let dir = temp();
    fs::create_dir(dir.path().join("mine")).expect("a folder");
    fs::set_permissions(dir.path().join("mine"), Permissions::from_mode(0o700)).expect("a mode");
    assert!(target(&dir).keeping().make_directory(&path("made")).expect("a folder"));
    let target = target(&dir).keeping();
    for folder in ["made", "mine"] {
        assert!(!target.make_directory(&path(folder)).expect("a folder"), "it is there");
        assert!(target.finish_directory(&path(folder), &meta(0o711)).expect("finished").is_empty());
    }
    let mode = |at: &str| fs::metadata(dir.path().join(at)).expect("a folder").mode() & 0o7777;
    assert_eq!((mode("made"), mode("mine")), (0o711, 0o700));
}
