//! Whether the database answers, and copies of it for the day on which it is lost. Refuses to copy keys along: they are
//! in the data directory.

use crate::audit::{self, Deed};
use crate::{AdminActor, App, AppError};
use base::{Bytes, Span};
use std::path::Path;

/// How long a short look at the database may take. A server whose line to it is dead hears nothing at all, not even
/// that it is: it must not let devices go on meanwhile, nor be taken for well.
pub const ANSWER_SPAN: Span = Span::seconds(5);

/// Looks whether the database answers, for who decides which servers get requests.
///
/// # Errors
/// It does not, or not within `ANSWER_SPAN`.
pub async fn answers(app: &App) -> Result<(), AppError> {
    // Dropped at once: that it has begun is the answer.
    in_time(async { app.db.read().await.map(drop).map_err(AppError::db("looking whether the database answers")) }).await
}

/// The outcome of a short look at the database, within `ANSWER_SPAN`.
///
/// # Errors
/// Those of the look; `server_failed` when it took longer.
pub(crate) async fn in_time<T>(look: impl Future<Output = Result<T, AppError>>) -> Result<T, AppError> {
    match tokio::time::timeout(ANSWER_SPAN.as_duration(), look).await {
        Ok(answered) => answered,
        Err(_) => Err(AppError::broken()),
    }
}

/// Copies the database to a new file while the server may run. The copy is whole, and has the row of the audit log that
/// says that it was made. Gives its bytes.
///
/// # Errors
/// `database_failed` for PostgreSQL, which has tools of its own; `database_disk_full` when the file cannot be written.
pub async fn copy(app: &App, to: &Path) -> Result<Bytes, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("copying the database");
    let mut tx = app.db.write().await.map_err(during())?;
    let (subject, detail) = ("database".to_owned(), to.display().to_string());
    let deed = Deed { action: "database_backup", subject, detail, ..Deed::by(&AdminActor::Command) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    Ok(Bytes(app.db.copy(to).await.map_err(during())?))
}
