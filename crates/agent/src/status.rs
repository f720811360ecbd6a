//! `holdfast status`: what this computer knows of itself, and what the server says of it.
//! Refuses to fail because the server does: its "no" is part of the status.

use crate::error::AgentError;
use crate::remote::{Around, Connection};
use crate::state::{State, StateDir};
use protocol::agent::status::DeviceReply;

/// Where this computer stands.
#[derive(Debug)]
pub struct Status {
    /// What is kept here.
    pub state: State,
    /// What the server says, or why it says nothing.
    pub device: Result<DeviceReply, AgentError>,
}

/// Looks at the state and asks the server.
///
/// # Errors
/// Not activated, or the state cannot be used.
pub async fn look(around: &Around, dir: &StateDir) -> Result<Status, AgentError> {
    let (state, key) = dir.activated()?;
    let connection = Connection::signed_in(&state.server, state.device, key, around)?;
    let device = connection.device().await.map_err(AgentError::Remote);
    Ok(Status { state, device })
}
