//! How far the tables of a database are, before anybody brings them to this release's form.
//! Refuses to change anything, to make a file, and to wait for a database that is in use.

use crate::error::failed;
use crate::{DbError, postgres, sqlite};
use std::path::Path;

/// What is in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// There is none, or nothing in it.
    Empty,
    /// Tables of an older release.
    Older,
    /// Tables of this release.
    Own,
    /// Tables of a newer release.
    Newer,
    /// Tables of somebody else.
    Foreign,
}

/// What is in the database file at `path`, which need not be there.
///
/// # Errors
/// A file that is no database, or cannot be read.
pub async fn form_of_file(path: &Path) -> Result<Form, DbError> {
    let path = path.to_owned();
    let look = base::blocking(move || sqlite::form(&path)).await;
    look.map_err(|_| failed("look at its tables")(crate::error::Cause::Closed))?
}

/// What is in the PostgreSQL database at `url`, as `Db::connect` takes it.
///
/// # Errors
/// As `Db::connect`.
pub async fn form_of_server(url: &str, password: Option<&str>) -> Result<Form, DbError> {
    postgres::form(url, password).await
}

impl Form {
    /// By how many steps were taken of how many there are. Never fails.
    pub(crate) fn by(taken: i64, steps: i64) -> Form {
        match taken.cmp(&steps) {
            std::cmp::Ordering::Less => Form::Older,
            std::cmp::Ordering::Equal => Form::Own,
            std::cmp::Ordering::Greater => Form::Newer,
        }
    }
}
