//! Where a restore writes: below one directory, through handles, never through a symbolic link.
//! Refuses to let an entry be seen under its name before it is finished. Order: owner, attributes, mode, times, name.

mod dress;
mod left;
mod nameless;
mod parts;

use super::beneath::Beneath;
use super::meta;
use dress::Wardrobe;
use engine::{EntryKind, SourceFile, Target, TargetError, TargetFile, There};
use format::{EntryBody, Meta, StoredPath};
use parts::{KEPT_BYTES_MIN, Opened, Part, Parts, part_name};
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ftruncate, linkat, makedev, mkdirat, mknodat, openat, renameat, symlinkat,
    unlinkat,
};
use rustix::io::{Errno, pwrite};
use std::collections::HashSet;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A directory into which entries are restored.
#[derive(Debug)]
pub struct FolderTarget {
    root: Beneath,
    parts: Parts,
    wardrobe: Arc<Wardrobe>,
    /// Whether files can be made that have no name yet, as far as is known.
    has_nameless: AtomicBool,
    /// Where what is there stays as it is.
    keeping: Option<Keeping>,
}

/// What a restore has passed over, and which folders it has made itself.
#[derive(Debug, Default)]
struct Keeping {
    kept: AtomicU64,
    made: Mutex<HashSet<StoredPath>>,
}

impl FolderTarget {
    /// The directory `root`, made when it is not there (only its owner may enter it then).
    ///
    /// # Errors
    /// It cannot be made or is no directory.
    pub fn open(root: &Path) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = Beneath::new(openat(CWD, root, flags, Mode::empty())?);
        let (parts, wardrobe) = (Parts::default(), Arc::new(Wardrobe::of_this_process()));
        Ok(Self { root, parts, wardrobe, has_nameless: AtomicBool::new(true), keeping: None })
    }

    /// The same, leaving everything that is there as it is: files, and the metadata of folders. Never fails.
    pub fn keeping(mut self) -> Self {
        self.keeping = Some(Keeping::default());
        self
    }

    /// How many entries were passed over, because something had their name. Never fails.
    pub fn kept(&self) -> u64 {
        self.keeping.as_ref().map_or(0, |keeping| keeping.kept.load(Ordering::Relaxed))
    }

    /// The open part of `path`: the one that this restore made, or a fresh one.
    fn part(&self, path: &StoredPath, size: u64) -> Result<Arc<OwnedFd>, TargetError> {
        self.parts.open(path, |part| match part {
            Part::Held(handle) => Ok(Opened::of(Arc::clone(handle))),
            Part::Known(identity) => self.reopen(path, **identity).map(Arc::new).map(Opened::of),
            Part::Absent => {
                let handle = Arc::new(self.create(path)?);
                let is_kept = size >= KEPT_BYTES_MIN && self.parts.reserve(|| left::mark(&handle));
                Ok(Opened { handle, is_kept })
            }
        })
    }

    fn create(&self, path: &StoredPath) -> Result<OwnedFd, TargetError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let part = part_name(path);
        let created = self.root.with_parent(path, |dir, _| {
            match openat(dir, &part, flags, Mode::from_raw_mode(0o600)) {
                // Left by a restore that was cut short, or put there by somebody: neither is written to.
                Err(Errno::EXIST) => {
                    unlinkat(dir, &part, AtFlags::empty())?;
                    openat(dir, &part, flags, Mode::from_raw_mode(0o600))
                }
                opened => opened,
            }
        });
        created.map_err(target_error("making the file"))
    }

    /// RACE: whoever may write in the directory may have put another file in the part's place; it is not touched.
    fn reopen(&self, path: &StoredPath, identity: (u64, u64)) -> Result<OwnedFd, TargetError> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let part = part_name(path);
        let opened = self.root.with_parent(path, |dir, _| openat(dir, &part, flags, Mode::empty()));
        let handle = opened.map_err(target_error("opening the unfinished file"))?;
        let stat = meta::stat_open(&handle).map_err(target_error("opening the unfinished file"))?;
        if (stat.device, stat.inode) == identity { Ok(handle) } else { Err(TargetError::InTheWay) }
    }

    /// Gives the part its name, or takes it away where the name cannot be had.
    fn rename(&self, path: &StoredPath) -> Result<(), TargetError> {
        let part = part_name(path);
        let renamed = self.root.with_parent(path, |dir, name| renameat(dir, &part, dir, name));
        renamed.map_err(|error| {
            self.remove_part(path);
            target_error("giving it its name")(error)
        })
    }

    /// Takes a part away, if it is there: nobody would know it for what it is.
    fn remove_part(&self, path: &StoredPath) {
        let part = part_name(path);
        // That it is not there is the rule, and no sign that the directory is another one by now.
        let remove = |dir: &OwnedFd| match unlinkat(dir, &part, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            done => done,
        };
        let _ = self.root.with_parent(path, |dir, _| remove(dir));
    }

    /// Makes an entry under the part's name with `make`, replacing what a former restore left there.
    fn make_part(
        &self,
        path: &StoredPath,
        what: &'static str,
        make: impl Fn(&OwnedFd, &[u8]) -> rustix::io::Result<()>,
    ) -> Result<(), TargetError> {
        let part = part_name(path);
        let made = self.root.with_parent(path, |dir, _| match make(dir, &part) {
            Err(Errno::EXIST) => {
                unlinkat(dir, &part, AtFlags::empty())?;
                make(dir, &part)
            }
            done => done,
        });
        made.map_err(target_error(what))
    }
}

