//! The start of a campaign: settles who is meant in one short transaction, and puts them on the board slice by slice,
//! so that no other writer waits for a large fleet. Refuses to look a second time: who is meant is who was meant then.

use super::turns::deed_of;
use super::{deed, dry_run, known};
use crate::{App, AppError};
use base::{CampaignId, DeviceId, Timestamp};
use control::campaign::{Class, Status};
use control::slots;
use db::{CampaignDeviceNew, CampaignRow, Tx};
use std::collections::HashMap;

/// Devices in one transaction.
const SLICE: usize = 1_000;

/// Starts a campaign whose time has come. May be repeated, and run beside itself: what was settled stays.
///
/// # Errors
/// The database does not answer; what was put on the board stays there, and the job goes on from it.
pub(super) async fn begin(app: &App, id: CampaignId) -> Result<(), AppError> {
    settle(app, id).await?;
    while slice(app, id).await? {}
    Ok(())
}

/// Is it time for a campaign to begin that has not? Never fails.
pub(super) fn is_due(campaign: &CampaignRow, now: Timestamp) -> bool {
    let waits = campaign.status == Status::Running && campaign.started_at.is_none();
    waits && campaign.start_at.is_none_or(|at| at <= now)
}

/// Settles who is meant, once.
async fn settle(app: &App, id: CampaignId) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("starting a campaign");
    // The fleet is read before anything is locked.
    let mut tx = app.db.read().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    if !is_due(&row, now) || is_settled(&mut tx, id).await? {
        return Ok(());
    }
    let foretold = dry_run::foretell(app, &mut tx, now, &row).await?;
    drop(tx);
    let devices: Vec<DeviceId> = foretold.iter().map(|device| device.device).collect();
    let by_id: HashMap<DeviceId, (Class, u64)> =
        foretold.into_iter().map(|device| (device.device, (device.class, device.epoch))).collect();
    let new = |turn: slots::Turn| {
        let (class, epoch_before) = by_id[&turn.device];
        CampaignDeviceNew { device: turn.device, wave: turn.wave, due: turn.due, class, epoch_before }
    };
    let turns = slots::turns(id, &devices, row.wave_size, row.wave_span);
    let new: Vec<CampaignDeviceNew> = turns.into_iter().map(new).collect();
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    // RACE: read again under the write lock: it may have been paused, and another server may have begun it.
    if is_due(&row, now) && !is_settled(&mut tx, id).await? {
        for (number, devices) in (0..).zip(new.chunks(SLICE)) {
            db::campaign_slice_insert(&mut tx, id, number, devices).await.map_err(during())?;
        }
        if new.is_empty() {
            started(app, &mut tx, now, row).await?;
        }
    }
    tx.commit().await.map_err(during())
}

/// Puts one slice on the board; with the last one, the campaign has begun. Gives whether there is more to do.
async fn slice(app: &App, id: CampaignId) -> Result<bool, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("putting devices into a campaign");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    let goes_on = is_due(&row, now) && db::campaign_slice_move(&mut tx, id).await.map_err(during())?;
    let more = goes_on && db::campaign_slice_count_get(&mut tx, id).await.map_err(during())?.0 > 0;
    if goes_on && !more {
        started(app, &mut tx, now, row).await?;
    }
    tx.commit().await.map_err(during())?;
    Ok(more)
}

async fn started(app: &App, tx: &mut Tx, now: Timestamp, row: CampaignRow) -> Result<(), AppError> {
    let during = || AppError::db("starting a campaign");
    let id = row.id;
    let append_until = row.append_until.unwrap_or(now + app.config.device_hold);
    let row = CampaignRow { started_at: Some(now), ticked_at: Some(now), append_until: Some(append_until), ..row };
    db::campaign_update(tx, &row).await.map_err(during())?;
    let devices = db::campaign_device_count_get(tx, id).await.map_err(during())?;
    let detail = format!("{} in waves of {}", devices.counted("device"), row.wave_size);
    tracing::info!(campaign.id = %id, "campaign {id} begins with {}", devices.counted("device"));
    deed(tx, now, deed_of(&row), "campaign_begin", id, detail).await
}

/// Was it settled before who is meant?
async fn is_settled(tx: &mut Tx, id: CampaignId) -> Result<bool, AppError> {
    let slices = db::campaign_slice_count_get(tx, id).await.map_err(AppError::db("starting a campaign"))?;
    Ok(slices.0 > 0)
}
