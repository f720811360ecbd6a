//! The outbox: `/api/v1/mail`.

use crate::Text;
use base::MailId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which messages to list, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only messages that stand so: `queued`, `sending`, `sent`, `failed`, `unclear`, `dropped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mail {
    /// Which.
    pub mail: Text<MailId>,
    /// What it is about; no other message has the same.
    pub occasion: String,
    /// The template that it was made from.
    pub template: String,
    /// The address.
    pub recipient: String,
    /// One line.
    pub subject: String,
    /// The plain text; `null` when it holds a secret, or is not kept any more.
    pub text: Option<String>,
    /// `queued`, `sending`, `sent`, `failed`, `unclear`, `dropped`.
    pub status: String,
    /// How often it was tried.
    pub attempts: u64,
    /// When the next attempt is due; `null` when it is not queued.
    pub due_at_ms: Option<i64>,
    /// What the last attempt met; empty when nothing went wrong.
    pub last_error: String,
    /// When it was queued.
    pub created_at_ms: i64,
    /// When the mail server took it; `null` when it did not.
    pub sent_at_ms: Option<i64>,
}

/// To whom a test message goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailTest {
    /// An address.
    pub recipient: String,
}

/// How a test message fared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MailTested {
    /// `accepted`, `temporary`, `permanent`, `unclear`: whether the mail server has it.
    pub outcome: String,
    /// What was met, for a person; empty when nothing went wrong.
    pub said: String,
}
