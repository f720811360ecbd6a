//! Data that an activation was to bring back and could not yet: kept until this computer has full rights. Refuses to
//! forget it for a reason that passes, and to bring back another snapshot than the one that was meant.

use crate::error::AgentError;
use crate::state::{State, StateDir};
use base::{DeviceId, Kind, SnapshotId};
use protocol::Text;
use serde::{Deserialize, Serialize};

const OWED_FILE: &str = "owed.json";
/// The server's word for a device that may not read yet.
const RIGHTS_APPEND_ONLY: &str = "rights_append_only";

/// What is still to be brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// The record that this computer became.
    pub device: Text<DeviceId>,
    /// Its newest snapshot when it did: what this computer has appended since is not meant.
    pub snapshot: Text<SnapshotId>,
}

/// What is still to be brought back to the device of this state, if anything. Never fails: a file that is damaged, or
/// of another record, asks for nothing.
pub fn look(dir: &StateDir, state: &State) -> Option<Owed> {
    let bytes = dir.read_beside(OWED_FILE).ok().flatten()?;
    let owed: Owed = serde_json::from_slice(&bytes).ok()?;
    (owed.device.0 == state.device).then_some(owed)
}

/// Keeps what is to be brought back.
///
/// # Errors
/// The disk is full or fails.
pub fn keep(dir: &StateDir, owed: &Owed) -> Result<(), AgentError> {
    let bytes = serde_json::to_vec_pretty(owed).expect("a struct of texts is always JSON");
    dir.keep_beside(OWED_FILE, &bytes)
}

/// Nothing is to be brought back any more.
///
/// # Errors
/// `file_unusable`.
pub fn remove(dir: &StateDir) -> Result<(), AgentError> {
    dir.remove_beside(OWED_FILE)
}

/// Whether what a restore ended with passes, so that it is tried again. Never fails.
pub fn stays_after(error: &AgentError) -> bool {
    error.code() == RIGHTS_APPEND_ONLY || matches!(error.kind(), Kind::Unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::RemoteError;

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_given_up() {
        let remote = |code: &str, kind| AgentError::Remote(RemoteError::new(code, code, kind));
        assert!(stays_after(&remote(RIGHTS_APPEND_ONLY, Kind::Refused)));
        assert!(stays_after(&remote("server_unreachable", Kind::Unavailable)));
        assert!(stays_after(&AgentError::Interrupted));
        assert!(!stays_after(&remote("snapshot_not_yours", Kind::NotFound)));
        assert!(!stays_after(&remote("device_suspended", Kind::Refused)));
    }
}
