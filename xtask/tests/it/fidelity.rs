//! Everything that Linux lets a tree have, backed up, restored, and compared by programs of others: rsync and find.
//! What they would not see is shown first, by changing what was restored. Refuses to pass quietly where it cannot look.
#![cfg(target_os = "linux")]

use crate::world::World;
use crate::world::noise::noise;
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, SeekFrom, Timespec, Timestamps, Uid, XattrFlags, chownat, lremovexattr,
    lsetxattr, makedev, mknodat, seek, utimensat,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const HUGE: u64 = 100_000_000_000;
/// `cap_net_raw+ep`, as the kernel keeps it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn everything_a_tree_may_have_comes_back_as_rsync_and_find_see_it() {
    let world = World::start();
    let is_root = rustix::process::geteuid().is_root();
    let source = world.source();
    build(&source, is_root);
    let device = world.activated("laptop");
    device.backup().done();
    let (answer, restored) = device.restore();
    answer.done();
    assert_eq!(differences(&source, &restored), BTreeSet::new());
    same_extents(&source.join("huge"), &restored.join("huge"));
    let unchanged = device.backup();
    assert_eq!(unchanged.number("files_opened"), 0, "{}", unchanged.json);
    unchanged.done();
    // The judges are judged.
    for (path, change) in changes(is_root) {
        let before = differences(&source, &restored);
        change(&restored.join(path));
        let after = differences(&source, &restored);
        assert!(
            after.difference(&before).any(|line| line.contains(path)),
            "{path} was changed, and nobody saw: {after:?}"
        );
    }
}

fn build(source: &Path, is_root: bool) {
    let within = |path: &str| source.join(path);
    let dir = |path: &str| fs::create_dir_all(within(path)).expect("writable");
    for path in ["modes/sticky", "times/folder", "xattrs/folder", "acls/folder", "links/one", "links/other/deep"] {
        dir(path);
    }
    for (number, len) in [0, 1, 511, 512, 513, 4_096, 262_143, 262_145, 5_000_001].into_iter().enumerate() {
        fs::write(within(&format!("size {len}")), noise(number as u64, len)).expect("writable");
    }
    for mode in [0o000, 0o400, 0o644, 0o1644, 0o2755, 0o4755, 0o6777] {
        if is_root || mode & 0o400 != 0 {
            file(&within(&format!("modes/{mode:o}")), mode);
        }
    }
    fs::set_permissions(within("modes/sticky"), Permissions::from_mode(0o3777)).expect("ours");
    names(source);
    links(source);
    sparse(source);
    attributes(source, is_root);
    specials(source, is_root);
    if is_root {
        owners(source);
    } else {
        let said = "NOT PROVED, for want of root: owners, devices, capabilities, trusted attributes";
        writeln!(std::io::stderr(), "{said}").expect("standard error is there");
    }
    // Times come last: whatever is made in a folder changes the folder's.
    for (path, seconds, nanos) in [
        ("times/nanoseconds", 1_234_567_890, 123_456_789),
        ("times/one", 1, 1),
        ("times/before 1970", -1_000_000, 999_999_999),
        ("times/far", 10_000_000_000, 7),
    ] {
        file(&within(path), 0o600);
        time(&within(path), seconds, nanos);
    }
    time(&within("times/folder"), 1_500_000_000, 987_654_321);
    time(&within("links/symbolic"), 1_400_000_000, 111_111_111);
    time(&within("times"), 1_300_000_000, 222_222_222);
}

fn file(path: &Path, mode: u32) {
    fs::write(path, path.as_os_str().as_bytes()).expect("writable");
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("ours");
}

fn time(path: &Path, seconds: i64, nanos: i64) {
    let at = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: at, last_modification: at };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("ours");
}

