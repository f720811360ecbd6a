//! The admin API, `/api/v1`: one module a resource. Refuses requests with fields that it does not know; answers may
//! gain fields. The routes and these types make docs/openapi.json; words and examples are in docs/api.md.

pub mod administrator;
pub mod audit;
pub mod campaign;
pub mod collection;
pub mod conflict;
pub mod credential;
pub mod desk;
pub mod device;
pub mod device_map;
pub mod hold;
pub mod mail;
pub mod password;
pub mod policy;
pub mod profile;
pub mod quota;
mod schema;
pub mod scrub;
pub mod snapshot;
pub mod storage;
pub mod template;
pub mod ticket;
pub mod token;
pub mod user;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Page_of_{T}")]
pub struct Page<T> {
    /// What is on it, in the order of the list.
    pub items: Vec<T>,
    /// To be given as `after` for the next page; `null` on the last.
    pub next: Option<String>,
}

/// The query of a list that has no filters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// `next` of the page before; nothing for the first page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many items at most: 1 to 1000, 100 when it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// A body or an answer without content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}
