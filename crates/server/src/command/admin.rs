//! `admin list|show|make|permits|disable|enable|remove`.

use super::{Desk, credential, named, secret, words};
use crate::client::{Client, Said};
use crate::out::{Answer, Failure, card, table};
use base::Timestamp;
use clap::Subcommand;
use control::Permit;
use protocol::admin::Nothing;
use protocol::admin::administrator::{Admin as Wire, AdminMake, AdminPermits, AdminQuery};
use std::path::PathBuf;

/// What can be asked about admins. ADMIN is an e-mail address or an identifier.
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// List admins.
    List,
    /// Show one admin, with what the admin may do.
    Show {
        /// The admin's e-mail address or identifier.
        admin: String,
    },
    /// Add an admin.
    Make {
        /// The admin's e-mail address.
        email: String,
        /// What the admin may do; may be repeated. `all` for every permit.
        #[arg(long = "permit", value_name = "PERMIT", required = true)]
        permits: Vec<String>,
        /// A file with the admin's password; asked for on the terminal otherwise.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Give an admin these permits and no others.
    Permits {
        /// The admin's e-mail address or identifier.
        admin: String,
        /// Such as `device_read`; `all` for every one.
        #[arg(required = true, value_name = "PERMIT")]
        permits: Vec<String>,
    },
    /// Put an admin out of service; everything is kept.
    Disable {
        /// The admin's e-mail address or identifier.
        admin: String,
    },
    /// Let a disabled admin act again.
    Enable {
        /// The admin's e-mail address or identifier.
        admin: String,
    },
    /// Remove an admin.
    Remove {
        /// The admin's e-mail address or identifier.
        admin: String,
    },
}

impl Admin {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        let (said, done) = match self {
            Admin::List => return list(&client).await,
            Admin::Show { admin } => {
                let Said { value, json } = named::find::<Wire>(&client, &admin).await?;
                return Ok(Answer::good(text(&value), json));
            }
            Admin::Make { email, permits, password_file } => {
                let permits = credential::permits_of(&permits)?;
                let password = secret::password(password_file.as_deref(), "Password of the new admin")?;
                let body = AdminMake { email, permits, password: password.expose().to_owned() };
                (client.post::<Wire>("/admins", &body).await?, "added")
            }
            Admin::Permits { admin, permits } => {
                let body = AdminPermits { permits: credential::permits_of(&permits)? };
                let path = path(&client, &admin, "/permits").await?;
                (client.change::<Wire>("PUT", &path, &body).await?, "has other permits")
            }
            Admin::Disable { admin } => (post(&client, &admin, "/disable").await?, "disabled"),
            Admin::Enable { admin } => (post(&client, &admin, "/enable").await?, "enabled"),
            Admin::Remove { admin } => {
                let path = path(&client, &admin, "").await?;
                (client.change::<Wire>("DELETE", &path, &Nothing {}).await?, "removed")
            }
        };
        Ok(Answer::good(format!("{}: {done}\n", said.value.email), said.json))
    }
}

async fn post(client: &Client, admin: &str, verb: &str) -> Result<Said<Wire>, Failure> {
    client.post::<Wire>(&path(client, admin, verb).await?, &Nothing {}).await
}

async fn path(client: &Client, admin: &str, rest: &str) -> Result<String, Failure> {
    Ok(format!("/admins/{}{rest}", named::id::<Wire>(client, admin).await?))
}

async fn list(client: &Client) -> Result<Answer, Failure> {
    let Said { value, json } = client.list::<Wire>("/admins", &AdminQuery::default()).await?;
    let row = |admin: &Wire| {
        let permits =
            if admin.permits.len() == Permit::ALL.len() { "all".to_owned() } else { admin.permits.len().to_string() };
        vec![admin.email.clone(), admin.state.clone(), permits, words::time(Timestamp::from_ms(admin.created_at_ms))]
    };
    let rows: Vec<Vec<String>> = value.iter().map(row).collect();
    Ok(Answer::good(table(&["EMAIL", "STATE", "PERMITS", "ADDED"], &rows), json))
}

fn text(admin: &Wire) -> String {
    let time = |ms: Option<i64>| words::time_maybe(ms.map(Timestamp::from_ms));
    let mut lines = vec![
        ("admin", admin.admin.0.to_string()),
        ("email", admin.email.clone()),
        ("state", admin.state.clone()),
        ("added", time(Some(admin.created_at_ms))),
        ("disabled", time(admin.disabled_at_ms)),
    ];
    lines.extend(admin.permits.iter().map(|permit| ("permit", permit.0.word().to_owned())));
    card(&lines)
}
