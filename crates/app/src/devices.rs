//! Devices as admins see and change them. Refuses to decide: `control::lifecycle::step` does, and what it asks for
//! is carried out in the transaction that stores the new state.

mod merged;
mod more;

pub use more::{DeviceCampaign, DeviceMore};

use crate::audit::{self, Deed};
use crate::page::{Page, PageAsk, part};
use crate::snapshots::{self, Newest};
use crate::{AdminActor, App, AppError, DeviceActor, campaigns, conflicts, desk, effects, policy, users};
use base::{Count, DeviceId, SnapshotId, Span, Timestamp};
use control::access::Verb;
use control::lifecycle::Step;
use control::{Event, Level, Permit, Proof, Refusal, Rights, State, UserState, lifecycle};
use db::{DeviceAbout, DeviceFilter, DeviceListRow, DeviceRow, Tx};

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
    /// When it was last heard of: by an activation, a session, or one that was refused.
    pub last_seen_at: Option<Timestamp>,
    /// Its newest snapshot.
    pub last_snapshot: Option<SnapshotId>,
    /// What is known beside the record itself, where one device alone was asked for.
    pub more: Option<Box<DeviceMore>>,
}

/// Which devices an admin asks for. Empty asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceAsk {
    /// Those of the user with this address, or with this identifier.
    pub user: Option<String>,
    /// Those whose state has this word.
    pub state: Option<String>,
    /// Those that were last seen before this, or never.
    pub seen_before: Option<Timestamp>,
    /// Those that were last seen at this or later.
    pub seen_from: Option<Timestamp>,
    /// Those with this name, this identifier, or an identifier that begins so (4 letters of it at the least).
    pub named: Option<String>,
}

/// The devices that fit, by name.
///
/// # Errors
/// `not_permitted`; `user_unknown`; `request_malformed` for a cursor that no page gave or a state that there is not.
pub async fn page(
    app: &App,
    actor: &AdminActor,
    asked: &DeviceAsk,
    ask: &PageAsk,
) -> Result<Page<DeviceView>, AppError> {
    actor.need(Permit::DeviceRead)?;
    let (name, id) = key(ask)?;
    let during = || AppError::db("listing devices");
    let mut tx = app.db.read().await.map_err(during())?;
    let filter = filter(&mut tx, asked).await?;
    let rows = db::device_page_list(&mut tx, &filter, (&name, id), ask.rows()).await.map_err(during())?;
    Ok(paged(ask, rows))
}

/// The name and identifier after which a page of devices begins.
///
/// # Errors
/// `request_malformed` for a cursor that no page gave.
pub(crate) fn key(ask: &PageAsk) -> Result<(String, DeviceId), AppError> {
    match ask.key::<2>()? {
        Some([name, id]) => Ok((part(String::from_utf8(name).ok())?, DeviceId::from_bytes(part(id.try_into().ok())?))),
        None => Ok((String::new(), DeviceId::from_bytes([0; 16]))),
    }
}

/// A page of devices. Never fails.
pub(crate) fn paged(ask: &PageAsk, rows: Vec<DeviceListRow>) -> Page<DeviceView> {
    let key = |row: &DeviceListRow| [row.device.name.clone().into_bytes(), row.device.id.as_bytes().to_vec()];
    ask.page(rows, key, |row| view(row.device, row.email))
}

/// One device.
///
/// # Errors
/// `device_unknown`; `not_permitted`.
pub async fn get(app: &App, actor: &AdminActor, id: DeviceId) -> Result<DeviceView, AppError> {
    actor.need(Permit::DeviceRead)?;
    let during = || AppError::db("reading a device");
    let mut tx = app.db.read().await.map_err(during())?;
    let device = db::device_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| AppError::device_unknown(id))?;
    let user = db::user_get(&mut tx, device.user).await.map_err(during())?;
    let more = more::read(&mut tx, app.clock.now(), actor, &device).await?;
    let view = view(device, user.map(|user| user.email).unwrap_or_default());
    Ok(DeviceView { more: Some(Box::new(more)), ..view })
}

