//! Snapshots: `/api/v1/snapshots`. Refuses roots: an admin sees that a snapshot is there, not what is in it.

use crate::Text;
use base::{DeviceId, SnapshotId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which snapshots to list, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only snapshots of this device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Text<DeviceId>>,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Its name.
    pub snapshot: Text<SnapshotId>,
    /// The device that made it.
    pub device: Text<DeviceId>,
    /// The snapshot that it went on from.
    pub parent: Option<Text<SnapshotId>>,
    /// The device's clock when the run began.
    pub began_at_ms: i64,
    /// The device's clock when the run ended.
    pub ended_at_ms: i64,
    /// The server's clock at commit.
    pub committed_at_ms: i64,
    /// What is in it.
    pub totals: SnapshotTotals,
    /// The folders that it covers, as path texts.
    pub folders: Vec<String>,
    /// They are some that a person has named, and not all that the device was to back up.
    pub partial: bool,
    /// The computer's name at the time.
    pub host_name: String,
    /// Entries that could not be saved, or changed while they were read.
    pub problems: u64,
}

/// Entries, files and logical bytes of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotTotals {
    /// Entries of every kind.
    pub entries: u64,
    /// Files among them.
    pub files: u64,
    /// The sum of the files' sizes.
    pub bytes: u64,
}
