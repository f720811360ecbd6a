//! `snapshot list|show`. Refuses roots: an admin sees that a snapshot is there, not what is in it.

use super::{Desk, named, words};
use crate::client::{Client, Said};
use crate::out::{Answer, Failure, card, table};
use base::{Bytes, DeviceId, SnapshotId, Timestamp};
use clap::Subcommand;
use protocol::Text;
use protocol::admin::device::{Device, DeviceQuery};
use protocol::admin::snapshot::{Snapshot as Wire, SnapshotQuery};
use std::collections::{BTreeSet, HashMap};

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
        let client = desk.client().await?;
        match self {
            Snapshot::List { device } => list(&client, device.as_deref()).await,
            Snapshot::Show { snapshot } => show(&client, &snapshot).await,
        }
    }
}

async fn list(client: &Client, device: Option<&str>) -> Result<Answer, Failure> {
    let device = match device {
        Some(device) => Some(named::find::<Device>(client, device).await?.value),
        None => None,
    };
    let query = SnapshotQuery { device: device.as_ref().map(|device| device.device), ..Default::default() };
    let Said { value, json } = client.list::<Wire>("/snapshots", &query).await?;
    let names = names(client, device, &value).await?;
    let row = |snapshot: &Wire| {
        vec![
            snapshot.snapshot.0.to_string(),
            words::time(Timestamp::from_ms(snapshot.committed_at_ms)),
            names.get(&snapshot.device.0).cloned().unwrap_or_default(),
            snapshot.totals.files.to_string(),
            Bytes(snapshot.totals.bytes).to_string(),
            if snapshot.problems > 0 { MARK } else { "" }.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = value.iter().map(row).collect();
    let mut text = table(&["SNAPSHOT", "COMMITTED", "DEVICE", "FILES", "SIZE", MARK], &rows);
    if value.iter().any(|snapshot| snapshot.problems > 0) {
        text.push_str("! some entries could not be saved: see `snapshot show`\n");
    }
    Ok(Answer::good(text, json))
}

/// Marks a snapshot with problems.
const MARK: &str = "!";

/// Up to so many devices are asked for one by one, and more of them as the list of all.
const DEVICES_MAX: usize = 20;

/// The names of the devices of these snapshots. Who may not see devices sees their identifiers.
async fn names(
    client: &Client,
    device: Option<Device>,
    snapshots: &[Wire],
) -> Result<HashMap<DeviceId, String>, Failure> {
    let ids: BTreeSet<DeviceId> = snapshots.iter().map(|snapshot| snapshot.device.0).collect();
    let known = device.into_iter().collect();
    let devices = match devices(client, known, &ids).await {
        Err(failure) if failure.code == "not_permitted" => {
            return Ok(ids.into_iter().map(|id| (id, words::short(id))).collect());
        }
        found => found?,
    };
    Ok(devices.into_iter().map(|Device { device: Text(id), name, .. }| (id, name)).collect())
}

async fn devices(client: &Client, known: Vec<Device>, ids: &BTreeSet<DeviceId>) -> Result<Vec<Device>, Failure> {
    let mut devices = known;
    let unknown: Vec<DeviceId> =
        ids.iter().copied().filter(|id| devices.iter().all(|device| device.device.0 != *id)).collect();
    if unknown.len() > DEVICES_MAX {
        return Ok(client.list::<Device>("/devices", &DeviceQuery::default()).await?.value);
    }
    for id in unknown {
        devices.push(client.get::<Device>(&format!("/devices/{id}"), &()).await?.value);
    }
    Ok(devices)
}

async fn show(client: &Client, snapshot: &str) -> Result<Answer, Failure> {
    let unknown = |_| {
        let sentence = format!("\"{}\" is not the identifier of a snapshot.", snapshot.escape_debug());
        Failure::new("snapshot_unknown", sentence)
    };
    let id = snapshot.parse::<SnapshotId>().map_err(unknown)?;
    let Said { value: snapshot, json } = client.get::<Wire>(&format!("/snapshots/{id}"), &()).await?;
    let time = |ms: i64| words::time(Timestamp::from_ms(ms));
    let mut lines = vec![
        ("snapshot", snapshot.snapshot.0.to_string()),
        ("device", snapshot.device.0.to_string()),
        ("parent", snapshot.parent.map_or_else(|| "-".to_owned(), |parent| parent.0.to_string())),
        ("began", time(snapshot.began_at_ms)),
        ("ended", time(snapshot.ended_at_ms)),
        ("committed", time(snapshot.committed_at_ms)),
        ("entries", snapshot.totals.entries.to_string()),
        ("files", snapshot.totals.files.to_string()),
        ("size", Bytes(snapshot.totals.bytes).to_string()),
        ("host name", snapshot.host_name.clone()),
        ("problems", snapshot.problems.to_string()),
        ("whole", if snapshot.partial { "no: of folders that a person has named" } else { "yes" }.to_owned()),
    ];
    lines.extend(snapshot.folders.into_iter().map(|folder| ("folder", folder)));
    Ok(Answer::good(card(&lines), json))
}
