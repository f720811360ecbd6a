//! `token make|list|show|revoke|expire|legacy|legacy-make`.

use super::{Desk, named, words};
use crate::client::Said;
use crate::out::{Answer, Failure, card, table};
use base::{ProfileId, Span, Timestamp};
use clap::{Args, Subcommand};
use protocol::admin::profile::Profile;
use protocol::admin::token::{LegacyToken, LegacyTokenMake, Token as Wire, TokenMade, TokenMake};
use protocol::admin::{Nothing, PageQuery};

/// What can be asked about deployment tokens. TOKEN is an identifier, the beginning of one, or a name.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token for installers; its text is shown once.
    Make(Make),
    /// List tokens: uses, failures and why.
    List,
    /// Show one token.
    Show {
        /// Its identifier or name.
        token: String,
    },
    /// Refuse a token from now on; what it has activated stays.
    Revoke {
        /// Its identifier or name.
        token: String,
    },
    /// End a token as if its time were over.
    Expire {
        /// Its identifier or name.
        token: String,
    },
    /// Show the organisation's legacy token, without its text.
    Legacy,
    /// Make a new legacy token; the one before is revoked.
    LegacyMake {
        /// A mail domain at which an account of the operating system names the user; may be given more than once.
        #[arg(long = "domain", value_name = "DOMAIN")]
        domains: Vec<String>,
        /// Add a user who is not there yet, with one domain.
        #[arg(long)]
        create_users: bool,
    },
}

/// What a token may be.
#[derive(Debug, Args)]
pub struct Make {
    /// What to call it.
    name: String,
    /// The profile whose users it serves, and that those whom it creates get.
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// A network from which it may be used, in CIDR form; may be given more than once.
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// Hours of the week at which it may be used, like "mon-fri 08:00-18:00, sat 09:00-12:00".
    #[arg(long)]
    hours: Option<String>,
    /// The time zone of the hours, like Europe/Berlin; UTC when it is not given.
    #[arg(long, value_name = "ZONE", requires = "hours")]
    zone: Option<String>,
    /// A mail domain at which an account of the operating system names the user; may be given more than once.
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<String>,
    /// Add a user who is not there yet, with one domain.
    #[arg(long)]
    create_users: bool,
    /// How often it may be used.
    #[arg(long, value_name = "N")]
    uses: Option<u64>,
    /// How often in one minute.
    #[arg(long, value_name = "N")]
    rate: Option<u64>,
    /// After how many days it ends; never when it is not given.
    #[arg(long, value_name = "DAYS")]
    days: Option<u64>,
}

impl Token {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        let now = desk.surroundings.clock.now();
        match self {
            Token::Make(make) => {
                let profile = match &make.profile {
                    Some(profile) => Some(named::id::<Profile>(&client, profile).await?),
                    None => None,
                };
                let said = client.post::<TokenMade>("/tokens", &make.wire(desk, profile)).await?;
                Ok(made(said))
            }
            Token::LegacyMake { domains, create_users } => {
                let make = LegacyTokenMake { domains, create_users };
                Ok(made(client.post::<TokenMade>("/legacy-token", &make).await?))
            }
            Token::List => {
                let Said { value, json } = client.list::<Wire>("/tokens", &PageQuery::default()).await?;
                let rows: Vec<Vec<String>> = value.into_iter().map(|token| row(token, now)).collect();
                let names = ["TOKEN", "NAME", "BEGINS", "STANDS", "USES", "LAST USED", "FAILURES", "LAST FAILURE"];
                Ok(Answer::good(table(&names, &rows), json))
            }
            Token::Show { token } => {
                let Said { value, json } = named::find::<Wire>(&client, &token).await?;
                Ok(Answer::good(text(&value, now), json))
            }
            Token::Revoke { token } => {
                let path = format!("/tokens/{}/revoke", named::id::<Wire>(&client, &token).await?);
                let Said { value, json } = client.post::<Wire>(&path, &Nothing {}).await?;
                Ok(Answer::good(format!("the token {} is revoked\n", value.name), json))
            }
            Token::Expire { token } => {
                let path = format!("/tokens/{}/expire", named::id::<Wire>(&client, &token).await?);
                let Said { value, json } = client.post::<Wire>(&path, &Nothing {}).await?;
                Ok(Answer::good(format!("the token {} has ended\n", value.name), json))
            }
            Token::Legacy => {
                let Said { value, json } = client.get::<LegacyToken>("/legacy-token", &()).await?;
                let none = || "There is no legacy token.\n".to_owned();
                Ok(Answer::good(value.token.as_ref().map_or_else(none, |token| text(token, now)), json))
            }
        }
    }
}

