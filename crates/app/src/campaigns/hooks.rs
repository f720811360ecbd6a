//! What other use cases tell the campaigns, in their own transactions. Refuses to fail for a device of no campaign.

use super::turns;
use crate::{App, AppError};
use base::{Bytes, DeviceId, Timestamp};
use control::{Proof, Refusal, Rights, State};
use db::{DeviceRow, RunCounters, SnapshotNew, TurnEvidence, TurnStatus, Tx};

/// A device has come back to its record from `was`, or has been shown to be what it says: to be said in the transaction
/// that binds its key, or that gives it full rights. Where it was the last of its campaign, that closes by it. What is
/// back unproved stays so until it has full rights: the key that it has shown nothing with shows nothing later either.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn came_back(
    tx: &mut Tx,
    now: Timestamp,
    row: &DeviceRow,
    was: &State,
    proof: Proof,
) -> Result<(), AppError> {
    let device = row.id;
    let status = if proof.shows(was) { TurnStatus::Done } else { TurnStatus::Unproved };
    let is_whole = row.state.rights() == Some(Rights::Full);
    let marked = db::campaign_device_back_update(tx, device, status, is_whole, proof.word(), now).await;
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
    // That a person is needed is where it stands anyway, and no refusal of its own; nor is a server that is busy.
    let of_others = ["sign_in_needed", "device_deactivated", "already_active", "server_busy", "too_many_requests"];
    if of_others.contains(&code) {
        return Ok(());
    }
    let kept = db::campaign_device_refused_update(tx, device, code, now).await;
    kept.map_err(AppError::db("keeping why a device was refused"))
}

/// The same in a transaction of its own, where the device is known: its newest key has signed the request. What a
/// machine only says of itself marks no device: anybody can say it.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn refused(app: &App, device: Option<DeviceId>, refusal: &Refusal) -> Result<(), AppError> {
    let Some(device) = device else { return Ok(()) };
    let during = || AppError::db("keeping why a device was refused");
    let mut tx = app.db.write().await.map_err(during())?;
    came_refused(&mut tx, app.clock.now(), device, refusal.code()).await?;
    tx.commit().await.map_err(during())
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
