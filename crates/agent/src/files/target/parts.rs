//! The unfinished files of one restore: which part belongs to which path, and the handles that are still open.
//! Refuses to trust a name on disk: a part is known by its file system and inode number.

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

/// All unfinished files.
#[derive(Debug, Default)]
pub(super) struct Parts {
    shards: [Mutex<HashMap<StoredPath, Made>>; SHARDS],
    held: AtomicUsize,
}

#[derive(Debug)]
struct Made {
    identity: (u64, u64),
    handle: Option<Arc<OwnedFd>>,
}

impl Parts {
    /// The handle that `open` gives for the part as it stands, remembered.
    ///
    /// # Errors
    /// What `open` says, or the file system fails.
    pub fn open(
        &self,
        path: &StoredPath,
        open: impl FnOnce(&Part<'_>) -> Result<Arc<OwnedFd>, TargetError>,
    ) -> Result<Arc<OwnedFd>, TargetError> {
        let mut shard = self.shard(path);
        if let Some(made) = shard.get(path) {
            return open(&made.handle.as_ref().map_or(Part::Known(&made.identity), Part::Held));
        }
        let handle = open(&Part::Absent)?;
        let stat = meta::stat_open(&handle).map_err(target_error("making the file"))?;
        let held = self.held.load(Relaxed) < HELD_MAX;
        if held {
            self.held.fetch_add(1, Relaxed);
        }
        let made = Made { identity: (stat.device, stat.inode), handle: held.then(|| Arc::clone(&handle)) };
        shard.insert(path.clone(), made);
        Ok(handle)
    }

    /// Forgets the part of a path: it is finished. Never fails.
    pub fn close(&self, path: &StoredPath) {
        let made = self.shard(path).remove(path);
        if made.is_some_and(|made| made.handle.is_some()) {
            self.held.fetch_sub(1, Relaxed);
        }
    }

    /// The paths whose parts were never finished. Never fails.
    pub fn unfinished(&mut self) -> Vec<StoredPath> {
        let mut paths = Vec::new();
        for shard in &mut self.shards {
            paths.extend(shard.get_mut().unwrap_or_else(PoisonError::into_inner).drain().map(|(path, _)| path));
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
