//! Activations in a second: a storm of new devices, each with its own TLS connection and then over shared ones, in
//! turn. Load and server are on the same machine. Refuses to leave anything out: the connection, the signatures, the
//! transaction and its flush to the disk are in every figure.

use crate::demo::programs::Programs;
use crate::fleet::place::Place;
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;

/// The goal, for devices with a connection of their own.
const GOAL_PER_SECOND: f64 = 1_500.0;

/// What `cargo xtask bench activations` takes.
#[derive(Args)]
pub struct Options {
    /// Devices in each round and mode
    #[arg(long, default_value_t = 20_000)]
    devices: u32,
    /// How often each mode is measured
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Users who share the devices
    #[arg(long, default_value_t = 1_000)]
    users: u32,
    /// Devices at work at the same time
    #[arg(long, default_value_t = 64)]
    connections: u32,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// The modes: a word, and what the fleet is told.
const MODES: [(&str, &[&str]); 2] = [("own connection", &[]), ("shared", &["--reuse"])];

/// Runs the bench.
///
/// # Errors
/// A program that cannot be run, or a device that did not get through.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let programs = Programs::build_sim(root)?;
    eprintln!("Adding {} users …", options.users);
    let place = Place::start(&programs, options.users, "")?;
    let connections = options.connections.to_string();
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        for (mode, told) in MODES {
            let fleet = format!("round {round} {mode}");
            let more = [&["--connections", &connections], told].concat();
            let figures = place.fleet(&programs, &fleet, options.devices, "activate", &more)?;
            let line = line(&figures)?;
            eprintln!("round {round}: {mode:15} {line}");
            ensure!(figures["stopped"].as_object().is_some_and(serde_json::Map::is_empty), "{}", figures["stopped"]);
            rounds.push((mode, figures));
        }
    }
    let best = |mode: &str| {
        let of_mode = rounds.iter().filter(|(word, _)| *word == mode);
        of_mode.map(|(_, figures)| per_second(figures)).fold(0.0, f64::max)
    };
    let (own, shared) = (best(MODES[0].0), best(MODES[1].0));
    if options.json {
        let rounds: Vec<Value> =
            rounds.iter().map(|(mode, figures)| json!({ "mode": mode, "figures": figures })).collect();
        let best = json!({ "own": own, "shared": shared });
        let all = json!({ "proof": "token", "goal": GOAL_PER_SECOND, "best": best, "rounds": rounds });
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        let ratio = own / GOAL_PER_SECOND;
        println!("best: {own:.0} a second with own connections ({ratio:.2} of the goal), {shared:.0} with shared ones");
    }
    Ok(())
}

fn per_second(figures: &Value) -> f64 {
    figures["requests"]["activate"]["per_second"].as_f64().unwrap_or(0.0)
}

/// The figures of one round, in a line.
fn line(figures: &Value) -> Result<String> {
    let kind = &figures["requests"]["activate"];
    let number = |value: &Value| value.as_f64().context("a figure is a number");
    let [p50, p99, max] = [&kind["p50_ms"], &kind["p99_ms"], &kind["max_ms"]].map(number);
    let (sim, server) = (&figures["sim"], &figures["server"]);
    let [sim_cpu, server_cpu] = [&sim["cpu_s"], &server["cpu_s"]].map(number);
    let [sim_peak, server_peak] = [&sim["peak_mib"], &server["peak_mib"]].map(number);
    Ok(format!(
        "{:6.0} a second, p50 {} ms, p99 {} ms, max {} ms; CPU {:.1} + {:.1} s, peak {} + {} MiB (fleet + server)",
        per_second(figures),
        p50?,
        p99?,
        max?,
        sim_cpu?,
        server_cpu?,
        sim_peak?,
        server_peak?
    ))
}
