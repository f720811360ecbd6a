//! Deployment tokens: `/api/v1/tokens`, `/api/v1/legacy-token`.

use crate::Text;
use base::{ProfileId, TokenId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A token to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenMake {
    /// What to call it: 1 to 100 bytes.
    pub name: String,
    /// The profile whose users it serves, and that those whom it creates get; `null` is every user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Text<ProfileId>>,
    /// Networks in CIDR form, from which it may be used; everywhere when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// Hours of the week at which it may be used, `mon-fri 08:00-18:00, sat 09:00-12:00`; at all when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// The time zone in which the hours are meant, by its IANA name; UTC when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours_zone: Option<String>,
    /// Mail domains at which an account of the operating system may name the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<String>,
    /// Whether such a user is added who is not there yet; it lists one domain then.
    #[serde(default)]
    pub create_users: bool,
    /// How often it may be used; without end when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_max: Option<u64>,
    /// How often in one minute; without end when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_minute: Option<u64>,
    /// When it ends; never when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<i64>,
}

/// A deployment token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// Which.
    pub token: Text<TokenId>,
    /// 2, or 1 for the legacy token.
    pub version: u8,
    /// What its maker calls it.
    pub name: String,
    /// The beginning of its text.
    pub prefix: String,
    /// The profile whose users it serves, and that those whom it creates get; `null` is every user.
    pub profile: Option<Text<ProfileId>>,
    /// Networks from which it may be used.
    pub networks: Vec<String>,
    /// Hours of the week at which it may be used; `null` is at all.
    pub hours: Option<String>,
    /// The time zone in which the hours are meant; `null` without hours.
    pub hours_zone: Option<String>,
    /// Mail domains at which an account of the operating system may name the user.
    pub domains: Vec<String>,
    /// Whether such a user is added who is not there yet.
    pub create_users: bool,
    /// How often it may be used; `null` is without end.
    pub uses_max: Option<u64>,
    /// How often in one minute; `null` is without end.
    pub rate_per_minute: Option<u64>,
    /// When it ends; `null` is never.
    pub expires_at_ms: Option<i64>,
    /// When it was revoked.
    pub revoked_at_ms: Option<i64>,
    /// When it was made.
    pub created_at_ms: i64,
    /// By whom, as the audit log writes it.
    pub created_by: String,
    /// How often it was used.
    pub uses: u64,
    /// When it was used last.
    pub last_used_at_ms: Option<i64>,
    /// How often it was refused.
    pub failures: u64,
    /// When it was refused last.
    pub last_failure_at_ms: Option<i64>,
    /// The code of that refusal.
    pub last_failure: Option<String>,
}

/// What a new legacy token may do besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LegacyTokenMake {
    /// Mail domains at which an account of the operating system may name the user; empty is none.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Whether such a user is added who is not there yet; needs exactly one domain.
    #[serde(default)]
    pub create_users: bool,
}

/// A token that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenMade {
    /// The token.
    pub token: Token,
    /// Its text, for installers. Shown here and never again.
    pub text: String,
}

/// The organisation's legacy token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LegacyToken {
    /// The one that is good; `null` when none is.
    pub token: Option<Token>,
}

impl fmt::Debug for TokenMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenMade").field("token", &self.token).finish_non_exhaustive()
    }
}
