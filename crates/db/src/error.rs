//! What the database may answer instead of doing its work.
//! Refuses to repeat the cause in its own sentence, and to guess: a caller learns the kind, and logs the rest.

use base::Kind;

const SQLITE_BUSY: i32 = 5;
const SQLITE_LOCKED: i32 = 6;
const SQLITE_IOERR: i32 = 10;
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_FULL: i32 = 13;
const SQLITE_CONSTRAINT: i32 = 19;
const SQLITE_NOTADB: i32 = 26;

/// Why a statement did not do what it says.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The disk that holds the database has no room, or does not take or give bytes.
    #[error("the server's disk is full or does not answer; the database could not {op}")]
    Disk {
        /// What was being done, as a verb and its object: `insert a run`.
        op: &'static str,
        /// What SQLite said.
        #[source]
        cause: sqlx::Error,
    },
    /// A row breaks a rule of the schema: the same key twice, a reference to nothing.
    #[error("the database refused to {op}: another row stands against it")]
    Constraint {
        /// What was being done.
        op: &'static str,
        /// What SQLite said.
        #[source]
        cause: sqlx::Error,
    },
    /// The file is not a database, or no longer a whole one.
    #[error("the database is damaged; it could not {op}")]
    Damaged {
        /// What was being done.
        op: &'static str,
        /// What SQLite said.
        #[source]
        cause: sqlx::Error,
    },
    /// A column holds what this release does not understand.
    #[error("the database holds a value in column {column} that is not one of {what}")]
    Column {
        /// The column's name.
        column: &'static str,
        /// What should be there.
        what: &'static str,
    },
    /// The tables could not be brought to the form that this release needs.
    #[error("bringing the database to this release's form")]
    Migrate {
        /// What the migration met.
        #[source]
        cause: sqlx::migrate::MigrateError,
    },
    /// Anything else: busy, closed, interrupted.
    #[error("the database could not {op} now")]
    Unavailable {
        /// What was being done.
        op: &'static str,
        /// What SQLite or the pool said.
        #[source]
        cause: sqlx::Error,
    },
}

impl DbError {
    /// What a caller can do about it. Never fails.
    pub fn kind(&self) -> Kind {
        match self {
            DbError::Disk { .. } | DbError::Unavailable { .. } => Kind::Unavailable,
            DbError::Constraint { .. } => Kind::Conflict,
            DbError::Damaged { .. } | DbError::Column { .. } | DbError::Migrate { .. } => Kind::Damaged,
        }
    }

    /// Whether a row stood against the statement (a key that is there already, for the most part). Never fails.
    pub fn is_constraint(&self) -> bool {
        matches!(self, DbError::Constraint { .. })
    }
}

/// Names the operation that failed, for `map_err`: `.map_err(failed("insert a run"))`. Never fails.
pub(crate) fn failed(op: &'static str) -> impl FnOnce(sqlx::Error) -> DbError {
    move |cause| match sqlite_code(&cause) {
        Some(SQLITE_FULL | SQLITE_IOERR) => DbError::Disk { op, cause },
        Some(SQLITE_CONSTRAINT) => DbError::Constraint { op, cause },
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => DbError::Damaged { op, cause },
        Some(SQLITE_BUSY | SQLITE_LOCKED) | Some(_) | None => DbError::Unavailable { op, cause },
    }
}

/// SQLite's primary result code: the low byte of the extended one.
fn sqlite_code(cause: &sqlx::Error) -> Option<i32> {
    let extended: i32 = cause.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}
