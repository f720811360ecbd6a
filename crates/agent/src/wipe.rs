//! The order to erase: takes away everything that Holdfast keeps on this computer, says so to the server, and erases
//! the key last. Killed at any moment, it goes on where it was. Refuses to touch the user's own files.

use crate::error::AgentError;
use crate::remote::{Around, Connection};
use crate::state::{DeviceKey, State, StateDir};
use engine::RemoteError;
use serde::{Deserialize, Serialize};

const WIPE_FILE: &str = "wipe.json";
/// What stays when all is done: why this computer is not activated.
const WIPED_FILE: &str = "wiped.json";
/// Everything but the state and the key, which are needed to tell the server. Erased in this order.
const FILES: [&str; 8] = [
    "trees.cache",
    "parent.json",
    "policy.json",
    "owed.json",
    "unattended.json",
    "last.json",
    "pending.json",
    "pending.key",
];
const STATE_FILES: [&str; 2] = ["state.json", "device.key"];

/// The server's word for a device that was told to erase its data.
pub const DECOMMISSIONING: &str = "device_decommissioning";
/// The server's word for one that has said that it is done.
const DECOMMISSIONED: &str = "device_decommissioned";
/// The order in the answer of `GET /v1/device`.
pub const ORDER: &str = "wipe";

/// What is left of a device that was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wiped {
    /// The server that gave the order.
    pub server: String,
    /// The record.
    pub device: String,
    /// When it was carried out, by this computer's clock, in milliseconds since 1970.
    pub at_ms: i64,
}

/// An order that is being carried out.
#[derive(Serialize, Deserialize)]
struct Begun {
    /// Whether the server knows already that all but state and key is gone.
    confirmed: bool,
    wiped: Wiped,
}

/// Whether a command must erase instead of what it was asked for: an order was begun, or the server gives one.
/// `error` is what the command ended with.
///
/// # Errors
/// The state cannot be used.
pub async fn due(around: &Around, dir: &StateDir, error: Option<&AgentError>) -> Result<bool, AgentError> {
    let begun = begun(dir)?;
    match (&begun, error) {
        (Some(begun), _) if begun.confirmed => return Ok(true),
        (Some(_), _) => {}
        (None, Some(error)) if error.code() == DECOMMISSIONING => {}
        (None, _) => return Ok(false),
    }
    let Some((state, key)) = dir.load()? else { return Ok(begun.is_some()) };
    let connection = Connection::of_device(dir, &state, key, around)?;
    // The order is asked for by itself: an admin may have taken it back since.
    let is_due = match connection.device().await {
        Ok(device) => device.orders.iter().any(|order| order == ORDER),
        Err(error) => begun.is_some() || error.code == DECOMMISSIONING,
    };
    if !is_due {
        dir.remove_beside(WIPE_FILE)?;
    }
    Ok(is_due)
}

/// Carries the order out, from where it was left.
///
/// # Errors
/// A file cannot be erased; the server cannot be told: the key is still there then, and the next command goes on.
pub async fn run(around: &Around, dir: &StateDir) -> Result<Wiped, AgentError> {
    let _backup = dir.lock("backup.lock", "a backup")?;
    let _activation = dir.lock("activation.lock", "an activation")?;
    let mut begun = match begun(dir)? {
        Some(begun) => begun,
        None => begin(around, dir)?,
    };
    for file in FILES {
        dir.erase_beside(file)?;
    }
    if !begun.confirmed
        && let Some((state, key)) = dir.load()?
    {
        confirm(around, dir, &state, key).await?;
        begun.confirmed = true;
        // ORDER: what is confirmed is written down before the key goes, or nobody could confirm it any more.
        keep(dir, &begun)?;
    }
    dir.keep_beside(WIPED_FILE, &json(&begun.wiped))?;
    for file in STATE_FILES {
        dir.erase_beside(file)?;
    }
    dir.remove_beside(WIPE_FILE)?;
    Ok(begun.wiped)
}

/// What is left of a device that was erased here, if one was. Never fails.
pub fn look(dir: &StateDir) -> Option<Wiped> {
    let bytes = dir.read_beside(WIPED_FILE).ok().flatten()?;
    serde_json::from_slice(&bytes).ok()
}

/// This computer is a device again. Never fails: the old word then only stays.
pub fn is_over(dir: &StateDir) {
    let _ = dir.remove_beside(WIPED_FILE);
}

fn begun(dir: &StateDir) -> Result<Option<Begun>, AgentError> {
    Ok(dir.read_beside(WIPE_FILE)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn begin(around: &Around, dir: &StateDir) -> Result<Begun, AgentError> {
    let (state, _) = dir.activated()?;
    let (server, device) = (state.server.url, state.device.to_string());
    let begun = Begun { confirmed: false, wiped: Wiped { server, device, at_ms: around.clock.now().as_ms() } };
    keep(dir, &begun)?;
    Ok(begun)
}

async fn confirm(around: &Around, dir: &StateDir, state: &State, key: DeviceKey) -> Result<(), AgentError> {
    let connection = Connection::of_device(dir, state, key, around)?;
    match connection.confirm_wipe().await {
        Ok(()) => Ok(()),
        // The answer to the first word was lost.
        Err(RemoteError { code, .. }) if code == DECOMMISSIONED => Ok(()),
        Err(error) => Err(AgentError::Remote(error)),
    }
}

fn keep(dir: &StateDir, begun: &Begun) -> Result<(), AgentError> {
    dir.keep_beside(WIPE_FILE, &json(begun))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec_pretty(value).expect("a struct of texts and numbers is always JSON")
}
