//! Locate: near which other chunks each chunk lies, so that a device asks for neighbours together.
//! Refuses to say more: the numbers only compare.

use super::admit;
use crate::{App, AppError, DeviceActor};
use base::RunId;
use control::Refusal;
use format::{ChunkId, ChunkRef};

/// The place of a chunk that is not there.
pub const NOWHERE: u64 = u64::MAX;

/// A number for each of `refs`: equal numbers share a frame, near ones a pack; `NOWHERE` for a missing chunk.
///
/// # Errors
/// As `runs::admit`; `request_too_large`.
pub async fn locate(app: &App, actor: &DeviceActor, run: RunId, refs: &[ChunkRef]) -> Result<Vec<u64>, AppError> {
    if refs.len() as u64 > crate::runs::REFS_MAX.0 {
        return Err(Refusal::RequestTooLarge.into());
    }
    let (row, _) = admit(app, actor, run).await?;
    let ids: Vec<ChunkId> = refs.iter().map(ChunkRef::id).collect();
    let during = || AppError::db("looking chunks up");
    let mut tx = app.db.read().await.map_err(during())?;
    let mut places = vec![NOWHERE; refs.len()];
    for place in db::chunk_list(&mut tx, row.new.repository, &ids).await.map_err(during())? {
        places[place.position as usize] = place.pack.cast_unsigned() << 24 | u64::from(place.frame);
    }
    Ok(places)
}
