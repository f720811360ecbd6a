//! The job of the campaigns: starts those whose time has come, gives devices their turns, ends what is settled.
//! Refuses to do a turn twice: what a turn changes, and that it was, are stored in one transaction.

use super::{board, deed, dry_run, known, messages};
use crate::audit::{self, Deed};
use crate::{AdminActor, App, AppError, devices, effects};
use base::{CampaignId, Count, DeviceId, Span, Timestamp};
use control::campaign::{Status, Verb, next};
use control::{Event, Proof, Refusal, State, lifecycle, slots};
use db::{CampaignDeviceRow, CampaignRow, DeviceRow, TurnStatus, Tx};

/// Turns in one transaction.
const BATCH: u32 = 200;
/// The most transactions for one campaign at one tick: the others want their turn too.
const BATCHES_MAX: usize = 50;

/// One tick: every campaign that goes on moves as far as its clock allows. May be repeated, and run beside itself.
///
/// # Errors
/// The database does not answer; what was done before stays done.
pub async fn tick(app: &App) -> Result<(), AppError> {
    let mut tx = app.db.read().await.map_err(AppError::db("listing open campaigns"))?;
    let open = db::campaign_list_open(&mut tx).await.map_err(AppError::db("listing open campaigns"))?;
    drop(tx);
    let now = app.clock.now();
    for campaign in open {
        // Looked at before anything is locked: there are campaigns that are paused, or wait for their time, for days.
        if campaign.status != Status::Running || (campaign.started_at.is_none() && !is_due(&campaign, now)) {
            continue;
        }
        if campaign.started_at.is_none() {
            begin(app, campaign.id).await?;
        }
        for _ in 0..BATCHES_MAX {
            if !step(app, campaign.id).await? {
                break;
            }
        }
        settle(app, campaign.id).await?;
    }
    Ok(())
}

/// Starts a campaign whose time has come: settles who is meant, once.
///
/// # Errors
/// The database does not answer.
pub(super) async fn begin(app: &App, id: CampaignId) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("starting a campaign");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    // RACE: read again under the write lock: it may have been paused, and another server may have begun it.
    if !is_due(&row, now) {
        return tx.commit().await.map_err(during());
    }
    let foretold = dry_run::foretell(app, &mut tx, now, &row).await?;
    let devices: Vec<DeviceId> = foretold.iter().map(|device| device.device).collect();
    let by_id: std::collections::HashMap<DeviceId, _> =
        foretold.into_iter().map(|device| (device.device, device)).collect();
    for turn in slots::turns(id, &devices, row.wave_size, row.wave_span) {
        let device = &by_id[&turn.device];
        let waiting = CampaignDeviceRow {
            campaign: id,
            device: turn.device,
            wave: turn.wave,
            due: turn.due,
            class: device.class,
            status: TurnStatus::Waiting,
            reason: String::new(),
            epoch_before: device.epoch,
            reset_at: None,
            back_at: None,
            proof: None,
            refused_code: None,
            refused_at: None,
            bytes_read: None,
            bytes_sent: None,
            bytes_covered: None,
            first_good: None,
            first_good_at: None,
            reminders: Count(0),
            reminded_at: None,
        };
        db::campaign_device_insert(&mut tx, &waiting).await.map_err(during())?;
    }
    let append_until = row.append_until.unwrap_or(now + app.config.device_hold);
    let row = CampaignRow { started_at: Some(now), ticked_at: Some(now), append_until: Some(append_until), ..row };
    db::campaign_update(&mut tx, &row).await.map_err(during())?;
    let detail = format!("{} devices in waves of {}", devices.len(), row.wave_size);
    deed(&mut tx, now, Deed { actor: by(id), ..Deed::default() }, "campaign_begin", id, detail).await?;
    tx.commit().await.map_err(during())?;
    tracing::info!(campaign.id = %id, "campaign {id} begins with {} devices", devices.len());
    Ok(())
}

