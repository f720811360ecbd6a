//! Every "no" on the wire, in the form of RFC 9457 (`application/problem+json`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a request was not carried out, for machines (`code`) and for a person (`detail`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// A link to the code's description, relative to the documentation: `docs/control.md#code`
    /// for a refusal, `docs/api.md#code` for the others.
    #[serde(rename = "type")]
    pub reference: String,
    /// The kind in words, the same for every occurrence of a code.
    pub title: String,
    /// The HTTP status, repeated.
    pub status: u16,
    /// The stable code, snake_case; the lists are in docs/control.md and docs/api.md.
    pub code: String,
    /// One plain sentence: what happened and what to do.
    pub detail: String,
    /// When asking again may help, in milliseconds from now; absent when time alone changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}
