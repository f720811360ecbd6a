//! `hold set|list|lift`: legal holds.

use super::{Desk, named, words};
use crate::client::Said;
use crate::out::{Answer, Failure, table};
use base::Timestamp;
use clap::Subcommand;
use protocol::Text;
use protocol::admin::device::Device;
use protocol::admin::hold::{Hold as Wire, HoldSet};
use protocol::admin::user::User;
use protocol::admin::{Nothing, PageQuery};

/// What can be asked about legal holds.
#[derive(Debug, Subcommand)]
pub enum Hold {
    /// Keep everything of a user or a device until the hold is lifted.
    Set {
        /// What it is known by, such as the number of a case.
        name: String,
        /// Everything of this user, on every device.
        #[arg(long, value_name = "USER", required_unless_present = "device", conflicts_with = "device")]
        user: Option<String>,
        /// Everything of this device.
        #[arg(long, value_name = "DEVICE")]
        device: Option<String>,
    },
    /// List the holds.
    List,
    /// Lift a hold: what it has kept may expire, and be purged.
    Lift {
        /// Its identifier, or its name.
        hold: String,
    },
}

impl Hold {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        match self {
            Hold::Set { name, user, device } => {
                let mut body = HoldSet { name, ..HoldSet::default() };
                if let Some(user) = user {
                    body.user = Some(Text(named::id::<User>(&client, &user).await?));
                }
                if let Some(device) = device {
                    body.device = Some(Text(named::id::<Device>(&client, &device).await?));
                }
                let Said { value, json } = client.post::<Wire>("/holds", &body).await?;
                let text = format!("{} {}: nothing of {} expires or is purged\n", value.hold.0, value.name, on(&value));
                Ok(Answer::good(text, json))
            }
            Hold::List => {
                let Said { value, json } = client.list::<Wire>("/holds", &PageQuery::default()).await?;
                let row = |hold: &Wire| {
                    let set_at = words::time(Timestamp::from_ms(hold.set_at_ms));
                    vec![hold.name.clone(), hold.on.clone(), set_at, hold.set_by.clone(), hold.hold.0.to_string()]
                };
                let rows: Vec<Vec<String>> = value.iter().map(row).collect();
                Ok(Answer::good(table(&["NAME", "ON", "SET", "BY", "HOLD"], &rows), json))
            }
            Hold::Lift { hold } => {
                let id = named::id::<Wire>(&client, &hold).await?;
                let Said { value, json } =
                    client.change::<Wire>("DELETE", &format!("/holds/{id}"), &Nothing {}).await?;
                Ok(Answer::good(format!("the hold {} on {} is lifted\n", value.name, on(&value)), json))
            }
        }
    }
}

fn on(hold: &Wire) -> String {
    match (&hold.user, &hold.device) {
        (Some(user), _) => user.0.to_string(),
        (None, Some(device)) => device.0.to_string(),
        (None, None) => "-".to_owned(),
    }
}
