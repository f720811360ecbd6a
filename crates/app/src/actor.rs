//! Who asks. A use case takes the actor that its audience has, so that a device's token cannot reach an admin's
//! use case by type. Refuses to look anything up: `session::authenticate` makes the actors of devices.

use crate::AppError;
use base::{DeviceId, Timestamp, UserId};
use control::access::Verb;
use control::{Permit, Permits, State, UserState, access};
use std::fmt;

/// A device whose session token was good, and its record's standing at this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceActor {
    /// The record.
    pub device: DeviceId,
    /// Whose it is.
    pub user: UserId,
    /// Where that user stands.
    pub user_state: UserState,
    /// Which binding of a key the session was opened with.
    pub epoch: u64,
    /// Where the device stands in its lifecycle.
    pub state: State,
    /// The row number of the repository that the device's user belongs to.
    pub repository: i64,
}

/// Somebody who administers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminActor {
    /// A person with the right to read the data directory, on the server's own command line.
    Command,
}

impl DeviceActor {
    /// May the device do this now, by what was known of it at the last look?
    ///
    /// # Errors
    /// `Refused` with the refusal that says why not.
    pub fn may(&self, now: Timestamp, verb: Verb) -> Result<(), AppError> {
        access::may_of_user(self.user_state, &self.state, now, verb).map_err(AppError::Refused)
    }
}

impl AdminActor {
    /// Fails with `not_permitted` when this actor lacks the permit.
    ///
    /// # Errors
    /// As said.
    pub fn need(&self, permit: Permit) -> Result<(), AppError> {
        match self {
            AdminActor::Command => Permits::all().need(permit).map_err(AppError::Refused),
        }
    }
}

impl fmt::Display for AdminActor {
    /// As the audit log writes it: `admin command`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminActor::Command => f.write_str("admin command"),
        }
    }
}

impl fmt::Display for DeviceActor {
    /// As the audit log writes it: `device dev_…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {}", self.device)
    }
}
