//! An activation between request and answer: kept so that asking again is the same question (docs/protocol.md).
//! Refuses to hold a password.

use protocol::Hex;
use protocol::agent::activation::{Choice, Evidence, Preview, Restore};
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
    /// What was to be brought back.
    #[serde(default)]
    pub restore: Option<Restore>,
    /// Whether a person could answer a question.
    #[serde(default)]
    pub can_ask: bool,
    /// Whether it was to be shown first what would change.
    #[serde(default)]
    pub preview: Preview,
    /// The word of the proof: another proof is another question. Empty where an older release has asked.
    #[serde(default)]
    pub proof: String,
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

    /// Whether the same question is asked again, whatever its number and the words in which this computer was
    /// described: a request number never serves for another question. Never fails.
    pub fn asks_the_same(&self, other: &Pending) -> bool {
        let Pending { request: _, url, email, evidence: _, choice, restore, can_ask, preview, proof } = self;
        (url, email, choice, restore, can_ask, preview)
            == (&other.url, &other.email, &other.choice, &other.restore, &other.can_ask, &other.preview)
            && (proof.is_empty() || *proof == other.proof)
    }
}
