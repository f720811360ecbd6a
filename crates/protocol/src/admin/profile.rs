//! Profiles: `/api/v1/profiles`.

use crate::Text;
use base::{ProfileId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A profile: a named set of policies and folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// Which.
    pub profile: Text<ProfileId>,
    /// Its name.
    pub name: String,
    /// Whether users without a profile have this one.
    pub is_default: bool,
    /// How many users have it.
    pub users: u64,
    /// Grows with every change of it.
    pub revision: u64,
    /// When it was made.
    pub created_at_ms: i64,
}

/// Which profiles to list, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only the profile with exactly this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The name of a profile to be made, copied or renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileName {
    /// The name, of 1 to 100 characters.
    pub name: String,
}

/// Who is to have a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileAssign {
    /// The user.
    pub user: Text<UserId>,
}

/// What a change of a profile's values would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfilePreview {
    /// Users of the profile.
    pub users: u64,
    /// Their devices that count.
    pub devices: u64,
    /// Users for whom a value changes.
    pub users_changed: u64,
    /// Devices for which a value changes.
    pub devices_changed: u64,
    /// Which values, and for how many each.
    pub differences: Vec<ProfileDifference>,
}

/// One value that would become another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileDifference {
    /// The policy's word.
    pub key: String,
    /// What holds.
    pub was: String,
    /// What would hold.
    pub now: String,
    /// For how many users.
    pub users: u64,
    /// For how many devices.
    pub devices: u64,
}
