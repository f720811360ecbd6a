//! Reading every odd thing that a file system can hold. Refuses to run on names that are all well-behaved.

use super::*;
use rustix::fs::{FileType, XattrFlags, lsetxattr, mkdirat, mknodat};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};

/// The same tests with and without the kernel's help for whole paths.
fn sources(root: &Path) -> [FolderSource; 2] {
    let whole = FolderSource::below(root).expect("the root opens");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = openat(CWD, root, flags, Mode::empty()).expect("the root opens");
    let root = Beneath::step_by_step(handle);
    let steps = FolderSource { root, owners: Owners::default(), has_proc: false, left_out: None };
    [whole, steps]
}

fn path(bytes: &[u8]) -> StoredPath {
    StoredPath::from_bytes(bytes.to_vec()).expect("a path")
}

fn read(source: &FolderSource, at: &StoredPath) -> Result<Vec<u8>, SourceError> {
    let file = source.open(at)?;
    let mut bytes = vec![0; file.stat()?.size as usize + 1];
    let len = file.read_at(0, &mut bytes)?;
    bytes.truncate(len);
    Ok(bytes)
}

fn code<T>(result: Result<T, SourceError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "")
}

#[test]
fn odd_names_are_listed_in_the_order_of_their_bytes_and_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let long = [b'x'; 255];
    let names: [&[u8]; 7] = [b"\x01", b" ", b"-rf", b"a\nb", b"caf\xe9", b"caf\xc3\xa9", &long];
    for name in names {
        fs::write(dir.path().join(OsStr::from_bytes(name)), name).expect("a file");
    }
    for source in sources(dir.path()) {
        let listing = source.list(&StoredPath::root()).expect("a listing");
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        assert_eq!(listing.entries.iter().map(|found| found.name.as_slice()).collect::<Vec<_>>(), sorted);
        assert!(listing.problems.is_empty());
        for found in listing.entries {
            assert_eq!(found.stat.size, found.name.len() as u64);
            assert_eq!(found.stat, source.stat(&path(&found.name)).expect("a stat"));
            assert_eq!(read(&source, &path(&found.name)).expect("the content"), found.name);
        }
    }
}

#[test]
fn paths_of_4000_bytes_and_beyond_what_the_kernel_takes_are_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let name = [b'd'; 200];
    let mut at = openat(CWD, dir.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("a handle");
    let mut deep = StoredPath::root();
    for depth in 1..=60 {
        mkdirat(&at, name.as_slice(), Mode::from_raw_mode(0o700)).expect("a folder");
        at = openat(&at, name.as_slice(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("a handle");
        deep.push(&name).expect("a name");
        // 19, 20, 21: around 4,000 bytes; 41: around twice the kernel's 4,096; 60: 12,060 bytes.
        if !matches!(depth, 19 | 20 | 21 | 41 | 60) {
            continue;
        }
        let file = openat(&at, "file", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o600)).expect("a file");
        rustix::io::write(&file, b"deep").expect("content");
        rustix::fs::fsetxattr(&file, "user.note", b"kept", XattrFlags::empty()).expect("an attribute");
        for source in sources(dir.path()) {
            let file = deep.join(b"file").expect("a path");
            assert!(source.list(&deep).expect("a listing").entries.iter().any(|found| found.name == b"file"));
            assert_eq!(read(&source, &file).expect("the content"), b"deep", "{depth}");
            assert_eq!(source.stat(&file).expect("a stat").size, 4);
            let details = source.details(&file, EntryKind::File).expect("details");
            assert_eq!(details.xattrs, vec![(b"user.note".to_vec(), b"kept".to_vec())]);
        }
    }
}

#[test]
fn a_sparse_file_of_10_gb_is_seen_as_the_little_that_it_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    const SIZE: u64 = 10 << 30;
    let file = File::create(dir.path().join("sparse")).expect("a file");
    file.set_len(SIZE).expect("a size");
    file.write_all_at(&[7; 4096], 1 << 30).expect("data");
    file.write_all_at(b"end", SIZE - 3).expect("data");
    let [source, _] = sources(dir.path());
    let open = source.open(&path(b"sparse")).expect("an open file");
    let extents = open.extents(SIZE).expect("extents");
    let data: u64 = extents.iter().map(|extent| if let Extent::Data(len) = extent { *len } else { 0 }).sum();
    let all: u64 = extents
        .iter()
        .map(|extent| match extent {
            Extent::Data(len) | Extent::Hole(len) => *len,
        })
        .sum();
    assert_eq!(all, SIZE);
    assert!((4_099..=1 << 20).contains(&data), "{extents:?}");
    assert!(matches!(extents[0], Extent::Hole(len) if len == 1 << 30), "{extents:?}");
    let mixed = extents
        .windows(2)
        .all(|pair| matches!(pair, [Extent::Data(_), Extent::Hole(_)] | [Extent::Hole(_), Extent::Data(_)]));
    assert!(mixed, "{extents:?}");
    assert_eq!(open.extents(0).expect("extents"), vec![]);
    assert_eq!(open.extents(5).expect("extents"), vec![Extent::Hole(5)]);
}

