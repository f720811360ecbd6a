//! The desk: `/api/v1/desk`.

use crate::Text;
use crate::admin::device::{About, Device};
use base::{DeviceId, TokenId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A pending record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    /// The record. What stands in its `about` is the own word of the computer that waits.
    pub device: Device,
    /// Why it waits: `token_waits`; `nobody_asked` for one that no computer has asked for.
    pub reason: String,
    /// When it was asked for first; when it was made, where nobody has.
    pub asked_at_ms: i64,
    /// How it was asked for; `null` where no computer has.
    pub came: Option<Came>,
}

/// A device in service that waits for full rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppendOnly {
    /// The device. What stands in its `about` is its computer's own word.
    pub device: Device,
    /// How that computer came to it.
    pub came: Option<Came>,
}

/// How a computer came to a record, or asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Came {
    /// The proof's word: what was shown, and not only said.
    pub proof: String,
    /// The deployment token.
    pub token: Option<Text<TokenId>>,
    /// What its maker calls it.
    pub token_name: Option<String>,
    /// The address that was asked from.
    pub source: String,
    /// When.
    pub at_ms: i64,
    /// What it was to the record: `new`, `replaced`, `reactivated`; `waits`.
    pub outcome: String,
    /// The computer that is known: the one that had the record before, or that of a record which this one resembles;
    /// `null` where there is none.
    pub former: Option<Former>,
}

/// A computer that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Former {
    /// Its record.
    pub device: Text<DeviceId>,
    /// What it said of itself: its own word.
    pub about: About,
    /// In which fields of `about` the two say something else.
    pub differs: Vec<String>,
    /// When it was heard of last.
    pub last_seen_at_ms: Option<i64>,
    /// When it was activated.
    pub activated_at_ms: Option<i64>,
}

/// Why a record is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refuse {
    /// One line of at most 200 characters, which the computer shows.
    pub reason: String,
}

/// An activation by a token that was refused; the same machine and reason are one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedActivation {
    /// The last time.
    pub at_ms: i64,
    /// How often.
    pub times: u64,
    /// The refusal's code.
    pub code: String,
    /// The token; `null` when nobody knows its text.
    pub token: Option<Text<TokenId>>,
    /// From where it was asked last.
    pub source: String,
    /// The address that the request gave; empty for none.
    pub email: String,
    /// What the machine said of itself: its name.
    pub host_name: String,
    /// The maker's serial number.
    pub serial: String,
    /// The account that the endpoint runs as.
    pub os_user: String,
}
