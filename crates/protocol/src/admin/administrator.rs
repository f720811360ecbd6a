//! Admins: `/api/v1/admins`.

use crate::Text;
use crate::admin::credential::PermitWord;
use base::AdminId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which admins to list, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only the admin with exactly this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// An admin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Admin {
    /// Who.
    pub admin: Text<AdminId>,
    /// The address, in lower case.
    pub email: String,
    /// `active` or `disabled`.
    pub state: String,
    /// What the admin may do.
    pub permits: Vec<PermitWord>,
    /// When the admin was added.
    pub created_at_ms: i64,
    /// Since when the admin is disabled; `null` for one who is active.
    pub disabled_at_ms: Option<i64>,
}

/// An admin to be added.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminMake {
    /// The admin's address.
    pub email: String,
    /// What the admin may do: permits that whoever asks has too. All of them include those of later releases.
    pub permits: Vec<PermitWord>,
    /// The admin's first password.
    pub password: String,
}

/// What an admin may do from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminPermits {
    /// These permits and no others.
    pub permits: Vec<PermitWord>,
}

impl fmt::Debug for AdminMake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminMake").field("email", &self.email).finish_non_exhaustive()
    }
}
