//! Entries of every kind and every awkward name and size: what is restored is what was there.

use crate::world::World;
use crate::world::noise::noise;
use rustix::fs::{CWD, Mode, OFlags, mknodat, openat};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::Path;

#[test]
fn names_that_are_not_utf8_come_back_and_are_shown_in_json() {
    let world = World::start();
    let source = world.source();
    let names: [&[u8]; 6] = [b"caf\xe9", b"\xff\xfe\x80", b"new\nline", b"50%", b" ", "\u{202e}naïve".as_bytes()];
    for name in names {
        let folder = source.join(OsStr::from_bytes(name));
        fs::create_dir(&folder).expect("this file system takes any name");
        fs::write(folder.join(OsStr::from_bytes(name)), name).expect("writable");
    }
    symlink(OsStr::from_bytes(b"to/\xe9"), source.join(OsStr::from_bytes(b"link\xe9"))).expect("writable");
    let device = world.activated("laptop");
    device.assert_good_backup();
    let listed = device.ask([OsStr::new("ls"), "latest".as_ref(), source.as_ref()]).done();
    let listed = listed["entries"].as_array().expect("entries").clone();
    let shown: Vec<_> = listed.iter().filter_map(|entry| entry["name"].as_str()).collect();
    for name in ["caf%E9", "%FF%FE%80", "new%0Aline", "50%25", " ", "\u{202e}naïve", "link%E9"] {
        assert!(shown.contains(&name), "{name:?} is not among {shown:?}");
    }
    assert_eq!(crate::world::answer::number(&device.backup().done(), "files_opened"), 0);

    let mut one = source.join(OsStr::from_bytes(b"caf\xe9"));
    one.push(OsStr::from_bytes(b"caf\xe9"));
    let to = device.fresh();
    device.ask([OsStr::new("restore"), "latest".as_ref(), one.as_ref(), "--to".as_ref(), to.as_ref()]).done();
    assert_eq!(fs::read(to.join(OsStr::from_bytes(b"caf\xe9"))).expect("restored"), b"caf\xe9");
}

#[test]
fn a_path_of_4000_bytes_comes_back_and_also_below_a_folder_that_makes_it_too_long_for_one_call() {
    const LEN: usize = 4_000;
    let world = World::start();
    let mut deep = world.source();
    while deep.as_os_str().len() + 202 < LEN {
        deep.push("d".repeat(200));
    }
    fs::create_dir_all(&deep).expect("the system takes it");
    let file = deep.join("f".repeat(LEN - deep.as_os_str().len() - 1));
    assert_eq!(file.as_os_str().len(), LEN);
    fs::write(&file, "at the end of a long way").expect("writable");
    let device = world.activated("laptop");
    device.assert_good_backup();

    let to = world.place().join("t".repeat(200));
    device.ask([OsStr::new("restore"), "latest".as_ref(), "--to".as_ref(), to.as_ref()]).done();
    let path = file.strip_prefix("/").expect("absolute");
    assert!(to.join(path).as_os_str().len() > 4_096);
    assert_eq!(read_far(&to, path), b"at the end of a long way");
}

/// Reads a file step by step, whatever the length of its path.
fn read_far(from: &Path, path: &Path) -> Vec<u8> {
    let mut handle = openat(CWD, from, OFlags::PATH, Mode::empty()).expect("there");
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        let flags = if components.peek().is_some() { OFlags::PATH } else { OFlags::RDONLY };
        handle = openat(&handle, component.as_os_str(), flags, Mode::empty()).expect("restored");
    }
    let mut content = Vec::new();
    File::from(handle).read_to_end(&mut content).expect("readable");
    content
}

#[test]
fn an_empty_file_and_a_sparse_one_of_10_gb_are_quick_and_stay_small() {
    const SIZE: u64 = 10_000_000_000;
    let world = World::start();
    world.write("empty", "");
    let path = world.source().join("sparse");
    let file = File::create(&path).expect("writable");
    file.set_len(SIZE).expect("this file system has holes");
    let parts = [(0, 1_000), (4_000_000_123, 300_000), (SIZE - 777, 777)];
    for (number, (at, len)) in parts.into_iter().enumerate() {
        file.write_all_at(&noise(number as u64, len), at).expect("writable");
    }
    file.sync_all().expect("writable");
    assert!(fs::metadata(&path).expect("there").blocks() < 4_096, "the original is sparse");
    let device = world.activated("laptop");
    let answer = device.backup();
    assert!(answer.number("bytes_read") < 2_000_000 && answer.number("bytes_sent") < 2_000_000, "{}", answer.json);
    answer.done();

    let (answer, restored) = device.restore();
    answer.done();
    let meta = fs::metadata(restored.join("sparse")).expect("restored");
    assert_eq!(meta.len(), SIZE);
    assert!(meta.blocks() < 4_096, "{} blocks on the disk", meta.blocks());
    let copy = File::open(restored.join("sparse")).expect("readable");
    for (number, (at, len)) in parts.into_iter().enumerate() {
        // With zeros on both sides, where there is room.
        let from = at - at.min(100);
        let mut expected = vec![0; (at - from) as usize];
        expected.extend(noise(number as u64, len));
        expected.resize(expected.len() + (SIZE - at - len as u64).min(100) as usize, 0);
        let mut found = vec![1; expected.len()];
        copy.read_exact_at(&mut found, from).expect("readable");
        assert!(found == expected, "the part at {at}");
    }
    assert_eq!(fs::metadata(restored.join("empty")).expect("restored").len(), 0);
    world.assert_sound();
    assert_eq!(crate::world::answer::number(&device.backup().done(), "files_opened"), 0);
}

#[test]
fn hard_links_pipes_sockets_and_loops_of_links_come_back_and_nothing_hangs() {
    let world = World::start();
    let source = world.source();
    world.write("folder/one", noise(1, 2_000_000));
    world.write("small", "content");
    fs::hard_link(source.join("folder/one"), source.join("two")).expect("writable");
    fs::hard_link(source.join("folder/one"), source.join("folder/three")).expect("writable");
    fs::hard_link(source.join("small"), source.join("folder/small")).expect("writable");
    mknodat(CWD, source.join("pipe"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o640), 0).expect("writable");
    for (link, target) in [("a", "b"), ("b", "a"), ("itself", "itself"), ("folder/up", ".."), ("nowhere", "/no/where")]
    {
        symlink(target, source.join(link)).expect("writable");
    }
    let _socket = std::os::unix::net::UnixListener::bind(source.join("socket")).expect("writable");
    let device = world.activated("laptop");
    let done = device.assert_good_backup();
    assert!(crate::world::answer::number(&done, "bytes_sent") < 3_000_000, "a linked file is sent once: {done}");
    assert_eq!(crate::world::answer::number(&device.backup().done(), "files_opened"), 0);
}
