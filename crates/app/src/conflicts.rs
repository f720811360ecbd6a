//! The conflict desk: what an admin decides about two machines with one key, or two records of one machine.
//! Refuses to decide by itself, and to merge records of different users. Undoing is in `conflicts/undo.rs`.

mod undo;

pub use undo::undo;

use crate::audit::{self, Deed};
use crate::page::{self, Page, PageAsk};
use crate::{AdminActor, App, AppError, effects};
use base::{ConflictId, DeviceId, Span, Timestamp, UserId};
use control::{Effect, Event, Permit, State, Verdict, lifecycle};
use db::{ConflictKind, ConflictRow, ConflictStatus, DeviceAbout, DeviceRow, PageKey, Tx};

/// For how long a decision can be undone.
pub const UNDO_SPAN: Span = Span::days(30);

/// What an admin decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// One machine after all: it goes on as before.
    OneMachine,
    /// Two machines: the key proves nothing, and each activates anew.
    TwoMachines {
        /// For whom a record is prepared, so that the other machine finds it.
        other_user: Option<UserId>,
    },
    /// Two records of one machine: the other is merged into the one of the conflict.
    Merge,
    /// Two records that both stay; nobody is warned of them again.
    KeepBoth,
}

/// A conflict as an admin sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Which.
    pub id: ConflictId,
    /// Two machines, or two records.
    pub kind: ConflictKind,
    /// What was decided.
    pub status: ConflictStatus,
    /// When it was seen last.
    pub seen_at: Timestamp,
    /// How often.
    pub times: u64,
    /// The number that the server had handed out.
    pub counter: u64,
    /// The number that was presented.
    pub counter_seen: u64,
    /// The address of the machine that presented it.
    pub source: String,
    /// The record.
    pub device: Side,
    /// The other record, where there is one.
    pub other: Option<Side>,
    /// Who decided.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_at: Option<Timestamp>,
    /// Until when that can be undone.
    pub undo_until: Option<Timestamp>,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The record.
    pub device: DeviceId,
    /// Its name.
    pub name: String,
    /// Its user's address.
    pub email: String,
    /// Where it stands.
    pub state: State,
    /// What the computer said of itself at its last activation.
    pub about: DeviceAbout,
    /// When it last opened a session.
    pub seen_at: Option<Timestamp>,
}

/// A page of the desk, the newest first: what is open, or everything.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn page(app: &App, actor: &AdminActor, open_only: bool, ask: &PageAsk) -> Result<Page<Conflict>, AppError> {
    actor.need(Permit::CampaignRead)?;
    let during = || AppError::db("listing conflicts");
    let after = page::timed(ask, PageKey::LAST)?;
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::conflict_list(&mut tx, open_only, after, ask.rows()).await.map_err(during())?;
    let key = |row: &ConflictRow| page::timed_parts(row.seen_at, row.id.as_bytes());
    let Page { items: rows, next } = ask.page(rows, key, |row| row);
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(view(&mut tx, row).await?);
    }
    Ok(Page { items, next })
}

/// One conflict.
///
/// # Errors
/// `conflict_unknown`; `not_permitted`.
pub async fn get(app: &App, actor: &AdminActor, id: ConflictId) -> Result<Conflict, AppError> {
    actor.need(Permit::CampaignRead)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading a conflict"))?;
    let row = known(&mut tx, id).await?;
    view(&mut tx, row).await
}

/// Carries out what an admin has decided about an open conflict.
///
/// # Errors
/// `conflict_unknown`; `conflict_decided` for one that is not open; `decision_unfit` for a decision that this kind of
/// conflict does not take; the refusals of the lifecycle; as `merge`.
pub async fn resolve(app: &App, actor: &AdminActor, id: ConflictId, decision: Decision) -> Result<Conflict, AppError> {
    actor.need(Permit::CampaignManage)?;
    let now = app.clock.now();
    let during = || AppError::db("deciding a conflict");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    if row.status != ConflictStatus::Open {
        return Err(AppError::conflict("conflict_decided", "This conflict was decided already; undo that first."));
    }
    let device = record(&mut tx, row.device).await?;
    let decided = match (row.kind, decision) {
        (ConflictKind::Clone, Decision::OneMachine) => one_machine(app, &mut tx, now, row, &device).await?,
        (ConflictKind::Clone, Decision::TwoMachines { other_user }) => {
            two_machines(app, &mut tx, now, row, &device, other_user).await?
        }
        (ConflictKind::Records, Decision::Merge) => {
            let other = row.other.ok_or_else(unfit)?;
            let suspended = merge_into(app, &mut tx, now, &device, other).await?;
            ConflictRow { status: ConflictStatus::Merged, before: Some(u64::from(suspended)), ..row }
        }
        (ConflictKind::Records, Decision::KeepBoth) => ConflictRow { status: ConflictStatus::Kept, ..row },
        (ConflictKind::Clone, Decision::Merge | Decision::KeepBoth)
        | (ConflictKind::Records, Decision::OneMachine | Decision::TwoMachines { .. }) => return Err(unfit()),
    };
    let decided = ConflictRow {
        resolved_at: Some(now),
        resolved_by: Some(actor.to_string()),
        undo_until: Some(now + UNDO_SPAN),
        ..decided
    };
    db::conflict_update(&mut tx, &decided).await.map_err(during())?;
    finish(app, tx, now, actor, "conflict_resolve", decided).await
}

