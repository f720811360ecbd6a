//! The desk: what waits for an admin, and the admin's yes or no. Refuses a record's key without a yes, and a no
//! without a reason. Rules: docs/control.md, "Desk".

mod came;

pub use came::{Came, Former};

use crate::activation::{Binding, Outcome, binding_keep};
use crate::audit::{self, Deed};
use crate::devices::{self, DeviceView};
use crate::effects::{self, Comer};
use crate::page::{self, Page, PageAsk};
use crate::{AdminActor, App, AppError, campaigns};
use base::{Count, DeviceId, Timestamp};
use control::policy::PolicyChanges;
use control::{Event, Permit, Proof, State, desk};
use db::{DeviceRow, PageKey, Tx, UserRow, WaitingRow};

pub use db::RefusedRow;

/// A pending record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The record, and what the computer that waits says of itself.
    pub device: DeviceView,
    /// When it was asked for first; when it was made, where nobody has.
    pub at: Timestamp,
    /// Why it waits: a stable word.
    pub reason: String,
    /// How it was asked for; `None` where no computer has.
    pub came: Option<Came>,
}

/// A device in service that waits for full rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendOnly {
    /// The device, and what its computer says of itself.
    pub device: DeviceView,
    /// How that computer came to it.
    pub came: Option<Came>,
}

/// How the machine that has a record came to it, or the one that waits as it asks for it.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub(crate) async fn came(
    tx: &mut Tx,
    device: &DeviceRow,
    waiting: Option<WaitingRow>,
) -> Result<Option<Came>, AppError> {
    match waiting {
        Some(waiting) => came::of_waiting(tx, waiting, &device.about).await.map(Some),
        None => came::of_device(tx, device.id, &device.about).await,
    }
}

/// Why a record waits that no computer has asked for.
const UNASKED: &str = "nobody_asked";

/// The pending records, the oldest first.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn pending(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<Pending>, AppError> {
    actor.need(Permit::DeviceRead)?;
    let during = || AppError::db("listing records that wait");
    let after = page::timed(ask, PageKey::FIRST)?;
    let mut tx = app.db.read().await.map_err(during())?;
    let mut pending = Vec::new();
    for row in db::waiting_list(&mut tx, after, Count(ask.rows().into())).await.map_err(during())? {
        let device = db::device_get(&mut tx, row.device).await.map_err(during())?.ok_or_else(damaged)?;
        let user = db::user_get(&mut tx, device.user).await.map_err(during())?.ok_or_else(damaged)?;
        let (reason, came) = match row.waiting {
            Some(waiting) => (waiting.reason.clone(), Some(came::of_waiting(&mut tx, waiting, &device.about).await?)),
            None => (UNASKED.to_owned(), None),
        };
        pending.push(Pending { device: devices::view(device, user.email), at: row.at, reason, came });
    }
    Ok(ask.page(pending, |row| page::timed_parts(row.at, row.device.id.as_bytes()), |row| row))
}

/// The devices in service that wait for full rights, by name.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn append_only(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<AppendOnly>, AppError> {
    actor.need(Permit::DeviceRead)?;
    let (name, id) = devices::key(ask)?;
    let during = || AppError::db("listing devices that are append-only");
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::device_append_only_list(&mut tx, (&name, id), ask.rows()).await.map_err(during())?;
    let Page { items: devices, next } = devices::paged(ask, rows);
    let mut items = Vec::with_capacity(devices.len());
    for device in devices {
        let came = came::of_device(&mut tx, device.id, &device.about).await?;
        items.push(AppendOnly { device, came });
    }
    Ok(Page { items, next })
}

/// What was refused to tokens, the newest first.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn refused(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<RefusedRow>, AppError> {
    actor.need(Permit::TokenRead)?;
    let during = || AppError::db("listing refused activations");
    let after = page::timed(ask, PageKey::LAST)?;
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::refused_list(&mut tx, after, Count(ask.rows().into())).await.map_err(during())?;
    Ok(ask.page(rows, |row| page::timed_parts(row.at, &row.id), |row| row))
}

