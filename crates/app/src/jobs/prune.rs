//! Lets go of snapshots by retention, and removes them once the undo period is over; keeps again what a changed policy,
//! a pin or a hold keeps. Refuses to remove one that is being restored, and to go by a clock that has jumped ahead.
//! Rules: docs/control.md, "Retention". The packs stay for the collector.

use crate::audit::{self, Deed};
use crate::retention::{JOB, removed_after, rules, verdicts};
use crate::snapshots::store_name;
use crate::{App, AppError, chain};
use base::{DeviceId, SnapshotId, Span, Timestamp, UserId};
use control::retention::time;
use db::{JobStateRow, Tx};
use format::ObjectName;

/// Devices that are looked at in one tick.
const DEVICES: u32 = 500;
/// How long after the beginning of a round the next one begins, at the earliest.
const ROUND: Span = Span::hours(1);
/// How long the manifest of a snapshot that was removed stays: longer than any request that may be reading it.
pub(crate) const READING_SPAN: Span = Span::hours(2);
/// Snapshots that one row of the audit log names.
const NAMED_MAX: usize = 10;

/// One tick: the next devices. May be repeated and killed at any point.
///
/// # Errors
/// The database does not answer when it is asked what there is to do. A device that fails is logged, and meets the
/// next round.
pub(super) async fn tick(app: &App) -> Result<(), AppError> {
    let during = || AppError::db("reading how far pruning is");
    let clock = app.clock.now();
    let mut tx = app.db.read().await.map_err(during())?;
    let state = db::job_state_get(&mut tx, JOB).await.map_err(during())?;
    let mut state = state.unwrap_or(JobStateRow { cursor: None, due: clock, at: clock, clock });
    state.at = time(state.at, state.clock, clock);
    state.clock = clock;
    let is_between = state.cursor.is_none() && state.due > clock && state.due.since(clock) <= ROUND;
    if !is_between {
        let after = state.cursor.take().and_then(|cursor| cursor.try_into().ok()).map(DeviceId::from_bytes);
        let devices = db::snapshot_device_list(&mut tx, after, DEVICES).await.map_err(during())?;
        drop(tx);
        for (device, user) in &devices {
            if let Err(error) = judge(app, *device, *user, state.at).await {
                let code = error.code();
                tracing::warn!(code, "pruning {device} failed and is tried again: {}", chain(&error));
            }
        }
        match devices.last() {
            Some((device, _)) if devices.len() == DEVICES as usize => state.cursor = Some(device.as_bytes().to_vec()),
            Some(_) | None => state.due = clock + ROUND,
        }
    }
    let during = || AppError::db("keeping how far pruning is");
    let mut tx = app.db.write().await.map_err(during())?;
    db::job_state_update(&mut tx, JOB, &state).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

/// What is to be done with the snapshots of a device.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    expire: Vec<SnapshotId>,
    keep: Vec<SnapshotId>,
    remove: Vec<SnapshotId>,
}

/// Looks at the snapshots of one device, and carries out what follows.
async fn judge(app: &App, device: DeviceId, user: UserId, now: Timestamp) -> Result<(), AppError> {
    let during = || AppError::db("judging snapshots");
    let mut tx = app.db.read().await.map_err(during())?;
    if changes(app, &mut tx, device, user, now).await? == Changes::default() {
        return Ok(());
    }
    drop(tx);
    let clock = app.clock.now();
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: a commit, a pin, a hold, a restore or a policy that came since is seen here, under the write lock.
    let changes = changes(app, &mut tx, device, user, now).await?;
    for id in &changes.keep {
        db::snapshot_expired_update(&mut tx, *id, None).await.map_err(during())?;
    }
    for id in &changes.expire {
        db::snapshot_expired_update(&mut tx, *id, Some(now)).await.map_err(during())?;
    }
    for id in &changes.remove {
        // ORDER: the row goes before its object; that it may go is noted with it.
        db::snapshot_remove(&mut tx, *id).await.map_err(during())?;
        let name = store_name(&ObjectName::Manifest(device, *id));
        db::leaving_insert(&mut tx, name.as_str(), clock + READING_SPAN).await.map_err(during())?;
    }
    for (action, ids) in
        [("snapshot_expire", &changes.expire), ("snapshot_keep", &changes.keep), ("snapshot_remove", &changes.remove)]
    {
        if !ids.is_empty() {
            let (subject, detail) = (device.to_string(), named(ids));
            let deed = Deed { actor: "server".to_owned(), action, subject, detail, ..Deed::default() };
            audit::write(&mut tx, clock, deed).await?;
        }
    }
    tx.commit().await.map_err(during())?;
    let Changes { expire, keep, remove } = changes;
    tracing::info!(
        device.id = %device, expire = expire.len(), keep = keep.len(), remove = remove.len(),
        "pruned {device}: {} let go of, {} kept again, {} removed", expire.len(), keep.len(), remove.len()
    );
    Ok(())
}

async fn changes(app: &App, tx: &mut Tx, device: DeviceId, user: UserId, now: Timestamp) -> Result<Changes, AppError> {
    let during = || AppError::db("judging snapshots");
    let held = !db::hold_list_by_device(tx, device).await.map_err(during())?.is_empty();
    let rules = rules(tx, user, device).await?;
    let ages = db::snapshot_age_list(tx, device, app.clock.now()).await.map_err(during())?;
    let mut changes = Changes::default();
    for (verdict, age) in verdicts(now, rules, held, &ages).into_iter().zip(&ages) {
        match (verdict.is_kept(), age.expired_at) {
            (true, Some(_)) => changes.keep.push(age.id),
            (false, None) => changes.expire.push(age.id),
            // A time to come was set by a clock that has been set back since: it is none to wait for.
            (false, Some(at)) if at > now => changes.expire.push(age.id),
            (false, Some(at)) if removed_after(app, at) <= now && !age.restoring => changes.remove.push(age.id),
            (true, None) | (false, Some(_)) => {}
        }
    }
    Ok(changes)
}

fn named(ids: &[SnapshotId]) -> String {
    let names: Vec<String> = ids.iter().take(NAMED_MAX).map(SnapshotId::to_string).collect();
    let more = ids.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
