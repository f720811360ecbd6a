//! Removes rows whose time is over: challenges, wrong sign-ins, tallies, answers of the admin API, links, refused
//! activations, support bundles. Refuses the answers to activations: those are kept for ever.

use crate::idempotency::KEPT_SPAN;
use crate::{App, AppError, passwords};
use base::Span;

/// For how long a tally counts.
const TALLY_SPAN: Span = Span::days(2);
/// For how long the desk shows what was refused.
const REFUSED_SPAN: Span = Span::days(30);

/// One tick. May be repeated and killed at any point.
///
/// # Errors
/// The database does not answer.
pub(super) async fn tick(app: &App) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("removing what is over");
    let mut tx = app.db.write().await.map_err(during())?;
    db::challenge_used_remove(&mut tx, now).await.map_err(during())?;
    let policy = passwords::policy_now(&mut tx).await?;
    db::sign_in_failure_remove_old(&mut tx, now - policy.lock_span).await.map_err(during())?;
    db::tally_remove_old(&mut tx, now - TALLY_SPAN).await.map_err(during())?;
    db::idempotency_remove_old(&mut tx, now - KEPT_SPAN).await.map_err(during())?;
    db::refused_remove_old(&mut tx, now - REFUSED_SPAN).await.map_err(during())?;
    db::support_bundle_remove_old(&mut tx, now - app.config.support_bundle).await.map_err(during())?;
    db::password_link_remove_old(&mut tx, now - REFUSED_SPAN).await.map_err(during())?;
    tx.commit().await.map_err(during())
}
