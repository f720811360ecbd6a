//! `quota show`.

use super::{Desk, named};
use crate::client::Said;
use crate::out::{Answer, Failure, table};
use base::Bytes;
use clap::Subcommand;
use protocol::admin::PageQuery;
use protocol::admin::policy::Quota as Wire;
use protocol::admin::user::User;

/// What can be asked about how much users take.
#[derive(Debug, Subcommand)]
pub enum Quota {
    /// Show what users' backups take, and may take.
    Show {
        /// Only of this user: an e-mail address or an identifier.
        #[arg(long)]
        user: Option<String>,
    },
}

impl Quota {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let Quota::Show { user } = self;
        let client = desk.client().await?;
        let (rows, json) = match user {
            Some(user) => {
                let id = named::id::<User>(&client, &user).await?;
                let said: Said<Wire> = client.get(&format!("/users/{id}/quota"), &()).await?;
                (vec![said.value], said.json)
            }
            None => {
                let said = client.list::<Wire>("/quota", &PageQuery::default()).await?;
                (said.value, said.json)
            }
        };
        let rows: Vec<Vec<String>> = rows.into_iter().map(row).collect();
        Ok(Answer::good(table(&["EMAIL", "USED", "LIMIT", "FROM"], &rows), json))
    }
}

fn row(quota: Wire) -> Vec<String> {
    let limit = quota.limit.map_or_else(|| "none".to_owned(), |limit| Bytes(limit).to_string());
    vec![quota.email, Bytes(quota.used).to_string(), limit, quota.from]
}
