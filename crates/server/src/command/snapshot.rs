//! `snapshot list|show|retention|pin|unpin|give-up|keep`. Refuses roots: an admin sees that a snapshot is there, not
//! what is in it.

use super::{Desk, named, words};
use crate::client::{Client, Said};
use crate::out::{Answer, Failure, card, table, wrapped};
use base::{Bytes, DeviceId, SnapshotId, Timestamp};
use clap::Subcommand;
use protocol::Text;
use protocol::admin::Nothing;
use protocol::admin::device::{Device, DeviceQuery};
use protocol::admin::snapshot::{
    Retention, RetentionQuery, RetentionSnapshot, Snapshot as Wire, SnapshotPinSet, SnapshotQuery,
};
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
    /// Show what becomes of each snapshot of a device, and why.
    Retention {
        /// Its name, its identifier, or the beginning of that.
        device: String,
        /// What would become of them if every one were kept for so many days.
        #[arg(long, value_name = "DAYS")]
        days: Option<u16>,
        /// The same with the last one of each of so many weeks.
        #[arg(long, value_name = "WEEKS")]
        weeks: Option<u16>,
        /// The same with the last one of each of so many months.
        #[arg(long, value_name = "MONTHS")]
        months: Option<u16>,
    },
    /// Keep a snapshot until that is taken back.
    Pin {
        /// Its identifier.
        snapshot: String,
        /// Why.
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// Take a pin back.
    Unpin {
        /// Its identifier.
        snapshot: String,
    },
    /// Let go of a snapshot of which something is lost, whatever the policy says.
    GiveUp {
        /// Its identifier.
        snapshot: String,
    },
    /// Take that back, while the snapshot is there.
    Keep {
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
            Snapshot::Retention { device, days, weeks, months } => {
                retention(&client, &device, &RetentionQuery { days, weeks, months }).await
            }
            Snapshot::Pin { snapshot, note } => {
                let path = format!("/snapshots/{}/pin", parse(&snapshot)?);
                let Said { value, json } = client.change::<Wire>("PUT", &path, &SnapshotPinSet { note }).await?;
                Ok(Answer::good(format!("{} is kept until `snapshot unpin`\n", value.snapshot.0), json))
            }
            Snapshot::Unpin { snapshot } => {
                let path = format!("/snapshots/{}/pin", parse(&snapshot)?);
                let Said { value, json } = client.change::<Wire>("DELETE", &path, &Nothing {}).await?;
                Ok(Answer::good(format!("{} is kept as the policy says\n", value.snapshot.0), json))
            }
            Snapshot::GiveUp { snapshot } => {
                let path = format!("/snapshots/{}/given-up", parse(&snapshot)?);
                let Said { value, json } = client.change::<Wire>("PUT", &path, &Nothing {}).await?;
                let said = format!(
                    "{} is let go of within the hour, and removed for good after `snapshot.undo_days`: until then \
                     `snapshot keep` takes it back, and what is whole of it can be restored.",
                    value.snapshot.0
                );
                Ok(Answer::good(wrapped(&said, ""), json))
            }
            Snapshot::Keep { snapshot } => {
                let path = format!("/snapshots/{}/given-up", parse(&snapshot)?);
                let Said { value, json } = client.change::<Wire>("DELETE", &path, &Nothing {}).await?;
                Ok(Answer::good(format!("{} is kept as the policy says\n", value.snapshot.0), json))
            }
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

fn parse(snapshot: &str) -> Result<SnapshotId, Failure> {
    let unknown = |_| {
        let sentence = format!("\"{}\" is not the identifier of a snapshot.", snapshot.escape_debug());
        Failure::new("snapshot_unknown", sentence)
    };
    snapshot.parse::<SnapshotId>().map_err(unknown)
}

async fn retention(client: &Client, device: &str, query: &RetentionQuery) -> Result<Answer, Failure> {
    let id = named::id::<Device>(client, device).await?;
    let Said { value, json } = client.get::<Retention>(&format!("/devices/{id}/retention"), query).await?;
    let time = |ms: i64| words::time(Timestamp::from_ms(ms));
    let mut text = format!(
        "every snapshot for {} days, the last of each of {} weeks and {} months\n",
        value.days, value.weeks, value.months
    );
    for one in &value.snapshots {
        let mark = if one.partial || one.hurt { " !" } else { "" };
        text.push_str(&format!("\n{}  {}{mark}\n", one.snapshot.0, time(one.committed_at_ms)));
        text.push_str(&wrapped(&becomes(one), "  "));
    }
    if value.snapshots.iter().any(|one| one.partial || one.hurt) {
        text.push_str("! of some folders alone, or hurt: it stands for no week and no month\n");
    }
    if !value.holds.is_empty() {
        let line = format!("legal holds keep everything: {}", value.holds.join(", "));
        text.push_str(&wrapped(&line, ""));
    }
    Ok(Answer::good(text, json))
}

async fn show(client: &Client, snapshot: &str) -> Result<Answer, Failure> {
    let id = parse(snapshot)?;
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
        ("kept", kept(&snapshot)),
        ("whole", if snapshot.partial { "no: of folders that a person has named" } else { "yes" }.to_owned()),
    ];
    lines.extend(snapshot.folders.into_iter().map(|folder| ("folder", folder)));
    Ok(Answer::good(card(&lines), json))
}

/// What becomes of a snapshot and why: `kept until 2026-11-30 00:00Z: weekly, week 43 of 2026`.
fn becomes(one: &RetentionSnapshot) -> String {
    let time = |ms: i64| words::time(Timestamp::from_ms(ms));
    let reasons: Vec<&str> = one.reasons.iter().map(|reason| reason.text.as_str()).collect();
    match (one.removed_after_ms, one.until_ms) {
        (Some(at), _) => format!("let go of, and removed after {}", time(at)),
        (None, Some(at)) => format!("kept until {}: {}", time(at), reasons.join("; ")),
        (None, None) => format!("kept: {}", reasons.join("; ")),
    }
}

/// What becomes of a snapshot, in a line.
fn kept(snapshot: &Wire) -> String {
    let time = |ms: i64| words::time(Timestamp::from_ms(ms));
    let mut said = match (&snapshot.pin, snapshot.expired_at_ms) {
        (Some(pin), _) if pin.note.is_empty() => format!("pinned by {} at {}", pin.by, time(pin.at_ms)),
        (Some(pin), _) => format!("pinned by {} at {}: {}", pin.by, time(pin.at_ms), pin.note),
        (None, Some(at)) => format!("let go of at {}: `snapshot retention` says more", time(at)),
        (None, None) => "as the policy says".to_owned(),
    };
    if let Some(at) = snapshot.hurt_at_ms {
        said.push_str(&format!("; something of it was found lost at {}", time(at)));
    }
    if let Some(at) = snapshot.given_up_at_ms {
        said.push_str(&format!("; given up at {}", time(at)));
    }
    said
}
