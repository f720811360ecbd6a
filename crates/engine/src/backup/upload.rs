//! Upload: sends packs, a few side by side. Idempotent by pack id: an upload that is repeated is done once.

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
        remote.upload(id, Bytes::from(pack.bytes)).await.map_err(EngineError::Remote)?;
        ctx.progress.add_packs(1);
        Ok(id)
    });
    uploads.buffer_unordered(plan.limits.uploads.clamp(1, UPLOADS_MAX)).try_collect().await
}

/// Uploads side by side, whatever the server would take: each holds a pack in memory.
const UPLOADS_MAX: usize = 4;
