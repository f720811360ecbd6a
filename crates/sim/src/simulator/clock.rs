//! The clocks of the simulated machines: all go with the simulation's time, and each may be set wrong.
//! The only place of the simulator that waits.

use base::{Clock, Span, Timestamp};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::time::Instant;

/// What the clocks show at the beginning, where they are right.
const BEGIN: Timestamp = Timestamp::from_ms(1_750_000_000_000);

/// Waits for so much simulated time. Never fails.
#[expect(
    clippy::disallowed_methods,
    reason = "tokio's clock is paused and moves by steps: it is the simulation's time"
)]
pub(super) async fn pause(span: Span) {
    tokio::time::sleep(span.as_duration()).await;
}

/// The clock of one machine.
pub(super) struct MachineClock {
    began: Instant,
    /// How far it is ahead, in milliseconds.
    ahead: AtomicI64,
}

impl MachineClock {
    /// One that is right, at the beginning of the play at `began`. Never fails.
    pub(super) fn new(began: Instant) -> Self {
        Self { began, ahead: AtomicI64::new(0) }
    }

    /// Sets it so many milliseconds ahead of the right time, or behind. Never fails.
    pub(super) fn set_ahead(&self, ms: i64) {
        self.ahead.store(ms, Ordering::SeqCst);
    }
}

impl Clock for MachineClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_ms(BEGIN.as_ms() + passed + self.ahead.load(Ordering::SeqCst))
    }

    fn sleep(&self, span: Span) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(pause(span))
    }
}
