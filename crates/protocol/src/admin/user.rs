//! Users: `/api/v1/users`.

use crate::Text;
use base::{ProfileId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which users to list, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only the user with exactly this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Only users whose address has this in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Only users who stand so: `active`, `locked`, `preserved`, `deleted`; `purged` ones are listed only so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only users with this profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Text<ProfileId>>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Who.
    pub user: Text<UserId>,
    /// The address, in lower case.
    pub email: String,
    /// `active`, `locked`, `preserved`, `deleted`, `purged`.
    pub state: String,
    /// How many records the user has that count as devices.
    pub devices: u64,
    /// The profile that the user was given; `null` for the default one.
    pub profile: Option<Text<ProfileId>>,
    /// When the user was added.
    pub created_at_ms: i64,
    /// When a deleted user may be purged; `null` for the others.
    pub purge_after_ms: Option<i64>,
}

/// A user to be added.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserAdd {
    /// The user's address.
    pub email: String,
    /// The user's first password; without one, only links, tickets and tokens work for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Another password for a user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordSet {
    /// The new password.
    pub password: String,
}

impl fmt::Debug for UserAdd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserAdd").field("email", &self.email).finish_non_exhaustive()
    }
}

impl fmt::Debug for PasswordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordSet")
    }
}
