//! Credentials of the admin API: `/api/v1/credentials`.

use crate::Text;
use base::CredentialId;
use control::Permit;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A permit, as its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermitWord(pub Permit);

/// A credential to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialMake {
    /// What to call it: 1 to 100 characters.
    pub name: String,
    /// What it may do: permits that its maker has too.
    #[serde(default)]
    pub permits: Vec<PermitWord>,
    /// `true` for every permit, those of later releases included, whatever `permits` lists. Its maker has every permit.
    #[serde(default)]
    pub all: bool,
    /// When it expires; never when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<i64>,
}

/// A credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Credential {
    /// Which.
    pub credential: Text<CredentialId>,
    /// What its maker calls it.
    pub name: String,
    /// The beginning of its text.
    pub prefix: String,
    /// What it may do.
    pub permits: Vec<PermitWord>,
    /// When it expires; `null` for never.
    pub expires_at_ms: Option<i64>,
    /// When it was revoked; `null` while it is in force.
    pub revoked_at_ms: Option<i64>,
    /// When it was made.
    pub created_at_ms: i64,
    /// By whom, as the audit log writes it.
    pub created_by: String,
    /// When it was last used, to the minute; `null` for never.
    pub last_used_at_ms: Option<i64>,
    /// From where it was last used.
    pub last_source: Option<String>,
}

/// A credential that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CredentialMade {
    /// The credential.
    pub credential: Credential,
    /// Its text, to be sent as `Authorization: Bearer`. Shown here and never again.
    pub text: String,
}

impl fmt::Debug for CredentialMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialMade").field("credential", &self.credential).finish_non_exhaustive()
    }
}

impl Serialize for PermitWord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<'de> Deserialize<'de> for PermitWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<'de, str>::deserialize(deserializer)?;
        Permit::from_word(&word).map(PermitWord).ok_or_else(|| D::Error::custom("not a permit"))
    }
}

impl JsonSchema for PermitWord {
    fn schema_name() -> Cow<'static, str> {
        "Permit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<&str> = Permit::ALL.iter().map(|permit| permit.word()).collect();
        json_schema!({ "type": "string", "enum": words, "description": "A named right; docs/control.md lists them." })
    }
}
