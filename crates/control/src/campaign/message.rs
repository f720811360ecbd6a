//! Whom a campaign writes to: when a device is reset, and when it is not back for days. Refuses to remind of a device
//! that its user can do nothing about, and more often than the campaign says. Tables: docs/control.md, "Messages".

use super::{Class, Place, Reason, Reset};
use base::{Count, Span, Timestamp};

/// Who is told that a device is reset. The words are stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tell {
    /// The user of every device.
    #[default]
    All,
    /// The users of devices that do not come back by themselves.
    Needed,
    /// No user, and none is reminded.
    Nobody,
}

/// How often users are reminded of devices that are not back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reminders {
    /// How long after the reset, and after each reminder. Zero is never. Default 3 days, at most 365.
    pub every: Span,
    /// How often at most. Zero is never. Default 3, at most 20.
    pub max: Count,
}

/// What is known of a device whose user may be reminded.
#[derive(Clone, Copy, Debug)]
pub struct Awaited {
    /// Where it stands on the board.
    pub place: Place,
    /// Why.
    pub reason: Reason,
    /// Was the record merged into another?
    pub merged: bool,
    /// When it was reset; `None` before its turn.
    pub reset_at: Option<Timestamp>,
    /// How often its user was reminded.
    pub reminders: Count,
    /// When that was last.
    pub reminded_at: Option<Timestamp>,
}

impl Tell {
    /// Every one, in the order of docs/control.md.
    pub const ALL: [Tell; 3] = [Tell::All, Tell::Needed, Tell::Nobody];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Tell::All => "all",
            Tell::Needed => "needed",
            Tell::Nobody => "nobody",
        }
    }

    /// The one with this word; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tell| tell.word() == word)
    }

    /// Is the user told of a device of this class, when it is reset? Never fails.
    pub const fn tells(self, level: Reset, class: Class) -> bool {
        match self {
            Tell::All => true,
            Tell::Needed => !by_itself(level, class),
            Tell::Nobody => false,
        }
    }
}

impl Reminders {
    /// What holds where nothing is said.
    pub const USUAL: Reminders = Reminders { every: Span::days(3), max: Count(3) };
    /// The longest span and the greatest number.
    pub const MAX: Reminders = Reminders { every: Span::days(365), max: Count(20) };

    /// The number of the reminder that is due now, from 1; `None` when none is. However many were missed, the next is
    /// one, and the one after it comes a whole span later. Never fails.
    pub fn due(&self, now: Timestamp, tell: Tell, awaited: &Awaited) -> Option<Count> {
        let reset_at = awaited.reset_at?;
        let wanted = self.every > Span::ZERO && awaited.reminders < self.max && tell != Tell::Nobody;
        let since = awaited.reminded_at.unwrap_or(reset_at);
        let is_due = wanted && now >= since + self.every && !awaited.merged;
        let helps = !awaited.place.is_settled() && helps(awaited.reason);
        (is_due && helps).then_some(Count(awaited.reminders.0.saturating_add(1)))
    }
}

/// Does a device of this class come back without anybody doing anything but switching it on? After `revoke` only if its
/// program still has the token, which nobody knows. Never fails.
pub const fn by_itself(level: Reset, class: Class) -> bool {
    match (level, class) {
        (Reset::Rotate | Reset::Hold, Class::Automatic | Class::NotSeen) => true,
        (Reset::Rotate | Reset::Hold, Class::NeedsUser | Class::Duplicate | Class::Already | Class::OutOfService)
        | (Reset::Revoke, _) => false,
    }
}