fn names(source: &Path) {
    let names: [&[u8]; 8] =
        [b"caf\xe9", b"\xff\xfe\x80", b"new\nline", b" ", b"-n", b"back\\slash", b"star*", "naïve\u{202e}".as_bytes()];
    for name in names.into_iter().chain([&[b'n'; 255][..]]) {
        let folder = source.join("names").join(OsStr::from_bytes(name));
        fs::create_dir_all(&folder).expect("this file system takes any name");
        fs::write(folder.join(OsStr::from_bytes(name)), name).expect("writable");
    }
    // A little below the longest path, so that it is one below a folder of another name as well.
    let mut deep = source.join("deep");
    while deep.as_os_str().len() + 251 < 4_000 {
        deep.push("d".repeat(250));
    }
    fs::create_dir_all(&deep).expect("the system takes it");
    let file = deep.join("f".repeat(4_000 - deep.as_os_str().len() - 1));
    fs::write(&file, "at the end of a long way").expect("writable");
    assert_eq!(file.as_os_str().len(), 4_000);
}

fn links(source: &Path) {
    let within = |path: &str| source.join("links").join(path);
    fs::write(within("one/file"), noise(40, 1_500_000)).expect("writable");
    fs::write(within("one/small"), "small").expect("writable");
    for (existing, further) in [
        ("one/file", "other/deep/file"),
        ("one/file", "further"),
        ("one/small", "other/small"),
        ("one/small", "little"),
    ] {
        fs::hard_link(within(existing), within(further)).expect("writable");
    }
    fs::write(within("twin but not the same"), "small").expect("writable");
    for (link, target) in [("symbolic", "one/file"), ("up", "../.."), ("absolute", "/no/where"), ("itself", "itself")] {
        symlink(target, within(link)).expect("writable");
    }
    symlink(OsStr::from_bytes(b"to/\xe9"), within("odd")).expect("writable");
    symlink("t".repeat(4_000), within("long")).expect("writable");
}

fn sparse(source: &Path) {
    let make = |name: &str, size: u64, parts: &[(u64, usize)]| {
        let file = File::create(source.join(name)).expect("writable");
        file.set_len(size).expect("this file system has holes");
        for (number, (at, len)) in parts.iter().enumerate() {
            file.write_all_at(&noise(50 + number as u64, *len), *at).expect("writable");
        }
        file.sync_all().expect("writable");
    };
    make("sparse", 40_000_000, &[(0, 5_000), (8_388_608, 300_000), (39_990_000, 10_000)]);
    make("all hole", 9_000_000, &[]);
    make("huge", HUGE, &[(4_096, 100_000), (50_000_000_000, 1_000_000), (HUGE - 333, 333)]);
}

fn attributes(source: &Path, is_root: bool) {
    let set = |path: &str, name: &str, value: &[u8]| {
        let done = lsetxattr(source.join(path), name, value, XattrFlags::empty());
        done.unwrap_or_else(|error| panic!("{name} cannot be set on {path}: {error}"));
    };
    for path in ["xattrs/plain", "xattrs/capable", "acls/file"] {
        file(&source.join(path), 0o755);
    }
    set("xattrs/plain", "user.text", b"a text");
    set("xattrs/plain", "user.bytes", b"\x00\xff\n\x00");
    set("xattrs/plain", "user.empty", b"");
    set("xattrs/plain", "user.long", &noise(60, 2_000));
    set("xattrs/folder", "user.of.a.folder", b"yes");
    let list = acl(&[(0x01, 7, u32::MAX), (0x02, 5, 1), (0x04, 4, u32::MAX), (0x10, 5, u32::MAX), (0x20, 1, u32::MAX)]);
    set("acls/file", "system.posix_acl_access", &list);
    set("acls/folder", "system.posix_acl_access", &list);
    set("acls/folder", "system.posix_acl_default", &list);
    if is_root {
        set("xattrs/capable", "security.capability", &CAPABILITY);
        set("xattrs/plain", "trusted.for.root", b"yes");
    }
}

/// An access list as the kernel takes it: tag, permissions and number of each entry.
fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, number) in entries {
        bytes.extend(tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()).chain(number.to_le_bytes()));
    }
    bytes
}

fn specials(source: &Path, is_root: bool) {
    let folder = source.join("specials");
    fs::create_dir(&folder).expect("writable");
    let make = |name: &str, kind: FileType, mode: u32, device: u64| {
        mknodat(CWD, folder.join(name), kind, Mode::from_raw_mode(mode), device).expect("permitted");
        fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).expect("ours");
    };
    make("pipe", FileType::Fifo, 0o640, 0);
    make("socket", FileType::Socket, 0o700, 0);
    if is_root {
        make("null", FileType::CharacterDevice, 0o666, makedev(1, 3));
        make("high", FileType::CharacterDevice, 0o600, makedev(250, 70_000));
        make("block", FileType::BlockDevice, 0o660, makedev(7, 99));
    }
}

