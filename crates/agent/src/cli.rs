//! The command line: reads it, runs one command, writes one answer, and ends with the exit code of docs/cli.md.
//! Refuses to mix: answers go to stdout, progress and errors for people to stderr.

mod args;
mod ask;
mod count;
mod json;
mod meter;
mod text;

use crate::activation::{self, Activated};
use crate::backup::{self, BackedUp};
use crate::error::{AgentError, Exit};
use crate::folders;
use crate::remote::Around;
use crate::restore::{self, Restored};
use crate::snapshots::{self, Listed};
use crate::state::StateDir;
use crate::status::{self, Status};
use args::{Args, Command, Common};
use base::{OsEntropy, Span, SystemClock};
use clap::Parser;
use engine::Progress;
use format::StoredPath;
use meter::{Goal, Meter, Work};
use protocol::agent::run::SnapshotDetail;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// What the program was started with besides its arguments.
#[derive(Debug, Default)]
pub struct Environment {
    /// `HOLDFAST_STATE`.
    pub state: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
}

/// What a command came to.
enum Report {
    Activated(Activated),
    BackedUp(BackedUp),
    Status(Status),
    Snapshots(Vec<SnapshotDetail>),
    Listed(Listed),
    Restored(Restored),
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
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = run(args, environment) => ended,
            () = interrupted() => Err(AgentError::Interrupted),
        }
    });
    // Reads that are under way end by themselves; a file system that hangs must not keep the program.
    runtime.shutdown_timeout(Span::seconds(2).as_duration());
    ended
}

async fn run(args: Args, environment: &Environment) -> Result<Report, AgentError> {
    let Args { common, command } = args;
    let dir = StateDir::open(&state_path(&common, environment)?)?;
    let progress = Arc::new(Progress::default());
    let around = Around {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        progress: Arc::clone(&progress),
        patience: Span::seconds(common.patience),
    };
    let meter = Meter::new(&common, around.clone());
    match command {
        Command::Activate(wanted) => {
            let ask = ask::activation(&around, &dir, wanted).await?;
            activation::run(&around, &dir, ask).await.map(Report::Activated)
        }
        Command::Backup { folders } => {
            let folders = folders.iter().map(|typed| folders::folder(typed)).collect::<Result<Vec<_>, _>>()?;
            let begun = |parent: Option<&SnapshotDetail>, folders: &[StoredPath]| {
                let folders = folders.to_vec();
                meter.begin(Work::Backup, parent.map(Goal::of), move |stop| count::count(folders, stop));
            };
            let done = backup::run(&around, &dir, folders, begun).await;
            meter.end().await;
            done.map(Report::BackedUp)
        }
        Command::Restore { snapshot, paths, to } => {
            let paths: Vec<StoredPath> = paths.iter().map(|typed| folders::entry(typed)).collect::<Result<_, _>>()?;
            let is_whole = paths.is_empty();
            let begun = |detail: &SnapshotDetail| {
                meter.begin(Work::Restore, is_whole.then(|| Goal::of(detail)), |_| None);
            };
            let done = restore::run(&around, &dir, &snapshot, paths, &to, begun).await;
            meter.end().await;
            done.map(Report::Restored)
        }
        Command::Status => status::look(&around, &dir).await.map(Report::Status),
        Command::Snapshots => snapshots::list(&around, &dir).await.map(Report::Snapshots),
        Command::Ls { snapshot, path } => {
            let path = folders::entry(path.as_deref().unwrap_or(Path::new("/")))?;
            snapshots::ls(&around, &dir, &snapshot, &path).await.map(Report::Listed)
        }
    }
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
            Report::Status(status) => status.device.as_ref().map_or_else(AgentError::exit, |_| Exit::Done),
            Report::BackedUp(_)
            | Report::Restored(_)
            | Report::Activated(_)
            | Report::Snapshots(_)
            | Report::Listed(_) => Exit::Done,
        }
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
    if json {
        let first = error.to_string();
        let first = first.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let _ = write_error(&AgentError::usage("usage", first), true);
    } else {
        let _ = error.print();
    }
    code(Exit::Usage)
}

fn code(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}
