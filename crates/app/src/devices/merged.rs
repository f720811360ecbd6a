//! What becomes of the records that were merged into one which is deleted, or taken back: they are one computer, and go
//! and come with it. Refuses to bring back one that was deleted by itself. Rules: docs/control.md, "Merged records".

use super::{event_audit, step};
use crate::{AdminActor, App, AppError, effects};
use base::{DeviceId, Timestamp};
use control::{Effect, Event, State};
use db::{DeviceRow, Tx};

/// Puts a deletion, or its undoing, to the records that were merged into `device`, whose state before is in it. Gives
/// those that it has changed.
///
/// # Errors
/// The database does not answer.
pub(super) async fn follow(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    actor: &AdminActor,
    device: &DeviceRow,
    event: &Event,
) -> Result<Vec<DeviceId>, AppError> {
    let during = || AppError::db("changing merged records");
    if !matches!(event, Event::Delete { .. } | Event::Undelete) {
        return Ok(Vec::new());
    }
    let mut changed = Vec::new();
    for id in db::device_merged_list(tx, device.id).await.map_err(during())? {
        let Some(merged) = db::device_get(tx, id).await.map_err(during())? else { continue };
        // What was deleted at another time was so by itself.
        if *event == Event::Undelete && deleted_until(&merged.state) != deleted_until(&device.state) {
            continue;
        }
        let Ok((state, mut effects)) = step(tx, now, &merged, event).await? else { continue };
        // The user hears of the computer once, and a merged record has nothing to catch up on.
        effects.retain(|effect| !matches!(effect, Effect::NotifyUser(_) | Effect::ScheduleCatchUp));
        effects::carry_out(app, tx, now, &merged, &state, &effects, None).await?;
        db::device_state_update(tx, id, &state).await.map_err(during())?;
        let detail = format!("{} to {state}: merged into {}", merged.state, device.id);
        event_audit(tx, now, actor, id, event, detail).await?;
        changed.push(id);
    }
    Ok(changed)
}

fn deleted_until(state: &State) -> Option<Timestamp> {
    match state {
        State::Deleted { purge_after, .. } => Some(*purge_after),
        _ => None,
    }
}
