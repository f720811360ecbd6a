//! What an admin is shown of one device beside its record: how it came, what waits for a decision, which campaigns.
//! Refuses to show campaigns to who may not read them.

use crate::{AdminActor, AppError, campaigns, desk};
use base::{CampaignId, ConflictId, DeviceId, Timestamp};
use control::Permit;
use control::campaign::{Place, Reason, Status};
use db::{DeviceRow, Tx};

/// How many campaigns of a device are shown, the newest.
const CAMPAIGNS_MAX: u32 = 10;

/// What is known of a device beside its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceMore {
    /// How the machine that has the record came to it, or asks for it.
    pub came: Option<desk::Came>,
    /// Since when a machine waits for an admin's yes.
    pub waits_since: Option<Timestamp>,
    /// The record that it was merged into.
    pub merged_into: Option<DeviceId>,
    /// The slot for what it has missed.
    pub catch_up_at: Option<Timestamp>,
    /// Until when its backups are watched.
    pub watch_until: Option<Timestamp>,
    /// The open conflicts that it is part of, the newest first.
    pub conflicts: Vec<ConflictId>,
    /// The campaigns that it is part of, the newest first and at most ten.
    pub campaigns: Vec<DeviceCampaign>,
}

/// A campaign that a device is part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCampaign {
    /// Which.
    pub id: CampaignId,
    /// Its name.
    pub name: String,
    /// Where the campaign stands.
    pub status: Status,
    /// Where the device stands in it.
    pub place: Place,
    /// Why.
    pub reason: Reason,
}

/// Reads it.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub(super) async fn read(
    tx: &mut Tx,
    now: Timestamp,
    actor: &AdminActor,
    device: &DeviceRow,
) -> Result<DeviceMore, AppError> {
    let during = || AppError::db("reading what is known of a device");
    let waiting = db::waiting_get(tx, device.id).await.map_err(during())?;
    let waiting = waiting.filter(|waiting| waiting.refused_at.is_none());
    // Who may not list them is not told of them here either.
    let (campaigns, conflicts) = match actor.need(Permit::CampaignRead) {
        Ok(()) => {
            let conflicts = db::conflict_list_open_by_device(tx, device.id).await.map_err(during())?;
            (campaigns::of_device(tx, now, device.id, CAMPAIGNS_MAX).await?, conflicts)
        }
        Err(_) => (Vec::new(), Vec::new()),
    };
    Ok(DeviceMore {
        waits_since: waiting.as_ref().map(|waiting| waiting.asked_at),
        came: desk::came(tx, device, waiting).await?,
        merged_into: db::device_merged_get(tx, device.id).await.map_err(during())?,
        catch_up_at: device.catch_up_at,
        watch_until: device.watch_until.filter(|until| now < *until),
        conflicts,
        campaigns,
    })
}
