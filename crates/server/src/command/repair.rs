//! `repair`: what the database does not know of its store. Exit code 1 when there is something to do, or that cannot be
//! done.

use super::Desk;
use crate::out::{Answer, Failure, card, wrapped};
use app::repair::{Options, Progress, Report};
use clap::Args;
use serde_json::{Value, json};

/// What `repair` takes.
#[derive(Debug, Args)]
pub struct Repair {
    /// Do it; without this, only what would be done is said.
    #[arg(long)]
    apply: bool,
}

/// How many objects are named to a person.
const SHOWN: usize = 20;

impl Repair {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let app = desk.app_unmatched().await?;
        let out = desk.surroundings.out;
        let options = Options { apply: self.apply, hold: None };
        let report = app::repair::repair(&app, &options, &mut |progress| out.progress(&step(progress))).await;
        out.progress_end();
        let report = report?;
        let good = if self.apply { report.unreadable_total.0 == 0 } else { report.is_clean() };
        let mut text = to_text(&report, self.apply);
        if !self.apply && !report.is_clean() {
            text.push_str("\nnothing was changed: `repair --apply` does it\n");
        }
        Ok(Answer { text, json: to_json(&report), good })
    }
}

pub(super) fn step(progress: Progress) -> String {
    match progress {
        Progress::Packs { done } => format!("packs: {done}"),
        Progress::Devices { done } => format!("devices: {done}"),
        Progress::Snapshots { done } => format!("snapshots: {done}"),
    }
}

pub(super) fn to_text(report: &Report, is_done: bool) -> String {
    let verb = if is_done { "taken in" } else { "to take in" };
    let mut text = card(&[
        ("packs", report.packs.to_string()),
        ("unknown packs", format!("{} {verb}, {}", report.packs_taken, report.bytes_taken)),
        ("rows that differ", format!("of {} packs", report.packs_reread)),
        ("missing packs", report.packs_missing.to_string()),
        ("users", format!("{} {verb}", report.users_taken)),
        ("devices", format!("{} {verb}", report.devices_taken)),
        ("snapshots", format!("{} {verb}", report.snapshots_taken)),
        ("manifests left out", report.manifests_left.to_string()),
        ("unreadable objects", report.unreadable_total.to_string()),
    ]);
    if !report.snapshots_hurt.is_empty() {
        text.push_str("\nsnapshots of which something cannot be restored:\n");
        text.extend(report.snapshots_hurt.iter().take(SHOWN).map(|snapshot| format!("  {snapshot}\n")));
    }
    for (name, why) in report.unreadable.iter().take(SHOWN) {
        text.push_str(&format!("\n{}\n{}", name.escape_debug(), wrapped(why, "  ")));
    }
    text
}

pub(super) fn to_json(report: &Report) -> Value {
    let unreadable: Vec<Value> =
        report.unreadable.iter().map(|(name, why)| json!({ "object": name, "why": why })).collect();
    json!({
        "packs": report.packs.0,
        "packs_taken": report.packs_taken.0,
        "bytes_taken": report.bytes_taken.0,
        "packs_reread": report.packs_reread.0,
        "packs_missing": report.packs_missing.0,
        "users_taken": report.users_taken.0,
        "devices_taken": report.devices_taken.0,
        "snapshots_taken": report.snapshots_taken.0,
        "snapshots_hurt": report.snapshots_hurt.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "manifests_left": report.manifests_left.0,
        "unreadable_total": report.unreadable_total.0,
        "unreadable": unreadable,
    })
}
