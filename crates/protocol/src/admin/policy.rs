//! Policies at every level, folders and quota: `/api/v1/policies`, `/api/v1/organisation`, `/api/v1/folders`,
//! `/api/v1/quota`, and what hangs on profiles, users and devices.

use crate::Text;
use base::{FolderId, ProfileId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A policy: what may be set, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyKey {
    /// Its stable word.
    pub key: String,
    /// The value where no level has one.
    pub default: String,
    /// What may be set, in words.
    pub allowed: String,
    /// The levels at which it may be set, from the widest to the narrowest.
    pub levels: Vec<String>,
    /// The policy that says whether users may change this one; `null` where only admins may.
    pub user_may: Option<String>,
    /// Whether a reactivation takes back what the user has set.
    pub resets: bool,
    /// Which program does what it says, today; `nothing yet` where none does.
    pub obeyed_by: String,
}

/// Every policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyKeys {
    /// In the order of docs/control.md.
    pub items: Vec<PolicyKey>,
}

/// What one level has set for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LevelValues {
    /// By policy.
    pub items: Vec<LevelValue>,
}

/// One value of one level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LevelValue {
    /// The policy's word.
    pub key: String,
    /// The value.
    pub value: String,
    /// Whether the device's user has set it; else an admin has.
    pub by_user: bool,
}

/// Values to be set at a level, or taken back: all of them or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValuesSet {
    /// The policy's word, and the value; `null` takes it back.
    pub values: BTreeMap<String, Option<String>>,
}

/// What holds for a user or a device, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    /// Grows with every change of it.
    pub revision: u64,
    /// The user's profile.
    pub profile: Text<ProfileId>,
    /// Its name.
    pub profile_name: String,
    /// Every value, in the order of docs/control.md.
    pub values: Vec<HeldValue>,
    /// The folders, those that the user has taken out too.
    pub folders: Vec<HeldFolder>,
    /// How many bytes the user's newest snapshots take.
    pub used: u64,
}

/// A value that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldValue {
    /// The policy's word.
    pub key: String,
    /// The value.
    pub value: String,
    /// The level that has set it: `default`, `organisation`, `profile`, `user`, `device`.
    pub from: String,
    /// Whether the user may set another at the device; never for a user without one.
    pub may_change: bool,
}

/// A folder that holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldFolder {
    /// The folder.
    pub folder: Folder,
    /// False when the user has taken it out.
    pub linked: bool,
}

/// A folder to back up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Folder {
    /// Which.
    pub folder: Text<FolderId>,
    /// The level that has it: `profile`, `user`, `device`.
    pub from: String,
    /// `any`, `linux`, `windows`, `macos`.
    pub os: String,
    /// Absolute, or with a variable at its beginning: `${home}/Documents`.
    pub path: String,
    /// Whether users may not take it out.
    pub mandatory: bool,
    /// Only what matches one of these patterns; everything when there is none.
    pub include: Vec<String>,
    /// Nothing that matches one of these patterns.
    pub exclude: Vec<String>,
}

/// The folders of one level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Folders {
    /// By path.
    pub items: Vec<Folder>,
}

/// What a folder is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderSet {
    /// `any` (when not given), `linux`, `windows`, `macos`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Absolute, or beginning with `${home}`, `${documents}` or `${desktop}`.
    pub path: String,
    /// Whether users may not take it out; no when not given.
    #[serde(default)]
    pub mandatory: bool,
    /// Only what matches one of these patterns; everything when there is none.
    #[serde(default)]
    pub include: Vec<String>,
    /// Nothing that matches one of these patterns.
    #[serde(default)]
    pub exclude: Vec<String>,
}

/// What a user takes, and may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quota {
    /// Who.
    pub user: Text<UserId>,
    /// The address.
    pub email: String,
    /// What the newest snapshots of the user's devices take, in bytes.
    pub used: u64,
    /// How much it may be; `null` is no limit.
    pub limit: Option<u64>,
    /// The level that has set the limit.
    pub from: String,
}
