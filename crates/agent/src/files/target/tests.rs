//! Writing it all back, also against somebody who lays links in the way. Refuses a byte outside the folder.

use super::super::FolderSource;
use super::*;
use engine::{Details, Source, Stat};
use format::{FileTime, Xattr};
use rustix::fs::{XattrFlags, lsetxattr};
use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use tempfile::TempDir;

fn temp() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn path(text: &str) -> StoredPath {
    StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path")
}

fn meta(mode: u16) -> Meta {
    let me = rustix::process::geteuid().as_raw();
    let my_group = rustix::process::getegid().as_raw();
    let mtime = FileTime { seconds: 1_234_567_890, nanos: 123_456_789 };
    Meta { mode, uid: me, gid: my_group, mtime, ..Meta::default() }
}

fn codes(noted: &[TargetError]) -> Vec<&'static str> {
    noted.iter().map(TargetError::code).collect()
}

/// Writes a file piece by piece, and then the same file whole: both end alike.
fn write(target: &FolderTarget, at: &str, content: &[u8], meta: &Meta) -> Result<Vec<TargetError>, TargetError> {
    let size = content.len() as u64;
    let written = target.open_part(&path(at), size).and_then(|part| part.write_at(0, content));
    let in_pieces = written.and_then(|()| target.finish_file(&path(at), size, meta));
    let whole = target.write_file(&path(at), size, content, meta);
    let code = |done: &Result<Vec<TargetError>, TargetError>| match done {
        Ok(noted) => Ok(codes(noted)),
        Err(error) => Err(error.code()),
    };
    assert_eq!(code(&in_pieces), code(&whole), "{at}");
    whole
}

fn look(dir: &Path, at: &str, kind: EntryKind) -> (Stat, Details) {
    let source = FolderSource::below(dir).expect("a source");
    (source.stat(&path(at)).expect("a stat"), source.details(&path(at), kind).expect("details"))
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).expect("a folder");
    let mut names: Vec<String> =
        names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_gets_its_content_and_metadata_and_only_then_its_name() {
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    let xattrs: Vec<Xattr> = vec![(b"user.a".to_vec(), b"1".to_vec()), (b"user.b".to_vec(), vec![2; 1_000])];
    let wanted = Meta { xattrs: xattrs.clone(), ..meta(0o400) };
    let part = target.open_part(&path("file"), 0).expect("a part");
    part.write_at(6, b"world").expect("written");
    part.write_at(0, b"hello ").expect("written");
    let there = names(dir.path());
    assert!(there.len() == 1 && there[0].starts_with(".holdfast-part-") && there[0].len() == 31, "{there:?}");
    assert_eq!(codes(&target.finish_file(&path("file"), 11, &wanted).expect("finished")), [""; 0]);
    assert_eq!(names(dir.path()), ["file"]);
    assert_eq!(fs::read(dir.path().join("file")).expect("content"), b"hello world");
    let (stat, details) = look(dir.path(), "file", EntryKind::File);
    assert_eq!((stat.mode, stat.mtime, stat.uid), (0o400, wanted.mtime, wanted.uid));
    assert_eq!(details.xattrs, xattrs);
}

#[test]
fn a_file_that_is_written_whole_is_the_same_with_and_without_a_part() {
    for has_nameless in [true, false] {
        let dir = temp();
        let target = FolderTarget::open(dir.path()).expect("a target");
        target.has_nameless.store(has_nameless, Ordering::Relaxed);
        let xattrs: Vec<Xattr> = vec![(b"user.a".to_vec(), b"1".to_vec())];
        let cases = [
            ("plain", 0o644, vec![]),
            ("closed", 0o000, vec![]),
            ("open to all", 0o666, vec![]),
            ("set-user-id", 0o4755, vec![]),
            ("with an attribute", 0o444, xattrs),
        ];
        for (name, mode, xattrs) in cases {
            let wanted = Meta { xattrs: xattrs.clone(), ..meta(mode) };
            // The second time the name is taken.
            for content in [&b"first"[..], b"second, with a hole after it"] {
                let size = content.len() as u64 + 5_000;
                let noted = target.write_file(&path(name), size, content, &wanted).expect("written");
                assert_eq!(codes(&noted), [""; 0], "{name}");
                let (stat, details) = look(dir.path(), name, EntryKind::File);
                assert_eq!((stat.mode, stat.mtime, stat.size, stat.links), (mode, wanted.mtime, size, 1), "{name}");
                assert_eq!(details.xattrs, xattrs, "{name}");
                if rustix::process::geteuid().is_root() || mode & 0o400 != 0 {
                    let there = fs::read(dir.path().join(name)).expect("content");
                    assert!(there.starts_with(content) && there[content.len()..].iter().all(|byte| *byte == 0));
                }
            }
        }
        assert_eq!(names(dir.path()).len(), 5, "nothing but the files");
    }
}

