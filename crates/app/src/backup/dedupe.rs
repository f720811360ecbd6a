//! Dedupe: which of the chunks that a device has named are missing. What is not missing is leased to the run.
//! Refuses ids: to claim a chunk, a device shows its ref.

use super::{bitmap, few_or_refuse};
use crate::{App, AppError, DeviceActor, runs};
use base::RunId;
use control::access::Verb;
use db::RunPurpose;
use format::{ChunkId, ChunkRef};

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
    let during = || AppError::db("looking chunks up");
    let mut tx = app.db.read().await.map_err(during())?;
    let missing = db::chunk_missing_list(&mut tx, row.new.repository, &ids).await.map_err(during())?;
    Ok(bitmap(refs.len(), &missing))
}
