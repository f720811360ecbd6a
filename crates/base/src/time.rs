//! Points in time and lengths of time, in whole milliseconds.
//! Refuses time zones and calendars: those belong to the rim, where people read them.

use std::fmt;
use std::ops::{Add, Sub};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, any sign. Arithmetic saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A length of time in milliseconds, never negative. Arithmetic saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

impl Timestamp {
    /// The time that many milliseconds after the epoch. Never fails.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch. Never fails.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it. Never fails.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of that many milliseconds. Never fails.
    pub const fn ms(ms: u64) -> Self {
        Self(ms)
    }

    /// A span of that many seconds; saturates. Never fails.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// A span of that many minutes; saturates. Never fails.
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes.saturating_mul(60))
    }

    /// A span of that many hours; saturates. Never fails.
    pub const fn hours(hours: u64) -> Self {
        Self::minutes(hours.saturating_mul(60))
    }

    /// A span of that many days of 24 hours; saturates. Never fails.
    pub const fn days(days: u64) -> Self {
        Self::hours(days.saturating_mul(24))
    }

    /// Milliseconds. Never fails.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// The same span for the standard library's timers. Never fails.
    pub const fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;

    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add_unsigned(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;

    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub_unsigned(span.0))
    }
}

impl fmt::Display for Span {
    /// The largest two units a person would say: `3 days 4 h`, `12 min 5 s`, `850 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1_000;
        match seconds {
            0 => write!(f, "{} ms", self.0),
            1..60 => write!(f, "{seconds} s"),
            60..3_600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            3_600..86_400 => write!(f, "{} h {} min", seconds / 3_600, seconds / 60 % 60),
            _ => write!(f, "{} days {} h", seconds / 86_400, seconds / 3_600 % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_instead_of_wrapping() {
        assert_eq!(Timestamp::from_ms(i64::MAX) + Span::days(1), Timestamp::from_ms(i64::MAX));
        assert_eq!(Timestamp::from_ms(i64::MIN) - Span::days(1), Timestamp::from_ms(i64::MIN));
        assert_eq!(Timestamp::from_ms(5).since(Timestamp::from_ms(9)), Span::ZERO);
        assert_eq!(Timestamp::from_ms(9).since(Timestamp::from_ms(5)), Span::ms(4));
    }

    #[test]
    fn a_span_reads_as_a_person_would_say_it() {
        let said: Vec<String> =
            [Span::ms(850), Span::seconds(59), Span::seconds(725), Span::minutes(61), Span::hours(76)]
                .iter()
                .map(Span::to_string)
                .collect();
        assert_eq!(said, ["850 ms", "59 s", "12 min 5 s", "1 h 1 min", "3 days 4 h"]);
    }
}
