//! The job of the campaigns: starts those whose time has come, gives devices their turns, ends what is settled.
//! Refuses to do a turn twice: what a turn changes, and that it was, are stored in one transaction.

use super::begin::{begin, is_due};
use super::{board, deed, known, messages};
use crate::audit::{self, Deed};
use crate::{AdminActor, App, AppError, conflicts, devices, effects};
use base::{CampaignId, Span, Timestamp};
use control::campaign::{Status, Verb, next};
use control::{Event, Proof, Refusal, State, lifecycle};
use db::{CampaignDeviceRow, CampaignRow, TurnStatus, Tx};

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
    let device = device.ok_or_else(|| AppError::damaged("row_damaged", "A campaign names a device that is gone."))?;
    let event = campaign.level.event(campaign.append_until.unwrap_or(now));
    conflicts::overtaken(tx, now, &device, &event).await?;
    let taken = CampaignDeviceRow { reset_at: Some(now), epoch_before: device.epoch, ..turn.clone() };
    let (taken, detail) = match lifecycle::step(now, &device.state, &event) {
        Ok((state, effects)) => {
            let (effects, told) = messages::without_notice(&effects);
            let changed = effects::carry_out(app, tx, now, device, (state, effects), None).await?;
            if told {
                messages::reset_queue(app, tx, now, campaign, turn, &changed.device).await?;
            }
            (CampaignDeviceRow { status: TurnStatus::Reset, ..taken }, changed.detail())
        }
        Err(refusal) => (passed_over(taken, &device.state, &refusal, now), format!("refused: {}", refusal.code())),
    };
    db::campaign_device_turn_update(tx, &taken).await.map_err(during())?;
    let action = format!("device_{}", event.word());
    // Who, and not only which campaign: its own rows may be long before this one.
    let detail = format!("{detail}; started by {}", campaign.started_by);
    let deed = Deed { action: &action, subject: turn.device.to_string(), detail, ..deed_of(campaign) };
    audit::write(tx, now, deed).await
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
    deed(tx, now, deed_of(&row), "campaign_close", id, detail).await
}

/// Brings back what an aborted campaign has reset, in batches. Gives how many: those, too, that the same request had
/// brought back before it broke off.
pub(super) async fn bring_back(app: &App, actor: &AdminActor, id: CampaignId) -> Result<u64, AppError> {
    let during = || AppError::db("bringing devices back");
    let (mut after, mut count) = (None, brought_before(app, actor, id).await?);
    loop {
        let now = app.clock.now();
        let mut tx = app.db.write().await.map_err(during())?;
        next(known(&mut tx, id).await?.status, Verb::BringBack)?;
        let turns = db::campaign_device_list_reset(&mut tx, id, after, BATCH).await.map_err(during())?;
        let Some(last) = turns.last() else {
            // ORDER: the request's key is noted with this row, which is the last: with an earlier one, a request that
            // breaks off half-way would count as done.
            deed(&mut tx, now, Deed::by(actor), "campaign_bring_back", id, format!("{count} devices")).await?;
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

/// How many devices an earlier try of the same request has brought back.
async fn brought_before(app: &App, actor: &AdminActor, id: CampaignId) -> Result<u64, AppError> {
    let Some(mark) = Deed::by(actor).mark else { return Ok(0) };
    let during = || AppError::db("counting the devices that are back");
    let mut tx = app.db.read().await.map_err(during())?;
    let Some(request) = db::idempotency_get(&mut tx, mark.id()).await.map_err(during())? else { return Ok(0) };
    let admin = Proof::Admin.word();
    db::campaign_device_count_back(&mut tx, id, admin, request.created_at).await.map_err(during()).map(|count| count.0)
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
    let Ok(step) = devices::step(tx, now, &device, &event).await? else { return Ok(false) };
    let changed = effects::carry_out(app, tx, now, device, step, None).await?;
    super::came_back(tx, now, &changed.device, &changed.was, Proof::Admin).await?;
    let detail = changed.detail();
    let subject = turn.device.to_string();
    audit::write(tx, now, Deed { action: "device_reactivate", subject, detail, mark: None, ..Deed::by(actor) }).await?;
    Ok(true)
}

/// What the job does for a campaign, as the audit log writes it: from where the campaign was started. Never fails.
pub(super) fn deed_of(campaign: &CampaignRow) -> Deed<'static> {
    let (actor, source) = (format!("campaign {}", campaign.id), campaign.started_from.clone());
    Deed { actor, source, proof: "campaign".to_owned(), ..Deed::default() }
}
