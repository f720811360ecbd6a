//! Where a backup reads: the file system of this computer, from its root. A stored path is the absolute path
//! without the leading slash. Refuses to follow symbolic links, to wait for pipes, and to touch access times.

use super::beneath::Beneath;
use super::meta::{self, Reach};
use super::owners::Owners;
use engine::{Details, EntryKind, Extent, Found, Listing, More, Names, Source, SourceError, SourceFile, Stat};
use format::{Meta, StoredPath, Xattr};
use rustix::fd::OwnedFd;
use rustix::fs::{Advice, CWD, FsWord, Mode, OFlags, RawDir, SeekFrom, fadvise, fstatfs, openat, readlinkat, seek};
use rustix::io::{Errno, pread};
use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::Arc;

/// The file system below one directory.
#[derive(Debug)]
pub struct FolderSource {
    root: Beneath,
    owners: Owners,
    /// Whether the kernel shows open handles under `/proc`: without it, links and devices have no attributes.
    has_proc: bool,
    /// A directory that is not there for who lists the one above it: file system and inode.
    left_out: Option<(u64, u64)>,
}

/// File systems whose entries the kernel makes up while they are looked at: there is nothing in them to back up, and
/// some files in them have no end. By the number that `statfs` gives (linux/magic.h).
const MADE_UP: [FsWord; 15] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x1cd1,      // devpts
    0xf97c_ff8c, // selinuxfs
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x6265_6570, // configfs
    0x1980_0202, // mqueue
    0x6573_5543, // fusectl
];

/// Room for the names of one call; a few hundred of them.
const NAMES_BYTES: usize = 32 << 10;
/// Entries of a directory that are looked at and held at once; of a larger one the names are, which take a tenth.
const LISTED_MAX: usize = 16_384;
/// Of a larger one, so many are looked at together.
const LOOKED_AT_MAX: usize = 4_096;
/// Files from this size are read ahead further than the kernel does by itself.
const READ_AHEAD_BYTES_MIN: u64 = 1 << 20;

impl FolderSource {
    /// The whole file system of this computer.
    ///
    /// # Errors
    /// The root directory cannot be opened.
    pub fn whole() -> io::Result<Self> {
        Self::below(Path::new("/"))
    }

    /// The file system below `root`, whose stored path is the empty one.
    ///
    /// # Errors
    /// `root` is no directory or cannot be opened.
    pub fn below(root: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = openat(CWD, root, flags, Mode::empty())?;
        let has_proc = meta::stat_at(CWD, &meta::proc_path(&handle)).is_ok();
        Ok(Self { root: Beneath::new(handle), owners: Owners::default(), has_proc, left_out: None })
    }

    /// The same without `dir` and all beneath it: the endpoint's own key and cache are no part of a backup. A directory
    /// that is not there is left out by itself. Never fails.
    pub fn without(mut self, dir: &Path) -> Self {
        self.left_out =
            meta::stat_at(CWD, dir.as_os_str().as_encoded_bytes()).ok().map(|stat| (stat.device, stat.inode));
        self
    }

    fn open_directory(&self, path: &StoredPath) -> Result<OwnedFd, SourceError> {
        without_a_trace(|flags| self.root.open(path, flags | OFlags::DIRECTORY))
    }

    fn open_file(&self, path: &StoredPath) -> Result<OwnedFd, SourceError> {
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        without_a_trace(|more| self.root.with_parent(path, |dir, name| openat(dir, name, flags | more, Mode::empty())))
    }

    fn xattrs(&self, path: &StoredPath, kind: EntryKind) -> Result<Vec<Xattr>, SourceError> {
        if self.has_proc {
            return self
                .root
                .with_parent(path, |dir, name| meta::xattrs(&Reach::named(dir, name)))
                .map_err(source_error);
        }
        match kind {
            EntryKind::File | EntryKind::Directory => {
                let handle = self.open_file(path)?;
                meta::xattrs(&Reach::open(&handle)).map_err(source_error)
            }
            _ => Ok(Vec::new()),
        }
    }
}

