//! The server's memory while a whole fleet is connected: every device is activated, has a session, keeps its TLS
//! connection, and asks for its state once a minute. Refuses to count devices that are not connected at the moment.

use crate::demo::programs::Programs;
use crate::fleet::place::Place;
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};

/// What the server may have with ten thousand.
const GOAL_MIB: u64 = 300;

/// What `cargo xtask bench connections` takes.
#[derive(Args)]
pub struct Options {
    /// Devices that are connected
    #[arg(long, default_value_t = 10_000)]
    devices: u32,
    /// For how long they stay, in seconds; each asks once a minute
    #[arg(long, default_value_t = 75)]
    stay: u32,
    /// Users who share the devices
    #[arg(long, default_value_t = 200)]
    users: u32,
    /// Take the programs from this folder as they are, instead of building them in release mode
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the bench.
///
/// # Errors
/// A program that cannot be run; a device that did not get through, or lost its connection.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let programs = Programs::sim_in(options.programs.as_deref(), root)?;
    let place = Place::start(&programs, options.users, "")?;
    let stay = options.stay.to_string();
    let more = ["--stay", &stay, "--look-every", "60"];
    let figures = place.fleet(&programs, "connected", options.devices, "activate,open,look", &more)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    }
    let whole = |field: &str| figures["server"][field].as_u64().context("a figure is a number");
    let (memory, peak) = (whole("memory_mib")?, whole("peak_mib")?);
    println!(
        "{} devices connected for {} s: the server has {memory} MiB, at most {peak} (goal {GOAL_MIB}); they {} MiB",
        options.devices, options.stay, figures["sim"]["peak_mib"]
    );
    let none = |field: &str| figures[field].as_object().is_some_and(serde_json::Map::is_empty);
    ensure!(none("stopped") && none("refused"), "refused {}, stopped {}", figures["refused"], figures["stopped"]);
    Ok(())
}
