//! Compares what a restore made with the model file system, field by field, knowing nothing of how it came there.
//! Refuses to look through the engine's eyes: it reads the two models and nothing else.

use super::content::Content;
use super::files::{Body, DEVICE, Files, kind_of};
use super::source::name_of;
use super::target::{Event, MemoryTarget, Restored, RestoredBody};
use bytes::Bytes;
use engine::EntryKind;
use format::{EntryBody, FileTime, Meta, StoredPath};
use std::collections::{BTreeMap, HashMap, HashSet};

/// An entry as a person would describe it; content is compared apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    kind: EntryKind,
    mode: u16,
    user: (u32, Vec<u8>),
    group: (u32, Vec<u8>),
    mtime: FileTime,
    ctime: FileTime,
    inode: u64,
    device: Option<u64>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    link_target: Vec<u8>,
    numbers: (u32, u32),
    size: u64,
    /// The first path that is the same entry.
    twin: StoredPath,
}

/// Everything in the files is in the target and as it was, nothing else is there, and all came about in good order.
pub fn assert_restored(files: &Files, target: &MemoryTarget) {
    assert_restored_where(files, target, |_| true);
}

/// The same for the entries that `is_wanted` names.
pub fn assert_restored_where(files: &Files, target: &MemoryTarget, is_wanted: impl Fn(&StoredPath) -> bool) {
    let wanted = files.walk().into_iter().filter(|(path, _)| is_wanted(path));
    let pairs: Vec<_> = wanted.map(|(path, inode)| (path.clone(), path, inode)).collect();
    assert_pairs(files, target, &pairs);
}

/// The same for entries that land under their last names.
pub fn assert_selected(files: &Files, target: &MemoryTarget, selected: &[StoredPath]) {
    let mut pairs = Vec::new();
    for top in selected {
        let name = top.name().expect("the root is not selected");
        let base = StoredPath::root().join(name).expect("it is a name");
        pairs.push((top.clone(), base.clone(), files.find(top).expect("what is selected is there")));
        for (path, inode) in files.walk_from(top) {
            let below = path.components().skip(top.components().count());
            let landed =
                below.fold(base.clone(), |path, name| path.join(name).expect("a component of a path is a name"));
            pairs.push((path, landed, inode));
        }
    }
    assert_pairs(files, target, &pairs);
}

/// Pairs: where it was, where it is now, and its inode.
fn assert_pairs(files: &Files, target: &MemoryTarget, pairs: &[(StoredPath, StoredPath, u64)]) {
    let twins = first_names(pairs.iter().map(|(_, landed, inode)| (*inode, landed)));
    let found = of_target(target);
    let mut expected: HashSet<&StoredPath> = HashSet::new();
    for (_, landed, inode) in pairs {
        expected.insert(landed);
        let description = of_source(files, *inode, &twins[inode]);
        assert_eq!(found.get(landed), Some(&description), "{landed} came back as another entry");
    }
    let surplus: Vec<&StoredPath> = found.keys().filter(|path| !expected.contains(path)).collect();
    assert!(surplus.is_empty(), "nobody asked for {surplus:?}");
    for (_, landed, inode) in pairs {
        if let Body::File(content) = &files.inode(*inode).body {
            assert_content(landed, content, &target.get(landed).expect("it was described").body);
        }
    }
    assert!(target.parts().is_empty(), "parts are left: {:?}", target.parts());
    assert_order(&target.events());
}

fn of_source(files: &Files, inode: u64, twin: &StoredPath) -> Description {
    let found = files.inode(inode);
    let is_linked = found.links > 1 && !matches!(found.body, Body::Directory(_));
    Description {
        kind: kind_of(&found.body),
        mode: found.mode,
        user: (found.uid, name_of("user", found.uid).to_vec()),
        group: (found.gid, name_of("group", found.gid).to_vec()),
        mtime: found.mtime,
        ctime: found.ctime,
        inode,
        device: is_linked.then_some(DEVICE),
        xattrs: found.xattrs.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        link_target: if let Body::Symlink(target) = &found.body { target.clone() } else { Vec::new() },
        numbers: files.stat(inode).rdev,
        size: files.stat(inode).size,
        twin: twin.clone(),
    }
}

/// The first path of every entry, for telling whether two paths are the same one.
fn first_names<'a>(names: impl Iterator<Item = (u64, &'a StoredPath)>) -> HashMap<u64, StoredPath> {
    let mut first: HashMap<u64, StoredPath> = HashMap::new();
    for (entry, path) in names {
        match first.get(&entry) {
            Some(before) if before < path => {}
            _ => drop(first.insert(entry, path.clone())),
        }
    }
    first
}