/// Can the user do something about a device that stands there for this reason? Never fails.
const fn helps(reason: Reason) -> bool {
    match reason {
        Reason::BySelf | Reason::SignIn | Reason::Stricter | Reason::NotSeen | Reason::Answer => true,
        // These are an admin's to decide, or over; one that is back by a token is back, as its user sees it.
        Reason::CameBack
        | Reason::Vouched
        | Reason::ByToken
        | Reason::WaveAhead
        | Reason::CampaignEnded
        | Reason::TwoMachines
        | Reason::Suspended
        | Reason::UserLocked
        | Reason::ByAdmin
        | Reason::NeverActivated
        | Reason::Decommissioning
        | Reason::Decommissioned
        | Reason::Deleted
        | Reason::Merged
        | Reason::UserLeft => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{NOW, Table};

    #[test]
    fn the_document_says_who_is_told() {
        let table = Table::read("campaign messages");
        for row in &table.rows {
            let [levels, classes, itself, all, needed, nobody] = row[..] else { panic!("{row:?}") };
            let (mut cases, listed) =
                (0, |cell: &str, word: &str| cell.split(", ").any(|part| part == format!("`{word}`")));
            for level in Reset::ALL.into_iter().filter(|level| listed(levels, level.word())) {
                for class in Class::ALL.into_iter().filter(|class| listed(classes, class.word())) {
                    cases += 1;
                    let word = |yes| if yes { "yes" } else { "no" };
                    assert_eq!(word(by_itself(level, class)), itself, "{row:?}");
                    for (tell, cell) in Tell::ALL.into_iter().zip([all, needed, nobody]) {
                        assert_eq!(word(tell.tells(level, class)), cell, "{row:?}");
                    }
                }
            }
            assert_eq!(cases, levels.split(", ").count() * classes.split(", ").count(), "{row:?}");
        }
        let all: usize = table.rows.iter().map(|row| row[0].split(", ").count() * row[1].split(", ").count()).sum();
        assert_eq!(all, Reset::ALL.len() * Class::ALL.len());
    }

    fn awaited(reason: Reason) -> Awaited {
        let reset_at = Some(NOW - Span::days(3));
        Awaited { place: Place::Overdue, reason, merged: false, reset_at, reminders: Count(0), reminded_at: None }
    }

    #[test]
    fn the_document_says_which_reasons_a_user_can_do_something_about() {
        let table = Table::read("campaign reminders");
        assert_eq!(table.rows.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            let cell = table.cell(&[format!("`{}`", reason.word())], &["reminded".to_owned()]);
            let due = Reminders::USUAL.due(NOW, Tell::Needed, &awaited(reason));
            assert_eq!(if due.is_some() { "yes" } else { "no" }, cell, "{reason:?}");
        }
    }

    #[test]
    fn a_reminder_comes_after_its_span_and_so_often_and_what_was_missed_is_not_made_up_for() {
        let usual = Reminders::USUAL;
        let fresh = awaited(Reason::NotSeen);
        let due = |reminders: Reminders, awaited: &Awaited| reminders.due(NOW, Tell::All, awaited);
        assert_eq!(due(usual, &fresh), Some(Count(1)));
        let late = Some(NOW - Span::days(3) + Span::ms(1));
        assert_eq!(due(usual, &Awaited { reset_at: late, ..fresh }), None);
        assert_eq!(due(usual, &Awaited { reset_at: None, ..fresh }), None, "its turn has not come");
        // A server that was off for a year reminds once, and then waits a span.
        let year = Awaited { reset_at: Some(NOW - Span::days(365)), ..fresh };
        assert_eq!(due(usual, &year), Some(Count(1)));
        let once = Awaited { reminders: Count(1), reminded_at: Some(NOW), ..year };
        assert_eq!(due(usual, &once), None);
        let again = Awaited { reminded_at: Some(NOW - Span::days(3)), ..once };
        assert_eq!(due(usual, &again), Some(Count(2)));
        assert_eq!(due(usual, &Awaited { reminders: Count(3), ..again }), None);
        for off in [Reminders { every: Span::ZERO, ..usual }, Reminders { max: Count(0), ..usual }] {
            assert_eq!(due(off, &year), None);
        }
        assert_eq!(usual.due(NOW, Tell::Nobody, &fresh), None);
        assert_eq!(due(usual, &Awaited { merged: true, ..fresh }), None);
        for place in [Place::Done, Place::Excused, Place::Retired] {
            assert_eq!(due(usual, &Awaited { place, ..fresh }), None);
        }
    }

    #[test]
    fn the_words_read_back() {
        for tell in Tell::ALL {
            assert_eq!(Tell::from_word(tell.word()), Some(tell));
        }
        assert_eq!(Tell::from_word("some"), None);
    }
}
