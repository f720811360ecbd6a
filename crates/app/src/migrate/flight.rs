//! How much of the objects is under way at once, and how fast. Refuses more bytes in memory than a named maximum,
//! whatever objects there are.

use base::{Bytes, Clock, Span, Timestamp};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Objects that are copied or read back side by side.
pub(super) const OBJECTS_MAX: usize = 8;
/// Bytes of objects in memory, all together; one that is larger than this is alone.
pub(super) const FLIGHT_BYTES_MAX: Bytes = Bytes::mib(64);

/// What bounds the objects that are under way.
pub(super) struct Flight<'a> {
    room: Semaphore,
    clock: &'a dyn Clock,
    rate: Option<Bytes>,
    /// When the next byte may go.
    next: Mutex<Timestamp>,
}

impl<'a> Flight<'a> {
    pub(super) fn new(clock: &'a dyn Clock, rate: Option<Bytes>) -> Self {
        let rate = rate.filter(|rate| rate.0 > 0);
        Self { room: Semaphore::new(kib(FLIGHT_BYTES_MAX) as usize), clock, rate, next: Mutex::new(clock.now()) }
    }

    /// Waits until there is room for so many bytes in memory; there is as long as the permit is held.
    pub(super) async fn room(&self, bytes: Bytes) -> SemaphorePermit<'_> {
        let wanted = kib(bytes).clamp(1, kib(FLIGHT_BYTES_MAX));
        self.room.acquire_many(wanted).await.expect("the semaphore is never closed")
    }

    /// Waits until so many bytes may be read or written.
    pub(super) async fn pace(&self, bytes: Bytes) {
        let Some(rate) = self.rate else { return };
        let takes = Span::ms(bytes.0.saturating_mul(1_000) / rate.0);
        let wait = {
            let now = self.clock.now();
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let begins = now.max(*next);
            *next = begins + takes;
            begins.since(now)
        };
        if wait > Span::ZERO {
            self.clock.sleep(wait).await;
        }
    }
}

fn kib(bytes: Bytes) -> u32 {
    u32::try_from(bytes.0.div_ceil(1_024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ManualClock;

    #[tokio::test]
    async fn a_rate_is_kept_and_room_is_for_64_mib_or_one_object() {
        let clock = ManualClock::at(Timestamp::from_ms(0));
        let flight = Flight::new(&clock, Some(Bytes::mib(10)));
        for _ in 0..5 {
            flight.pace(Bytes::mib(20)).await;
        }
        assert_eq!(clock.now(), Timestamp::from_ms(8_000), "the first goes at once, each of the others 2 s later");
        let held = flight.room(Bytes::mib(200)).await;
        assert_eq!(flight.room.available_permits(), 0, "a large one is alone");
        drop(held);
        let _held = (flight.room(Bytes(1)).await, flight.room(Bytes::mib(63)).await);
        assert_eq!(flight.room.available_permits(), 1_023);
    }
}
