//! Devices as admins see and change them. Refuses to decide: `control::lifecycle::step` does, and what it asks for
//! is carried out in the transaction that stores the new state.

use crate::audit::{self, Deed};
use crate::{campaigns, effects};
use crate::snapshots::{self, SnapshotView};
use crate::{AdminActor, App, AppError, DeviceActor};
use base::{Count, DeviceId, SnapshotId, Timestamp};
use control::access::Verb;
use control::{Event, Permit, Refusal, Rights, State, lifecycle};
use db::{DeviceAbout, DeviceRow, Tx};
use std::collections::HashMap;

/// The least of an identifier that names a device: the prefix and four letters.
const ID_TEXT_MIN: usize = DeviceId::PREFIX.len() + 1 + 4;

/// A device as an admin sees one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceView {
    /// The record.
    pub id: DeviceId,
    /// Its name.
    pub name: String,
    /// The address of its user.
    pub user: String,
    /// Where it stands.
    pub state: State,
    /// Which binding of a key it has; 0 before the first.
    pub epoch: u64,
    /// What the computer said of itself.
    pub about: DeviceAbout,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When a key was last bound to it.
    pub activated_at: Timestamp,
    /// When it last opened a session.
    pub last_seen_at: Option<Timestamp>,
    /// Its newest snapshot.
    pub last_snapshot: Option<SnapshotId>,
}

/// Every device, by name.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn list(app: &App, actor: &AdminActor) -> Result<Vec<DeviceView>, AppError> {
    actor.need(Permit::DeviceRead)?;
    let during = || AppError::db("listing devices");
    let mut tx = app.db.read().await.map_err(during())?;
    let users = db::user_list(&mut tx).await.map_err(during())?;
    let emails: HashMap<_, _> = users.into_iter().map(|user| (user.id, user.email)).collect();
    let rows = db::device_list(&mut tx).await.map_err(during())?;
    let view = |row: DeviceRow| {
        let user = emails.get(&row.user).cloned().unwrap_or_default();
        view(row, user)
    };
    Ok(rows.into_iter().map(view).collect())
}

/// The device that an admin names: by its identifier or the beginning of one, or by its name, when only one fits.
///
/// # Errors
/// `device_unknown`, `device_ambiguous`; `not_permitted`.
pub async fn find(app: &App, actor: &AdminActor, text: &str) -> Result<DeviceView, AppError> {
    let devices = list(app, actor).await?;
    let fits = |device: &DeviceView| {
        device.name == text || (text.len() >= ID_TEXT_MIN && device.id.to_string().starts_with(text))
    };
    let mut fitting = devices.into_iter().filter(fits);
    let shown = text.escape_debug();
    match (fitting.next(), fitting.next()) {
        (None, _) => Err(AppError::not_found("device_unknown", format!("There is no device \"{shown}\"."))),
        (Some(found), None) => Ok(found),
        (Some(_), Some(_)) => Err(AppError::conflict(
            "device_ambiguous",
            format!(
                "More than one device is called \"{shown}\": give more of its identifier, see `device list --json`."
            ),
        )),
    }
}

/// What a device may know of itself.
#[derive(Clone, Debug)]
pub struct OwnView {
    /// The record.
    pub id: DeviceId,
    /// Its name.
    pub name: String,
    /// The address of its user.
    pub user: String,
    /// Where it stands.
    pub state: State,
    /// What its credential may do while it is active.
    pub rights: Rights,
    /// Its newest snapshot.
    pub snapshot: Option<SnapshotView>,
    /// How many snapshots it has.
    pub snapshots: Count,
    /// The server's clock.
    pub now: Timestamp,
    /// Has the device to erase its local data?
    pub wipe: bool,
    /// The slot for what it has missed.
    pub catch_up_at: Option<Timestamp>,
}

/// What a device may know of itself.
///
/// # Errors
/// `session_invalid` when the record is gone; the database does not answer.
pub async fn own(app: &App, actor: &DeviceActor) -> Result<OwnView, AppError> {
    let during = || AppError::db("reading a device");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::device_get(&mut tx, actor.device).await.map_err(during())?;
    let user = db::user_get(&mut tx, actor.user).await.map_err(during())?;
    let ends = db::device_fleet_ends_get(&mut tx, actor.device).await.map_err(during())?;
    drop(tx);
    let (Some(row), Some(user)) = (row, user) else { return Err(Refusal::SessionInvalid.into()) };
    let (snapshot, snapshots) = snapshots::standing(app, actor).await?;
    let rights = row.state.rights().unwrap_or(Rights::AppendOnly);
    let now = app.clock.now();
    let wipe = matches!(row.state, State::Decommissioning { .. });
    Ok(OwnView {
        id: row.id,
        name: row.name,
        user: user.email,
        state: row.state,
        rights,
        snapshot,
        snapshots,
        now,
        wipe,
        catch_up_at: ends.catch_up_at,
    })
}

