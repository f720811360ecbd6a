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
    /// When retention has let go of it: it is removed after the undo period.
    pub expired_at_ms: Option<i64>,
    /// When a scrub found that something of it cannot be restored.
    pub hurt_at_ms: Option<i64>,
    /// When an admin gave it up, because of that.
    pub given_up_at_ms: Option<i64>,
    /// An admin's word that it is kept.
    pub pin: Option<SnapshotPin>,
}

/// An admin's word that a snapshot is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SnapshotPin {
    /// When.
    pub at_ms: i64,
    /// By whom, as the audit log writes it.
    pub by: String,
    /// Why, in the admin's words.
    pub note: String,
}

/// A snapshot to be pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotPinSet {
    /// Why: one line of at most 200 characters.
    #[serde(default)]
    pub note: String,
}

/// Rules of retention to look at instead of those that the policy says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionQuery {
    /// For how many days every snapshot is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u16>,
    /// For how many weeks the last one of each is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weeks: Option<u16>,
    /// For how many months the last one of each is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub months: Option<u16>,
}

/// What becomes of the snapshots of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retention {
    /// For how many days every snapshot is kept.
    pub days: u16,
    /// For how many weeks the last one of each is kept.
    pub weeks: u16,
    /// For how many months the last one of each is kept.
    pub months: u16,
    /// The time that retention goes by: the server's clock, or behind it while it catches up.
    pub now_ms: i64,
    /// The names of the legal holds that keep everything.
    pub holds: Vec<String>,
    /// Every snapshot, the newest first.
    pub snapshots: Vec<RetentionSnapshot>,
}

/// What becomes of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetentionSnapshot {
    /// Which.
    pub snapshot: Text<SnapshotId>,
    /// The server's clock at commit.
    pub committed_at_ms: i64,
    /// It is of some folders alone.
    pub partial: bool,
    /// Something of it was found lost.
    pub hurt: bool,
    /// Why it is kept; nothing when it is let go of.
    pub reasons: Vec<RetentionReason>,
    /// When the last of the reasons ends, where all have an end.
    pub until_ms: Option<i64>,
    /// When it was let go of.
    pub expired_at_ms: Option<i64>,
    /// When it is removed, if nothing changes that.
    pub removed_after_ms: Option<i64>,
}

/// Why a snapshot is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetentionReason {
    /// The stable word: `newest`, `newest_good`, `held`, `pinned`, `days`, `weekly`, `monthly`.
    pub reason: String,
    /// The same for a person: `weekly, week 43 of 2026`.
    pub text: String,
    /// When it ends by itself.
    pub until_ms: Option<i64>,
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
