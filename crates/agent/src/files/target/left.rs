//! What an earlier restore has left: finished files, to be compared, and parts of large ones, to be gone on with.
//! Refuses a part that may be anybody else's: it must be a file of this account alone, with the mark and one name, and
//! nobody may hold its lock. A restore holds that for as long as it writes, so two never write one part.

use super::super::meta;
use super::super::source::OpenFile;
use super::FolderTarget;
use super::dress::Wardrobe;
use super::parts::{KEPT_BYTES_MIN, part_name};
use engine::{EntryKind, Extent, SourceError, SourceFile, Stat, TargetError, There};
use format::{Meta, StoredPath, Xattr};
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock, openat};
use std::sync::Arc;

/// The mode of a part that a later restore may go on with. The sticky bit means nothing on a file; no program sets it
/// with these rights by chance, and dressing a file takes it away.
const MARK: u16 = 0o1600;
/// The mode of a folder that is being filled: one that is left so gets its metadata from the next restore, also from one
/// that keeps what is there. The sticky bit keeps others from taking away what is in it, who may not enter it anyway.
pub(super) const FOLDER_MARK: u16 = 0o1700;
const QUIETLY: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Locks a new part and marks it. Whether both could be done.
pub(super) fn mark(part: &OwnedFd) -> bool {
    flock(part, FlockOperation::NonBlockingLockExclusive).is_ok()
        && fchmod(part, Mode::from_raw_mode(MARK.into())).is_ok()
}

/// Whether a folder looks as one of this account that a restore has made and not finished. Never fails.
pub(super) fn is_unfinished(stat: &Stat) -> bool {
    (stat.mode, stat.uid) == (FOLDER_MARK, rustix::process::geteuid().as_raw())
}

impl FolderTarget {
    /// Takes over the part that an earlier restore has left of a file.
    pub(super) fn take_over(&self, path: &StoredPath, size: u64) -> Option<OpenFile> {
        if size < KEPT_BYTES_MIN {
            return None;
        }
        let part = part_name(path);
        let open = |dir: &OwnedFd| openat(dir, &part, OFlags::RDWR | QUIETLY, Mode::empty());
        let handle = self.root.with_parent(path, |dir, _| open(dir)).ok()?;
        let is_ours = || {
            flock(&handle, FlockOperation::NonBlockingLockExclusive).ok()?;
            // ORDER: looked at when the lock is held. Whoever held it before may have finished the file.
            let stat = meta::stat_open(&handle).ok()?;
            let named = self.root.with_parent(path, |dir, _| meta::stat_at(dir, &part)).ok()?;
            let is_same = (named.device, named.inode) == (stat.device, stat.inode);
            let is_marked = (stat.kind, stat.mode, stat.links) == (EntryKind::File, MARK, 1);
            Some(is_same && is_marked && stat.uid == rustix::process::geteuid().as_raw())
        };
        if !self.parts.reserve(|| is_ours() == Some(true)) {
            return None;
        }
        let handle = Arc::new(handle);
        self.parts.adopt(path, Arc::clone(&handle));
        Some(OpenFile::of(handle))
    }

    /// A finished file that may be the snapshot's. One that has other names too, which may lie anywhere, is taken only
    /// as it is: its metadata would be theirs.
    pub(super) fn find(&self, path: &StoredPath, size: u64, meta: &Meta) -> Option<Finished> {
        let open = |dir: &OwnedFd, name: &[u8]| openat(dir, name, OFlags::RDONLY | QUIETLY, Mode::empty());
        let stat = self.root.with_parent(path, |dir, name| meta::stat_at(dir, name)).ok()?;
        let may_be = |stat: &Stat| (stat.kind, stat.size, stat.mtime) == (EntryKind::File, size, meta.mtime);
        if !may_be(&stat) {
            return None;
        }
        let handle = self.root.with_parent(path, open).ok()?;
        let stat = meta::stat_open(&handle).ok().filter(may_be)?;
        let is_dressed = self.wardrobe.is_dressed(&handle, &stat, meta);
        if !is_dressed && (stat.links > 1 || !self.wardrobe.may_dress(&handle, meta)) {
            return None;
        }
        let handle = Arc::new(handle);
        let file = OpenFile::of(Arc::clone(&handle));
        Some(Finished { handle, file, is_dressed, wardrobe: Arc::clone(&self.wardrobe) })
    }
}

/// A finished file that is there.
pub(super) struct Finished {
    handle: Arc<OwnedFd>,
    file: OpenFile,
    is_dressed: bool,
    wardrobe: Arc<Wardrobe>,
}

impl SourceFile for Finished {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SourceError> {
        self.file.read_at(offset, bytes)
    }

    fn stat(&self) -> Result<Stat, SourceError> {
        self.file.stat()
    }

    fn xattrs(&self) -> Result<Vec<Xattr>, SourceError> {
        self.file.xattrs()
    }

    fn extents(&self, size: u64) -> Result<Vec<Extent>, SourceError> {
        self.file.extents(size)
    }
}

impl There for Finished {
    fn dress(&self, meta: &Meta) -> Vec<TargetError> {
        // What is right already is not set again: it would be a change that the next backup looks into.
        if self.is_dressed {
            return Vec::new();
        }
        match meta::stat_open(&*self.handle) {
            // RACE: it has got another name since it was looked at, which need not be one of this restore.
            Ok(stat) if stat.links > 1 => vec![TargetError::InTheWay],
            Ok(stat) => self.wardrobe.dress_open(&self.handle, &stat, meta),
            Err(error) => vec![super::target_error("setting metadata")(error)],
        }
    }
}

#[cfg(test)]
mod tests;
