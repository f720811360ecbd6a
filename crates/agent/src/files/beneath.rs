//! Opens what lies below one directory, step by step through directory handles.
//! Refuses symbolic links in every component, and so works for paths of any length and against whoever swaps a
//! directory for a link while we look at it.

use format::StoredPath;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::{Errno, Result};
use std::sync::{Arc, Mutex, PoisonError};

/// A directory, and the way to everything below it.
#[derive(Debug)]
pub(super) struct Beneath {
    root: OwnedFd,
    /// Whether the kernel resolves a whole path for us (Linux 5.6); else we take each component ourselves.
    whole_paths: bool,
    /// Directories opened last, newest last: entries are asked for folder by folder.
    recent: Mutex<Vec<(Vec<u8>, Arc<OwnedFd>)>>,
}

/// Directory handles kept open: enough for the engine's threads to work in different folders.
const RECENT_MAX: usize = 8;
/// The longest path in one system call, the final NUL included.
const PATH_BYTES_MAX: usize = 4_096;
/// What a directory on the way is opened with: no right to read it is needed.
const ON_THE_WAY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Beneath the root, and never through a link.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

impl Beneath {
    /// Takes the handle of a directory. Never fails.
    pub fn new(root: OwnedFd) -> Self {
        // A kernel or a sandbox without the call says so now; a real error will come again when it matters.
        let whole_paths = !matches!(
            openat2(&root, ".", ON_THE_WAY, Mode::empty(), RESOLVE),
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL)
        );
        Self { root, whole_paths, recent: Mutex::default() }
    }

    /// As `new`, without the kernel's help. Never fails.
    #[cfg(test)]
    pub fn step_by_step(root: OwnedFd) -> Self {
        Self { root, whole_paths: false, recent: Mutex::default() }
    }

    /// Opens an existing entry; a final symbolic link is never followed.
    ///
    /// # Errors
    /// The system's word; `ELOOP` or `ENOTDIR` where a link is in the way.
    pub fn open(&self, path: &StoredPath, flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut rest = path.as_bytes();
        let mut at: Option<OwnedFd> = None;
        while let Some(len) = self.first_step(rest) {
            let from = at.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            let next = self.step(from, &rest[..len], ON_THE_WAY)?;
            at = Some(next);
            rest = &rest[len + 1..];
        }
        let from = at.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
        self.step(from, if rest.is_empty() { b"." } else { rest }, flags)
    }

    /// Calls `work` with the handle of the directory that holds the entry, and the entry's name; for the root, with
    /// the root itself and `.`. `work` may be called twice: the second time when a remembered handle was stale.
    ///
    /// # Errors
    /// The way cannot be opened, or what `work` says.
    pub fn with_parent<T>(&self, path: &StoredPath, work: impl Fn(&OwnedFd, &[u8]) -> Result<T>) -> Result<T> {
        let Some((parent, name)) = path.parent().zip(path.name()) else { return work(&self.root, b".") };
        if parent.is_root() {
            return work(&self.root, name);
        }
        if let Some(handle) = self.recall(parent.as_bytes()) {
            match work(&handle, name) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::STALE) => self.discard(parent.as_bytes()),
                done => return done,
            }
        }
        let handle = Arc::new(self.open(&parent, ON_THE_WAY)?);
        self.remember(parent.into_bytes(), Arc::clone(&handle));
        work(&handle, name)
    }

    /// How much of `rest` must be opened before what follows it can be; `None` when all of it can be opened at once.
    fn first_step(&self, rest: &[u8]) -> Option<usize> {
        let is_slash = |byte: &u8| *byte == b'/';
        if !self.whole_paths {
            return rest.iter().position(is_slash);
        }
        if rest.len() < PATH_BYTES_MAX {
            return None;
        }
        rest[..PATH_BYTES_MAX].iter().rposition(is_slash)
    }

    fn step(&self, from: impl AsFd + Copy, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        if self.whole_paths {
            openat2(from, path, flags, Mode::empty(), RESOLVE)
        } else {
            openat(from, path, flags, Mode::empty())
        }
    }

    fn recall(&self, dir: &[u8]) -> Option<Arc<OwnedFd>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().rev().find(|(path, _)| path == dir).map(|(_, handle)| Arc::clone(handle))
    }

    fn remember(&self, dir: Vec<u8>, handle: Arc<OwnedFd>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= RECENT_MAX {
            recent.remove(0);
        }
        recent.push((dir, handle));
    }

    fn discard(&self, dir: &[u8]) {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).retain(|(path, _)| path != dir);
    }
}