async fn filter(tx: &mut Tx, asked: &DeviceAsk) -> Result<DeviceFilter, AppError> {
    let user = match &asked.user {
        Some(text) => Some(users::named(tx, text).await?),
        None => None,
    };
    if let Some(state) = asked.state.as_ref().filter(|state| !State::WORDS.contains(&state.as_str())) {
        let (state, all) = (state.escape_debug(), State::WORDS.join(", "));
        let sentence = format!("\"{state}\" is not a state of a device: those are {all}.");
        return Err(AppError::invalid(Refusal::RequestMalformed.code(), sentence));
    }
    let named = asked.named.as_ref().map(|text| {
        // A text that begins no identifier gets a range that holds none.
        let nothing = (DeviceId::from_bytes([0xff; 16]), DeviceId::from_bytes([0; 16]));
        let range = if text.len() >= ID_TEXT_MIN { DeviceId::beginning_with(text) } else { None };
        let (first, last) = range.unwrap_or(nothing);
        (text.clone(), first, last)
    });
    let DeviceAsk { state, seen_before, seen_from, .. } = asked.clone();
    Ok(DeviceFilter { user, state, seen_before, seen_from, named })
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
    /// Its newest snapshot, as far as it may know it.
    pub snapshot: Option<Newest>,
    /// How many snapshots there are that it may know of.
    pub snapshots: Count,
    /// The server's clock.
    pub now: Timestamp,
    /// The number of its effective policy.
    pub policy_revision: u64,
    /// Whom its user may ask for help.
    pub support: Option<String>,
    /// Has the device to erase its local data?
    pub wipe: bool,
    /// Has the device to send a support bundle?
    pub bundle: bool,
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
    let support = policy::support(&mut tx).await?;
    let bundle = db::support_bundle_asked_get(&mut tx, actor.device).await.map_err(during())?;
    drop(tx);
    let policy_revision = policy::revision(app, actor.device).await?;
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
        bundle,
        catch_up_at: row.catch_up_at,
        policy_revision,
        support,
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
    let id = device.id;
    let detail = effects::put(app, &mut tx, now, device, &Event::ConfirmWipe).await?.states();
    let subject = id.to_string();
    audit::write(&mut tx, now, Deed { action: "device_confirm_wipe", subject, detail, ..Deed::by(actor) }).await?;
    tx.commit().await.map_err(during())?;
    app.states.changed(id);
    tracing::info!(device.id = %id, "device {id} has erased its local data");
    Ok(())
}

/// What an admin can do to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceOrder {
    /// Refuse its credential from now on.
    Deactivate {
        /// What its old key is still worth.
        level: Level,
    },
    /// Make it activate again.
    Hold {
        /// For how long it may still append; `device.hold_days` of the configuration when it is not said.
        append: Option<Span>,
    },
    /// Bring a held or deactivated one back with the key that it has.
    Reactivate,
    /// Say yes to a record that waits, or to full rights for what a token has activated.
    Approve,
    /// Stop it; its credential is kept.
    Suspend,
    /// End that, or withdraw an order to erase.
    Enable,
    /// Have its local data erased.
    Decommission,
    /// Delete it with its snapshots, which are kept until it is purged.
    Delete,
    /// Take a deletion back.
    Undelete,
}

/// Carries out an admin's order. A deactivation, hold or deletion reaches requests under way at once.
///
/// # Errors
/// As `change`.
pub async fn order(app: &App, actor: &AdminActor, id: DeviceId, order: DeviceOrder) -> Result<DeviceView, AppError> {
    let now = app.clock.now();
    let event = match order {
        DeviceOrder::Deactivate { level } => Event::Deactivate { level },
        DeviceOrder::Hold { append } => Event::Hold { append_until: now + append.unwrap_or(app.config.device_hold) },
        DeviceOrder::Reactivate => Event::Reactivate { proof: Proof::Admin },
        DeviceOrder::Approve => Event::Approve,
        DeviceOrder::Suspend => Event::Suspend,
        DeviceOrder::Enable => Event::Enable,
        DeviceOrder::Decommission => Event::Decommission,
        DeviceOrder::Delete => Event::Delete { purge_after: now + app.config.device_undelete },
        DeviceOrder::Undelete => Event::Undelete,
    };
    change(app, actor, id, event).await
}