/// Is it time for a campaign to begin that has not?
fn is_due(campaign: &CampaignRow, now: Timestamp) -> bool {
    let waits = campaign.status == Status::Running && campaign.started_at.is_none();
    waits && campaign.start_at.is_none_or(|at| at <= now)
}

/// Moves the campaign's clock and gives one batch its turns. Gives whether more of them are due.
async fn step(app: &App, id: CampaignId) -> Result<bool, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("giving devices their turn");
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: read again under the write lock: it may have been paused, and another server may have done this batch.
    let row = known(&mut tx, id).await?;
    let (Status::Running, Some(_)) = (row.status, row.started_at) else {
        tx.commit().await.map_err(during())?;
        return Ok(false);
    };
    let row = moved(row, now);
    db::campaign_device_waiting_update(&mut tx, id).await.map_err(during())?;
    let due = db::campaign_device_list_due(&mut tx, id, row.progress, BATCH).await.map_err(during())?;
    for turn in &due {
        take_turn(app, &mut tx, now, &row, turn).await?;
    }
    db::campaign_update(&mut tx, &row).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    for turn in &due {
        // ORDER: said after the commit, or a request in between would remember the old state.
        app.states.changed(turn.device);
    }
    Ok(due.len() == BATCH as usize)
}

/// The campaign with its clock moved: by what has passed since the last tick, but by no more than one wave's span.
fn moved(row: CampaignRow, now: Timestamp) -> CampaignRow {
    let passed = row.ticked_at.map_or(Span::ZERO, |at| now.since(at)).min(row.wave_span);
    let progress = Span::ms(row.progress.as_ms().saturating_add(passed.as_ms()));
    CampaignRow { progress, ticked_at: Some(now), ..row }
}

async fn take_turn(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    campaign: &CampaignRow,
    turn: &CampaignDeviceRow,
) -> Result<(), AppError> {
    let during = || AppError::db("resetting a device");
    let device = db::device_get(tx, turn.device).await.map_err(during())?;
    let device =
        device.ok_or_else(|| AppError::damaged("device_unknown", "A campaign names a device that is gone."))?;
    let event = campaign.level.event(campaign.append_until.unwrap_or(now));
    let taken = CampaignDeviceRow { reset_at: Some(now), epoch_before: device.epoch, ..turn.clone() };
    let (taken, detail) = match lifecycle::step(now, &device.state, &event) {
        Ok((state, effects)) => {
            let (effects, told) = messages::without_notice(&effects);
            let detail = apply(app, tx, now, &device, &state, &effects).await?;
            if told {
                messages::reset_queue(app, tx, now, campaign, turn, &device).await?;
            }
            (CampaignDeviceRow { status: TurnStatus::Reset, ..taken }, detail)
        }
        Err(refusal) => (passed_over(taken, &device.state, &refusal, now), format!("refused: {}", refusal.code())),
    };
    db::campaign_device_turn_update(tx, &taken).await.map_err(during())?;
    let action = format!("device_{}", event.word());
    let deed =
        Deed { actor: by(campaign.id), action: &action, subject: device.id.to_string(), detail, ..Deed::default() };
    audit::write(tx, now, deed).await
}

async fn apply(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: &DeviceRow,
    state: &State,
    effects: &[control::Effect],
) -> Result<String, AppError> {
    let during = || AppError::db("resetting a device");
    let epoch = effects::carry_out(app, tx, now, device, state, effects, None).await?.epoch;
    db::device_state_update(tx, device.id, state).await.map_err(during())?;
    db::device_epoch_update(tx, device.id, epoch).await.map_err(during())?;
    let words: Vec<String> = effects.iter().map(ToString::to_string).collect();
    Ok(format!("{} to {state}: {}", device.state, words.join(" ")))
}

