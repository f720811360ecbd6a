//! A model of a file system: inodes, names, times by the test's clock. Every change moves times as a real one does.
//! Refuses, with a panic, what a test cannot have meant: a name under a file, a link to a directory.

use super::content::Content;
use base::{Clock, ManualClock, Span};
use bytes::Bytes;
use engine::{Changes, EntryKind, Stat};
use format::{FileTime, StoredPath};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The inode of the root directory.
pub const ROOT: u64 = 1;
/// The number of the file system.
pub const DEVICE: u64 = 0x0801;

pub struct Files {
    /// Those without a name stay: somebody may have them open.
    inodes: HashMap<u64, Inode>,
    /// What a change journal has noted, as fanotify does it.
    noted: Vec<Note>,
    clock: Arc<ManualClock>,
}

/// What a change journal notes.
enum Note {
    /// Through a name in this directory something was changed, or the directory itself.
    Directory(u64),
    /// A file with several names was changed: the others may be in directories that nobody has noted.
    Doubt,
    /// What it should have noted, and has not.
    Missed,
}

#[derive(Clone, Debug)]
pub struct Inode {
    pub mode: u16,
    pub uid: u32,
    pub gid: u32,
    pub mtime: FileTime,
    pub ctime: FileTime,
    pub links: u64,
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    File(Content),
    Directory(BTreeMap<Vec<u8>, u64>),
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
}

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    Gone,
    /// Something on the way is no directory.
    Replaced,
}

/// A stored path from text or bytes.
pub fn path(text: impl AsRef<[u8]>) -> StoredPath {
    StoredPath::from_bytes(text.as_ref().to_vec()).expect("tests write paths that can be stored")
}

impl Files {
    pub fn new(clock: Arc<ManualClock>) -> Self {
        let mut files = Self { inodes: HashMap::new(), noted: Vec::new(), clock };
        files.make(Body::Directory(BTreeMap::new()));
        files
    }

    // What is there.

    pub fn find(&self, path: &StoredPath) -> Result<u64, Miss> {
        let mut at = ROOT;
        for name in path.components() {
            let Body::Directory(names) = &self.inodes[&at].body else { return Err(Miss::Replaced) };
            at = *names.get(name).ok_or(Miss::Gone)?;
        }
        Ok(at)
    }

    pub fn inode(&self, inode: u64) -> &Inode {
        &self.inodes[&inode]
    }

    pub fn get(&self, path: &StoredPath) -> Option<&Inode> {
        self.find(path).ok().map(|inode| self.inode(inode))
    }

    pub fn stat(&self, inode: u64) -> Stat {
        let Inode { mode, uid, gid, mtime, ctime, links, body, .. } = self.inode(inode);
        let (size, stored) = match body {
            Body::File(content) => (content.size(), content.stored()),
            _ => (0, 0),
        };
        let rdev = match body {
            Body::CharDevice(major, minor) | Body::BlockDevice(major, minor) => (*major, *minor),
            _ => (0, 0),
        };
        let (mode, uid, gid, mtime, ctime, links) = (*mode, *uid, *gid, *mtime, *ctime, *links);
        let (kind, device) = (kind_of(body), DEVICE);
        Stat { kind, mode, uid, gid, mtime, ctime, inode, device, links, size, stored, rdev }
    }

    /// Everything below the root in stored-path order.
    pub fn walk(&self) -> Vec<(StoredPath, u64)> {
        self.walk_from(&StoredPath::root())
    }

    /// Everything below `top`, itself excluded, in stored-path order.
    pub fn walk_from(&self, top: &StoredPath) -> Vec<(StoredPath, u64)> {
        let mut found = Vec::new();
        let mut left = vec![(top.clone(), self.find(top).expect("the walk begins at an entry"))];
        while let Some((at, inode)) = left.pop() {
            if let Body::Directory(names) = &self.inode(inode).body {
                let below = names.iter().rev();
                left.extend(below.map(|(name, inode)| (at.join(name).expect("names are checked"), *inode)));
            }
            if at != *top {
                found.push((at, inode));
            }
        }
        found
    }

    /// Where the journal stands.
    pub fn position(&self) -> usize {
        self.noted.len()
    }

