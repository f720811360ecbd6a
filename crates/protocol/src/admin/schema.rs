//! How identifiers and bytes are described in docs/openapi.json: as texts with the form that they have.

use crate::{Hex, Text};
use base::{
    AdminId, CampaignId, ConflictId, CredentialId, DeviceId, FolderId, HoldId, MailId, MapRowId, ProfileId,
    RepositoryId, RunId, SnapshotId, TicketId, TokenId, UserId,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

macro_rules! identifiers {
    ($($id:ident),+) => {
        $(impl JsonSchema for Text<$id> {
            fn schema_name() -> Cow<'static, str> {
                stringify!($id).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let pattern = format!("^{}_[0-9a-hjkmnp-tv-z]{{26}}$", $id::PREFIX);
                json_schema!({ "type": "string", "pattern": pattern })
            }
        })+
    };
}

identifiers!(
    AdminId,
    CampaignId,
    ConflictId,
    CredentialId,
    DeviceId,
    HoldId,
    RepositoryId,
    RunId,
    FolderId,
    MailId,
    MapRowId,
    ProfileId,
    SnapshotId,
    TicketId,
    TokenId,
    UserId
);

impl JsonSchema for Text<String> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl<const N: usize> JsonSchema for Hex<N> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Hex{N}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": format!("^[0-9a-f]{{{}}}$", 2 * N) })
    }
}