/// Puts an admin's event to a device. A deactivation, hold or deletion reaches requests under way at once.
///
/// # Errors
/// `device_unknown`; the refusal of `lifecycle::step`, which is audited too; `not_permitted`.
pub async fn change(app: &App, actor: &AdminActor, id: DeviceId, event: Event) -> Result<DeviceView, AppError> {
    actor.need(Permit::DeviceManage)?;
    if event == Event::Approve {
        return desk::approve(app, actor, id).await;
    }
    let now = app.clock.now();
    let during = || AppError::db("changing a device");
    let mut tx = app.db.write().await.map_err(during())?;
    let device = db::device_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| AppError::device_unknown(id))?;
    conflicts::overtaken(&mut tx, now, &device, &event).await?;
    match step(&mut tx, now, &device, &event).await? {
        Ok(step) => {
            let changed = effects::carry_out(app, &mut tx, now, device, step, None).await?;
            if let Event::Reactivate { proof } = event {
                campaigns::came_back(&mut tx, now, &changed.device, &changed.was, proof).await?;
            }
            if event == Event::Undelete {
                // A refusal is taken back with the deletion that it was: its computer may ask again.
                db::waiting_refused_remove(&mut tx, id).await.map_err(during())?;
            }
            let followers = merged::follow(app, &mut tx, now, actor, &changed, &event).await?;
            let mut detail = changed.detail();
            if !changed.changes.is_empty() {
                detail.push_str(&format!("; {}", changed.changes));
            }
            event_audit(&mut tx, now, actor, id, &event, detail).await?;
            let device = changed.device;
            let user = db::user_get(&mut tx, device.user).await.map_err(during())?;
            tx.commit().await.map_err(during())?;
            // ORDER: said after the commit, or a request in between would remember the old state.
            app.states.changed(id);
            followers.into_iter().for_each(|follower| app.states.changed(follower));
            tracing::info!(device.id = %id, "device {id} is {} now, by {actor}", device.state);
            Ok(view(device, user.map(|user| user.email).unwrap_or_default()))
        }
        Err(refusal) => {
            event_audit(&mut tx, now, actor, id, &event, format!("refused: {}", refusal.code())).await?;
            tx.commit().await.map_err(during())?;
            Err(refusal.into())
        }
    }
}

/// What an admin's event makes of a device: as `lifecycle::step` says, but a record that was merged into another does
/// not come into service by it, since it lives on there (only an undo of the merge brings it back), and nothing that is
/// deleted comes back to a user who is purged.
///
/// # Errors
/// The database does not answer. The refusal is in the answer, for the caller to audit.
pub(crate) async fn step(
    tx: &mut Tx,
    now: Timestamp,
    device: &DeviceRow,
    event: &Event,
) -> Result<Result<Step, Refusal>, AppError> {
    if matches!(event, Event::Approve | Event::Enable | Event::Reactivate { .. }) {
        let into = db::device_merged_get(tx, device.id).await.map_err(AppError::db("reading a merged record"))?;
        if into.is_some() {
            return Ok(Err(Refusal::DeviceMerged));
        }
    }
    if *event == Event::Undelete {
        let user = db::user_get(tx, device.user).await.map_err(AppError::db("reading a device's user"))?;
        if let Some(state) = user.map(|user| user.state).filter(|state| *state == UserState::Purged) {
            return Ok(Err(Refusal::UserWrongState { state: state.word(), event: event.word() }));
        }
    }
    Ok(lifecycle::step(now, &device.state, event))
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
    let by = Deed::by(actor);
    // The proof that the event carries is what the lifecycle went by; else it is how the admin came in.
    let proof = event.proof().map_or(by.proof, |proof| proof.to_string());
    audit::write(tx, now, Deed { action: &action, subject: id.to_string(), detail, proof, ..by }).await
}

/// A row as an admin sees it. Never fails.
pub(crate) fn view(row: DeviceRow, user: String) -> DeviceView {
    let DeviceRow { id, name, state, epoch, about, created_at, activated_at, last_seen_at, last_snapshot, .. } = row;
    DeviceView {
        id,
        name,
        user,
        state,
        epoch,
        about,
        created_at,
        activated_at,
        last_seen_at,
        last_snapshot,
        more: None,
    }
}
