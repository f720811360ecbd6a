//! `user add|invite|reset-password|list|show|set-password|lock|unlock|preserve|activate|delete|undelete|set|unset`.

use super::{Desk, device, named, secret, values, words};
use crate::client::{Client, Said};
use crate::out::{Answer, Failure, card, table};
use base::{Timestamp, UserId};
use clap::Subcommand;
use protocol::admin::Nothing;
use protocol::admin::device::{Device, DeviceQuery};
use protocol::admin::password::{LinkMade, LinkMake, LinkPurpose};
use protocol::admin::user::{PasswordSet, User as Wire, UserAdd, UserLockout, UserQuery};
use std::path::PathBuf;

/// What can be asked about users. USER is an e-mail address or an identifier.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Add a user, who may then activate devices.
    Add {
        /// The user's e-mail address.
        email: String,
        /// A file with the user's password; asked for on the terminal otherwise.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Mail a user a link to set a first password by, good for 72 hours; a user who is not there is added.
    Invite {
        /// The user's e-mail address.
        email: String,
        /// Show the link, to be handed over in another way, and do not mail it.
        #[arg(long)]
        show: bool,
    },
    /// Mail a user a link to set another password by, good for 24 hours.
    ResetPassword {
        /// The user's e-mail address or identifier.
        user: String,
        /// Show the link, to be handed over in another way, and do not mail it.
        #[arg(long)]
        show: bool,
    },
    /// List users.
    List {
        /// Only those whose address has this in it.
        #[arg(long, value_name = "TEXT")]
        part: Option<String>,
        /// Only those who stand so: active, locked, preserved, deleted, purged.
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
    },
    /// Show one user.
    Show {
        /// The user's e-mail address or identifier.
        user: String,
    },
    /// Give a user another password, and end a lock-out.
    SetPassword {
        /// The user's e-mail address or identifier.
        user: String,
        /// A file with the new password; asked for on the terminal otherwise.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Lock a user out, with every device of the user, at once; everything is kept.
    Lock {
        /// The user's e-mail address or identifier.
        user: String,
    },
    /// End a lock, and what wrong passwords have locked.
    Unlock {
        /// The user's e-mail address or identifier.
        user: String,
    },
    /// The user has left: stop the service, keep the data.
    Preserve {
        /// The user's e-mail address or identifier.
        user: String,
    },
    /// Let a locked or preserved user act again.
    Activate {
        /// The user's e-mail address or identifier.
        user: String,
    },
    /// Delete a user; `undelete` takes it back for some days.
    Delete {
        /// The user's e-mail address or identifier.
        user: String,
    },
    /// Take a deletion back.
    Undelete {
        /// The user's e-mail address or identifier.
        user: String,
    },
    /// Set a user's own policies; they take the place of the profile's.
    Set {
        /// The user's e-mail address or identifier.
        user: String,
        /// Such as `interval=4h`; `policy keys` lists what there is.
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Take a user's own policies back.
    Unset {
        /// The user's e-mail address or identifier.
        user: String,
        /// Such as `interval`.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

impl User {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        match self {
            User::Add { email, password_file } => {
                let client = desk.client().await?;
                let password = secret::password(password_file.as_deref(), "Password of the new user")?;
                let body = UserAdd { email, password: Some(password.expose().to_owned()) };
                let Said { value, json } = client.post::<Wire>("/users", &body).await?;
                Ok(Answer::good(format!("added {} ({})\n", value.email, value.user.0), json))
            }
            User::Invite { email, show } => {
                let client = desk.client().await?;
                let id = match named::id::<Wire>(&client, &email).await {
                    Err(failure) if failure.code == "user_unknown" => {
                        let body = UserAdd { email, password: None };
                        client.post::<Wire>("/users", &body).await?.value.user.0
                    }
                    found => found?,
                };
                link(&client, id, LinkMake { purpose: LinkPurpose::Set, show }).await
            }
            User::ResetPassword { user, show } => {
                let client = desk.client().await?;
                let id = named::id::<Wire>(&client, &user).await?;
                link(&client, id, LinkMake { purpose: LinkPurpose::Reset, show }).await
            }
            User::List { part, state } => list(desk, UserQuery { part, state, ..Default::default() }).await,
            User::Show { user } => {
                let client = desk.client().await?;
                let Said { value, json } = named::whole::<Wire>(&client, &user).await?;
                let devices = devices(desk, &client, value.user.0).await?;
                Ok(Answer::good(format!("{}{devices}", text(&value)), json))
            }
            User::SetPassword { user, password_file } => {
                let client = desk.client().await?;
                let id = named::id::<Wire>(&client, &user).await?;
                let password = secret::password(password_file.as_deref(), "New password")?;
                let body = PasswordSet { password: password.expose().to_owned() };
                let Said { value, json } = client.post::<Wire>(&format!("/users/{id}/password"), &body).await?;
                Ok(Answer::good(format!("the password of {} is changed\n", value.email), json))
            }
            User::Lock { user } => change(desk, &user, "lock").await,
            User::Unlock { user } => change(desk, &user, "unlock").await,
            User::Preserve { user } => change(desk, &user, "preserve").await,
            User::Activate { user } => change(desk, &user, "activate").await,
            User::Delete { user } => change(desk, &user, "delete").await,
            User::Undelete { user } => change(desk, &user, "undelete").await,
            User::Set { user, values } => set(desk, &user, &values, &[]).await,
            User::Unset { user, keys } => set(desk, &user, &[], &keys).await,
        }
    }
}

async fn link(client: &Client, id: UserId, body: LinkMake) -> Result<Answer, Failure> {
    let Said { value, json } = client.post::<LinkMade>(&format!("/users/{id}/links"), &body).await?;
    let until = words::time(Timestamp::from_ms(value.expires_at_ms));
    let LinkMade { email, link, unmailed, .. } = value;
    let text = match link {
        None => format!(
            "A link is on its way to {email} by mail: once, until {until}. `mail list` shows whether it was sent.\n"
        ),
        Some(link) => {
            let why = words::unmailed(unmailed.as_deref());
            format!("{link}\nThis link is for {email}, once, until {until}. {why}It is not shown again.\n")
        }
    };
    Ok(Answer::good(text, json))
}

async fn list(desk: &Desk, query: UserQuery) -> Result<Answer, Failure> {
    let Said { value, json } = desk.client().await?.list::<Wire>("/users", &query).await?;
    let row = |user: Wire| {
        vec![user.email, user.state, user.devices.to_string(), words::time(Timestamp::from_ms(user.created_at_ms))]
    };
    let rows: Vec<Vec<String>> = value.into_iter().map(row).collect();
    Ok(Answer::good(table(&["EMAIL", "STATE", "DEVICES", "ADDED"], &rows), json))
}

/// The user's devices as a table after an empty line; nothing where there are none, or the asker may not read them.
async fn devices(desk: &Desk, client: &Client, user: UserId) -> Result<String, Failure> {
    let query = DeviceQuery { user: Some(user.to_string()), ..Default::default() };
    match client.list::<Device>("/devices", &query).await {
        Ok(Said { value, .. }) if value.is_empty() => Ok(String::new()),
        Ok(Said { value, .. }) => Ok(format!("\n{}", device::listed(desk, &value))),
        Err(failure) if failure.code == "not_permitted" => Ok(String::new()),
        Err(failure) => Err(failure),
    }
}

async fn change(desk: &Desk, user: &str, event: &str) -> Result<Answer, Failure> {
    let client = desk.client().await?;
    let before = named::find::<Wire>(&client, user).await?.value;
    let path = format!("/users/{}/{event}", before.user.0);
    let Said { value, json } = client.post::<Wire>(&path, &Nothing {}).await?;
    Ok(Answer::good(format!("{}: {}, was {}\n", value.email, value.state, before.state), json))
}

async fn set(desk: &Desk, user: &str, set: &[String], unset: &[String]) -> Result<Answer, Failure> {
    let client = desk.client().await?;
    let path = format!("/users/{}", named::id::<Wire>(&client, user).await?);
    values::change(&client, &path, set, unset).await
}

fn text(user: &Wire) -> String {
    let time = |ms: Option<i64>| words::time_maybe(ms.map(Timestamp::from_ms));
    let locked = |lockout: &UserLockout| {
        let from = lockout.source.as_deref().map_or_else(|| "everywhere".to_owned(), |source| format!("from {source}"));
        format!("{from} until {}, after {} wrong ones", time(Some(lockout.until_ms)), lockout.wrong)
    };
    // What ends it, where somebody reads that there is something to end.
    let ends = match (user.lockouts.is_empty(), user.state.as_str()) {
        (true, "locked") => Some(format!("`user unlock {}`", user.email)),
        (true, _) => None,
        (false, _) => Some(format!("`user unlock {}`, a new password, or a link", user.email)),
    };
    let mut lockouts = user.lockouts.iter().map(locked);
    let mut lines = vec![
        ("user", user.user.0.to_string()),
        ("email", user.email.clone()),
        ("state", user.state.clone()),
        ("devices", user.devices.to_string()),
        ("profile", user.profile.map_or_else(|| "-".to_owned(), |profile| profile.0.to_string())),
        ("added", time(Some(user.created_at_ms))),
        ("purged after", time(user.purge_after_ms)),
        ("passwords locked", lockouts.next().unwrap_or_default()),
    ];
    lines.extend(lockouts.map(|more| ("", more)));
    lines.extend(ends.map(|ends| ("ended by", ends)));
    card(&lines)
}
