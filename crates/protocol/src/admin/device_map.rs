//! The device map: `/api/v1/device-map`.

use crate::Text;
use base::{DeviceId, MapRowId, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapImport {
    /// The rows.
    pub rows: Vec<MapRowText>,
}

/// One row as it is given; the same columns as in a CSV file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapRowText {
    /// Whose the machine is.
    pub email: String,
    /// Its number.
    pub device_id: String,
    /// Which number: `serial`, `uuid`, `host_name`.
    pub device_id_type: String,
    /// The name of a record that is made for it; the machine's own when it is empty.
    #[serde(default)]
    pub device_name: String,
    /// The record that it takes over, by identifier or name; none when it is empty.
    #[serde(default)]
    pub replace_device: String,
    /// What is to be brought back: `none`, `data`, `settings`, `all`; `none` when it is empty.
    #[serde(default)]
    pub restore_data: String,
}

/// What an import has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MapImported {
    /// Rows that were added or changed.
    pub stored: u64,
    /// Rows that were there already, or that an activation has used.
    pub unchanged: u64,
    /// Rows that were not stored.
    pub rejected: Vec<MapRejected>,
    /// The same as CSV with a column `error`, safe to be opened by a spreadsheet; empty when there are none.
    pub rejected_csv: String,
}

/// A row that was not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MapRejected {
    /// Which row, from 1; the line of names does not count.
    pub number: u64,
    /// As it was given.
    pub row: MapRowText,
    /// Why, as a sentence.
    pub error: String,
}

/// A row of the device map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MapRow {
    /// Which.
    pub row: Text<MapRowId>,
    /// Whose the machine is.
    pub user: Text<UserId>,
    /// The address of that user.
    pub email: String,
    /// Which number: `serial`, `uuid`, `host_name`.
    pub kind: String,
    /// The number, as it is compared.
    pub value: String,
    /// The name of a record that is made for it; empty is the machine's own.
    pub device_name: String,
    /// The record that it takes over.
    pub replaces: Option<Text<DeviceId>>,
    /// What is to be brought back.
    pub restore: String,
    /// When the row was made.
    pub created_at_ms: i64,
    /// By whom, as the audit log writes it.
    pub created_by: String,
    /// When an activation used it.
    pub consumed_at_ms: Option<i64>,
    /// Which record that was.
    pub consumed_by: Option<Text<DeviceId>>,
}
