//! What a device may know of itself.

use crate::Text;
use crate::agent::run::SnapshotDetail;
use base::DeviceId;
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
    /// The newest snapshot.
    pub snapshot: Option<SnapshotDetail>,
    /// How many snapshots there are.
    pub snapshots: u64,
    /// The server's clock.
    pub now_ms: i64,
}
