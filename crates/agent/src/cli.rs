//! The command line: reads it, runs one command, writes one answer, and ends with the exit code of docs/cli.md.
//! Refuses to mix: answers go to stdout, progress and errors for people to stderr.

mod activate;
mod args;
mod ask;
mod count;
mod json;
mod meter;
mod person;
mod run;
mod text;

use crate::backup::BackedUp;
use crate::due::NotDue;
use crate::error::{AgentError, Exit};
use crate::policy::Known;
use crate::restore::Restored;
use crate::snapshots::Listed;
use crate::status::Status;
use crate::support::Bundle;
use crate::verify_restore::Verified;
use crate::wipe::Wiped;
use activate::{Finished, InService};
use args::{Args, Common};
use base::{Span, printable};
use clap::Parser;
use clap::error::ErrorKind;
use protocol::agent::activation::{ActivationChanges, ActivationQuestion, ActivationWaiting};
use protocol::agent::run::SnapshotDetail;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// What the program was started with besides its arguments.
#[derive(Debug, Default)]
pub struct Environment {
    /// `HOLDFAST_STATE`.
    pub state: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
}

/// What a command came to.
enum Report {
    Activated(Box<Finished>),
    InService(Box<InService>),
    Question(ActivationQuestion),
    Changes(ActivationChanges),
    PasswordSet(String),
    Waiting(ActivationWaiting),
    BackedUp(Box<BackedUp>),
    /// A watch was ended.
    Watched,
    NotDue(NotDue),
    Status(Box<Status>),
    Policy(Known),
    Folders(Known),
    Settings(Known),
    Snapshots(Vec<SnapshotDetail>),
    Listed(Listed),
    Restored(Restored),
    Verified(Box<Verified>),
    Support(Bundle),
    Wiped(Wiped),
}

/// Where the system's own service keeps its state.
const SYSTEM_STATE: &str = "/var/lib/holdfast";
/// Threads that talk to the server; reading and computing has its own.
const TALK_THREADS: usize = 2;

/// Runs the command in `arguments`; the exit code. Never fails otherwise.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: &Environment) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return misread(&error, wants_json),
    };
    if args.common.verbose {
        let _ = tracing_subscriber::fmt()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_max_level(tracing::Level::DEBUG)
            .try_init();
    }
    text::fit(terminal_columns());
    let json = args.common.json;
    let ended = start(args, environment);
    let (exit, written) = match &ended {
        Ok(report) => (report.exit(), write_report(report, json)),
        Err(error) => (error.exit(), write_error(error, json)),
    };
    match written {
        // Whoever reads the answer has had enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => code(Exit::Failed),
        _ => code(exit),
    }
}

fn start(args: Args, environment: &Environment) -> Result<Report, AgentError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(TALK_THREADS).enable_all().build();
    let runtime = runtime.map_err(|cause| AgentError::Output { during: "starting", cause })?;
    // To be ended is how a watch ends.
    let stopped =
        if matches!(args.command, args::Command::Watch) { Ok(Report::Watched) } else { Err(AgentError::Interrupted) };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = run::run(args, environment) => ended,
            () = interrupted() => stopped,
        }
    });
    // Reads that are under way end by themselves; a file system that hangs must not keep the program.
    runtime.shutdown_timeout(Span::seconds(2).as_duration());
    ended
}

/// Where the state is: as said, else where the system or the person keeps such things.
fn state_path(common: &Common, environment: &Environment) -> Result<PathBuf, AgentError> {
    if let Some(path) = common.state.as_ref().or(environment.state.as_ref()) {
        return Ok(path.clone());
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from(SYSTEM_STATE));
    }
    let home = || environment.home.as_ref().map(|home| home.join(".local/state"));
    let base = environment.state_home.clone().filter(|path| path.is_absolute()).or_else(home);
    let sentence = "there is no home directory to keep the state in: say where with --state DIR";
    base.map(|base| base.join("holdfast")).ok_or_else(|| AgentError::usage("no_state_directory", sentence))
}

/// Resolves when a person or the system asks the program to stop.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

impl Report {
    fn exit(&self) -> Exit {
        match self {
            Report::BackedUp(done) if done.totals.problems > 0 => Exit::Problems,
            Report::Restored(done) if done.totals.problems > 0 => Exit::Problems,
            Report::Verified(done) if done.totals.problems + done.difference_count() > 0 => Exit::Problems,
            Report::Activated(done) => brought_back(done.restored.as_ref()),
            Report::InService(done) => brought_back(done.restored.as_ref()),
            Report::Status(status) => match &status.device {
                None => AgentError::NotActivated.exit(),
                Some(device) => device.said.as_ref().map_or_else(AgentError::exit, |_| Exit::Done),
            },
            Report::Question(_) => Exit::Choose,
            Report::Waiting(_) => Exit::Waiting,
            // Not what was asked for: the server wants something else of this computer.
            Report::Wiped(_) => Exit::Refused,
            Report::BackedUp(_)
            | Report::Watched
            | Report::NotDue(_)
            | Report::Restored(_)
            | Report::Verified(_)
            | Report::Changes(_)
            | Report::PasswordSet(_)
            | Report::Policy(_)
            | Report::Folders(_)
            | Report::Settings(_)
            | Report::Snapshots(_)
            | Report::Listed(_)
            | Report::Support(_) => Exit::Done,
        }
    }
}

/// How a command ends after which something was brought back, or was not.
fn brought_back(restored: Option<&Result<Restored, AgentError>>) -> Exit {
    match restored {
        Some(Err(error)) => error.exit(),
        Some(Ok(restored)) if restored.totals.problems > 0 => Exit::Problems,
        Some(Ok(_)) | None => Exit::Done,
    }
}

fn write_report(report: &Report, json: bool) -> io::Result<()> {
    let text = if json { json::report(report) } else { text::report(report, &jiff::tz::TimeZone::system()) };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn write_error(error: &AgentError, json: bool) -> io::Result<()> {
    if json {
        let mut out = io::stdout().lock();
        out.write_all(json::error(error).as_bytes())?;
        return out.flush();
    }
    io::stderr().lock().write_all(text::error(error).as_bytes())
}

/// A command line that could not be read, or that asked for help.
fn misread(error: &clap::Error, json: bool) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return code(Exit::Done);
    }
    let (sentence, hint) = misreading(error);
    let _ = write_error(&AgentError::usage("usage", sentence), json);
    if !json {
        let _ = io::stderr().lock().write_all(hint.as_bytes());
    }
    code(Exit::Usage)
}

/// What is wrong with a command line, in one sentence, and how a right one looks.
fn misreading(error: &clap::Error) -> (String, String) {
    let said = error.render().to_string();
    let (what, hint) = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => ("no command is named", said.as_str()),
        _ => said.split_once("\n\n").unwrap_or((&said, "")),
    };
    // What is missing, or excludes each other, stands in lines of its own.
    let words: Vec<&str> = what.trim_start_matches("error: ").split_whitespace().collect();
    let hint: String = hint.trim_end().lines().map(|line| format!("{}\n", printable(line))).collect();
    (words.join(" "), if hint.is_empty() { hint } else { format!("\n{hint}") })
}

/// How wide the terminal is that answers go to; `None` where they go to a file or another program, or where it does not
/// say.
fn terminal_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}
