//! Kills the server at random moments while devices back up, and looks each time whether anything that was acknowledged
//! is lost: real processes, ended without a word. Refuses to go on after the first loss: everything is kept as it is,
//! and where is said.

mod device;

use crate::demo::programs::{Programs, Server, ask};
use anyhow::{Context, Result, bail, ensure};
use base::{Clock as _, Count, Entropy as _, SeededEntropy, Span, SystemClock, Timestamp};
use clap::Args;
use device::{Device, EMAIL};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What `cargo xtask torture` takes.
#[derive(Args)]
pub struct Options {
    /// How often the server is killed
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// How many devices back up meanwhile
    #[arg(long, default_value_t = 8)]
    devices: u64,
    /// What the moments and the files are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Use the programs in this folder instead of building them in release mode
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// Snapshots of each device that are restored in the end.
const RESTORED: usize = 5;
/// The shortest and the longest life of a server.
const LIFE_MS: (u64, u64) = (20, 1_200);
/// The short form, as a test.
const SHORT: (u64, u64) = (8, 3);

/// Runs it.
///
/// # Errors
/// The first thing that was acknowledged and is not there, or not what it was; a program that does not do its work.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let programs = Programs::endpoint_in(options.programs.as_deref(), root)?;
    let place = tempfile::tempdir().context("making a temporary folder")?;
    let ended = play(&programs, place.path(), options);
    if ended.is_err() {
        println!("everything is kept in {}", place.keep().display());
    }
    ended
}

/// A few kills, as a test, with the programs as the tests have them.
///
/// # Errors
/// As `run`.
pub fn run_short(root: &Path) -> Result<()> {
    let place = tempfile::tempdir().context("making a temporary folder")?;
    let (kills, devices) = SHORT;
    let options = Options { kills, devices, seed: 1, programs: None };
    play(&Programs::build_for_tests(root)?, place.path(), &options)
}

fn play(programs: &Programs, place: &Path, options: &Options) -> Result<()> {
    let begun_at = SystemClock.now();
    let data = place.join("server");
    let password = place.join("password");
    fs::write(&password, "a password for nobody else\n")?;
    programs.init(&data, &password)?;
    programs.user_add(&data, EMAIL, &password)?;
    let server = programs.serve(&data, 0)?;
    let port = server.port;
    let devices = (0..options.devices).map(|number| {
        let device = Device::new(place, number, options.seed)?;
        device.activate(programs, &data, &password, port)?;
        Ok(device)
    });
    let devices = devices.collect::<Result<Vec<Device>>>()?;
    let stop = AtomicBool::new(false);
    let server = std::thread::scope(|scope| {
        let at_work: Vec<_> = devices.iter().map(|device| scope.spawn(|| device.live(programs, &stop))).collect();
        let server = kill_again_and_again(programs, &data, server, &devices, options);
        stop.store(true, Ordering::SeqCst);
        for one in at_work {
            one.join().expect("a device does not panic")?;
        }
        server
    })?;
    let acknowledged: u64 = devices.iter().map(|device| device.acknowledged().len() as u64).sum();
    let restored = devices.iter().map(|device| device.restore_some(programs, RESTORED)).sum::<Result<u64>>()?;
    whole(programs, &data, &devices)?;
    drop(server);
    println!(
        "torture: {} kills, {} devices, {} snapshots acknowledged and all of them there, {} scrubs clean, {} snapshots \
         restored and compared, {}",
        Count(options.kills),
        Count(options.devices),
        Count(acknowledged),
        // After each kill, and at the end.
        Count(options.kills + 1),
        Count(restored),
        SystemClock.now().since(begun_at)
    );
    ensure!(acknowledged > options.devices, "next to nothing was backed up: this has shown nothing");
    Ok(())
}

/// Gives the server that was started after the last kill.
fn kill_again_and_again(
    programs: &Programs,
    data: &Path,
    mut server: Server,
    devices: &[Device],
    options: &Options,
) -> Result<Server> {
    let entropy = SeededEntropy::new(options.seed);
    let (port, mut said_at) = (server.port, SystemClock.now());
    for kill in 1..=options.kills {
        let mut drawn = [0; 8];
        entropy.fill(&mut drawn);
        let (shortest, longest) = LIFE_MS;
        let life = Span::ms(shortest + u64::from_le_bytes(drawn) % (longest - shortest));
        std::thread::sleep(life.as_duration());
        server.kill()?;
        whole(programs, data, devices).with_context(|| format!("after kill {kill}, {life} into the server's life"))?;
        server = programs.serve(data, port)?;
        if let Some(error) = devices.iter().find_map(Device::broken) {
            bail!("after kill {kill}: {error}");
        }
        progress(&mut said_at, kill, options.kills);
    }
    Ok(server)
}

/// Everything that was acknowledged is there, and a scrub of every byte finds nothing wrong.
fn whole(programs: &Programs, data: &Path, devices: &[Device]) -> Result<()> {
    // ORDER: what is acknowledged is noted before the server is asked what it has.
    let acknowledged: Vec<String> = devices.iter().flat_map(|device| device.acknowledged()).collect();
    let listed = ask(&mut programs.admin(data, &["snapshot", "list"]))?;
    let items = listed["items"].as_array().context("a list has items")?;
    let there: HashSet<&str> = items.iter().filter_map(|item| item["snapshot"].as_str()).collect();
    if let Some(lost) = acknowledged.iter().find(|snapshot| !there.contains(snapshot.as_str())) {
        bail!("{lost} was acknowledged and is not there");
    }
    let report: Value = ask(&mut programs.admin(data, &["scrub"])).context("a scrub that is not clean")?;
    ensure!(report["clean"] == Value::Bool(true), "the scrub is not clean: {report}");
    Ok(())
}

/// Says how far it is, every so often.
fn progress(said_at: &mut Timestamp, kill: u64, kills: u64) {
    let now = SystemClock.now();
    if now.since(*said_at) >= Span::seconds(30) {
        println!("torture: {kill} of {kills} kills");
        *said_at = now;
    }
}
