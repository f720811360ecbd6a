//! Where a device stands in its lifecycle, as a value; words and fields for storing it are in `state/flat.rs`.
//! Refuses to change by itself: only `lifecycle::step` makes the next state. Rules: docs/control.md, "States".

mod flat;

pub use flat::{FlatState, NonsenseState};

use base::Timestamp;
use std::fmt;

/// Where a device stands. The words are stable (`word`); what each allows is `access::may`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// The record is known and waits: for its first activation, or for an admin's approval. Nothing was appended yet.
    Pending,
    /// In service.
    Active {
        /// What its credential may do.
        rights: Rights,
    },
    /// Must reactivate; until then it may append but not read.
    Held {
        /// What its credential could do before, and can again once the old key has proved itself.
        rights: Rights,
        /// From this time on it may not append either.
        append_until: Timestamp,
    },
    /// Cut off: the credential is refused. All data is intact.
    Deactivated {
        /// What its credential could do before, and can again once the old key has proved itself.
        rights: Rights,
        /// What the old key is still worth at reactivation.
        level: Level,
    },
    /// Stopped by an admin. The credential is kept, and refused meanwhile.
    Suspended {
        /// What it returns to. INVARIANT: active, held, deactivated or quarantined.
        was: Box<State>,
    },
    /// Two machines present one identity: append-only until an admin decides.
    Quarantined {
        /// What it returns to when it was one machine after all. INVARIANT: active or held.
        was: Box<State>,
    },
    /// Told to erase its local data; has not confirmed it yet. Data on the server is intact, the credential is kept.
    Decommissioning {
        /// What it returns to when an admin withdraws the order. INVARIANT: as for suspended, or suspended.
        was: Box<State>,
    },
    /// Has confirmed that its local data is erased. Data on the server is intact.
    Decommissioned,
    /// Deleted, and everything of it still there: it can be undeleted until it is purged.
    Deleted {
        /// What it returns to. INVARIANT: anything but deleted or purged.
        was: Box<State>,
        /// From this time on it may be purged.
        purge_after: Timestamp,
    },
    /// Gone for good. The record stays as a tombstone, so that the device can be told and nothing takes its name.
    Purged,
}

/// What the credential of an active device may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rights {
    /// Append, and read nothing but what this very credential appended.
    AppendOnly,
    /// Append, and read everything of its own record.
    Full,
}

/// What the old key of a deactivated device is still worth, from the mildest to the strictest. A campaign has rotate,
/// revoke, and hold, which is `State::Held`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The old key alone proves the device, which gets new keys.
    Rotate,
    /// The old key proves nothing alone: a person, a ticket or a deployment token is needed.
    Revoke,
    /// Somebody else has the old key too, so it proves nothing at all, whatever comes with it.
    Distrust,
}

impl State {
    /// The word of every state, in the order of docs/control.md.
    pub const WORDS: [&'static str; 10] = [
        "pending",
        "active",
        "held",
        "deactivated",
        "suspended",
        "quarantined",
        "decommissioning",
        "decommissioned",
        "deleted",
        "purged",
    ];

    /// The stable word, snake_case, for storage, wire and console. Never fails.
    pub const fn word(&self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Active { .. } => "active",
            State::Held { .. } => "held",
            State::Deactivated { .. } => "deactivated",
            State::Suspended { .. } => "suspended",
            State::Quarantined { .. } => "quarantined",
            State::Decommissioning { .. } => "decommissioning",
            State::Decommissioned => "decommissioned",
            State::Deleted { .. } => "deleted",
            State::Purged => "purged",
        }
    }

    /// What the credential may do, or could before the device was cut off; `None` where there is no credential to
    /// come back to (pending, decommissioned, purged). Never fails.
    pub fn rights(&self) -> Option<Rights> {
        match self {
            State::Active { rights } | State::Held { rights, .. } | State::Deactivated { rights, .. } => Some(*rights),
            State::Suspended { was }
            | State::Quarantined { was }
            | State::Decommissioning { was }
            | State::Deleted { was, .. } => was.rights(),
            State::Pending | State::Decommissioned | State::Purged => None,
        }
    }

    /// What the old key is worth, for a device that is or was deactivated; `None` for every other. Never fails.
    pub fn level(&self) -> Option<Level> {
        match self {
            State::Deactivated { level, .. } => Some(*level),
            State::Suspended { was }
            | State::Quarantined { was }
            | State::Decommissioning { was }
            | State::Deleted { was, .. } => was.level(),
            State::Pending | State::Active { .. } | State::Held { .. } | State::Decommissioned | State::Purged => None,
        }
    }

    /// What the device returns to, one layer down; `None` where the state covers no other. Never fails.
    pub fn was(&self) -> Option<&State> {
        match self {
            State::Suspended { was }
            | State::Quarantined { was }
            | State::Decommissioning { was }
            | State::Deleted { was, .. } => Some(was),
            State::Pending
            | State::Active { .. }
            | State::Held { .. }
            | State::Deactivated { .. }
            | State::Decommissioned
            | State::Purged => None,
        }
    }

    /// Is it quarantined, or does it return to that? Never fails.
    pub fn is_quarantined(&self) -> bool {
        matches!(self, State::Quarantined { .. }) || self.was().is_some_and(State::is_quarantined)
    }

    /// Does the record count towards its user's device limit? Not once it is wiped, being wiped, deleted or purged.
    /// Never fails.
    pub const fn counts(&self) -> bool {
        match self {
            State::Pending
            | State::Active { .. }
            | State::Held { .. }
            | State::Deactivated { .. }
            | State::Suspended { .. }
            | State::Quarantined { .. } => true,
            State::Decommissioning { .. } | State::Decommissioned | State::Deleted { .. } | State::Purged => false,
        }
    }
}

impl fmt::Display for State {
    /// For a person and the audit log: `active (append-only)`, `deactivated (revoke)`, `suspended (was active)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        match self {
            State::Active { rights: Rights::AppendOnly } => f.write_str(" (append-only)"),
            State::Deactivated { level, .. } => write!(f, " ({})", level.word()),
            State::Suspended { was }
            | State::Quarantined { was }
            | State::Decommissioning { was }
            | State::Deleted { was, .. } => write!(f, " (was {})", was.word()),
            State::Active { rights: Rights::Full }
            | State::Pending
            | State::Held { .. }
            | State::Decommissioned
            | State::Purged => Ok(()),
        }
    }
}

impl Rights {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Rights::AppendOnly => "append_only",
            Rights::Full => "full",
        }
    }

    /// The rights with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        [Rights::AppendOnly, Rights::Full].into_iter().find(|rights| rights.word() == word)
    }
}

impl Level {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Level::Rotate => "rotate",
            Level::Revoke => "revoke",
            Level::Distrust => "distrust",
        }
    }

    /// The level with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        [Level::Rotate, Level::Revoke, Level::Distrust].into_iter().find(|level| level.word() == word)
    }
}

#[cfg(test)]
mod tests;
