//! Activations in a second: a storm of new devices by the deployment token, each with its own TLS connection, and then
//! over shared ones. Load and server are on the same machine, and one database grows through all rounds: its last
//! round is as fast as the first, or the bench shows by how much not. Refuses to leave anything out: the connection,
//! the signatures, the transaction and its flush to the disk are in every figure.

use super::measure::median;
use crate::demo::programs::Programs;
use crate::fleet::place::Place;
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::thread;

/// The goal, for devices with a connection of their own.
const GOAL_PER_SECOND: f64 = 1_500.0;

/// What `cargo xtask bench activations` takes.
#[derive(Args)]
pub struct Options {
    /// New devices in each round and mode
    #[arg(long, default_value_t = 10_000)]
    devices: u32,
    /// How often each mode is measured
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Devices that a user has in the end; the users share them evenly, one more each at a time
    #[arg(long, default_value_t = 2)]
    per_user: u32,
    /// Devices at work at the same time
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Take the programs from this folder as they are, instead of building them in release mode
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// The modes: a word, and what the fleet is told.
const MODES: [(&str, &[&str]); 2] = [("own connection", &[]), ("shared", &["--reuse"])];

/// One round of one mode.
struct Round {
    mode: &'static str,
    /// Devices in the database when it began.
    before: u32,
    figures: Value,
}

/// Runs the bench.
///
/// # Errors
/// A program that cannot be run, or a device that did not get through.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let programs = Programs::sim_in(options.programs.as_deref(), root)?;
    let devices = options.devices * options.rounds * u32::try_from(MODES.len())?;
    let users = devices.div_ceil(options.per_user.max(1));
    eprintln!("Adding {users} users …");
    let place = Place::start(&programs, users, "")?;
    let connections = options.connections.to_string();
    let mut rounds = Vec::new();
    for number in 0..options.rounds {
        for (mode, told) in MODES {
            let before = options.devices * u32::try_from(rounds.len())?;
            // The next users in turn: nobody has a second device before everybody has the first.
            let from = (before % users).to_string();
            let more = [&["--connections", &connections, "--user-from", &from], told].concat();
            let figures =
                place.fleet(&programs, &format!("round {number} {mode}"), options.devices, "activate", &more)?;
            ensure!(figures["stopped"].as_object().is_some_and(serde_json::Map::is_empty), "{}", figures["stopped"]);
            let round = Round { mode, before, figures };
            eprintln!("{}", round.line()?);
            rounds.push(round);
        }
    }
    if options.json {
        let rounds = rounds.iter().map(
            |Round { mode, before, figures }| json!({ "mode": mode, "devices_before": before, "figures": figures }),
        );
        let rounds: Vec<Value> = rounds.collect();
        let all = json!({ "proof": "token", "users": users, "goal": GOAL_PER_SECOND, "rounds": rounds });
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    for (mode, _) in MODES {
        println!("{}", summary(mode, &rounds)?);
    }
    Ok(())
}

impl Round {
    /// A number of the figures, by its path.
    fn number(&self, path: &str) -> Result<f64> {
        self.figures.pointer(path).and_then(Value::as_f64).with_context(|| format!("{path} is a number"))
    }

    fn per_second(&self) -> Result<f64> {
        self.number("/requests/activate/per_second")
    }

    /// CPU of the fleet and of the server, in microseconds an activation.
    fn cpu_us(&self) -> Result<[f64; 2]> {
        let count = self.number("/requests/activate/count")?.max(1.0);
        Ok([self.number("/sim/cpu_s")? * 1e6 / count, self.number("/server/cpu_s")? * 1e6 / count])
    }

    fn line(&self) -> Result<String> {
        let Self { mode, before, .. } = self;
        let [p50, p99, max] = ["p50_ms", "p99_ms", "max_ms"].map(|name| format!("/requests/activate/{name}"));
        let [p50, p99, max] = [self.number(&p50)?, self.number(&p99)?, self.number(&max)?];
        let [fleet, server] = self.cpu_us()?;
        let [fleet_mib, server_mib] = [self.number("/sim/peak_mib")?, self.number("/server/peak_mib")?];
        let per_second = self.per_second()?;
        Ok(format!(
            "{mode:14} after {before:6} devices: {per_second:5.0} a second, p50 {p50} ms, p99 {p99} ms, max {max} ms; \
             CPU {fleet:.0} + {server:.0} µs each, peak {fleet_mib} + {server_mib} MiB (fleet + server)"
        ))
    }
}

/// The middle round of a mode, what the CPU time alone would allow, and how the last round compares with the first.
fn summary(mode: &str, rounds: &[Round]) -> Result<String> {
    let of_mode: Vec<&Round> = rounds.iter().filter(|round| round.mode == mode).collect();
    let (first, last) = of_mode.first().zip(of_mode.last()).context("a mode has rounds")?;
    let rates = of_mode.iter().map(|round| round.per_second()).collect::<Result<Vec<_>>>()?;
    let cpu = of_mode.iter().map(|round| Ok(round.cpu_us()?.iter().sum())).collect::<Result<Vec<f64>>>()?;
    let (rate, cpu_us) = (median(rates), median(cpu));
    let cores = thread::available_parallelism()?.get() as f64;
    Ok(format!(
        "{mode:14} {rate:5.0} a second in the middle ({:.2} of the goal); by CPU alone, {cpu_us:.0} µs each, {cores} \
         cores would do {:.0}; the last round had {:.2} of the first one's rate",
        rate / GOAL_PER_SECOND,
        cores * 1e6 / cpu_us,
        last.per_second()? / first.per_second()?.max(1.0)
    ))
}
