//! Retention: what becomes of each snapshot of a device and why, and the pins that keep one. The job that lets go of
//! snapshots is `jobs::prune`, which asks the same function.
//! Refuses to decide: the rule is `control::retention`. Rules: docs/control.md, "Retention".

use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::{AdminActor, App, AppError, policy};
use base::{DeviceId, SnapshotId, Timestamp, UserId};
use control::Permit;
use control::policy::effective;
use control::retention::{Known, Reason, Rules, Verdict, judge};
use db::{Pin, SnapshotAgeRow, Tx};

/// The name of the job, and of the row that says how far it is.
pub(crate) const JOB: &str = "prune";
/// The longest note of a pin, in characters.
const NOTE_CHARS_MAX: usize = 200;

/// Rules to look at instead of those that the policy says; `None` leaves the policy's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instead {
    /// Days.
    pub days: Option<u16>,
    /// Weeks.
    pub weeks: Option<u16>,
    /// Months.
    pub months: Option<u16>,
}

/// What becomes of the snapshots of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The rules that were asked about.
    pub rules: Rules,
    /// The time that retention goes by; behind the clock while it catches up with it.
    pub now: Timestamp,
    /// The legal holds that keep everything, by name.
    pub holds: Vec<String>,
    /// Every snapshot, the newest first.
    pub snapshots: Vec<Previewed>,
}

/// What becomes of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previewed {
    /// Which.
    pub id: SnapshotId,
    /// The server's clock at its commit.
    pub committed_at: Timestamp,
    /// Is it of some folders alone?
    pub partial: bool,
    /// Was something of it found lost?
    pub hurt: bool,
    /// Why it is kept; no reason when it is let go of.
    pub reasons: Vec<Reason>,
    /// When the last of the reasons ends, where all have an end.
    pub until: Option<Timestamp>,
    /// When it was let go of, if it was.
    pub expired_at: Option<Timestamp>,
    /// When it is removed, if nothing changes that: known of one that has no reason.
    pub removed_after: Option<Timestamp>,
}

/// What becomes of each snapshot of a device, by its policy or by other rules.
///
/// # Errors
/// `device_unknown`; `not_permitted`; the database does not answer.
pub async fn preview(app: &App, actor: &AdminActor, device: DeviceId, instead: Instead) -> Result<Preview, AppError> {
    actor.need(Permit::SnapshotRead)?;
    let during = || AppError::db("looking at the snapshots of a device");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::device_get(&mut tx, device).await.map_err(during())?;
    let user = row.ok_or_else(|| AppError::device_unknown(device))?.user;
    let now = now(app, &mut tx).await?;
    let mut rules = rules(&mut tx, user, device).await?;
    rules.days = instead.days.unwrap_or(rules.days);
    rules.weeks = instead.weeks.unwrap_or(rules.weeks);
    rules.months = instead.months.unwrap_or(rules.months);
    let holds = db::hold_list_by_device(&mut tx, device).await.map_err(during())?;
    let ages = db::snapshot_age_list(&mut tx, device, app.clock.now()).await.map_err(during())?;
    let verdicts = verdicts(now, rules, !holds.is_empty(), &ages);
    let previewed = |(age, verdict): (SnapshotAgeRow, Verdict)| Previewed {
        id: age.id,
        committed_at: age.committed_at,
        partial: age.partial,
        hurt: age.hurt,
        until: verdict.until(),
        expired_at: age.expired_at,
        removed_after: (!verdict.is_kept()).then(|| removed_after(app, age.expired_at.unwrap_or(now))),
        reasons: verdict.reasons,
    };
    let snapshots = ages.into_iter().zip(verdicts).rev().map(previewed).collect();
    Ok(Preview { rules, now, holds: holds.into_iter().map(|hold| hold.name).collect(), snapshots })
}

/// Pins a snapshot: it is kept until that is taken back. A snapshot that was let go of is kept again.
///
/// # Errors
/// `snapshot_unknown`, `note_invalid`; `not_permitted`; the database does not answer.
pub async fn pin(app: &App, actor: &AdminActor, snapshot: SnapshotId, note: &str) -> Result<(), AppError> {
    actor.need(Permit::SnapshotManage)?;
    let note = note.trim();
    if note.chars().count() > NOTE_CHARS_MAX || note.chars().any(char::is_control) {
        let sentence = format!("A note is one line of at most {NOTE_CHARS_MAX} characters.");
        return Err(AppError::invalid("note_invalid", sentence));
    }
    let pin = Pin { at: app.clock.now(), by: actor.to_string(), note: note.to_owned() };
    pin_set(app, actor, snapshot, Some(&pin)).await
}

