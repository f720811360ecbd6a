//! `audit list|verify|export`: exit code 1 when the chain does not hold.

use super::{Desk, words};
use crate::client::{Said, call};
use crate::out::{Answer, Failure, card, table, wrapped};
use base::{Span, Timestamp};
use clap::{Subcommand, ValueEnum};
use data_encoding::HEXLOWER;
use futures::StreamExt as _;
use protocol::Hex;
use protocol::admin::Page;
use protocol::admin::audit::{AuditBroken, AuditQuery, AuditRow, AuditVerified, ExportForm, ExportQuery, VerifyQuery};

/// What can be asked about the audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List the newest rows.
    List {
        /// Only those of exactly this actor: "local root", "credential crd_…", "device dev_…".
        #[arg(long)]
        actor: Option<String>,
        /// Only those of exactly this action: device_deactivate.
        #[arg(long)]
        action: Option<String>,
        /// Only those about exactly this subject: an identifier or an address.
        #[arg(long)]
        subject: Option<String>,
        /// Only those of the last days.
        #[arg(long, value_name = "DAYS")]
        days: Option<u64>,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        limit: u64,
    },
    /// Look whether every row follows from the one before, and none is missing.
    Verify {
        /// The number of a row that was noted elsewhere when the log was verified before.
        #[arg(long, requires = "hash")]
        number: Option<u64>,
        /// The hash that was noted with it.
        #[arg(long, requires = "number")]
        hash: Option<String>,
    },
    /// Print the whole log, the oldest rows first.
    Export {
        /// How.
        #[arg(long, value_enum, default_value_t = Form::Ndjson)]
        form: Form,
        /// Only rows after the one with this number.
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
    },
}

/// How the log is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// One JSON object a line.
    Ndjson,
    /// A table for spreadsheets.
    Csv,
}

impl Audit {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        match self {
            Audit::List { actor, action, subject, days, limit } => {
                let from_ms = days.map(|days| (desk.now() - Span::days(days)).as_ms());
                let limit = Some(limit);
                list(desk, &AuditQuery { limit, actor, action, subject, from_ms, ..Default::default() }).await
            }
            Audit::Verify { number, hash } => {
                let hash = hash.as_deref().map(hash_of).transpose()?;
                verify(desk, &VerifyQuery { number, hash }).await
            }
            Audit::Export { form, after } => {
                let form = match form {
                    Form::Ndjson => ExportForm::Ndjson,
                    Form::Csv => ExportForm::Csv,
                };
                export(desk, &ExportQuery { form, after_number: after }).await
            }
        }
    }
}

fn hash_of(text: &str) -> Result<Hex<32>, Failure> {
    let bytes = HEXLOWER.decode(text.trim().as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let wrong = || Failure::new("hash_invalid", "A hash has 64 hexadecimal digits: `audit verify` prints one.");
    bytes.map(Hex).ok_or_else(wrong)
}

async fn list(desk: &Desk, query: &AuditQuery) -> Result<Answer, Failure> {
    let Said { value, json } = desk.client().await?.get::<Page<AuditRow>>("/audit", query).await?;
    Ok(Answer::good(listed(&value.items), json))
}

/// Where a row comes from is left to the JSON: times would not have their width.
fn listed(rows: &[AuditRow]) -> String {
    let row = |row: &AuditRow| {
        let at = words::time(Timestamp::from_ms(row.at_ms));
        vec![row.number.to_string(), at, row.action.clone(), row.subject.clone(), row.actor.clone()]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
    table(&["ROW", "AT", "ACTION", "SUBJECT", "ACTOR"], &rows)
}

async fn verify(desk: &Desk, query: &VerifyQuery) -> Result<Answer, Failure> {
    let Said { value, json } = desk.client().await?.get::<AuditVerified>("/audit/verify", query).await?;
    let mut text = card(&[("rows", value.rows.to_string()), ("head", HEXLOWER.encode(&value.head.0))]);
    let said = match &value.broken {
        None => "the log holds; note the two elsewhere, and give them as --number and --hash next time".to_owned(),
        Some(AuditBroken { number, fault }) => format!("the log does not hold: {}", broken(*number, fault)),
    };
    text.push_str(&wrapped(&said, ""));
    Ok(Answer { text, json, good: value.holds })
}

fn broken(number: u64, fault: &str) -> String {
    match fault {
        "changed" => format!("row {number} was changed, or stands in another's place"),
        "missing" => format!("row {number} is missing"),
        "cut_off" => format!("row {number} and what came after it are cut off"),
        "not_as_noted" => format!("row {number} is not the one that was noted"),
        other => format!("row {number}: {other}"),
    }
}

async fn export(desk: &Desk, query: &ExportQuery) -> Result<Answer, Failure> {
    let mut pieces = desk.client().await?.send(call("GET", "/audit/export", query, None)).await?;
    while let Some(piece) = pieces.next().await {
        desk.surroundings.out.piece(&piece?);
    }
    Ok(Answer::silent())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_rows_has_every_time_in_full() {
        let row = AuditRow {
            number: 123_456,
            at_ms: 1_764_005_400_000,
            actor: "x".repeat(60),
            action: "x".repeat(60),
            subject: "x".repeat(60),
            detail: String::new(),
            source: "2001:db8:0123:4567:89ab:cdef:0123:4567".to_owned(),
            proof: String::new(),
            version: 1,
            hash: Hex([0; 32]),
        };
        let text = listed(&[row]);
        assert!(text.contains("123456  2025-11-24 17:30Z  x"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
