//! `POST /api/v1/quota/check`: whether quota believes what is true. The answer is a line of JSON for every step, and at
//! the end what was found.

use crate::Text;
use base::{DeviceId, SnapshotId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaCheckAsk {
    /// Mend what differs.
    #[serde(default)]
    pub apply: bool,
}

/// One line of the answer. The last one is `report` or `failed`; an answer without either broke off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum QuotaCheckLine {
    /// Devices were looked at.
    Devices {
        /// How many so far.
        done: u64,
    },
    /// The end.
    Report(QuotaChecked),
    /// The end, without a report.
    Failed {
        /// The stable code.
        code: String,
        /// One plain sentence.
        sentence: String,
    },
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuotaChecked {
    /// Whether all is as it must be now.
    pub clean: bool,
    /// Devices that were looked at.
    pub devices: u64,
    /// Of how many quota believed something else.
    pub differences_total: u64,
    /// Of how many of them it believes what is so now.
    pub mended_total: u64,
    /// The first of them.
    pub differences: Vec<QuotaDifference>,
    /// Of how many newest snapshots neither manifest nor trees can be read.
    pub unreadable_total: u64,
    /// The first of those.
    pub unreadable: Vec<Text<SnapshotId>>,
}

/// A device of which quota believed something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuotaDifference {
    /// Which.
    pub device: Text<DeviceId>,
    /// Whose.
    pub user: Text<UserId>,
    /// Its newest snapshot.
    pub snapshot: Text<SnapshotId>,
    /// Bytes that quota believed it to have.
    pub believed_bytes: u64,
    /// Bytes that it has.
    pub found_bytes: u64,
    /// Whether it was mended.
    pub mended: bool,
}