/// A device says that its local data is erased, as it was told to do.
///
/// # Errors
/// The refusal of the device's state; `session_invalid` when the record is gone.
pub async fn wiped(app: &App, actor: &DeviceActor) -> Result<(), AppError> {
    let now = app.clock.now();
    actor.may(now, Verb::ConfirmWipe)?;
    let during = || AppError::db("confirming a wipe");
    let mut tx = app.db.write().await.map_err(during())?;
    let device = db::device_get(&mut tx, actor.device).await.map_err(during())?.ok_or(Refusal::SessionInvalid)?;
    // RACE: the order may have been withdrawn, or another key bound, since the session was looked at.
    if device.epoch != actor.epoch {
        return Err(Refusal::SessionInvalid.into());
    }
    let (state, effects) = lifecycle::step(now, &device.state, &Event::ConfirmWipe)?;
    effects::carry_out(app, &mut tx, now, &device, &effects, None).await?;
    db::device_state_update(&mut tx, device.id, &state).await.map_err(during())?;
    let detail = format!("{} to {state}", device.state);
    let subject = device.id.to_string();
    audit::write(&mut tx, now, Deed { actor: actor.to_string(), action: "device_confirm_wipe", subject, detail }).await?;
    tx.commit().await.map_err(during())?;
    app.states.changed(device.id);
    tracing::info!(device.id = %device.id, "device {} has erased its local data", device.id);
    Ok(())
}

/// Puts an admin's event to a device. A deactivation, hold or deletion reaches requests under way at once.
///
/// # Errors
/// `device_unknown`; the refusal of `lifecycle::step`, which is audited too; `not_permitted`.
pub async fn change(app: &App, actor: &AdminActor, id: DeviceId, event: Event) -> Result<DeviceView, AppError> {
    actor.need(Permit::DeviceManage)?;
    let now = app.clock.now();
    let during = || AppError::db("changing a device");
    let mut tx = app.db.write().await.map_err(during())?;
    let device = db::device_get(&mut tx, id).await.map_err(during())?;
    let unknown = || AppError::not_found("device_unknown", format!("There is no device {id}."));
    let device = device.ok_or_else(unknown)?;
    let merged = db::device_merged_get(&mut tx, id).await.map_err(during())?.is_some();
    let step = match event {
        // It lives on under another record: only an undo of the merge brings it back.
        Event::Enable | Event::Approve if merged => Err(Refusal::DeviceMerged),
        _ => lifecycle::step(now, &device.state, &event),
    };
    match step {
        Ok((state, effects)) => {
            let epoch = effects::carry_out(app, &mut tx, now, &device, &effects, None).await?;
            db::device_state_update(&mut tx, id, &state).await.map_err(during())?;
            db::device_epoch_update(&mut tx, id, epoch).await.map_err(during())?;
            if let Event::Reactivate { proof } = event {
                campaigns::came_back(&mut tx, now, id, proof).await?;
            }
            let effects: Vec<String> = effects.iter().map(ToString::to_string).collect();
            let detail = format!("{} to {state}: {}", device.state, effects.join(" "));
            event_audit(&mut tx, now, actor, id, &event, detail).await?;
            let changed = DeviceRow { state, epoch, ..device };
            let user = db::user_get(&mut tx, changed.user).await.map_err(during())?;
            tx.commit().await.map_err(during())?;
            // ORDER: said after the commit, or a request in between would remember the old state.
            app.states.changed(id);
            tracing::info!(device.id = %id, "device {id} is {} now, by {actor}", changed.state);
            Ok(view(changed, user.map(|user| user.email).unwrap_or_default()))
        }
        Err(refusal) => {
            event_audit(&mut tx, now, actor, id, &event, format!("refused: {}", refusal.code())).await?;
            tx.commit().await.map_err(during())?;
            Err(refusal.into())
        }
    }
}

async fn event_audit(
    tx: &mut Tx,
    now: Timestamp,
    actor: &AdminActor,
    id: DeviceId,
    event: &Event,
    detail: String,
) -> Result<(), AppError> {
    let action = format!("device_{}", event.word());
    let deed = Deed { actor: actor.to_string(), action: &action, subject: id.to_string(), detail };
    audit::write(tx, now, deed).await
}

fn view(row: DeviceRow, user: String) -> DeviceView {
    let DeviceRow { id, name, state, epoch, about, created_at, activated_at, last_seen_at, last_snapshot, user: _ } =
        row;
    DeviceView { id, name, user, state, epoch, about, created_at, activated_at, last_seen_at, last_snapshot }
}
