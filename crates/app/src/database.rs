//! Copies of the database, for the day on which it is lost. Refuses to copy keys along: they are in the data directory.

use crate::audit::{self, Deed};
use crate::{AdminActor, App, AppError};
use base::Bytes;
use std::path::Path;

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