#[test]
fn a_file_that_is_written_whole_has_no_name_until_it_is_finished() {
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    // It cannot be finished: its folder has no place for such a name.
    let long = path(&"x".repeat(300));
    assert_eq!(target.write_file(&long, 1, b"x", &meta(0o600)).expect_err("too long").code(), "target_unsupported");
    assert_eq!(names(dir.path()), [""; 0]);
    fs::create_dir_all(dir.path().join("folder/full")).expect("a folder");
    let refused = target.write_file(&path("folder"), 1, b"x", &meta(0o600)).expect_err("a folder has the name");
    assert_eq!((refused.code(), names(dir.path())), ("target_in_the_way", vec!["folder".to_owned()]));
    let gone = target.write_file(&path("gone/file"), 1, b"x", &meta(0o600)).expect_err("no folder");
    assert_eq!((gone.code(), target.has_nameless.load(Ordering::Relaxed)), ("target_failed", true));
}

#[test]
fn a_file_replaces_what_has_its_name_but_never_a_folder() {
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    fs::write(dir.path().join("file"), b"a longer content that was there").expect("a file");
    assert!(write(&target, "file", b"new", &meta(0o644)).expect("finished").is_empty());
    assert_eq!(fs::read(dir.path().join("file")).expect("content"), b"new");
    fs::create_dir_all(dir.path().join("folder/full")).expect("a folder");
    let refused = write(&target, "folder", b"new", &meta(0o644)).expect_err("a folder is there");
    assert_eq!(refused.code(), "target_in_the_way");
    assert_eq!(names(dir.path()), ["file", "folder"], "and no part is left");
}

#[test]
fn what_is_not_written_is_a_hole_even_of_10_gb() {
    let dir = temp();
    const SIZE: u64 = 10 << 30;
    let target = FolderTarget::open(dir.path()).expect("a target");
    target.open_part(&path("sparse"), 0).expect("a part").write_at(SIZE - 3, b"end").expect("written");
    target.finish_file(&path("sparse"), SIZE, &meta(0o600)).expect("finished");
    target.finish_file(&path("all hole"), SIZE, &meta(0o600)).expect("finished without a single piece");
    for name in ["sparse", "all hole"] {
        let found = fs::metadata(dir.path().join(name)).expect("a file");
        assert_eq!(found.len(), SIZE);
        assert!(found.blocks() < 1_000, "{name}: {} blocks", found.blocks());
    }
}

#[test]
fn a_part_of_a_former_restore_is_not_taken_over() {
    let dir = temp();
    let name = String::from_utf8(part_name(&path("file"))).expect("ASCII");
    fs::write(dir.path().join(&name), b"old content that is longer").expect("a part");
    let target = FolderTarget::open(dir.path()).expect("a target");
    target.open_part(&path("file"), 0).expect("a part").write_at(0, b"n").expect("written");
    target.open_part(&path("file"), 0).expect("the same part").write_at(5, b"w").expect("written");
    target.finish_file(&path("file"), 6, &meta(0o600)).expect("finished");
    assert_eq!(fs::read(dir.path().join("file")).expect("content"), b"n\0\0\0\0w");
}

#[test]
fn what_is_not_finished_is_taken_away() {
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    target.make_directory(&path("folder")).expect("a folder");
    for name in ["folder/a", "folder/b", "c"] {
        target.open_part(&path(name), 0).expect("a part").write_at(0, b"x").expect("written");
    }
    target.discard_part(&path("folder/b"));
    assert_eq!(names(&dir.path().join("folder")).len(), 1);
    drop(target);
    assert_eq!(names(dir.path()), ["folder"]);
    assert_eq!(names(&dir.path().join("folder")), [""; 0]);
}

