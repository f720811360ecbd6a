//! The command line: what a fleet is to do, and what came of it. Refuses secrets as arguments: tokens and passwords
//! come from files.

mod repository;
mod simulate;

use crate::fleet::{self, Device, Figures, Plan, SimError, Step};
use crate::process::{self, Used};
use base::{Clock, Span};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::error::Error;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Simulated devices for Holdfast.
#[derive(Debug, Parser)]
#[command(name = "holdfast-sim", version, about = "Simulated devices for Holdfast", max_term_width = 80)]
pub struct Arguments {
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
    /// Let a fleet of devices activate, open sessions, back up and come back, over TLS.
    Fleet(Fleet),
    /// Make a large repository, and see what collecting it and asking it costs.
    #[command(subcommand)]
    Repository(repository::Repository),
    /// Play days of servers and devices on one seed, with all that goes wrong, in seconds.
    Simulate(simulate::Simulate),
}

/// What `fleet` takes.
#[derive(Debug, Args)]
pub struct Fleet {
    /// Where the server is: https://host:port.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The server's ca.pem.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// How many devices.
    #[arg(long, default_value_t = 100)]
    devices: u32,
    /// What each of them does, in this order.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "activate,open,look")]
    steps: Vec<Word>,
    /// The addresses of the users; {} stands for a user's number, from 0.
    #[arg(long, default_value = "user{}@example.test")]
    email: String,
    /// How many users share the devices.
    #[arg(long, default_value_t = 1)]
    users: u32,
    /// The number of the first device's user; the users after it have the next ones.
    #[arg(long, default_value_t = 0)]
    user_from: u32,
    /// A file with the deployment token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the password of every user.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Devices that begin in a second; as many as go when absent.
    #[arg(long)]
    rate: Option<f64>,
    /// Devices at work at the same time.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Share the connections among the devices, instead of one TLS connection for each.
    #[arg(long)]
    reuse: bool,
    /// Keep every device connected for so long after its steps.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    stay: u64,
    /// How often a device that stays asks for its state.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    look_every: u64,
    /// For how long a device repeats what it was told to repeat later.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
    /// Fixes every key.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads of this program.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Where the fleet is kept between two calls; read when it is there, and written at the end.
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// The server's process, for its CPU time and memory.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
}

/// A step's word.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    /// Make a key and have it bound.
    Activate,
    /// Open a session.
    Open,
    /// Ask for the device's state.
    Look,
    /// Commit a tiny snapshot.
    Commit,
    /// Come back after a reset.
    Return,
}

