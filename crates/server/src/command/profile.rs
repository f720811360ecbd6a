//! `profile list|show|make|copy|rename|remove|set|unset|preview|assign|folder …`.

mod folder;

use super::{Desk, named, values, words};
use crate::client::{Client, Said};
use crate::out::{Answer, Failure, card, table};
use base::{Count, Timestamp};
use clap::Subcommand;
use protocol::Text;
use protocol::admin::Nothing;
use protocol::admin::policy::{Folders, LevelValues};
use protocol::admin::profile::{
    Profile as Wire, ProfileAssign, ProfileDifference, ProfileName, ProfilePreview, ProfileQuery,
};
use protocol::admin::user::User;
use serde_json::json;

/// What can be asked about profiles. PROFILE is a name or an identifier.
#[derive(Debug, Subcommand)]
pub enum Profile {
    /// List profiles.
    List,
    /// Show a profile with its values and folders.
    Show {
        /// Its name or identifier.
        profile: String,
    },
    /// Make a profile that has nothing of its own yet.
    Make {
        /// Its name.
        name: String,
    },
    /// Make a profile with the values and folders of another.
    Copy {
        /// The name or identifier of the other.
        profile: String,
        /// The name of the new one.
        name: String,
    },
    /// Rename a profile.
    Rename {
        /// Its name or identifier.
        profile: String,
        /// Its new name.
        name: String,
    },
    /// Remove a profile that no user has.
    Remove {
        /// Its name or identifier.
        profile: String,
    },
    /// Set values of a profile; they hold at once for its users.
    Set {
        /// Its name or identifier.
        profile: String,
        /// Such as `interval=4h`; `policy keys` lists what there is.
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Take values of a profile back.
    Unset {
        /// Its name or identifier.
        profile: String,
        /// Such as `interval`.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
    /// Show what setting values would change, and for how many; nothing is changed.
    Preview {
        /// Its name or identifier.
        profile: String,
        /// What would be set.
        #[arg(required_unless_present = "unset", value_name = "KEY=VALUE")]
        values: Vec<String>,
        /// What would be taken back.
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
    },
    /// Give users a profile; it holds at once.
    Assign {
        /// Its name or identifier.
        profile: String,
        /// E-mail addresses or identifiers.
        #[arg(required = true)]
        users: Vec<String>,
    },
    /// Add, change and remove folders of a profile.
    #[command(subcommand)]
    Folder(folder::Folder),
}

impl Profile {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        match self {
            Profile::List => list(&client).await,
            Profile::Show { profile } => show(&client, &profile).await,
            Profile::Make { name } => name_set(&client, "/profiles", name, "made").await,
            Profile::Copy { profile, name } => {
                let id = named::id::<Wire>(&client, &profile).await?;
                name_set(&client, &format!("/profiles/{id}/copy"), name, "made").await
            }
            Profile::Rename { profile, name } => {
                let id = named::id::<Wire>(&client, &profile).await?;
                name_set(&client, &format!("/profiles/{id}/rename"), name, "renamed to").await
            }
            Profile::Remove { profile } => {
                let id = named::id::<Wire>(&client, &profile).await?;
                let said: Said<Nothing> = client.change("DELETE", &format!("/profiles/{id}"), &Nothing {}).await?;
                Ok(Answer::good(format!("removed {id}\n"), said.json))
            }
            Profile::Set { profile, values } => {
                let path = format!("/profiles/{}", named::id::<Wire>(&client, &profile).await?);
                values::change(&client, &path, &values, &[]).await
            }
            Profile::Unset { profile, keys } => {
                let path = format!("/profiles/{}", named::id::<Wire>(&client, &profile).await?);
                values::change(&client, &path, &[], &keys).await
            }
            Profile::Preview { profile, values, unset } => preview(&client, &profile, &values, &unset).await,
            Profile::Assign { profile, users } => assign(&client, &profile, &users).await,
            Profile::Folder(folder) => folder.answer(&client).await,
        }
    }
}

async fn list(client: &Client) -> Result<Answer, Failure> {
    let said = client.list::<Wire>("/profiles", &ProfileQuery::default()).await?;
    let row = |profile: Wire| {
        let default = if profile.is_default { "yes" } else { "-" };
        let made = words::time(Timestamp::from_ms(profile.created_at_ms));
        vec![profile.name, profile.users.to_string(), default.to_owned(), made]
    };
    let rows: Vec<Vec<String>> = said.value.into_iter().map(row).collect();
    Ok(Answer::good(table(&["PROFILE", "USERS", "DEFAULT", "MADE"], &rows), said.json))
}

async fn show(client: &Client, profile: &str) -> Result<Answer, Failure> {
    let id = named::id::<Wire>(client, profile).await?;
    let found: Said<Wire> = client.get(&format!("/profiles/{id}"), &()).await?;
    let values: Said<LevelValues> = client.get(&format!("/profiles/{id}/values"), &()).await?;
    let folders: Said<Folders> = client.get(&format!("/profiles/{id}/folders"), &()).await?;
    let Wire { name, is_default, users, revision, created_at_ms, .. } = &found.value;
    let head = card(&[
        ("profile", id.to_string()),
        ("name", name.clone()),
        ("default", if *is_default { "yes" } else { "no" }.to_owned()),
        ("users", users.to_string()),
        ("revision", revision.to_string()),
        ("made", words::time(Timestamp::from_ms(*created_at_ms))),
    ]);
    let text = format!("{head}\n{}\n{}", values::shown(&values.value), folder::shown(&folders.value));
    let json = json!({ "profile": found.json, "values": values.json["items"], "folders": folders.json["items"] });
    Ok(Answer::good(text, json))
}

async fn name_set(client: &Client, path: &str, name: String, done: &str) -> Result<Answer, Failure> {
    let said: Said<Wire> = client.post(path, &ProfileName { name }).await?;
    let text = format!("{done} {} ({})\n", said.value.name.escape_debug(), said.value.profile.0);
    Ok(Answer::good(text, said.json))
}

async fn preview(client: &Client, profile: &str, set: &[String], unset: &[String]) -> Result<Answer, Failure> {
    let body = values::changes(set, unset)?;
    let id = named::id::<Wire>(client, profile).await?;
    let said: Said<ProfilePreview> = client.post(&format!("/profiles/{id}/preview"), &body).await?;
    let ProfilePreview { users, devices, users_changed, devices_changed, differences } = &said.value;
    let row = |change: &ProfileDifference| {
        let quoted = |text: &str| if text.is_empty() { "-".to_owned() } else { text.escape_debug().to_string() };
        let (was, now) = (quoted(&change.was), quoted(&change.now));
        vec![change.key.clone(), was, now, change.users.to_string(), change.devices.to_string()]
    };
    let rows: Vec<Vec<String>> = differences.iter().map(row).collect();
    let changes = match rows.is_empty() {
        true => String::new(),
        false => format!("\n{}", table(&["POLICY", "NOW", "THEN", "USERS", "DEVICES"], &rows)),
    };
    let head =
        format!("changes for {users_changed} of {users} users and {devices_changed} of {devices} devices\n{changes}");
    Ok(Answer::good(head, said.json))
}

async fn assign(client: &Client, profile: &str, users: &[String]) -> Result<Answer, Failure> {
    let id = named::id::<Wire>(client, profile).await?;
    let mut given = Vec::new();
    for name in users {
        let user = named::id::<User>(client, name).await?;
        let path = format!("/profiles/{id}/assign");
        client.post::<Nothing>(&path, &ProfileAssign { user: Text(user) }).await?;
        given.push(user.to_string());
    }
    let (users, have) = (Count::of(given.len()).counted("user"), if given.len() == 1 { "has" } else { "have" });
    let text = format!("{users} {have} the profile {}\n", profile.escape_debug());
    Ok(Answer::good(text, json!({ "profile": id.to_string(), "users": given })))
}
