//! Wiring only: arguments in, exit code out. Refuses everything else; see `command`.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    sim::command::run(sim::command::Arguments::parse(), std::sync::Arc::new(base::SystemClock))
}
