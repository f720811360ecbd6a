//! `credential make|list|show|revoke`.

use super::{Desk, named, secret, unwritable, words};
use crate::client::Said;
use crate::out::{Answer, Failure, card, table, wrapped};
use base::{Span, Timestamp};
use clap::Subcommand;
use control::Permit;
use protocol::admin::credential::{Credential as Wire, CredentialMade, CredentialMake, PermitWord};
use protocol::admin::{Nothing, PageQuery};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The word for every permit.
const ALL: &str = "all";

/// What can be asked about credentials of the admin API.
#[derive(Debug, Subcommand)]
pub enum Credential {
    /// Make a credential. Its text is shown once.
    Make {
        /// What to call it.
        #[arg(long)]
        name: String,
        /// A permit that it gets; may be repeated. `all` for every one, those of later releases included.
        #[arg(long = "permit", value_name = "PERMIT", required = true)]
        permits: Vec<String>,
        /// After how many days it expires; never when it is not given.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=36_500))]
        expires_days: Option<u64>,
        /// Write its text into this new file, which only its owner may read, and do not show it.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// List credentials, those that have ended included.
    List,
    /// Show one credential.
    Show {
        /// Its identifier or name.
        credential: String,
    },
    /// End a credential at once.
    Revoke {
        /// Its identifier or name.
        credential: String,
    },
}

impl Credential {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        match self {
            Credential::Make { name, permits, expires_days, file } => {
                let all = permits.iter().any(|word| word == ALL);
                let permits = if all { Vec::new() } else { permits_of(&permits)? };
                let expires_at_ms = expires_days.map(|days| (desk.now() + Span::days(days)).as_ms());
                make(desk, CredentialMake { name, permits, all, expires_at_ms }, file.as_deref()).await
            }
            Credential::List => list(desk).await,
            Credential::Show { credential } => {
                let Said { value, json } = named::find::<Wire>(&desk.client().await?, &credential).await?;
                Ok(Answer::good(text(&value), json))
            }
            Credential::Revoke { credential } => {
                let client = desk.client().await?;
                let path = format!("/credentials/{}/revoke", named::id::<Wire>(&client, &credential).await?);
                let Said { value, json } = client.post::<Wire>(&path, &Nothing {}).await?;
                Ok(Answer::good(format!("revoked {} ({})\n", value.name.escape_debug(), value.credential.0), json))
            }
        }
    }
}

async fn make(desk: &Desk, body: CredentialMake, file: Option<&Path>) -> Result<Answer, Failure> {
    let client = desk.client().await?;
    // Opened before anything is made: a text that has no place to go would be lost.
    let file = file.map(|path| secret::new_file(path).map(|file| (path, file))).transpose()?;
    let Said { value, mut json } = client.post::<CredentialMade>("/credentials", &body).await?;
    let made = format!("made {} ({})\n", value.credential.name.escape_debug(), value.credential.credential.0);
    let text = match file {
        Some((path, mut file)) => {
            let written = writeln!(file, "{}", value.text).and_then(|()| file.sync_all());
            written.map_err(|cause| unwritable(path, &cause))?;
            json["text"] = serde_json::Value::Null;
            format!("{made}its text is in {}\n", path.display())
        }
        None => format!("{made}{}\n{}", value.text, wrapped("Keep this text: it is not shown again.", "")),
    };
    Ok(Answer::good(text, json))
}

/// The permits that a command line says. Fails with `permit_unknown`.
pub(super) fn permits_of(words: &[String]) -> Result<Vec<PermitWord>, Failure> {
    if words.iter().any(|word| word == ALL) {
        return Ok(Permit::ALL.into_iter().map(PermitWord).collect());
    }
    let unknown = |word: &str| {
        let known = Permit::ALL.map(Permit::word).join(", ");
        let sentence = format!("\"{}\" is no permit. There are: {known}; or {ALL}.", word.escape_debug());
        Failure::new("permit_unknown", sentence)
    };
    words.iter().map(|word| Permit::from_word(word).map(PermitWord).ok_or_else(|| unknown(word))).collect()
}

async fn list(desk: &Desk) -> Result<Answer, Failure> {
    let Said { value, json } = desk.client().await?.list::<Wire>("/credentials", &PageQuery::default()).await?;
    let row = |credential: &Wire| {
        vec![
            credential.credential.0.to_string(),
            credential.name.clone(),
            standing(credential, desk.now()),
            words::ago(credential.last_used_at_ms.map(Timestamp::from_ms), desk.now()),
            credential.last_source.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> = value.iter().map(row).collect();
    Ok(Answer::good(table(&["CREDENTIAL", "NAME", "STANDS", "USED", "FROM"], &rows), json))
}

fn standing(credential: &Wire, now: Timestamp) -> String {
    let expired = credential.expires_at_ms.is_some_and(|at| at <= now.as_ms());
    match (credential.revoked_at_ms, expired) {
        (Some(_), _) => "revoked",
        (None, true) => "expired",
        (None, false) => "in force",
    }
    .to_owned()
}

fn text(credential: &Wire) -> String {
    let time = |ms: Option<i64>| words::time_maybe(ms.map(Timestamp::from_ms));
    let mut lines = vec![
        ("credential", credential.credential.0.to_string()),
        ("name", credential.name.clone()),
        ("begins", credential.prefix.clone()),
        ("made", time(Some(credential.created_at_ms))),
        ("made by", credential.created_by.clone()),
        ("expires", time(credential.expires_at_ms)),
        ("revoked", time(credential.revoked_at_ms)),
        ("last used", time(credential.last_used_at_ms)),
        ("from", credential.last_source.clone().unwrap_or_else(|| "-".to_owned())),
    ];
    lines.extend(credential.permits.iter().map(|permit| ("permit", permit.0.word().to_owned())));
    card(&lines)
}
