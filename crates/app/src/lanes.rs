//! Lanes: activations, control requests and data requests each have their own number of turns, so that a storm of one
//! kind leaves the others alone. Refuses to queue without end: who finds no place, or no turn in time, is told to come
//! again, each at another moment. The hashing of passwords has turns of its own (`password`).

use crate::{AppError, Config};
use base::{Clock, Entropy, Span};
use control::Refusal;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many may wait for each that has a turn.
const WAITING_PER_TURN: usize = 32;
/// How long one waits.
const WAIT_SPAN: Span = Span::seconds(10);
/// When who was sent away comes again: after the first, and at the latest after both.
const COME_AGAIN: Span = Span::seconds(2);
const COME_AGAIN_SPREAD: Span = Span::seconds(8);

/// The lanes of one server.
pub struct Lanes {
    /// What binds a key: one short transaction. Proving who asks comes before it and has its own bounds.
    pub activation: Lane,
    /// Sessions, states, policies: short looks at the database.
    pub control: Lane,
    /// Backups and restores.
    pub data: Lane,
}

/// One lane.
pub struct Lane {
    turns: Semaphore,
    places: Semaphore,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// A turn in a lane, until it is dropped.
pub struct Turn<'a> {
    _held: [SemaphorePermit<'a>; 2],
}

impl Lanes {
    /// As wide as configured. Never fails.
    pub fn new(config: &Config, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Self {
        let lane = |turns: u64| {
            let turns = usize::try_from(turns).expect("the configuration allows at most 65,536");
            let (clock, entropy) = (Arc::clone(clock), Arc::clone(entropy));
            let places = Semaphore::new(turns * (1 + WAITING_PER_TURN));
            Lane { turns: Semaphore::new(turns), places, clock, entropy }
        };
        Self {
            activation: lane(config.lane_activations_max),
            control: lane(config.lane_control_max),
            data: lane(config.lane_data_max),
        }
    }
}

impl Lane {
    /// A turn, after those that wait already.
    ///
    /// # Errors
    /// `server_busy` when too many wait, or it takes too long.
    pub async fn turn(&self) -> Result<Turn<'_>, AppError> {
        let place = self.places.try_acquire().map_err(|_| self.busy())?;
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(Turn { _held: [place, turn] });
        }
        tokio::select! {
            biased;
            turn = self.turns.acquire() => {
                Ok(Turn { _held: [place, turn.expect("the semaphore is never closed")] })
            }
            () = self.clock.sleep(WAIT_SPAN) => Err(self.busy()),
        }
    }

    fn busy(&self) -> AppError {
        let mut noise = [0; 8];
        self.entropy.fill(&mut noise);
        let spread = u64::from_le_bytes(noise) % COME_AGAIN_SPREAD.as_ms();
        Refusal::ServerBusy { left: Span::ms(COME_AGAIN.as_ms() + spread) }.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{SeededEntropy, SystemClock};
    use std::collections::HashSet;

    fn lanes() -> Lanes {
        let config = Config::parse("lane.activations_max = 1").expect("good text");
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) =
            (Arc::new(SystemClock), Arc::new(SeededEntropy::new(1)));
        Lanes::new(&config, &clock, &entropy)
    }

    #[tokio::test]
    async fn a_lane_that_is_full_leaves_the_others_alone() {
        let lanes = lanes();
        let first = lanes.activation.turn().await.expect("nobody waits");
        let waiting: Vec<_> = (0..WAITING_PER_TURN).map(|_| lanes.activation.places.try_acquire()).collect();
        assert!(waiting.iter().all(Result::is_ok));
        assert_eq!(lanes.activation.turn().await.err().map(|no| no.code()), Some("server_busy"));
        assert!(lanes.control.turn().await.is_ok() && lanes.data.turn().await.is_ok());
        drop((first, waiting));
        assert!(lanes.activation.turn().await.is_ok());
    }

    #[tokio::test]
    async fn those_who_are_sent_away_come_again_at_different_moments() {
        let lanes = lanes();
        let after = |no: AppError| match no {
            AppError::Refused(refusal) => refusal.retry_after().expect("time alone helps"),
            other => panic!("{other:?}"),
        };
        let spans: HashSet<Span> = (0..50).map(|_| after(lanes.activation.busy())).collect();
        assert!(spans.len() > 40, "{spans:?}");
        let latest = Span::ms(COME_AGAIN.as_ms() + COME_AGAIN_SPREAD.as_ms());
        assert!(spans.iter().all(|span| (COME_AGAIN..latest).contains(span)), "{spans:?}");
    }

    #[tokio::test]
    async fn a_turn_is_had_in_the_order_of_coming() {
        let lanes = Arc::new(lanes());
        let first = lanes.activation.turn().await.expect("nobody waits");
        let second = tokio::spawn({
            let lanes = Arc::clone(&lanes);
            async move { lanes.activation.turn().await.is_ok() }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(second.await.expect("no panic"));
    }
}
