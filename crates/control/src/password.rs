//! What a local password must be, and what happens after wrong ones.
//! Refuses to see a hash or to compare anything: `app` does that, in the same time for every account.

use crate::Refusal;
use base::{Bytes, Count, Span, Timestamp};

/// For how long a link sets the first password of a user.
pub const SET_LINK_SPAN: Span = Span::hours(72);
/// For how long a link sets another one.
pub const RESET_LINK_SPAN: Span = Span::hours(24);

/// The rules for local passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// The least number of characters; default 8.
    pub length_min: Count,
    /// The greatest number of bytes, so that hashing stays cheap; default 1 KiB.
    pub length_max: Bytes,
    /// How many wrong passwords in a row lock the account; default 10.
    pub failures_max: Count,
    /// How long the account stays locked after the last of them, and how long a wrong password is remembered;
    /// default 1 hour.
    pub lock_span: Span,
    /// How many of a user's last passwords, the present one among them, cannot be chosen again; default 5.
    pub reuse: Count,
    /// When a password expires after it was set; `None`, the default, is never.
    pub expires_after: Option<Span>,
}

/// What an organisation may set about passwords. The words are keys of its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordSetting {
    /// The least number of characters.
    LengthMin,
    /// The greatest number of bytes.
    LengthMax,
    /// How many wrong ones in a row lock the account for an hour.
    Attempts,
    /// How many are remembered.
    Reuse,
    /// After how many days one expires; 0 is never.
    ExpiresDays,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            length_min: Count(8),
            length_max: Bytes::kib(1),
            failures_max: Count(10),
            lock_span: Span::hours(1),
            reuse: Count(5),
            expires_after: None,
        }
    }
}

impl PasswordSetting {
    /// Every one, in the order of docs/control.md.
    pub const ALL: [PasswordSetting; 5] = [
        PasswordSetting::LengthMin,
        PasswordSetting::LengthMax,
        PasswordSetting::Attempts,
        PasswordSetting::Reuse,
        PasswordSetting::ExpiresDays,
    ];

    /// The key. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            PasswordSetting::LengthMin => "password.length_min",
            PasswordSetting::LengthMax => "password.length_max",
            PasswordSetting::Attempts => "password.attempts",
            PasswordSetting::Reuse => "password.reuse",
            PasswordSetting::ExpiresDays => "password.expires_days",
        }
    }

    /// The setting with this key; `None` for any other text. Never fails.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.word() == word)
    }

    /// The least and the greatest number that it takes. Never fails.
    pub const fn range(self) -> (u64, u64) {
        match self {
            PasswordSetting::LengthMin => (4, 64),
            PasswordSetting::LengthMax => (256, 4_096),
            PasswordSetting::Attempts => (3, 100),
            PasswordSetting::Reuse => (0, 24),
            PasswordSetting::ExpiresDays => (0, 3_650),
        }
    }
}

/// Wrong passwords in a row for one address, whether or not it has an account; from one source, or from everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many since the last right one.
    pub count: Count,
    /// When the last of them came; `None` when there was none.
    pub last: Option<Timestamp>,
}

impl PasswordPolicy {
    /// May this be a password? Fails with `password_too_short` or `password_too_long`.
    pub fn accepts(&self, password: &str) -> Result<(), Refusal> {
        if Bytes::of(password.len()) > self.length_max {
            return Err(Refusal::PasswordTooLong { max: self.length_max });
        }
        if Count::of(password.chars().count()) < self.length_min {
            return Err(Refusal::PasswordTooShort { min: self.length_min });
        }
        Ok(())
    }

    /// What stands in this policy for a setting. Never fails.
    pub const fn setting(&self, setting: PasswordSetting) -> u64 {
        match setting {
            PasswordSetting::LengthMin => self.length_min.0,
            PasswordSetting::LengthMax => self.length_max.0,
            PasswordSetting::Attempts => self.failures_max.0,
            PasswordSetting::Reuse => self.reuse.0,
            PasswordSetting::ExpiresDays => match self.expires_after {
                Some(span) => span.as_ms() / Span::days(1).as_ms(),
                None => 0,
            },
        }
    }

