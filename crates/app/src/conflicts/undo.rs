//! Takes a decision of the conflict desk back, with everything as it was. Refuses once its time is over, and where the
//! device has gone on since.

use super::{Conflict, apply, carry_out, finish, known, record};
use crate::{AdminActor, App, AppError};
use base::{ConflictId, Timestamp};
use control::{Effect, Event, FlatState, Level, Permit, Refusal, State};
use db::{ConflictKind, ConflictRow, ConflictStatus, DeviceRow, Tx};

/// Takes back what was decided about a conflict.
///
/// # Errors
/// `conflict_unknown`; `undo_too_late`; `not_permitted`.
pub async fn undo(app: &App, actor: &AdminActor, id: ConflictId) -> Result<Conflict, AppError> {
    actor.need(Permit::CampaignManage)?;
    let now = app.clock.now();
    let during = || AppError::db("undoing a decision");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    let decided = !matches!(row.status, ConflictStatus::Open | ConflictStatus::Undone);
    if !decided || row.undo_until.is_none_or(|until| now >= until) {
        return Err(Refusal::UndoTooLate.into());
    }
    // One that came up since is decided first: a device has one open conflict.
    if db::conflict_get_open(&mut tx, row.device).await.map_err(during())?.is_some() {
        return Err(Refusal::UndoTooLate.into());
    }
    match (row.kind, row.status) {
        (ConflictKind::Records, ConflictStatus::Merged) => unmerge(app, &mut tx, now, &row).await?,
        // It was not quarantined any more when that was decided.
        (ConflictKind::Clone, ConflictStatus::Merged) if row.before == Some(0) => {}
        (ConflictKind::Clone, ConflictStatus::Merged) => {
            let device = record(&mut tx, row.device).await?;
            apply(app, &mut tx, now, &device, &Event::Conflict)
                .await
                .map_err(|_| AppError::from(Refusal::UndoTooLate))?;
        }
        (ConflictKind::Clone, ConflictStatus::Split) => unsplit(app, &mut tx, now, &row).await?,
        (_, ConflictStatus::Kept | ConflictStatus::Split | ConflictStatus::Open | ConflictStatus::Undone) => {}
    }
    // What an admin has merged without a conflict was never on the desk.
    let status = if row.times == 0 { ConflictStatus::Undone } else { ConflictStatus::Open };
    let other = if row.kind == ConflictKind::Records { row.other } else { None };
    let undone = ConflictRow { status, resolved_at: None, resolved_by: None, undo_until: None, other, ..row };
    let undone = ConflictRow { before: None, state_before: None, ..undone };
    db::conflict_update(&mut tx, &undone).await.map_err(during())?;
    finish(app, tx, now, actor, "conflict_undo", undone).await
}

async fn unmerge(app: &App, tx: &mut Tx, now: Timestamp, row: &ConflictRow) -> Result<(), AppError> {
    let Some(other) = row.other else { return Err(Refusal::UndoTooLate.into()) };
    let other = record(tx, other).await?;
    // What it had is gone for good: there is nothing to be taken apart.
    if other.state == State::Purged {
        return Err(Refusal::UndoTooLate.into());
    }
    db::device_merged_update(tx, other.id, None).await.map_err(AppError::db("undoing a merge"))?;
    // It was suspended for the merge, and stays so if something has happened to it since.
    if row.before == Some(1) && matches!(other.state, State::Suspended { .. }) {
        apply(app, tx, now, &other, &Event::Enable).await?;
    }
    Ok(())
}

/// Puts a split device back to where it stood, as long as nothing was bound to it since. The state is one that the
/// lifecycle had made: nothing is decided here that it has not.
async fn unsplit(app: &App, tx: &mut Tx, now: Timestamp, row: &ConflictRow) -> Result<(), AppError> {
    let device = record(tx, row.device).await?;
    let as_split = device.state.level() == Some(Level::Distrust) && row.before == Some(device.epoch);
    let state = row.state_before.as_deref().and_then(state_read).filter(|_| as_split);
    let Some(state) = state else { return Err(Refusal::UndoTooLate.into()) };
    // What was cut off before the decision stays so: there is no key to be taken back.
    let cut_off = state.level() == Some(Level::Distrust);
    let effects: &[Effect] = if cut_off { &[] } else { &[Effect::RenewCredential] };
    carry_out(app, tx, now, &device, state, effects).await?;
    // The record that was prepared for the other machine goes, if nobody has taken it.
    if let Some(other) = row.other {
        let other: DeviceRow = record(tx, other).await?;
        if other.state == State::Pending {
            apply(app, tx, now, &other, &Event::Delete { purge_after: now }).await?;
        }
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
