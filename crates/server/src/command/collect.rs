//! `collect status|start|dry-run`: what takes room that nobody needs.

use super::lines::{self, Line};
use super::{Desk, words};
use crate::client::{Client, Said, call};
use crate::out::{Answer, Failure, card, table, wrapped};
use base::{Bytes, Timestamp};
use clap::Subcommand;
use protocol::admin::Nothing;
use protocol::admin::collection::{CollectionFound, CollectionLine, CollectionWaiting, Collections};

/// What can be asked about collections.
#[derive(Debug, Subcommand)]
pub enum Collect {
    /// Show the last collections, and what waits to be removed and until when.
    Status,
    /// Have a collection begin now, in the background.
    Start,
    /// Find out what a collection would find now, and change nothing.
    DryRun,
}

impl Collect {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        match self {
            Collect::Status => status(&client).await,
            Collect::Start => {
                let Said { json, .. } = client.post::<Collections>("/collections/start", &Nothing {}).await?;
                let text = "A collection begins within seconds, if the server runs: `collect status` shows it.\n";
                Ok(Answer::good(text.to_owned(), json))
            }
            Collect::DryRun => {
                let pieces = client.send(call("POST", "/collections/dry-run", &(), None)).await?;
                let found = lines::followed(pieces, "dry run", desk.surroundings.out, said).await?;
                let json = serde_json::to_value(found).expect("plain values");
                Ok(Answer { text: found_text(&found), json, good: found.flaws == 0 })
            }
        }
    }
}

fn said(line: CollectionLine) -> Line<CollectionFound> {
    match line {
        CollectionLine::Found(found) => Line::End(found),
        CollectionLine::Failed { code, sentence } => Line::Failed { code, sentence },
        CollectionLine::Marks => Line::Step("following snapshots".to_owned()),
        CollectionLine::Weighs { snapshots } => Line::Step(format!("weighing packs, after {snapshots} snapshots")),
    }
}

fn found_text(found: &CollectionFound) -> String {
    let mut text = card(&[
        ("snapshots", found.snapshots.to_string()),
        ("chunks", format!("{}, of which {} are needed", found.chunks, found.chunks_live)),
        ("packs", Bytes(found.bytes).to_string()),
        ("would be removed", format!("{} packs, {}", found.packs_dead, Bytes(found.bytes_dead))),
        ("would be repacked", format!("{} packs", found.packs_sparse)),
        ("would stay unneeded", format!("about {}, in packs that something needs", Bytes(found.bytes_waste))),
    ]);
    if found.flaws > 0 {
        let sentence = format!(
            "{} trees cannot be read: what is beneath them is not known, and a collection would remove nothing. \
             `scrub` says which snapshots are hurt.",
            found.flaws
        );
        text.push_str(&wrapped(&sentence, ""));
    }
    text
}

async fn status(client: &Client) -> Result<Answer, Failure> {
    let Said { value, json } = client.get::<Collections>("/collections", &()).await?;
    let mut text = match value.next_at_ms {
        Some(at) => format!("the next collection begins at {}\n", words::time(Timestamp::from_ms(at))),
        None => "a collection begins when an admin starts one\n".to_owned(),
    };
    for waiting in &value.waiting {
        text.push_str(&waiting_text(waiting));
    }
    let rows: Vec<Vec<String>> = value
        .collections
        .iter()
        .map(|one| {
            vec![
                one.number.to_string(),
                words::time(Timestamp::from_ms(one.begun_at_ms)),
                one.phase.clone(),
                Bytes(one.bytes).to_string(),
                Bytes(one.bytes_condemned).to_string(),
                Bytes(one.bytes_removed).to_string(),
                Bytes(one.bytes_waste).to_string(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["NUMBER", "BEGAN", "PHASE", "PACKS", "FOUND", "REMOVED", "WASTE"], &rows));
    }
    if value.collections.iter().any(|one| one.flaws > 0) {
        text.push_str("! trees could not be read: `scrub` says which snapshots are hurt\n");
    }
    Ok(Answer::good(text, json))
}

fn waiting_text(waiting: &CollectionWaiting) -> String {
    let time = |ms: i64| words::time(Timestamp::from_ms(ms));
    let what = format!("collection {}: {} packs with {}", waiting.number, waiting.packs, Bytes(waiting.bytes));
    let mut text = format!("{what} can go after {}\n", time(waiting.after_ms));
    if let (Some(device), Some(began), Some(lease)) =
        (waiting.oldest_device, waiting.oldest_began_at_ms, waiting.oldest_lease_until_ms)
    {
        let runs = match waiting.runs {
            1 => "the open run".to_owned(),
            runs => format!("{runs} open runs, the oldest"),
        };
        let sentence = format!(
            "and not before {runs} of {} ends, which began at {}; it ends by itself at {} unless its device asks again",
            words::short(device.0),
            time(began),
            time(lease)
        );
        text.push_str(&wrapped(&sentence, "  "));
    }
    text
}
