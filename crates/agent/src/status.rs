//! `holdfast status`: what this computer knows of itself, and what the server says of it.
//! Refuses to fail because the server does, or because this computer is no device yet: that is the status.

use crate::error::AgentError;
use crate::last::{self, Last};
use crate::owed::{self, Owed};
use crate::policy::{self, Known};
use crate::remote::{Around, Connection};
use crate::state::{State, StateDir};
use crate::support;
use crate::unattended::{self, Record};
use crate::wipe::{self, Wiped};
use base::Timestamp;
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
