//! `desk pending|append-only|refused|approve|refuse`.

mod came;

use super::{Desk, device};
use crate::client::Said;
use crate::out::{Answer, Failure};
use clap::Subcommand;
use protocol::admin::desk::{AppendOnly, Pending, Refuse, RefusedActivation};
use protocol::admin::{Nothing, PageQuery};

/// What waits for an admin. DEVICE is an identifier, the beginning of one, or a name.
#[derive(Debug, Subcommand)]
pub enum DeskCommand {
    /// List records that wait.
    Pending,
    /// List devices in service that wait for full rights.
    AppendOnly,
    /// List activations by a token that were refused.
    Refused,
    /// Say yes: to a record that waits, or to full rights.
    Approve {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// Say no to a record that waits: it is deleted, and the computer shows the reason.
    Refuse {
        /// Its identifier, the beginning of one, or its name.
        device: String,
        /// One line for the person at the computer.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

impl DeskCommand {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let all = PageQuery::default();
        match self {
            DeskCommand::Pending => {
                let Said { value, json } = desk.client().await?.list::<Pending>("/desk/pending", &all).await?;
                let text = |row: &Pending| came::text(&row.device, row.came.as_ref());
                Ok(Answer::good(came::list(value.iter().map(text)), json))
            }
            DeskCommand::AppendOnly => {
                let Said { value, json } = desk.client().await?.list::<AppendOnly>("/desk/append-only", &all).await?;
                let text = |row: &AppendOnly| came::text(&row.device, row.came.as_ref());
                Ok(Answer::good(came::list(value.iter().map(text)), json))
            }
            DeskCommand::Refused => {
                let Said { value, json } =
                    desk.client().await?.list::<RefusedActivation>("/desk/refused", &all).await?;
                Ok(Answer::good(came::refused(&value), json))
            }
            DeskCommand::Approve { device } => device::change(desk, &device, "/desk", "approve", &Nothing {}).await,
            DeskCommand::Refuse { device, reason } => {
                device::change(desk, &device, "/desk", "refuse", &Refuse { reason }).await
            }
        }
    }
}
