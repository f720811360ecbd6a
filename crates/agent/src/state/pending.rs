//! An activation between request and answer: kept so that asking again is the same question (docs/protocol.md).
//! Refuses to hold a password.

use protocol::Hex;
use protocol::agent::activation::{Choice, Evidence};
use serde::{Deserialize, Serialize};

/// What was asked. The key that it was asked for lies beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// The request's number.
    pub request: Hex<16>,
    /// The server that was asked.
    pub url: String,
    /// Who asked; empty with an old key.
    pub email: String,
    /// What was said of this computer: said again in the same words.
    pub evidence: Evidence,
    /// Which record was asked for.
    pub choice: Choice,
}

impl Pending {
    /// Reads what `render` wrote; `None` for anything else. Never fails otherwise.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The bytes to keep. Never fails.
    pub(super) fn render(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a struct of texts is always JSON")
    }

    /// Whether the same question is asked again: a request number never serves for another one. Never fails.
    pub fn asks_the_same(&self, url: &str, email: &str, choice: &Choice) -> bool {
        self.url == url && self.email == email && self.choice == *choice
    }
}
