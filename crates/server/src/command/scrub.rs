//! `scrub`: exit code 1 when anything is not as it must be.

use super::Desk;
use super::lines::{self, Line};
use crate::client::call;
use crate::out::{Answer, Failure, card, wrapped};
use base::Bytes;
use clap::Args;
use protocol::admin::scrub::{ScrubAsk, ScrubLine, ScrubReport};

/// What `scrub` takes.
#[derive(Debug, Args)]
pub struct Scrub {
    /// Look at sizes, tables of packs, manifests and trees only, and do not read the contents.
    #[arg(long, conflicts_with = "sample")]
    metadata_only: bool,
    /// Read the next so many percent of the packs, and look at nothing else: the samples that go into 100 read
    /// everything.
    #[arg(long, value_name = "PERCENT")]
    sample: Option<u8>,
}

/// How many files are named to a person.
const FILES_SHOWN: usize = 50;
/// How many orphans are named to a person.
const ORPHANS_SHOWN: usize = 20;

impl Scrub {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let body = serde_json::to_value(ScrubAsk { metadata_only: self.metadata_only, sample: self.sample })
            .expect("plain values");
        let pieces = desk.client().await?.send(call("POST", "/scrub", &(), Some(body))).await?;
        let report = lines::followed(pieces, "scrub", desk.surroundings.out, said).await?;
        let json = serde_json::to_value(&report).expect("plain values");
        Ok(Answer { text: to_text(&report), json, good: report.clean })
    }
}

fn said(line: ScrubLine) -> Line<ScrubReport> {
    match line {
        ScrubLine::Report(report) => Line::End(report),
        ScrubLine::Failed { code, sentence } => Line::Failed { code, sentence },
        ScrubLine::Packs { done, total, bytes } => {
            Line::Step(format!("packs: {done} of {total}, {} read", Bytes(bytes)))
        }
        ScrubLine::Snapshots { done } => Line::Step(format!("snapshots: {done}")),
        ScrubLine::Objects { done } => Line::Step(format!("objects: {done}")),
    }
}

fn to_text(report: &ScrubReport) -> String {
    let mut text = card(&[
        ("packs", report.packs.to_string()),
        ("chunks", report.chunks.to_string()),
        ("read", Bytes(report.bytes_read).to_string()),
        ("snapshots", report.snapshots.to_string()),
        ("orphans", report.orphans_total.to_string()),
        ("problems", report.problems_total.to_string()),
    ]);
    for problem in &report.problems {
        text.push_str(&format!("\n{} {}\n", problem.code, problem.subject.escape_debug()));
        text.push_str(&wrapped(&problem.sentence, "  "));
    }
    if !report.snapshots_hurt.is_empty() {
        text.push_str("\nsnapshots of which something cannot be restored:\n");
        text.extend(report.snapshots_hurt.iter().map(|snapshot| format!("  {}\n", snapshot.0)));
    }
    if !report.files_hurt.is_empty() {
        text.push_str("\nwhat of these is lost:\n");
        let shown = report.files_hurt.iter().take(FILES_SHOWN);
        text.extend(shown.map(|file| format!("  {}  {}\n", file.snapshot.0, file.path)));
        let more = report.files_hurt.len().saturating_sub(FILES_SHOWN);
        if more > 0 || report.files_hurt_more {
            let at_least = if report.files_hurt_more { "at least " } else { "" };
            text.push_str(&format!("  and {at_least}{more} more: `scrub --json` lists them\n"));
        }
    }
    if !report.orphans.is_empty() {
        text.push_str("\nobjects that nothing names (they take up room and do no harm):\n");
        text.extend(report.orphans.iter().take(ORPHANS_SHOWN).map(|name| format!("  {name}\n")));
    }
    text.push_str(if report.clean { "\nscrub passed\n" } else { "\nscrub found damage\n" });
    text
}
