//! Whether an installation is where somebody looks for it. Refuses a database into which a `migrate` is not finished,
//! and one that a `migrate` has taken elsewhere: of two copies one serves. What makes it so: `migrate`;
//! docs/ordering.md, 10.

use crate::AppError;
use db::{Db, InstallationRow, Standing};

/// A `migrate` into this database is not finished.
pub(crate) const UNFINISHED: &str = "migrate_unfinished";
/// A `migrate` has taken the installation elsewhere.
pub(crate) const MOVED: &str = "installation_moved";

/// Fails unless the installation is here.
///
/// # Errors
/// `migrate_unfinished`, `installation_moved`.
pub(crate) fn here_or_refuse(row: &InstallationRow) -> Result<(), AppError> {
    match row.moved.standing {
        Standing::Here => Ok(()),
        Standing::Arriving => Err(unfinished()),
        Standing::Left => Err(moved(&row.moved.to)),
    }
}

/// The same of a database that was just opened. One without an installation is refused by whoever reads its keys.
///
/// # Errors
/// As `here_or_refuse`; the database does not answer.
pub(crate) async fn opened_or_refuse(db: &Db) -> Result<(), AppError> {
    let during = || AppError::db("reading the installation");
    let mut tx = db.read().await.map_err(during())?;
    let row = db::installation_get(&mut tx).await.map_err(during())?;
    row.map_or(Ok(()), |row| here_or_refuse(&row))
}

/// Never fails.
pub(crate) fn unfinished() -> AppError {
    let sentence = "The installation is on its way here, and `holdfast-server migrate` is not finished: begin it again \
                    where it comes from, and it goes on. Until then it is served there.";
    AppError::conflict(UNFINISHED, sentence)
}

/// Never fails.
pub(crate) fn moved(to: &str) -> AppError {
    AppError::conflict(
        MOVED,
        format!(
            "This installation was moved by `holdfast-server migrate`, to {to}. It is served there, with the \
             configuration that was given to --to. `migrate --to FILE --take-back` brings it back here, as long as it \
             was not served there; after that, `migrate` from there to here does."
        ),
    )
}
