//! The proof for a whole fleet: simulated devices are activated and backed up, all of them are reset at each level, and
//! every one must end where its level says, with its history. Over TLS, through the real programs.
//! Refuses to trust one source: what the devices say is compared with what the server says of them.

pub mod place;

use crate::demo::programs::{Programs, ask};
use anyhow::{Context, Result, ensure};
use clap::Args;
use place::Place;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What `cargo xtask fleet` takes.
#[derive(Args)]
pub struct Options {
    /// How many devices
    #[arg(long, default_value_t = 10_000)]
    devices: u32,
    /// Users who share the devices
    #[arg(long, default_value_t = 200)]
    users: u32,
}

/// A reset, and by which proof every device must come back from it, when it has its old key, and a token or else a
/// password.
const RESETS: [(&str, &[&str], [&str; 2]); 3] = [
    ("rotate", &["device", "deactivate", "--level", "rotate"], ["old_key", "old_key"]),
    ("hold", &["device", "hold"], ["old_key", "old_key"]),
    ("revoke", &["device", "deactivate", "--level", "revoke"], ["token", "password"]),
];

/// Runs the proof.
///
/// # Errors
/// A device that did not end where it must.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    prove(&Programs::build_sim(root)?, options.devices, options.users)
}

/// The proof with these programs.
///
/// # Errors
/// As `run`.
pub fn prove(programs: &Programs, devices: u32, users: u32) -> Result<()> {
    let place = Place::start(programs, users, "")?;
    let first = place.fleet(programs, "fleet", devices, "activate,commit", &[])?;
    through("the first backup", &first)?;
    let before = known(programs, &place)?;
    ensure!(before.len() == devices as usize, "the server knows {} devices", before.len());
    for (level, command, proofs) in RESETS {
        reset(programs, &place, command, before.keys())?;
        let back = place.fleet(programs, "fleet", devices, "return,commit", &[])?;
        through(level, &back)?;
        let proof = proofs[usize::from(!place.by_token)];
        ensure!(back["back"][proof] == devices, "at level {level} all come back by {proof}: {}", back["back"]);
        let after = known(programs, &place)?;
        for (id, was) in &before {
            let is = after.get(id).with_context(|| format!("{id} is gone after {level}"))?;
            ensure!(is.state == "active", "{id} is {} after {level}", is.state);
            ensure!(is.snapshot != was.snapshot, "{id} has no backup after {level}");
        }
        ensure!(after.len() == before.len(), "{level} has made {} records", after.len() - before.len());
        println!("{level}: {devices} of {devices} devices are back by {proof}, each with its record and a new backup");
    }
    Ok(())
}

/// What the server says of a device.
struct Known {
    state: String,
    snapshot: String,
}

fn known(programs: &Programs, place: &Place) -> Result<BTreeMap<String, Known>> {
    let listed = ask(&mut programs.admin(&place.data(), &["device", "list"]))?;
    let devices = listed["items"].as_array().context("devices are listed")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let known = devices.iter().map(|device| {
        let known = Known { state: text(&device["state"]), snapshot: text(&device["last_snapshot"]) };
        (text(&device["device"]), known)
    });
    Ok(known.collect())
}

fn reset<'a>(
    programs: &Programs,
    place: &Place,
    command: &[&str],
    devices: impl Iterator<Item = &'a String>,
) -> Result<()> {
    for device in devices {
        ask(&mut programs.admin(&place.data(), &[command, &[device.as_str()]].concat()))?;
    }
    Ok(())
}

/// Fails unless every device came through its steps.
fn through(what: &str, figures: &Value) -> Result<()> {
    eprintln!("{what}: {figures}");
    ensure!(figures["stopped"].as_object().is_some_and(serde_json::Map::is_empty), "{what}: {}", figures["stopped"]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_fleet_comes_back_from_every_level() {
        let programs = Programs::build_with(crate::root(), "sim", false).expect("they build");
        prove(&programs, 24, 4).expect("every device ends where it must");
    }
}