/// Does what the arguments say and prints the answer. Never fails: the exit code tells.
pub fn run(arguments: Arguments, clock: Arc<dyn Clock>) -> ExitCode {
    let asked = match arguments.command {
        Command::Fleet(asked) => asked,
        Command::Repository(asked) => return said(asked.answer(&clock)),
        Command::Simulate(asked) => return asked.answer(arguments.json, &*clock),
    };
    match asked.answer(clock) {
        Ok(outcome) => {
            let text = if arguments.json { format!("{}\n", outcome.json()) } else { outcome.text() };
            let mut stdout = io::stdout().lock();
            let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
            ExitCode::from(u8::from(outcome.figures.stopped_count() > 0))
        }
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Prints what was measured: JSON, for a person too.
fn said(answer: Result<Value, CommandError>) -> ExitCode {
    match answer {
        Ok(value) => {
            let mut stdout = io::stdout().lock();
            let _ = writeln!(stdout, "{value}").and_then(|()| stdout.flush());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "error: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("the file {path} cannot be used")]
    File {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the runtime did not start")]
    Runtime {
        #[source]
        cause: io::Error,
    },
    #[error("the repository did not do its part")]
    Repository {
        #[source]
        cause: app::AppError,
    },
    #[error("the fleet did not begin")]
    Fleet {
        #[source]
        cause: SimError,
    },
}

struct Outcome {
    figures: Figures,
    own: Used,
    server: Option<Server>,
}

/// What the server used up meanwhile.
struct Server {
    cpu_s: f64,
    /// While all that stay were connected.
    connected: Used,
}

impl Fleet {
    fn answer(self, clock: Arc<dyn Clock>) -> Result<Outcome, CommandError> {
        let devices = self.devices()?;
        let plan = self.plan()?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(self.threads.max(1)).enable_all().build();
        let runtime = runtime.map_err(|cause| CommandError::Runtime { cause })?;
        files_allow(self.devices);
        let before = self.server_pid.map(process::of);
        let mut connected = None;
        let ran = runtime.block_on(fleet::run(plan, devices, clock, || {
            connected = self.server_pid.map(process::of);
        }));
        let (figures, devices) = ran.map_err(|cause| CommandError::Fleet { cause })?;
        self.keep(&devices)?;
        let server = before.zip(connected).map(|(before, connected)| {
            let cpu_s = connected.cpu_s - before.cpu_s;
            Server { cpu_s, connected }
        });
        Ok(Outcome { figures, own: process::own(), server })
    }

    fn plan(&self) -> Result<Plan, CommandError> {
        let secret = |path: &Option<PathBuf>| path.as_deref().map(read).transpose();
        let steps = self.steps.iter().map(|word| match word {
            Word::Activate => Step::Activate,
            Word::Open => Step::Open,
            Word::Look => Step::Look,
            Word::Commit => Step::Commit,
            Word::Return => Step::Return,
        });
        Ok(Plan {
            server: self.server.clone(),
            authorities: read(&self.ca)?,
            steps: steps.collect(),
            email: self.email.clone(),
            users: self.users,
            user_from: self.user_from,
            token: secret(&self.token_file)?.map(|text| text.trim().to_owned()),
            password: secret(&self.password_file)?.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()),
            rate: self.rate.filter(|rate| *rate > 0.0),
            connections: self.connections,
            reuse: self.reuse,
            stay: Span::seconds(self.stay),
            look_every: Span::seconds(self.look_every.max(1)),
            patience: Span::seconds(self.patience),
            seed: self.seed,
        })
    }

    /// The fleet in its file, or a new one.
    fn devices(&self) -> Result<Vec<Device>, CommandError> {
        let kept = self.fleet.as_deref().filter(|path| path.exists());
        let Some(path) = kept else { return Ok(Device::fleet(self.devices, self.seed)) };
        serde_json::from_str(&read(path)?).map_err(|cause| {
            let cause = io::Error::new(io::ErrorKind::InvalidData, cause);
            CommandError::File { path: path.to_owned(), cause }
        })
    }

    fn keep(&self, devices: &[Device]) -> Result<(), CommandError> {
        let Some(path) = &self.fleet else { return Ok(()) };
        let text = serde_json::to_string(devices).expect("devices are plain values");
        std::fs::write(path, text).map_err(|cause| CommandError::File { path: path.clone(), cause })
    }
}

impl Outcome {
    fn json(&self) -> Value {
        let mib = |used: &Used| json!({ "memory_mib": used.memory.0 >> 20, "peak_mib": used.peak.0 >> 20 });
        let mut all = self.figures.json();
        all["sim"] = mib(&self.own);
        all["sim"]["cpu_s"] = json!(self.own.cpu_s);
        if let Some(server) = &self.server {
            all["server"] = mib(&server.connected);
            all["server"]["cpu_s"] = json!(server.cpu_s);
        }
        all
    }

    fn text(&self) -> String {
        let mut text = self.figures.text();
        let line = |who: &str, cpu_s: f64, used: &Used| {
            let (memory, peak) = (used.memory, used.peak);
            format!("{who}: CPU {cpu_s:.2} s, memory {memory}, at most {peak}\n")
        };
        text.push_str(&line("this program", self.own.cpu_s, &self.own));
        if let Some(server) = &self.server {
            text.push_str(&line("the server", server.cpu_s, &server.connected));
        }
        text
    }
}

/// Raises the limit of open files as far as so many devices need. Where the system does not let it, connections fail
/// and are counted.
fn files_allow(devices: u32) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let needed = u64::from(devices) + 256;
    limit.current = Some(limit.maximum.map_or(needed, |most| most.min(needed)).max(limit.current.unwrap_or(needed)));
    let _ = setrlimit(Resource::Nofile, limit);
}

fn read(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(|cause| CommandError::File { path: path.to_owned(), cause })
}

/// An error and its causes, with a colon between.
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_help_of_every_command_fits_80_columns() {
        let mut program = Arguments::command();
        program.build();
        let mut commands = vec![program];
        while let Some(mut command) = commands.pop() {
            let name = command.get_name().to_owned();
            for help in [command.render_help(), command.render_long_help()] {
                // clap wraps everything but the line of usage.
                for line in help.to_string().lines().filter(|line| !line.starts_with("Usage: ")) {
                    assert!(line.chars().count() <= 80, "{name}: {line}");
                }
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
