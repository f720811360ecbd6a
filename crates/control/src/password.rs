//! What a local password must be, and what happens after wrong ones.
//! Refuses to see a hash or to compare anything: `app` does that, in the same time for every account.

use crate::Refusal;
use base::{Bytes, Count, Span, Timestamp};

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
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { length_min: Count(8), length_max: Bytes::kib(1), failures_max: Count(10), lock_span: Span::hours(1) }
    }
}

/// Wrong passwords in a row for one address, whether or not it has an account.
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

    /// May a password be tried now? Asked before it is compared. Fails with `account_locked` and the time left.
    pub fn may_try(&self, now: Timestamp, failures: &Failures) -> Result<(), Refusal> {
        let failures = self.remembered(now, failures);
        match failures.last {
            Some(last) if failures.count >= self.failures_max => {
                Err(Refusal::AccountLocked { left: (last + self.lock_span).since(now) })
            }
            Some(_) | None => Ok(()),
        }
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
            assert_eq!(POLICY.may_try(start, &failures), Ok(()), "attempt {n}");
            failures = POLICY.after_failure(start, &failures);
        }
        let locked = |after| POLICY.may_try(start + after, &failures);
        assert_eq!(locked(Span::ZERO), Err(Refusal::AccountLocked { left: Span::hours(1) }));
        assert_eq!(locked(Span::minutes(59)), Err(Refusal::AccountLocked { left: Span::minutes(1) }));
        assert_eq!(locked(Span::hours(1)), Ok(()));
        let later = POLICY.after_failure(start + Span::hours(1), &failures);
        assert_eq!(later, Failures { count: Count(1), last: Some(start + Span::hours(1)) });
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_unlock() {
        let start = Timestamp::from_ms(1_000_000);
        let failures = Failures { count: Count(10), last: Some(start) };
        assert!(POLICY.may_try(start - Span::days(1), &failures).is_err());
    }
}