/// Says yes: to a record that waits, whose key is bound, or to full rights for a device in service.
///
/// # Errors
/// `device_unknown`; `nobody_waits` for a pending record that no computer has asked for; `device_merged`; the
/// refusal of `lifecycle::step`; `not_permitted`.
pub async fn approve(app: &App, actor: &AdminActor, id: DeviceId) -> Result<DeviceView, AppError> {
    actor.need(Permit::DeviceManage)?;
    let now = app.clock.now();
    let during = || AppError::db("approving a device");
    let mut tx = app.db.write().await.map_err(during())?;
    let (device, user) = named(&mut tx, id).await?;
    let waiting = db::waiting_get(&mut tx, id).await.map_err(during())?;
    let waiting = waiting.filter(|waiting| device.state == State::Pending && waiting.refused_at.is_none());
    let step = match devices::step(&mut tx, now, &device, &Event::Approve).await? {
        Ok(granted) => granted,
        Err(refusal) => {
            let detail = format!("refused: {}", refusal.code());
            audit::write(
                &mut tx,
                now,
                Deed { action: "device_approve", subject: id.to_string(), detail, ..Deed::by(actor) },
            )
            .await?;
            tx.commit().await.map_err(during())?;
            return Err(refusal.into());
        }
    };
    if device.state == State::Pending && waiting.is_none() {
        let sentence = "No computer has asked for this record yet; the next request of its machine waits here.";
        return Err(AppError::conflict("nobody_waits", sentence));
    }
    let comer =
        waiting.as_ref().map(|waiting| Comer { key: &waiting.device_key, record_new: false, takes_settings: false });
    let activated_at = if waiting.is_some() { now } else { device.activated_at };
    let device = DeviceRow { activated_at, ..device };
    let changed = effects::carry_out(app, &mut tx, now, device, step, comer).await?;
    let detail = changed.states();
    // An admin says that it is the machine that it says it is.
    campaigns::came_back(&mut tx, now, &changed.device, &changed.was, Proof::Admin).await?;
    let device = changed.device;
    if let Some(waiting) = &waiting {
        bound(&mut tx, now, &device, waiting).await?;
    }
    audit::write(&mut tx, now, Deed { action: "device_approve", subject: id.to_string(), detail, ..Deed::by(actor) })
        .await?;
    tx.commit().await.map_err(during())?;
    // ORDER: said after the commit, or a request in between would remember the old state.
    app.states.changed(id);
    Ok(devices::view(device, user.email))
}

/// Says no to a pending record: it is deleted, and the computer that waits for it is told the reason.
///
/// # Errors
/// `device_unknown`; `nobody_waits`; `reason_invalid`; `not_permitted`.
pub async fn refuse(app: &App, actor: &AdminActor, id: DeviceId, reason: &str) -> Result<DeviceView, AppError> {
    actor.need(Permit::DeviceManage)?;
    let sentence = "A refusal needs a reason of one line and at most 200 characters, which the computer shows.";
    let reason = desk::reason(reason).ok_or_else(|| AppError::invalid("reason_invalid", sentence))?;
    let now = app.clock.now();
    let during = || AppError::db("refusing a device");
    let mut tx = app.db.write().await.map_err(during())?;
    let (device, user) = named(&mut tx, id).await?;
    if device.state != State::Pending {
        return Err(AppError::conflict("nobody_waits", "This record does not wait for an admin."));
    }
    let event = Event::Delete { purge_after: now + app.config.device_undelete };
    let device = effects::put(app, &mut tx, now, device, &event).await?.device;
    db::waiting_refused_update(&mut tx, id, &reason, now).await.map_err(during())?;
    audit::write(
        &mut tx,
        now,
        Deed { action: "device_refuse", subject: id.to_string(), detail: reason, ..Deed::by(actor) },
    )
    .await?;
    tx.commit().await.map_err(during())?;
    app.states.changed(id);
    Ok(devices::view(device, user.email))
}

/// The key is bound: the same request gets its answer from now on.
async fn bound(tx: &mut Tx, now: Timestamp, device: &DeviceRow, waiting: &WaitingRow) -> Result<(), AppError> {
    let during = || AppError::db("binding the key of a record that waited");
    let rights = device.state.rights().expect("an approval leads to an active device, which has rights");
    let (device, epoch, outcome, restore) = (device.id, device.epoch, Outcome::New, waiting.restore);
    let came =
        db::Came { proof: waiting.proof.clone(), token: waiting.token, source: waiting.source.clone(), former: None };
    let binding = Binding { device, epoch, rights, outcome, restore, changes: PolicyChanges::default(), came };
    binding_keep(tx, now, &waiting.request, &waiting.device_key, &waiting.digest, &binding).await?;
    db::waiting_remove(tx, device).await.map_err(during())
}

async fn named(tx: &mut Tx, id: DeviceId) -> Result<(DeviceRow, UserRow), AppError> {
    let during = || AppError::db("reading a device");
    let device = db::device_get(tx, id).await.map_err(during())?.ok_or_else(|| AppError::device_unknown(id))?;
    let user = db::user_get(tx, device.user).await.map_err(during())?.ok_or_else(|| AppError::device_unknown(id))?;
    Ok((device, user))
}

fn damaged() -> AppError {
    AppError::damaged("row_damaged", "A record that waits belongs to no device or user.")
}
