//! The devices of a campaign whose users may be reminded, and that they were. Refuses to decide whether somebody is
//! reminded: `control::campaign` does.

use crate::campaign_device::{board, board_read};
use crate::error::failed;
use crate::row::int;
use crate::sql::query;
use crate::{BoardRow, DbError, Tx};
use base::{CampaignId, Count, DeviceId, Timestamp};

/// At most `limit` devices that were reset and are not back, of which users were reminded less than `max` times and
/// last at `before` or earlier (of the reset itself, where never), with ids after `after`, in the order of their ids.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn campaign_device_list_unreminded(
    tx: &mut Tx,
    campaign: CampaignId,
    max: Count,
    before: Timestamp,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<BoardRow>, DbError> {
    let rows = query(board!(
        " where c.campaign_id = $1 and c.status = 'reset' and c.device_id > $2 and c.reminders < $3 \
         and coalesce(c.reminded_at, c.reset_at) <= $4 order by c.device_id limit $5"
    ))
    .bind(&campaign.as_bytes()[..])
    .bind(after.map_or(Vec::new(), |device| device.as_bytes().to_vec()))
    .bind(int(max.0))
    .bind(before.as_ms())
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the devices to remind of"))?;
    rows.iter().map(board_read).collect()
}

/// A device of a campaign beside what is known of it now: what a message about it rests on.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn campaign_device_board_get(
    tx: &mut Tx,
    campaign: CampaignId,
    device: DeviceId,
) -> Result<Option<BoardRow>, DbError> {
    let row = query(board!(" where c.campaign_id = $1 and c.device_id = $2"))
        .bind(&campaign.as_bytes()[..])
        .bind(&device.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a device of a campaign's board"))?;
    row.as_ref().map(board_read).transpose()
}

/// Keeps that the user of a device was reminded for the `number`-th time. Gives whether it was the next.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_device_reminded_update(
    tx: &mut Tx,
    campaign: CampaignId,
    device: DeviceId,
    number: Count,
    now: Timestamp,
) -> Result<bool, DbError> {
    let done = query(
        "update campaign_device set reminders = $3, reminded_at = $4 \
         where campaign_id = $1 and device_id = $2 and status = 'reset' and reminders = $3 - 1",
    )
    .bind(&campaign.as_bytes()[..])
    .bind(&device.as_bytes()[..])
    .bind(int(number.0))
    .bind(now.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("keep that a user was reminded"))?;
    Ok(done.rows_affected() == 1)
}
