//! What a command line names: by its identifier, the beginning of one, or a name that only one has. Refuses to choose
//! between two: nothing is done to a thing that somebody may not have meant.

use crate::client::{Client, Said};
use crate::out::Failure;
use protocol::admin::administrator::{Admin, AdminQuery};
use protocol::admin::campaign::Campaign;
use protocol::admin::conflict::{Conflict, ConflictQuery};
use protocol::admin::credential::Credential;
use protocol::admin::device::{Device, DeviceQuery};
use protocol::admin::device_map::MapRow;
use protocol::admin::hold::Hold;
use protocol::admin::profile::{Profile, ProfileQuery};
use protocol::admin::ticket::Ticket;
use protocol::admin::token::Token;
use protocol::admin::user::{User, UserQuery};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Display;
use std::str::FromStr;

/// How many characters of an identifier are enough: its kind, and four letters.
const BEGINNING_MIN: usize = 8;

/// Something that has an identifier and a name.
pub(super) trait Entity: DeserializeOwned {
    /// The identifier's type.
    type Id: FromStr + Display;
    /// What it is called in a sentence.
    const WORD: &'static str;
    /// The command that lists all.
    const COMMAND: &'static str;
    /// The code for one that there is not.
    const UNKNOWN: &'static str;
    /// The path of the list.
    const LIST: &'static str;

    /// Its identifier. Never fails.
    fn id(&self) -> Self::Id;

    /// Its name. Never fails.
    fn name(&self) -> &str;

    /// What the list is asked for, to have those alone that may be meant. Never fails.
    fn query(_named: &str) -> Value {
        json!({})
    }

    /// Is this meant? Never fails.
    fn fits(&self, named: &str) -> bool {
        self.name() == named || (named.len() >= BEGINNING_MIN && self.id().to_string().starts_with(named))
    }
}

/// The one that is named, as the server shows it.
///
/// # Errors
/// Its `UNKNOWN`; `name_ambiguous`; the server's refusal.
pub(super) async fn find<T: Entity>(client: &Client, named: &str) -> Result<Said<T>, Failure> {
    if let Ok(id) = named.parse::<T::Id>() {
        return client.get(&format!("{}/{id}", T::LIST), &()).await;
    }
    find_among(client, &T::query(named), named).await
}

/// The one that is named, with what the server says of one alone and not in a list.
///
/// # Errors
/// As `find`.
pub(super) async fn whole<T: Entity>(client: &Client, named: &str) -> Result<Said<T>, Failure> {
    let id = id::<T>(client, named).await?;
    client.get(&format!("{}/{id}", T::LIST), &()).await
}

/// The one that is named among those that the list shows for `query`.
///
/// # Errors
/// As `find`.
pub(super) async fn find_among<T: Entity>(
    client: &Client,
    query: &impl Serialize,
    named: &str,
) -> Result<Said<T>, Failure> {
    let Said { value, json } = client.list::<T>(T::LIST, query).await?;
    let mut fitting = value.into_iter().enumerate().filter(|(_, thing)| thing.fits(named));
    let shown = named.escape_debug();
    match (fitting.next(), fitting.next()) {
        (Some((at, value)), None) => Ok(Said { value, json: json["items"][at].clone() }),
        (None, _) => {
            let what = format_args!("{} \"{shown}\"", T::WORD);
            Err(Failure::new(T::UNKNOWN, app::there_is_no(what, T::COMMAND)))
        }
        (Some(_), Some(_)) => {
            let sentence = format!(
                "More than one {} is called \"{shown}\": give its identifier, or more of it; \
                 a list with `--json` has it.",
                T::WORD
            );
            Err(Failure::new("name_ambiguous", sentence))
        }
    }
}

/// The identifier of the one that is named; it is not asked for where it was given.
///
/// # Errors
/// As `find`.
pub(super) async fn id<T: Entity>(client: &Client, named: &str) -> Result<T::Id, Failure> {
    match named.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(find::<T>(client, named).await?.value.id()),
    }
}

impl Entity for Device {
    type Id = base::DeviceId;
    const WORD: &'static str = "device";
    const COMMAND: &'static str = "device list";
    const UNKNOWN: &'static str = "device_unknown";
    const LIST: &'static str = "/devices";

    fn id(&self) -> base::DeviceId {
        self.device.0
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn query(named: &str) -> Value {
        json!(DeviceQuery { named: Some(named.to_owned()), ..Default::default() })
    }
}

impl Entity for User {
    type Id = base::UserId;
    const WORD: &'static str = "user";
    const COMMAND: &'static str = "user list";
    const UNKNOWN: &'static str = "user_unknown";
    const LIST: &'static str = "/users";

