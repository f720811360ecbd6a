//! Tickets: `/api/v1/tickets`.

use crate::Text;
use base::{DeviceId, TicketId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A ticket to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketMake {
    /// The address of the user that it is for.
    pub email: String,
    /// What the computer becomes: `auto`, `add`, or `replace` and the device; `auto` when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
    /// The device of the user that it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Text<DeviceId>>,
    /// What is to be brought back: `none`, `data`, `settings`, `all`; `none` when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<String>,
    /// For how many milliseconds it is good: at most 30 days; 7 days when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_ms: Option<u64>,
    /// Is its code to be in the answer, and not mailed to the user?
    #[serde(default)]
    pub show: bool,
}

/// A ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ticket {
    /// Which.
    pub ticket: Text<TicketId>,
    /// For whom.
    pub user: Text<UserId>,
    /// The address of that user.
    pub email: String,
    /// The first group of its code.
    pub prefix: String,
    /// What the computer becomes: `auto`, `add`, `replace`.
    pub choice: String,
    /// The device that it replaces.
    pub replaces: Option<Text<DeviceId>>,
    /// What is to be brought back.
    pub restore: String,
    /// When it ends.
    pub expires_at_ms: i64,
    /// When it was revoked.
    pub revoked_at_ms: Option<i64>,
    /// When it was used.
    pub used_at_ms: Option<i64>,
    /// By which device.
    pub used_by: Option<Text<DeviceId>>,
    /// When it was made.
    pub created_at_ms: i64,
    /// By whom, as the audit log writes it.
    pub created_by: String,
}

/// A ticket that was just made. Its code is either mailed or in this answer, never both.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TicketMade {
    /// The ticket.
    pub ticket: Ticket,
    /// Was a message with its code queued for the user?
    pub mailed: bool,
    /// Its code, for the user, where it was not mailed. Shown here and never again.
    pub code: Option<String>,
    /// Why it was not mailed: `asked` or `mail_off`.
    pub unmailed: Option<String>,
}

impl fmt::Debug for TicketMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketMade").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}
