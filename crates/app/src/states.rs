//! What this process knows of devices' states, for at most `session.state_cache_ms`: every request looks here.
//! Refuses to remember what a change made meanwhile has overtaken; and to wait for long for a database that is away:
//! what a device may do is not known then, here or at any other server, and so it may do nothing.

use crate::recent::{Lookup, Recent};
use crate::{App, AppError, database};
use base::{DeviceId, UserId};
use control::{State, UserState};

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
/// The database cannot be read, or does not answer in time.
pub async fn standing(app: &App, device: DeviceId) -> Result<Option<Standing>, AppError> {
    let now = app.clock.now();
    let generation = match app.states.0.lookup(&device, now, app.config.state_cache_span) {
        Lookup::Fresh(standing) => return Ok(Some(standing)),
        Lookup::Unknown { generation } => generation,
    };
    let during = || AppError::db("reading a device's state");
    let row = database::in_time(async {
        let mut tx = app.db.read_each().await.map_err(during())?;
        db::device_standing_get(&mut tx, device).await.map_err(during())
    });
    let standing = row.await?.map(|row| Standing {
        user: row.user,
        user_state: row.user_state,
        repository: row.repository,
        epoch: row.epoch,
        state: row.state,
        policy_revision: row.policy_revision,
    });
    if let Some(standing) = &standing {
        app.states.0.remember(device, standing.clone(), now, generation);
    }
    Ok(standing)
}

/// The cache. One for each `App`.
#[derive(Debug, Default)]
pub struct DeviceStates(Recent<DeviceId, Standing>);

impl DeviceStates {
    /// A device has changed, and what is known of it no longer holds: to be called after the commit of every change
    /// of its row. Never fails.
    pub fn changed(&self, device: DeviceId) {
        self.0.changed(&device);
    }
}
