//! A large repository: how fast a collection marks and weighs it and how much memory that takes, and how long the index
//! takes to answer which of a thousand names are missing. Each in a process of its own, so that peaks are its own.
//! Refuses one round: the middle of several counts.

use super::measure;
use crate::demo::programs::{Programs, ask};
use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The goals: chunks in a second, megabytes, and milliseconds of 99 questions of a hundred.
const GOAL_PER_SECOND: f64 = 500_000.0;
const GOAL_MB: f64 = 256.0;
const GOAL_MS: f64 = 5.0;

/// What `cargo xtask bench collect` takes.
#[derive(Args)]
pub struct Options {
    /// Chunks of content
    #[arg(long, default_value_t = 5_000_000)]
    chunks: u64,
    /// How often everything is measured; medians are reported
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// The folder in which the repository is made, and stays
    #[arg(long, value_name = "FOLDER")]
    place: Option<PathBuf>,
    /// The address of an empty PostgreSQL database to use instead of a file; its goal is 15 ms
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
    let temp = tempfile::Builder::new().prefix("holdfast-collect-").tempdir().context("making a folder")?;
    let (place, chunks) = (options.place.as_deref().unwrap_or(temp.path()), options.chunks.to_string());
    let data = made(&programs, place, &options.database, &["--chunks", &chunks])?;
    let (mut collects, mut questions) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let collect = sim(&programs, &data, "collect", &[])?;
        eprintln!("collect: {collect}");
        collects.push(collect);
        let asked = sim(&programs, &data, "dedupe", &["--chunks", &chunks])?;
        eprintln!("dedupe: {asked}");
        questions.push(asked);
    }
    let goal_ms = if options.database.is_empty() { GOAL_MS } else { 3.0 * GOAL_MS };
    let rate = median(&collects, "chunks_per_second");
    println!(
        "collection of {} chunks: {:.1} s, {rate:.0} chunks a second (goal {GOAL_PER_SECOND:.0}), CPU {:.1} s, peak \
         {:.0} MB (goal {GOAL_MB:.0})",
        options.chunks,
        median(&collects, "seconds"),
        median(&collects, "cpu_s"),
        median(&collects, "peak_mb"),
    );
    println!(
        "which of 1,000 names are missing: p50 {:.2} ms, p99 {:.2} ms (goal {goal_ms:.0}), at most {:.1} ms",
        median(&questions, "p50_ms"),
        median(&questions, "p99_ms"),
        median(&questions, "max_ms"),
    );
    println!(
        "a piece of work beside it that asks nobody: p50 {:.2} ms, p99 {:.2} ms: so much the machine adds by itself",
        median(&questions, "control_p50_ms"),
        median(&questions, "control_p99_ms"),
    );
    Ok(())
}

/// The data directory in this place, with a repository that `more` says; made where there is none yet.
///
/// # Errors
/// A program fails, or the place cannot be written.
pub(super) fn made(programs: &Programs, place: &Path, database: &str, more: &[&str]) -> Result<PathBuf> {
    let data = place.join("data");
    if !data.exists() {
        fs::create_dir_all(&data)?;
        let password = place.join("password");
        fs::write(&password, "correct horse battery staple\n")?;
        fs::write(data.join("holdfast.toml"), format!("[database]\nurl = {}\n", json!(database)))?;
        programs.init(&data, &password)?;
        eprintln!("made: {}", sim(programs, &data, "make", more)?);
    }
    Ok(data)
}

/// Has `holdfast-sim repository` do this, and gives what it says.
///
/// # Errors
/// It fails.
pub(super) fn sim(programs: &Programs, data: &Path, word: &str, more: &[&str]) -> Result<Value> {
    let mut command = programs.sim(&["repository", word]);
    ask(command.arg("--data").arg(data).args(more))
}

/// The middle of what these say of one thing. Never fails.
pub(super) fn median(figures: &[Value], field: &str) -> f64 {
    measure::median(figures.iter().filter_map(|figure| figure[field].as_f64()).collect())
}
