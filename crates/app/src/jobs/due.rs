//! When a job is due that has its own pace: every so often, or when an admin says so. Refuses to be put off by a clock
//! that was set back.

use super::Held;
use crate::{App, AppError};
use base::{Span, Timestamp};
use db::{JobStateRow, Tx};

/// A time that does not come.
pub(crate) const FAR: Timestamp = Timestamp::from_ms(i64::MAX);

/// Whether the job is due. Its first time comes when a server has run for as long as there is between two.
///
/// # Errors
/// `job_taken_over`; the database does not answer.
pub(crate) async fn is_due(app: &App, held: &Held<'_>, job: &str, every: Span) -> Result<bool, AppError> {
    let during = || AppError::db("reading when a job is due");
    let now = app.clock.now();
    let mut tx = app.db.read().await.map_err(during())?;
    let state = db::job_state_get(&mut tx, job).await.map_err(during())?;
    drop(tx);
    let Some(state) = state else {
        let mut tx = app.db.write().await.map_err(during())?;
        held.need(&mut tx).await?;
        set(&mut tx, job, now, next(now, every)).await?;
        tx.commit().await.map_err(during())?;
        return Ok(false);
    };
    // A clock that was set back does not put it off for longer than it ever waits.
    Ok(state.due <= now || every > Span::ZERO && state.due.since(now) > every)
}

/// When it is due after this time, where it comes every so often. Never fails.
pub(crate) fn next(now: Timestamp, every: Span) -> Timestamp {
    if every == Span::ZERO { FAR } else { now + every }
}

/// Says when a job is due.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn set(tx: &mut Tx, job: &str, now: Timestamp, due: Timestamp) -> Result<(), AppError> {
    let state = JobStateRow { cursor: None, due, at: now, clock: now };
    db::job_state_update(tx, job, &state).await.map_err(AppError::db("saying when a job is due"))
}
