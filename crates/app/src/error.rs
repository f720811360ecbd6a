//! Every way in which a use case ends without an answer. Refuses HTTP: the status is chosen by `server::reply`.
//! A "no" in the words of docs/control.md is `Refused`; one in its own words is `Said`; the rest is a broken part.

use base::{DeviceId, Kind, Retry, Span, UserId};
use control::Refusal;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use store::StoreError;

const STORE_FULL: Refusal = Refusal::StoreFull;

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A rule says no, or what was sent is not what it must be.
    #[error("{0}")]
    Refused(Refusal),
    /// The same with a sentence of its own: what an operator did wrong, or a refusal that can say more exactly what.
    #[error("{sentence}")]
    Said {
        /// What the caller can do about it.
        kind: Kind,
        /// The stable code, snake_case; of docs/control.md, or listed in docs/api.md, "Codes".
        code: &'static str,
        /// One plain sentence for a person.
        sentence: String,
        /// Whether and when asking again may help.
        retry: Retry,
    },
    /// The database did not do its part.
    #[error("{during}")]
    Db {
        /// What was being done, as a phrase: `reading a device`.
        during: &'static str,
        /// Why it failed.
        #[source]
        cause: db::DbError,
    },
    /// The object store did not do its part.
    #[error("{during}")]
    Store {
        /// What was being done, as a phrase: `writing a pack`.
        during: &'static str,
        /// Why it failed.
        #[source]
        cause: StoreError,
    },
    /// Bytes are not what they must be.
    #[error("{during}")]
    Format {
        /// What was being done, as a phrase: `opening a manifest`.
        during: &'static str,
        /// Why it failed.
        #[source]
        cause: format::Error,
    },
    /// A file of the data directory could not be used.
    #[error("{during} {}", path.display())]
    File {
        /// What was being done, as a phrase that the path ends: `reading`.
        during: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        cause: std::io::Error,
    },
}

impl AppError {
    /// The request is wrong in itself. Never fails.
    pub fn invalid(code: &'static str, sentence: impl Into<String>) -> Self {
        Self::said(Kind::Invalid, code, sentence)
    }

    /// There is no such device. Never fails.
    pub(crate) fn device_unknown(id: DeviceId) -> Self {
        Self::not_found("device_unknown", there_is_no(format_args!("device {id}"), "device list"))
    }

    /// There is no such user. Never fails.
    pub(crate) fn user_unknown(id: UserId) -> Self {
        Self::not_found("user_unknown", there_is_no(format_args!("user {id}"), "user list"))
    }

    /// Something of this kind that is in force has this name; `help` says what can be done. Never fails.
    pub(crate) fn name_taken(what: &str, name: &str, help: &str) -> Self {
        Self::conflict("name_taken", format!("There is a {what} \"{}\" already. {help}", name.escape_debug()))
    }

    /// What the request names is not there, or is none of the caller's business. Never fails.
    pub fn not_found(code: &'static str, sentence: impl Into<String>) -> Self {
        Self::said(Kind::NotFound, code, sentence)
    }

    /// Something else happened first. Never fails.
    pub fn conflict(code: &'static str, sentence: impl Into<String>) -> Self {
        Self::said(Kind::Conflict, code, sentence)
    }

    /// Sent or stored bytes are not what they must be. Never fails.
    pub fn damaged(code: &'static str, sentence: impl Into<String>) -> Self {
        Self::said(Kind::Damaged, code, sentence)
    }

    /// Not now; asking again after `retry_after` may help. Never fails.
    pub fn unavailable(code: &'static str, sentence: impl Into<String>, retry_after: Span) -> Self {
        let retry = Retry::After(retry_after);
        Self::Said { kind: Kind::Unavailable, code, sentence: sentence.into(), retry }
    }

    /// A part of the server did not do its work. A device asks again by itself, and a program that administers may: the
    /// sentence is true for both. Never fails.
    pub fn broken() -> Self {
        let sentence = "The server could not do this now. Nothing that was stored is lost. Ask again in a minute.";
        Self::unavailable("server_failed", sentence, BROKEN_RETRY)
    }

    /// Adds to a database error what was being done; for `map_err`. Never fails.
    pub fn db(during: &'static str) -> impl FnOnce(db::DbError) -> Self {
        move |cause| Self::Db { during, cause }
    }

    /// Adds to a store error what was being done; for `map_err`. Never fails.
    pub fn store(during: &'static str) -> impl FnOnce(StoreError) -> Self {
        move |cause| Self::Store { during, cause }
    }

    /// Adds to a format error what was being done; for `map_err`. Never fails.
    pub fn format(during: &'static str) -> impl FnOnce(format::Error) -> Self {
        move |cause| Self::Format { during, cause }
    }

