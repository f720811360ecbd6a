//! The audit log: `/api/v1/audit`.

use crate::Hex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which rows to list, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only rows of exactly this actor: `local root`, `credential crd_…`, `user usr_…`, `device dev_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only rows of exactly this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Only rows about exactly this subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Only rows that are not older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
    /// Only rows that are older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
}

/// A row of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRow {
    /// Its number, from 1 without a gap.
    pub number: u64,
    /// When.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// Did what.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The rest, in words.
    pub detail: String,
    /// From where: an address, `command line`, or empty.
    pub source: String,
    /// By which proof; empty where none was asked for.
    pub proof: String,
    /// What the hash covers: 2 everything; 1, of older releases, not source and proof.
    pub version: u32,
    /// Covers this row and the hash of the row before.
    pub hash: Hex<32>,
}

/// What to compare the log with besides itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyQuery {
    /// The number of a row that was noted elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The hash that was noted with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hex<32>>,
}

/// What the whole chain says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditVerified {
    /// Whether every row is what it must be.
    pub holds: bool,
    /// How many rows are good from the beginning on.
    pub rows: u64,
    /// The hash of the last of them: note it with the number, outside of this server, and give both next time.
    pub head: Hex<32>,
    /// The first row that is not what it must be; `null` when the chain holds.
    pub broken: Option<AuditBroken>,
}

/// The first row that is not what it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditBroken {
    /// Its number.
    pub number: u64,
    /// `changed`, `missing`, `cut_off`, `not_as_noted`.
    pub fault: String,
}

/// How the log is taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportForm {
    /// One JSON object a line, each an `AuditRow`.
    #[default]
    Ndjson,
    /// A table with a line of headings; what a spreadsheet would compute is made plain text.
    Csv,
}

/// How the log is taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// `ndjson` when it is not given.
    #[serde(default)]
    pub form: ExportForm,
    /// Only rows after the one with this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_number: Option<u64>,
}
