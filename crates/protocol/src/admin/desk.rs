//! The desk: `/api/v1/desk`.

use crate::Text;
use crate::admin::device::Device;
use base::TokenId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A record that waits for an admin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    /// The record.
    pub device: Device,
    /// The proof's word.
    pub proof: String,
    /// Why it waits: `token_waits`.
    pub reason: String,
    /// The deployment token.
    pub token: Option<Text<TokenId>>,
    /// From where it was asked.
    pub source: String,
    /// When it was asked first.
    pub asked_at_ms: i64,
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
