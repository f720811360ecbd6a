//! Takes a decision of the conflict desk back, with everything as it was. Refuses once its time is over, where the
//! device has gone on since, and to take back with it what an admin or a campaign has done meanwhile.

use super::clones::cut;
use super::{Conflict, finish, known, record, states};
use crate::{AdminActor, App, AppError, effects};
use base::{ConflictId, DeviceId, Timestamp};
use control::{Effect, Event, FlatState, Level, Permit, Refusal, State};
use db::{ConflictKind, ConflictRow, ConflictStatus, DeviceRow, Tx};

/// Takes back what was decided about a conflict.
///
/// # Errors
/// `conflict_unknown`; `undo_too_late`; `not_permitted`.
pub async fn undo(app: &App, actor: &AdminActor, id: ConflictId) -> Result<Conflict, AppError> {
    actor.need(Permit::DeviceManage)?;
    let now = app.clock.now();
    let during = || AppError::db("undoing a decision");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    let decided = !matches!(row.status, ConflictStatus::Open | ConflictStatus::Undone);
    if !decided || row.undo_until.is_none_or(|until| now >= until) {
        return Err(Refusal::UndoTooLate.into());
    }
    // One that came up since is decided first: a device has one open conflict of a kind.
    if db::conflict_get_open(&mut tx, row.device, row.kind).await.map_err(during())?.is_some() {
        return Err(Refusal::UndoTooLate.into());
    }
    let before = states(&mut tx, &row).await?;
    match (row.kind, row.status) {
        (ConflictKind::Records, ConflictStatus::Merged) => unmerge(app, &mut tx, now, &row).await?,
        (ConflictKind::Clone, ConflictStatus::Merged) => requarantine(app, &mut tx, now, &row).await?,
        (ConflictKind::Clone, ConflictStatus::Split) => unsplit(app, &mut tx, now, &row).await?,
        (_, ConflictStatus::Kept | ConflictStatus::Split | ConflictStatus::Open | ConflictStatus::Undone) => {}
    }
    // What an admin has merged without a conflict was never on the desk.
    let status = if row.times == 0 { ConflictStatus::Undone } else { ConflictStatus::Open };
    let other = if row.kind == ConflictKind::Records { row.other } else { None };
    let undone = ConflictRow { status, resolved_at: None, resolved_by: None, undo_until: None, other, ..row };
    let undone = ConflictRow { before: None, state_before: None, ..undone };
    db::conflict_update(&mut tx, &undone).await.map_err(during())?;
    finish(app, tx, now, actor, "conflict_undo", (before, undone)).await
}

/// An admin or a campaign puts an event to a device, granted or not: what an undo of an earlier decision would take
/// back with it stays. To be said in the transaction of the event, before it is carried out.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn overtaken(tx: &mut Tx, now: Timestamp, device: &DeviceRow, event: &Event) -> Result<(), AppError> {
    let during = || AppError::db("keeping that a decision is overtaken");
    match event {
        // Cut off as hard as can be: the reset is refused, and yet it has to come back as the reset asks for.
        Event::Deactivate { .. } | Event::Hold { .. } if device.state.level() == Some(Level::Distrust) => {
            db::conflict_split_final_update(tx, device.id, now).await.map_err(during())
        }
        Event::Suspend if matches!(device.state, State::Suspended { .. }) => {
            db::conflict_suspended_update(tx, device.id).await.map_err(during())
        }
        _ => Ok(()),
    }
}

async fn unmerge(app: &App, tx: &mut Tx, now: Timestamp, row: &ConflictRow) -> Result<(), AppError> {
    let Some(other) = row.other else { return Err(Refusal::UndoTooLate.into()) };
    let other = record(tx, other).await?;
    let merged = db::device_merged_get(tx, other.id).await.map_err(AppError::db("reading a merged record"))?;
    // What it had is gone for good, or the end of the kept record has taken it apart, and it may be merged elsewhere.
    if other.state == State::Purged || merged != Some(row.device) {
        return Err(Refusal::UndoTooLate.into());
    }
    db::device_merged_update(tx, other.id, None).await.map_err(AppError::db("undoing a merge"))?;
    // It was suspended for the merge, and stays so if something has happened to it since.
    if row.before == Some(1) && matches!(other.state, State::Suspended { .. }) {
        effects::put(app, tx, now, other, &Event::Enable).await?;
    }
    Ok(())
}

