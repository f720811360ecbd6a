//! The clock as an argument: the real one, and one that a test moves by hand.
//! The only file that may read the system's clock or sleep on it (clippy.toml bans it elsewhere).

use crate::{Span, Timestamp};
use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;

/// Tells the time and waits for it. `now` never goes backwards by more than the system's clock does.
pub trait Clock: Send + Sync + 'static {
    /// The time now. Never fails.
    fn now(&self) -> Timestamp;

    /// Resolves when `span` has passed. Never fails.
    fn sleep(&self, span: Span) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The system's clock and tokio's timer.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's clock is read")]
    fn now(&self) -> Timestamp {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ms(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
    fn sleep(&self, span: Span) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(span.as_duration()))
    }
}

/// A clock that stands still until it is moved; sleeping on it moves it.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `now`. Never fails.
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Moves the clock on by `span`. Never fails.
    pub fn advance(&self, span: Span) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = *now + span;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn sleep(&self, span: Span) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.advance(span);
        Box::pin(std::future::ready(()))
    }
}
