//! Storage reports: `/api/v1/reports/storage`. What making one now answers is a line of JSON for every step, and at the
//! end the report.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How storage reports stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageReports {
    /// When the next one begins, a time that is over while it is made; `null` where only an admin starts one.
    pub next_at_ms: Option<i64>,
    /// The last one; `null` before the first.
    pub report: Option<StorageReport>,
}

/// What takes room in the store. `whole.stored_bytes`, `unneeded_bytes` and `framing_bytes` are together `bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageReport {
    /// Its number.
    pub number: i64,
    /// It is of the snapshots that were there then.
    pub as_of_ms: i64,
    /// When it was done.
    pub ended_at_ms: Option<i64>,
    /// What all snapshots take together.
    pub whole: StorageFigures,
    /// Packs, and their bytes.
    pub packs: u64,
    /// Bytes of all packs.
    pub bytes: u64,
    /// What no snapshot needs of them: it waits for collections, or belongs to backups that go on.
    pub unneeded_bytes: u64,
    /// Headers and tables of packs.
    pub framing_bytes: u64,
    /// Bytes of packs that are condemned already.
    pub condemned_bytes: u64,
    /// Chunks that are known.
    pub chunks: u64,
    /// Chunks that a snapshot names and nobody has.
    pub missing: u64,
    /// Trees that could not be read: what is beneath them alone counts as not needed.
    pub flaws: u64,
}

/// What somebody takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageFigures {
    /// Snapshots.
    pub snapshots: u64,
    /// Logical bytes of the newest snapshots, as quota counts them.
    pub newest_bytes: u64,
    /// Logical bytes of all snapshots.
    pub logical_bytes: u64,
    /// Bytes in the open that nobody else needs.
    pub unique_bytes: u64,
    /// Bytes in the open that somebody else needs as well.
    pub shared_bytes: u64,
    /// The part of the bytes in the open: all of what is unique, and a share of what is shared.
    pub plain_bytes: u64,
    /// Stored bytes that nobody else needs: what comes back once this one is gone.
    pub unique_stored_bytes: u64,
    /// The part of the stored bytes, in the same shares.
    pub stored_bytes: u64,
    /// Logical bytes for each of the bytes in the open, in thousandths.
    pub deduplication_permille: Option<u64>,
    /// Bytes in the open for each of the stored bytes, in thousandths.
    pub compression_permille: Option<u64>,
}

/// Whose shares are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StorageBy {
    /// Of every user.
    User,
    /// Of every device.
    Device,
    /// Of every profile.
    Profile,
}

/// Which shares are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageQuery {
    /// Whose.
    pub by: StorageBy,
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// What one subject takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorageShare {
    /// The identifier of the user, device or profile.
    pub subject: String,
    /// The address, or the name; empty when it is gone since.
    pub name: String,
    /// The address of a device's user; empty for others.
    pub email: String,
    /// What it takes.
    pub figures: StorageFigures,
}

/// One line of the answer. The last one is `report` or `failed`; an answer without either broke off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum StorageLine {
    /// It follows the snapshots of a repository.
    Follows {
        /// How many so far.
        snapshots: u64,
    },
    /// It weighs the chunks of a repository.
    Weighs {
        /// How many so far, of all repositories.
        chunks: u64,
    },
    /// The end.
    Report(StorageReports),
    /// The end, without a report.
    Failed {
        /// The stable code.
        code: String,
        /// One plain sentence.
        sentence: String,
    },
}
