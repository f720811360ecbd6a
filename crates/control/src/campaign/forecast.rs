//! What a campaign will do to a device, said before it starts. Refuses to promise: each class names where a device of
//! it may end, and a test compares that with what the lifecycle and the board then make of it.

use super::Reset;
use super::board::Place;
use crate::{Refusal, State, UserState, lifecycle};
use base::{Span, Timestamp};

/// What is known of a device before a campaign.
#[derive(Clone, Debug)]
pub struct Outlook<'a> {
    /// What the campaign will do.
    pub level: Reset,
    /// Until when held devices may append.
    pub append_until: Timestamp,
    /// Where the device stands.
    pub state: &'a State,
    /// Where its user stands.
    pub user: UserState,
    /// Was it merged into another record?
    pub merged: bool,
    /// When it was last heard of.
    pub seen_at: Option<Timestamp>,
    /// Is there an open conflict about it, or another record in service of the same machine?
    pub duplicate: bool,
    /// Was it activated by a deployment token that is still good, so that its program can use it again?
    pub token_good: bool,
}

/// What will become of a device. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Comes back without anybody doing anything.
    Automatic,
    /// Somebody has to sign in there.
    NeedsUser,
    /// Has not been heard of for so long that it may never come.
    NotSeen,
    /// An admin should look first: two machines, or two records of one.
    Duplicate,
    /// Is cut off as strictly already, and is passed over.
    Already,
    /// Is not in service, or is stopped by an admin.
    OutOfService,
}

/// After how long without a word a device counts as not seen.
pub const NOT_SEEN_SPAN: Span = Span::days(30);

/// What will become of the device. Never fails.
pub fn class(now: Timestamp, outlook: &Outlook<'_>) -> Class {
    if outlook.merged {
        return Class::OutOfService;
    }
    match outlook.state {
        State::Pending
        | State::Suspended { .. }
        | State::Decommissioning { .. }
        | State::Decommissioned
        | State::Deleted { .. }
        | State::Purged => return Class::OutOfService,
        _ if outlook.user != UserState::Active => return Class::OutOfService,
        State::Quarantined { .. } => return Class::Duplicate,
        State::Active { .. } | State::Held { .. } | State::Deactivated { .. } => {}
    }
    if outlook.duplicate {
        return Class::Duplicate;
    }
    if passed_over(now, outlook) {
        return Class::Already;
    }
    if outlook.seen_at.is_none_or(|seen_at| now.since(seen_at) > NOT_SEEN_SPAN) {
        return Class::NotSeen;
    }
    match outlook.level {
        Reset::Rotate | Reset::Hold => Class::Automatic,
        Reset::Revoke if outlook.token_good => Class::Automatic,
        Reset::Revoke => Class::NeedsUser,
    }
}

/// Would the level change nothing, or soften? A held device that is held anew changes its date.
fn passed_over(now: Timestamp, outlook: &Outlook<'_>) -> bool {
    let event = outlook.level.event(outlook.append_until);
    match lifecycle::step(now, outlook.state, &event) {
        Ok(_) => false,
        Err(Refusal::NothingToChange { .. } | Refusal::WrongState { .. }) => true,
        Err(_) => false,
    }
}

/// How long a campaign over `devices` takes until the last one has had its turn and those that come back by
/// themselves have been let in, at `per_second` activations. Never fails.
pub fn span_needed(devices: u64, automatic: u64, wave_size: u64, wave_span: Span, per_second: u64) -> Span {
    let waves = devices.div_ceil(wave_size.max(1));
    let pace = wave_span.as_ms().saturating_mul(waves);
    let storm = automatic.saturating_mul(1_000) / per_second.max(1);
    Span::ms(pace.max(storm))
}

impl Class {
    /// Every class, in the order of docs/control.md.
    pub const ALL: [Class; 6] =
        [Class::Automatic, Class::NeedsUser, Class::NotSeen, Class::Duplicate, Class::Already, Class::OutOfService];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Class::Automatic => "automatic",
            Class::NeedsUser => "needs_user",
            Class::NotSeen => "not_seen",
            Class::Duplicate => "duplicate",
            Class::Already => "already",
            Class::OutOfService => "out_of_service",
        }
    }

    /// The class with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }

    /// May a device of this class stand there once its turn has come, if nobody but the campaign, its program and its
    /// user did anything? Never fails.
    pub const fn may_end(self, place: Place) -> bool {
        match self {
            Class::Automatic => matches!(place, Place::Done | Place::Offline | Place::Overdue),
            Class::NeedsUser | Class::NotSeen | Class::Already => {
                matches!(place, Place::Done | Place::Unproved | Place::Offline | Place::WaitingForUser | Place::Overdue)
            }
            Class::Duplicate => {
                matches!(
                    place,
                    Place::Done
                        | Place::Unproved
                        | Place::Conflict
                        | Place::Offline
                        | Place::WaitingForUser
                        | Place::Overdue
                )
            }
            Class::OutOfService => {
                matches!(place, Place::Retired | Place::Refused | Place::Conflict | Place::Overdue)
            }
        }
    }
}