#[test]
fn a_file_without_holes_is_one_stretch() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("full"), [1; 10_000]).expect("a file");
    fs::write(dir.path().join("empty"), []).expect("a file");
    let [source, _] = sources(dir.path());
    let extents = |name: &[u8], size| source.open(&path(name)).and_then(|open| open.extents(size)).expect("extents");
    assert_eq!(extents(b"full", 10_000), vec![Extent::Data(10_000)]);
    assert_eq!(extents(b"empty", 0), vec![]);
    let file = source.open(&path(b"full")).expect("an open file");
    let mut bytes = [0; 64];
    assert_eq!(file.read_at(9_990, &mut bytes).expect("a read"), 10, "until the end");
    assert_eq!(file.read_at(10_001, &mut bytes).expect("a read"), 0, "behind it");
}

#[test]
fn links_are_never_followed_and_pipes_never_waited_for() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let outside = tempfile::tempdir().expect("a temporary directory");
    fs::write(outside.path().join("secret"), b"secret").expect("a file");
    fs::create_dir(dir.path().join("real")).expect("a folder");
    fs::write(dir.path().join("real/file"), b"x").expect("a file");
    symlink(outside.path(), dir.path().join("out")).expect("a link");
    symlink("real", dir.path().join("in")).expect("a link");
    symlink("real/file", dir.path().join("link")).expect("a link");
    symlink(b"gone\xff".map(char::from).iter().collect::<String>(), dir.path().join("dangling")).expect("a link");
    let handle = openat(CWD, dir.path(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).expect("a handle");
    mknodat(&handle, "pipe", FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
    for source in sources(dir.path()) {
        for name in ["link", "dangling", "pipe", "out", "out/secret", "in/file", "real"] {
            let name = path(name.as_bytes());
            let read = source.open(&name).and_then(|file| file.read_at(0, &mut [0]));
            assert_eq!(code(read), "entry_replaced", "reading {name}");
            assert_eq!(code(source.open(&name).and_then(|file| file.stat())), "entry_replaced", "opening {name}");
        }
        for name in ["link", "in", "out", "pipe", "real/file"] {
            assert_eq!(code(source.list(&path(name.as_bytes()))), "entry_replaced", "listing {name}");
        }
        for name in ["out/secret", "in/file"] {
            assert_eq!(code(source.stat(&path(name.as_bytes()))), "entry_replaced", "{name}");
            assert_eq!(code(source.details(&path(name.as_bytes()), EntryKind::File)), "entry_replaced", "{name}");
        }
        assert_eq!(source.stat(&path(b"link")).expect("a stat").kind, EntryKind::Symlink);
        assert_eq!(source.stat(&path(b"pipe")).expect("a stat").kind, EntryKind::Fifo);
        let link = source.details(&path(b"link"), EntryKind::Symlink).expect("details");
        assert_eq!(link.target, b"real/file");
        assert_eq!(source.details(&path(b"pipe"), EntryKind::Fifo).expect("details"), Details::default());
        assert_eq!(code(source.details(&path(b"pipe"), EntryKind::Symlink)), "entry_replaced");
    }
}

#[test]
fn attributes_come_in_the_order_of_their_names_and_large_ones_too() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    fs::write(&file, b"x").expect("a file");
    let large = vec![b'v'; 2_000];
    for (name, value) in [("user.b", b"2".as_slice()), ("user.a", b""), ("user.c", &large)] {
        lsetxattr(&file, name, value, XattrFlags::empty()).expect("an attribute");
        lsetxattr(dir.path(), name, value, XattrFlags::empty()).expect("an attribute");
    }
    let expected =
        vec![(b"user.a".to_vec(), b"".to_vec()), (b"user.b".to_vec(), b"2".to_vec()), (b"user.c".to_vec(), large)];
    for source in sources(dir.path()) {
        assert_eq!(source.details(&path(b"file"), EntryKind::File).expect("details").xattrs, expected);
        assert_eq!(source.details(&StoredPath::root(), EntryKind::Directory).expect("details").xattrs, expected);
    }
}

