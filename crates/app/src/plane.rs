//! What uploads, commits and restores of all devices share in memory, each with its maximum.
//! Refuses to grow: who finds no room waits, for a bounded time, and is then told to come again.

use crate::Config;
use crate::frames::FrameCache;
use base::{Bytes, RunId};
use format::limits::PACK_BYTES_MAX;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// The unit in which memory for uploads is handed out.
pub(crate) const UPLOAD_UNIT: Bytes = Bytes::kib(256);
/// Groups of frames that are read for restores at the same time, all devices together.
const RESTORE_GROUPS_MAX: usize = 32;
/// Runs whose received bytes are remembered until they are written to the database.
const RECEIVED_RUNS_MAX: usize = 100_000;

/// One for each `App`.
pub struct DataPlane {
    /// Memory for packs that are received and verified, in units of `UPLOAD_UNIT`.
    pub(crate) upload_memory: Arc<Semaphore>,
    /// Memory for one whole pack, for an upload that found none of the other: so one of them always gets on, and
    /// uploads never wait for each other in a circle.
    pub(crate) upload_reserve: Arc<Semaphore>,
    /// Packs verified side by side: one for each processor.
    pub(crate) verifiers: Semaphore,
    /// Groups of frames that are read for devices.
    pub(crate) restore_groups: Semaphore,
    /// Dry runs of collections: one at a time.
    pub(crate) dry_runs: Semaphore,
    /// Storage reports that are found out: one at a time.
    pub(crate) reports: Semaphore,
    /// Opened frames.
    pub(crate) frames: FrameCache,
    received: Mutex<HashMap<RunId, Bytes>>,
}

impl DataPlane {
    /// What this configuration allows. Never fails.
    pub fn new(config: &Config) -> Self {
        let shared = config.upload_memory.0.saturating_sub(PACK_BYTES_MAX.0);
        let units = usize::try_from(shared / UPLOAD_UNIT.0).unwrap_or(Semaphore::MAX_PERMITS);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            upload_memory: Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))),
            upload_reserve: Arc::new(Semaphore::new(1)),
            verifiers: Semaphore::new(processors),
            restore_groups: Semaphore::new(RESTORE_GROUPS_MAX),
            dry_runs: Semaphore::new(1),
            reports: Semaphore::new(1),
            frames: FrameCache::new(config.frame_cache),
            received: Mutex::default(),
        }
    }

    /// Counts bytes of a request's body for its run. They reach the run's row with its next change.
    pub(crate) fn received_add(&self, run: RunId, bytes: Bytes) {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        if received.len() >= RECEIVED_RUNS_MAX && !received.contains_key(&run) {
            received.clear();
        }
        *received.entry(run).or_default() += bytes;
    }

    /// Takes out what was counted for a run.
    pub(crate) fn received_take(&self, run: RunId) -> Bytes {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.remove(&run).unwrap_or_default()
    }
}
