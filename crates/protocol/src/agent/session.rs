//! Sessions: the device signs a challenge and gets a token for fifteen minutes.

use crate::{Hex, Text, Versions};
use base::DeviceId;
use serde::{Deserialize, Serialize};

/// What a device signs to open a session: these bytes, the challenge, and the 16 bytes of its id.
pub const SESSION_CONTEXT: &[u8] = b"holdfast session v1";

/// `GET /v1/hello`: who answers, before anything is trusted but the certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply {
    /// The server's release.
    pub release: String,
    /// The protocol versions it speaks.
    pub protocol: Versions,
    /// Its clock, in milliseconds since 1970.
    pub now_ms: i64,
}

/// `POST /v1/sessions/challenge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeRequest {
    /// The device that wants a session.
    pub device: Text<DeviceId>,
}

/// A challenge; given out for known and unknown devices alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeReply {
    /// What to sign.
    pub challenge: Hex<48>,
    /// For how long it can be used, once.
    pub expires_in_ms: u64,
}

/// `POST /v1/sessions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// The device that wants a session.
    pub device: Text<DeviceId>,
    /// The challenge that was given to it.
    pub challenge: Hex<48>,
    /// Ed25519 over `signed_bytes`.
    pub signature: Hex<64>,
    /// What the answer to the last session or activation gave; absent at the first. A copy of this computer has an
    /// older one: that is how the server sees that there are two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counter: Option<Hex<56>>,
}

/// A session.
#[derive(Clone, Serialize, Deserialize)]
pub struct SessionReply {
    /// The bearer token; opaque.
    pub token: String,
    /// For how long it can be used. The device's state is looked at on every request all the same.
    pub expires_in_ms: u64,
    /// What to present at the next session; opaque. To be durable before the token is used.
    pub counter: Hex<56>,
}

/// The bytes that a device signs for a session. Never fails.
pub fn signed_bytes(device: DeviceId, challenge: &[u8; 48]) -> Vec<u8> {
    [SESSION_CONTEXT, challenge, device.as_bytes()].concat()
}