#[test]
fn what_is_gone_is_gone_also_behind_a_remembered_folder() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(dir.path().join("folder")).expect("a folder");
    fs::write(dir.path().join("folder/file"), b"1").expect("a file");
    for source in sources(dir.path()) {
        assert_eq!(source.stat(&path(b"folder/file")).expect("a stat").size, 1);
        fs::rename(dir.path().join("folder"), dir.path().join("other")).expect("another name");
        fs::create_dir(dir.path().join("folder")).expect("a folder");
        fs::remove_file(dir.path().join("other/file")).expect("no file");
        assert_eq!(code(source.stat(&path(b"folder/file"))), "entry_gone");
        fs::write(dir.path().join("folder/file"), b"22").expect("a file");
        assert_eq!(source.stat(&path(b"folder/file")).expect("a stat").size, 2);
        fs::remove_dir_all(dir.path().join("other")).expect("no folder");
        fs::write(dir.path().join("folder/file"), b"1").expect("a file");
        for code in
            [code(source.open(&path(b"not"))), code(source.list(&path(b"not"))), code(source.stat(&path(b"not/there")))]
        {
            assert_eq!(code, "entry_gone");
        }
    }
}

#[test]
fn reading_leaves_no_trace_in_the_access_time() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    fs::write(&file, b"x").expect("a file");
    let old = std::time::UNIX_EPOCH;
    File::options()
        .write(true)
        .open(&file)
        .and_then(|file| file.set_times(fs::FileTimes::new().set_accessed(old)))
        .expect("a time");
    for source in sources(dir.path()) {
        read(&source, &path(b"file")).expect("the content");
        assert_eq!(fs::metadata(&file).and_then(|found| found.accessed()).expect("a time"), old);
    }
}

#[test]
fn owners_have_names_where_the_system_knows_them() {
    let source = FolderSource::whole().expect("the root opens");
    assert_eq!(&*source.user_name(0), b"root");
    assert_eq!(&*source.group_name(0), b"root");
    assert_eq!(&*source.user_name(3_999_999_999), b"");
    let root = source.stat(&StoredPath::root()).expect("a stat");
    assert_eq!(root.kind, EntryKind::Directory);
}

#[test]
fn the_directory_that_is_left_out_is_not_listed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for name in ["kept", "state"] {
        fs::create_dir(dir.path().join(name)).expect("a directory");
    }
    for source in sources(dir.path()) {
        let source = source.without(&dir.path().join("state"));
        let listing = source.list(&StoredPath::root()).expect("a listing");
        assert_eq!(listing.entries.iter().map(|found| &found.name[..]).collect::<Vec<_>>(), [b"kept"]);
    }
    let all = FolderSource::below(dir.path()).expect("it opens").without(&dir.path().join("never was"));
    assert_eq!(all.list(&StoredPath::root()).expect("a listing").entries.len(), 2);
}

#[test]
fn what_the_kernel_makes_up_is_not_listed() {
    if !Path::new("/proc/self").exists() {
        return;
    }
    let source = FolderSource::whole().expect("the root opens");
    assert_eq!(source.list(&path(b"proc")).expect("a listing").entries, []);
    assert!(!source.list(&path(b"usr")).expect("a listing").entries.is_empty());
}

#[test]
fn a_large_directory_is_shown_by_the_piece_in_order_and_whole() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let names: Vec<String> = (0..LISTED_MAX + 2 * LOOKED_AT_MAX + 5).map(|number| format!("{number:05}")).collect();
    for name in names.iter().rev() {
        std::os::unix::fs::symlink("nowhere", dir.path().join(name)).expect("a link");
    }
    let source = FolderSource::below(dir.path()).expect("a source");
    let mut next = Some(source.list(&StoredPath::root()).expect("a listing"));
    assert_eq!(next.as_ref().map(Listing::count), Some(names.len()));
    let (mut found, mut pieces) = (Vec::new(), 0);
    std::fs::remove_file(dir.path().join("00007")).expect("it is there");
    while let Some(listing) = next {
        assert!(listing.entries.len() <= LISTED_MAX && listing.problems.is_empty());
        pieces += 1;
        found.extend(listing.entries.into_iter().map(|found| String::from_utf8(found.name).expect("UTF-8")));
        next = listing.more.map(Listing::next_of);
    }
    let expected: Vec<String> = names.into_iter().filter(|name| name != "00007").collect();
    assert_eq!(found, expected, "the one that went meanwhile is not there");
    assert!(pieces > 3, "{pieces} pieces");
}