    fn id(&self) -> base::UserId {
        self.user.0
    }

    fn name(&self) -> &str {
        &self.email
    }

    fn query(named: &str) -> Value {
        json!(UserQuery { email: Some(named.to_owned()), ..Default::default() })
    }

    fn fits(&self, _: &str) -> bool {
        // The server has compared, in lower case.
        true
    }
}

impl Entity for Admin {
    type Id = base::AdminId;
    const WORD: &'static str = "admin";
    const COMMAND: &'static str = "admin list";
    const UNKNOWN: &'static str = "admin_unknown";
    const LIST: &'static str = "/admins";

    fn id(&self) -> base::AdminId {
        self.admin.0
    }

    fn name(&self) -> &str {
        &self.email
    }

    fn query(named: &str) -> Value {
        json!(AdminQuery { email: Some(named.to_owned()), ..Default::default() })
    }

    fn fits(&self, _: &str) -> bool {
        // The server has compared, in lower case.
        true
    }
}

impl Entity for Profile {
    type Id = base::ProfileId;
    const WORD: &'static str = "profile";
    const COMMAND: &'static str = "profile list";
    const UNKNOWN: &'static str = "profile_unknown";
    const LIST: &'static str = "/profiles";

    fn id(&self) -> base::ProfileId {
        self.profile.0
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn query(named: &str) -> Value {
        json!(ProfileQuery { name: Some(named.to_owned()), ..Default::default() })
    }
}

impl Entity for Campaign {
    type Id = base::CampaignId;
    const WORD: &'static str = "campaign";
    const COMMAND: &'static str = "campaign list";
    const UNKNOWN: &'static str = "campaign_unknown";
    const LIST: &'static str = "/campaigns";

    fn id(&self) -> base::CampaignId {
        self.campaign.0
    }

    fn name(&self) -> &str {
        &self.plan.name
    }
}

impl Entity for Token {
    type Id = base::TokenId;
    const WORD: &'static str = "token";
    const COMMAND: &'static str = "token list";
    const UNKNOWN: &'static str = "token_unknown";
    const LIST: &'static str = "/tokens";

    fn id(&self) -> base::TokenId {
        self.token.0
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Entity for Credential {
    type Id = base::CredentialId;
    const WORD: &'static str = "credential";
    const COMMAND: &'static str = "credential list";
    const UNKNOWN: &'static str = "credential_unknown";
    const LIST: &'static str = "/credentials";

    fn id(&self) -> base::CredentialId {
        self.credential.0
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// A ticket has no name: the beginning of its code, as lists show it, stands for one.
impl Entity for Hold {
    type Id = base::HoldId;
    const WORD: &'static str = "hold";
    const COMMAND: &'static str = "hold list";
    const UNKNOWN: &'static str = "hold_unknown";
    const LIST: &'static str = "/holds";

    fn id(&self) -> base::HoldId {
        self.hold.0
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl Entity for Ticket {
    type Id = base::TicketId;
    const WORD: &'static str = "ticket";
    const COMMAND: &'static str = "ticket list";
    const UNKNOWN: &'static str = "ticket_unknown";
    const LIST: &'static str = "/tickets";

    fn id(&self) -> base::TicketId {
        self.ticket.0
    }

    fn name(&self) -> &str {
        &self.prefix
    }
}

/// A row of the device map is named by the machine's number.
impl Entity for MapRow {
    type Id = base::MapRowId;
    const WORD: &'static str = "map row";
    const COMMAND: &'static str = "device-map list";
    const UNKNOWN: &'static str = "map_row_unknown";
    const LIST: &'static str = "/device-map";

    fn id(&self) -> base::MapRowId {
        self.row.0
    }

    fn name(&self) -> &str {
        &self.value
    }
}

/// A conflict is named by its device.
impl Entity for Conflict {
    type Id = base::ConflictId;
    const WORD: &'static str = "conflict";
    const COMMAND: &'static str = "conflict list --all";
    const UNKNOWN: &'static str = "conflict_unknown";
    const LIST: &'static str = "/conflicts";

    fn id(&self) -> base::ConflictId {
        self.conflict.0
    }

    fn name(&self) -> &str {
        &self.device.name
    }

    fn query(_: &str) -> Value {
        json!(ConflictQuery { all: true, ..Default::default() })
    }
}
