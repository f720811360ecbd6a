//! Verify: asks the server for every pack that was sent, before the snapshot that needs them is handed in.

use super::Plan;
use crate::error::EngineError;
use crate::ports::Remote;
use format::PackId;

pub(super) async fn check(plan: &Plan, remote: &dyn Remote, sent: &[PackId]) -> Result<(), EngineError> {
    for packs in sent.chunks(plan.limits.refs.max(1)) {
        if !remote.verify(packs).await.map_err(EngineError::Remote)?.is_empty() {
            return Err(EngineError::Answer { step: "verify" });
        }
    }
    Ok(())
}
