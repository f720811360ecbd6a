//! What a device is to do, where each rule comes from, and what its user may change of it.

use crate::Text;
use base::FolderId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /v1/policy`: the effective policy of the device that asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReply {
    /// Grows with every change of anything below.
    pub revision: u64,
    /// The name of the user's profile.
    pub profile: String,
    /// Every value, in the order of docs/control.md.
    pub values: Vec<PolicyValue>,
    /// Every folder: of the profile, of the user, of the device.
    pub folders: Vec<PolicyFolder>,
    /// What no backup takes, as patterns, whatever the folder.
    pub exclusions: Vec<String>,
    /// How much the user's backups take, and may take.
    pub quota: QuotaDetail,
}

/// One value and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyValue {
    /// The policy's stable word, such as `interval`.
    pub key: String,
    /// As docs/control.md, "Policies", writes values: `4h`, `2MB/s`, `low`, `yes`.
    pub value: String,
    /// The level that has set it: `default`, `organisation`, `profile`, `user` or `device`.
    pub from: String,
    /// Whether the user may set another.
    pub may_change: bool,
}

/// One folder to back up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFolder {
    /// Which.
    pub folder: Text<FolderId>,
    /// As it was written, with variables: `${home}/Documents`.
    pub path: String,
    /// `any`, `linux`, `windows` or `macos`.
    pub os: String,
    /// The level that has added it: `profile`, `user` or `device`.
    pub from: String,
    /// Whether the user may not take it out.
    pub mandatory: bool,
    /// False when the user has taken it out of this device's backup.
    pub linked: bool,
    /// Only what matches one of these; everything when there is none.
    pub include: Vec<String>,
    /// Nothing that matches one of these.
    pub exclude: Vec<String>,
}

/// How much a user's backups take, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaDetail {
    /// The logical bytes of the newest snapshot of each of the user's devices; where this device may not list
    /// snapshots, of its own newest, if its own key has appended that.
    pub used: u64,
    /// How much they may be; absent when there is no limit.
    pub limit: Option<u64>,
    /// The level that has set the limit.
    pub from: String,
}

/// `PATCH /v1/policy/values`: the user's own values for this device; null takes one back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValuesRequest {
    /// The policy's word, and the value.
    pub values: BTreeMap<String, Option<String>>,
}

/// `POST /v1/policy/folders`: a folder of the user's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderRequest {
    /// With variables, or absolute.
    pub path: String,
    /// Only what matches one of these; everything when there is none.
    #[serde(default)]
    pub include: Vec<String>,
    /// Nothing that matches one of these.
    #[serde(default)]
    pub exclude: Vec<String>,
}

/// What an activation has changed of the user's own choices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChanges {
    /// True when the profile says that a reactivation keeps the user's choices: nothing below has been changed then.
    pub kept: bool,
    /// The folders that the user had taken out, and that are back (or, with `kept`, still out).
    pub folders: Vec<FolderChange>,
    /// The values that the user had set, and that are the profile's again (or, with `kept`, still the user's).
    pub values: Vec<ValueChange>,
}

/// A folder that the user had taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderChange {
    /// Which.
    pub folder: Text<FolderId>,
    /// As it was written.
    pub path: String,
}

/// A value that the user had set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueChange {
    /// The policy's word.
    pub key: String,
    /// The user's value.
    pub was: String,
    /// The profile's.
    pub now: String,
}
