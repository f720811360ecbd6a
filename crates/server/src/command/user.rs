//! `user add|list|set-password`.

use super::{ACTOR, Desk, secret, words};
use crate::out::{Answer, Failure, table};
use app::users;
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;

/// What can be asked about users.
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
    /// List users.
    List,
    /// Give a user another password, and end a lock-out.
    SetPassword {
        /// The user's e-mail address.
        email: String,
        /// A file with the new password; asked for on the terminal otherwise.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

impl User {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        match self {
            User::Add { email, password_file } => {
                let (app, email) = (desk.app().await?, users::email_parse(&email)?);
                let password = secret::password(password_file.as_deref(), "Password of the new user")?;
                let user = users::add(&app, &ACTOR, &email, Some(&password)).await?;
                let json = json!({ "user": user.to_string(), "email": email });
                Ok(Answer::good(format!("added {email} ({user})\n"), json))
            }
            User::List => list(desk).await,
            User::SetPassword { email, password_file } => {
                let (app, email) = (desk.app().await?, users::email_parse(&email)?);
                let password = secret::password(password_file.as_deref(), "New password")?;
                users::password_set(&app, &ACTOR, &email, &password).await?;
                Ok(Answer::good(format!("the password of {email} is changed\n"), json!({ "email": email })))
            }
        }
    }
}

async fn list(desk: &Desk) -> Result<Answer, Failure> {
    let app = desk.app().await?;
    let users = users::list(&app, &ACTOR).await?;
    let mut rows = Vec::with_capacity(users.len());
    let mut json = Vec::with_capacity(users.len());
    for user in users {
        rows.push(vec![
            user.email.clone(),
            user.state.to_string(),
            user.devices.to_string(),
            words::time(user.created_at),
        ]);
        json.push(json!({
            "user": user.id.to_string(),
            "email": user.email,
            "state": user.state.word(),
            "devices": user.devices,
            "created_at_ms": user.created_at.as_ms(),
        }));
    }
    Ok(Answer::good(table(&["EMAIL", "STATE", "DEVICES", "ADDED"], &rows), json!({ "users": json })))
}
