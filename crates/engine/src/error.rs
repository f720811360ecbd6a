//! What stops a backup or a restore, and what goes wrong with one entry. Every error says what happened and what
//! to do; `kind` says what the caller should do.

use base::{Kind, Retry};
use thiserror::Error;

/// Why an entry could not be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// It is not there any more.
    #[error("it was there when its folder was listed and is gone now")]
    Gone,
    /// The person or service that runs the backup may not read it.
    #[error("the backup may not read it: give the account that runs it the right to read")]
    Denied,
    /// Another kind of entry has its name now.
    #[error("it became another kind of entry while the backup ran")]
    Replaced,
    /// The file system or medium fails.
    #[error("the file system cannot read it ({0})")]
    Io(#[source] std::io::Error),
}

impl SourceError {
    /// The stable code of the problem that this becomes. Never fails.
    pub fn code(&self) -> &'static str {
        match self {
            SourceError::Gone => "entry_gone",
            SourceError::Denied => "entry_denied",
            SourceError::Replaced => "entry_replaced",
            SourceError::Io(_) => "entry_unreadable",
        }
    }
}

/// Why an entry could not be written.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The disk has no room left.
    #[error("the disk is full: make room and restore again, what is already there is kept")]
    Full,
    /// The person who restores may not write there or may not set this.
    #[error("{what}: permission denied")]
    Denied {
        /// What was tried.
        what: &'static str,
    },
    /// Something is in the way.
    #[error("something else has this name at the place of the restore")]
    InTheWay,
    /// The file system cannot hold it.
    #[error("{what}: the file system cannot do this")]
    Unsupported {
        /// What was tried.
        what: &'static str,
    },
    /// The file system or medium fails.
    #[error("{what} failed ({cause})")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The system's word.
        #[source]
        cause: std::io::Error,
    },
}

impl TargetError {
    /// The stable code of the problem that this becomes. Never fails.
    pub fn code(&self) -> &'static str {
        match self {
            TargetError::Full => "disk_full",
            TargetError::Denied { .. } => "target_denied",
            TargetError::InTheWay => "target_in_the_way",
            TargetError::Unsupported { .. } => "target_unsupported",
            TargetError::Io { .. } => "target_failed",
        }
    }
}

/// A "no" of the server, or of the way to it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{sentence}")]
pub struct RemoteError {
    /// The stable code: docs/control.md, "Refusals", or the endpoint's own.
    pub code: String,
    /// One plain sentence: what happened and what to do.
    pub sentence: String,
    /// What the caller should do.
    pub kind: Kind,
    /// Whether and when asking for the same again may help.
    pub retry: Retry,
}

impl RemoteError {
    /// One that asking again helps against as it usually does for its kind. Never fails.
    pub fn new(code: impl Into<String>, sentence: impl Into<String>, kind: Kind) -> Self {
        Self { code: code.into(), sentence: sentence.into(), kind, retry: Retry::usual(kind) }
    }
}

/// What ends a run.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The server or the way to it says no.
    #[error("{0}")]
    Remote(RemoteError),
    /// The server's answer is not what was asked for.
    #[error("the server's answer to {step} does not fit the question: it is damaged, or not the server it should be")]
    Answer {
        /// The step that asked.
        step: &'static str,
    },
    /// A tree that the work cannot go on without cannot be had.
    #[error("the folder /{path} cannot be read from the server: run `holdfast-server scrub` there")]
    TreeMissing {
        /// The folder, as a path for people.
        path: String,
    },
    /// Bytes that this program made or got do not have the format.
    #[error("a {what} is damaged")]
    Format {
        /// What.
        what: &'static str,
        /// Where and how.
        #[source]
        cause: format::Error,
    },
    /// A path that was asked for is not in the snapshot.
    #[error("/{path} is not in this snapshot: `holdfast ls` shows what is")]
    NotInSnapshot {
        /// The path, for people.
        path: String,
    },
    /// None of the folders to be backed up can be read.
    #[error("none of the folders can be read: {sentence}")]
    NothingToRead {
        /// The first one and its reason.
        sentence: String,
    },
    /// The disk of the restore is full.
    #[error("the disk is full: make room and restore again, what is already there is kept")]
    TargetFull,
}

impl EngineError {
    /// What the caller should do. Never fails.
    pub fn kind(&self) -> Kind {
        match self {
            EngineError::Remote(remote) => remote.kind,
            EngineError::Answer { .. } | EngineError::TreeMissing { .. } | EngineError::Format { .. } => Kind::Damaged,
            EngineError::NotInSnapshot { .. } => Kind::NotFound,
            EngineError::NothingToRead { .. } => Kind::Invalid,
            EngineError::TargetFull => Kind::Unavailable,
        }
    }

    /// Whether and when asking for the same again may help. Never fails.
    pub fn retry(&self) -> Retry {
        match self {
            EngineError::Remote(remote) => remote.retry,
            EngineError::Answer { .. } | EngineError::TreeMissing { .. } | EngineError::Format { .. } => {
                Retry::WhenChanged
            }
            EngineError::NotInSnapshot { .. } => Retry::Never,
            // Somebody makes room, or puts a folder back.
            EngineError::NothingToRead { .. } | EngineError::TargetFull => Retry::WhenChanged,
        }
    }

    /// The stable code. Never fails.
    pub fn code(&self) -> &str {
        match self {
            EngineError::Remote(remote) => &remote.code,
            EngineError::Answer { .. } => "answer_damaged",
            EngineError::TreeMissing { .. } => "tree_missing",
            EngineError::Format { .. } => "format_damaged",
            EngineError::NotInSnapshot { .. } => "path_not_in_snapshot",
            EngineError::NothingToRead { .. } => "nothing_to_read",
            EngineError::TargetFull => "disk_full",
        }
    }
}