impl Source for FolderSource {
    fn list(&self, dir: &StoredPath) -> Result<Listing, SourceError> {
        let handle = self.open_directory(dir)?;
        let is_made_up = fstatfs(&handle).is_ok_and(|about| MADE_UP.contains(&about.f_type));
        if is_made_up {
            return Ok(Listing::default());
        }
        let mut buffer = [const { MaybeUninit::uninit() }; NAMES_BYTES];
        let mut names = RawDir::new(&handle, &mut buffer);
        let mut listing = Listing::default();
        let mut large: Option<Names> = None;
        while let Some(entry) = names.next() {
            let entry = entry.map_err(source_error)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            match &mut large {
                Some(names) => {
                    if !names.push(name) {
                        return Err(SourceError::Io(io::Error::other("its names are too many to be held")));
                    }
                }
                None => look(&handle, name, self.left_out, &mut listing),
            }
            if large.is_none() && listing.entries.len() > LISTED_MAX {
                large = Some(names_of(&mut listing));
            }
        }
        if let Some(mut names) = large {
            names.sort();
            listing.more = Some(Box::new(LargeDirectory { handle, names, left_out: self.left_out }));
        }
        in_order(&mut listing);
        Ok(listing)
    }

    fn stat(&self, path: &StoredPath) -> Result<Stat, SourceError> {
        self.root.with_parent(path, |dir, name| meta::stat_at(dir, name)).map_err(source_error)
    }

    fn details(&self, path: &StoredPath, kind: EntryKind) -> Result<Details, SourceError> {
        let target = match kind {
            EntryKind::Symlink => {
                let link = self.root.with_parent(path, |dir, name| readlinkat(dir, name, Vec::new()));
                link.map_err(|error| if error == Errno::INVAL { SourceError::Replaced } else { source_error(error) })?
                    .into_bytes()
            }
            _ => Vec::new(),
        };
        Ok(Details { xattrs: self.xattrs(path, kind)?, target })
    }

    fn open(&self, path: &StoredPath) -> Result<Box<dyn SourceFile>, SourceError> {
        Ok(Box::new(OpenFile::of(Arc::new(self.open_file(path)?))))
    }

    fn user_name(&self, uid: u32) -> Arc<[u8]> {
        self.owners.user_name(uid)
    }

    fn group_name(&self, gid: u32) -> Arc<[u8]> {
        self.owners.group_name(gid)
    }

    fn owner(&self, meta: &Meta) -> (u32, u32) {
        (self.owners.uid(&meta.user, meta.uid), self.owners.gid(&meta.group, meta.gid))
    }
}

/// Opens for reading with `open`, and leaves no access time behind where that is allowed: to its owner and to root.
fn without_a_trace(open: impl Fn(OFlags) -> rustix::io::Result<OwnedFd>) -> Result<OwnedFd, SourceError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        opened => opened,
    }
    .map_err(source_error)
}

/// What `list` has not looked at.
#[derive(Debug)]
struct LargeDirectory {
    handle: OwnedFd,
    names: Names,
    left_out: Option<(u64, u64)>,
}

impl More for LargeDirectory {
    fn left(&self) -> usize {
        self.names.left()
    }

    fn look(&mut self) -> Listing {
        let mut listing = Listing::default();
        for name in self.names.take(LOOKED_AT_MAX) {
            look(&self.handle, name, self.left_out, &mut listing);
        }
        listing
    }
}

fn look(dir: &OwnedFd, name: &[u8], left_out: Option<(u64, u64)>, listing: &mut Listing) {
    match meta::stat_at(dir, name) {
        Ok(stat) if left_out == Some((stat.device, stat.inode)) => {}
        Ok(stat) => listing.entries.push(Found { name: name.to_vec(), stat }),
        // Gone between the two calls: the same as if it had gone before the first.
        Err(Errno::NOENT) => {}
        Err(error) => listing.problems.push((name.to_vec(), source_error(error))),
    }
}