    /// Where anything has changed since the journal stood there; `None` where that is in doubt.
    pub fn changes_since(&self, position: usize) -> Option<Changes> {
        let mut directories = BTreeSet::new();
        for note in &self.noted[position..] {
            match note {
                Note::Directory(inode) => drop(directories.insert(*inode)),
                Note::Doubt => return None,
                Note::Missed => {}
            }
        }
        let mut changes = Changes::default();
        for (path, inode) in std::iter::once((StoredPath::root(), ROOT)).chain(self.walk()) {
            if directories.contains(&inode) {
                changes.add(path);
            }
        }
        Some(changes)
    }

    /// The journal has missed what changed through names in a directory.
    pub fn miss(&mut self, at: impl AsRef<[u8]>) {
        let missed = self.find(&path(at)).expect("the directory is there");
        for note in &mut self.noted {
            if matches!(note, Note::Directory(inode) if *inode == missed) {
                *note = Note::Missed;
            }
        }
    }

    // What changes it. Directories above are made as needed.

    pub fn mkdir(&mut self, at: impl AsRef<[u8]>) {
        self.directory(&path(at));
    }

    pub fn write(&mut self, at: impl AsRef<[u8]>, bytes: impl Into<Bytes>) {
        self.put(at, Content::of(bytes));
    }

    /// Gives a file this content; its inode stays when it was there.
    pub fn put(&mut self, at: impl AsRef<[u8]>, content: Content) {
        let at = path(at);
        match self.find(&at) {
            Ok(inode) => {
                let now = self.tick();
                self.note(&at, inode);
                let file = self.inode_mut(inode);
                assert!(matches!(file.body, Body::File(_)), "{at} is no file");
                file.body = Body::File(content);
                (file.mtime, file.ctime) = (now, now);
            }
            Err(_) => self.add(&at, Body::File(content)),
        }
    }

    /// Changes the bytes of a file, and nothing that `stat` shows: what a coarse clock can hide.
    pub fn write_unseen(&mut self, at: impl AsRef<[u8]>, bytes: impl Into<Bytes>) {
        let at = path(at);
        let inode = self.find(&at).expect("the file is there");
        let (before, content) = (self.stat(inode), Content::of(bytes));
        self.note(&at, inode);
        self.inode_mut(inode).body = Body::File(content);
        assert_eq!(self.stat(inode), before, "a change of size would show");
    }

    pub fn symlink(&mut self, at: impl AsRef<[u8]>, target: impl AsRef<[u8]>) {
        self.add(&path(at), Body::Symlink(target.as_ref().to_vec()));
    }

    pub fn special(&mut self, at: impl AsRef<[u8]>, body: Body) {
        self.add(&path(at), body);
    }

    pub fn link(&mut self, existing: impl AsRef<[u8]>, at: impl AsRef<[u8]>) {
        let inode = self.find(&path(existing)).expect("the first name is there");
        assert!(!matches!(self.inode(inode).body, Body::Directory(_)), "a directory has one name");
        let now = self.tick();
        let linked = self.inode_mut(inode);
        (linked.links, linked.ctime) = (linked.links + 1, now);
        self.enter(&path(&at), inode);
        self.note(&path(at), inode);
    }

    /// Takes an entry away, and everything beneath it.
    pub fn remove(&mut self, at: impl AsRef<[u8]>) {
        let at = path(at);
        let mut names = self.walk_from(&at);
        names.push((at.clone(), self.find(&at).expect("what is removed is there")));
        let now = self.tick();
        for (at, inode) in names {
            self.note(&at, inode);
            let inode = self.inode_mut(inode);
            (inode.links, inode.ctime) = (inode.links.saturating_sub(1), now);
        }
        self.leave(&at);
    }

    pub fn rename(&mut self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) {
        let (from, to) = (path(from), path(to));
        let inode = self.find(&from).expect("what is renamed is there");
        assert!(!to.starts_with(&from), "{from} cannot move below itself");
        self.leave(&from);
        let now = self.tick();
        self.inode_mut(inode).ctime = now;
        self.enter(&to, inode);
        if !matches!(self.inode(inode).body, Body::Directory(_)) {
            self.note(&to, inode);
        }
    }

    pub fn chmod(&mut self, at: impl AsRef<[u8]>, mode: u16) {
        self.edit(at, |inode| inode.mode = mode);
    }

    pub fn chown(&mut self, at: impl AsRef<[u8]>, uid: u32, gid: u32) {
        self.edit(at, |inode| (inode.uid, inode.gid) = (uid, gid));
    }

    pub fn touch(&mut self, at: impl AsRef<[u8]>, seconds: i64, nanos: u32) {
        self.edit(at, |inode| inode.mtime = FileTime { seconds, nanos });
    }

