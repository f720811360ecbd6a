//! Devices: `/api/v1/devices`.

use crate::Text;
use base::{CampaignId, ConflictId, DeviceId, SnapshotId, TokenId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which devices to list, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only devices of the user with this address or identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Only devices whose state has this word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only devices that were last seen before this, or never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_before_ms: Option<i64>,
    /// Only devices that were last seen at this or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_from_ms: Option<i64>,
    /// Only devices with this name, this identifier, or an identifier that begins so (four letters after `dev_` at
    /// the least).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<String>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// The record.
    pub device: Text<DeviceId>,
    /// Its name.
    pub name: String,
    /// The address of its user.
    pub user: String,
    /// The word of its state.
    pub state: String,
    /// The states that this one covers, from the outer to the inner, with a space between.
    pub state_was: Option<String>,
    /// What its credential may do, or could: `full`, `append_only`.
    pub rights: Option<String>,
    /// What the old key of a deactivated device is still worth: `rotate`, `revoke`, `distrust`.
    pub level: Option<String>,
    /// Until when a held device may append.
    pub append_until_ms: Option<i64>,
    /// When a deleted device may be purged.
    pub purge_after_ms: Option<i64>,
    /// Which binding of a key it has; 0 before the first.
    pub epoch: u64,
    /// When the record was made.
    pub created_at_ms: i64,
    /// When a key was last bound to it.
    pub activated_at_ms: i64,
    /// When it was last heard of: by an activation, a session, or one that was refused.
    pub last_seen_at_ms: Option<i64>,
    /// Its newest snapshot.
    pub last_snapshot: Option<Text<SnapshotId>>,
    /// What the computer said of itself when it was last activated.
    pub about: About,
    /// What is known beside the record itself; in the answer for one device only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Box<DeviceMore>>,
}

/// What is known of a device beside its record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceMore {
    /// The word of the proof by which its computer came to it, or asks for it; `null` before anybody did.
    pub proof: Option<String>,
    /// The address that it asked from.
    pub source: Option<String>,
    /// The deployment token that it came by.
    pub token: Option<Text<TokenId>>,
    /// What that token's maker calls it.
    pub token_name: Option<String>,
    /// Since when a computer waits as it for an admin's yes; `null` when none does.
    pub waits_since_ms: Option<i64>,
    /// The record that it was merged into.
    pub merged_into: Option<Text<DeviceId>>,
    /// When it catches up on what it has missed.
    pub catch_up_at_ms: Option<i64>,
    /// Until when its backups are watched.
    pub watch_until_ms: Option<i64>,
    /// The open conflicts that it is part of, the newest first.
    pub conflicts: Vec<Text<ConflictId>>,
    /// The campaigns that it is part of, the newest first and at most ten; none without the permit `campaign_read`.
    pub campaigns: Vec<DeviceCampaign>,
}

/// A campaign that a device is part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceCampaign {
    /// Which.
    pub campaign: Text<CampaignId>,
    /// Its name.
    pub name: String,
    /// `running`, `paused`, `aborted`, `closed`.
    pub status: String,
    /// Where the device stands in it, as on the board.
    pub place: String,
    /// Why, as on the board.
    pub reason: String,
}

/// What a computer says of itself; empty where it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct About {
    /// Its name in the network.
    pub host_name: String,
    /// The maker's serial number.
    pub serial: String,
    /// The hardware UUID of the firmware.
    pub hardware_uuid: String,
    /// The account that the endpoint runs as.
    pub os_user: String,
    /// `linux`, `windows`, `macos`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// The endpoint's release.
    pub agent: String,
}

/// What the old key of a deactivated device is still worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetLevel {
    /// It alone proves the device, which gets a new key.
    Rotate,
    /// It proves nothing alone: the user signs in, or a ticket or deployment token comes with it.
    Revoke,
    /// Somebody else has it too: it proves nothing, whatever comes with it.
    Distrust,
}

/// Refuse a device's credential from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deactivate {
    /// What its old key is still worth.
    pub level: ResetLevel,
}

/// Make a device activate again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// For how many days it may still append, 1 to 365; as the configuration says when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub append_days: Option<u64>,
}

/// A support bundle that a device was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SupportBundle {
    /// Of which device.
    pub device: Text<DeviceId>,
    /// When it was asked for.
    pub asked_at_ms: i64,
    /// By whom, as the audit log writes it.
    pub asked_by: String,
    /// When it came; `null` while the device has not sent it.
    pub sent_at_ms: Option<i64>,
    /// What came: JSON for a person to read; `null` before that.
    pub text: Option<String>,
}
