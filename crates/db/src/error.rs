//! What either database may answer instead of doing its work.
//! Refuses to repeat the cause in its own sentence, and to guess: a caller learns the kind, and logs the rest.

use base::Kind;
use rusqlite::ffi;

const DISK_FULL: &str = "53100";
const IO_ERROR: &str = "58030";
const DATA_CORRUPTED: &str = "XX001";
const INDEX_CORRUPTED: &str = "XX002";

/// Why a statement did not do what it says.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The disk that holds the database has no room, or does not take or give bytes.
    #[error("the server's disk is full or does not answer; the database could not {op}")]
    Disk {
        /// What was being done, as a verb and its object: `insert a run`.
        op: &'static str,
        /// What the database said.
        #[source]
        cause: Cause,
    },
    /// A row breaks a rule of the schema: the same key twice, a reference to nothing.
    #[error("the database refused to {op}: another row stands against it")]
    Constraint {
        /// What was being done.
        op: &'static str,
        /// What the database said.
        #[source]
        cause: Cause,
    },
    /// The file is not a database, or no longer a whole one.
    #[error("the database is damaged; it could not {op}")]
    Damaged {
        /// What was being done.
        op: &'static str,
        /// What the database said.
        #[source]
        cause: Cause,
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
    /// The database is not one that this release works with.
    #[error("this database cannot be used: {what}")]
    Unfit {
        /// Why not, as the second half of a sentence.
        what: &'static str,
    },
    /// Anything else: busy, closed, interrupted.
    #[error("the database could not {op} now")]
    Unavailable {
        /// What was being done.
        op: &'static str,
        /// What the database or the pool said.
        #[source]
        cause: Cause,
    },
}

/// What the database, or the way to it, has said.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL, or the connection to it.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    /// No turn came in time.
    #[error("no connection became free in time")]
    Late,
    /// There is no connection any more.
    #[error("the database is closed")]
    Closed,
    /// A statement that always gives a row gave none.
    #[error("there is no row")]
    NoRow,
    /// A column is absent, or holds a value of another type.
    #[error("column {0} is absent or of another type")]
    NoValue(&'static str),
    /// A file beside the database.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// What another caller was told who waited for the same.
    #[error("{0}")]
    Again(String),
}

impl DbError {
    /// What a caller can do about it. Never fails.
    pub fn kind(&self) -> Kind {
        match self {
            DbError::Disk { .. } | DbError::Unavailable { .. } => Kind::Unavailable,
            DbError::Constraint { .. } => Kind::Conflict,
            DbError::Damaged { .. } | DbError::Column { .. } | DbError::Migrate { .. } => Kind::Damaged,
            DbError::Unfit { .. } => Kind::Invalid,
        }
    }

    /// The same for one more caller, who waited for the same: the kind is kept, the cause as its words. Never fails.
    pub(crate) fn again(&self) -> DbError {
        let words = |cause: &Cause| Cause::Again(cause.to_string());
        match self {
            DbError::Disk { op, cause } => DbError::Disk { op, cause: words(cause) },
            DbError::Constraint { op, cause } => DbError::Constraint { op, cause: words(cause) },
            DbError::Damaged { op, cause } => DbError::Damaged { op, cause: words(cause) },
            DbError::Unavailable { op, cause } => DbError::Unavailable { op, cause: words(cause) },
            DbError::Column { column, what } => DbError::Column { column, what },
            DbError::Unfit { what } => DbError::Unfit { what },
            DbError::Migrate { cause } => {
                DbError::Unavailable { op: "bring its tables to this form", cause: Cause::Again(cause.to_string()) }
            }
        }
    }

    /// Whether a row stood against the statement (a key that is there already, for the most part). Never fails.
    pub fn is_constraint(&self) -> bool {
        matches!(self, DbError::Constraint { .. })
    }
}

/// Names the operation that failed, for `map_err`: `.map_err(failed("insert a run"))`. Never fails.
pub(crate) fn failed<C: Into<Cause>>(op: &'static str) -> impl FnOnce(C) -> DbError {
    move |cause| {
        let cause = cause.into();
        match class(&cause) {
            Class::Disk => DbError::Disk { op, cause },
            Class::Constraint => DbError::Constraint { op, cause },
            Class::Damaged => DbError::Damaged { op, cause },
            Class::Unavailable => DbError::Unavailable { op, cause },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Disk,
    Constraint,
    Damaged,
    Unavailable,
}

fn class(cause: &Cause) -> Class {
    match cause {
        // The primary result code is the low byte of the extended one.
        Cause::Sqlite(error) => match error.sqlite_error() {
            Some(error) => sqlite_class(error.extended_code & 0xff),
            None => Class::Unavailable,
        },
        Cause::Postgres(error) => match error.as_database_error() {
            Some(error) => postgres_class(&error.code().unwrap_or_default()),
            None => Class::Unavailable,
        },
        Cause::NoValue(_) => Class::Damaged,
        Cause::File(_) => Class::Disk,
        Cause::Late | Cause::Closed | Cause::NoRow | Cause::Again(_) => Class::Unavailable,
    }
}

fn sqlite_class(code: i32) -> Class {
    match code {
        ffi::SQLITE_FULL | ffi::SQLITE_IOERR => Class::Disk,
        ffi::SQLITE_CONSTRAINT => Class::Constraint,
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => Class::Damaged,
        // Busy, locked, and whatever else.
        _ => Class::Unavailable,
    }
}

/// By SQLSTATE, of which the first two characters are a class.
fn postgres_class(code: &str) -> Class {
    match (code.get(..2).unwrap_or(""), code) {
        (_, DISK_FULL | IO_ERROR) => Class::Disk,
        // Integrity, and values that a column does not take: a text with a NUL, for one.
        ("23" | "22", _) => Class::Constraint,
        (_, DATA_CORRUPTED | INDEX_CORRUPTED) => Class::Damaged,
        // Lost connections (08), no resources (53), deadlocks and serialisation (40), locks (55), shutdown (57) …
        _ => Class::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sqlstate_has_a_kind() {
        for (code, class) in [
            ("23505", Class::Constraint),
            ("23503", Class::Constraint),
            ("22021", Class::Constraint),
            ("53100", Class::Disk),
            ("58030", Class::Disk),
            ("XX001", Class::Damaged),
            ("57P01", Class::Unavailable),
            ("08006", Class::Unavailable),
            ("40001", Class::Unavailable),
            ("55P03", Class::Unavailable),
            ("53300", Class::Unavailable),
            ("", Class::Unavailable),
        ] {
            assert_eq!(postgres_class(code), class, "{code}");
        }
    }
}