/// What becomes of a turn that the lifecycle refuses.
fn passed_over(turn: CampaignDeviceRow, state: &State, refusal: &Refusal, now: Timestamp) -> CampaignDeviceRow {
    let cut_off = state.level().is_some() || matches!(refusal, Refusal::NothingToChange { .. });
    if cut_off {
        // It has to come back all the same, as what was done before asks for.
        let reason = control::campaign::Reason::Stricter.word().to_owned();
        return CampaignDeviceRow { status: TurnStatus::Reset, reason, ..turn };
    }
    if state.rights().is_none() {
        return CampaignDeviceRow { status: TurnStatus::Retired, reset_at: None, ..turn };
    }
    let (refused_code, refused_at) = (Some(refusal.code().to_owned()), Some(now));
    CampaignDeviceRow { status: TurnStatus::Refused, refused_code, refused_at, ..turn }
}

/// Closes a campaign when every device is done, excused or retired.
///
/// # Errors
/// The database does not answer.
pub(super) async fn settle(app: &App, id: CampaignId) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("closing a campaign");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    // Looked at before anything is locked: a campaign goes on for days.
    if row.started_at.is_none() || !board::is_settled(&mut tx, now, &row).await? {
        return Ok(());
    }
    drop(tx);
    let mut tx = app.db.write().await.map_err(during())?;
    close_settled(&mut tx, now, id).await?;
    tx.commit().await.map_err(during())
}

/// Closes a campaign that runs, in the caller's transaction, if every device is done, excused or retired.
///
/// # Errors
/// The database does not answer.
pub(super) async fn close_settled(tx: &mut Tx, now: Timestamp, id: CampaignId) -> Result<(), AppError> {
    let row = known(tx, id).await?;
    let runs = row.status == Status::Running && row.started_at.is_some();
    if !runs || !board::is_settled(tx, now, &row).await? {
        return Ok(());
    }
    let row = CampaignRow { status: next(row.status, Verb::Close)?, ended_at: Some(now), ..row };
    db::campaign_update(tx, &row).await.map_err(AppError::db("closing a campaign"))?;
    let detail = "every device is done, excused or retired".to_owned();
    deed(tx, now, Deed { actor: by(id), ..Deed::default() }, "campaign_close", id, detail).await
}

/// Brings back what an aborted campaign has reset, in batches. Gives how many.
pub(super) async fn bring_back(app: &App, actor: &AdminActor, id: CampaignId) -> Result<u64, AppError> {
    let during = || AppError::db("bringing devices back");
    let (mut after, mut count) = (None, 0);
    loop {
        let now = app.clock.now();
        let mut tx = app.db.write().await.map_err(during())?;
        next(known(&mut tx, id).await?.status, Verb::BringBack)?;
        let turns = db::campaign_device_list_reset(&mut tx, id, after, BATCH).await.map_err(during())?;
        let Some(last) = turns.last() else {
            tx.commit().await.map_err(during())?;
            return Ok(count);
        };
        after = Some(last.device);
        let mut changed = Vec::new();
        for turn in turns {
            // What was cut off before the campaign is not the campaign's to bring back.
            let theirs = turn.reason.is_empty();
            if theirs && bring_one_back(app, &mut tx, now, actor, &turn).await? {
                changed.push(turn.device);
            }
        }
        count += changed.len() as u64;
        tx.commit().await.map_err(during())?;
        changed.into_iter().for_each(|device| app.states.changed(device));
    }
}

async fn bring_one_back(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    actor: &AdminActor,
    turn: &CampaignDeviceRow,
) -> Result<bool, AppError> {
    let during = || AppError::db("bringing a device back");
    let Some(device) = db::device_get(tx, turn.device).await.map_err(during())? else { return Ok(false) };
    let event = Event::Reactivate { proof: Proof::Admin };
    let Ok((state, effects)) = devices::step(tx, now, &device, &event).await? else { return Ok(false) };
    let detail = apply(app, tx, now, &device, &state, &effects).await?;
    super::came_back(tx, now, device.id, Proof::Admin).await?;
    let subject = device.id.to_string();
    audit::write(tx, now, Deed { action: "device_reactivate", subject, detail, ..Deed::by(actor) }).await?;
    Ok(true)
}

fn by(id: CampaignId) -> String {
    format!("campaign {id}")
}
