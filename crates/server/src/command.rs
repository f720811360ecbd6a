//! The command line: what can be asked, and the way from an answer or an error to output and exit code.
//! Refuses secrets as arguments: passwords come from a file or the terminal. Exit codes: docs/operating.md.

mod config;
mod device;
mod init;
mod run;
mod scrub;
mod secret;
mod snapshot;
mod user;
mod words;

use crate::out::{Failure, Out};
use app::{AdminActor, App, AppError};
use base::{Clock, Entropy};
use clap::{Parser, Subcommand};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Everything went well.
pub const EXIT_GOOD: u8 = 0;
/// The command failed, or a scrub found damage.
pub const EXIT_FAILED: u8 = 1;
/// The command line cannot be understood. Given by the argument parser too.
pub const EXIT_USAGE: u8 = 2;

/// Holdfast's server and its admin commands.
#[derive(Debug, Parser)]
#[command(name = "holdfast-server", version, about = "Holdfast's server and its admin commands", max_term_width = 100)]
pub struct Arguments {
    /// The data directory; HOLDFAST_DATA when it is not given.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Answer in JSON, one line, for machines.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a data directory: keys, certificates, database, store, first admin.
    Init(init::Init),
    /// Run the server until SIGTERM or SIGINT.
    Run(run::Run),
    /// Add users, list them, set their passwords.
    #[command(subcommand)]
    User(user::User),
    /// List devices, cut them off, bring them back.
    #[command(subcommand)]
    Device(device::Device),
    /// List snapshots.
    #[command(subcommand)]
    Snapshot(snapshot::Snapshot),
    /// Read the whole repository and compare it with its names.
    Scrub(scrub::Scrub),
    /// Print every configuration key with its default and its meaning.
    Config,
    /// Print the SHA-256 of the certificate that devices pin.
    Fingerprint,
}

/// What a command finds around it.
pub struct Surroundings {
    /// HOLDFAST_DATA.
    pub data: Option<PathBuf>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where answers go.
    pub out: Out,
}

/// Does what the arguments say and prints the answer. Never fails: the exit code tells.
pub async fn run(arguments: Arguments, surroundings: Surroundings) -> ExitCode {
    let out = surroundings.out;
    let desk = Desk { data: arguments.data.or(surroundings.data.clone()), surroundings };
    let answer = match arguments.command {
        Command::Init(init) => init.answer(&desk).await,
        Command::Run(run) => run.answer(&desk).await,
        Command::User(user) => user.answer(&desk).await,
        Command::Device(device) => device.answer(&desk).await,
        Command::Snapshot(snapshot) => snapshot.answer(&desk).await,
        Command::Scrub(scrub) => scrub.answer(&desk).await,
        Command::Config => config::answer(&desk),
        Command::Fingerprint => init::fingerprint(&desk),
    };
    match answer {
        Ok(answer) => {
            out.answer(&answer);
            ExitCode::from(if answer.good { EXIT_GOOD } else { EXIT_FAILED })
        }
        Err(failure) => {
            let usage = failure.code == NO_DATA;
            out.failure(&failure);
            ExitCode::from(if usage { EXIT_USAGE } else { EXIT_FAILED })
        }
    }
}

/// What a command works with.
struct Desk {
    data: Option<PathBuf>,
    surroundings: Surroundings,
}

/// Whoever may run these commands may read the data directory, and is an admin for it.
const ACTOR: AdminActor = AdminActor::Command;
const NO_DATA: &str = "data_not_given";

impl Desk {
    fn data(&self) -> Result<&Path, Failure> {
        self.data.as_deref().ok_or_else(|| Failure {
            code: NO_DATA.to_owned(),
            sentence: "Give the data directory: --data DIR, or HOLDFAST_DATA.".to_owned(),
        })
    }

    async fn app(&self) -> Result<App, Failure> {
        let Surroundings { clock, entropy, .. } = &self.surroundings;
        Ok(App::open(self.data()?, Arc::clone(clock), Arc::clone(entropy)).await?)
    }

    fn now(&self) -> base::Timestamp {
        self.surroundings.clock.now()
    }
}

impl From<AppError> for Failure {
    /// The sentence, and what is behind it: an operator needs the causes. Never fails.
    fn from(error: AppError) -> Self {
        Failure { code: error.code().to_owned(), sentence: chain(&error) }
    }
}

/// An error and its causes, with a colon between. Never fails.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
