//! Who asks. A use case takes the actor that its audience has, so that a device's token cannot reach an admin's
//! use case by type. Refuses to look anything up: `session::authenticate` makes the actors of devices, and
//! `credentials::authenticate` those of admins.

use crate::AppError;
use crate::idempotency::Mark;
use base::{CredentialId, DeviceId, Timestamp, UserId};
use control::access::Verb;
use control::{Permit, Permits, State, UserState, access};
use std::fmt;
use std::net::IpAddr;
use std::sync::OnceLock;

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
    /// The address the request came from.
    pub source: Option<IpAddr>,
}

/// Somebody who administers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminActor {
    /// A person with the right to read the data directory, on the server's own command line, as the account of the
    /// operating system that this process has.
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
    /// The beginning of its text, by which its holder finds it.
    pub prefix: String,
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

    /// By which proof. Never fails.
    fn proof(&self) -> String;

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

    /// The same device, of a request from there. Never fails.
    #[must_use]
    pub fn from_source(self, source: Option<IpAddr>) -> Self {
        Self { source, ..self }
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
            AdminActor::Credential(credential) => source_text(credential.source),
        }
    }

    fn proof(&self) -> String {
        match self {
            // Whoever may open the data directory with the keys in it is asked for nothing else.
            AdminActor::Command => "data_directory".to_owned(),
            AdminActor::Credential(credential) => format!("credential {}", credential.prefix),
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
        source_text(self.source)
    }

    fn proof(&self) -> String {
        // Opened by a signature of the device's key; the password or token of the activation is in that one's row.
        "session".to_owned()
    }
}

fn source_text(source: Option<IpAddr>) -> String {
    source.map(|source| source.to_canonical().to_string()).unwrap_or_default()
}

/// The account of the operating system that this process runs as, the real one: its name, or its number where it has
/// none that fits into a line.
fn local_account() -> &'static str {
    static ACCOUNT: OnceLock<String> = OnceLock::new();
    ACCOUNT.get_or_init(|| {
        let uid = rustix::process::getuid().as_raw();
        account_text(uid, uzers::get_user_by_uid(uid).and_then(|user| user.name().to_str().map(str::to_owned)))
    })
}

fn account_text(uid: u32, name: Option<String>) -> String {
    let plain = |name: &String| !name.is_empty() && !name.chars().any(|c| c.is_control() || c.is_whitespace());
    name.filter(plain).unwrap_or_else(|| uid.to_string())
}

impl fmt::Display for AdminActor {
    /// As the audit log writes it: `local root`, `credential crd_…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminActor::Command => write!(f, "local {}", local_account()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_admin_has_the_name_of_the_account_or_its_number() {
        let rows =
            [(Some("root"), "root"), (Some("a b"), "1000"), (Some("a\n"), "1000"), (Some(""), "1000"), (None, "1000")];
        for (name, text) in rows {
            assert_eq!(account_text(1_000, name.map(str::to_owned)), text, "{name:?}");
        }
        let uid = rustix::process::getuid().as_raw();
        let account = uzers::get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into_owned());
        assert_eq!(AdminActor::Command.to_string(), format!("local {}", account.unwrap_or_else(|| uid.to_string())));
    }
}
