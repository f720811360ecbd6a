//! Scrub: `POST /api/v1/scrub`, whose answer is a line of JSON for every step, and at the end the report.

use crate::Text;
use base::SnapshotId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScrubAsk {
    /// Look at sizes, tables of packs, manifests and trees only, and do not read the contents.
    #[serde(default)]
    pub metadata_only: bool,
    /// Read the next so many percent (1 to 100) of the packs whole, and look at nothing else.
    #[serde(default)]
    pub sample: Option<u8>,
}

/// One line of the answer. The last one is `report` or `failed`; an answer without either broke off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum ScrubLine {
    /// Packs were looked at.
    Packs {
        /// How many so far.
        done: u64,
        /// Of how many.
        total: u64,
        /// How many bytes were read.
        bytes: u64,
    },
    /// Snapshots were looked at.
    Snapshots {
        /// How many so far.
        done: u64,
    },
    /// Objects of the store were looked at.
    Objects {
        /// How many so far.
        done: u64,
    },
    /// The end.
    Report(ScrubReport),
    /// The end, without a report: a part of the server did not do its work.
    Failed {
        /// The stable code.
        code: String,
        /// One plain sentence.
        sentence: String,
    },
}

/// What a scrub has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubReport {
    /// Whether everything is as it must be.
    pub clean: bool,
    /// Packs looked at.
    pub packs: u64,
    /// Chunks in them.
    pub chunks: u64,
    /// Bytes read from the store.
    pub bytes_read: u64,
    /// Snapshots looked at.
    pub snapshots: u64,
    /// How many problems there are.
    pub problems_total: u64,
    /// The first of them.
    pub problems: Vec<ScrubProblem>,
    /// Snapshots of which something cannot be restored.
    pub snapshots_hurt: Vec<Text<SnapshotId>>,
    /// Files and folders of these of which something is lost, as path texts.
    pub files_hurt: Vec<ScrubFile>,
    /// There are more than are listed.
    pub files_hurt_more: bool,
    /// How many objects nothing names.
    pub orphans_total: u64,
    /// The first of them.
    pub orphans: Vec<String>,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubProblem {
    /// The stable code.
    pub code: String,
    /// The object or snapshot that it is about.
    pub subject: String,
    /// One plain sentence.
    pub sentence: String,
}

/// A file of which something is lost, or a folder of which nothing is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScrubFile {
    /// The snapshot that it is in.
    pub snapshot: Text<SnapshotId>,
    /// Its stored path, as a path text.
    pub path: String,
}
