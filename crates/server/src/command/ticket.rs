//! `ticket make|list|revoke`.

use super::{Desk, named, words};
use crate::client::Said;
use crate::out::{Answer, Failure, table};
use base::{Span, Timestamp};
use clap::Subcommand;
use protocol::Text;
use protocol::admin::device::Device;
use protocol::admin::ticket::{Ticket as Wire, TicketMade, TicketMake};
use protocol::admin::{Nothing, PageQuery};

/// What can be asked about tickets.
#[derive(Debug, Subcommand)]
pub enum Ticket {
    /// Mail a user a one-time code for one activation.
    Make {
        /// The user's e-mail address.
        email: String,
        /// Add a new device, whatever matches.
        #[arg(long, conflicts_with = "replace")]
        add: bool,
        /// Replace this device of the user.
        #[arg(long, value_name = "DEVICE")]
        replace: Option<String>,
        /// What is to be brought back: none, data, settings, all.
        #[arg(long, value_name = "WHAT")]
        restore: Option<String>,
        /// For how many days it is good; 7 when it is not given.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=30))]
        days: Option<u64>,
        /// Show the code, to be handed over in another way, and do not mail it.
        #[arg(long)]
        show: bool,
    },
    /// List tickets.
    List,
    /// Withdraw a ticket that was not used.
    Revoke {
        /// Its identifier, or the beginning of its code.
        ticket: String,
    },
}

impl Ticket {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        match self {
            Ticket::Make { email, add, replace, restore, days, show } => {
                let choice = add.then(|| "add".to_owned());
                let span_ms = days.map(|days| Span::days(days).as_ms());
                let replaces = match &replace {
                    Some(device) => Some(Text(named::id::<Device>(&client, device).await?)),
                    None => None,
                };
                let body = TicketMake { email, choice, replaces, restore, span_ms, show };
                let Said { value, json } = client.post::<TicketMade>("/tickets", &body).await?;
                let until = words::time(Timestamp::from_ms(value.ticket.expires_at_ms));
                let email = value.ticket.email;
                let text = match value.code {
                    None => format!(
                        "A ticket is on its way to {email} by mail: once, until {until}. `mail list` shows whether it \
                         was sent.\n"
                    ),
                    Some(code) => {
                        let why = words::unmailed(value.unmailed.as_deref());
                        format!(
                            "{code}\nThis ticket is for {email}, once, until {until}. {why}It is not shown again.\n"
                        )
                    }
                };
                Ok(Answer::good(text, json))
            }
            Ticket::List => {
                let now = desk.surroundings.clock.now();
                let Said { value, json } = client.list::<Wire>("/tickets", &PageQuery::default()).await?;
                let rows: Vec<Vec<String>> = value.into_iter().map(|ticket| row(ticket, now)).collect();
                let names = ["TICKET", "USER", "BEGINS", "BECOMES", "BRINGS BACK", "STANDS"];
                Ok(Answer::good(table(&names, &rows), json))
            }
            Ticket::Revoke { ticket } => {
                let path = format!("/tickets/{}/revoke", named::id::<Wire>(&client, &ticket).await?);
                let Said { value, json } = client.post::<Wire>(&path, &Nothing {}).await?;
                Ok(Answer::good(format!("the ticket {} of {} is withdrawn\n", value.prefix, value.email), json))
            }
        }
    }
}

fn row(ticket: Wire, now: Timestamp) -> Vec<String> {
    let becomes = match ticket.replaces {
        Some(device) => format!("{} {}", ticket.choice, words::short(device.0)),
        None => ticket.choice,
    };
    let stands = match (ticket.used_at_ms, ticket.revoked_at_ms) {
        (Some(at), _) => format!("used {}", words::time(Timestamp::from_ms(at))),
        (None, Some(at)) => format!("withdrawn {}", words::time(Timestamp::from_ms(at))),
        (None, None) => words::good_until(Some(Timestamp::from_ms(ticket.expires_at_ms)), now),
    };
    vec![ticket.ticket.0.to_string(), ticket.email, ticket.prefix, becomes, ticket.restore, stands]
}