#[test]
fn more_files_than_are_kept_open_go_on_from_the_part_that_they_have() {
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    let all: Vec<String> = (0..300).map(|number| format!("file {number}")).collect();
    for round in 0..3 {
        for name in &all {
            target.open_part(&path(name), 0).expect("a part").write_at(round, &[b'0' + round as u8]).expect("written");
        }
    }
    for name in &all {
        target.finish_file(&path(name), 3, &meta(0o600)).expect("finished");
        assert_eq!(fs::read(dir.path().join(name)).expect("content"), b"012");
    }
    assert_eq!(names(dir.path()).len(), 300);
}

#[test]
fn a_link_on_the_way_is_in_the_way_and_nothing_is_written_behind_it() {
    let (dir, outside) = (temp(), temp());
    fs::write(outside.path().join("file"), b"precious").expect("a file");
    symlink(outside.path(), dir.path().join("link")).expect("a link");
    let before = fs::metadata(outside.path()).expect("a folder");
    let target = FolderTarget::open(dir.path()).expect("a target");
    let body = EntryBody::Symlink { target: b"x".to_vec() };
    let refused = [
        target.make_directory(&path("link")).map(|_| Vec::new()),
        target.make_directory(&path("link/below")).map(|_| Vec::new()),
        target.open_part(&path("link/file"), 0).map(|_| Vec::new()),
        target.finish_file(&path("link/file"), 0, &meta(0o600)),
        target.make_special(&path("link/special"), &body, &meta(0o777)),
        target.make_special(&path("link/pipe"), &EntryBody::Fifo, &meta(0o600)),
        target.finish_directory(&path("link"), &meta(0o777)),
    ];
    for (number, refused) in refused.into_iter().enumerate() {
        assert_eq!(refused.expect_err("a link").code(), "target_in_the_way", "case {number}");
    }
    fs::write(dir.path().join("file"), b"x").expect("a file");
    assert!(target.hard_link(&path("file"), &path("link/more")).is_err());
    assert!(target.hard_link(&path("link/file"), &path("more")).is_err());
    let after = fs::metadata(outside.path()).expect("a folder");
    assert_eq!((after.mode(), after.mtime_nsec()), (before.mode(), before.mtime_nsec()));
    assert_eq!(names(outside.path()), ["file"]);
    assert_eq!(fs::read(outside.path().join("file")).expect("content"), b"precious");
}

#[test]
fn a_folder_that_becomes_a_link_during_the_restore_is_not_followed() {
    let (dir, outside) = (temp(), temp());
    let target = FolderTarget::open(dir.path()).expect("a target");
    target.make_directory(&path("folder")).expect("a folder");
    target.make_directory(&path("folder/below")).expect("a folder");
    fs::remove_dir_all(dir.path().join("folder")).expect("no folder");
    symlink(outside.path(), dir.path().join("folder")).expect("a link");
    fs::create_dir(outside.path().join("below")).expect("a folder");
    assert!(write(&target, "folder/below/file", b"x", &meta(0o600)).is_err());
    assert!(write(&target, "folder/file", b"x", &meta(0o600)).is_err());
    assert!(target.finish_directory(&path("folder/below"), &meta(0o700)).is_err());
    assert_eq!(names(outside.path()), ["below"]);
    assert_eq!(names(&outside.path().join("below")), [""; 0]);
}

#[test]
fn a_link_or_a_file_laid_in_the_parts_place_is_not_written_to() {
    let (dir, outside) = (temp(), temp());
    let victim = outside.path().join("victim");
    let part = dir.path().join(String::from_utf8(part_name(&path("file"))).expect("ASCII"));
    let target = FolderTarget::open(dir.path()).expect("a target");
    type Lay = fn(&Path, &Path) -> std::io::Result<()>;
    let lays: [Lay; 2] = [|victim, part| symlink(victim, part), |victim, part| fs::hard_link(victim, part)];
    for lay in lays {
        fs::write(&victim, b"precious").expect("a file");
        lay(&victim, &part).expect("laid before the restore");
        assert!(write(&target, "file", b"new", &meta(0o600)).expect("finished").is_empty());
        assert_eq!(fs::read(&victim).expect("content"), b"precious");
        assert_eq!(fs::metadata(&victim).expect("a file").nlink(), 1);
        // Now between two pieces, while the part is not kept open.
        let others: Vec<StoredPath> = (0..200).map(|number| path(&format!("other {number}"))).collect();
        others.iter().for_each(|other| drop(target.open_part(other, 0).expect("a part")));
        target.open_part(&path("file"), 0).expect("a part").write_at(0, b"1").expect("written");
        fs::remove_file(&part).expect("the part is taken away");
        lay(&victim, &part).expect("laid during the restore");
        let refused = target.open_part(&path("file"), 0).map(|_| ()).expect_err("not our part");
        assert_eq!(refused.code(), "target_in_the_way");
        assert!(target.finish_file(&path("file"), 1, &meta(0o600)).is_err());
        assert_eq!(fs::read(&victim).expect("content"), b"precious");
        others.iter().for_each(|other| target.discard_part(other));
        let _ = fs::remove_file(&part);
    }
}

