//! The job that sends: takes what is due, stores `sending`, sends, stores how it ended.
//! Refuses to send again what a mail server may have: docs/mail.md, "Never twice".

use super::{Answer, Letter, Mailer, occasion};
use crate::{App, AppError};
use base::{Count, MailId, Span, Timestamp};
use control::State;
use control::campaign::Status;
use control::mail::{MailOutcome, MailPolicy, MailStatus};
use db::{TurnStatus, Tx};

/// How long things take.
pub const POLICY: MailPolicy = MailPolicy::USUAL;

/// Messages of one tick.
const BATCH_MAX: u64 = 50;
/// What the rate is counted over.
const RATE_SPAN: Span = Span::minutes(1);
/// How often it is tried to store how an attempt ended, and what is waited between.
const RECORD_WAITS: [Span; 3] = [Span::ZERO, Span::seconds(1), Span::seconds(5)];
/// What is said of an attempt whose end nobody saw.
const STALE: &str = "The server stopped while this message was being sent.";

/// Sends what is due, as much as the rate allows and at most 50 messages; then returns. One process does it at a
/// time; if two do, each message is still sent by one of them.
///
/// # Errors
/// The database does not answer. What was under way is then found unclear later, and not sent again.
pub async fn tick(app: &App) -> Result<(), AppError> {
    settle(app).await?;
    let Some(mailer) = &app.mailer else { return Ok(()) };
    let due = due(app).await?;
    for id in &due {
        if !attempt(app, mailer.as_ref(), *id).await? {
            break;
        }
    }
    if !due.is_empty() {
        mailer.rest().await;
    }
    Ok(())
}

/// Gives every message its due change: attempts nobody ended become unclear, old ones fail, older ones go.
async fn settle(app: &App) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("settling the outbox");
    let mut tx = app.db.read().await.map_err(during())?;
    let any = db::mail_overdue_get(&mut tx, now).await.map_err(during())?;
    drop(tx);
    if any == Count(0) {
        return Ok(());
    }
    let remove_at = now + POLICY.keep_span;
    let mut tx = app.db.write().await.map_err(during())?;
    let unclear = db::mail_stale_update(&mut tx, now, remove_at, STALE).await.map_err(during())?;
    let failed = db::mail_expired_update(&mut tx, now, remove_at).await.map_err(during())?;
    db::mail_over_remove(&mut tx, now).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    if unclear.0 + failed.0 > 0 {
        tracing::warn!("{} messages are unclear and {} were given up", unclear.0, failed.0);
    }
    Ok(())
}

async fn due(app: &App) -> Result<Vec<MailId>, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("looking for messages to send");
    let mut tx = app.db.read().await.map_err(during())?;
    let tried = db::mail_tried_get(&mut tx, now - RATE_SPAN).await.map_err(during())?;
    let left = app.config.mail_per_minute.saturating_sub(tried.0).min(BATCH_MAX);
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    if left == 0 {
        return Ok(Vec::new());
    }
    db::mail_list_due(&mut tx, now, left).await.map_err(during())
}

/// One attempt at one message; `false` when the next would meet the same failure.
async fn attempt(app: &App, mailer: &dyn Mailer, id: MailId) -> Result<bool, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("claiming a message");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = db::mail_get(&mut tx, id).await.map_err(during())?;
    // RACE: looked at under the write lock, at the last moment: nothing that is done before the claim is missed.
    if let Some(row) = &row
        && let Some(why) = overtaken(&mut tx, &row.occasion).await?
    {
        db::mail_dropped_update(&mut tx, id, now + POLICY.keep_span, why).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
        tracing::debug!(mail.id = %id, "message {id} was dropped: {why}");
        return Ok(true);
    }
    let claimed = db::mail_claim_update(&mut tx, id, now, now + POLICY.sending_span).await.map_err(during())?;
    // ORDER: `sending` is durable before the mail server hears of the message. Whoever dies from here on leaves a
    // message that is found unclear, and never one that is sent by the next.
    tx.commit().await.map_err(during())?;
    let Some(row) = row.filter(|_| claimed) else { return Ok(true) };
    // The claim has counted this one.
    let (attempt, give_up_at) = (Count(row.attempts.0 + 1), row.give_up_at);
    let letter = Letter {
        id,
        at: row.created_at,
        recipient: row.recipient,
        subject: row.subject,
        text: row.text,
        html: row.html,
    };
    let answer = mailer.send(&letter).await;
    record(app, id, attempt, give_up_at, &answer).await?;
    Ok(!answer.away)
}

