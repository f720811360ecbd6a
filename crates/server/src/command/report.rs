//! `report storage`: what takes room in the store, and whose it is.

use super::lines::{self, Line};
use super::{Desk, words};
use crate::client::{Client, Said, call};
use crate::out::{Answer, Failure, card, table, wrapped};
use base::{Bytes, Timestamp};
use clap::{Subcommand, ValueEnum};
use protocol::admin::Nothing;
use protocol::admin::storage::{
    StorageBy, StorageFigures, StorageLine, StorageQuery, StorageReport, StorageReports, StorageShare,
};
use serde_json::{Value, json};

/// What can be reported.
#[derive(Debug, Subcommand)]
pub enum Report {
    /// Show what takes room in the store, by the last report.
    Storage {
        /// Whose: every user's, device's or profile's.
        #[arg(long, value_enum, default_value_t = By::User)]
        by: By,
        /// Make a report now, and wait for it.
        #[arg(long, conflicts_with = "start")]
        fresh: bool,
        /// Have a report made in the background, if the server runs.
        #[arg(long)]
        start: bool,
    },
}

/// Whose shares are shown.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum By {
    /// Of every user.
    User,
    /// Of every device.
    Device,
    /// Of every profile.
    Profile,
}

impl Report {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let Report::Storage { by, fresh, start } = self;
        let client = desk.client().await?;
        if start {
            let Said { json, .. } = client.post::<StorageReports>("/reports/storage/start", &Nothing {}).await?;
            let text = "A report is made within minutes, if the server runs: `report storage` shows it then.\n";
            return Ok(Answer::good(text.to_owned(), json));
        }
        let reports = if fresh {
            let pieces = client.send(call("POST", "/reports/storage/fresh", &(), None)).await?;
            lines::followed(pieces, "report", desk.surroundings.out, said).await?
        } else {
            client.get::<StorageReports>("/reports/storage", &()).await?.value
        };
        shown(&client, by, reports).await
    }
}

fn said(line: StorageLine) -> Line<StorageReports> {
    match line {
        StorageLine::Report(reports) => Line::End(reports),
        StorageLine::Failed { code, sentence } => Line::Failed { code, sentence },
        StorageLine::Follows { snapshots } => Line::Step(format!("snapshots: {snapshots}")),
        StorageLine::Weighs { chunks } => Line::Step(format!("chunks: {chunks}")),
    }
}

async fn shown(client: &Client, by: By, reports: StorageReports) -> Result<Answer, Failure> {
    let mut json = serde_json::to_value(reports).expect("plain values");
    let Some(report) = reports.report else {
        json["shares"] = json!([]);
        let text = "No report was made yet: `report storage --fresh` makes one.\n";
        return Ok(Answer::good(text.to_owned(), json));
    };
    let by = match by {
        By::User => StorageBy::User,
        By::Device => StorageBy::Device,
        By::Profile => StorageBy::Profile,
    };
    let query = StorageQuery { by, after: None, limit: None };
    let mut said: Said<Vec<StorageShare>> = client.list("/reports/storage/shares", &query).await?;
    json["shares"] = said.json.get_mut("items").map(Value::take).unwrap_or_default();
    said.value.sort_by_key(|share| std::cmp::Reverse(share.figures.stored_bytes));
    let mut text = head(&report);
    let rows: Vec<Vec<String>> = said.value.iter().map(row).chain([figures("all together", &report.whole)]).collect();
    text.push('\n');
    text.push_str(&table(
        &[heading(by), "SNAPS", "NEWEST", "LOGICAL", "UNIQUE", "SHARED", "STORED", "DEDUP", "ZIP"],
        &rows,
    ));
    if report.flaws > 0 || report.missing > 0 {
        let sentence = format!(
            "{} trees cannot be read and {} chunks are missing: what only they need counts as not needed. `scrub` says \
             which snapshots are hurt.",
            report.flaws, report.missing
        );
        text.push('\n');
        text.push_str(&wrapped(&sentence, ""));
    }
    Ok(Answer::good(text, json))
}

fn head(report: &StorageReport) -> String {
    card(&[
        ("as of", words::time(Timestamp::from_ms(report.as_of_ms))),
        ("packs", format!("{}, {}", report.packs, Bytes(report.bytes))),
        ("needed", Bytes(report.whole.stored_bytes).to_string()),
        (
            "not needed",
            format!("{}, of which {} are condemned", Bytes(report.unneeded_bytes), Bytes(report.condemned_bytes)),
        ),
        ("framing", format!("{}, headers and tables of packs", Bytes(report.framing_bytes))),
    ])
}

const fn heading(by: StorageBy) -> &'static str {
    match by {
        StorageBy::User => "USER",
        StorageBy::Device => "DEVICE",
        StorageBy::Profile => "PROFILE",
    }
}

fn row(share: &StorageShare) -> Vec<String> {
    let name = match (share.name.as_str(), share.email.as_str()) {
        ("", _) => share.subject.clone(),
        (name, "") => name.to_owned(),
        (name, email) => format!("{name} ({email})"),
    };
    figures(&name, &share.figures)
}

fn figures(name: &str, figures: &StorageFigures) -> Vec<String> {
    vec![
        name.to_owned(),
        figures.snapshots.to_string(),
        Bytes(figures.newest_bytes).to_string(),
        Bytes(figures.logical_bytes).to_string(),
        Bytes(figures.unique_bytes).to_string(),
        Bytes(figures.shared_bytes).to_string(),
        Bytes(figures.stored_bytes).to_string(),
        ratio(figures.deduplication_permille),
        ratio(figures.compression_permille),
    ]
}

/// How often one goes into the other, with one digit after the point.
fn ratio(permille: Option<u64>) -> String {
    permille.map_or_else(|| "-".to_owned(), |permille| format!("{}.{}", permille / 1_000, permille % 1_000 / 100))
}
