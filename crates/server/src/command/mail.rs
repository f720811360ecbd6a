//! `mail list|show|resend|test`.

use super::{Desk, words};
use crate::client::Said;
use crate::out::{Answer, Failure, card, table};
use base::{MailId, Timestamp};
use clap::Subcommand;
use control::mail::MailOutcome;
use protocol::admin::Nothing;
use protocol::admin::mail::{Mail as Wire, MailQuery, MailTest, MailTested};

/// What can be asked about mail.
#[derive(Debug, Subcommand)]
pub enum Mail {
    /// List the outbox, the newest message first.
    List {
        /// Only messages that stand so: queued, sending, sent, failed, unclear, dropped.
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
    },
    /// Show one message.
    Show {
        /// Its identifier.
        mail: MailId,
    },
    /// Send a message again that failed or is unclear; an unclear one may arrive twice.
    Resend {
        /// Its identifier.
        mail: MailId,
    },
    /// Send a test message at once, and say what the mail server answered.
    Test {
        /// The address that it goes to.
        recipient: String,
    },
}

impl Mail {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        match self {
            Mail::List { status } => {
                let query = MailQuery { status, ..Default::default() };
                let Said { value, json } = client.list::<Wire>("/mail", &query).await?;
                let rows: Vec<Vec<String>> = value.into_iter().map(row).collect();
                Ok(Answer::good(table(&["MAIL", "STATUS", "RECIPIENT", "SUBJECT", "QUEUED", "MET"], &rows), json))
            }
            Mail::Show { mail } => {
                let Said { value, json } = client.get::<Wire>(&format!("/mail/{mail}"), &()).await?;
                Ok(Answer::good(text(&value), json))
            }
            Mail::Resend { mail } => {
                let Said { value, json } = client.post::<Wire>(&format!("/mail/{mail}/resend"), &Nothing {}).await?;
                Ok(Answer::good(format!("{} to {}: {}\n", value.mail.0, value.recipient, value.status), json))
            }
            Mail::Test { recipient } => {
                let body = MailTest { recipient };
                let Said { value, json } = client.post::<MailTested>("/mail/test", &body).await?;
                let good = value.outcome == MailOutcome::Accepted.word();
                let said = if good { "the mail server has taken the message" } else { &value.said };
                Ok(Answer { good, ..Answer::good(format!("{}: {said}\n", value.outcome), json) })
            }
        }
    }
}

fn row(mail: Wire) -> Vec<String> {
    let queued = words::time(Timestamp::from_ms(mail.created_at_ms));
    vec![mail.mail.0.to_string(), mail.status, mail.recipient, mail.subject, queued, mail.last_error]
}

fn text(mail: &Wire) -> String {
    let time = |ms: Option<i64>| words::time_maybe(ms.map(Timestamp::from_ms));
    let head = card(&[
        ("mail", mail.mail.0.to_string()),
        ("status", mail.status.clone()),
        ("recipient", mail.recipient.clone()),
        ("template", mail.template.clone()),
        ("about", mail.occasion.clone()),
        ("queued", time(Some(mail.created_at_ms))),
        ("tried", mail.attempts.to_string()),
        ("next attempt", time(mail.due_at_ms)),
        ("sent", time(mail.sent_at_ms)),
        ("met", mail.last_error.clone()),
        ("subject", mail.subject.clone()),
    ]);
    let body =
        mail.text.as_ref().map_or_else(|| "(the text is not kept, or holds a secret)\n".to_owned(), Clone::clone);
    format!("{head}\n{body}")
}
