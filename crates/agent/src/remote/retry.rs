//! When to ask again: waits that double, with jitter, for as long as the caller has patience.
//! Refuses to repeat what the server refused: only silence and "not now" are asked again.

use base::{Clock, Entropy, Span, Timestamp};
use engine::RemoteError;
use std::sync::Arc;

/// The first wait, before jitter.
const WAIT_MIN: Span = Span::ms(200);
/// The longest wait that we choose by ourselves.
const WAIT_MAX: Span = Span::seconds(5);
/// With less patience than this left, there is no last attempt.
const LAST_WAIT_MIN: Span = Span::ms(50);
/// What one attempt and its wait may count at most: a computer that slept was not waiting.
const COUNTED_MAX: Span = Span::seconds(60);

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// What to say when it is not tried again.
    pub error: RemoteError,
    /// The least wait before it may be tried again; `None` when that changes nothing.
    pub again: Option<Span>,
}

impl Failed {
    /// Trying again changes nothing. Never fails.
    pub fn for_good(error: RemoteError) -> Self {
        Self { error, again: None }
    }

    /// Trying again may help. Never fails.
    pub fn for_now(error: RemoteError) -> Self {
        Self { error, again: Some(Span::ZERO) }
    }
}

/// How long to go on trying, and with which clock and randomness.
#[derive(Clone)]
pub(super) struct Retry {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// How long one request is tried in all.
    pub patience: Span,
}

impl Retry {
    /// The waits of one request. Never fails.
    pub fn begin(&self) -> Waits<'_> {
        Waits { retry: self, since: self.clock.now(), spent_ms: 0, next_ms: WAIT_MIN.as_ms() }
    }
}

/// The waits of one request.
pub(super) struct Waits<'a> {
    retry: &'a Retry,
    since: Timestamp,
    spent_ms: u64,
    next_ms: u64,
}

impl Waits<'_> {
    /// Returns when it is time for the next attempt.
    ///
    /// # Errors
    /// Another attempt changes nothing, or the patience is at an end.
    pub async fn after(&mut self, failed: Failed) -> Result<(), RemoteError> {
        let Some(least) = failed.again else { return Err(failed.error) };
        self.count();
        let left_ms = self.retry.patience.as_ms().saturating_sub(self.spent_ms);
        if least.as_ms() > left_ms || left_ms < LAST_WAIT_MIN.as_ms() {
            return Err(failed.error);
        }
        let wait = Span::ms(self.jittered().max(least.as_ms()).min(left_ms));
        tracing::debug!(wait_ms = wait.as_ms(), code = failed.error.code, "trying again: {}", failed.error);
        self.retry.clock.sleep(wait).await;
        self.count();
        self.next_ms = (self.next_ms * 2).min(WAIT_MAX.as_ms());
        Ok(())
    }

    /// Half of the next wait and a random part of the other half: a thousand devices that lost the same server do
    /// not come back in one moment.
    fn jittered(&self) -> u64 {
        let mut random = [0; 2];
        self.retry.entropy.fill(&mut random);
        let half = self.next_ms / 2;
        half + half * u64::from(u16::from_le_bytes(random)) / u64::from(u16::MAX)
    }

    fn count(&mut self) {
        let now = self.retry.clock.now();
        self.spent_ms += now.since(self.since).as_ms().min(COUNTED_MAX.as_ms());
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Kind, ManualClock, SeededEntropy};

    fn error() -> RemoteError {
        RemoteError::new("server_unreachable", "no answer", Kind::Unavailable)
    }

    fn retry(patience: Span) -> (Arc<ManualClock>, Retry) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ms(0)));
        let entropy = Arc::new(SeededEntropy::new(1));
        (Arc::clone(&clock), Retry { clock, entropy, patience })
    }

    #[tokio::test]
    async fn waits_double_up_to_a_maximum_and_end_with_the_patience() {
        let (clock, retry) = retry(Span::minutes(2));
        let mut waits = retry.begin();
        let mut steps = Vec::new();
        let mut before = clock.now();
        while waits.after(Failed::for_now(error())).await.is_ok() {
            steps.push(clock.now().since(before).as_ms());
            before = clock.now();
        }
        let bounds = [(100, 200), (200, 400), (400, 800), (800, 1_600), (1_600, 3_200), (2_500, 5_000)];
        for (step, (min, max)) in steps.iter().zip(bounds) {
            assert!((min..=max).contains(step), "{steps:?}");
        }
        assert!(steps.len() > 24, "{steps:?}");
        assert!((119_950..=120_000).contains(&before.as_ms()), "the last attempt is at the end: {steps:?}");
    }

    #[tokio::test]
    async fn what_is_for_good_is_not_tried_again_and_the_servers_wait_is_kept() {
        let (clock, retry) = retry(Span::seconds(30));
        assert_eq!(retry.begin().after(Failed::for_good(error())).await, Err(error()));
        assert_eq!(clock.now(), Timestamp::from_ms(0));
        let later = |again| Failed { error: error(), again: Some(again) };
        assert_eq!(retry.begin().after(later(Span::seconds(20))).await, Ok(()));
        assert_eq!(clock.now(), Timestamp::from_ms(20_000));
        assert_eq!(retry.begin().after(later(Span::seconds(31))).await, Err(error()), "longer than the patience");
        assert_eq!(clock.now(), Timestamp::from_ms(20_000), "and not waited for");
    }

    #[tokio::test]
    async fn a_computer_that_slept_has_not_used_up_its_patience() {
        let (clock, retry) = retry(Span::minutes(2));
        let mut waits = retry.begin();
        clock.advance(Span::hours(9));
        assert_eq!(waits.after(Failed::for_now(error())).await, Ok(()));
    }
}
