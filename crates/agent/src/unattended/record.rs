//! How an unattended activation stands: the last reason, when it was tried, when it is tried next.
//! Refuses to hold a token.

use crate::error::AgentError;
use crate::state::StateDir;
use serde::{Deserialize, Serialize};

const RECORD_FILE: &str = "unattended.json";

/// How it stands. Times are this computer's clock, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The server that is asked.
    pub server: String,
    /// Where the program learnt what to do: `command line`, or a file.
    pub found_in: String,
    /// How often it was asked.
    pub attempts: u32,
    /// When it was asked last.
    pub tried_at_ms: i64,
    /// When it is asked next; absent when it is not.
    pub next_at_ms: Option<i64>,
    /// Whether asking again may help: where it is not asked again all the same, the time for it was over.
    #[serde(default)]
    pub may_pass: bool,
    /// The stable code of the last refusal; `device_pending` while an admin is waited for.
    pub code: String,
    /// The sentence of the last refusal.
    pub sentence: String,
}

/// How it stands; `None` when there is nothing to tell. Never fails: one that is damaged tells nothing.
pub fn look(dir: &StateDir) -> Option<Record> {
    serde_json::from_slice(&dir.read_beside(RECORD_FILE).ok().flatten()?).ok()
}

/// Keeps how it stands.
///
/// # Errors
/// The disk is full or fails.
pub fn keep(dir: &StateDir, record: &Record) -> Result<(), AgentError> {
    let bytes = serde_json::to_vec_pretty(record).expect("a struct of texts and numbers is always JSON");
    dir.keep_beside(RECORD_FILE, &bytes)
}

/// There is nothing to tell any more.
///
/// # Errors
/// `file_unusable`.
pub fn remove(dir: &StateDir) -> Result<(), AgentError> {
    dir.remove_beside(RECORD_FILE)
}
