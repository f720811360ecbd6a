//! `scrub`: exit code 1 when anything is not as it must be.

use super::Desk;
use crate::out::{Answer, Failure, card, wrapped};
use app::AdminActor;
use app::scrub::{Options, Progress, Report, scrub};
use clap::Args;
use serde_json::{Value, json};

/// What `scrub` takes.
#[derive(Debug, Args)]
pub struct Scrub {
    /// Look at sizes, tables of packs, manifests and trees only, and do not read the contents.
    #[arg(long)]
    metadata_only: bool,
}

/// How many orphans are named to a person.
const ORPHANS_SHOWN: usize = 20;

impl Scrub {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let app = desk.app().await?;
        let out = desk.surroundings.out;
        let mut show = |progress: Progress| out.progress(&said(progress));
        let report = scrub(&app, &AdminActor::Command, Options { read_data: !self.metadata_only }, &mut show).await;
        out.progress_end();
        let report = report?;
        Ok(Answer { text: to_text(&report), json: to_json(&report), good: report.is_clean() })
    }
}

fn said(progress: Progress) -> String {
    match progress {
        Progress::Packs { done, total, bytes } => format!("packs: {done} of {total}, {bytes} read"),
        Progress::Snapshots { done } => format!("snapshots: {done}"),
        Progress::Objects { done } => format!("objects: {done}"),
    }
}

fn to_text(report: &Report) -> String {
    let mut text = card(&[
        ("packs", report.packs.to_string()),
        ("chunks", report.chunks.to_string()),
        ("read", report.bytes.to_string()),
        ("snapshots", report.snapshots.to_string()),
        ("orphans", report.orphans_total.to_string()),
        ("problems", report.problems_total.to_string()),
    ]);
    for problem in &report.problems {
        text.push_str(&format!("\n{} {}\n", problem.code.word(), problem.subject.escape_debug()));
        text.push_str(&wrapped(&problem.sentence, "  "));
    }
    if !report.snapshots_hurt.is_empty() {
        text.push_str("\nsnapshots of which something cannot be restored:\n");
        text.extend(report.snapshots_hurt.iter().map(|snapshot| format!("  {snapshot}\n")));
    }
    if !report.orphans.is_empty() {
        text.push_str("\nobjects that nothing names (they take up room and do no harm):\n");
        text.extend(report.orphans.iter().take(ORPHANS_SHOWN).map(|name| format!("  {name}\n")));
    }
    text.push_str(if report.is_clean() { "\nscrub passed\n" } else { "\nscrub found damage\n" });
    text
}

fn to_json(report: &Report) -> Value {
    let problems: Vec<Value> = report
        .problems
        .iter()
        .map(|problem| json!({ "code": problem.code.word(), "subject": problem.subject, "sentence": problem.sentence }))
        .collect();
    let hurt: Vec<String> = report.snapshots_hurt.iter().map(ToString::to_string).collect();
    json!({
        "clean": report.is_clean(),
        "packs": report.packs.0,
        "chunks": report.chunks.0,
        "bytes_read": report.bytes.0,
        "snapshots": report.snapshots.0,
        "problems_total": report.problems_total.0,
        "problems": problems,
        "snapshots_hurt": hurt,
        "orphans_total": report.orphans_total.0,
        "orphans": report.orphans,
    })
}
