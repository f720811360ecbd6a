//! Goes through the table of chunks beside what is needed of it, and through the packs.
//! Refuses to read a pack: what a chunk stands for in the store, the index says.

use super::graph::Shared;
use super::{Progress, StorageTotals};
use crate::jobs::Held;
use crate::{App, AppError};
use base::{Bytes as Size, Count};

/// Chunks, and packs, that are read at once.
const CHUNKS: u32 = 20_000;
const PACKS: u32 = 1_000;

/// Weighs a repository. Gives whether it came to the end; not so when the process ends.
///
/// # Errors
/// `job_taken_over`; the database does not answer.
pub(super) async fn weigh(
    app: &App,
    held: &Held<'_>,
    repository: i64,
    shared: &Shared,
    totals: &mut StorageTotals,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<bool, AppError> {
    let during = || AppError::db("weighing chunks");
    let mut after = None;
    loop {
        if !held.goes_on(app).await? {
            return Ok(false);
        }
        let mut tx = app.db.read().await.map_err(during())?;
        let chunks = db::chunk_stored_list(&mut tx, repository, after, CHUNKS).await.map_err(during())?;
        drop(tx);
        let Some(last) = chunks.last() else { break };
        after = Some(last.id);
        totals.chunks += Count::of(chunks.len());
        totals.missing += shared.with(move |graph| graph.weigh(&chunks)).await?;
        progress(Progress::Weighs { chunks: totals.chunks });
    }
    totals.missing += shared.with(|graph| graph.missing_after()).await?;
    packs(app, held, repository, totals).await
}

async fn packs(app: &App, held: &Held<'_>, repository: i64, totals: &mut StorageTotals) -> Result<bool, AppError> {
    let during = || AppError::db("weighing packs");
    let mut after = 0;
    loop {
        if !held.goes_on(app).await? {
            return Ok(false);
        }
        let mut tx = app.db.read().await.map_err(during())?;
        let packs = db::pack_stored_list(&mut tx, repository, after, PACKS).await.map_err(during())?;
        drop(tx);
        let Some(last) = packs.last() else { return Ok(true) };
        after = last.seq;
        for pack in packs {
            totals.packs += Count(1);
            totals.bytes += pack.bytes;
            totals.framing += Size(pack.bytes.0.saturating_sub(pack.sealed.0));
            totals.condemned += if pack.is_condemned { pack.bytes } else { Size(0) };
        }
    }
}

/// What is left when all that is needed has its share is needed by nobody. Never fails.
///
/// A pack may have left since its chunks were weighed: then the sum is what was found, so that rows add up to it.
pub(super) fn settled(totals: StorageTotals, stored: Size) -> StorageTotals {
    let known = stored + totals.framing;
    let unneeded = Size(totals.bytes.0.saturating_sub(known.0));
    StorageTotals { unneeded, bytes: known + unneeded, ..totals }
}
