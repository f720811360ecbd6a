//! Samples: a part of the packs, read whole, each time the next ones, so that every pack has its turn. By hand, and by
//! a job that goes through all of them in `scrub.days`. Refuses to look at snapshots: that takes the whole.

use super::{Report, packs};
use crate::jobs::Held;
use crate::{App, AppError};
use base::{Count, Span, Timestamp};
use db::JobStateRow;
use format::PackId;

/// The name of the job.
pub(crate) const JOB: &str = "scrub";
/// Packs that are read before it is noted how far it is.
const STEP: u64 = 16;
/// The longest time that is made up for: a server that was off for a month does not read for days.
const BEHIND_MAX: Span = Span::hours(24);

/// Reads the next `percent` of all packs.
///
/// # Errors
/// A database or a store that does not answer.
pub(super) async fn scrub(
    app: &App,
    percent: u8,
    progress: &mut (dyn FnMut(super::Progress) + Send),
    report: &mut Report,
) -> Result<(), AppError> {
    let total = packs::pack_count(app).await?;
    let mut left = (total.0 * u64::from(percent)).div_ceil(100);
    let wanted = Count(left);
    while left > 0 {
        let count = left.min(STEP);
        let mut state = state(app).await?;
        on(app, &mut state, Count(count), report).await?;
        keep(app, &state).await?;
        left -= count;
        progress(super::Progress::Packs { done: Count(wanted.0 - left), total: wanted, bytes: report.bytes });
    }
    Ok(())
}

/// One tick of the job: reads the packs whose turn has come.
///
/// # Errors
/// `job_taken_over`; a database or a store that does not answer.
pub(crate) async fn tick(app: &App, held: &Held<'_>) -> Result<(), AppError> {
    let days = app.config.scrub_days;
    if days == Span::ZERO {
        return Ok(());
    }
    let mut report = Report::default();
    while held.goes_on(app).await? {
        let (now, packs) = (app.clock.now(), packs::pack_count(app).await?);
        let mut state = state(app).await?;
        // A clock that was set back is waited for no longer than a pack's turn takes.
        let turn = Span::ms((days.as_ms() / packs.0.max(1)).max(1));
        state.due = state.due.max(now - BEHIND_MAX).min(now + turn);
        if packs == Count(0) || state.due > now {
            break;
        }
        let count = (now.since(state.due).as_ms() / turn.as_ms() + 1).min(STEP);
        on(app, &mut state, Count(count), &mut report).await?;
        state.due = state.due + Span::ms(turn.as_ms() * count);
        keep(app, &state).await?;
    }
    if !report.is_clean() {
        let (problems, packs) = (report.problems_total, report.packs);
        tracing::error!(
            problem.count = problems.0,
            "the scrub of {packs} packs found {problems} problems: run `scrub`"
        );
    }
    Ok(())
}

async fn on(app: &App, state: &mut JobStateRow, count: Count, report: &mut Report) -> Result<(), AppError> {
    let mut after = state.cursor.take().and_then(|cursor| cursor.try_into().ok()).map(PackId::from_bytes);
    let done = packs::scrub_on(app, &mut after, count, report).await;
    state.cursor = after.map(|after| after.as_bytes().to_vec());
    done
}

async fn state(app: &App) -> Result<JobStateRow, AppError> {
    let during = || AppError::db("reading how far scrubbing is");
    let mut tx = app.db.read().await.map_err(during())?;
    let now = app.clock.now();
    let fresh = JobStateRow { cursor: None, due: now, at: now, clock: now };
    Ok(db::job_state_get(&mut tx, JOB).await.map_err(during())?.unwrap_or(fresh))
}

async fn keep(app: &App, state: &JobStateRow) -> Result<(), AppError> {
    let during = || AppError::db("keeping how far scrubbing is");
    let mut tx = app.db.write().await.map_err(during())?;
    let now: Timestamp = app.clock.now();
    db::job_state_update(&mut tx, JOB, &JobStateRow { clock: now, ..state.clone() }).await.map_err(during())?;
    tx.commit().await.map_err(during())
}
