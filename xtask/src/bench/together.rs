//! `cargo xtask bench together`: several real endpoints back up to one server at once, each its own corpus, and restore
//! at once: what the server then needs. Each has a host name of its own and no serial number, in namespaces, or the
//! server would rightly take them for copies of one device. Linux, as root or where unshare is permitted.
//! Refuses a restore of another number of files or bytes than were backed up.

use super::measure::{self, Measured, Together};
use super::peers::{Name, Subject, or_all};
use crate::demo::programs::{Programs, ask};
use anyhow::{Context, Result, ensure};
use base::Bytes;
use clap::Args;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the server may have.
const GOAL: Bytes = Bytes(300_000_000);

/// What `cargo xtask bench together` takes.
#[derive(Args)]
pub struct Options {
    /// The corpora, one for each endpoint; all when absent
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    corpora: Vec<Name>,
    /// Where downloads, corpora and the repository are kept while it runs: up to 15 GB; `target/bench` when absent
    #[arg(long, value_name = "DIR")]
    place: Option<PathBuf>,
    /// Take our programs from this folder as they are, instead of building them in release mode
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

/// Runs the bench.
///
/// # Errors
/// A program that cannot be run, fails, or restores another number of files or bytes; a server that needs more than it
/// may.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let place = super::place(options.place.as_deref(), root);
    let store = place.join("downloads");
    fs::create_dir_all(&store).context("making the bench's folders")?;
    let programs = Programs::endpoint_in(options.programs.as_deref(), root)?;
    let folder = tempfile::tempdir_in(&place).context("making a folder for the bench")?;
    let mut endpoints = Vec::new();
    for (nth, name) in or_all(&options.corpora).into_iter().enumerate() {
        let own = folder.path().join(format!("endpoint {nth}"));
        endpoints.push(Endpoint { nth, subject: Subject::make(name, &store, &own)?, own });
    }
    let (data, password) = (folder.path().join("server"), folder.path().join("password"));
    fs::write(&password, "correct horse battery staple\n")?;
    programs.init(&data, &password)?;
    let server = programs.serve(&data, 0)?;
    for endpoint in &endpoints {
        let (state, email, folder) = (endpoint.state(), endpoint.email(), &endpoint.subject.folder);
        programs.user_add(&data, &email, &password)?;
        ask(&mut endpoint.alone(&programs.activation(&state, server.port, &data, &email, &password, folder)))?;
    }
    let mut figures = Figures::default();
    for work in ["first", "unchanged", "restore"] {
        let command = |endpoint: &Endpoint| match work {
            "restore" => {
                let mut command = endpoint.command(&programs, &["restore", "latest", "--to"]);
                command.arg(endpoint.own.join("restored"));
                command
            }
            _ => endpoint.command(&programs, &["backup"]),
        };
        let mut commands: Vec<Command> = endpoints.iter().map(command).collect();
        figures.add(work, &endpoints, &measure::together(&mut commands, server.pid())?);
    }
    for Endpoint { subject, own, .. } in &endpoints {
        let (wanted, found) = (super::peers::count(&subject.folder)?, super::peers::count(&own.join("restored"))?);
        ensure!(wanted == found, "{}: {found:?} files and bytes were restored, not {wanted:?}", subject.name);
    }
    print!("{}", figures.table);
    ensure!(figures.server_peak <= GOAL, "the server had {}, more than {GOAL}", figures.server_peak);
    Ok(())
}

/// One endpoint and what it backs up.
struct Endpoint {
    nth: usize,
    subject: Subject,
    own: PathBuf,
}

impl Endpoint {
    fn host_name(&self) -> String {
        format!("{}-{}", self.subject.name, self.nth)
    }

    fn email(&self) -> String {
        format!("{}@example.test", self.host_name())
    }

    fn state(&self) -> PathBuf {
        self.own.join("state")
    }

    /// A command at this endpoint, as if it were a computer by itself.
    fn command(&self, programs: &Programs, arguments: &[&str]) -> Command {
        self.alone(&programs.device(&self.state(), arguments))
    }

    fn alone(&self, endpoint: &Command) -> Command {
        let alone = "hostname \"$0\" && { [ ! -d /sys/class/dmi/id ] || mount -t tmpfs tmpfs /sys/class/dmi/id; } && \
                     exec \"$@\"";
        let mut command = Command::new("unshare");
        let is_root = rustix::process::geteuid().is_root();
        command.args([if is_root { "-mu" } else { "-rmu" }, "sh", "-c", alone, &self.host_name()]);
        command.arg(endpoint.get_program()).args(endpoint.get_args());
        command
    }
}

/// What was measured, as a table, and the most that the server had.
struct Figures {
    table: String,
    server_peak: Bytes,
}

impl Default for Figures {
    fn default() -> Self {
        let table = "| at once | who | wall s | CPU s | peak MB |\n|---|---|---|---|---|\n".to_owned();
        Self { table, server_peak: Bytes(0) }
    }
}

impl Figures {
    fn add(&mut self, work: &str, endpoints: &[Endpoint], together: &Together) {
        let each = endpoints.iter().map(|endpoint| endpoint.subject.name.as_str()).zip(&together.each);
        for (who, measured) in each.chain([("server", &together.server)]) {
            let Measured { wall_s, cpu_s, peak, .. } = measured;
            let peak = peak.0 as f64 / 1e6;
            writeln!(self.table, "| {work} | {who} | {wall_s:.2} | {cpu_s:.2} | {peak:.0} |")
                .expect("a string takes it");
        }
        self.server_peak = self.server_peak.max(together.server.peak);
    }
}
