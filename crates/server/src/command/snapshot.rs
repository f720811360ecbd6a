//! `snapshot list|show`. Refuses roots: an admin sees that a snapshot is there, not what is in it.

use super::{ACTOR, Desk, words};
use crate::out::{Answer, Failure, card, table};
use app::snapshots::{self, PAGE_MAX, SnapshotView};
use app::{App, devices};
use base::{DeviceId, SnapshotId};
use clap::Subcommand;
use format::Totals;
use protocol::path_to_text;
use serde_json::{Value, json};
use std::collections::HashMap;

/// What can be asked about snapshots.
#[derive(Debug, Subcommand)]
pub enum Snapshot {
    /// List snapshots, newest first.
    List {
        /// Only those of this device.
        #[arg(long, value_name = "DEVICE")]
        device: Option<String>,
    },
    /// Show one snapshot.
    Show {
        /// Its identifier.
        snapshot: String,
    },
}

impl Snapshot {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let app = desk.app().await?;
        match self {
            Snapshot::List { device } => list(&app, device.as_deref()).await,
            Snapshot::Show { snapshot } => show(&app, &snapshot).await,
        }
    }
}

async fn list(app: &App, device: Option<&str>) -> Result<Answer, Failure> {
    let device = match device {
        Some(device) => Some(devices::find(app, &ACTOR, device).await?.id),
        None => None,
    };
    let names: HashMap<DeviceId, String> =
        devices::list(app, &ACTOR).await?.into_iter().map(|device| (device.id, device.name)).collect();
    let (mut rows, mut json, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = snapshots::admin_list(app, &ACTOR, device, after.as_deref(), PAGE_MAX).await?;
        for snapshot in &page.snapshots {
            let marked = if snapshot.problems.0 > 0 { MARK } else { "" };
            rows.push(vec![
                snapshot.id.to_string(),
                words::time(snapshot.committed_at),
                names.get(&snapshot.device).cloned().unwrap_or_default(),
                snapshot.totals.files.to_string(),
                snapshot.totals.bytes.to_string(),
                marked.to_owned(),
            ]);
            json.push(to_json(snapshot));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut text = table(&["SNAPSHOT", "COMMITTED", "DEVICE", "FILES", "SIZE", MARK], &rows);
    if rows.iter().any(|row| row.last().is_some_and(|mark| mark == MARK)) {
        text.push_str("! some entries could not be saved: see `snapshot show`\n");
    }
    Ok(Answer::good(text, json!({ "snapshots": json })))
}

/// Marks a snapshot with problems.
const MARK: &str = "!";

async fn show(app: &App, snapshot: &str) -> Result<Answer, Failure> {
    let unknown = |_| Failure {
        code: "snapshot_unknown".to_owned(),
        sentence: format!("\"{}\" is not the identifier of a snapshot.", snapshot.escape_debug()),
    };
    let snapshot = snapshots::admin_get(app, &ACTOR, snapshot.parse::<SnapshotId>().map_err(unknown)?).await?;
    let mut lines = vec![
        ("snapshot", snapshot.id.to_string()),
        ("device", snapshot.device.to_string()),
        ("parent", snapshot.parent.map_or_else(|| "-".to_owned(), |parent| parent.to_string())),
        ("began", words::time(snapshot.began_at)),
        ("ended", words::time(snapshot.ended_at)),
        ("committed", words::time(snapshot.committed_at)),
        ("entries", snapshot.totals.entries.to_string()),
        ("files", snapshot.totals.files.to_string()),
        ("size", snapshot.totals.bytes.to_string()),
        ("host name", snapshot.host_name.clone()),
        ("problems", snapshot.problems.to_string()),
    ];
    lines.extend(snapshot.folders.iter().map(|folder| ("folder", path_to_text(folder.as_bytes()))));
    Ok(Answer::good(card(&lines), to_json(&snapshot)))
}

fn to_json(snapshot: &SnapshotView) -> Value {
    let Totals { entries, files, bytes } = snapshot.totals;
    let folders: Vec<String> = snapshot.folders.iter().map(|folder| path_to_text(folder.as_bytes())).collect();
    json!({
        "snapshot": snapshot.id.to_string(),
        "device": snapshot.device.to_string(),
        "parent": snapshot.parent.map(|parent| parent.to_string()),
        "began_at_ms": snapshot.began_at.as_ms(),
        "ended_at_ms": snapshot.ended_at.as_ms(),
        "committed_at_ms": snapshot.committed_at.as_ms(),
        "totals": { "entries": entries.0, "files": files.0, "bytes": bytes.0 },
        "folders": folders,
        "host_name": snapshot.host_name,
        "problems": snapshot.problems.0,
    })
}
