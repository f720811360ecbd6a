//! Who asks. A use case takes the actor that its audience has, so that a device's token cannot reach an admin's
//! use case by type. Refuses to look anything up: `session::authenticate` makes the actors of devices, `credentials::authenticate` admins'.

use crate::AppError;
use crate::idempotency::Mark;
use base::{CredentialId, DeviceId, Timestamp, UserId};
use control::access::Verb;
use control::{Permit, Permits, State, UserState, access};
use std::fmt;
use std::net::IpAddr;

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
    /// A program with a credential of the admin API.
    Credential(Box<CredentialActor>),
}

/// A credential of the admin API that was good at this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialActor {
    /// Which.
    pub id: CredentialId,
    /// What its maker calls it.
    pub name: String,
    /// What it may do.
    pub permits: Permits,
    /// The address the request came from.
    pub source: Option<IpAddr>,
    /// The request's idempotency key, taken: what the actor changes is noted with it.
    pub mark: Option<Mark>,
}

/// Whoever does something that the audit log writes down. The actor's name there is its `Display`.
pub trait Doer: fmt::Display {
    /// From where; empty where that is not known. Never fails.
    fn source(&self) -> String;

    /// The request's idempotency key. Never fails.
    fn mark(&self) -> Option<Mark> {
        None
    }
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
        self.permits().need(permit).map_err(AppError::Refused)
    }

    /// What this actor may do. Never fails.
    pub fn permits(&self) -> Permits {
        match self {
            AdminActor::Command => Permits::all(),
            AdminActor::Credential(credential) => credential.permits,
        }
    }

    /// The same actor, of a request with this idempotency key. Never fails.
    #[must_use]
    pub fn marked(self, mark: Mark) -> Self {
        match self {
            AdminActor::Command => AdminActor::Command,
            AdminActor::Credential(credential) => {
                AdminActor::Credential(Box::new(CredentialActor { mark: Some(mark), ..*credential }))
            }
        }
    }
}

impl Doer for AdminActor {
    fn source(&self) -> String {
        match self {
            AdminActor::Command => "command line".to_owned(),
            AdminActor::Credential(credential) => {
                credential.source.map(|source| source.to_string()).unwrap_or_default()
            }
        }
    }

    fn mark(&self) -> Option<Mark> {
        match self {
            AdminActor::Command => None,
            AdminActor::Credential(credential) => credential.mark,
        }
    }
}

impl Doer for DeviceActor {
    fn source(&self) -> String {
        String::new()
    }
}

impl fmt::Display for AdminActor {
    /// As the audit log writes it: `admin command`, `credential crd_…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminActor::Command => f.write_str("admin command"),
            AdminActor::Credential(credential) => write!(f, "credential {}", credential.id),
        }
    }
}

impl fmt::Display for DeviceActor {
    /// As the audit log writes it: `device dev_…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {}", self.device)
    }
}
