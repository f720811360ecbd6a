//! Makes two records of one machine one: the other's snapshots are shown and read under the one that stays.
//! Refuses records of different users, and one that is merged or deleted already.

use super::{Conflict, UNDO_SPAN, finish, record, states, unfit};
use crate::{AdminActor, App, AppError, effects};
use base::{ConflictId, DeviceId, Timestamp};
use control::{Event, Permit, State, lifecycle};
use db::{ConflictKind, ConflictRow, ConflictStatus, DeviceRow, Tx};

/// Merges record `other` into record `keep`, both of one user and one machine: its snapshots are shown and read there.
///
/// # Errors
/// `device_unknown`; `merge_unfit` for records of different users, a record and itself, or one that is merged already;
/// `not_permitted`.
pub async fn merge(app: &App, actor: &AdminActor, keep: DeviceId, other: DeviceId) -> Result<Conflict, AppError> {
    actor.need(Permit::DeviceManage)?;
    let now = app.clock.now();
    let during = || AppError::db("merging records");
    let mut tx = app.db.write().await.map_err(during())?;
    let device = record(&mut tx, keep).await?;
    let id = ConflictId::mint(app.entropy.as_ref());
    let row = ConflictRow {
        // Nobody has seen it: an admin has said so.
        times: 0,
        resolved_at: Some(now),
        resolved_by: Some(actor.to_string()),
        undo_until: Some(now + UNDO_SPAN),
        other: Some(other),
        ..ConflictRow::open(id, keep, ConflictKind::Records, device.about.host_name.clone(), now)
    };
    let before = states(&mut tx, &row).await?;
    let other = record(&mut tx, other).await?;
    let suspended = merge_into(app, &mut tx, now, &device, &other).await?;
    let row = ConflictRow { status: ConflictStatus::Merged, before: Some(u64::from(suspended)), ..row };
    db::conflict_insert(&mut tx, &row).await.map_err(during())?;
    db::conflict_update(&mut tx, &row).await.map_err(during())?;
    finish(app, tx, now, actor, "conflict_merge", (before, row)).await
}

/// Merges the two records of a conflict: into `keep`, or into the one that was heard of last.
pub(super) async fn decided(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    row: ConflictRow,
    device: &DeviceRow,
    keep: Option<DeviceId>,
) -> Result<ConflictRow, AppError> {
    let other = record(tx, row.other.ok_or_else(unfit)?).await?;
    let keep = keep.unwrap_or_else(|| latest(device, &other).id);
    let (stays, goes) = match keep {
        keep if keep == device.id => (device, &other),
        keep if keep == other.id => (&other, device),
        _ => return Err(unfit()),
    };
    let suspended = merge_into(app, tx, now, stays, goes).await?;
    let (device, other, before) = (stays.id, Some(goes.id), Some(u64::from(suspended)));
    Ok(ConflictRow { status: ConflictStatus::Merged, device, other, before, ..row })
}

/// The record that was heard of last, or activated last where that was later: the machine uses it. Never fails.
pub(super) fn latest<'a>(one: &'a DeviceRow, other: &'a DeviceRow) -> &'a DeviceRow {
    let heard_of = |record: &DeviceRow| record.last_seen_at.max((record.epoch > 0).then_some(record.activated_at));
    if heard_of(other) > heard_of(one) { other } else { one }
}

/// Merges `other` into `device`. Gives whether it was suspended for that.
async fn merge_into(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: &DeviceRow,
    other: &DeviceRow,
) -> Result<bool, AppError> {
    let during = || AppError::db("merging records");
    let unfit = |what: &str| AppError::conflict("merge_unfit", format!("These records cannot be merged: {what}."));
    if other.id == device.id {
        return Err(unfit("they are one record"));
    }
    if other.user != device.user {
        return Err(unfit("they belong to different users"));
    }
    let merged = db::device_merged_get(tx, other.id).await.map_err(during())?.is_some()
        || db::device_merged_get(tx, device.id).await.map_err(during())?.is_some()
        || !db::device_merged_list(tx, other.id).await.map_err(during())?.is_empty();
    if merged {
        return Err(unfit("one of them is merged with another already"));
    }
    if matches!(other.state, State::Deleted { .. } | State::Purged)
        || matches!(device.state, State::Deleted { .. } | State::Purged)
    {
        return Err(unfit("one of them was deleted"));
    }
    db::device_merged_update(tx, other.id, Some(device.id)).await.map_err(during())?;
    // A record that is not in service anyway stays as it is.
    let Ok(step) = lifecycle::step(now, &other.state, &Event::Suspend) else { return Ok(false) };
    effects::carry_out(app, tx, now, other.clone(), step, None).await?;
    Ok(true)
}