/// The names of what was listed: there is more than can be held, so all of it is looked at again by the thousand.
fn names_of(listing: &mut Listing) -> Names {
    let mut names = Names::default();
    let Listing { entries, problems, .. } = std::mem::take(listing);
    for name in entries.into_iter().map(|found| found.name).chain(problems.into_iter().map(|(name, _)| name)) {
        let has_room = names.push(&name);
        assert!(has_room, "some thousand names of 255 bytes are no gigabytes");
    }
    names
}

fn in_order(listing: &mut Listing) {
    listing.entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    listing.problems.sort_unstable_by(|a, b| a.0.cmp(&b.0));
}

/// An open file.
pub(super) struct OpenFile(Arc<OwnedFd>);

impl OpenFile {
    /// A file that was opened. Never fails.
    pub const fn of(handle: Arc<OwnedFd>) -> Self {
        Self(handle)
    }
}

impl SourceFile for OpenFile {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SourceError> {
        let mut done = 0;
        while done < bytes.len() {
            match pread(&*self.0, &mut bytes[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(len) => done += len,
                Err(Errno::INTR) => {}
                Err(error) => return Err(source_error(error)),
            }
        }
        Ok(done)
    }

    fn stat(&self) -> Result<Stat, SourceError> {
        let stat = meta::stat_open(&*self.0).map_err(source_error)?;
        if stat.kind == EntryKind::File { Ok(stat) } else { Err(SourceError::Replaced) }
    }

    fn xattrs(&self) -> Result<Vec<Xattr>, SourceError> {
        meta::xattrs(&Reach::open(&*self.0)).map_err(source_error)
    }

    fn extents(&self, size: u64) -> Result<Vec<Extent>, SourceError> {
        let stat = self.stat()?;
        let has_holes = stat.stored < stat.size;
        if size >= READ_AHEAD_BYTES_MIN {
            // Who asks for the stretches of a file reads them one after the other. Advice only: a file system that does
            // not take it reads all the same.
            let _ = fadvise(&*self.0, 0, None, Advice::Sequential);
        }
        let mut extents = Extents::default();
        let mut at = 0;
        while at < size {
            if !has_holes {
                extents.data(size - at);
                break;
            }
            let data = match seek(&*self.0, SeekFrom::Data(at)) {
                Ok(data) => data.clamp(at, size),
                Err(Errno::NXIO) => size,
                // The file system does not tell.
                Err(Errno::INVAL | Errno::NOTSUP) => at,
                Err(error) => return Err(source_error(error)),
            };
            extents.hole(data - at);
            if data == size {
                break;
            }
            let end = match seek(&*self.0, SeekFrom::Hole(data)) {
                Ok(end) => end.clamp(data, size),
                Err(Errno::NXIO | Errno::INVAL | Errno::NOTSUP) => size,
                Err(error) => return Err(source_error(error)),
            };
            // A hole right where the data was just found: the file changes under us, and reading it will tell.
            let end = if end == data { size } else { end };
            extents.data(end - data);
            at = end;
        }
        Ok(extents.0)
    }
}

/// Stretches in order, neighbours of one kind joined.
#[derive(Default)]
struct Extents(Vec<Extent>);

impl Extents {
    fn data(&mut self, len: u64) {
        match self.0.last_mut() {
            Some(Extent::Data(last)) => *last += len,
            _ if len > 0 => self.0.push(Extent::Data(len)),
            _ => {}
        }
    }

    fn hole(&mut self, len: u64) {
        match self.0.last_mut() {
            Some(Extent::Hole(last)) => *last += len,
            _ if len > 0 => self.0.push(Extent::Hole(len)),
            _ => {}
        }
    }
}

fn source_error(error: Errno) -> SourceError {
    match error {
        Errno::NOENT | Errno::STALE => SourceError::Gone,
        Errno::ACCESS | Errno::PERM => SourceError::Denied,
        // A pipe has no place to read at.
        Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO | Errno::SPIPE => SourceError::Replaced,
        other => SourceError::Io(other.into()),
    }
}

#[cfg(test)]
mod tests;