/// Two machines may be in question again. What was in no quarantine when it was decided goes into none.
async fn requarantine(app: &App, tx: &mut Tx, now: Timestamp, row: &ConflictRow) -> Result<(), AppError> {
    if row.before != Some(1) {
        return Ok(());
    }
    let device = record(tx, row.device).await?;
    match effects::put(app, tx, now, device, &Event::Conflict).await {
        Ok(_) => Ok(()),
        // It stands where no quarantine is: it has gone on since.
        Err(AppError::Refused(_)) => Err(Refusal::UndoTooLate.into()),
        Err(error) => Err(error),
    }
}

/// Puts a split device back to where it stood, as long as it stands exactly where the split has put it, under the same
/// binding. The state is one that the lifecycle had made: nothing is decided here that it has not.
async fn unsplit(app: &App, tx: &mut Tx, now: Timestamp, row: &ConflictRow) -> Result<(), AppError> {
    let device = record(tx, row.device).await?;
    if let Some(epoch) = row.before {
        let merged = db::device_merged_get(tx, device.id).await.map_err(AppError::db("reading a merged record"))?;
        let state = row.state_before.as_deref().and_then(state_read);
        let as_split = |state: &State| cut(now, state).is_some_and(|(split, _)| split == device.state);
        let state = state.filter(|state| as_split(state) && device.epoch == epoch && merged.is_none());
        let Some(state) = state else { return Err(Refusal::UndoTooLate.into()) };
        // What was deactivated before had no key that is in force.
        let effects = if state.level().is_some() { Vec::new() } else { vec![Effect::RenewCredential] };
        effects::carry_out(app, tx, now, device, (state, effects), None).await?;
    }
    // The record that was prepared for the other machine goes, if nobody has taken it.
    if let Some(other) = row.other {
        unprepare(app, tx, now, other).await?;
    }
    Ok(())
}

async fn unprepare(app: &App, tx: &mut Tx, now: Timestamp, other: DeviceId) -> Result<(), AppError> {
    let other = record(tx, other).await?;
    let waiting = db::waiting_get(tx, other.id).await.map_err(AppError::db("reading a record that waits"))?;
    // One that a computer has asked for meanwhile is an admin's to decide about.
    if other.state == State::Pending && waiting.is_none() {
        effects::put(app, tx, now, other, &Event::Delete { purge_after: now }).await?;
    }
    Ok(())
}

/// A state as one text; `state_read` makes the same state of it. Never fails.
pub(super) fn state_text(state: &State) -> String {
    let flat = state.to_flat();
    let time = |at: Option<Timestamp>| at.map_or(String::new(), |at| at.as_ms().to_string());
    [
        flat.word,
        flat.was.unwrap_or_default(),
        flat.rights.unwrap_or_default(),
        flat.level.unwrap_or_default(),
        time(flat.append_until),
        time(flat.purge_after),
    ]
    .join("|")
}

fn state_read(text: &str) -> Option<State> {
    let parts: Vec<&str> = text.split('|').collect();
    let [word, was, rights, level, append_until, purge_after] = parts.as_slice() else { return None };
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let time = |text: &str| text.parse().ok().map(Timestamp::from_ms);
    let flat = FlatState {
        word: (*word).to_owned(),
        was: text(was),
        rights: text(rights),
        level: text(level),
        append_until: time(append_until),
        purge_after: time(purge_after),
    };
    State::from_flat(&flat).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::Rights;

    #[test]
    fn a_state_reads_back_from_its_text_and_nothing_else_does() {
        let held = State::Held { rights: Rights::AppendOnly, append_until: Timestamp::from_ms(-4) };
        let quarantined = State::Quarantined { was: Box::new(held) };
        let suspended = State::Suspended { was: Box::new(quarantined.clone()) };
        for state in [State::Active { rights: Rights::Full }, quarantined, suspended] {
            assert_eq!(state_read(&state_text(&state)), Some(state));
        }
        assert_eq!(state_read("active||full"), None);
        assert_eq!(state_read("asleep|||||"), None);
    }
}
