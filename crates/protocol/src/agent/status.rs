//! What a device may know of itself.

use crate::Text;
use crate::agent::run::SnapshotDetail;
use base::{DeviceId, SnapshotId};
use serde::{Deserialize, Serialize};

/// `GET /v1/device`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReply {
    /// The record.
    pub device: Text<DeviceId>,
    /// Its name on the console.
    pub name: String,
    /// Whose it is.
    pub user: String,
    /// The state's word: `active`, `held`, …
    pub state: String,
    /// `full` or `append_only`.
    pub rights: String,
    /// The newest snapshot that is not partial; where there is none, the newest.
    pub snapshot: Option<SnapshotDetail>,
    /// The name of that snapshot where this device may not read it: nothing else is said of it, and `snapshot` is
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Text<SnapshotId>>,
    /// How many snapshots there are; where the device may not list them, how many its own key has appended.
    pub snapshots: u64,
    /// The server's clock.
    pub now_ms: i64,
    /// What the device has to do: `wipe`, `support_bundle`. Words that it does not know it passes over.
    pub orders: Vec<String>,
    /// The slot in which missed backups are caught up, in milliseconds since 1970; absent when there are none.
    pub catch_up_at_ms: Option<i64>,
    /// The revision of the effective policy: fetch it again when it has changed.
    pub policy_revision: u64,
    /// Whom the user can ask for help, as the organisation words it; absent when it has not said.
    pub support: Option<String>,
}
