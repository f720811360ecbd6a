//! `holdfast-sim simulate`: plays seeds, and says of the first that breaks what broke and how it came to that.

use crate::simulator::{self, Figures, Outcome, Plan};
use base::{Clock, Span};
use clap::Args;
use data_encoding::HEXLOWER;
use serde_json::json;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Lines that lead to what broke.
const LINES_SHOWN: usize = 60;

/// What `simulate` takes.
#[derive(Debug, Args)]
pub struct Simulate {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Begin no further seed after so many minutes.
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<u64>,
    /// Seeds that are played at the same time.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How many devices.
    #[arg(long, default_value_t = 20)]
    devices: u32,
    /// For how many days things go wrong.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// A collection goes on beside one of so many backups.
    #[arg(long, value_name = "BACKUPS", default_value_t = 12)]
    collect_once_in: u64,
    /// Nothing goes wrong at all.
    #[arg(long)]
    no_faults: bool,
    /// Print every step as it comes.
    #[arg(long)]
    trace: bool,
    /// Plant this bug, or every known one, one after the other: each must break one of the seeds.
    #[cfg(feature = "planted")]
    #[arg(long, value_name = "BUG", num_args = 0..=1, default_missing_value = "")]
    plant: Option<String>,
}

impl Simulate {
    /// Plays, and prints what came of it. Never fails: the exit code tells.
    pub(super) fn answer(self, as_json: bool, clock: &dyn Clock) -> ExitCode {
        #[cfg(feature = "planted")]
        if let Some(name) = &self.plant {
            return self.plant(name);
        }
        let (next, is_broken) = (AtomicU64::new(self.seed), AtomicBool::new(false));
        let until = self.minutes.map(|minutes| clock.now() + Span::minutes(minutes));
        let play = || {
            while !is_broken.load(Ordering::SeqCst) && until.is_none_or(|until| clock.now() < until) {
                let seed = next.fetch_add(1, Ordering::SeqCst);
                if seed - self.seed >= self.count {
                    break;
                }
                let outcome = simulator::play(self.plan(seed));
                is_broken.fetch_or(outcome.broken.is_some(), Ordering::SeqCst);
                print(&if as_json { json(seed, &outcome) } else { text(seed, &outcome) });
            }
        };
        self.on_threads(play);
        ExitCode::from(u8::from(is_broken.into_inner()))
    }

    /// Does this on so many threads at once, until all have come to the end of it.
    fn on_threads(&self, work: impl Fn() + Sync) {
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(&work);
            }
        });
    }

    fn plan(&self, seed: u64) -> Plan {
        let usual = Plan::of(seed);
        Plan {
            devices: self.devices,
            days: self.days,
            kill_once_in: if self.no_faults { 0 } else { usual.kill_once_in },
            collect_once_in: self.collect_once_in,
            faults: !self.no_faults,
            shown: self.trace,
            ..usual
        }
    }

    /// Whether a planted bug is found, or every one where none is named.
    #[cfg(feature = "planted")]
    fn plant(&self, name: &str) -> ExitCode {
        let is_meant = |bug: &&base::Planted| name.is_empty() || format!("{bug:?}") == name;
        let bugs: Vec<&base::Planted> = base::Planted::ALL.iter().filter(is_meant).collect();
        let next = AtomicU64::new(0);
        let is_missed = AtomicBool::new(bugs.is_empty());
        let plant = || {
            while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::SeqCst) as usize) {
                let broken = (self.seed..self.seed + self.count).find_map(|seed| {
                    let outcome = simulator::play(Plan { planted: Some(**bug), ..self.plan(seed) });
                    outcome.broken.map(|broken| (seed, broken))
                });
                is_missed.fetch_or(broken.is_none(), Ordering::SeqCst);
                print(&match broken {
                    Some((seed, broken)) => format!("{bug:?}: found by seed {seed}: {broken}"),
                    None => format!("{bug:?}: NOT FOUND"),
                });
            }
        };
        self.on_threads(plant);
        ExitCode::from(u8::from(is_missed.into_inner()))
    }
}

fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn text(seed: u64, outcome: &Outcome) -> String {
    let Outcome { figures, trace, broken } = outcome;
    let Some(broken) = broken else {
        let digest = HEXLOWER.encode(&trace.digest()[..8]);
        return format!("seed {seed}: {figures}; {} steps, {digest}", trace.lines());
    };
    let lines: Vec<&str> = trace.newest(LINES_SHOWN).collect();
    format!("seed {seed}: {broken}\nThe last steps:\n  {}", lines.join("\n  "))
}

fn json(seed: u64, outcome: &Outcome) -> String {
    let Figures { acknowledged, given_up, restored, activated, cut_off, kills, power_cuts, removed, packs_removed } =
        outcome.figures;
    let told = json!({
        "seed": seed,
        "broken": outcome.broken,
        "trace": HEXLOWER.encode(&outcome.trace.digest()),
        "steps": outcome.trace.lines(),
        "acknowledged": acknowledged,
        "given_up": given_up,
        "restored": restored,
        "activated": activated,
        "cut_off": cut_off,
        "kills": kills,
        "power_cuts": power_cuts,
        "removed": removed,
        "packs_removed": packs_removed,
    });
    told.to_string()
}