    /// This policy with a setting changed; `None` for a number out of its range. Never fails.
    pub fn with(self, setting: PasswordSetting, value: u64) -> Option<Self> {
        let (min, max) = setting.range();
        if !(min..=max).contains(&value) {
            return None;
        }
        Some(match setting {
            PasswordSetting::LengthMin => Self { length_min: Count(value), ..self },
            PasswordSetting::LengthMax => Self { length_max: Bytes(value), ..self },
            PasswordSetting::Attempts => Self { failures_max: Count(value), ..self },
            PasswordSetting::Reuse => Self { reuse: Count(value), ..self },
            PasswordSetting::ExpiresDays => Self { expires_after: (value > 0).then(|| Span::days(value)), ..self },
        })
    }

    /// Does a password that was set then still prove anything? Asked after it was found right. Fails with
    /// `password_expired`. One of which nobody knows when it was set is not expired.
    pub fn holds(&self, now: Timestamp, set_at: Option<Timestamp>) -> Result<(), Refusal> {
        match (self.expires_after, set_at) {
            (Some(after), Some(set_at)) if now >= set_at + after => Err(Refusal::PasswordExpired),
            (Some(_), _) | (None, _) => Ok(()),
        }
    }

    /// May a password be tried now? Asked before it is compared, with those of this address from this source, and with
    /// those from everywhere, of which ten times as many may be. Fails with `account_locked` and the time left.
    pub fn may_try(&self, now: Timestamp, here: &Failures, everywhere: &Failures) -> Result<(), Refusal> {
        let until = [(here, self.failures_max), (everywhere, self.failures_max_everywhere())]
            .into_iter()
            .filter_map(|(failures, max)| self.locked_until(now, failures, max));
        match until.max() {
            Some(until) => Err(Refusal::AccountLocked { left: until.since(now) }),
            None => Ok(()),
        }
    }

    /// Until when so many failures lock; `None` when they do not. Never fails.
    pub fn locked_until(&self, now: Timestamp, failures: &Failures, max: Count) -> Option<Timestamp> {
        let failures = self.remembered(now, failures);
        failures.last.filter(|_| failures.count >= max).map(|last| last + self.lock_span)
    }

    /// How many wrong ones from everywhere lock an address for every source. Never fails.
    pub const fn failures_max_everywhere(&self) -> Count {
        Count(self.failures_max.0.saturating_mul(10))
    }

    /// What to store after a wrong password at `now`; after a right one, store `Failures::default()`. Never fails.
    pub fn after_failure(&self, now: Timestamp, failures: &Failures) -> Failures {
        Failures { count: self.remembered(now, failures).count + Count(1), last: Some(now) }
    }

