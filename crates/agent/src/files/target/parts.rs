//! The unfinished files of one restore: which part belongs to which path, and the handles that are still open.
//! Refuses to trust a name on disk: a part is known by its open handle, or by its file system and inode number.

use super::super::meta;
use super::target_error;
use engine::TargetError;
use format::StoredPath;
use rustix::fd::OwnedFd;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts kept open at once; the others are opened again for each piece that arrives.
const HELD_MAX: usize = 128;
/// Files from this size have parts that a later restore can go on with; smaller ones are quickly fetched again.
pub(super) const KEPT_BYTES_MIN: u64 = 8 << 20;
/// So many of them at once, open and locked as long as they are under way.
const KEPT_MAX: usize = 64;
/// A part that is worth being left: less is not much to fetch.
const LEFT_BYTES_MIN: u64 = 1 << 20;
/// Locks, so that threads that make files rarely wait for each other.
const SHARDS: usize = 16;

/// How a part stands when it is asked for.
pub(super) enum Part<'a> {
    /// This restore has not made it.
    Absent,
    /// It was made, with this file system and inode number, and is not open.
    Known(&'a (u64, u64)),
    /// It is open.
    Held(&'a Arc<OwnedFd>),
}

/// A part that was opened.
pub(super) struct Opened {
    pub handle: Arc<OwnedFd>,
    /// Whether it was reserved for: it stays open until it is finished, and is left to a later restore otherwise.
    pub is_kept: bool,
}

impl Opened {
    /// One like all others. Never fails.
    pub fn of(handle: Arc<OwnedFd>) -> Self {
        Self { handle, is_kept: false }
    }
}

/// All unfinished files.
#[derive(Debug, Default)]
pub(super) struct Parts {
    shards: [Mutex<HashMap<StoredPath, Made>>; SHARDS],
    held: AtomicUsize,
    kept: AtomicUsize,
}

#[derive(Debug)]
enum Made {
    /// Not open: only so can another file have got its name.
    Closed {
        identity: (u64, u64),
    },
    Open {
        handle: Arc<OwnedFd>,
        is_kept: bool,
    },
}

impl Parts {
    /// The handle that `open` gives for the part as it stands, remembered.
    ///
    /// # Errors
    /// What `open` says, or the file system fails.
    pub fn open(
        &self,
        path: &StoredPath,
        open: impl FnOnce(&Part<'_>) -> Result<Opened, TargetError>,
    ) -> Result<Arc<OwnedFd>, TargetError> {
        let mut shard = self.shard(path);
        match shard.get(path) {
            Some(Made::Open { handle, .. }) => return Ok(open(&Part::Held(handle))?.handle),
            Some(Made::Closed { identity }) => return Ok(open(&Part::Known(identity))?.handle),
            None => {}
        }
        let Opened { handle, is_kept } = open(&Part::Absent)?;
        let made = if is_kept || self.held.load(Relaxed) < HELD_MAX {
            self.held.fetch_add(usize::from(!is_kept), Relaxed);
            Made::Open { handle: Arc::clone(&handle), is_kept }
        } else {
            let stat = meta::stat_open(&handle).map_err(target_error("making the file"))?;
            Made::Closed { identity: (stat.device, stat.inode) }
        };
        shard.insert(path.clone(), made);
        Ok(handle)
    }

    /// Whether one more part may be kept, and `mark` has made it one. Never fails.
    pub fn reserve(&self, mark: impl FnOnce() -> bool) -> bool {
        if self.kept.fetch_add(1, Relaxed) < KEPT_MAX && mark() {
            return true;
        }
        self.kept.fetch_sub(1, Relaxed);
        false
    }

    /// Knows a part that was reserved for and is open already. Never fails.
    pub fn adopt(&self, path: &StoredPath, handle: Arc<OwnedFd>) {
        self.shard(path).insert(path.clone(), Made::Open { handle, is_kept: true });
    }

    /// Forgets the part of a path: it is finished. Never fails.
    pub fn close(&self, path: &StoredPath) {
        let made = self.shard(path).remove(path);
        match made {
            Some(Made::Open { is_kept: true, .. }) => drop(self.kept.fetch_sub(1, Relaxed)),
            Some(Made::Open { is_kept: false, .. }) => drop(self.held.fetch_sub(1, Relaxed)),
            Some(Made::Closed { .. }) | None => {}
        }
    }

    /// The paths whose parts were never finished and are of no use to a later restore. Never fails.
    pub fn unwanted(&mut self) -> Vec<StoredPath> {
        let is_unwanted = |made: &Made| match made {
            Made::Open { handle, is_kept: true } => {
                meta::stat_open(handle).is_ok_and(|stat| stat.stored < LEFT_BYTES_MIN)
            }
            Made::Open { .. } | Made::Closed { .. } => true,
        };
        let mut paths = Vec::new();
        for shard in &mut self.shards {
            let parts = shard.get_mut().unwrap_or_else(PoisonError::into_inner).drain();
            paths.extend(parts.filter(|(_, made)| is_unwanted(made)).map(|(path, _)| path));
        }
        paths
    }

    fn shard(&self, path: &StoredPath) -> MutexGuard<'_, HashMap<StoredPath, Made>> {
        let number = usize::from(blake3::hash(path.as_bytes()).as_bytes()[0]) % SHARDS;
        self.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name that the unfinished entry of `path` has, in the same directory. Never fails.
pub(super) fn part_name(path: &StoredPath) -> Vec<u8> {
    let digits = blake3::hash(path.as_bytes()).to_hex();
    [b".holdfast-part-", &digits.as_bytes()[..16]].concat()
}
