//! The names under which objects stand in the store.
//! Refuses, on parsing, every name that it would not itself have made.

use crate::digest::PackId;
use crate::error::Error;
use base::{DeviceId, SnapshotId};
use std::fmt;
use std::str::FromStr;

/// What packs' names begin with, for listing them.
pub const PACKS_PREFIX: &str = "packs/";
/// What manifests' names begin with, for listing them.
pub const MANIFESTS_PREFIX: &str = "manifests/";

/// The name of an object: `packs/` and 64 hex digits, or `manifests/`, the device, `/`, the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectName {
    /// A pack.
    Pack(PackId),
    /// The manifest of a snapshot of a device.
    Manifest(DeviceId, SnapshotId),
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectName::Pack(pack) => write!(f, "{PACKS_PREFIX}{pack}"),
            ObjectName::Manifest(device, snapshot) => write!(f, "{MANIFESTS_PREFIX}{device}/{snapshot}"),
        }
    }
}

impl FromStr for ObjectName {
    type Err = Error;

    /// Errors: not exactly the text of an object name.
    fn from_str(text: &str) -> Result<Self, Error> {
        const ERROR: Error = Error::Text { what: "the name of a stored object" };
        if let Some(pack) = text.strip_prefix(PACKS_PREFIX) {
            return pack.parse().map(ObjectName::Pack).map_err(|_| ERROR);
        }
        let rest = text.strip_prefix(MANIFESTS_PREFIX).ok_or(ERROR)?;
        let (device, snapshot) = rest.split_once('/').ok_or(ERROR)?;
        match (device.parse(), snapshot.parse()) {
            (Ok(device), Ok(snapshot)) => Ok(ObjectName::Manifest(device, snapshot)),
            _ => Err(ERROR),
        }
    }
}

#[cfg(test)]
mod tests;
