//! What this process knows of devices' states, for at most `session.state_cache_ms`: every request looks here.
//! Refuses to remember what a change made meanwhile has overtaken.

use crate::{App, AppError};
use base::{DeviceId, Span, Timestamp, UserId};
use control::{State, UserState};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Devices remembered at the same time; past it the cache starts afresh.
const REMEMBERED_MAX: usize = 100_000;

/// Where a device stands: what a request is let in by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose the device is.
    pub user: UserId,
    /// Where that user stands.
    pub user_state: UserState,
    /// The row number of the user's repository.
    pub repository: i64,
    /// The newest binding of a key to the record.
    pub epoch: u64,
    /// The device's state.
    pub state: State,
    /// The number of its effective policy.
    pub policy_revision: u64,
}

/// The standing of `device`, no older than the configured span; `None` when there is no such device. Changes made by
/// this process are seen at once, those of another process when the span has passed.
///
/// # Errors
/// The database cannot be read.
pub async fn standing(app: &App, device: DeviceId) -> Result<Option<Standing>, AppError> {
    let now = app.clock.now();
    let generation = match app.states.lookup(device, now, app.config.state_cache_span) {
        Lookup::Fresh(standing) => return Ok(Some(standing)),
        Lookup::Unknown { generation } => generation,
    };
    let mut tx = app.db.read().await.map_err(AppError::db("reading a device's state"))?;
    let row = db::device_standing_get(&mut tx, device).await.map_err(AppError::db("reading a device's state"))?;
    let standing = row.map(|row| Standing {
        user: row.user,
        user_state: row.user_state,
        repository: row.repository,
        epoch: row.epoch,
        state: row.state,
        policy_revision: row.policy_revision,
    });
    if let Some(standing) = &standing {
        app.states.remember(device, standing.clone(), now, generation);
    }
    Ok(standing)
}

/// The cache. One for each `App`.
#[derive(Debug, Default)]
pub struct DeviceStates {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Grows at every `changed`.
    generation: u64,
    known: HashMap<DeviceId, Known>,
}

#[derive(Debug)]
struct Known {
    standing: Standing,
    read_at: Timestamp,
}

enum Lookup {
    Fresh(Standing),
    Unknown { generation: u64 },
}

impl DeviceStates {
    /// A device has changed, and what is known of it no longer holds: to be called after the commit of every change
    /// of its row. Never fails.
    pub fn changed(&self, device: DeviceId) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.known.remove(&device);
    }

    fn lookup(&self, device: DeviceId, now: Timestamp, span: Span) -> Lookup {
        let inner = self.lock();
        match inner.known.get(&device) {
            // A clock that was set back must not make an old state fresh for ever: both directions count.
            Some(known) if now >= known.read_at && now.since(known.read_at) < span => {
                Lookup::Fresh(known.standing.clone())
            }
            Some(_) | None => Lookup::Unknown { generation: inner.generation },
        }
    }

    fn remember(&self, device: DeviceId, standing: Standing, read_at: Timestamp, generation: u64) {
        let mut inner = self.lock();
        // RACE: a change committed between the read and now has called `changed`: what was read may be older than it.
        if inner.generation != generation {
            return;
        }
        if inner.known.len() >= REMEMBERED_MAX {
            inner.known.clear();
        }
        inner.known.insert(device, Known { standing, read_at });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::Rights;

    const DEVICE: DeviceId = DeviceId::from_bytes([1; 16]);
    const SPAN: Span = Span::ms(500);

    fn active() -> Standing {
        let state = State::Active { rights: Rights::Full };
        let (user, user_state) = (UserId::from_bytes([2; 16]), UserState::Active);
        Standing { user, user_state, repository: 1, epoch: 1, state, policy_revision: 1 }
    }

    fn is_fresh(states: &DeviceStates, now: i64) -> bool {
        matches!(states.lookup(DEVICE, Timestamp::from_ms(now), SPAN), Lookup::Fresh(_))
    }

    #[test]
    fn a_state_is_known_for_the_span_and_not_before_it_was_read() {
        let states = DeviceStates::default();
        states.remember(DEVICE, active(), Timestamp::from_ms(1_000), 0);
        assert!(is_fresh(&states, 1_000) && is_fresh(&states, 1_499));
        assert!(!is_fresh(&states, 1_500) && !is_fresh(&states, 999));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let states = DeviceStates::default();
        states.remember(DEVICE, active(), Timestamp::from_ms(0), 0);
        states.changed(DEVICE);
        assert!(!is_fresh(&states, 1));
        states.remember(DEVICE, active(), Timestamp::from_ms(0), 0);
        assert!(!is_fresh(&states, 1), "the reader began before the change");
    }
}
