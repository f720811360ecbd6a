//! Where a device of a campaign stands, and why: one place and one reason for each, at any time.
//! Refuses to guess: what was stored when it came back, was excused or was retired comes first.

use super::Reset;
use crate::{State, UserState};
use base::Timestamp;

/// What is known of a device in a campaign.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// What the campaign does.
    pub level: Reset,
    /// Has the campaign ended, so that no wave comes any more?
    pub ended: bool,
    /// When everybody should be back.
    pub deadline: Option<Timestamp>,
    /// When this device was reset; `None` before its turn.
    pub reset_at: Option<Timestamp>,
    /// Has it come back since?
    pub done: bool,
    /// Was that by an admin's word, and not by anything that it has shown?
    pub vouched: bool,
    /// Has it come back since by a token alone, so that nobody has shown that it is this machine?
    pub unproved: bool,
    /// Has an admin let it be?
    pub excused: bool,
    /// Was it merged into another record, where it lives on?
    pub merged: bool,
    /// Had it nothing to reset when its turn came?
    pub retired: bool,
    /// Was it cut off more strictly already when its turn came?
    pub stricter: bool,
    /// Where it stands in its lifecycle now.
    pub state: &'a State,
    /// Where its user stands now.
    pub user: UserState,
    /// Is there an open conflict about it?
    pub conflict: bool,
    /// When it was last heard of, also when it was refused.
    pub seen_at: Option<Timestamp>,
    /// Was its last attempt to come back refused, for another reason than that a person is needed?
    pub refused: bool,
}

/// Where a device stands on the board. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Has come back and proved itself, or an admin stood for it.
    Done,
    /// Has come back by a token alone: it appends, and reads nothing until somebody has shown that it is this machine.
    Unproved,
    /// Its turn has not come.
    Waiting,
    /// Was heard of since the reset, and needs a person.
    WaitingForUser,
    /// Not heard of since the reset.
    Offline,
    /// Two machines are in question, and an admin has to decide.
    Conflict,
    /// Has tried, and was refused.
    Refused,
    /// Past the deadline; the reason says what is missing.
    Overdue,
    /// An admin has let it be.
    Excused,
    /// Is no device in service any more.
    Retired,
}

/// Why it stands there. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It has come back.
    CameBack,
    /// An admin has brought it back, or approved it: it has shown nothing itself.
    Vouched,
    /// It has come back by a token alone.
    ByToken,
    /// Its wave comes later.
    WaveAhead,
    /// The campaign ended before its wave.
    CampaignEnded,
    /// The old key suffices: the program comes back by itself as soon as it asks.
    BySelf,
    /// Somebody has to sign in at the device, or to use a ticket.
    SignIn,
    /// It was cut off more strictly before the campaign.
    Stricter,
    /// Not heard of since the reset.
    NotSeen,
    /// Two machines present one identity.
    TwoMachines,
    /// Its last attempt was refused; the code stands beside it.
    Answer,
    /// An admin has suspended it.
    Suspended,
    /// Its user is locked out.
    UserLocked,
    /// An admin has excused it.
    ByAdmin,
    /// Was never activated.
    NeverActivated,
    /// Is being erased.
    Decommissioning,
    /// Was erased.
    Decommissioned,
    /// Was deleted.
    Deleted,
    /// Was merged into another record.
    Merged,
    /// Its user has left.
    UserLeft,
}

/// Where the device stands, and why. Never fails.
pub fn place(now: Timestamp, seen: &Seen<'_>) -> (Place, Reason) {
    if seen.done {
        return (Place::Done, if seen.vouched { Reason::Vouched } else { Reason::CameBack });
    }
    if seen.excused {
        return (Place::Excused, Reason::ByAdmin);
    }
    if let Some(reason) = retired(seen) {
        return (Place::Retired, reason);
    }
    if seen.conflict || seen.state.is_quarantined() {
        return (Place::Conflict, Reason::TwoMachines);
    }
    let Some(reset_at) = seen.reset_at else {
        return (Place::Waiting, if seen.ended { Reason::CampaignEnded } else { Reason::WaveAhead });
    };
    let (place, reason) = under_way(seen, reset_at);
    // Past the deadline the place says so, and the reason still says what is missing.
    match seen.deadline {
        Some(deadline) if now >= deadline => (Place::Overdue, reason),
        Some(_) | None => (place, reason),
    }
}

fn retired(seen: &Seen<'_>) -> Option<Reason> {
    let by_state = match seen.state {
        State::Pending => Some(Reason::NeverActivated),
        State::Decommissioning { .. } => Some(Reason::Decommissioning),
        State::Decommissioned => Some(Reason::Decommissioned),
        State::Deleted { .. } | State::Purged => Some(Reason::Deleted),
        State::Active { .. }
        | State::Held { .. }
        | State::Deactivated { .. }
        | State::Suspended { .. }
        | State::Quarantined { .. } => None,
    };
    let by_user = match seen.user {
        UserState::Preserved | UserState::Deleted | UserState::Purged => Some(Reason::UserLeft),
        UserState::Active | UserState::Locked => None,
    };
    let by_merge = seen.merged.then_some(Reason::Merged);
    // A record that had nothing to reset at its turn is not of this campaign, whatever becomes of it later.
    by_state.or(by_merge).or(by_user).or(seen.retired.then_some(Reason::NeverActivated))
}

