//! Runs: begin, dedupe, upload, verify, commit, abort. The bodies that carry refs and packs are plain bytes.

use crate::{Hex, HexBytes, Text};
use base::{DeviceId, RepositoryId, RunId, SnapshotId};
use serde::{Deserialize, Serialize};

/// The most refs or pack ids in one `dedupe`, `verify`, `locate` or `fetch` request.
pub const REFS_MAX: usize = 8_192;

/// `POST /v1/runs`. A new backup run of a device supersedes the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginRequest {
    /// Drawn by the endpoint; a repeated request gets the same run.
    pub request: Hex<16>,
    /// What the run does.
    pub purpose: Purpose,
}

/// What a run does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Purpose {
    /// Appends one snapshot.
    Backup,
    /// Reads one snapshot.
    Restore {
        /// Which.
        snapshot: Text<SnapshotId>,
    },
}

/// A run is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeginReply {
    /// The run.
    pub run: Text<RunId>,
    /// The repository it works on.
    pub repository: Text<RepositoryId>,
    /// Names chunks; secret.
    pub naming_key: Hex<32>,
    /// Seals this run's packs and its manifest, and nothing else; absent for a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_key: Option<Hex<32>>,
    /// Which repository key the run key comes from.
    pub key_id: u32,
    /// The snapshot to go on from (backup), or to read (restore); absent at the first backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotDetail>,
    /// The name of that snapshot where this device may not read it: nothing else is said of it, and `snapshot` is
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Text<SnapshotId>>,
    /// What the server takes at once.
    pub limits: Limits,
    /// How long the run lives without a request.
    pub lease_ms: u64,
}

/// What the server takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The largest pack, in bytes.
    pub pack_bytes: u64,
    /// Uploads of one run side by side.
    pub uploads: u32,
    /// Refs or pack ids in one request.
    pub refs: u32,
}

/// One snapshot. The root is a secret that lets its holder read the tree: shown to its device only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotDetail {
    /// Its name.
    pub snapshot: Text<SnapshotId>,
    /// The device that made it.
    pub device: Text<DeviceId>,
    /// The ref of its root tree; absent where the caller may list but not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Hex<32>>,
    /// The device's clock when the run began.
    pub began_at_ms: i64,
    /// The device's clock when the run ended.
    pub ended_at_ms: i64,
    /// The server's clock at commit.
    pub committed_at_ms: i64,
    /// Entries, files and logical bytes in it.
    pub totals: Totals,
    /// The folders it covers, as path texts.
    pub folders: Vec<String>,
    /// They are some that a person has named, and not all that the device was to back up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// The computer's name at the time.
    pub host_name: String,
    /// Entries that could not be saved, or changed while they were read.
    pub problems: u64,
}

/// Entries, files and logical bytes beneath a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Entries of every kind.
    pub entries: u64,
    /// Files among them.
    pub files: u64,
    /// The sum of the files' sizes.
    pub bytes: u64,
}

/// The answer to an upload: the pack is verified, durable and known to `dedupe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadReply {
    /// Chunks in the pack that the server did not have before.
    pub chunks_new: u64,
}

/// What an endpoint may say in the query of a commit: what the run has cost it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitQuery {
    /// Files that it has opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files_opened: Option<u64>,
    /// Bytes that it has read of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_read: Option<u64>,
}

/// The answer to a commit: acknowledged means durable and restorable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitReply {
    /// The snapshot.
    pub snapshot: SnapshotDetail,
    /// Bytes of request bodies that the server received in this run.
    pub bytes_received: u64,
    /// Chunks that this run added to the repository.
    pub chunks_new: u64,
    /// Packs that this run uploaded.
    pub packs: u64,
}

/// `GET /v1/snapshots`: the device's snapshots, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotListReply {
    /// One page of them.
    pub snapshots: Vec<SnapshotDetail>,
    /// Where the next page begins; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /v1/snapshots/{snapshot}/problems`: what went wrong with single entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryProblem {
    /// The entry's path bytes.
    pub path: HexBytes,
    /// The stable code.
    pub code: String,
    /// One plain sentence.
    pub sentence: String,
}
