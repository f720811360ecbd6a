//! Passwords that are set by a link.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `POST /v1/password-links`: sets a password by a link that an admin has made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordLinkRequest {
    /// The link's text: `hfl1_…`.
    pub link: String,
    /// The new password, as typed.
    pub password: String,
}

impl fmt::Debug for PasswordLinkRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordLinkRequest")
    }
}

/// The password is set, and the link used up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordLinkReply {
    /// Whose it is.
    pub email: String,
}
