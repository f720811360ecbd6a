//! Who a campaign reaches, settled at its start in one short transaction, and then put among the devices of the
//! campaign slice by slice. Refuses to settle it twice, and to put a slice there twice.
//!
//! A slice is one byte string with `WIDTH` bytes a device, which SQL cuts: device 16, wave 20, due 20, epoch 20
//! (decimal digits each), class 16 (filled up with spaces).

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Pair, query, query_of};
use crate::{DbError, Tx};
use base::{CampaignId, Count, DeviceId, Span};
use control::campaign::Class;

/// Bytes a device.
const WIDTH: usize = 92;

/// A device that a campaign reaches, as it was foretold at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CampaignDeviceNew {
    /// The device.
    pub device: DeviceId,
    /// Its wave, from 0.
    pub wave: u64,
    /// When its turn comes, by the campaign's own clock.
    pub due: Span,
    /// What the dry run said.
    pub class: Class,
    /// Its epoch then.
    pub epoch_before: u64,
}

/// Keeps a slice of those whom a campaign reaches.
///
/// # Errors
/// Constraint: the campaign has a slice of this number; the database does not answer.
pub async fn campaign_slice_insert(
    tx: &mut Tx,
    campaign: CampaignId,
    number: u64,
    devices: &[CampaignDeviceNew],
) -> Result<(), DbError> {
    let mut bytes = Vec::with_capacity(devices.len() * WIDTH);
    for CampaignDeviceNew { device, wave, due, class, epoch_before } in devices {
        let (wave, due, epoch, class) = (int(*wave), int(due.as_ms()), int(*epoch_before), class.word());
        bytes.extend_from_slice(device.as_bytes());
        bytes.extend_from_slice(format!("{wave:020}{due:020}{epoch:020}{class:16}").as_bytes());
    }
    query("insert into campaign_slice (campaign_id, number, devices) values ($1, $2, $3)")
        .bind(&campaign.as_bytes()[..])
        .bind(int(number))
        .bind(bytes)
        .execute(tx.conn())
        .await
        .map_err(failed("keep whom a campaign reaches"))?;
    Ok(())
}

/// How many slices of a campaign there still are.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_slice_count_get(tx: &mut Tx, campaign: CampaignId) -> Result<Count, DbError> {
    let row = query("select count(*) as slices from campaign_slice where campaign_id = $1")
        .bind(&campaign.as_bytes()[..])
        .fetch_one(tx.conn())
        .await
        .map_err(failed("count the slices of a campaign"))?;
    Ok(Count(row.number("slices")?))
}

/// Puts the first slice among the devices of its campaign, where all wait for their turn. Gives whether there was one.
///
/// # Errors
/// Constraint: one of its devices is there already; the database does not answer.
pub async fn campaign_slice_move(tx: &mut Tx, campaign: CampaignId) -> Result<bool, DbError> {
    let during = || failed("put devices into a campaign");
    let first = query("select number from campaign_slice where campaign_id = $1 order by number limit 1")
        .bind(&campaign.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(during())?;
    let Some(first) = first else { return Ok(false) };
    let number = first.int("number")?;
    query_of(Pair {
        sqlite: "insert into campaign_device (campaign_id, device_id, wave, due_ms, class, status, reason, \
                 epoch_before) \
                 with recursive n (i, devices) as ( \
                 select 0, devices from campaign_slice where campaign_id = $1 and number = $2 \
                 union all select i + 1, devices from n where (i + 1) * 92 < length(devices)) \
                 select $1, substr(devices, i * 92 + 1, 16), cast(substr(devices, i * 92 + 17, 20) as integer), \
                 cast(substr(devices, i * 92 + 37, 20) as integer), \
                 trim(cast(substr(devices, i * 92 + 77, 16) as text)), 'waiting', '', \
                 cast(substr(devices, i * 92 + 57, 20) as integer) from n",
        postgres: "insert into campaign_device (campaign_id, device_id, wave, due_ms, class, status, reason, \
                   epoch_before) \
                   select $1, substr(devices, i * 92 + 1, 16), \
                   convert_from(substr(devices, i * 92 + 17, 20), 'utf8')::bigint, \
                   convert_from(substr(devices, i * 92 + 37, 20), 'utf8')::bigint, \
                   trim(convert_from(substr(devices, i * 92 + 77, 16), 'utf8')), 'waiting', '', \
                   convert_from(substr(devices, i * 92 + 57, 20), 'utf8')::bigint \
                   from campaign_slice, generate_series(0, length(devices) / 92 - 1) as n (i) \
                   where campaign_id = $1 and number = $2",
    })
    .bind(&campaign.as_bytes()[..])
    .bind(number)
    .long()
    .execute(tx.conn())
    .await
    .map_err(during())?;
    query("delete from campaign_slice where campaign_id = $1 and number = $2")
        .bind(&campaign.as_bytes()[..])
        .bind(number)
        .long()
        .execute(tx.conn())
        .await
        .map_err(during())?;
    Ok(true)
}

/// Removes whom a campaign reaches, which ends before it has begun.
///
/// # Errors
/// The database does not answer.
pub async fn campaign_slice_remove(tx: &mut Tx, campaign: CampaignId) -> Result<(), DbError> {
    for text in
        ["delete from campaign_slice where campaign_id = $1", "delete from campaign_device where campaign_id = $1"]
    {
        query(text)
            .bind(&campaign.as_bytes()[..])
            .long()
            .execute(tx.conn())
            .await
            .map_err(failed("remove whom a campaign reaches"))?;
    }
    Ok(())
}
