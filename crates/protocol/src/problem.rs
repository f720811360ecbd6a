//! Every "no" on the wire, in the form of RFC 9457 (`application/problem+json`).

use base::{Retry, Span};
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
    /// Whether asking for the same again may help. Every answer of this release has it; one of an older has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryWord>,
    /// When asking again may help, in milliseconds from now: with `later`, and with nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Whether asking for the same again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryWord {
    /// Asking for the same again never helps: ask for something else.
    Never,
    /// Somebody has to change something first, as `detail` says; asking again before that does not help.
    WhenChanged,
    /// Time alone may help: ask again after `retry_after_ms`.
    Later,
}

impl From<Retry> for RetryWord {
    /// The span stands beside it. Never fails.
    fn from(retry: Retry) -> Self {
        match retry {
            Retry::Never => RetryWord::Never,
            Retry::WhenChanged => RetryWord::WhenChanged,
            Retry::After(_) => RetryWord::Later,
        }
    }
}

impl Problem {
    /// Whether and when asking for the same again may help; `None` of a server that does not say it. Never fails.
    pub fn retry(&self) -> Option<Retry> {
        match (self.retry, self.retry_after_ms) {
            (_, Some(after)) => Some(Retry::After(Span::ms(after))),
            (Some(RetryWord::Never), None) => Some(Retry::Never),
            (Some(RetryWord::WhenChanged), None) => Some(Retry::WhenChanged),
            (Some(RetryWord::Later) | None, None) => None,
        }
    }
}
