//! Activation: a person or an old key proves who asks, the server decides which record the device becomes.

use crate::agent::policy::PolicyChanges;
use crate::agent::run::SnapshotDetail;
use crate::{Hex, Text};
use base::{DeviceId, SnapshotId};
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
    /// Whether a person is there who can answer a question; if not, the server decides.
    pub can_ask: bool,
    /// Whether it is shown first what the activation would change; without it, nothing is.
    #[serde(default, skip_serializing_if = "Preview::is_none")]
    pub preview: Preview,
    /// What is to be brought back afterwards, where the user has said so.
    pub restore: Option<Restore>,
    /// The key that this computer used before, beside whatever `proof` says; absent when the user wants another record.
    pub old_key: Option<OldKey>,
}

/// The key that a computer used before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldKey {
    /// The record that the key was bound to.
    pub device: Text<DeviceId>,
    /// Ed25519 by the old key over `signed_bytes`.
    pub signature: Hex<64>,
    /// What this computer would present at its next session with that key; absent in a state that has none. Not
    /// signed: it carries the server's own code.
    pub counter: Option<Hex<56>>,
}

/// Whether it is shown what an activation would change of the user's own choices, before anything is bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preview {
    /// No: nobody is there to see it.
    #[default]
    None,
    /// Where something would change; otherwise the key is bound at once.
    Changes,
    /// In every case: nothing is ever bound.
    Always,
}

impl Preview {
    /// Is nothing shown? Never fails.
    pub fn is_none(&self) -> bool {
        *self == Preview::None
    }
}

/// What is to be brought back to the computer after its activation. `none` is the default when a device comes back to
/// its own record: its data is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restore {
    /// Nothing.
    None,
    /// The folders of the newest snapshot.
    Data,
    /// The user's own settings: folders, interval, bandwidth limit, CPU priority.
    Settings,
    /// Both.
    All,
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
    /// A one-time code that an admin made for this user.
    Ticket {
        /// As typed: letters and digits in groups, in any case.
        code: String,
    },
    /// A deployment token, which an installer has brought.
    Token {
        /// Its text.
        token: String,
    },
    /// Nothing but the key in `old_key`.
    OldKey,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::Password { .. } => f.write_str("Password"),
            Proof::Ticket { .. } => f.write_str("Ticket"),
            Proof::Token { .. } => f.write_str("Token"),
            Proof::OldKey => f.write_str("OldKey"),
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
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ActivationAnswer {
    /// The key is bound. The same request gets this answer for ever.
    Activated(Box<ActivationReply>),
    /// Nothing has happened yet: a person has to choose, and the endpoint asks anew with the choice.
    Question(ActivationQuestion),
    /// Nothing has happened yet: this is what would change, and the endpoint asks anew without a preview.
    Changes(ActivationChanges),
    /// The record waits for an admin; the endpoint repeats the same request until the answer is another.
    Waiting(ActivationWaiting),
}

/// What a person has to choose between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationQuestion {
    /// The devices of this user that the computer may replace. Never empty.
    pub replaceable: Vec<Replaceable>,
    /// Why the computer may not be added as a new device, in one sentence; absent when it may.
    pub adding_refused: Option<String>,
    /// What to offer as the default; `auto` when there is none.
    pub suggestion: Choice,
}

/// A device that may be replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaceable {
    /// The record.
    pub device: Text<DeviceId>,
    /// Its name on the console.
    pub name: String,
    /// The state's word.
    pub state: String,
    /// What its computer said of itself.
    pub host_name: String,
    /// The maker's serial number, empty where unknown.
    pub serial: String,
    /// When its newest snapshot was committed, in milliseconds since 1970; absent when there is none.
    pub last_backup_at_ms: Option<i64>,
    /// How many snapshots there are.
    pub snapshots: u64,
}

/// What an activation would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationChanges {
    /// The record that the computer would be; absent for a new one.
    pub device: Option<Text<DeviceId>>,
    /// Its name on the console; empty for a new one.
    pub name: String,
    /// `new`, `replaced` or `reactivated`.
    pub outcome: String,
    /// What it would change of the user's own choices, or would leave as they are.
    pub changes: PolicyChanges,
}

/// A record that waits for an admin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationWaiting {
    /// The record.
    pub device: Text<DeviceId>,
    /// One plain sentence for a person.
    pub detail: String,
    /// When to ask again, in milliseconds from now.
    pub retry_after_ms: u64,
}

/// A device that is in service now.
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
    /// The name of that snapshot where this device may not read it: nothing else is said of it, and `snapshot` is
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Text<SnapshotId>>,
    /// What is to be brought back now: the user's or the admin's wish, `none` where nobody had one.
    pub restore: Restore,
    /// What the activation has changed of the user's own choices, or has left as they were.
    pub changes: PolicyChanges,
    /// The slot in which missed backups are caught up, in milliseconds since 1970; absent when there are none.
    pub catch_up_at_ms: Option<i64>,
    /// What to present at the first session; opaque. To be durable with the key.
    pub counter: Hex<56>,
}

impl ActivationRequest {
    /// The bytes that both keys sign: everything in the request that decides, but the proofs. Never fails.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = ACTIVATION_CONTEXT.to_vec();
        bytes.extend_from_slice(&self.request.0);
        bytes.extend_from_slice(&self.device_key.0);
        let choice = match &self.choice {
            Choice::Auto => "auto".to_owned(),
            Choice::Add => "add".to_owned(),
            Choice::Replace { device } => device.0.to_string(),
        };
        let restore = match self.restore {
            None => "",
            Some(Restore::None) => "none",
            Some(Restore::Data) => "data",
            Some(Restore::Settings) => "settings",
            Some(Restore::All) => "all",
        };
        let can_ask = match (self.can_ask, self.preview) {
            (false, Preview::None) => "",
            (true, Preview::None) => "asks",
            (false, Preview::Changes) => "shows changes",
            (true, Preview::Changes) => "asks, shows changes",
            (false, Preview::Always) => "shows",
            (true, Preview::Always) => "asks, shows",
        };
        let Evidence { host_name, serial, hardware_uuid, os_user } = &self.evidence;
        for text in [&self.email, host_name, serial, hardware_uuid, os_user, &choice, restore, can_ask] {
            bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }
}
