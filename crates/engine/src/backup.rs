//! One backup, top to bottom: scan, chunk, dedupe, pack, upload run side by side over bounded queues; then verify,
//! then commit. `begin` is the caller's: it brings the plan. Refuses to end for one unreadable entry.
//! Each step is a file of its own below `backup/`, and has the same word on the wire and in `app`.

mod assemble;
mod chunk;
mod commit;
mod dedupe;
mod pack;
mod problems;
mod scan;
mod upload;
mod verify;

use crate::changes::Changes;
use crate::ctx::Ctx;
use crate::error::EngineError;
use crate::ports::{Committed, Remote, Source, TreeCache};
use crate::report::Problem;
use crate::trees::TreeReader;
use base::{Bytes, DeviceId, RepositoryId, RunId, SnapshotId, Timestamp};
use format::{ChunkRef, NamingKey, RunKey, StoredPath};
use problems::Problems;
use std::sync::Arc;
use tokio::sync::mpsc::channel;
use tokio::try_join;

/// Backs up the plan's folders as one snapshot.
///
/// # Errors
/// The server refuses or cannot be reached, or none of the folders can be read. A run that ends in an error leaves
/// what it uploaded to the next run, and no snapshot.
pub async fn run(
    ctx: &Ctx,
    plan: &Plan,
    source: Arc<dyn Source>,
    remote: Arc<dyn Remote>,
    cache: Arc<dyn TreeCache>,
) -> Result<Outcome, EngineError> {
    let began_at = ctx.clock.now();
    let problems = Problems::new(Arc::clone(&ctx.progress));
    let trees = TreeReader::new(plan.naming.clone(), Arc::clone(&remote), Arc::clone(&cache));
    let trees = trees.with_refs_max(plan.limits.refs);
    let trees =
        if plan.parent.as_ref().is_some_and(|parent| !parent.is_readable) { trees.of_cache_alone() } else { trees };
    let trees = Arc::new(trees);
    let (steps_tx, steps_rx) = channel(STEP_BATCHES_MAX);
    let (chunks_tx, chunks_rx) = channel(CHUNK_BATCHES_MAX);
    let (missing_tx, missing_rx) = channel(CHUNK_BATCHES_MAX);
    let (packs_tx, packs_rx) = channel(PACKS_MAX);

    let ((), root, (), (), sent) = try_join!(
        scan::walk(ctx, plan, &source, &trees, &problems, steps_tx),
        chunk::cut(ctx, plan, &source, &*cache, &problems, steps_rx, chunks_tx),
        dedupe::ask(ctx, plan, &*remote, chunks_rx, missing_tx),
        pack::fill(ctx, plan, missing_rx, packs_tx),
        upload::send(ctx, plan, &*remote, packs_rx),
    )?;
    verify::check(plan, &*remote, &sent).await?;
    commit::hand_in(ctx, plan, &*remote, began_at, root, problems.into_collected()).await
}

/// What to back up, with the keys of the open run.
pub struct Plan {
    /// The folders, as stored paths; the empty path is everything.
    pub folders: Vec<StoredPath>,
    /// The open run.
    pub run: RunId,
    /// The name of the snapshot that it makes.
    pub snapshot: SnapshotId,
    /// Whose it is.
    pub device: DeviceId,
    /// Where it goes.
    pub repository: RepositoryId,
    /// Names chunks.
    pub naming: NamingKey,
    /// Seals this run's packs.
    pub run_key: RunKey,
    /// The repository key from which the run key comes.
    pub key_id: u32,
    /// The snapshot to go on from.
    pub parent: Option<Parent>,
    /// What the manifest says of the device.
    pub facts: Facts,
    /// What the server takes at once.
    pub limits: Limits,
    /// Signs the manifest with the device's key.
    pub sign: Sign,
}

/// Signs bytes with the device's key: Ed25519.
pub type Sign = Arc<dyn Fn(&[u8]) -> [u8; 64] + Send + Sync>;

/// The snapshot to go on from.
#[derive(Clone, Debug)]
pub struct Parent {
    /// Its name.
    pub snapshot: SnapshotId,
    /// Its root tree.
    pub root: ChunkRef,
    /// The device's clock when its run began.
    pub began_at: Timestamp,
    /// Whether the server lets its trees be read. Where not, what the cache lacks is not known, and read again.
    pub is_readable: bool,
    /// Where anything may have changed since before its run began, of the same folders and the same selection of
    /// them; where that is not known, everything is looked at.
    pub changes: Option<Changes>,
}

/// What a manifest says of the device and of the run, for people.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The computer's name.
    pub device_name: String,
    /// Its operating system.
    pub os: String,
    /// The endpoint's release.
    pub agent: String,
    /// Whether the run is of some folders that a person has named, and not of all that the device is to back up.
    pub partial: bool,
}

/// What the server takes at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest pack.
    pub pack_bytes: Bytes,
    /// Uploads side by side.
    pub uploads: usize,
    /// Refs or pack ids in one request.
    pub refs: usize,
}

/// A snapshot was made.
#[derive(Debug)]
pub struct Outcome {
    /// Its name.
    pub snapshot: SnapshotId,
    /// Its root tree.
    pub root: ChunkRef,
    /// The device's clock when the run began, as the manifest has it.
    pub began_at: Timestamp,
    /// What is in it.
    pub totals: format::Totals,
    /// What went wrong with single entries, the first so many.
    pub problems: Vec<Problem>,
    /// What the server said.
    pub committed: Committed,
}

/// Batches of steps that the scan may be ahead of reading.
const STEP_BATCHES_MAX: usize = 8;
/// Batches of chunks that wait for an answer, or for a frame. One holds at most about 4 MiB.
const CHUNK_BATCHES_MAX: usize = 1;
/// Packs that wait for an upload.
const PACKS_MAX: usize = 1;

/// A chunk on its way through dedupe and pack.
struct NewChunk {
    kind: format::ChunkKind,
    chunk: ChunkRef,
    plain: bytes::Bytes,
}
