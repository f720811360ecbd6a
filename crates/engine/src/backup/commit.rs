//! Commit: seals and signs the manifest and hands it in. When the server answers, the snapshot is durable.

use super::problems::Collected;
use super::{Outcome, Plan};
use crate::ctx::Ctx;
use crate::error::EngineError;
use crate::ports::Remote;
use base::Timestamp;
use bytes::Bytes;
use format::{ChunkRef, Manifest, ObjectHeader, Totals};

pub(super) async fn hand_in(
    ctx: &Ctx,
    plan: &Plan,
    remote: &dyn Remote,
    began_at: Timestamp,
    (root, totals): (ChunkRef, Totals),
    problems: Collected,
) -> Result<Outcome, EngineError> {
    let mut folders = plan.folders.clone();
    folders.sort();
    folders.dedup();
    let manifest = Manifest {
        snapshot: plan.snapshot,
        device: plan.device,
        repository: plan.repository,
        root,
        parent: plan.parent.as_ref().map(|parent| parent.snapshot),
        began_at,
        ended_at: ctx.clock.now(),
        totals,
        partial: plan.facts.partial,
        folders,
        device_name: plan.facts.device_name.clone(),
        os: plan.facts.os.clone(),
        agent_version: plan.facts.agent.clone(),
        problems: problems.listed,
    };
    let header = ObjectHeader::mint(plan.key_id, plan.run, &*ctx.entropy);
    let sealed = manifest
        .seal(&plan.run_key, &header, |bytes| (plan.sign)(bytes))
        .map_err(|cause| EngineError::Format { what: "manifest", cause })?;
    let committed = remote.commit(Bytes::from(sealed)).await.map_err(EngineError::Remote)?;
    Ok(Outcome { snapshot: plan.snapshot, root, began_at, totals, problems: problems.kept, committed })
}