fn owners(source: &Path) {
    let folder = source.join("owners");
    fs::create_dir(&folder).expect("writable");
    let own = |path: &Path, uid: u32, gid: u32| {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).expect("root may");
    };
    // Those of every system, by name; those of none; and the set-user bit, which a change of owner takes away.
    for (name, uid, gid) in
        [("daemon", 1, 1), ("nobody", 65_534, 65_534), ("stranger", 54_321, 65_432), ("mixed", 1, 98_765)]
    {
        file(&folder.join(name), 0o644);
        own(&folder.join(name), uid, gid);
    }
    fs::set_permissions(folder.join("stranger"), Permissions::from_mode(0o6711)).expect("root may");
    fs::create_dir(folder.join("folder")).expect("writable");
    own(&folder.join("folder"), 54_321, 1);
    symlink("daemon", folder.join("link")).expect("writable");
    own(&folder.join("link"), 1, 54_321);
    own(&source.join("specials/block"), 0, 6);
}

/// What is different, a line each, by the judgement of two programs that are not ours; `huge` is too much to be read.
fn differences(source: &Path, restored: &Path) -> BTreeSet<String> {
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXS", "--numeric-ids", "--modify-window=-1", "--checksum", "--dry-run", "--itemize-changes"]);
    rsync.args(["--delete", "--exclude=/huge", "--8-bit-output"]).arg(slashed(source)).arg(slashed(restored));
    let mut lines: BTreeSet<String> = String::from_utf8_lossy(&output(&mut rsync)).lines().map(str::to_owned).collect();
    let (was, is) = (found(source), found(restored));
    let names: BTreeSet<&Vec<u8>> = was.keys().chain(is.keys()).collect();
    for name in names {
        let (was, is) = (was.get(name), is.get(name));
        let text = String::from_utf8_lossy(name).into_owned();
        match (was, is) {
            (Some(was), Some(is)) if was.facts == is.facts => {
                // A file system may put an attribute, or the map of a file, into a block of its own.
                if is.blocks > was.blocks + 16 {
                    lines.insert(format!("{text}: {} blocks, and {} before", is.blocks, was.blocks));
                }
            }
            _ => drop(lines.insert(format!("{text}: {was:?}, and now {is:?}"))),
        }
    }
    lines
}

/// What find says of an entry.
#[derive(Debug)]
struct Seen {
    facts: String,
    /// Of 512 bytes; 0 for what is no file.
    blocks: u64,
}

fn found(folder: &Path) -> BTreeMap<Vec<u8>, Seen> {
    let mut find = Command::new("find");
    // A directory's size and blocks are its file system's business.
    let of_files = r"%P\0%y %m %U %G %n %T@ %s -> %l\0%b\0";
    let of_folders = r"%P\0%y %m %U %G %n %T@\0000\0";
    find.arg(".").current_dir(folder);
    find.args(["(", "-type", "d", "-printf", of_folders, ")", "-o", "-type", "f", "-printf", of_files]);
    find.args(["-o", "-printf", r"%P\0%y %m %U %G %n %T@ %s -> %l\0000\0"]);
    let said = output(&mut find);
    let fields: Vec<&[u8]> = said.split(|byte| *byte == 0).collect();
    let entries = fields.chunks_exact(3).map(|entry| {
        let facts = String::from_utf8_lossy(entry[1]).into_owned();
        let blocks = String::from_utf8_lossy(entry[2]).parse().expect("a number of blocks");
        (entry[0].to_vec(), Seen { facts, blocks })
    });
    let all: BTreeMap<Vec<u8>, Seen> = entries.collect();
    assert!(all.len() > 50, "find has found {}", all.len());
    all
}

