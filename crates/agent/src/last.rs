//! What happened last on this computer, for `status` and for whoever helps: the last good backup, the last error.
//! Refuses to matter: where it cannot be read or written, nothing else changes.

use crate::error::AgentError;
use crate::state::StateDir;
use serde::{Deserialize, Serialize};

const LAST_FILE: &str = "last.json";

/// What happened last. Times are this computer's clock, in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Last {
    /// The last backup that came to its end.
    pub backup: Option<LastBackup>,
    /// The last command that did not.
    pub error: Option<LastError>,
    /// The last support bundle that an admin has asked for and that was sent.
    pub bundle: Option<LastBundle>,
}

/// A support bundle that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBundle {
    /// When.
    pub sent_at_ms: i64,
    /// How long it was, in bytes.
    pub bytes: u64,
}

/// A backup that came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBackup {
    /// The snapshot's name.
    pub snapshot: String,
    /// When.
    pub at_ms: i64,
    /// Entries that could not be saved.
    pub problem_count: u64,
}

/// A command that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// Its name: `backup`.
    pub command: String,
    /// When.
    pub at_ms: i64,
    /// The stable code.
    pub code: String,
    /// One sentence.
    pub sentence: String,
}

impl LastError {
    /// Of a command that ended so. Never fails.
    pub fn of(command: &str, at_ms: i64, error: &AgentError) -> Self {
        let (code, sentence) = (error.code().to_owned(), error.sentence());
        Self { command: command.to_owned(), at_ms, code, sentence }
    }
}

/// What is known; nothing where it cannot be read. Never fails.
pub fn look(dir: &StateDir) -> Last {
    let bytes = dir.read_beside(LAST_FILE).ok().flatten().unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Changes what is known. Never fails: what cannot be kept is not.
pub fn note(dir: &StateDir, change: impl FnOnce(&mut Last)) {
    let mut last = look(dir);
    change(&mut last);
    let bytes = serde_json::to_vec_pretty(&last).expect("a struct of texts and numbers is always JSON");
    if let Err(error) = dir.keep_beside(LAST_FILE, &bytes) {
        tracing::debug!("what happened last is not kept: {error}");
    }
}
