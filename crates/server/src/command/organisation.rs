//! `organisation show|set|unset`.

use super::{Desk, values};
use crate::out::{Answer, Failure};
use clap::Subcommand;

const PATH: &str = "/organisation";

/// What can be asked about the values that hold for everyone.
#[derive(Debug, Subcommand)]
pub enum Organisation {
    /// Show what is set for everyone.
    Show,
    /// Set values for everyone; a profile, user or device may have others.
    Set {
        /// Such as `interval=4h`; `policy keys` lists what there is.
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Take values back.
    Unset {
        /// Such as `interval`.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

impl Organisation {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        match self {
            Organisation::Show => values::show(&client, PATH).await,
            Organisation::Set { values } => values::change(&client, PATH, &values, &[]).await,
            Organisation::Unset { keys } => values::change(&client, PATH, &[], &keys).await,
        }
    }
}