/// Takes a pin back; without one nothing changes.
///
/// # Errors
/// As `pin`.
pub async fn unpin(app: &App, actor: &AdminActor, snapshot: SnapshotId) -> Result<(), AppError> {
    actor.need(Permit::SnapshotManage)?;
    pin_set(app, actor, snapshot, None).await
}

/// Gives a hurt snapshot up: it is let go of, whatever its policy says, and removed after the undo period. As long as
/// it is there, a tree of it that is lost keeps collections from removing anything.
///
/// # Errors
/// `snapshot_unknown`; `snapshot_whole`: nothing of it was found lost; `not_permitted`; the database does not answer.
pub async fn give_up(app: &App, actor: &AdminActor, id: SnapshotId) -> Result<(), AppError> {
    given_up_set(app, actor, id, Some(app.clock.now())).await
}

/// Takes that back, as long as the snapshot is there.
///
/// # Errors
/// As `give_up`.
pub async fn keep(app: &App, actor: &AdminActor, id: SnapshotId) -> Result<(), AppError> {
    given_up_set(app, actor, id, None).await
}

async fn given_up_set(app: &App, actor: &AdminActor, id: SnapshotId, at: Option<Timestamp>) -> Result<(), AppError> {
    actor.need(Permit::SnapshotManage)?;
    let during = || AppError::db("giving a snapshot up");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = db::snapshot_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| unknown(id))?;
    if at.is_some() && row.fate.hurt_at.is_none() {
        let sentence = "Nothing of the snapshot was found lost: `scrub` looks. Only one that is hurt is given up.";
        return Err(AppError::conflict("snapshot_whole", sentence));
    }
    db::snapshot_given_up_update(&mut tx, id, at).await.map_err(during())?;
    let action = if at.is_some() { "snapshot_give_up" } else { "snapshot_keep" };
    let subject = id.to_string();
    audit::write(&mut tx, app.clock.now(), Deed { action, subject, ..Deed::by(actor) }).await?;
    tx.commit().await.map_err(during())
}

fn unknown(id: SnapshotId) -> AppError {
    AppError::not_found("snapshot_unknown", there_is_no(format_args!("snapshot {id}"), "snapshot list"))
}

async fn pin_set(app: &App, actor: &AdminActor, id: SnapshotId, pin: Option<&Pin>) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("pinning a snapshot");
    let mut tx = app.db.write().await.map_err(during())?;
    if !db::snapshot_pin_update(&mut tx, id, pin).await.map_err(during())? {
        return Err(unknown(id));
    }
    if pin.is_some() {
        db::snapshot_expired_update(&mut tx, id, None).await.map_err(during())?;
    }
    let action = if pin.is_some() { "snapshot_pin" } else { "snapshot_unpin" };
    let detail = pin.map(|pin| pin.note.clone()).unwrap_or_default();
    audit::write(&mut tx, now, Deed { action, subject: id.to_string(), detail, ..Deed::by(actor) }).await?;
    tx.commit().await.map_err(during())
}

/// What the policy of a device says about its snapshots.
///
/// # Errors
/// The database does not answer, or a stored value is damaged.
pub(crate) async fn rules(tx: &mut Tx, user: UserId, device: DeviceId) -> Result<Rules, AppError> {
    Ok(Rules::of(&effective(&policy::levels(tx, user, Some(device)).await?.levels)))
}

/// The verdict on each snapshot. Never fails.
pub(crate) fn verdicts(now: Timestamp, rules: Rules, held: bool, ages: &[SnapshotAgeRow]) -> Vec<Verdict> {
    let known = |age: &SnapshotAgeRow| Known {
        committed_at: age.committed_at,
        good: !age.partial && !age.hurt,
        pinned: age.pinned,
        given_up: age.given_up,
    };
    judge(now, rules, held, &ages.iter().map(known).collect::<Vec<Known>>())
}

/// The time that retention goes by, as its job has left it.
///
/// # Errors
/// The database does not answer.
async fn now(app: &App, tx: &mut Tx) -> Result<Timestamp, AppError> {
    let clock = app.clock.now();
    let state = db::job_state_get(tx, JOB).await.map_err(AppError::db("reading how far retention is"))?;
    Ok(state.map_or(clock, |state| control::retention::time(state.at, state.clock, clock)))
}

/// When a snapshot that was let go of then is removed. Never fails.
pub(crate) fn removed_after(app: &App, expired_at: Timestamp) -> Timestamp {
    expired_at + app.config.snapshot_undo
}