fn slashed(path: &Path) -> PathBuf {
    let mut bytes = path.as_os_str().to_owned().into_vec();
    bytes.push(b'/');
    PathBuf::from(OsStr::from_bytes(&bytes))
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}. What the tests need is installed by `cargo xtask test`");
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// By the kernel's own map: the same stretches are stored, with the same bytes, and nothing else is.
fn same_extents(one: &Path, other: &Path) {
    let open = |path: &Path| File::open(path).expect("readable");
    let (one, other) = (open(one), open(other));
    let meta = |file: &File| file.metadata().expect("readable");
    assert_eq!((meta(&one).len(), meta(&other).len()), (HUGE, HUGE));
    assert!(meta(&other).blocks() <= meta(&one).blocks() + 16, "{} blocks", meta(&other).blocks());
    let next = |file: &File, at: u64| seek(file, SeekFrom::Data(at)).ok();
    let (mut at, mut stretches) = (0, 0);
    while let Some(from) = next(&one, at) {
        assert_eq!(next(&other, at), Some(from), "stored from another place on");
        let to = seek(&one, SeekFrom::Hole(from)).expect("there is an end");
        let read = |file: &File| {
            let mut bytes = vec![0; (to - from) as usize];
            file.read_exact_at(&mut bytes, from).expect("readable");
            bytes
        };
        assert!(read(&one) == read(&other), "the stretch at {from}");
        (at, stretches) = (to, stretches + 1);
    }
    assert_eq!((next(&other, at), stretches), (None, 3));
}

type Change = (&'static str, fn(&Path));

/// One change of each kind, and where it is made in what was restored.
fn changes(is_root: bool) -> Vec<Change> {
    let mut changes: Vec<Change> = vec![
        ("modes/644", |path| fs::set_permissions(path, Permissions::from_mode(0o645)).expect("ours")),
        ("modes/4755", |path| fs::set_permissions(path, Permissions::from_mode(0o755)).expect("ours")),
        ("times/nanoseconds", |path| time(path, 1_234_567_890, 123_456_788)),
        ("times/folder", |path| time(path, 1_500_000_001, 987_654_321)),
        ("links/symbolic", |path| time(path, 1_400_000_000, 111_111_112)),
        ("xattrs/plain", |path| {
            lsetxattr(path, "user.bytes", b"\x00\xfe\n\x00", XattrFlags::empty()).expect("ours");
        }),
        ("xattrs/folder", |path| lremovexattr(path, "user.of.a.folder").expect("ours")),
        ("acls/folder", |path| lremovexattr(path, "system.posix_acl_default").expect("ours")),
        ("links/odd", |path| {
            let at = fs::symlink_metadata(path).expect("restored");
            fs::remove_file(path).expect("ours");
            symlink(OsStr::from_bytes(b"to/\xe8"), path).expect("ours");
            time(path, at.mtime(), at.mtime_nsec());
        }),
        ("links/other/small", |path| {
            let at = fs::metadata(path).expect("restored");
            let content = fs::read(path).expect("readable");
            fs::remove_file(path).expect("ours");
            fs::write(path, content).expect("ours");
            time(path, at.mtime(), at.mtime_nsec());
        }),
        ("all hole", |path| {
            let at = fs::metadata(path).expect("restored");
            fs::write(path, vec![0; 9_000_000]).expect("ours");
            time(path, at.mtime(), at.mtime_nsec());
        }),
        ("size 5000001", |path| {
            let at = fs::metadata(path).expect("restored");
            let file = File::options().write(true).open(path).expect("ours");
            file.write_all_at(&[noise(8, 5_000_001)[4_000_000] ^ 1], 4_000_000).expect("ours");
            time(path, at.mtime(), at.mtime_nsec());
        }),
        ("size 513", |path| fs::remove_file(path).expect("ours")),
        ("names/more", |path| fs::write(path, "").expect("ours")),
    ];
    if is_root {
        let device = |path: &Path| {
            let at = fs::metadata(path).expect("restored");
            fs::remove_file(path).expect("ours");
            mknodat(CWD, path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(1, 5)).expect("root may");
            fs::set_permissions(path, Permissions::from_mode(0o666)).expect("ours");
            time(path, at.mtime(), at.mtime_nsec());
        };
        changes.push(("specials/null", device));
        changes.push(("xattrs/capable", |path| lremovexattr(path, "security.capability").expect("root may")));
        changes.push(("owners/nobody", |path| {
            chownat(CWD, path, None, Some(Gid::from_raw(1)), AtFlags::SYMLINK_NOFOLLOW).expect("root may");
        }));
    }
    changes
}