#[test]
fn a_link_that_has_the_name_is_replaced_and_not_followed() {
    let (dir, outside) = (temp(), temp());
    let victim = outside.path().join("victim");
    fs::write(&victim, b"precious").expect("a file");
    let target = FolderTarget::open(dir.path()).expect("a target");
    for name in ["file", "pipe", "more"] {
        symlink(&victim, dir.path().join(name)).expect("a link");
    }
    write(&target, "file", b"new", &meta(0o600)).expect("finished");
    target.make_special(&path("pipe"), &EntryBody::Fifo, &meta(0o640)).expect("made");
    target.hard_link(&path("file"), &path("more")).expect("linked");
    assert_eq!(fs::read(&victim).expect("content"), b"precious");
    assert_eq!(fs::metadata(&victim).expect("a file").permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read(dir.path().join("more")).expect("content"), b"new");
    assert!(fs::symlink_metadata(dir.path().join("pipe")).expect("a pipe").file_type().is_fifo());
}

#[test]
fn special_entries_come_back_with_their_metadata() {
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    let link = EntryBody::Symlink { target: b"any/where\xff".to_vec() };
    let mut cases = vec![
        ("link", link, EntryKind::Symlink),
        ("pipe", EntryBody::Fifo, EntryKind::Fifo),
        ("socket", EntryBody::Socket, EntryKind::Socket),
    ];
    if rustix::process::geteuid().is_root() {
        cases.push(("zero", EntryBody::CharDevice { major: 1, minor: 5 }, EntryKind::CharDevice));
        cases.push(("disk", EntryBody::BlockDevice { major: 7, minor: 300 }, EntryKind::BlockDevice));
    }
    for round in 0..2 {
        for (name, body, kind) in &cases {
            let noted = target.make_special(&path(name), body, &meta(0o640)).expect("made");
            assert_eq!(codes(&noted), [""; 0], "{name} in round {round}");
            let (stat, details) = look(dir.path(), name, *kind);
            assert_eq!((stat.kind, stat.mtime), (*kind, meta(0).mtime), "{name}");
            match body {
                EntryBody::Symlink { target } => assert_eq!(details.target, *target),
                EntryBody::CharDevice { major, minor } | EntryBody::BlockDevice { major, minor } => {
                    assert_eq!((stat.rdev, stat.mode), ((*major, *minor), 0o640));
                }
                _ => assert_eq!(stat.mode, 0o640, "{name}"),
            }
        }
    }
    assert_eq!(names(dir.path()).len(), cases.len(), "no part is left");
}

#[test]
fn further_names_of_a_file_are_the_same_file() {
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    target.make_directory(&path("folder")).expect("a folder");
    write(&target, "file", b"x", &meta(0o600)).expect("finished");
    for _ in 0..2 {
        target.hard_link(&path("file"), &path("folder/more")).expect("linked");
        let found = |name: &str| fs::metadata(dir.path().join(name)).expect("a file");
        assert_eq!((found("file").ino(), found("file").nlink()), (found("folder/more").ino(), 2));
        assert_eq!(names(&dir.path().join("folder")), ["more"]);
    }
    let missing = target.hard_link(&path("not there"), &path("folder/other")).expect_err("no file");
    assert_eq!(missing.code(), "target_failed");
}