impl Target for FolderTarget {
    fn keeps_what_is_there(&self) -> bool {
        self.keeping.is_some()
    }

    fn is_there(&self, path: &StoredPath) -> bool {
        let is_there = self.root.with_parent(path, |dir, name| meta::stat_at(dir, name)).is_ok();
        if let Some(keeping) = self.keeping.as_ref().filter(|_| is_there) {
            keeping.kept.fetch_add(1, Ordering::Relaxed);
        }
        is_there
    }

    fn make_directory(&self, path: &StoredPath) -> Result<bool, TargetError> {
        if path.is_root() {
            return Ok(false);
        }
        let note_made = || {
            if let Some(keeping) = &self.keeping {
                keeping.made.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone());
            }
        };
        let mode = Mode::from_raw_mode(left::FOLDER_MARK.into());
        match self.root.with_parent(path, |dir, name| mkdirat(dir, name, mode)) {
            Ok(()) => {
                note_made();
                Ok(true)
            }
            Err(Errno::EXIST) => {
                let there = self.root.with_parent(path, |dir, name| meta::stat_at(dir, name));
                let stat = there.map_err(target_error("making the folder"))?;
                if stat.kind != EntryKind::Directory {
                    return Err(TargetError::InTheWay);
                }
                if left::is_unfinished(&stat) {
                    note_made();
                }
                if stat.mode & 0o700 == 0o700 || self.keeping.is_some() {
                    return Ok(false);
                }
                let mode = Mode::from_raw_mode(u32::from(stat.mode) | 0o700);
                let handle = self.root.open(path, OFlags::PATH | OFlags::DIRECTORY);
                let opened = handle.and_then(|handle| rustix::fs::chmod(meta::proc_path(&handle), mode));
                opened.map_err(target_error("opening the folder for writing")).map(|()| false)
            }
            Err(error) => Err(target_error("making the folder")(error)),
        }
    }

    fn there(&self, path: &StoredPath, size: u64, meta: &Meta) -> Option<Box<dyn There>> {
        self.find(path, size, meta).map(|there| Box::new(there) as _)
    }

    fn part_left(&self, path: &StoredPath, size: u64) -> Option<Box<dyn SourceFile>> {
        self.take_over(path, size).map(|part| Box::new(part) as _)
    }

    fn open_part(&self, path: &StoredPath, size: u64) -> Result<Box<dyn TargetFile>, TargetError> {
        Ok(Box::new(PartFile(self.part(path, size)?)))
    }

    fn write_file(
        &self,
        path: &StoredPath,
        size: u64,
        bytes: &[u8],
        meta: &Meta,
    ) -> Result<Vec<TargetError>, TargetError> {
        if let Some(problems) = self.write_nameless(path, size, bytes, meta)? {
            // A restore that was killed may have left a part, in a folder that was there.
            self.remove_part(path);
            return Ok(problems);
        }
        engine::write_by_part(self, path, size, bytes, meta)
    }

    fn finish_file(&self, path: &StoredPath, size: u64, meta: &Meta) -> Result<Vec<TargetError>, TargetError> {
        let part = self.part(path, size);
        self.parts.close(path);
        let handle = part?;
        let stat = meta::stat_open(&handle).map_err(target_error("looking at the file"))?;
        if stat.size != size {
            ftruncate(&handle, size).map_err(target_error("giving the file its size"))?;
        }
        let problems = self.wardrobe.dress_open(&handle, &stat, meta);
        self.rename(path)?;
        // ORDER: the mark of a part is off it and its name is another one before its lock is let go of.
        drop(handle);
        Ok(problems)
    }

    fn discard_part(&self, path: &StoredPath) {
        self.parts.close(path);
        self.remove_part(path);
    }

    fn make_special(&self, path: &StoredPath, body: &EntryBody, meta: &Meta) -> Result<Vec<TargetError>, TargetError> {
        let node = |kind: FileType, device: u64| {
            move |dir: &OwnedFd, name: &[u8]| mknodat(dir, name, kind, Mode::from_raw_mode(0o600), device)
        };
        match body {
            EntryBody::Symlink { target } => {
                self.make_part(path, "making the link", |dir, name| symlinkat(target.as_slice(), dir, name))?;
            }
            EntryBody::Fifo => self.make_part(path, "making the pipe", node(FileType::Fifo, 0))?,
            EntryBody::Socket => self.make_part(path, "making the socket", node(FileType::Socket, 0))?,
            EntryBody::CharDevice { major, minor } => {
                let kind = FileType::CharacterDevice;
                self.make_part(path, "making the device entry", node(kind, makedev(*major, *minor)))?;
            }
            EntryBody::BlockDevice { major, minor } => {
                let kind = FileType::BlockDevice;
                self.make_part(path, "making the device entry", node(kind, makedev(*major, *minor)))?;
            }
            EntryBody::File { .. } | EntryBody::Directory { .. } => {
                return Err(TargetError::Unsupported { what: "making a file or folder as a special entry" });
            }
        }
        let part = part_name(path);
        let dressed = self.root.with_parent(path, |dir, _| Ok(self.wardrobe.dress_named(dir, &part, meta)));
        let problems = dressed.map_err(target_error("setting metadata"))?;
        self.rename(path)?;
        Ok(problems)
    }

    fn hard_link(&self, existing: &StoredPath, path: &StoredPath) -> Result<(), TargetError> {
        let link = |dir: &OwnedFd, part: &[u8]| {
            self.root.with_parent(existing, |from, name| linkat(from, name, dir, part, AtFlags::empty()))
        };
        self.make_part(path, "making the hard link", link)?;
        self.rename(path)?;
        // Where the name was a link to the same file already, the kernel's rename does nothing and the part stays.
        self.remove_part(path);
        Ok(())
    }

    fn finish_directory(&self, path: &StoredPath, meta: &Meta) -> Result<Vec<TargetError>, TargetError> {
        let is_kept = self
            .keeping
            .as_ref()
            .is_some_and(|keeping| !keeping.made.lock().unwrap_or_else(PoisonError::into_inner).contains(path));
        // The folder that the person named keeps what they gave it.
        if path.is_root() || is_kept {
            return Ok(Vec::new());
        }
        let opened = self.root.open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK);
        let handle = opened.map_err(target_error("opening the folder"))?;
        let stat = meta::stat_open(&handle).map_err(target_error("opening the folder"))?;
        Ok(self.wardrobe.dress_open(&handle, &stat, meta))
    }
}

