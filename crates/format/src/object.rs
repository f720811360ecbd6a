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

/// What keyrings' names begin with, for listing them.
pub const KEYRINGS_PREFIX: &str = "keys/";
/// What cards' names begin with, for listing them.
pub const CARDS_PREFIX: &str = "cards/";
/// What ages' names begin with, for listing them.
pub const AGES_PREFIX: &str = "ages/";

/// The name of an object: docs/format.md, "Names".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectName {
    /// A pack.
    Pack(PackId),
    /// The manifest of a snapshot of a device.
    Manifest(DeviceId, SnapshotId),
    /// The keyring with this number.
    Keyring(u32),
    /// The card of a device with this number.
    Card(DeviceId, u32),
    /// The age with this number.
    Age(u32),
}

impl ObjectName {
    /// The number by which it takes the place of others; None for what stands alone. Never fails.
    pub fn number(&self) -> Option<u32> {
        match self {
            ObjectName::Keyring(number) | ObjectName::Card(_, number) | ObjectName::Age(number) => Some(*number),
            ObjectName::Pack(_) | ObjectName::Manifest(..) => None,
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectName::Pack(pack) => write!(f, "{PACKS_PREFIX}{pack}"),
            ObjectName::Manifest(device, snapshot) => write!(f, "{MANIFESTS_PREFIX}{device}/{snapshot}"),
            ObjectName::Keyring(number) => write!(f, "{KEYRINGS_PREFIX}{number:08x}"),
            ObjectName::Card(device, number) => write!(f, "{CARDS_PREFIX}{device}/{number:08x}"),
            ObjectName::Age(number) => write!(f, "{AGES_PREFIX}{number:08x}"),
        }
    }
}

impl FromStr for ObjectName {
    type Err = Error;

    /// Errors: not exactly the text of an object name.
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or(Error::Text { what: "the name of a stored object" })
    }
}

fn parse(text: &str) -> Option<ObjectName> {
    let (folder, rest) = text.split_once('/')?;
    let of_device = || rest.split_once('/').and_then(|(device, rest)| Some((device.parse().ok()?, rest)));
    match folder {
        "packs" => rest.parse().ok().map(ObjectName::Pack),
        "manifests" => of_device().and_then(|(device, rest)| Some(ObjectName::Manifest(device, rest.parse().ok()?))),
        "keys" => number(rest).map(ObjectName::Keyring),
        "cards" => of_device().and_then(|(device, rest)| Some(ObjectName::Card(device, number(rest)?))),
        "ages" => number(rest).map(ObjectName::Age),
        _ => None,
    }
}

/// Eight lower-case hexadecimal digits: in the order of the names, numbers ascend.
fn number(text: &str) -> Option<u32> {
    let is_plain = text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    u32::from_str_radix(text, 16).ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests;