/// Why a message is not worth sending any more: it asks for a device to come back that a campaign waits for no more.
async fn overtaken(tx: &mut Tx, occasion: &str) -> Result<Option<&'static str>, AppError> {
    let Some((campaign, device)) = occasion::awaited(occasion) else { return Ok(None) };
    let during = || AppError::db("looking whether a message is overtaken");
    let campaign = db::campaign_get(tx, campaign).await.map_err(during())?;
    let goes_on = |status| matches!(status, Status::Running | Status::Paused);
    let Some(campaign) = campaign.filter(|campaign| goes_on(campaign.status)) else {
        return Ok(Some("Its campaign had ended."));
    };
    let found = db::campaign_device_board_get(tx, campaign.id, device).await.map_err(during())?;
    let Some(found) = found else { return Ok(Some("The device is gone.")) };
    Ok(match (found.turn.status, found.state) {
        (TurnStatus::Done | TurnStatus::Unproved, _) => Some("The device had come back."),
        (TurnStatus::Excused, _) => Some("An admin had excused the device."),
        (_, State::Decommissioning { .. } | State::Decommissioned | State::Deleted { .. } | State::Purged) => {
            Some("The device was not in service any more.")
        }
        _ if found.merged => Some("The device was merged into another record."),
        _ => None,
    })
}

/// Stores how an attempt ended, with some patience: an answer that is lost here makes a message unclear.
async fn record(app: &App, id: MailId, attempt: Count, give_up_at: Timestamp, answer: &Answer) -> Result<(), AppError> {
    let mut result = Ok(());
    for wait in RECORD_WAITS {
        if wait != Span::ZERO {
            app.clock.sleep(wait).await;
        }
        result = record_once(app, id, attempt, give_up_at, answer).await;
        if result.is_ok() {
            break;
        }
    }
    result
}

async fn record_once(
    app: &App,
    id: MailId,
    attempt: Count,
    give_up_at: Timestamp,
    answer: &Answer,
) -> Result<(), AppError> {
    let now = app.clock.now();
    let mut jitter = [0; 1];
    app.entropy.fill(&mut jitter);
    let step = POLICY.after(now, attempt, give_up_at, answer.outcome, jitter[0]);
    let sent_at = (answer.outcome == MailOutcome::Accepted).then_some(now);
    let during = || AppError::db("ending an attempt at a message");
    let mut tx = app.db.write().await.map_err(during())?;
    db::mail_step_update(&mut tx, id, attempt, step, &answer.said, sent_at).await.map_err(during())?;
    if answer.away && step.status == MailStatus::Queued {
        db::mail_waiting_update(&mut tx, now, step.due_at, &answer.said).await.map_err(during())?;
    }
    tx.commit().await.map_err(during())?;
    // What the mail server said stays in the outbox: it repeats addresses for the most part.
    match step.status {
        MailStatus::Sent => tracing::debug!(mail.id = %id, "message {id} was sent"),
        MailStatus::Queued | MailStatus::Sending => {
            tracing::warn!(mail.id = %id, "message {id} is tried again");
        }
        MailStatus::Failed | MailStatus::Unclear | MailStatus::Dropped => {
            tracing::warn!(mail.id = %id, "message {id} is {}", step.status.word());
        }
    }
    Ok(())
}