/// Merges record `other` into record `keep`, both of one user and one machine: its snapshots are shown and read there.
///
/// # Errors
/// `device_unknown`; `merge_unfit` for records of different users, a record and itself, or one that is merged already;
/// `not_permitted`.
pub async fn merge(app: &App, actor: &AdminActor, keep: DeviceId, other: DeviceId) -> Result<Conflict, AppError> {
    actor.need(Permit::CampaignManage)?;
    let now = app.clock.now();
    let during = || AppError::db("merging records");
    let mut tx = app.db.write().await.map_err(during())?;
    let device = record(&mut tx, keep).await?;
    let suspended = merge_into(app, &mut tx, now, &device, other).await?;
    let id = ConflictId::mint(app.entropy.as_ref());
    let row = ConflictRow {
        // Nobody has seen it: an admin has said so.
        times: 0,
        status: ConflictStatus::Merged,
        resolved_at: Some(now),
        resolved_by: Some(actor.to_string()),
        undo_until: Some(now + UNDO_SPAN),
        other: Some(other),
        before: Some(u64::from(suspended)),
        ..ConflictRow::open(id, keep, ConflictKind::Records, device.about.host_name, now)
    };
    db::conflict_insert(&mut tx, &row).await.map_err(during())?;
    db::conflict_update(&mut tx, &row).await.map_err(during())?;
    finish(app, tx, now, actor, "conflict_merge", row).await
}

/// Two records of one machine were seen at an activation: the desk is told, unless an admin has decided to keep both.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn resembles(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: DeviceId,
    twin: DeviceId,
) -> Result<(), AppError> {
    let during = || AppError::db("keeping a conflict");
    let kept = db::conflict_list_kept(tx).await.map_err(during())?;
    let silenced = kept.into_iter().any(|pair| pair == (device, twin) || pair == (twin, device));
    if silenced || db::conflict_get_open(tx, twin).await.map_err(during())?.is_some() {
        return Ok(());
    }
    let about = record(tx, twin).await?.about;
    let id = ConflictId::mint(app.entropy.as_ref());
    let opened = ConflictRow::open(id, twin, ConflictKind::Records, about.host_name, now);
    let row = ConflictRow { other: Some(device), ..opened };
    db::conflict_insert(tx, &row).await.map_err(during())
}

async fn one_machine(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    row: ConflictRow,
    device: &DeviceRow,
) -> Result<ConflictRow, AppError> {
    // A reset may have cut it off in the meantime, or a new key was bound: then it stays so, and the decision is only
    // recorded.
    let is_quarantined = device.state.is_quarantined();
    if is_quarantined {
        apply(app, tx, now, device, &Event::Resolve { verdict: Verdict::OneMachine }).await?;
    }
    // Whichever counter the machine has now is the one to go on from.
    db::device_counter_remove(tx, device.id).await.map_err(AppError::db("beginning a counter anew"))?;
    Ok(ConflictRow { status: ConflictStatus::Merged, before: Some(u64::from(is_quarantined)), ..row })
}

async fn two_machines(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    row: ConflictRow,
    device: &DeviceRow,
    other_user: Option<UserId>,
) -> Result<ConflictRow, AppError> {
    let during = || AppError::db("preparing a record");
    // A reset may have cut it off in the meantime, as this decision would, and a new key may be bound since: then
    // nothing is left but to record it.
    if device.state.is_quarantined() {
        apply(app, tx, now, device, &Event::Resolve { verdict: Verdict::TwoMachines }).await?;
    }
    let mut other = None;
    if let Some(user) = other_user {
        let known = db::user_get(tx, user).await.map_err(during())?;
        let user = known.ok_or_else(|| AppError::user_unknown(user))?;
        let id = DeviceId::mint(app.entropy.as_ref());
        let prepared = DeviceRow {
            id,
            user: user.id,
            name: device.name.clone(),
            state: State::Pending,
            epoch: 0,
            about: DeviceAbout { host_name: device.about.host_name.clone(), ..DeviceAbout::default() },
            created_at: now,
            activated_at: now,
            last_seen_at: None,
            last_snapshot: None,
        };
        db::device_insert(tx, &prepared).await.map_err(during())?;
        other = Some(id);
    }
    let state_before = Some(undo::state_text(&device.state));
    Ok(ConflictRow { status: ConflictStatus::Split, before: Some(device.epoch), other, state_before, ..row })
}

