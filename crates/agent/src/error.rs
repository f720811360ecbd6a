//! Every way in which a command of the endpoint ends without its result, with the exit code of each.
//! Refuses to repeat a cause in its own words. Codes and exits: docs/cli.md.

use base::{Kind, Retry, Span};
use engine::{EngineError, RemoteError};
use std::path::PathBuf;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The server, or the way to it, says no.
    #[error("{0}")]
    Remote(RemoteError),
    /// A run ended.
    #[error("{0}")]
    Run(EngineError),
    /// The command line, or what was typed, is wrong.
    #[error("{sentence}")]
    Usage {
        /// The stable code.
        code: &'static str,
        /// What is wrong and what to do.
        sentence: String,
    },
    /// This computer has no device key yet.
    #[error("this computer is not activated: run `holdfast activate --server URL --email E`")]
    NotActivated,
    /// What the endpoint keeps between runs cannot be used.
    #[error("{sentence}")]
    State {
        /// The stable code.
        code: &'static str,
        /// What is wrong and what to do.
        sentence: String,
    },
    /// Another command works with the same state.
    #[error("{what} is running already on this computer: wait until it is done")]
    Busy {
        /// What runs: `a backup`.
        what: &'static str,
    },
    /// A file or folder of this computer cannot be used.
    #[error("{during} {}", path.display())]
    File {
        /// What was tried, as a phrase that the path ends: `reading`.
        during: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        cause: std::io::Error,
    },
    /// The snapshot that was named is not there, or is not the only one.
    #[error("{sentence}")]
    Snapshot {
        /// What is wrong and what to do.
        sentence: String,
    },
    /// A person or the system stopped the program.
    #[error("stopped: what was done so far is kept; run it again to go on")]
    Interrupted,
    /// The terminal, or a part of the system that the program cannot do without, fails.
    #[error("{during} failed")]
    Output {
        /// What was tried.
        during: &'static str,
        /// The system's word.
        #[source]
        cause: std::io::Error,
    },
}

/// When to look again whether another command is done.
const BUSY_RETRY: Span = Span::minutes(1);

/// How the program ends; the numbers are a promise (docs/cli.md, "Exit codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done = 0,
    /// It failed for a reason of this computer.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Done, with problems at single entries.
    Problems = 3,
    /// The server refuses: rights, state, password.
    Refused = 4,
    /// The server cannot be reached, or cannot answer now.
    Unreachable = 5,
    /// Bytes of the repository or of an answer are damaged.
    Damaged = 6,
    /// Nothing was done: a device has to be chosen.
    Choose = 7,
    /// The record waits for an admin.
    Waiting = 8,
}

impl AgentError {
    /// What the caller should do. Never fails.
    pub fn kind(&self) -> Kind {
        match self {
            AgentError::Remote(remote) => remote.kind,
            AgentError::Run(run) => run.kind(),
            AgentError::Usage { .. } => Kind::Invalid,
            AgentError::NotActivated | AgentError::State { .. } | AgentError::Busy { .. } => Kind::Conflict,
            AgentError::File { .. } | AgentError::Output { .. } | AgentError::Interrupted => Kind::Unavailable,
            AgentError::Snapshot { .. } => Kind::NotFound,
        }
    }

    /// The stable code. Never fails.
    pub fn code(&self) -> &str {
        match self {
            AgentError::Remote(remote) => &remote.code,
            AgentError::Run(run) => run.code(),
            AgentError::Usage { code, .. } | AgentError::State { code, .. } => code,
            AgentError::NotActivated => "not_activated",
            AgentError::Busy { .. } => "already_running",
            AgentError::File { .. } => "file_unusable",
            AgentError::Snapshot { .. } => "snapshot_unknown",
            AgentError::Interrupted => "interrupted",
            AgentError::Output { .. } => "system_failed",
        }
    }

    /// Whether and when the same command may do better. Never fails.
    pub fn retry(&self) -> Retry {
        match self {
            AgentError::Remote(remote) => remote.retry,
            AgentError::Run(run) => run.retry(),
            AgentError::Busy { .. } => Retry::After(BUSY_RETRY),
            AgentError::Interrupted => Retry::After(Span::ZERO),
            AgentError::Usage { .. } | AgentError::NotActivated | AgentError::State { .. } => Retry::WhenChanged,
            AgentError::File { .. } | AgentError::Output { .. } => Retry::WhenChanged,
            AgentError::Snapshot { .. } => Retry::Never,
        }
    }

    /// How the program ends for it. Never fails.
    pub fn exit(&self) -> Exit {
        let remote = match self {
            AgentError::Usage { .. } => return Exit::Usage,
            AgentError::Remote(remote) | AgentError::Run(EngineError::Remote(remote)) => remote,
            AgentError::Run(run) if run.kind() == Kind::Damaged => return Exit::Damaged,
            _ => return Exit::Failed,
        };
        match remote.kind {
            // Somebody answers in the server's place: the server itself was not reached.
            _ if remote.code == "certificate_mismatch" => Exit::Unreachable,
            _ if remote.code == "device_pending" => Exit::Waiting,
            Kind::Refused => Exit::Refused,
            Kind::Unavailable => Exit::Unreachable,
            Kind::Damaged => Exit::Damaged,
            Kind::Invalid | Kind::NotFound | Kind::Conflict => Exit::Failed,
        }
    }

    /// One sentence for a person: the error and its causes. Never fails.
    pub fn sentence(&self) -> String {
        let mut sentence = self.to_string();
        // A remote error and an engine error that only wraps one are their own whole sentence.
        let mut cause = std::error::Error::source(self);
        while let Some(next) = cause {
            let text = next.to_string();
            if !sentence.contains(&text) {
                sentence.push_str(": ");
                sentence.push_str(&text);
            }
            cause = next.source();
        }
        sentence
    }

    /// A "no" of the endpoint about its command line. Never fails.
    pub fn usage(code: &'static str, sentence: impl Into<String>) -> Self {
        Self::Usage { code, sentence: sentence.into() }
    }

    /// A "no" of the endpoint about what it keeps. Never fails.
    pub fn state(code: &'static str, sentence: impl Into<String>) -> Self {
        Self::State { code, sentence: sentence.into() }
    }

    /// An answer of the server that does not fit its question. Never fails.
    pub fn answer_damaged(why: &str) -> Self {
        let sentence = format!("{why}: the server is damaged, or another release than this computer's");
        Self::Remote(RemoteError::new("answer_damaged", sentence, Kind::Damaged))
    }

    /// Adds to a system error what was being done with which file; for `map_err`. Never fails.
    pub fn file(during: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { during, path, cause }
    }
}