fn under_way(seen: &Seen<'_>, reset_at: Timestamp) -> (Place, Reason) {
    if seen.user == UserState::Locked {
        return (Place::Refused, Reason::UserLocked);
    }
    if matches!(seen.state, State::Suspended { .. }) {
        return (Place::Refused, Reason::Suspended);
    }
    if seen.unproved && matches!(seen.state, State::Active { .. }) {
        return (Place::Unproved, Reason::ByToken);
    }
    if seen.refused {
        return (Place::Refused, Reason::Answer);
    }
    if seen.seen_at.is_none_or(|seen_at| seen_at < reset_at) {
        return (Place::Offline, Reason::NotSeen);
    }
    let reason = match seen.level {
        _ if seen.stricter => Reason::Stricter,
        Reset::Rotate | Reset::Hold => Reason::BySelf,
        Reset::Revoke => Reason::SignIn,
    };
    (Place::WaitingForUser, reason)
}

impl Place {
    /// Every place, in the order of docs/control.md.
    pub const ALL: [Place; 10] = [
        Place::Done,
        Place::Unproved,
        Place::Waiting,
        Place::WaitingForUser,
        Place::Offline,
        Place::Conflict,
        Place::Refused,
        Place::Overdue,
        Place::Excused,
        Place::Retired,
    ];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Place::Done => "done",
            Place::Unproved => "unproved",
            Place::Waiting => "waiting",
            Place::WaitingForUser => "waiting_for_user",
            Place::Offline => "offline",
            Place::Conflict => "conflict",
            Place::Refused => "refused",
            Place::Overdue => "overdue",
            Place::Excused => "excused",
            Place::Retired => "retired",
        }
    }

    /// The place with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.word() == word)
    }

    /// Is nothing more expected of a device there? A campaign closes when this holds for all. Never fails.
    pub const fn is_settled(self) -> bool {
        matches!(self, Place::Done | Place::Excused | Place::Retired)
    }
}

impl Reason {
    /// Every reason, in the order of docs/control.md.
    pub const ALL: [Reason; 20] = [
        Reason::CameBack,
        Reason::Vouched,
        Reason::ByToken,
        Reason::WaveAhead,
        Reason::CampaignEnded,
        Reason::BySelf,
        Reason::SignIn,
        Reason::Stricter,
        Reason::NotSeen,
        Reason::TwoMachines,
        Reason::Answer,
        Reason::Suspended,
        Reason::UserLocked,
        Reason::ByAdmin,
        Reason::NeverActivated,
        Reason::Decommissioning,
        Reason::Decommissioned,
        Reason::Deleted,
        Reason::Merged,
        Reason::UserLeft,
    ];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Reason::CameBack => "came_back",
            Reason::Vouched => "admin_vouched",
            Reason::ByToken => "by_token",
            Reason::WaveAhead => "wave_ahead",
            Reason::CampaignEnded => "campaign_ended",
            Reason::BySelf => "by_itself",
            Reason::SignIn => "sign_in",
            Reason::Stricter => "stricter_before",
            Reason::NotSeen => "not_seen",
            Reason::TwoMachines => "two_machines",
            Reason::Answer => "answer_refused",
            Reason::Suspended => "suspended",
            Reason::UserLocked => "user_locked",
            Reason::ByAdmin => "by_admin",
            Reason::NeverActivated => "never_activated",
            Reason::Decommissioning => "decommissioning",
            Reason::Decommissioned => "decommissioned",
            Reason::Deleted => "deleted",
            Reason::Merged => "merged",
            Reason::UserLeft => "user_left",
        }
    }

    /// What it is and what helps, for an admin. Never fails.
    pub const fn sentence(self) -> &'static str {
        match self {
            Reason::CameBack => "It has come back and proved itself.",
            Reason::Vouched => {
                "An admin stood for it, who has brought it back or approved it; it has not proved itself."
            }
            Reason::ByToken => {
                "Somebody with an installer says that it is this computer: have its user sign in there, or approve it."
            }
            Reason::WaveAhead => "Its wave has not come yet; it works as before.",
            Reason::CampaignEnded => "The campaign ended before its wave; it works as before.",
            Reason::BySelf => "It comes back by itself as soon as its program asks.",
            Reason::SignIn => "Somebody has to sign in at the device, or use a ticket.",
            Reason::Stricter => "It was cut off more strictly before, and comes back as that asks for.",
            Reason::NotSeen => "It has not been heard of since the reset.",
            Reason::TwoMachines => "Two computers present themselves as this device: decide on the conflict desk.",
            Reason::Answer => "Its last attempt to come back was refused; the code says why.",
            Reason::Suspended => "An admin has suspended it: enable it, or excuse it.",
            Reason::UserLocked => "Its user is locked out: unlock the user, or excuse it.",
            Reason::ByAdmin => "An admin has excused it from this campaign.",
            Reason::NeverActivated => "There was no key to reset: it was not activated when its turn came.",
            Reason::Decommissioning => "It is being retired.",
            Reason::Decommissioned => "It was retired.",
            Reason::Deleted => "It was deleted.",
            Reason::Merged => "It was merged into another record of the same computer.",
            Reason::UserLeft => "Its user has left.",
        }
    }
}
