//! Activation: a person or an old key proves who asks, the server decides which record the device becomes.

use crate::agent::run::SnapshotDetail;
use crate::{Hex, Text};
use base::DeviceId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the new device key (and the old one, where it proves) signs: these bytes and `signed_bytes`.
pub const ACTIVATION_CONTEXT: &[u8] = b"holdfast activation v1";

/// `POST /v1/activations`. The same request with the same key gets the same answer for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationRequest {
    /// Drawn by the endpoint; repeated when the request is.
    pub request: Hex<16>,
    /// Who asks, as typed; empty with an old key.
    pub email: String,
    /// How that is proved.
    pub proof: Proof,
    /// The public half of the key that the endpoint made for this activation (Ed25519).
    pub device_key: Hex<32>,
    /// Ed25519 by `device_key` over `signed_bytes`: the endpoint has the private half.
    pub signature: Hex<64>,
    /// What this computer says of itself; corroborates, never decides alone.
    pub evidence: Evidence,
    /// What the endpoint runs on.
    pub platform: Platform,
    /// Which record the endpoint asks for.
    pub choice: Choice,
}

/// How a request proves who asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Proof {
    /// The user's password.
    Password {
        /// As typed.
        password: String,
    },
    /// The key that this computer used before.
    OldKey {
        /// The record that the key was bound to.
        device: Text<DeviceId>,
        /// Ed25519 by the old key over `signed_bytes`.
        signature: Hex<64>,
    },
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::Password { .. } => f.write_str("Password"),
            Proof::OldKey { device, .. } => write!(f, "OldKey({device:?})"),
        }
    }
}

/// What a computer says of itself. Empty where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Its name in the network.
    pub host_name: String,
    /// The maker's serial number.
    pub serial: String,
    /// The hardware UUID of the firmware.
    pub hardware_uuid: String,
    /// The account that the endpoint runs as.
    pub os_user: String,
}

/// What the endpoint runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// `linux`, `windows`, `macos`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// The endpoint's release.
    pub agent: String,
}

/// Which record the endpoint asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Choice {
    /// The server decides: the device's own record where there is a unique match, else a new one.
    Auto,
    /// A new record, whatever matches.
    Add,
    /// This record of the same user.
    Replace {
        /// The record.
        device: Text<DeviceId>,
    },
}

/// The answer to an activation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationReply {
    /// The record that the device is now.
    pub device: Text<DeviceId>,
    /// Which binding of a key to the record this is; grows by one at each.
    pub epoch: u64,
    /// `full` or `append_only`.
    pub rights: String,
    /// `new`, `replaced` or `reactivated`.
    pub outcome: String,
    /// Whose device it is.
    pub user: String,
    /// The newest snapshot of the record, from which the next backup goes on.
    pub snapshot: Option<SnapshotDetail>,
}

impl ActivationRequest {
    /// The bytes that both keys sign: everything in the request that decides, but the proof's secret. Never fails.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = ACTIVATION_CONTEXT.to_vec();
        bytes.extend_from_slice(&self.request.0);
        bytes.extend_from_slice(&self.device_key.0);
        let choice = match &self.choice {
            Choice::Auto => "auto".to_owned(),
            Choice::Add => "add".to_owned(),
            Choice::Replace { device } => device.0.to_string(),
        };
        let evidence = &self.evidence;
        for text in
            [&self.email, &evidence.host_name, &evidence.serial, &evidence.hardware_uuid, &evidence.os_user, &choice]
        {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}
