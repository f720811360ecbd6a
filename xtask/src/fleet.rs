//! The proof for a whole fleet: simulated devices are activated by token and backed up, all of them are reset by a
//! campaign at each level, and every one must end where the dry run said, with its record and its history. Over TLS,
//! through the real programs. Some are outsiders: they never come back, are suspended, or have a twin.
//! Refuses to trust one source: dry run, board, evidence and device list are compared with each other, and with what
//! the devices say.

pub mod api;
mod campaign;
mod evidence;
pub mod place;

use crate::demo::programs::Programs;
use anyhow::{Context, Result, ensure};
use clap::Args;
use place::Place;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What `cargo xtask fleet` takes.
#[derive(Args)]
pub struct Options {
    /// How many devices
    #[arg(long, default_value_t = 10_000)]
    devices: u32,
    /// Users who share the devices
    #[arg(long, default_value_t = 200)]
    users: u32,
    /// Take the programs from this folder as they are, instead of building them in release mode
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// An empty PostgreSQL database for the server, as postgres://user@host:port/name; without it, its own file
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    database: String,
}

/// Devices that come back need not spread what they have missed: the proof waits for it.
const CONFIG: &str = "[device]\ncatch_up_minutes = 0\n";
/// One device in so many never comes back, and as many are suspended.
const OUTSIDER_IN: u32 = 500;
/// The fewest of either.
const OUTSIDERS_MIN: u32 = 2;
/// Fewer devices than this leave too few beside the outsiders.
const DEVICES_MIN: u32 = 20;

/// What becomes of a device, whatever its campaign does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It comes back.
    Plain,
    /// It is never heard of again.
    Silent,
    /// An admin has suspended it.
    Suspended,
    /// Two machines present its key.
    Twin,
    /// It was a twin at a level before: its key is worth nothing.
    CutOff,
}

/// A fleet, and which of its devices are outsiders.
pub(crate) struct Fleet<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) place: &'a Place,
    pub(crate) outsiders: BTreeMap<String, Kind>,
    /// Each device as it keeps itself, by its record.
    pub(crate) kept: BTreeMap<String, Value>,
}

/// Runs the proof.
///
/// # Errors
/// A device that did not end where it must.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let programs = Programs::sim_in(options.programs.as_deref(), root)?;
    prove(&programs, options)
}

/// The proof with these programs.
///
/// # Errors
/// As `run`.
fn prove(programs: &Programs, options: &Options) -> Result<()> {
    let devices = options.devices;
    ensure!(devices >= DEVICES_MIN, "the proof needs {DEVICES_MIN} devices at least");
    let place = Place::start_on(programs, options.users, CONFIG, &options.database)?;
    let first = place.fleet(programs, "all", devices, "activate,commit", &[])?;
    through("activation by token and a first backup", &first)?;
    let mut fleet = Fleet { programs, place: &place, outsiders: BTreeMap::new(), kept: kept(&place)? };
    let listed = fleet.listed()?;
    ensure!(listed.len() == devices as usize, "the server lists {} devices", listed.len());
    ensure!(listed.keys().eq(fleet.kept.keys()), "the server lists other devices than there are");
    for (id, device) in &listed {
        ensure!(device["state"] == "active" && device["rights"] == "append_only", "a token gave {id} this: {device}");
    }
    fleet.choose_outsiders((devices / OUTSIDER_IN).max(OUTSIDERS_MIN))?;
    let mut campaigns = Vec::new();
    for level in campaign::LEVELS {
        campaigns.push(campaign::run(&mut fleet, level)?);
    }
    for (level, id) in campaign::LEVELS.iter().zip(&campaigns) {
        campaign::closes(&place, id).with_context(|| format!("the campaign at level {}", level.word))?;
    }
    let audit = place.api.get("/audit/verify")?;
    ensure!(audit["holds"] == true, "the audit log does not hold: {audit}");
    println!("all campaigns have closed by themselves; the audit log holds, {} rows", audit["rows"]);
    Ok(())
}

impl Fleet<'_> {
    /// Every device as the server lists it, by its record.
    pub(crate) fn listed(&self) -> Result<BTreeMap<String, Value>> {
        by_device(self.place.api.list("/devices")?)
    }

    /// What becomes of a device.
    pub(crate) fn kind(&self, id: &str) -> Kind {
        self.outsiders.get(id).copied().unwrap_or(Kind::Plain)
    }

    /// How many devices are of this kind.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.kept.keys().filter(|id| self.kind(id) == kind).count()
    }

    fn choose_outsiders(&mut self, each: u32) -> Result<()> {
        let each = each as usize;
        let ids: Vec<String> = self.kept.keys().take(2 * each).cloned().collect();
        for (at, id) in ids.into_iter().enumerate() {
            if at < each {
                self.outsiders.insert(id, Kind::Silent);
            } else {
                self.place.api.post(&format!("/devices/{id}/suspend"), &Value::Null)?;
                self.outsiders.insert(id, Kind::Suspended);
            }
        }
        Ok(())
    }
}

/// Rows with a field `device`, by it. One device twice is an error.
pub(crate) fn by_device(rows: Vec<Value>) -> Result<BTreeMap<String, Value>> {
    let mut by_device = BTreeMap::new();
    for row in rows {
        let id = row["device"].as_str().context("a row names its device")?.to_owned();
        ensure!(by_device.insert(id.clone(), row).is_none(), "{id} is listed twice");
    }
    Ok(by_device)
}

fn kept(place: &Place) -> Result<BTreeMap<String, Value>> {
    let named = |device: Value| Some((device["record"].as_str()?.to_owned(), device));
    place.fleet_read("all")?.into_iter().map(|device| named(device).context("a device has no record")).collect()
}

/// Prints the figures, and fails unless every device came through its steps.
pub(crate) fn through(what: &str, figures: &Value) -> Result<()> {
    println!("{what}: {}", line(figures));
    ensure!(figures["stopped"].as_object().is_some_and(serde_json::Map::is_empty), "{what}: {}", figures["stopped"]);
    Ok(())
}

/// The figures that matter, in a line.
fn line(figures: &Value) -> String {
    let kinds = ["activate", "return", "open", "commit"].into_iter().filter_map(|word| {
        let kind = figures["requests"].get(word)?;
        let [count, rate, p50, p99] = ["count", "per_second", "p50_ms", "p99_ms"].map(|field| &kind[field]);
        Some(format!("{word} {count}, {rate} a second, p50 {p50} ms, p99 {p99} ms"))
    });
    let kinds: Vec<String> = kinds.collect();
    let (server, sim) = (&figures["server"], &figures["sim"]);
    format!(
        "{}; server: CPU {:.1} s, memory {} MiB, at most {}; fleet: CPU {:.1} s, at most {} MiB",
        kinds.join("; "),
        server["cpu_s"].as_f64().unwrap_or_default(),
        server["memory_mib"],
        server["peak_mib"],
        sim["cpu_s"].as_f64().unwrap_or_default(),
        sim["peak_mib"]
    )
}