impl Drop for FolderTarget {
    /// What was begun and not finished is taken away, but for parts that a later restore goes on with.
    fn drop(&mut self) {
        for path in self.parts.unwanted() {
            self.remove_part(&path);
        }
    }
}

struct PartFile(Arc<OwnedFd>);

impl TargetFile for PartFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), TargetError> {
        write_all(&self.0, offset, bytes)
    }
}

fn write_all(file: &OwnedFd, offset: u64, bytes: &[u8]) -> Result<(), TargetError> {
    let mut done = 0;
    while done < bytes.len() {
        match pwrite(file, &bytes[done..], offset + done as u64) {
            Ok(len) => done += len,
            Err(Errno::INTR) => {}
            Err(error) => return Err(target_error("writing")(error)),
        }
    }
    Ok(())
}

/// The engine's word for the system's, with what was tried. Never fails.
fn target_error(what: &'static str) -> impl Fn(Errno) -> TargetError {
    move |error| match error {
        Errno::NOSPC | Errno::DQUOT => TargetError::Full,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => TargetError::Denied { what },
        Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY | Errno::XDEV => {
            TargetError::InTheWay
        }
        Errno::NOTSUP | Errno::NAMETOOLONG | Errno::INVAL | Errno::MLINK | Errno::FBIG => {
            TargetError::Unsupported { what }
        }
        other => TargetError::Io { what, cause: other.into() },
    }
}

#[cfg(test)]
mod tests;
