//! `password-policy show|set`.

use super::Desk;
use crate::client::Said;
use crate::out::{Answer, Failure, table};
use clap::Subcommand;
use protocol::admin::password::{PasswordPolicy as Wire, PasswordPolicySet};

/// What the organisation asks of passwords.
#[derive(Debug, Subcommand)]
pub enum PasswordPolicy {
    /// Show every number and its range.
    Show,
    /// Set a number.
    Set {
        /// Its key: password.length_min, password.length_max, password.attempts, password.reuse,
        /// password.expires_days.
        setting: String,
        /// The number; the default when it is not given.
        value: Option<u64>,
    },
}

impl PasswordPolicy {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        let Said { value, json } = match self {
            PasswordPolicy::Show => client.get::<Wire>("/password-policy", &()).await?,
            PasswordPolicy::Set { setting, value } => {
                client.post::<Wire>("/password-policy", &PasswordPolicySet { setting, value }).await?
            }
        };
        let rows: Vec<Vec<String>> = value
            .settings
            .into_iter()
            .map(|row| vec![row.setting, row.value.to_string(), format!("{} to {}", row.min, row.max)])
            .collect();
        Ok(Answer::good(table(&["SETTING", "VALUE", "RANGE"], &rows), json))
    }
}
