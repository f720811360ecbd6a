//! The conflict desk: `/api/v1/conflicts`.

use crate::Text;
use crate::admin::device::About;
use base::{ConflictId, DeviceId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which conflicts to list, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Decided ones too, and not only what is open.
    #[serde(default)]
    pub all: bool,
}

/// Two machines with one key, or two records of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conflict {
    /// Which.
    pub conflict: Text<ConflictId>,
    /// `clone`: two machines with one key; `records`: two records of one machine.
    pub kind: String,
    /// `open`, `merged`, `split`, `kept`, `undone`.
    pub status: String,
    /// When it was seen last.
    pub seen_at_ms: i64,
    /// How often.
    pub times: u64,
    /// How many sessions the server had counted.
    pub counter: u64,
    /// How many the machine presented that was found.
    pub counter_seen: u64,
    /// The address of that machine.
    pub source: String,
    /// The record.
    pub device: ConflictSide,
    /// The other record, where there is one.
    pub other: Option<ConflictSide>,
    /// Whether `split` has cut a key off; not where it was replaced, or worth nothing, before.
    #[serde(default)]
    pub cut_off: bool,
    /// Who decided.
    pub resolved_by: Option<String>,
    /// When.
    pub resolved_at_ms: Option<i64>,
    /// Until when that can be undone.
    pub undo_until_ms: Option<i64>,
    /// Which of two records in question a merge keeps, where the admin does not say: the one that was heard of last.
    pub merge_keeps: Option<Text<DeviceId>>,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConflictSide {
    /// The record.
    pub device: Text<DeviceId>,
    /// Its name.
    pub name: String,
    /// Its user's address.
    pub user: String,
    /// The word of its state.
    pub state: String,
    /// What the computer said of itself at its last activation.
    pub about: About,
    /// When it last opened a session.
    pub seen_at_ms: Option<i64>,
}

/// What an admin decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "decision", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConflictDecision {
    /// One machine after all: it goes on as before.
    OneMachine,
    /// Two machines: the key proves nothing any more, and each activates anew.
    TwoMachines {
        /// For whom a record is prepared, so that the other machine finds it.
        #[serde(default)]
        other_user: Option<Text<UserId>>,
    },
    /// Two records of one machine: one is merged into the other.
    Merge {
        /// The record that stays; `merge_keeps` of the conflict where it is not given.
        #[serde(default)]
        keep: Option<Text<DeviceId>>,
    },
    /// Both records stay, and nobody is warned of them again.
    KeepBoth,
}

/// Two records that an admin makes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictMerge {
    /// The record that is kept: the one that the computer uses.
    pub keep: Text<DeviceId>,
    /// The one whose snapshots are shown and read there.
    pub other: Text<DeviceId>,
}