    pub fn set_xattr(&mut self, at: impl AsRef<[u8]>, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (name, value) = (name.as_ref().to_vec(), value.as_ref().to_vec());
        self.edit(at, |inode| drop(inode.xattrs.insert(name, value)));
    }

    // How.

    fn edit(&mut self, at: impl AsRef<[u8]>, change: impl FnOnce(&mut Inode)) {
        let at = path(at);
        let inode = self.find(&at).expect("what is changed is there");
        let now = self.tick();
        self.note(&at, inode);
        let inode = self.inode_mut(inode);
        change(inode);
        inode.ctime = now;
    }

    /// A change of an entry through this name.
    fn note(&mut self, at: &StoredPath, inode: u64) {
        let is_directory = matches!(self.inode(inode).body, Body::Directory(_));
        let above = at.parent().and_then(|above| self.find(&above).ok());
        let noted = if is_directory { Some(inode) } else { above };
        self.noted.extend(noted.map(Note::Directory));
        if !is_directory && self.inode(inode).links > 1 {
            self.noted.push(Note::Doubt);
        }
    }

    fn add(&mut self, at: &StoredPath, body: Body) {
        let inode = self.make(body);
        self.enter(at, inode);
    }

    fn make(&mut self, body: Body) -> u64 {
        let number = self.inodes.len() as u64 + ROOT;
        let now = self.tick();
        let (mode, links) = if matches!(body, Body::Directory(_)) { (0o755, 2) } else { (0o644, 1) };
        let (uid, gid, xattrs) = (1_000, 100, BTreeMap::new());
        self.inodes.insert(number, Inode { mode, uid, gid, mtime: now, ctime: now, links, xattrs, body });
        number
    }

    fn enter(&mut self, at: &StoredPath, inode: u64) {
        let name = at.name().expect("the root is there from the beginning").to_vec();
        let before = self.names_above(at).insert(name, inode);
        assert!(before.is_none(), "{at} is there already");
    }

    fn leave(&mut self, at: &StoredPath) {
        let name = at.name().expect("the root stays").to_vec();
        self.names_above(at).remove(&name).expect("it was found there");
    }

    /// The names of the directory above `at`, which changes by that.
    fn names_above(&mut self, at: &StoredPath) -> &mut BTreeMap<Vec<u8>, u64> {
        let above = self.directory(&at.parent().expect("the root has no name"));
        let now = self.tick();
        self.noted.push(Note::Directory(above));
        let above = self.inode_mut(above);
        (above.mtime, above.ctime) = (now, now);
        match &mut above.body {
            Body::Directory(names) => names,
            _ => panic!("{at} would be below a file"),
        }
    }

    fn directory(&mut self, at: &StoredPath) -> u64 {
        let mut way = StoredPath::root();
        let mut inode = ROOT;
        for name in at.components() {
            way.push(name).expect("a component of a path is a name");
            let Body::Directory(names) = &self.inode(inode).body else { panic!("{way} would be below a file") };
            inode = match names.get(name) {
                Some(there) => *there,
                None => {
                    let (parent, made) = (inode, self.make(Body::Directory(BTreeMap::new())));
                    let now = self.tick();
                    self.noted.push(Note::Directory(parent));
                    let parent = self.inode_mut(parent);
                    (parent.mtime, parent.ctime) = (now, now);
                    let Body::Directory(names) = &mut parent.body else { unreachable!("it was one above") };
                    names.insert(name.to_vec(), made);
                    made
                }
            };
        }
        inode
    }

    fn inode_mut(&mut self, inode: u64) -> &mut Inode {
        self.inodes.get_mut(&inode).expect("inodes stay")
    }

    /// The time of a change. No two changes have the same one.
    fn tick(&self) -> FileTime {
        self.clock.advance(Span::ms(1));
        time_of(self.clock.now().as_ms())
    }
}

fn time_of(ms: i64) -> FileTime {
    FileTime { seconds: ms.div_euclid(1_000), nanos: ms.rem_euclid(1_000) as u32 * 1_000_000 }
}

pub fn kind_of(body: &Body) -> EntryKind {
    match body {
        Body::File(_) => EntryKind::File,
        Body::Directory(_) => EntryKind::Directory,
        Body::Symlink(_) => EntryKind::Symlink,
        Body::Fifo => EntryKind::Fifo,
        Body::Socket => EntryKind::Socket,
        Body::CharDevice(..) => EntryKind::CharDevice,
        Body::BlockDevice(..) => EntryKind::BlockDevice,
    }
}
