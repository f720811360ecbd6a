//! `holdfast-sim simulate`: plays seeds, and says of the first that breaks what broke and how it came to that.

use crate::simulator::{self, Figures, Outcome, Plan};
use clap::Args;
use serde_json::json;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// Lines that lead to what broke.
const LINES_SHOWN: usize = 60;

/// What `simulate` takes.
#[derive(Debug, Args)]
pub struct Simulate {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// How many devices.
    #[arg(long, default_value_t = 20)]
    devices: u32,
    /// For how many days things go wrong.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Nothing goes wrong at all.
    #[arg(long)]
    no_faults: bool,
    /// Print every step as it comes.
    #[arg(long)]
    trace: bool,
}

impl Simulate {
    pub(super) fn answer(self, as_json: bool) -> ExitCode {
        for seed in self.seed..self.seed + self.count {
            let outcome = simulator::play(self.plan(seed));
            let text = if as_json { json(seed, &outcome) } else { text(seed, &outcome) };
            let mut stdout = io::stdout().lock();
            let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
            if outcome.broken.is_some() {
                return ExitCode::FAILURE;
            }
        }
        ExitCode::SUCCESS
    }

    fn plan(&self, seed: u64) -> Plan {
        let usual = Plan::of(seed);
        let kill_once_in = if self.no_faults { 0 } else { usual.kill_once_in };
        Plan {
            devices: self.devices,
            days: self.days,
            kill_once_in,
            faults: !self.no_faults,
            shown: self.trace,
            ..usual
        }
    }
}

fn text(seed: u64, outcome: &Outcome) -> String {
    let Outcome { figures, trace, broken } = outcome;
    let Some(broken) = broken else {
        let digest = data_encoding::HEXLOWER.encode(&trace.digest()[..8]);
        return format!("seed {seed}: {figures}; {} steps, {digest}", trace.lines());
    };
    let lines: Vec<&str> = trace.newest(LINES_SHOWN).collect();
    format!("seed {seed}: {broken}\nThe last steps:\n  {}", lines.join("\n  "))
}

fn json(seed: u64, outcome: &Outcome) -> String {
    let Figures { acknowledged, given_up, restored, activated, cut_off, kills, removed, packs_removed } =
        outcome.figures;
    let told = json!({
        "seed": seed,
        "broken": outcome.broken,
        "trace": data_encoding::HEXLOWER.encode(&outcome.trace.digest()),
        "steps": outcome.trace.lines(),
        "acknowledged": acknowledged,
        "given_up": given_up,
        "restored": restored,
        "activated": activated,
        "cut_off": cut_off,
        "kills": kills,
        "removed": removed,
        "packs_removed": packs_removed,
    });
    told.to_string()
}
