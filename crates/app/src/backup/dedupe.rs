//! Dedupe: which of the chunks that a device has named are missing. What is not missing is leased to the run.
//! Refuses ids: to claim a chunk, a device shows its ref.

use super::{bitmap, few_or_refuse};
use crate::{App, AppError, DeviceActor, runs};
use base::{Planted, RunId, is_planted};
use control::access::Verb;
use db::{Claims, RunPurpose};
use format::{ChunkId, ChunkRef};
use std::collections::BTreeSet;

/// A bitmap with a bit for each of `refs`, set when the chunk is missing (bit `i` is bit `i % 8` of byte `i / 8`).
///
/// # Errors
/// As `runs::admit`; `request_too_large`.
pub async fn dedupe(app: &App, actor: &DeviceActor, run: RunId, refs: &[ChunkRef]) -> Result<Vec<u8>, AppError> {
    few_or_refuse(refs.len())?;
    // ORDER: the lease is stored before the answer leaves, or collect could remove a chunk between the two.
    let row = runs::admit(app, actor, run, Some(RunPurpose::Backup), Verb::Append).await?;
    app.plane.received_add(run, base::Bytes(refs.len() as u64 * 32));
    let ids: Vec<ChunkId> = refs.iter().map(ChunkRef::id).collect();
    let claims = claims(app, row.new.repository, &ids).await?;
    let mut missing = claims.missing;
    if is_planted(Planted::ChunksAskedAgain) {
        missing = (0..).take(refs.len()).collect();
    }
    if !claims.condemned.is_empty() {
        missing.extend(rescue(app, &claims.condemned).await?);
    }
    Ok(bitmap(refs.len(), &missing))
}

/// What there is of `chunks`, asked in two halves side by side, each with a connection of its own: most of the time of
/// a question goes into fetching pages, of which each chunk needs another.
///
/// # Errors
/// The database does not answer.
pub async fn claims(app: &App, repository: i64, chunks: &[ChunkId]) -> Result<Claims, AppError> {
    if chunks.len() < HALVED_MIN {
        return half(app, repository, chunks).await;
    }
    let (left, right) = chunks.split_at(chunks.len() / 2);
    // RACE: the halves may see two states. Each chunk is judged by itself, in a state after the lease of its run; what
    // is condemned then is taken back under the write lock.
    let (mut claims, more) = tokio::try_join!(half(app, repository, left), half(app, repository, right))?;
    let position = |position: u32| position + left.len() as u32;
    claims.missing.extend(more.missing.into_iter().map(position));
    claims.condemned.extend(more.condemned.into_iter().map(|(at, pack)| (position(at), pack)));
    Ok(claims)
}

/// Fewer chunks are not worth a second connection.
const HALVED_MIN: usize = 200;

async fn half(app: &App, repository: i64, chunks: &[ChunkId]) -> Result<Claims, AppError> {
    let during = || AppError::db("looking chunks up");
    let mut tx = app.db.read().await.map_err(during())?;
    db::chunk_claim_list(&mut tx, repository, chunks).await.map_err(during())
}

/// Takes back that packs are condemned, because a run relies on them now. Gives the places of chunks whose pack is
/// about to be removed all the same: those are missing.
async fn rescue(app: &App, condemned: &[(u32, i64)]) -> Result<Vec<u32>, AppError> {
    let during = || AppError::db("rescuing condemned packs");
    let packs: BTreeSet<i64> = condemned.iter().map(|(_, pack)| *pack).collect();
    let packs: Vec<i64> = packs.into_iter().collect();
    let mut tx = app.db.write().await.map_err(during())?;
    let rescued = db::pack_rescued_update(&mut tx, &packs).await.map_err(during())?;
    // ORDER: committed before the answer leaves, as the lease is.
    tx.commit().await.map_err(during())?;
    Ok(condemned.iter().filter(|(_, pack)| !rescued.contains(pack)).map(|(position, _)| *position).collect())
}