/// Merges `other` into `device`. Gives whether it was suspended for that.
async fn merge_into(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: &DeviceRow,
    other: DeviceId,
) -> Result<bool, AppError> {
    let during = || AppError::db("merging records");
    let unfit = |what: &str| AppError::conflict("merge_unfit", format!("These records cannot be merged: {what}."));
    let other = record(tx, other).await?;
    if other.id == device.id {
        return Err(unfit("they are one record"));
    }
    if other.user != device.user {
        return Err(unfit("they belong to different users"));
    }
    let merged = db::device_merged_get(tx, other.id).await.map_err(during())?.is_some()
        || db::device_merged_get(tx, device.id).await.map_err(during())?.is_some()
        || !db::device_merged_list(tx, other.id).await.map_err(during())?.is_empty();
    if merged {
        return Err(unfit("one of them is merged with another already"));
    }
    if matches!(other.state, State::Deleted { .. } | State::Purged)
        || matches!(device.state, State::Deleted { .. } | State::Purged)
    {
        return Err(unfit("one of them was deleted"));
    }
    db::device_merged_update(tx, other.id, Some(device.id)).await.map_err(during())?;
    // A record that is not in service anyway stays as it is.
    let Ok((state, effects)) = lifecycle::step(now, &other.state, &Event::Suspend) else { return Ok(false) };
    carry_out(app, tx, now, &other, state, &effects).await?;
    Ok(true)
}

async fn apply(app: &App, tx: &mut Tx, now: Timestamp, device: &DeviceRow, event: &Event) -> Result<(), AppError> {
    let (state, effects) = lifecycle::step(now, &device.state, event)?;
    carry_out(app, tx, now, device, state, &effects).await
}

async fn carry_out(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: &DeviceRow,
    state: State,
    effects: &[Effect],
) -> Result<(), AppError> {
    let during = || AppError::db("deciding a conflict");
    let epoch = effects::carry_out(app, tx, now, device, &state, effects, None).await?.epoch;
    db::device_state_update(tx, device.id, &state).await.map_err(during())?;
    db::device_epoch_update(tx, device.id, epoch).await.map_err(during())
}

/// The audit row, the commit, and what has to be said after it.
async fn finish(
    app: &App,
    mut tx: Tx,
    now: Timestamp,
    actor: &AdminActor,
    action: &str,
    row: ConflictRow,
) -> Result<Conflict, AppError> {
    let other = row.other.map_or_else(String::new, |other| format!(" with {other}"));
    let detail = format!("{} {}: {}{other}", row.kind.word(), row.id, row.status.word());
    let deed = Deed { action, subject: row.device.to_string(), detail, ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    let view = view(&mut tx, row).await?;
    tx.commit().await.map_err(AppError::db("deciding a conflict"))?;
    // ORDER: said after the commit, or a request in between would remember the old state.
    app.states.changed(view.device.device);
    if let Some(other) = &view.other {
        app.states.changed(other.device);
    }
    Ok(view)
}

async fn known(tx: &mut Tx, id: ConflictId) -> Result<ConflictRow, AppError> {
    let row = db::conflict_get(tx, id).await.map_err(AppError::db("reading a conflict"))?;
    row.ok_or_else(|| AppError::not_found("conflict_unknown", format!("There is no conflict {id}.")))
}

async fn record(tx: &mut Tx, id: DeviceId) -> Result<DeviceRow, AppError> {
    let row = db::device_get(tx, id).await.map_err(AppError::db("reading a device"))?;
    row.ok_or_else(|| AppError::device_unknown(id))
}

fn unfit() -> AppError {
    let sentence = "This decision does not fit: two machines are one or two, two records are merged or both kept.";
    AppError::invalid("decision_unfit", sentence)
}

async fn view(tx: &mut Tx, row: ConflictRow) -> Result<Conflict, AppError> {
    let device = side(tx, row.device).await?;
    let other = match row.other {
        Some(other) => Some(side(tx, other).await?),
        None => None,
    };
    Ok(Conflict {
        id: row.id,
        kind: row.kind,
        status: row.status,
        seen_at: row.seen_at,
        times: row.times,
        counter: row.counter,
        counter_seen: row.counter_seen,
        source: row.source,
        device,
        other,
        resolved_by: row.resolved_by,
        resolved_at: row.resolved_at,
        undo_until: row.undo_until,
    })
}

async fn side(tx: &mut Tx, id: DeviceId) -> Result<Side, AppError> {
    let row = record(tx, id).await?;
    let user = db::user_get(tx, row.user).await.map_err(AppError::db("reading a user"))?;
    let email = user.map(|user| user.email).unwrap_or_default();
    Ok(Side { device: id, name: row.name, email, state: row.state, about: row.about, seen_at: row.last_seen_at })
}
