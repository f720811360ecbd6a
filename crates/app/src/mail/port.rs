//! The port behind which a mail server is: one letter goes in, one answer comes out.
//! Refuses to guess: an answer says for sure whether the mail server has the letter, or that this is not known.

use async_trait::async_trait;
use base::{MailId, Timestamp};
use control::mail::{MailOutcome, one_line};

/// The longest text of an answer, in characters.
const SAID_CHARS_MAX: usize = 300;

/// A way to a mail server.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Sends one letter and says how that ended. Never fails otherwise, and never takes for ever.
    async fn send(&self, letter: &Letter) -> Answer;

    /// Says that no further letter follows for now: a connection that was kept is closed. Never fails.
    async fn rest(&self);
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Which message. Its Message-ID is made of it, so that it is the same at every attempt.
    pub id: MailId,
    /// When it was queued: its date.
    pub at: Timestamp,
    /// The address.
    pub recipient: String,
    /// One line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML.
    pub html: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the mail server has the letter.
    pub outcome: MailOutcome,
    /// What was met, as one line for a person; empty when nothing went wrong.
    pub said: String,
    /// Whether the next letter would meet the same: the mail server is away, or does not let this server in.
    pub away: bool,
}

impl Answer {
    /// The mail server takes care of it. Never fails.
    pub fn accepted() -> Self {
        Self { outcome: MailOutcome::Accepted, said: String::new(), away: false }
    }

    /// It does not have it, and may take it later. Never fails.
    pub fn temporary(said: &str) -> Self {
        Self { outcome: MailOutcome::Temporary, said: one_line(said, SAID_CHARS_MAX), away: false }
    }

    /// It has none of the letters, and may take them later. Never fails.
    pub fn away(said: &str) -> Self {
        Self { away: true, ..Self::temporary(said) }
    }

    /// It does not have it, and never will. Never fails.
    pub fn permanent(said: &str) -> Self {
        Self { outcome: MailOutcome::Permanent, ..Self::temporary(said) }
    }

    /// Nobody knows whether it has it. Never fails.
    pub fn unclear(said: &str) -> Self {
        Self { outcome: MailOutcome::Unclear, ..Self::temporary(said) }
    }
}
