//! Reset campaigns: whom one reaches, what its level does to a device, and where each device then stands.
//! Refuses to soften what is stricter already, and to leave a device without a place and a reason.
//! Rules: docs/control.md, "Campaigns"; tests walk its tables.

mod board;
mod forecast;
mod message;
mod scope;

pub use board::{Place, Reason, Seen, place};
pub use forecast::{Class, Outlook, class, span_needed};
pub use message::{Awaited, Reminders, Tell, by_itself};
pub use scope::{Release, Scope, Subject};

use crate::{Event, Level, Refusal};
use base::Timestamp;

/// How hard a campaign cuts. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reset {
    /// New keys; the old key still proves the device.
    Rotate,
    /// Must reactivate; may append until the date, and read nothing.
    Hold,
    /// Nothing is accepted but a reactivation by a person, a ticket or a token.
    Revoke,
}

/// Where a campaign stands. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Being written; touches nothing.
    Draft,
    /// Started, or waiting for the time of its start.
    Running,
    /// No further device is reset.
    Paused,
    /// Ended before every device was reset; those that were stay so.
    Aborted,
    /// Ended.
    Closed,
}

/// What an admin does to a campaign. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Change what it is.
    Edit,
    /// Start it, now or at a time.
    Start,
    /// Reset no further device for now.
    Pause,
    /// Go on.
    Resume,
    /// End it before every device is reset.
    Abort,
    /// Let one device be.
    Excuse,
    /// Bring the devices back that it has reset.
    BringBack,
    /// End it.
    Close,
    /// Remove it, with nothing left of it but the audit log.
    Delete,
}

/// Where a campaign in `status` stands after `verb`. Fails with `campaign_state`; it is then as it was.
pub fn next(status: Status, verb: Verb) -> Result<Status, Refusal> {
    match (status, verb) {
        (Status::Draft, Verb::Edit | Verb::Delete) => Ok(Status::Draft),
        (Status::Draft, Verb::Start) => Ok(Status::Running),
        (Status::Draft, Verb::Abort) => Ok(Status::Aborted),
        (Status::Running, Verb::Pause) => Ok(Status::Paused),
        (Status::Paused, Verb::Resume) => Ok(Status::Running),
        (Status::Running | Status::Paused, Verb::Abort) => Ok(Status::Aborted),
        (Status::Running | Status::Paused, Verb::Close) => Ok(Status::Closed),
        (Status::Running | Status::Paused | Status::Aborted, Verb::Excuse) => Ok(status),
        (Status::Aborted, Verb::BringBack) => Ok(status),
        (Status::Draft, Verb::Pause | Verb::Resume | Verb::Excuse | Verb::BringBack | Verb::Close)
        | (Status::Running, Verb::Edit | Verb::Start | Verb::Resume | Verb::BringBack | Verb::Delete)
        | (Status::Paused, Verb::Edit | Verb::Start | Verb::Pause | Verb::BringBack | Verb::Delete)
        | (
            Status::Aborted,
            Verb::Edit | Verb::Start | Verb::Pause | Verb::Resume | Verb::Abort | Verb::Close | Verb::Delete,
        )
        | (Status::Closed, _) => Err(Refusal::CampaignState { status: status.word(), verb: verb.word() }),
    }
}

impl Reset {
    /// Every level, from the mildest.
    pub const ALL: [Reset; 3] = [Reset::Rotate, Reset::Hold, Reset::Revoke];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Reset::Rotate => "rotate",
            Reset::Hold => "hold",
            Reset::Revoke => "revoke",
        }
    }

    /// The level with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }

    /// What it does to a device; a hold lets it append until `append_until`. Never fails.
    pub const fn event(self, append_until: Timestamp) -> Event {
        match self {
            Reset::Rotate => Event::Deactivate { level: Level::Rotate },
            Reset::Hold => Event::Hold { append_until },
            Reset::Revoke => Event::Deactivate { level: Level::Revoke },
        }
    }
}

impl Status {
    /// Every status, in the order of docs/control.md.
    pub const ALL: [Status; 5] = [Status::Draft, Status::Running, Status::Paused, Status::Aborted, Status::Closed];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Aborted => "aborted",
            Status::Closed => "closed",
        }
    }

    /// The status with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }
}

impl Verb {
    /// Every verb, in the order of docs/control.md.
    pub const ALL: [Verb; 9] = [
        Verb::Edit,
        Verb::Start,
        Verb::Pause,
        Verb::Resume,
        Verb::Abort,
        Verb::Excuse,
        Verb::BringBack,
        Verb::Close,
        Verb::Delete,
    ];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Verb::Edit => "edit",
            Verb::Start => "start",
            Verb::Pause => "pause",
            Verb::Resume => "resume",
            Verb::Abort => "abort",
            Verb::Excuse => "excuse",
            Verb::BringBack => "bring_back",
            Verb::Close => "close",
            Verb::Delete => "delete",
        }
    }
}

#[cfg(test)]
mod tests;
