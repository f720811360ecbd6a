//! `device list|show|deactivate|hold|reactivate|approve|suspend|enable|decommission|delete|undelete|set|unset`.

mod support;

use super::{Desk, named, values, words};
use crate::client::Said;
use crate::out::{Answer, Failure, card, table};
use base::{Span, Timestamp};
use clap::{Subcommand, ValueEnum};
use protocol::admin::Nothing;
use protocol::admin::device::{
    Deactivate, Device as Wire, DeviceCampaign, DeviceMore, DeviceQuery, Hold, ResetLevel as WireLevel,
};
use serde::Serialize;
use std::path::PathBuf;

/// What can be asked about devices. DEVICE is an identifier, the beginning of one, or a name.
#[derive(Debug, Subcommand)]
pub enum Device {
    /// List devices.
    List {
        /// Only those of the user with this e-mail address.
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
        /// Only those whose state has this word: pending, active, held, deactivated, suspended, quarantined,
        /// decommissioning, decommissioned, deleted, purged.
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// Only those that were not seen for this many days, or never.
        #[arg(long, value_name = "DAYS")]
        unseen_days: Option<u64>,
    },
    /// Show everything about one device.
    Show {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// Refuse the device's credential from now on; all its data is kept.
    Deactivate {
        /// Its identifier, the beginning of one, or its name.
        device: String,
        /// What the device's old key is still worth when it comes back.
        #[arg(long, value_enum, default_value_t = ResetLevel::Distrust)]
        level: ResetLevel,
    },
    /// Make the device activate again: until then it may append, for some days, and not read.
    Hold {
        /// Its identifier, the beginning of one, or its name.
        device: String,
        /// For how many days it may still append; `device.hold_days` of the configuration when it is not given. One
        /// that may append no more is not held but deactivated: see `deactivate`.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=365))]
        append_days: Option<u64>,
    },
    /// Bring a held or deactivated device back without its doing anything, with the key that it has; not one whose key
    /// is distrusted, which `deactivate` makes it unless it is told otherwise.
    Reactivate {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// Say yes to a record that waits, or to full rights for what a token has activated.
    Approve {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// Stop the device; its credential is kept.
    Suspend {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// End the suspension, or withdraw an order to erase.
    Enable {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// Have the device erase its local data; what it stored here is kept.
    Decommission {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// Delete the device and all its snapshots; `undelete` takes it back for some days.
    Delete {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// Take a deletion back.
    Undelete {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// Ask a device for a support bundle; read it, or take the order back.
    SupportBundle {
        /// The device.
        device: String,
        /// Write what it has sent to this new file, which only its owner may read.
        #[arg(long, value_name = "FILE", conflicts_with = "withdraw")]
        out: Option<PathBuf>,
        /// Remove what it has sent, or take the order back.
        #[arg(long)]
        withdraw: bool,
    },
    /// Set a device's own policies; they take the place of the profile's.
    Set {
        /// Its identifier, the beginning of one, or its name.
        device: String,
        /// Such as `interval=4h`; `policy keys` lists what there is.
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
    },
    /// Take a device's own policies back.
    Unset {
        /// Its identifier, the beginning of one, or its name.
        device: String,
        /// Such as `interval`.
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

/// What the old key is still worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResetLevel {
    /// It alone proves the device, which gets a new key.
    Rotate,
    /// It proves nothing alone: the user signs in, or an installer's token comes with it.
    Revoke,
    /// Somebody else has it: it proves nothing, so that only the user, a ticket or an admin lets the device read again.
    Distrust,
}

/// Where devices are, below `/api/v1`.
const DEVICES: &str = "/devices";

impl Device {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        match self {
            Device::List { user, state, unseen_days } => {
                let seen_before_ms = unseen_days.map(|days| (desk.now() - Span::days(days)).as_ms());
                list(desk, DeviceQuery { user, state, seen_before_ms, ..Default::default() }).await
            }
            Device::Show { device } => {
                let Said { value, json } = named::whole::<Wire>(&desk.client().await?, &device).await?;
                Ok(Answer::good(text(&value), json))
            }
            Device::Deactivate { device, level } => {
                let level = match level {
                    ResetLevel::Rotate => WireLevel::Rotate,
                    ResetLevel::Revoke => WireLevel::Revoke,
                    ResetLevel::Distrust => WireLevel::Distrust,
                };
                change(desk, &device, DEVICES, "deactivate", &Deactivate { level }).await
            }
            Device::Hold { device, append_days } => change(desk, &device, DEVICES, "hold", &Hold { append_days }).await,
            Device::Reactivate { device } => change(desk, &device, DEVICES, "reactivate", &Nothing {}).await,
            Device::Approve { device } => change(desk, &device, DEVICES, "approve", &Nothing {}).await,
            Device::Suspend { device } => change(desk, &device, DEVICES, "suspend", &Nothing {}).await,
            Device::Enable { device } => change(desk, &device, DEVICES, "enable", &Nothing {}).await,
            Device::Decommission { device } => change(desk, &device, DEVICES, "decommission", &Nothing {}).await,
            Device::Delete { device } => change(desk, &device, DEVICES, "delete", &Nothing {}).await,
            Device::SupportBundle { device, out, withdraw } => {
                let client = desk.client().await?;
                support::bundle(&client, &device, out.as_deref(), withdraw).await
            }
            Device::Undelete { device } => change(desk, &device, DEVICES, "undelete", &Nothing {}).await,
            Device::Set { device, values } => set(desk, &device, &values, &[]).await,
            Device::Unset { device, keys } => set(desk, &device, &[], &keys).await,
        }
    }
}

async fn list(desk: &Desk, query: DeviceQuery) -> Result<Answer, Failure> {
    let Said { value, json } = desk.client().await?.list::<Wire>("/devices", &query).await?;
    Ok(Answer::good(listed(desk, &value), json))
}

/// Devices as a table. Never fails.
pub(super) fn listed(desk: &Desk, devices: &[Wire]) -> String {
    let row = |device: &Wire| {
        vec![
            words::short(device.device.0),
            device.name.clone(),
            device.user.clone(),
            state(device),
            words::ago(device.last_seen_at_ms.map(Timestamp::from_ms), desk.now()),
        ]
    };
    let rows: Vec<Vec<String>> = devices.iter().map(row).collect();
    table(&["DEVICE", "NAME", "USER", "STATE", "SEEN"], &rows)
}

/// Has something happen to a device, at `/devices` or `/desk`, and says what it is then and was before.
///
/// # Errors
/// As `named::find`.
pub(super) async fn change(
    desk: &Desk,
    device: &str,
    place: &str,
    event: &str,
    body: &impl Serialize,
) -> Result<Answer, Failure> {
    let client = desk.client().await?;
    let before = named::find::<Wire>(&client, device).await?.value;
    let path = format!("{place}/{}/{event}", before.device.0);
    let Said { value, json } = client.post::<Wire>(&path, body).await?;
    let (name, id) = (value.name.escape_debug(), words::short(value.device.0));
    let text = format!("{name} ({id}): {}, was {}\n", state(&value), state(&before));
    Ok(Answer::good(text, json))
}

async fn set(desk: &Desk, device: &str, set: &[String], unset: &[String]) -> Result<Answer, Failure> {
    let client = desk.client().await?;
    let path = format!("/devices/{}", named::id::<Wire>(&client, device).await?);
    values::change(&client, &path, set, unset).await
}

/// The state as a person reads it: `active (append-only)`, `suspended (was active)`.
fn state(device: &Wire) -> String {
    let flat = control::FlatState {
        word: device.state.clone(),
        was: device.state_was.clone(),
        rights: device.rights.clone(),
        level: device.level.clone(),
        append_until: device.append_until_ms.map(Timestamp::from_ms),
        purge_after: device.purge_after_ms.map(Timestamp::from_ms),
    };
    // A newer server may have a state that this program does not know: its word says something all the same.
    control::State::from_flat(&flat).map_or_else(|_| device.state.clone(), |state| state.to_string())
}

fn text(device: &Wire) -> String {
    let time = |ms: i64| words::time(Timestamp::from_ms(ms));
    let mut lines = vec![
        ("device", device.device.0.to_string()),
        ("name", device.name.clone()),
        ("user", device.user.clone()),
        ("state", state(device)),
        ("rights", device.rights.clone().unwrap_or_default()),
    ];
    lines.extend(device.level.clone().map(|level| ("cut off as", level)));
    lines.extend(device.append_until_ms.map(|until| ("appends until", time(until))));
    lines.extend(device.purge_after_ms.map(|after| ("purged after", time(after))));
    let about = &device.about;
    lines.extend([
        ("epoch", device.epoch.to_string()),
        ("created", time(device.created_at_ms)),
        ("activated", time(device.activated_at_ms)),
        ("seen", words::time_maybe(device.last_seen_at_ms.map(Timestamp::from_ms))),
        ("snapshot", device.last_snapshot.map_or_else(|| "-".to_owned(), |snapshot| snapshot.0.to_string())),
        ("host name", about.host_name.clone()),
        ("serial", about.serial.clone()),
        ("hardware UUID", about.hardware_uuid.clone()),
        ("runs as", about.os_user.clone()),
        ("system", format!("{} {}", about.os, about.arch)),
        ("agent", about.agent.clone()),
    ]);
    lines.extend(device.more.as_deref().into_iter().flat_map(more));
    card(&lines)
}

/// What is known beside the record, and what waits for somebody.
fn more(more: &DeviceMore) -> Vec<(&'static str, String)> {
    let time = |ms: i64| words::time(Timestamp::from_ms(ms));
    let mut lines: Vec<(&str, String)> = Vec::new();
    lines.extend(more.proof.clone().map(|proof| ("proof", proof)));
    lines.extend(more.source.clone().map(|source| ("asked from", source)));
    let named = more.token_name.as_deref().unwrap_or("-");
    lines.extend(more.token.map(|token| ("token", format!("{named} ({})", token.0))));
    lines.extend(more.waits_since_ms.map(|since| ("waits since", format!("{}: see `desk pending`", time(since)))));
    lines.extend(more.merged_into.map(|into| ("merged into", into.0.to_string())));
    lines.extend(more.catch_up_at_ms.map(|at| ("catches up at", time(at))));
    lines.extend(more.watch_until_ms.map(|until| ("watched until", time(until))));
    lines.extend(more.conflicts.iter().map(|conflict| ("open conflict", conflict.0.to_string())));
    let stands = |campaign: &DeviceCampaign| {
        let DeviceCampaign { name, status, place, reason, .. } = campaign;
        ("campaign", format!("{name} ({status}): {place}, {reason}"))
    };
    lines.extend(more.campaigns.iter().map(stands));
    lines
}