impl Make {
    fn wire(self, desk: &Desk, profile: Option<ProfileId>) -> TokenMake {
        let now = desk.surroundings.clock.now();
        TokenMake {
            name: self.name,
            profile: profile.map(protocol::Text),
            networks: self.networks,
            hours: self.hours,
            hours_zone: self.zone,
            domains: self.domains,
            create_users: self.create_users,
            uses_max: self.uses,
            rate_per_minute: self.rate,
            expires_at_ms: self.days.map(|days| (now + Span::days(days)).as_ms()),
        }
    }
}

fn made(Said { value, json }: Said<TokenMade>) -> Answer {
    let text = format!("{}\nThis is the token {}. It is not shown again.\n", value.text, value.token.token.0);
    Answer::good(text, json)
}

fn row(token: Wire, now: Timestamp) -> Vec<String> {
    vec![
        token.token.0.to_string(),
        token.name.clone(),
        token.prefix.clone(),
        stands(&token, now),
        uses(&token),
        time(token.last_used_at_ms),
        token.failures.to_string(),
        token.last_failure.unwrap_or_else(|| "-".to_owned()),
    ]
}

fn text(token: &Wire, now: Timestamp) -> String {
    let list = |texts: &[String], none: &str| if texts.is_empty() { none.to_owned() } else { texts.join(" ") };
    card(&[
        ("token", token.token.0.to_string()),
        ("version", token.version.to_string()),
        ("name", token.name.clone()),
        ("begins", token.prefix.clone()),
        ("stands", stands(token, now)),
        ("ends", time(token.expires_at_ms)),
        ("networks", list(&token.networks, "everywhere")),
        ("hours", hours(token)),
        ("domains", list(&token.domains, "none")),
        ("creates users", if token.create_users { "yes" } else { "no" }.to_owned()),
        ("a minute", token.rate_per_minute.map_or_else(|| "any number".to_owned(), |rate| rate.to_string())),
        ("uses", uses(token)),
        ("last used", time(token.last_used_at_ms)),
        ("failures", token.failures.to_string()),
        ("last failure", token.last_failure.clone().unwrap_or_else(|| "-".to_owned())),
        ("made", format!("{} by {}", time(Some(token.created_at_ms)), token.created_by)),
    ])
}

fn hours(token: &Wire) -> String {
    match (&token.hours, &token.hours_zone) {
        (Some(hours), Some(zone)) => format!("{hours} in {zone}"),
        (_, _) => "all".to_owned(),
    }
}

fn stands(token: &Wire, now: Timestamp) -> String {
    if token.revoked_at_ms.is_some() {
        return "revoked".to_owned();
    }
    if token.uses_max.is_some_and(|max| token.uses >= max) {
        return "used up".to_owned();
    }
    words::good_until(token.expires_at_ms.map(Timestamp::from_ms), now)
}

fn uses(token: &Wire) -> String {
    match token.uses_max {
        Some(max) => format!("{} of {max}", token.uses),
        None => token.uses.to_string(),
    }
}

fn time(ms: Option<i64>) -> String {
    words::time_maybe(ms.map(Timestamp::from_ms))
}
