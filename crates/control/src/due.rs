//! Whether a device has to back up by itself now; a timer asks often, and this decides.
//! Refuses to wait for a time that a clock which was set back has moved away. Rules: docs/control.md, "Due".

use crate::policy::{Key, Value};
use base::{Span, Timestamp};

/// What is known of a device, every time of one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How often it backs up; `None` where it does not by itself.
    pub interval: Option<Span>,
    /// When its last good backup ended.
    pub last_good_at: Option<Timestamp>,
    /// The slot that it was given for what it has missed.
    pub catch_up_at: Option<Timestamp>,
    /// When its last run was refused until somebody changes something, if nothing has come about since.
    pub refused_at: Option<Timestamp>,
}

/// How long a device leaves it at a refusal that somebody has to lift: each run reads what has changed once more.
pub const REFUSED_PAUSE: Span = Span::hours(1);

/// Whether a backup is due. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Never by itself.
    Off,
    /// In the slot of what was missed, which is still to come.
    InSlot {
        /// When that begins.
        at: Timestamp,
    },
    /// Now.
    Now,
    /// Once the last good one is old enough.
    Later {
        /// When that is.
        at: Timestamp,
    },
    /// It is time, and was refused a short while ago: later once more.
    Refused {
        /// When that is.
        at: Timestamp,
    },
}

/// Whether a backup is due at `now`. Never fails.
pub fn due(now: Timestamp, known: &Known) -> Due {
    let Some(interval) = known.interval else { return Due::Off };
    // After a clock that was set back nothing waits for a time to come again: that might take years.
    let ends = |since: Timestamp, span| Some(since + span).filter(|ends| since <= now && now < *ends);
    match (known.catch_up_at, known.last_good_at.and_then(|good_at| ends(good_at, interval))) {
        (Some(at), _) if now < at => return Due::InSlot { at },
        (None, Some(at)) => return Due::Later { at },
        _ => {}
    }
    let paused = known.refused_at.and_then(|refused_at| ends(refused_at, REFUSED_PAUSE));
    paused.map_or(Due::Now, |at| Due::Refused { at })
}

/// The interval that a policy's text says; what cannot be read, and no text, is the default. Never fails.
pub fn interval(text: Option<&str>) -> Option<Span> {
    let said = text.and_then(|text| Value::parse(Key::Interval, text).ok());
    match said.unwrap_or_else(|| Value::default_of(Key::Interval)) {
        Value::Interval(interval) => interval,
        _ => None,
    }
}

impl Due {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Due::Off => "off",
            Due::InSlot { .. } => "in_slot",
            Due::Now => "now",
            Due::Later { .. } => "later",
            Due::Refused { .. } => "refused",
        }
    }

    /// From when on, where that is still to come. Never fails.
    pub const fn at(self) -> Option<Timestamp> {
        match self {
            Due::InSlot { at } | Due::Later { at } | Due::Refused { at } => Some(at),
            Due::Off | Due::Now => None,
        }
    }
}

#[cfg(test)]
mod tests;
