//! A large repository of many devices: how long a storage report of it takes, and how much memory, in a process of its
//! own. Refuses one round: the middle of several counts.

use super::collect::{made, median, sim};
use crate::demo::programs::Programs;
use anyhow::{Context, Result};
use clap::Args;
use std::path::{Path, PathBuf};

/// The goals: chunks in a second, and megabytes.
const GOAL_PER_SECOND: f64 = 150_000.0;
const GOAL_MB: f64 = 256.0;

/// What `cargo xtask bench storage` takes.
#[derive(Args)]
pub struct Options {
    /// Chunks of content, about
    #[arg(long, default_value_t = 5_000_000)]
    chunks: u64,
    /// Devices
    #[arg(long, default_value_t = 100)]
    devices: u64,
    /// Directories of a snapshot, of 50 files each
    #[arg(long, default_value_t = 200)]
    directories: u64,
    /// One of so many directories has the same content at every device
    #[arg(long, default_value_t = 4)]
    shared_every: u64,
    /// How often everything is measured; medians are reported
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// The folder in which the repository is made, and stays
    #[arg(long, value_name = "FOLDER")]
    place: Option<PathBuf>,
    /// The address of an empty PostgreSQL database to use instead of a file
    #[arg(long, value_name = "URL", default_value = "")]
    database: String,
    /// Take the programs from this folder as they are, instead of building them in release mode
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

/// Runs the bench.
///
/// # Errors
/// A program that cannot be run, or fails.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let programs = Programs::sim_in(options.programs.as_deref(), root)?;
    let temp = tempfile::Builder::new().prefix("holdfast-storage-").tempdir().context("making a folder")?;
    let place = options.place.as_deref().unwrap_or(temp.path());
    let Options { chunks, devices, directories, shared_every, .. } = options;
    let [chunks, devices, directories, shared] =
        [chunks, devices, directories, shared_every].map(|number| number.to_string());
    let more = ["--chunks", &chunks, "--devices", &devices, "--directories", &directories];
    let more = [&more[..], &["--shared-every", &shared]].concat();
    let data = made(&programs, place, &options.database, &more)?;
    let mut reports = Vec::new();
    for _ in 0..options.rounds {
        let report = sim(&programs, &data, "report", &[])?;
        eprintln!("report: {report}");
        reports.push(report);
    }
    println!(
        "storage report of {:.0} chunks and {:.0} snapshots of {} devices: {:.1} s, {:.0} chunks a second (goal \
         {GOAL_PER_SECOND:.0}), CPU {:.1} s, peak {:.0} MB (goal {GOAL_MB:.0})",
        median(&reports, "chunks"),
        median(&reports, "snapshots"),
        options.devices,
        median(&reports, "seconds"),
        median(&reports, "chunks_per_second"),
        median(&reports, "cpu_s"),
        median(&reports, "peak_mb"),
    );
    Ok(())
}
