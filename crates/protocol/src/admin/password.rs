//! Links by which users set passwords, and the rules of passwords: `/api/v1/users/{user}/links`,
//! `/api/v1/password-policy`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkPurpose {
    /// It sets the first password of a user; good for 72 hours.
    Set,
    /// It sets another one; good for 24 hours.
    Reset,
}

/// A link to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkMake {
    /// What for.
    pub purpose: LinkPurpose,
    /// Is it to be in the answer, and not mailed to the user?
    #[serde(default)]
    pub show: bool,
}

/// A link that was just made. Older ones of the user have ended. It is either mailed or in this answer, never both.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkMade {
    /// Whose password it sets.
    pub email: String,
    /// Was a message with it queued for the user?
    pub mailed: bool,
    /// For the user alone, where it was not mailed: the address of the page, or the link's bare text where the server
    /// does not know its own address. Shown here and never again.
    pub link: Option<String>,
    /// Why it was not mailed: `asked`, `mail_off`, or `no_address` when `server.public_url` is not set.
    pub unmailed: Option<String>,
    /// When it ends.
    pub expires_at_ms: i64,
}

/// One number of the password policy to be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordPolicySet {
    /// The setting's key, such as `password.length_min`.
    pub setting: String,
    /// The number; the default when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
}

/// The password policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordPolicy {
    /// Every setting, in the order of docs/control.md.
    pub settings: Vec<PasswordSetting>,
}

/// One number of the password policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PasswordSetting {
    /// Its key.
    pub setting: String,
    /// What holds now.
    pub value: u64,
    /// The least that it takes.
    pub min: u64,
    /// The greatest that it takes.
    pub max: u64,
}

impl fmt::Debug for LinkMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkMade").field("email", &self.email).finish_non_exhaustive()
    }
}
