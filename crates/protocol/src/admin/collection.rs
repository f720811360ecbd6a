//! Collection: `/api/v1/collections`. What a dry run answers is a line of JSON for every step, and at the end what it
//! found.

use crate::Text;
use base::{DeviceId, RepositoryId, RunId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How collections stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collections {
    /// When the next one begins; `null` where only an admin starts one.
    pub next_at_ms: Option<i64>,
    /// What is condemned and not removed yet, the oldest first.
    pub waiting: Vec<CollectionWaiting>,
    /// The last ones of every repository, the newest first.
    pub collections: Vec<Collection>,
}

/// What a collection has condemned and not removed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionWaiting {
    /// The repository.
    pub repository: Text<RepositoryId>,
    /// The collection's number.
    pub number: i64,
    /// Packs that go.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the grace is over.
    pub after_ms: i64,
    /// How many runs it waits for, which began before.
    pub runs: u64,
    /// The oldest of them.
    pub oldest_run: Option<Text<RunId>>,
    /// The device of that.
    pub oldest_device: Option<Text<DeviceId>>,
    /// When that began.
    pub oldest_began_at_ms: Option<i64>,
    /// Until when it lives without another request.
    pub oldest_lease_until_ms: Option<i64>,
}

/// A collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collection {
    /// The repository.
    pub repository: Text<RepositoryId>,
    /// Its number.
    pub number: i64,
    /// What it does: `mark`, `later`, `weigh`, `settle`, `wait`, `remove`, `ended`, `abandoned`.
    pub phase: String,
    /// When it began.
    pub begun_at_ms: i64,
    /// Since when it is in this phase.
    pub phase_at_ms: i64,
    /// Snapshots that were marked.
    pub snapshots: u64,
    /// Trees that could not be read: with one of them, nothing is removed.
    pub flaws: u64,
    /// Chunks that were known.
    pub chunks: u64,
    /// Those of them that a snapshot needed.
    pub chunks_live: u64,
    /// Bytes of all packs.
    pub bytes: u64,
    /// Packs that were condemned.
    pub packs_condemned: u64,
    /// Their bytes.
    pub bytes_condemned: u64,
    /// Bytes, about, that nothing needed in packs that stayed.
    pub bytes_waste: u64,
    /// Packs of which the needed part was put into new ones.
    pub packs_repacked: u64,
    /// Packs that were removed.
    pub packs_removed: u64,
    /// Their bytes.
    pub bytes_removed: u64,
}

/// One line of a dry run's answer. The last one is `found` or `failed`; an answer without either broke off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum CollectionLine {
    /// It follows the snapshots of a repository.
    Marks,
    /// It weighs the packs of a repository.
    Weighs {
        /// Snapshots that were followed.
        snapshots: u64,
    },
    /// The end.
    Found(CollectionFound),
    /// The end, without a result.
    Failed {
        /// The stable code.
        code: String,
        /// One plain sentence.
        sentence: String,
    },
}

/// What a collection would find now, in all repositories together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionFound {
    /// Snapshots that were followed.
    pub snapshots: u64,
    /// Trees that could not be read: with one of them, nothing would be removed.
    pub flaws: u64,
    /// Chunks that are known.
    pub chunks: u64,
    /// Those of them that a snapshot needs.
    pub chunks_live: u64,
    /// Bytes of all packs.
    pub bytes: u64,
    /// Packs of which nothing is needed.
    pub packs_dead: u64,
    /// Their bytes.
    pub bytes_dead: u64,
    /// Bytes, about, that nothing needs in packs that would stay.
    pub bytes_waste: u64,
    /// Packs that would be replaced by fuller ones.
    pub packs_sparse: u64,
}
