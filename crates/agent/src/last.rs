//! What happened last on this computer, for `status` and for whoever helps: the last good backup, the last error.
//! Refuses to matter: where it cannot be read or written, nothing else changes.

use crate::error::AgentError;
use crate::state::StateDir;
use base::{Retry, Timestamp};
use engine::EngineError;
use serde::{Deserialize, Serialize};

const LAST_FILE: &str = "last.json";
/// The name of the command that backs up.
pub const BACKUP: &str = "backup";

/// What happened last. Times are this computer's clock, in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Last {
    /// The last backup of all folders that came to its end.
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

impl Last {
    /// When this computer, by its clock, was last refused a run until somebody changes something, under the key of
    /// this epoch and with no good backup since. Never fails.
    pub fn refused_at(&self, now: Timestamp, epoch: u64) -> Option<Timestamp> {
        let error = self.error.as_ref().filter(|error| error.command == BACKUP && error.run_refused)?;
        let is_newest = self.backup.as_ref().is_none_or(|backup| backup.at_ms < error.at_ms);
        let at = Timestamp::from_ms(error.at_ms);
        // The clock was set back: when that was, nobody knows.
        (is_newest && error.epoch == Some(epoch) && at <= now).then_some(at)
    }
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
    /// Which binding of a key this computer was then; `None` where it was no device.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// Whether it was a run that the server refused until somebody changes something.
    #[serde(default)]
    pub run_refused: bool,
}

impl LastError {
    /// Of a command that ended so, on a computer that was the device of this epoch. Never fails.
    pub fn of(command: &str, at_ms: i64, epoch: Option<u64>, error: &AgentError) -> Self {
        let (code, sentence) = (error.code().to_owned(), error.sentence());
        let is_of_run = matches!(error, AgentError::Run(EngineError::Remote(_)));
        let run_refused = is_of_run && matches!(error.retry(), Retry::WhenChanged | Retry::Never);
        Self { command: command.to_owned(), at_ms, code, sentence, epoch, run_refused }
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
