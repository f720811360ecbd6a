//! `holdfast`: reads the environment, once, and hands over to the command line.
//! Refuses to do anything else.

use agent::cli::{self, Environment};
use std::process::ExitCode;

fn main() -> ExitCode {
    let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(Into::into);
    let environment = Environment {
        state: path("HOLDFAST_STATE"),
        state_home: path("XDG_STATE_HOME"),
        config_home: path("XDG_CONFIG_HOME"),
        home: path("HOME"),
    };
    cli::main(std::env::args_os(), &environment)
}