#[test]
fn a_folder_is_open_while_it_is_filled_and_closed_afterwards_again_and_again() {
    let dir = temp();
    for _ in 0..2 {
        let target = FolderTarget::open(dir.path()).expect("a target");
        target.make_directory(&path("folder")).expect("a folder");
        assert_eq!(fs::metadata(dir.path().join("folder")).expect("a folder").mode() & 0o700, 0o700);
        write(&target, "folder/file", b"x", &meta(0o600)).expect("finished");
        assert!(target.finish_directory(&path("folder"), &meta(0o2555)).expect("finished").is_empty());
        let (stat, _) = look(dir.path(), "folder", EntryKind::Directory);
        assert_eq!((stat.mode, stat.mtime), (0o2555, meta(0).mtime));
    }
    fs::write(dir.path().join("file"), b"x").expect("a file");
    let target = FolderTarget::open(dir.path()).expect("a target");
    assert_eq!(target.make_directory(&path("file")).expect_err("a file").code(), "target_in_the_way");
    assert!(target.make_directory(&StoredPath::root()).is_ok());
    assert!(target.finish_directory(&StoredPath::root(), &meta(0o555)).expect("left as it is").is_empty());
    assert_ne!(fs::metadata(dir.path()).expect("a folder").mode() & 0o777, 0o555);
}

#[test]
fn very_long_paths_are_restored() {
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    let mut deep = StoredPath::root();
    for _ in 0..30 {
        deep.push(&[b'd'; 200]).expect("a name");
        target.make_directory(&deep).expect("a folder");
    }
    let file = deep.join(b"file").expect("a path");
    target.open_part(&file, 0).expect("a part").write_at(0, b"deep").expect("written");
    assert!(target.finish_file(&file, 4, &meta(0o640)).expect("finished").is_empty());
    let more = deep.join(b"link").expect("a path");
    let body = EntryBody::Symlink { target: b"file".to_vec() };
    assert!(target.make_special(&more, &body, &meta(0o777)).expect("made").is_empty());
    target.hard_link(&file, &deep.join(b"more").expect("a path")).expect("linked");
    assert!(target.finish_directory(&deep, &meta(0o750)).expect("finished").is_empty());
    let source = FolderSource::below(dir.path()).expect("a source");
    assert_eq!(source.stat(&file).expect("a stat").links, 2);
    assert_eq!(source.list(&deep).expect("a listing").entries.len(), 3);
}

#[test]
fn access_lists_that_a_folder_hands_down_are_not_kept_and_those_of_the_snapshot_are() {
    let dir = temp();
    // An access list: version 2; owner rwx, user 1234 r-x, group r-x, mask r-x, others none.
    let acl = |tags: &[(u16, u16, u32)]| -> Vec<u8> {
        let mut bytes = 2u32.to_le_bytes().to_vec();
        for (tag, rights, id) in tags {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&rights.to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        bytes
    };
    let list = acl(&[(1, 7, !0), (2, 5, 1234), (4, 5, !0), (16, 5, !0), (32, 0, !0)]);
    if lsetxattr(dir.path(), "system.posix_acl_default", &list, XattrFlags::empty()).is_err() {
        return; // A file system without access lists cannot hand them down.
    }
    let target = FolderTarget::open(dir.path()).expect("a target");
    assert!(write(&target, "plain", b"x", &meta(0o640)).expect("finished").is_empty());
    let (stat, details) = look(dir.path(), "plain", EntryKind::File);
    assert_eq!((stat.mode, details.xattrs), (0o640, vec![]));
    let name = b"system.posix_acl_access".to_vec();
    let wanted = Meta { xattrs: vec![(name, list)], ..meta(0o750) };
    assert!(write(&target, "listed", b"x", &wanted).expect("finished").is_empty());
    let (stat, details) = look(dir.path(), "listed", EntryKind::File);
    assert_eq!((stat.mode, details.xattrs), (0o750, wanted.xattrs));
}

#[test]
fn root_gives_files_to_their_owners_by_name_before_number() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let daemon = uzers::get_user_by_name("daemon").expect("every system has a daemon user");
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    let cases = [
        (4_000_001, b"daemon".as_slice(), daemon.uid()),
        (4_000_001, b"nobody of this name", 4_000_001),
        (4_000_001, b"", 4_000_001),
    ];
    for (uid, user, expected) in cases {
        let wanted = Meta { uid, gid: 4_000_002, user: user.into(), ..meta(0o4755) };
        assert!(write(&target, "file", b"x", &wanted).expect("finished").is_empty());
        let (stat, _) = look(dir.path(), "file", EntryKind::File);
        assert_eq!((stat.uid, stat.gid, stat.mode), (expected, 4_000_002, 0o4755));
        let link = EntryBody::Symlink { target: b"x".to_vec() };
        assert!(target.make_special(&path("link"), &link, &wanted).expect("made").is_empty());
        assert_eq!(look(dir.path(), "link", EntryKind::Symlink).0.uid, expected);
    }
}