    /// The failures that still count: none once the last of them is as old as a lock-out is long.
    fn remembered(&self, now: Timestamp, failures: &Failures) -> Failures {
        match failures.last {
            Some(last) if now < last + self.lock_span => *failures,
            Some(_) | None => Failures::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: PasswordPolicy = PasswordPolicy {
        length_min: Count(8),
        length_max: Bytes(1_024),
        failures_max: Count(10),
        lock_span: Span::hours(1),
        reuse: Count(5),
        expires_after: None,
    };

    #[test]
    fn the_default_is_what_the_document_says() {
        assert_eq!(PasswordPolicy::default(), POLICY);
        let document = crate::document::TEXT;
        assert!(document.contains("at least 8 characters and at most 1,024 bytes"));
        assert!(document.contains("After 10 wrong passwords in a row") && document.contains("for 1 hour"));
    }

    #[test]
    fn a_password_is_measured_in_characters_and_bounded_in_bytes() {
        assert_eq!(POLICY.accepts("1234567"), Err(Refusal::PasswordTooShort { min: Count(8) }));
        assert_eq!(POLICY.accepts("ééééééé"), Err(Refusal::PasswordTooShort { min: Count(8) }));
        assert_eq!(POLICY.accepts("12345678"), Ok(()));
        assert_eq!(POLICY.accepts(&"x".repeat(1_024)), Ok(()));
        assert_eq!(POLICY.accepts(&"x".repeat(1_025)), Err(Refusal::PasswordTooLong { max: Bytes(1_024) }));
    }

    #[test]
    fn ten_failures_lock_for_an_hour_and_then_the_count_begins_anew() {
        let start = Timestamp::from_ms(1_000_000);
        let mut failures = Failures::default();
        for n in 0..10 {
            assert_eq!(POLICY.may_try(start, &failures, &failures), Ok(()), "attempt {n}");
            failures = POLICY.after_failure(start, &failures);
        }
        let locked = |after| POLICY.may_try(start + after, &failures, &failures);
        assert_eq!(locked(Span::ZERO), Err(Refusal::AccountLocked { left: Span::hours(1) }));
        assert_eq!(locked(Span::minutes(59)), Err(Refusal::AccountLocked { left: Span::minutes(1) }));
        assert_eq!(locked(Span::hours(1)), Ok(()));
        let later = POLICY.after_failure(start + Span::hours(1), &failures);
        assert_eq!(later, Failures { count: Count(1), last: Some(start + Span::hours(1)) });
    }

    #[test]
    fn the_document_lists_every_setting_with_its_default_and_range() {
        let expected: Vec<Vec<String>> = PasswordSetting::ALL
            .into_iter()
            .map(|setting| {
                let (min, max) = setting.range();
                vec![format!("`{}`", setting.word()), POLICY.setting(setting).to_string(), format!("{min} to {max}")]
            })
            .collect();
        let rows = crate::document::Table::read("password settings").rows;
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row[..3].iter().map(|&cell| cell.to_owned()).collect()).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_setting_is_taken_within_its_range_and_read_back() {
        for setting in PasswordSetting::ALL {
            let (min, max) = setting.range();
            for value in [min, max] {
                assert_eq!(POLICY.with(setting, value).map(|policy| policy.setting(setting)), Some(value));
            }
            assert_eq!(POLICY.with(setting, max + 1), None);
            assert!(min == 0 || POLICY.with(setting, min - 1).is_none());
            assert_eq!(PasswordSetting::from_word(setting.word()), Some(setting));
        }
    }

    #[test]
    fn a_password_expires_when_the_organisation_says_so_and_its_age_is_known() {
        let (now, day) = (Timestamp::from_ms(10 * 86_400_000), Span::days(1));
        let policy = POLICY.with(PasswordSetting::ExpiresDays, 3).expect("in range");
        assert_eq!(POLICY.holds(now, Some(Timestamp::from_ms(0))), Ok(()));
        assert_eq!(policy.holds(now, None), Ok(()));
        assert_eq!(policy.holds(now, Some(now - day)), Ok(()));
        assert_eq!(policy.holds(now, Some(now - Span::days(3))), Err(Refusal::PasswordExpired));
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_unlock() {
        let start = Timestamp::from_ms(1_000_000);
        let failures = Failures { count: Count(10), last: Some(start) };
        assert!(POLICY.may_try(start - Span::days(1), &failures, &failures).is_err());
    }

    #[test]
    fn what_another_source_gets_wrong_locks_this_one_only_when_it_is_ten_times_as_much() {
        let now = Timestamp::from_ms(1_000_000);
        let many = |count| Failures { count: Count(count), last: Some(now) };
        assert_eq!(POLICY.may_try(now, &Failures::default(), &many(99)), Ok(()));
        assert_eq!(POLICY.may_try(now, &many(9), &many(99)), Ok(()));
        let locked = Err(Refusal::AccountLocked { left: Span::hours(1) });
        assert_eq!(POLICY.may_try(now, &many(10), &many(10)), locked);
        assert_eq!(POLICY.may_try(now, &Failures::default(), &many(100)), locked);
    }
}
