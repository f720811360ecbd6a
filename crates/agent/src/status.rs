//! `holdfast status`: what this computer knows of itself, and what the server says of it.
//! Refuses to fail because the server does, or because this computer is no device yet: that is the status.

use crate::error::AgentError;
use crate::last::{self, Last};
use crate::owed::{self, Owed};
use crate::places::Places;
use crate::policy::{self, Known};
use crate::remote::{Around, Connection};
use crate::state::{State, StateDir};
use crate::support;
use crate::unattended::{self, Record};
use crate::wipe::{self, Wiped};
use base::{Retry, Timestamp};
use control::Refusal;
use protocol::agent::status::DeviceReply;

/// Where this computer stands.
#[derive(Debug)]
pub struct Status {
    /// The device that it is; absent before the first activation.
    pub device: Option<Device>,
    /// What is still to be brought back to it.
    pub owed: Option<Owed>,
    /// How an activation without a person stands, if one was begun.
    pub unattended: Option<Record>,
    /// That an order to erase was carried out here, if one was.
    pub wiped: Option<Wiped>,
    /// What happened last.
    pub last: Last,
    /// When it was looked, by this computer's clock.
    pub now: Timestamp,
}

/// A device, from both sides.
#[derive(Debug)]
pub struct Device {
    /// What is kept here.
    pub state: State,
    /// What the server says, or why it says nothing.
    pub said: Result<DeviceReply, AgentError>,
    /// The policy, the one of last time where the server does not say it.
    pub policy: Option<Known>,
}

/// Looks at the state and asks the server.
///
/// # Errors
/// The state cannot be used.
pub async fn look(around: &Around, dir: &StateDir) -> Result<Status, AgentError> {
    let device = match dir.load()? {
        None => None,
        Some((state, key)) => {
            let connection = Connection::of_device(dir, &state, key, around)?;
            let said = connection.device().await.map_err(AgentError::Remote);
            // Not only when the revision has grown: how much of the quota is used is no part of that.
            let policy = match &said {
                Ok(_) => policy::fetch(around, dir, &state, &connection).await.ok(),
                Err(_) => policy::kept(dir, state.device),
            };
            Some(Device { state, said, policy })
        }
    };
    let owed = device.as_ref().and_then(|device| owed::look(dir, &device.state));
    let (unattended, wiped, last) = (unattended::look(dir), wipe::look(dir), last::look(dir));
    Ok(Status { device, owed, unattended, wiped, last, now: around.clock.now() })
}

impl Status {
    /// The same, with those folders of the policy that this computer does not have. Never fails.
    #[must_use]
    pub fn looked_for_in(mut self, places: &Places) -> Self {
        if let Some(device) = &mut self.device {
            device.policy = device.policy.take().map(|known| known.looked_for_in(places));
        }
        self
    }

    /// Whether an admin has asked this device for a support bundle. Never fails.
    pub fn is_asked_for_bundle(&self) -> bool {
        let said = self.device.as_ref().and_then(|device| device.said.as_ref().ok());
        said.is_some_and(|said| said.orders.iter().any(|order| order == support::ORDER))
    }

    /// Whether the server has ordered this device to erase what it keeps. Never fails.
    pub fn is_to_wipe(&self) -> bool {
        let Some(Device { said, .. }) = &self.device else { return false };
        match said {
            Ok(device) => device.orders.iter().any(|order| order == wipe::ORDER),
            Err(error) => error.code() == wipe::DECOMMISSIONING,
        }
    }
}

impl Device {
    /// What its state means to whoever uses this computer, where it is not simply in service: the sentence that the
    /// server refuses with, in its words where it has just refused. Never fails.
    pub fn why(&self) -> Option<String> {
        match &self.said {
            Ok(said) => refusal_in(&said.state).map(|refusal| refusal.sentence()),
            Err(error) => Some(error.sentence()),
        }
    }

    /// What a person can do about it. Never fails.
    pub fn to_do(&self) -> Option<&'static str> {
        let said = match &self.said {
            Ok(said) => said,
            Err(error) => return to_do(error.code(), error.retry()),
        };
        match refusal_in(&said.state) {
            Some(refusal) => to_do(refusal.code(), refusal.retry()),
            None if said.rights == APPEND_ONLY => Some(
                "sign in with `holdfast activate`, or ask an admin to approve it: it backs up, and cannot restore what \
                 was backed up before",
            ),
            None if said.snapshot.is_none() && said.unreadable.is_none() => {
                Some("run `holdfast backup`: there is no snapshot yet")
            }
            None => None,
        }
    }
}

/// The word of rights that are not full.
pub const APPEND_ONLY: &str = "append_only";

/// What a device in the state of this word is refused, in the end; `None` for one in service, and for a word that this
/// release does not know.
fn refusal_in(state: &str) -> Option<Refusal> {
    match state {
        "pending" => Some(Refusal::DevicePending),
        "held" => Some(Refusal::DeviceHeld),
        "deactivated" => Some(Refusal::DeviceDeactivated),
        "suspended" => Some(Refusal::DeviceSuspended),
        "quarantined" => Some(Refusal::DeviceQuarantined),
        "decommissioning" => Some(Refusal::DeviceDecommissioning),
        "decommissioned" => Some(Refusal::DeviceDecommissioned),
        "deleted" => Some(Refusal::DeviceDeleted),
        "purged" => Some(Refusal::DevicePurged),
        _ => None,
    }
}

/// What a person can do about a refusal, where its sentence leaves that to them.
fn to_do(code: &str, retry: Retry) -> Option<&'static str> {
    match code {
        "device_pending" => Some("ask your admin to approve this device"),
        "device_held" => Some("run `holdfast unattended`, or `holdfast activate`: the same device goes on"),
        "device_deactivated" => {
            Some("run `holdfast unattended`; if that is refused, `holdfast activate`: the same device goes on")
        }
        "device_decommissioned" => Some("run `holdfast activate`: the same device goes on"),
        "signature_invalid" => Some(
            "if another computer was meant to take its place, run `holdfast activate --choice add` to back up this one \
             too; if not, tell your admin, and run `holdfast activate` to be this device again",
        ),
        "device_suspended" | "device_quarantined" | "device_decommissioning" | "user_not_active" => {
            Some("ask your admin")
        }
        "device_deleted" => Some("ask your admin soon, or run `holdfast activate --choice add` for a new device"),
        "device_purged" => Some("run `holdfast activate --choice add`"),
        "server_unreachable" => Some("see whether this computer is online, and try again"),
        _ => match retry {
            Retry::After(_) => Some("try again later"),
            Retry::Never | Retry::WhenChanged => None,
        },
    }
}

#[cfg(test)]
mod tests;
