//! `device list|show|deactivate|hold|reactivate|suspend|enable|delete|undelete`.

use super::{ACTOR, Desk, words};
use crate::out::{Answer, Failure, card, table};
use app::devices::{self, DeviceView};
use base::Span;
use clap::{Subcommand, ValueEnum};
use control::{Event, Level, Proof};
use serde_json::{Value, json};

/// What can be asked about devices. DEVICE is an identifier, the beginning of one, or a name.
#[derive(Debug, Subcommand)]
pub enum Device {
    /// List devices.
    List {
        /// Only those of the user with this e-mail address.
        #[arg(long, value_name = "EMAIL")]
        user: Option<String>,
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
        #[arg(long, value_enum, default_value_t = ResetLevel::Revoke)]
        level: ResetLevel,
    },
    /// Make the device activate again: until then it may append, for some days, and not read.
    Hold {
        /// Its identifier, the beginning of one, or its name.
        device: String,
        /// For how many days it may still append; `device.hold_days` of the configuration when it is not given.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(0..=365))]
        append_days: Option<u64>,
    },
    /// Bring a held or deactivated device back without its doing anything, with the key that it has.
    Reactivate {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// Stop the device; its credential is kept.
    Suspend {
        /// Its identifier, the beginning of one, or its name.
        device: String,
    },
    /// End the suspension.
    Enable {
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
}

/// What the old key is still worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ResetLevel {
    /// It alone proves the device, which gets a new key.
    Rotate,
    /// It proves nothing: the user signs in.
    Revoke,
}

impl Device {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        match self {
            Device::List { user } => list(desk, user.as_deref()).await,
            Device::Show { device } => show(desk, &device).await,
            Device::Deactivate { device, level } => {
                let level = match level {
                    ResetLevel::Rotate => Level::Rotate,
                    ResetLevel::Revoke => Level::Revoke,
                };
                change(desk, &device, |_| Event::Deactivate { level }).await
            }
            Device::Hold { device, append_days } => {
                let event = |app: &app::App| {
                    let span = append_days.map_or(app.config.device_hold, Span::days);
                    Event::Hold { append_until: app.clock.now() + span }
                };
                change(desk, &device, event).await
            }
            Device::Reactivate { device } => change(desk, &device, |_| Event::Reactivate { proof: Proof::Admin }).await,
            Device::Suspend { device } => change(desk, &device, |_| Event::Suspend).await,
            Device::Enable { device } => change(desk, &device, |_| Event::Enable).await,
            Device::Delete { device } => {
                let event =
                    |app: &app::App| Event::Delete { purge_after: app.clock.now() + app.config.device_undelete };
                change(desk, &device, event).await
            }
            Device::Undelete { device } => change(desk, &device, |_| Event::Undelete).await,
        }
    }
}

async fn list(desk: &Desk, user: Option<&str>) -> Result<Answer, Failure> {
    let app = desk.app().await?;
    let user = user.map(app::users::email_parse).transpose()?;
    let mut devices = devices::list(&app, &ACTOR).await?;
    devices.retain(|device| user.as_ref().is_none_or(|user| device.user == *user));
    let row = |device: &DeviceView| {
        vec![
            words::short(device.id),
            device.name.clone(),
            device.user.clone(),
            device.state.to_string(),
            words::ago(device.last_seen_at, desk.now()),
        ]
    };
    let rows: Vec<Vec<String>> = devices.iter().map(row).collect();
    let json: Vec<Value> = devices.iter().map(to_json).collect();
    Ok(Answer::good(table(&["DEVICE", "NAME", "USER", "STATE", "SEEN"], &rows), json!({ "devices": json })))
}

async fn show(desk: &Desk, device: &str) -> Result<Answer, Failure> {
    let app = desk.app().await?;
    let device = devices::find(&app, &ACTOR, device).await?;
    Ok(Answer::good(to_text(&device), to_json(&device)))
}

async fn change(desk: &Desk, device: &str, event: impl FnOnce(&app::App) -> Event) -> Result<Answer, Failure> {
    let app = desk.app().await?;
    let before = devices::find(&app, &ACTOR, device).await?;
    let event = event(&app);
    let after = devices::change(&app, &ACTOR, before.id, event).await?;
    let text =
        format!("{} ({}): {}, was {}\n", after.name.escape_debug(), words::short(after.id), after.state, before.state);
    Ok(Answer::good(text, to_json(&after)))
}

fn to_text(device: &DeviceView) -> String {
    let flat = device.state.to_flat();
    let mut lines = vec![
        ("device", device.id.to_string()),
        ("name", device.name.clone()),
        ("user", device.user.clone()),
        ("state", device.state.to_string()),
    ];
    lines.extend(flat.append_until.map(|until| ("appends until", words::time(until))));
    lines.extend(flat.purge_after.map(|after| ("purged after", words::time(after))));
    let about = &device.about;
    lines.extend([
        ("epoch", device.epoch.to_string()),
        ("created", words::time(device.created_at)),
        ("activated", words::time(device.activated_at)),
        ("seen", words::time_maybe(device.last_seen_at)),
        ("snapshot", device.last_snapshot.map_or_else(|| "-".to_owned(), |snapshot| snapshot.to_string())),
        ("host name", about.host_name.clone()),
        ("serial", about.serial.clone()),
        ("hardware UUID", about.hardware_uuid.clone()),
        ("runs as", about.os_user.clone()),
        ("system", format!("{} {}", about.os, about.arch)),
        ("agent", about.agent.clone()),
    ]);
    card(&lines)
}

fn to_json(device: &DeviceView) -> Value {
    let flat = device.state.to_flat();
    let about = &device.about;
    json!({
        "device": device.id.to_string(),
        "name": device.name,
        "user": device.user,
        "state": flat.word,
        "state_was": flat.was,
        "rights": flat.rights,
        "level": flat.level,
        "append_until_ms": flat.append_until.map(|at| at.as_ms()),
        "purge_after_ms": flat.purge_after.map(|at| at.as_ms()),
        "epoch": device.epoch,
        "created_at_ms": device.created_at.as_ms(),
        "activated_at_ms": device.activated_at.as_ms(),
        "last_seen_at_ms": device.last_seen_at.map(|at| at.as_ms()),
        "last_snapshot": device.last_snapshot.map(|snapshot| snapshot.to_string()),
        "about": {
            "host_name": about.host_name,
            "serial": about.serial,
            "hardware_uuid": about.hardware_uuid,
            "os_user": about.os_user,
            "os": about.os,
            "arch": about.arch,
            "agent": about.agent,
        },
    })
}
