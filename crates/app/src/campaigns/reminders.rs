//! The job that reminds users of devices that a campaign has reset and that are not back. Refuses to remind twice: that
//! a message is queued, and which it was, are stored in one transaction.

use super::{board, known, messages};
use crate::{App, AppError};
use base::{CampaignId, Count, DeviceId, Span, Timestamp};
use control::campaign::{Awaited, Reminders, Status, Tell};
use db::{BoardRow, CampaignRow, Tx};

/// Devices in one transaction.
const BATCH: u32 = 200;

/// One tick: every campaign that runs reminds of what is due. May be repeated and killed, and run beside itself.
///
/// # Errors
/// The database does not answer; what was queued before stays queued.
pub(crate) async fn tick(app: &App) -> Result<(), AppError> {
    // Nothing is sent later of what happened while mail was off: it is as if nobody was due.
    if app.mailer.is_none() {
        return Ok(());
    }
    let mut tx = app.db.read().await.map_err(AppError::db("listing open campaigns"))?;
    let open = db::campaign_list_open(&mut tx).await.map_err(AppError::db("listing open campaigns"))?;
    drop(tx);
    let reminds = |campaign: &CampaignRow| {
        let some = campaign.remind_span > Span::ZERO && campaign.remind_max > Count(0);
        campaign.status == Status::Running && some && campaign.tell != Tell::Nobody
    };
    for campaign in open.into_iter().filter(reminds) {
        let mut after = None;
        while let Some(last) = batch(app, campaign.id, after).await? {
            after = Some(last);
        }
    }
    Ok(())
}

/// Reminds of one batch of devices after `after`. Gives the last of them when there may be more.
async fn batch(app: &App, id: CampaignId, after: Option<DeviceId>) -> Result<Option<DeviceId>, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("reminding of devices");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    // Looked at before anything is locked: in most ticks there is nobody to remind.
    let found = found(&mut tx, now, &row, after).await?;
    drop(tx);
    let last = found.last().map(|found| found.turn.device).filter(|_| found.len() == BATCH as usize);
    if !found.iter().any(|found| due(now, &row, found).is_some()) {
        return Ok(last);
    }
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: read again under the write lock: it may have been paused, and devices may have come back.
    let row = known(&mut tx, id).await?;
    if row.status == Status::Running {
        for found in self::found(&mut tx, now, &row, after).await? {
            let Some(number) = due(now, &row, &found) else { continue };
            let next = db::campaign_device_reminded_update(&mut tx, id, found.turn.device, number, now).await;
            if next.map_err(during())? {
                messages::reminder_queue(app, &mut tx, now, &row, &found.turn, number).await?;
            }
        }
    }
    tx.commit().await.map_err(during())?;
    Ok(last)
}

async fn found(
    tx: &mut Tx,
    now: Timestamp,
    row: &CampaignRow,
    after: Option<DeviceId>,
) -> Result<Vec<BoardRow>, AppError> {
    let before = now - row.remind_span;
    let found = db::campaign_device_list_unreminded(tx, row.id, row.remind_max, before, after, BATCH).await;
    found.map_err(AppError::db("reminding of devices"))
}

/// The number of the reminder of this device that is due.
fn due(now: Timestamp, row: &CampaignRow, found: &BoardRow) -> Option<Count> {
    let entry = board::entry(now, row, found.clone());
    let awaited = Awaited {
        place: entry.place,
        reason: entry.reason,
        merged: found.merged,
        reset_at: found.turn.reset_at,
        reminders: found.turn.reminders,
        reminded_at: found.turn.reminded_at,
    };
    Reminders { every: row.remind_span, max: row.remind_max }.due(now, row.tell, &awaited)
}