fn of_target(target: &MemoryTarget) -> HashMap<StoredPath, Description> {
    let entries = target.walk();
    let twins = first_names(entries.iter().map(|(path, entry, _)| (*entry, path)));
    let describe = |(path, entry, restored): (StoredPath, u64, Restored)| {
        let meta = restored.meta.unwrap_or_else(|| panic!("{path} was not finished"));
        let description = description(&restored.body, meta, twins[&entry].clone());
        (path, description)
    };
    entries.into_iter().map(describe).collect()
}

fn description(body: &RestoredBody, meta: Meta, twin: StoredPath) -> Description {
    let (kind, link_target, numbers, size) = match body {
        RestoredBody::Directory => (EntryKind::Directory, Vec::new(), (0, 0), 0),
        RestoredBody::File { size, .. } => (EntryKind::File, Vec::new(), (0, 0), *size),
        RestoredBody::Special(EntryBody::Symlink { target }) => (EntryKind::Symlink, target.clone(), (0, 0), 0),
        RestoredBody::Special(EntryBody::Fifo) => (EntryKind::Fifo, Vec::new(), (0, 0), 0),
        RestoredBody::Special(EntryBody::Socket) => (EntryKind::Socket, Vec::new(), (0, 0), 0),
        RestoredBody::Special(EntryBody::CharDevice { major, minor }) => {
            (EntryKind::CharDevice, Vec::new(), (*major, *minor), 0)
        }
        RestoredBody::Special(EntryBody::BlockDevice { major, minor }) => {
            (EntryKind::BlockDevice, Vec::new(), (*major, *minor), 0)
        }
        RestoredBody::Special(EntryBody::File { .. } | EntryBody::Directory { .. }) => {
            panic!("a file or a directory was made as a special entry")
        }
    };
    let (user, group) = ((meta.uid, meta.user.to_vec()), (meta.gid, meta.group.to_vec()));
    let Meta { mode, mtime, ctime, inode, device, xattrs, .. } = meta;
    Description { kind, mode, user, group, mtime, ctime, inode, device, xattrs, link_target, numbers, size, twin }
}

/// Every byte is what it was; a hole may have become zeroes.
pub fn assert_content(path: &StoredPath, content: &Content, restored: &RestoredBody) {
    let RestoredBody::File { size, written } = restored else { panic!("{path} is no file any more") };
    assert_eq!(*size, content.size(), "{path} has another size");
    for (at, bytes) in content.data() {
        let is_same = read(written, at, bytes.len()) == *bytes;
        assert!(is_same, "{path} has other bytes in the {} from {at}", bytes.len());
    }
    for (at, len) in content.holes() {
        for (begin, bytes) in touching(written, at, len) {
            let skip = at.saturating_sub(*begin).min(bytes.len() as u64) as usize;
            let end = (at + len - begin).min(bytes.len() as u64) as usize;
            assert!(bytes[skip..end].iter().all(|byte| *byte == 0), "{path} has bytes in the hole at {at}");
        }
    }
}

/// What reads as the file's bytes from `at`.
pub fn read(written: &BTreeMap<u64, Bytes>, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (begin, piece) in touching(written, at, len as u64) {
        let from = at.max(*begin);
        let to = (at + len as u64).min(begin + piece.len() as u64);
        if from < to {
            let piece = &piece[(from - begin) as usize..(to - begin) as usize];
            bytes[(from - at) as usize..(to - at) as usize].copy_from_slice(piece);
        }
    }
    bytes
}

/// What was written in a stretch or begins right before it.
fn touching(written: &BTreeMap<u64, Bytes>, at: u64, len: u64) -> impl Iterator<Item = (&u64, &Bytes)> {
    let first = written.range(..=at).next_back().map_or(at, |(begin, _)| *begin);
    written.range(first..at + len)
}

/// A directory gets its metadata after everything beneath it, or its times would be those of the restore.
fn assert_order(events: &[Event]) {
    let mut finished: HashMap<&StoredPath, usize> = HashMap::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::FinishDirectory(path) => {
                finished.insert(path, at);
                // Once the folder above has its own mode, this one may be out of reach.
                finished.remove(&path.parent().expect("the root is not finished"));
            }
            // A second restore into the same place opens it again.
            Event::MakeDirectory(path) | Event::FinishFile(path) | Event::MakeSpecial(path) | Event::HardLink(path) => {
                let above = path.parent().expect("the root is not made");
                finished.remove(&above);
            }
        }
    }
    for event in events {
        if let Event::MakeDirectory(path) = event {
            assert!(finished.contains_key(path), "{path} got its metadata before all that is in it was there");
        }
    }
}
