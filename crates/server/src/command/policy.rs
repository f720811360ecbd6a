//! `policy show|keys`.

use super::{Desk, named};
use crate::client::Said;
use crate::out::{Answer, Failure, card, table};
use base::Bytes;
use clap::Subcommand;
use protocol::admin::device::Device;
use protocol::admin::policy::{HeldFolder, HeldValue, Policy as Wire, PolicyKey, PolicyKeys};
use protocol::admin::user::User;

/// What can be asked about policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Show what holds for a user or a device, and where each value comes from.
    Show {
        /// For this user: an e-mail address or an identifier.
        #[arg(long, required_unless_present = "device", conflicts_with = "device")]
        user: Option<String>,
        /// For this device: an identifier, the beginning of one, or a name.
        #[arg(long)]
        device: Option<String>,
    },
    /// List every policy: what may be set, and where.
    Keys,
}

impl Policy {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        let path = match self {
            Policy::Keys => {
                let said: Said<PolicyKeys> = client.get("/policies", &()).await?;
                return Ok(Answer::good(keys(&said.value), said.json));
            }
            Policy::Show { user: Some(user), .. } => {
                format!("/users/{}/policy", named::id::<User>(&client, &user).await?)
            }
            Policy::Show { device, .. } => {
                let id = named::id::<Device>(&client, &device.unwrap_or_default()).await?;
                format!("/devices/{id}/policy")
            }
        };
        let said: Said<Wire> = client.get(&path, &()).await?;
        Ok(Answer::good(text(&said.value), said.json))
    }
}

fn keys(keys: &PolicyKeys) -> String {
    let row = |key: &PolicyKey| {
        let levels: Vec<&str> = key.levels.iter().map(String::as_str).collect();
        let default = if key.default.is_empty() { "-".to_owned() } else { key.default.clone() };
        vec![key.key.clone(), default, levels.join(" "), key.obeyed_by.clone(), key.allowed.clone()]
    };
    let rows: Vec<Vec<String>> = keys.items.iter().map(row).collect();
    table(&["POLICY", "DEFAULT", "LEVELS", "OBEYED BY", "ALLOWED"], &rows)
}

fn text(policy: &Wire) -> String {
    let head = card(&[
        ("profile", policy.profile_name.clone()),
        ("revision", policy.revision.to_string()),
        ("used", Bytes(policy.used).to_string()),
    ]);
    let row = |value: &HeldValue| {
        let change = if value.may_change { "yes" } else { "-" };
        vec![value.key.clone(), value.value.escape_debug().to_string(), value.from.clone(), change.to_owned()]
    };
    let rows: Vec<Vec<String>> = policy.values.iter().map(row).collect();
    let values = table(&["POLICY", "VALUE", "FROM", "USER MAY CHANGE"], &rows);
    format!("{head}\n{values}\n{}", folders(&policy.folders))
}

fn folders(folders: &[HeldFolder]) -> String {
    if folders.is_empty() {
        return "no folders\n".to_owned();
    }
    let row = |held: &HeldFolder| {
        let state = match (held.folder.mandatory, held.linked) {
            (true, _) => "mandatory",
            (false, true) => "linked",
            (false, false) => "unlinked",
        };
        vec![held.folder.path.clone(), held.folder.os.clone(), held.folder.from.clone(), state.to_owned()]
    };
    let rows: Vec<Vec<String>> = folders.iter().map(row).collect();
    table(&["FOLDER", "SYSTEM", "FROM", "STATE"], &rows)
}
