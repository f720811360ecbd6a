//! The watch over devices that have come back: their slot for what they have missed, and whether they back up again
//! as planned. Refuses to guess what is well: `control::watch` says so.

use crate::page::{Page, PageAsk, part};
use crate::{AdminActor, App, AppError, policy};
use base::{DeviceId, Timestamp};
use control::policy::{Rhythm, effective};
use control::watch::{Finding, Watched, finding};
use control::{Permit, slots};
use db::{DeviceWatchRow, PolicySubject, PolicyValueRow, Tx};
use std::collections::HashMap;

/// Rows read at a time.
const ROWS: u32 = 1_000;

/// A device that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEntry {
    /// Which.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Its user's address.
    pub email: String,
    /// How its backups go.
    pub finding: Finding,
    /// Since when it is back.
    pub since: Timestamp,
    /// Until when it is watched.
    pub until: Timestamp,
    /// The slot for what it has missed; `None` once it has caught up.
    pub catch_up_at: Option<Timestamp>,
    /// Its newest good snapshot.
    pub last_good_at: Option<Timestamp>,
}

/// A page of the devices that are watched now, in the order of their ids: all, or those that an admin should look at.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn page(
    app: &App,
    actor: &AdminActor,
    alarms_only: bool,
    ask: &PageAsk,
) -> Result<Page<WatchEntry>, AppError> {
    actor.need(Permit::CampaignRead)?;
    let now = app.clock.now();
    let mut after = match ask.key::<1>()? {
        None => None,
        Some([device]) => Some(DeviceId::from_bytes(part(device.try_into().ok())?)),
    };
    let mut tx = app.db.read().await.map_err(AppError::db("listing watched devices"))?;
    let plans = Plans::read(&mut tx, now).await?;
    let mut entries = Vec::new();
    loop {
        let rows = db::device_list_watched(&mut tx, now, after, ROWS).await;
        let rows = rows.map_err(AppError::db("listing watched devices"))?;
        after = rows.last().map(|row| row.id);
        let full = rows.len() == ROWS as usize;
        for row in rows {
            let rhythm = plans.rhythm(&row)?;
            let entry = entry(now, row, rhythm);
            if !alarms_only || entry.finding.is_alarm() {
                entries.push(entry);
            }
        }
        if !full || entries.len() >= ask.rows() as usize {
            let key = |entry: &WatchEntry| [entry.device.as_bytes().to_vec()];
            return Ok(ask.page(entries, key, |entry| entry));
        }
    }
}

/// A device has come back, or goes on: it gets its slot for what it has missed, and is watched from now on.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn begin(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: DeviceId,
    epoch: u64,
) -> Result<(), AppError> {
    let during = || AppError::db("watching a device");
    let slot = now + slots::slot(device, epoch, app.config.device_catch_up);
    db::device_catch_up_update(tx, device, Some(slot)).await.map_err(during())?;
    let span = db::campaign_device_watch_get(tx, device).await.map_err(during())?.unwrap_or(app.config.device_watch);
    db::device_watch_update(tx, device, now, now + span).await.map_err(during())
}

/// What every level says of when the watched devices back up.
struct Plans {
    rows: HashMap<PolicySubject, Vec<PolicyValueRow>>,
}

impl Plans {
    async fn read(tx: &mut Tx, now: Timestamp) -> Result<Self, AppError> {
        let listed = db::policy_value_list_watched(tx, now).await.map_err(AppError::db("reading policies"))?;
        let mut rows: HashMap<PolicySubject, Vec<PolicyValueRow>> = HashMap::new();
        for (subject, row) in listed {
            rows.entry(subject).or_default().push(row);
        }
        Ok(Self { rows })
    }

    fn rhythm(&self, row: &DeviceWatchRow) -> Result<Option<Rhythm>, AppError> {
        let profile = row.profile.map(PolicySubject::Profile);
        let subjects = [PolicySubject::Organisation, PolicySubject::User(row.user), PolicySubject::Device(row.id)];
        let said = subjects.into_iter().chain(profile).filter_map(|subject| self.rows.get(&subject));
        Ok(effective(&policy::levels_of(said.flatten().cloned())?).rhythm())
    }
}

fn entry(now: Timestamp, row: DeviceWatchRow, rhythm: Option<Rhythm>) -> WatchEntry {
    let watched = Watched {
        back_at: row.since,
        until: row.until,
        catch_up_at: row.catch_up_at,
        last_good_at: row.last_good_at,
        rhythm,
    };
    WatchEntry {
        device: row.id,
        name: row.name,
        email: row.email,
        finding: finding(now, &watched),
        since: row.since,
        until: row.until,
        catch_up_at: row.catch_up_at,
        last_good_at: row.last_good_at,
    }
}
