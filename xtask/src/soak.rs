//! Property tests and the simulator with more seeds than a normal run has, and the suite for stores on a Ceph gateway.
//! Refuses to build anything of its own: what is played is what `cargo xtask test` runs too.

mod ceph;
mod store;

use crate::simulate;
use anyhow::{Context, Result, ensure};
use base::{Clock, SystemClock};
use clap::{Args, Subcommand};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What `cargo xtask soak` plays.
#[derive(Subcommand)]
pub enum Soak {
    /// The control plane beside a naive model, on SQLite and on PostgreSQL
    Control(Options),
    /// The simulator, for as many hours as it is told, from a seed on that the clock gives
    Simulator {
        /// How many hours
        #[arg(long, default_value_t = 1)]
        hours: u64,
        /// The first seed
        #[arg(long)]
        first: Option<u64>,
    },
    /// The suite for stores on a Ceph gateway that is started for it, and a backup into that with the real programs
    Store(store::Options),
}

/// Which seeds.
#[derive(Args)]
pub struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1_000)]
    first: u64,
}

/// Where the test reads which seeds to play: cargo's directory for tests.
const TOLD: &str = "target/tmp/soak_control";

/// Plays them.
///
/// # Errors
/// The test fails; it has said with which seed.
pub fn run(root: &Path, soak: &Soak) -> Result<()> {
    let Options { seeds, first } = match soak {
        Soak::Control(options) => options,
        Soak::Simulator { hours, first } => {
            let now = u64::try_from(SystemClock.now().as_ms() / 1_000).unwrap_or_default();
            return simulate::run_for(root, first.unwrap_or(now), *hours);
        }
        Soak::Store(options) => return store::run(root, options),
    };
    let told = root.join(TOLD);
    fs::create_dir_all(told.parent().expect("it has a directory")).context("making the directory for tests")?;
    fs::write(&told, format!("{first} {seeds}\n")).context("saying which seeds to play")?;
    let arguments = ["test", "--workspace", "--test", "it", "--", "--ignored", "model::soak"];
    let ended = Command::new("cargo").args(arguments).current_dir(root).status().context("starting cargo")?;
    ensure!(ended.success(), "a seed has failed: put it into REGRESSIONS of crates/app/tests/it/model/mod.rs");
    Ok(())
}
