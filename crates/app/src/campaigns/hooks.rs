//! What other use cases tell the campaigns, in their own transactions. Refuses to fail for a device of no campaign.

use super::turns;
use crate::AppError;
use base::{Bytes, DeviceId, Timestamp};
use control::Proof;
use db::{RunCounters, SnapshotNew, TurnEvidence, Tx};

/// A device has come back to its record: to be said in the transaction that binds its key. Where it was the last of its
/// campaign, that closes by it.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn came_back(tx: &mut Tx, now: Timestamp, device: DeviceId, proof: Proof) -> Result<(), AppError> {
    let marked = db::campaign_device_back_update(tx, device, proof.word(), now).await;
    if marked.map_err(AppError::db("marking a device as back"))?.0 == 0 {
        return Ok(());
    }
    let done = db::campaign_list_done_by_device(tx, device).await;
    for campaign in done.map_err(AppError::db("listing the campaigns that are done"))? {
        turns::close_settled(tx, now, campaign).await?;
    }
    Ok(())
}

/// A device that is known by its key has tried to come back, and was refused.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn came_refused(tx: &mut Tx, now: Timestamp, device: DeviceId, code: &str) -> Result<(), AppError> {
    // That a person is needed is where it stands anyway, and no refusal of its own.
    if matches!(code, "sign_in_needed" | "device_deactivated" | "already_active") {
        return Ok(());
    }
    let kept = db::campaign_device_refused_update(tx, device, code, now).await;
    kept.map_err(AppError::db("keeping why a device was refused"))
}

/// A device has a new snapshot: to be said in the transaction that commits it.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn backed_up(
    tx: &mut Tx,
    snapshot: &SnapshotNew,
    counters: &RunCounters,
    bytes_read: Option<Bytes>,
) -> Result<(), AppError> {
    let during = || AppError::db("keeping the evidence of a backup");
    db::device_good_update(tx, snapshot.device, snapshot.committed_at).await.map_err(during())?;
    let evidence = TurnEvidence {
        bytes_read,
        bytes_sent: counters.bytes_received,
        bytes_covered: snapshot.totals.bytes,
        snapshot: snapshot.id,
        at: snapshot.committed_at,
    };
    db::campaign_device_evidence_update(tx, snapshot.device, &evidence).await.map_err(during())
}
