//! Upload: sends packs, a few side by side, and says which of them the server keeps. Idempotent by pack id: an upload
//! that is repeated is done once.

use super::Plan;
use crate::ctx::Ctx;
use crate::error::EngineError;
use crate::ports::Remote;
use bytes::Bytes;
use format::{PackId, SealedPack};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc::Receiver;

pub(super) async fn send(
    ctx: &Ctx,
    plan: &Plan,
    remote: &dyn Remote,
    packs: Receiver<SealedPack>,
) -> Result<Vec<PackId>, EngineError> {
    let packs = stream::unfold(packs, async |mut packs| Some((packs.recv().await?, packs)));
    let uploads = packs.map(async |pack| {
        let id = pack.id;
        let uploaded = remote.upload(id, Bytes::from(pack.bytes)).await.map_err(EngineError::Remote)?;
        ctx.progress.add_packs(1);
        // The server keeps no pack of which it has everything: another device has sent the same meanwhile.
        Ok((uploaded.chunks_new > 0).then_some(id))
    });
    let kept = uploads.buffer_unordered(plan.limits.uploads.clamp(1, UPLOADS_MAX));
    kept.try_filter_map(async |id| Ok(id)).try_collect().await
}

/// Uploads side by side, whatever the server would take: each holds a pack in memory.
const UPLOADS_MAX: usize = 4;
