//! The project's own commands: `cargo xtask demo`, `test`, `bench`, `fleet`, `fuzz`, `simulate`, `soak`, `tidy`,
//! `torture`. Each does its work in the module of its name.
//! Refuses to be part of the product: no crate may depend on it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "these are commands: their output is what they are for")]

mod bench;
mod demo;
mod fleet;
mod fuzz;
mod layers;
mod simulate;
mod soak;
mod test;
mod tidy;
mod torture;

use clap::{Parser, Subcommand};
use std::path::Path;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play the main job on a real folder: activate, back up, be cut off, come back, restore; ends with the ledger
    Demo(demo::Options),
    /// Measure, side by side with a peer
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Reset a whole fleet of simulated devices at each level, and check where every device ends
    Fleet(fleet::Options),
    /// Check the rules of the house that the compiler does not: layers, sizes, words, documents
    Tidy {
        /// Write the present hashes of the code into the documents that describe it
        #[arg(long)]
        bless: bool,
    },
    /// Give random input to every decoder, and keep what makes one crash
    Fuzz {
        /// How long, for all decoders together
        #[arg(long, default_value_t = fuzz::SECONDS_IN_TEST)]
        seconds: u64,
    },
    /// Play days of servers and devices on many seeds, with all that goes wrong; and plant bugs that it must find
    Simulate(simulate::Options),
    /// Play random seeds, as many as one likes or for as long
    Soak {
        #[command(subcommand)]
        soak: soak::Soak,
    },
    /// Kill the server again and again while devices back up, and look whether anything acknowledged is lost
    Torture(torture::Options),
    /// Do everything that a change must pass, after installing what that needs
    Test {
        /// Install nothing: name what is missing and end
        #[arg(long)]
        no_install: bool,
    },
}

fn main() -> ExitCode {
    let ended = match Arguments::parse().command {
        Command::Demo(options) => demo::run(root(), &options),
        Command::Bench { bench } => bench::run(root(), &bench),
        Command::Fleet(options) => fleet::run(root(), &options),
        Command::Tidy { bless } => tidy::run(root(), bless),
        Command::Fuzz { seconds } => fuzz::run(root(), seconds),
        Command::Simulate(options) => simulate::run(root(), &options),
        Command::Soak { soak } => soak::run(root(), &soak),
        Command::Torture(options) => torture::run(root(), &options),
        Command::Test { no_install } => test::run(root(), no_install),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The sentences alone: a backtrace of this program tells nobody what is wrong with the tree.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}
