//! `cargo xtask simulate`: the simulator on many seeds, and proof that it can fail: every bug that is planted on
//! purpose is found. Refuses a build of its own for each: one optimised program does both.

use anyhow::{Context, Result, ensure};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// What `cargo xtask simulate` takes.
#[derive(Args)]
pub struct Options {
    /// How many seeds, each of 20 devices and 30 days
    #[arg(long, default_value_t = SEEDS)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    first: u64,
}

/// What a change must pass.
const SEEDS: u64 = 200;
/// Seeds in which a planted bug must be found, how small they are, and that more is collected than usual.
const PLANTED: [&str; 8] = ["--count", "60", "--devices", "8", "--days", "12", "--collect-once-in", "3"];

/// The seeds that a change must pass.
///
/// # Errors
/// As `run`.
pub fn run_usual(root: &Path) -> Result<()> {
    run(root, &Options { seeds: SEEDS, first: 1 })
}

/// Plants every bug, and plays the seeds without one.
///
/// # Errors
/// A bug that no seed finds, or a seed that breaks: the program has said which and how.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    build(root)?;
    let found = simulator(root).arg("--plant").args(PLANTED).status().context("planting bugs")?;
    ensure!(found.success(), "the simulator does not find a bug that was planted");
    let (first, seeds) = (options.first.to_string(), options.seeds.to_string());
    let played = simulator(root).args(["--seed", &first, "--count", &seeds]).status().context("playing seeds")?;
    ensure!(played.success(), "a seed has broken: `holdfast-sim simulate --seed N --trace` plays it again");
    Ok(())
}

/// Plays seeds for so many hours, from `first` on.
///
/// # Errors
/// A seed that breaks.
pub fn run_for(root: &Path, first: u64, hours: u64) -> Result<()> {
    build(root)?;
    let (first, minutes, count) = (first.to_string(), (hours * 60).to_string(), u64::from(u32::MAX).to_string());
    let arguments = ["--seed", &first, "--count", &count, "--minutes", &minutes];
    let played = simulator(root).args(arguments).status().context("playing seeds")?;
    ensure!(played.success(), "a seed has broken: put it into REGRESSIONS of crates/sim/tests/it/simulator.rs");
    Ok(())
}

/// Builds the simulator with our own crates optimised, and with the checks of a build for tests. Everything else is as
/// the programs of the tests have it, and is not built again: half the time of a release build, for a program that is
/// as fast. It is copied: the next build of the programs would put its own in this one's place.
fn build(root: &Path) -> Result<()> {
    let arguments = ["build", "--locked", "--workspace", "--bin", "holdfast-sim", "--features", "sim/planted"];
    let mut command = Command::new("cargo");
    let command = command.args(arguments).current_dir(root);
    let command = command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "3").env("CARGO_INCREMENTAL", "0");
    let built = command.status().context("starting cargo")?;
    ensure!(built.success(), "the simulator was not built");
    fs::create_dir_all(root.join(FOLDER)).context("making the folder of the simulator")?;
    let name = format!("holdfast-sim{}", std::env::consts::EXE_SUFFIX);
    fs::copy(root.join("target/debug").join(name), program(root)).context("putting the simulator aside")?;
    Ok(())
}

/// Where the simulator is kept.
const FOLDER: &str = "target/tmp";

fn program(root: &Path) -> PathBuf {
    root.join(FOLDER).join(format!("holdfast-sim-planted{}", std::env::consts::EXE_SUFFIX))
}

fn simulator(root: &Path) -> Command {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new(program(root));
    command.args(["simulate", "--threads", &threads.to_string()]).current_dir(root);
    command
}
