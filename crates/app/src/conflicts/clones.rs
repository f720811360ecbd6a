//! What a decision about two machines with one key does to the record. Refuses to leave a quarantine without a way out,
//! and to cut off a key that was bound since the two were seen.

use super::undo;
use crate::{App, AppError, effects};
use base::{DeviceId, Timestamp, UserId};
use control::lifecycle::Step;
use control::{Event, Level, State, Verdict, lifecycle};
use db::{ConflictRow, ConflictStatus, DeviceAbout, DeviceCounterRow, DeviceRow, Tx};

/// One machine after all: a quarantine ends. Where there is none any more, only the decision is kept.
pub(super) async fn one_machine(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    row: ConflictRow,
    device: &DeviceRow,
) -> Result<ConflictRow, AppError> {
    let quarantined = device.state.is_quarantined();
    // Whichever counter the machine has now is the one to go on from.
    let counter = DeviceCounterRow { remembered: None, ..device.counter };
    let device = DeviceRow { counter, ..device.clone() };
    if quarantined {
        effects::put(app, tx, now, device, &Event::Resolve { verdict: Verdict::OneMachine }).await?;
    } else {
        db::device_update(tx, &device).await.map_err(AppError::db("beginning a counter anew"))?;
    }
    Ok(ConflictRow { status: ConflictStatus::Merged, before: Some(u64::from(quarantined)), ..row })
}

/// Two machines: the key that both have proves nothing from now on. For the other one a record can be prepared.
pub(super) async fn two_machines(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    row: ConflictRow,
    device: &DeviceRow,
    other_user: Option<UserId>,
) -> Result<ConflictRow, AppError> {
    // A key that was bound since is not the one that both have. Nothing is bound to a record in quarantine, so there it
    // is, whatever two clocks say: or nobody could end the quarantine.
    let since = device.epoch > 0 && device.activated_at > row.seen_at;
    let replaced = since && !device.state.is_quarantined();
    let step = if replaced { None } else { cut(now, &device.state) };
    let (before, state_before) = match step {
        Some(step) => {
            effects::carry_out(app, tx, now, device.clone(), step, None).await?;
            (Some(device.epoch), Some(undo::state_text(&device.state)))
        }
        None => (None, None),
    };
    let other = match other_user {
        Some(user) => Some(prepare(app, tx, now, device, user).await?),
        None => None,
    };
    Ok(ConflictRow { status: ConflictStatus::Split, before, other, state_before, ..row })
}

/// What makes the key worth nothing; `None` where there is none that is worth anything.
pub(super) fn cut(now: Timestamp, state: &State) -> Option<Step> {
    let resolve = Event::Resolve { verdict: Verdict::TwoMachines };
    let deactivate = Event::Deactivate { level: Level::Distrust };
    [resolve, deactivate].iter().find_map(|event| lifecycle::step(now, state, event).ok())
}

/// Makes the record that the other machine finds by its name.
async fn prepare(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: &DeviceRow,
    user: UserId,
) -> Result<DeviceId, AppError> {
    let during = || AppError::db("preparing a record");
    let user = db::user_get(tx, user).await.map_err(during())?.ok_or_else(|| AppError::user_unknown(user))?;
    let id = DeviceId::mint(app.entropy.as_ref());
    let about = DeviceAbout { host_name: device.about.host_name.clone(), ..DeviceAbout::default() };
    let prepared = DeviceRow::new(id, user.id, device.name.clone(), about, now);
    db::device_insert(tx, &prepared).await.map_err(during())?;
    Ok(id)
}
