//! What a decision about two machines with one key does to the record. Refuses to leave a quarantine without a way out,
//! and to cut off a key that was bound since the two were seen.

use super::{apply, carry_out, undo};
use crate::{App, AppError};
use base::{DeviceId, Timestamp, UserId};
use control::lifecycle::Step;
use control::{Event, Level, State, Verdict, lifecycle};
use db::{ConflictRow, ConflictStatus, DeviceAbout, DeviceRow, Tx};

/// One machine after all: a quarantine ends. Where there is none any more, only the decision is kept.
pub(super) async fn one_machine(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    row: ConflictRow,
    device: &DeviceRow,
) -> Result<ConflictRow, AppError> {
    let quarantined = is_quarantined(&device.state);
    if quarantined {
        apply(app, tx, now, device, &Event::Resolve { verdict: Verdict::OneMachine }).await?;
    }
    // Whichever counter the machine has now is the one to go on from.
    db::device_counter_remove(tx, device.id).await.map_err(AppError::db("beginning a counter anew"))?;
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
    // A key that was bound since is not the one that both have.
    let replaced = device.epoch > 0 && device.activated_at > row.seen_at;
    let step = if replaced { None } else { cut(now, &device.state) };
    let (before, state_before) = match step {
        Some((state, effects)) => {
            carry_out(app, tx, now, device, state, &effects).await?;
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

/// Is the record quarantined, or what it returns to?
fn is_quarantined(state: &State) -> bool {
    matches!(state, State::Quarantined { .. }) || state.was().is_some_and(is_quarantined)
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
    Ok(id)
}
