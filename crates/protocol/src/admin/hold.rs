//! Legal holds: `/api/v1/holds`.

use crate::Text;
use base::{DeviceId, HoldId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A hold to be set: on a user, or on one device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldSet {
    /// What it is known by: the number of a case; one line of at most 100 characters.
    pub name: String,
    /// Everything of this user stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Text<UserId>>,
    /// Everything of this device stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Text<DeviceId>>,
}

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Which.
    pub hold: Text<HoldId>,
    /// What it is known by.
    pub name: String,
    /// The user of whom everything stays.
    pub user: Option<Text<UserId>>,
    /// The device of which everything stays.
    pub device: Option<Text<DeviceId>>,
    /// The user's address or the device's name, in a list; empty elsewhere.
    pub on: String,
    /// When it was set.
    pub set_at_ms: i64,
    /// By whom, as the audit log writes it.
    pub set_by: String,
}