#[test]
fn who_is_not_root_keeps_the_files_and_no_program_runs_as_another() {
    let dir = temp();
    let mut target = FolderTarget::open(dir.path()).expect("a target");
    target.wardrobe = Arc::new(Wardrobe::of_a_person());
    let mine = meta(0o4755);
    assert!(write(&target, "mine", b"x", &mine).expect("finished").is_empty());
    assert_eq!(look(dir.path(), "mine", EntryKind::File).0.mode, 0o4755);
    let theirs = Meta { uid: 4_000_001, ..mine };
    assert_eq!(codes(&write(&target, "theirs", b"x", &theirs).expect("finished")), ["target_denied"]);
    let (stat, _) = look(dir.path(), "theirs", EntryKind::File);
    assert_eq!((stat.uid, stat.mode), (meta(0).uid, 0o755));
}

#[test]
fn an_attribute_that_cannot_be_set_is_a_problem_and_the_file_is_there() {
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    let xattrs: Vec<Xattr> = vec![(b"no.such.class".to_vec(), b"1".to_vec()), (b"user.a".to_vec(), b"1".to_vec())];
    let noted = write(&target, "file", b"x", &Meta { xattrs: xattrs.clone(), ..meta(0o600) }).expect("finished");
    assert_eq!(codes(&noted), ["target_unsupported"]);
    assert_eq!(look(dir.path(), "file", EntryKind::File).1.xattrs, xattrs[1..]);
}

#[test]
fn a_name_that_the_file_system_cannot_hold_is_said_so() {
    let dir = temp();
    let target = FolderTarget::open(dir.path()).expect("a target");
    let long = path(&"x".repeat(300));
    assert_eq!(target.make_directory(&long).expect_err("too long").code(), "target_unsupported");
    target.open_part(&long, 0).expect("a part has a short name").write_at(0, b"x").expect("written");
    assert_eq!(target.finish_file(&long, 1, &meta(0o600)).expect_err("too long").code(), "target_unsupported");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn the_folder_of_the_restore_is_made_for_its_owner_only() {
    let dir = temp();
    let to = dir.path().join("a/b");
    FolderTarget::open(&to).expect("a target");
    assert_eq!(fs::metadata(&to).expect("a folder").mode() & 0o777, 0o700);
    File::create(dir.path().join("file")).expect("a file");
    assert!(FolderTarget::open(&dir.path().join("file")).is_err());
}

#[test]
fn a_target_that_keeps_leaves_files_and_the_metadata_of_folders_as_they_are() {
    let dir = temp();
    fs::create_dir(dir.path().join("there")).expect("a folder");
    fs::write(dir.path().join("there/file"), b"mine").expect("a file");
    symlink("nowhere", dir.path().join("there/link")).expect("a link");
    fs::set_permissions(dir.path().join("there"), fs::Permissions::from_mode(0o750)).expect("a mode");
    let target = FolderTarget::open(dir.path()).expect("a target").keeping();
    assert!(target.keeps_what_is_there());
    let is_there = ["there/file", "there/link", "there/new", "away/file"].map(|at| target.is_there(&path(at)));
    assert_eq!((is_there, target.kept()), ([true, true, false, false], 2));
    // It has come after the restore looked for it.
    let noted = target.write_file(&path("there/file"), 6, b"theirs", &meta(0o600)).expect("passed over");
    assert_eq!((codes(&noted), target.kept()), (vec![], 3));
    assert_eq!(fs::read(dir.path().join("there/file")).expect("content"), b"mine");
    for folder in ["there", "made"] {
        target.make_directory(&path(folder)).expect("a folder");
        assert_eq!(codes(&target.finish_directory(&path(folder), &meta(0o711)).expect("finished")), [""; 0]);
    }
    let mode = |at: &str| fs::metadata(dir.path().join(at)).expect("metadata").mode() & 0o7777;
    assert_eq!((mode("there"), mode("made")), (0o750, 0o711));
    assert_eq!(FolderTarget::open(dir.path()).expect("a target").kept(), 0);
}
