//! The conflict desk: what an admin decides about two machines with one key, or two records of one machine.
//! Refuses to decide by itself, and to merge records of different users. What a decision does is in the files beside
//! this one: `clones`, `merge`, `undo`.

mod clones;
mod merge;
mod undo;

pub use merge::merge;
pub use undo::undo;

pub(crate) use undo::overtaken;

use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::page::{self, Page, PageAsk};
use crate::{AdminActor, App, AppError};
use base::{ConflictId, DeviceId, Span, Timestamp, UserId};
use control::{Permit, State};
use db::{ConflictKind, ConflictRow, ConflictStatus, DeviceAbout, DeviceRow, PageKey, Tx};
use std::collections::BTreeMap;

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
    /// Two records of one machine: one is merged into the other.
    Merge {
        /// The one that stays; `None` is the one that was heard of last.
        keep: Option<DeviceId>,
    },
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
    /// Has the decision that there are two machines cut a key off? Not where it was replaced, or worth nothing, before.
    pub cut_off: bool,
    /// Who decided.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_at: Option<Timestamp>,
    /// Until when that can be undone.
    pub undo_until: Option<Timestamp>,
    /// Which of two records in question a merge keeps, where the admin does not say.
    pub merge_keeps: Option<DeviceId>,
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
    actor.need(Permit::DeviceManage)?;
    let now = app.clock.now();
    let during = || AppError::db("deciding a conflict");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    if row.status != ConflictStatus::Open {
        return Err(AppError::conflict("conflict_decided", "This conflict was decided already; undo that first."));
    }
    let before = states(&mut tx, &row).await?;
    let device = record(&mut tx, row.device).await?;
    let decided = match (row.kind, decision) {
        (ConflictKind::Clone, Decision::OneMachine) => clones::one_machine(app, &mut tx, now, row, &device).await?,
        (ConflictKind::Clone, Decision::TwoMachines { other_user }) => {
            clones::two_machines(app, &mut tx, now, row, &device, other_user).await?
        }
        (ConflictKind::Records, Decision::Merge { keep }) => {
            merge::decided(app, &mut tx, now, row, &device, keep).await?
        }
        (ConflictKind::Records, Decision::KeepBoth) => ConflictRow { status: ConflictStatus::Kept, ..row },
        (ConflictKind::Clone, Decision::Merge { .. } | Decision::KeepBoth)
        | (ConflictKind::Records, Decision::OneMachine | Decision::TwoMachines { .. }) => return Err(unfit()),
    };
    let decided = ConflictRow {
        resolved_at: Some(now),
        resolved_by: Some(actor.to_string()),
        undo_until: Some(now + UNDO_SPAN),
        ..decided
    };
    db::conflict_update(&mut tx, &decided).await.map_err(during())?;
    finish(app, tx, now, actor, "conflict_resolve", (before, decided)).await
}

/// Two records of one machine were seen at an activation: the desk is told, unless an admin has decided to keep both.
/// `by` says whose activation that is.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn resembles(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: DeviceId,
    twin: DeviceId,
    by: Deed<'_>,
) -> Result<(), AppError> {
    let during = || AppError::db("keeping a conflict");
    let silenced = db::conflict_kept_get(tx, device, twin).await.map_err(during())?;
    let open = db::conflict_get_open(tx, twin, ConflictKind::Records).await.map_err(during())?;
    if silenced || open.is_some() {
        return Ok(());
    }
    let about = record(tx, twin).await?.about;
    let id = ConflictId::mint(app.entropy.as_ref());
    let opened = ConflictRow::open(id, twin, ConflictKind::Records, about.host_name, now);
    let row = ConflictRow { other: Some(device), source: by.source.clone(), ..opened };
    db::conflict_insert(tx, &row).await.map_err(during())?;
    let detail = format!("records {id}: {device} says that it is this machine");
    audit::write(tx, now, Deed { action: "conflict_open", subject: twin.to_string(), detail, ..by }).await
}

/// The records of a conflict, each with where it stands.
async fn states(tx: &mut Tx, row: &ConflictRow) -> Result<BTreeMap<DeviceId, State>, AppError> {
    let mut states = BTreeMap::new();
    for device in [Some(row.device), row.other].into_iter().flatten() {
        states.insert(device, record(tx, device).await?.state);
    }
    Ok(states)
}

/// The audit row with the states before and after, the commit, and what has to be said after it.
async fn finish(
    app: &App,
    mut tx: Tx,
    now: Timestamp,
    actor: &AdminActor,
    action: &str,
    (before, row): (BTreeMap<DeviceId, State>, ConflictRow),
) -> Result<Conflict, AppError> {
    let mut touched = states(&mut tx, &row).await?;
    for device in before.keys() {
        touched.insert(*device, record(&mut tx, *device).await?.state);
    }
    let other = row.other.map_or_else(String::new, |other| format!(" with {other}"));
    let mut detail = format!("{} {}: {}{other}", row.kind.word(), row.id, row.status.word());
    for (device, state) in &touched {
        match before.get(device) {
            Some(before) => detail.push_str(&format!("; {device} {before} to {state}")),
            None => detail.push_str(&format!("; {device} made, {state}")),
        }
    }
    let deed = Deed { action, subject: row.device.to_string(), detail, ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    let view = view(&mut tx, row).await?;
    tx.commit().await.map_err(AppError::db("deciding a conflict"))?;
    // ORDER: said after the commit, or a request in between would remember the old state.
    for device in touched.into_keys() {
        app.states.changed(device);
    }
    Ok(view)
}

async fn known(tx: &mut Tx, id: ConflictId) -> Result<ConflictRow, AppError> {
    let row = db::conflict_get(tx, id).await.map_err(AppError::db("reading a conflict"))?;
    row.ok_or_else(|| {
        AppError::not_found("conflict_unknown", there_is_no(format_args!("conflict {id}"), "conflict list --all"))
    })
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
    let device = record(tx, row.device).await?;
    let other = match row.other {
        Some(other) => Some(record(tx, other).await?),
        None => None,
    };
    let in_question = row.kind == ConflictKind::Records && row.status == ConflictStatus::Open;
    let merge_keeps = other.as_ref().filter(|_| in_question).map(|other| merge::latest(&device, other).id);
    Ok(Conflict {
        id: row.id,
        kind: row.kind,
        status: row.status,
        seen_at: row.seen_at,
        times: row.times,
        counter: row.counter,
        counter_seen: row.counter_seen,
        source: row.source,
        device: side(tx, device).await?,
        other: match other {
            Some(other) => Some(side(tx, other).await?),
            None => None,
        },
        cut_off: row.status == ConflictStatus::Split && row.before.is_some(),
        resolved_by: row.resolved_by,
        resolved_at: row.resolved_at,
        undo_until: row.undo_until,
        merge_keeps,
    })
}

async fn side(tx: &mut Tx, row: DeviceRow) -> Result<Side, AppError> {
    let user = db::user_get(tx, row.user).await.map_err(AppError::db("reading a user"))?;
    let email = user.map(|user| user.email).unwrap_or_default();
    Ok(Side { device: row.id, name: row.name, email, state: row.state, about: row.about, seen_at: row.last_seen_at })
}