    /// What the caller can do about it. Never fails.
    pub fn kind(&self) -> Kind {
        match self {
            AppError::Refused(refusal) => refusal.kind(),
            AppError::Said { kind, .. } => *kind,
            AppError::Db { cause, .. } => cause.kind(),
            // An object that the database names and the store lacks is damage, whoever asked for it.
            AppError::Store { cause, .. } => match cause.kind() {
                Kind::NotFound => Kind::Damaged,
                kind => kind,
            },
            AppError::Format { cause, .. } => cause.kind(),
            AppError::File { .. } => Kind::Unavailable,
        }
    }

    /// The stable code. Never fails.
    pub fn code(&self) -> &'static str {
        match self {
            AppError::Refused(refusal) => refusal.code(),
            AppError::Said { code, .. } => code,
            AppError::Store { cause: StoreError::Full { .. } | StoreError::Quota { .. }, .. } => STORE_FULL.code(),
            AppError::Db { cause: db::DbError::Disk { .. }, .. } => "database_disk_full",
            AppError::Db { .. } => "database_failed",
            AppError::Store { .. } => "store_failed",
            AppError::Format { .. } => "format_failed",
            AppError::File { .. } => "file_failed",
        }
    }

    /// Whether and when asking for the same again may help. Never fails.
    pub fn retry(&self) -> Retry {
        match self {
            AppError::Refused(refusal) => refusal.retry(),
            AppError::Said { retry, .. } => *retry,
            AppError::Store { cause: StoreError::Full { .. } | StoreError::Quota { .. }, .. } => STORE_FULL.retry(),
            AppError::Db { .. } | AppError::Store { .. } | AppError::Format { .. } | AppError::File { .. } => {
                retry_said(self.kind(), self.code())
            }
        }
    }

    /// What a device or a program is told in its place, where a part of the server broke: whether what is stored is
    /// lost, and whether to ask again. What is behind it is the operator's. `None` for what is said as it is. Never
    /// fails.
    pub fn outside(&self) -> Option<Self> {
        match self {
            AppError::Refused(_) | AppError::Said { .. } => None,
            _ if self.code() == STORE_FULL.code() => Some(STORE_FULL.into()),
            _ if self.kind() == Kind::Damaged => Some(Refusal::StoredDataDamaged.into()),
            AppError::Db { .. } | AppError::Store { .. } | AppError::Format { .. } | AppError::File { .. } => {
                Some(Self::broken())
            }
        }
    }

    fn said(kind: Kind, code: &'static str, sentence: impl Into<String>) -> Self {
        Self::Said { kind, code, sentence: sentence.into(), retry: retry_said(kind, code) }
    }
}

/// The sentence about something that is not there, with the command that lists what is. Never fails.
pub fn there_is_no(what: impl fmt::Display, command: &str) -> String {
    format!("There is no {what}: `{command}` shows all.")
}

/// When to ask again after a part of the server did not do its work.
pub const BROKEN_RETRY: Span = Span::minutes(1);

/// Those of which asking again is another matter than it usually is for their kind.
const RETRIED: [(&str, Retry); 13] = [
    // Wrong is what stands in a file: with another one the same command goes on.
    ("config_invalid", Retry::WhenChanged),
    ("keys_exposed", Retry::WhenChanged),
    ("master_key_command_failed", Retry::WhenChanged),
    ("not_initialised", Retry::WhenChanged),
    // What has ended stays so.
    ("already_initialised", Retry::Never),
    ("ticket_ended", Retry::Never),
    ("token_ended", Retry::Never),
    // It was carried out; what was kept of its answer does not come back.
    ("kept_answer_damaged", Retry::Never),
    // A part of the server: what is away comes back, what is full or damaged is somebody's to mend.
    ("database_failed", Retry::After(BROKEN_RETRY)),
    ("store_failed", Retry::After(BROKEN_RETRY)),
    ("database_disk_full", Retry::WhenChanged),
    ("file_failed", Retry::WhenChanged),
    ("format_failed", Retry::WhenChanged),
];

/// Whether asking again helps after what is said with this code; docs/api.md, "Codes", has the same, tested. Never
/// fails.
pub fn retry_said(kind: Kind, code: &str) -> Retry {
    let own = RETRIED.iter().find(|(own, _)| *own == code);
    own.map_or(Retry::usual(kind), |(_, retry)| *retry)
}

/// An error and its causes, with a colon between: for logs, and for an operator. The form for programmers is not for
/// logs: in it PostgreSQL repeats the values of the row that it refused. Never fails.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<Refusal> for AppError {
    /// A refusal is an answer of this crate's own: nothing has to be added to it. Never fails.
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
