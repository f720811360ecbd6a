//! The real programs: built in release mode (in a test, as tests have them), started as processes of their own, asked
//! in JSON.
//! Refuses shortcuts: everything goes through the command line that a person would use.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// The two programs, ready to run.
pub struct Programs {
    server: PathBuf,
    endpoint: PathBuf,
    sim: PathBuf,
}

impl Programs {
    /// Builds the server and the endpoint in release mode.
    pub fn build(root: &Path) -> Result<Self> {
        Self::build_with(root, "agent")
    }

    /// All programs as `cargo test` builds them.
    pub fn build_for_tests(root: &Path) -> Result<Self> {
        // All of them: a part of the workspace would be built with other features, and every dependency anew.
        Self::build_as(root, &["--workspace", "--bins"], "debug")
    }

    /// The server and the simulated fleet: as they lie in a folder, or else built in release mode.
    pub fn sim_in(folder: Option<&Path>, root: &Path) -> Result<Self> {
        folder.map_or_else(|| Self::build_with(root, "sim"), |folder| Ok(Self::in_folder(folder)))
    }

    /// The server and the endpoint: as they lie in a folder, or else built in release mode.
    pub fn endpoint_in(folder: Option<&Path>, root: &Path) -> Result<Self> {
        folder.map_or_else(|| Self::build(root), |folder| Ok(Self::in_folder(folder)))
    }

    /// The programs as they lie in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        let program = |name: &str| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        Self { server: program("holdfast-server"), endpoint: program("holdfast"), sim: program("holdfast-sim") }
    }

    /// Builds the server and another of our programs.
    fn build_with(root: &Path, other: &str) -> Result<Self> {
        eprintln!("Building the server and the {other} in release mode …");
        Self::build_as(root, &["--release", "--package", "server", "--package", other], "release")
    }

    fn build_as(root: &Path, what: &[&str], folder: &str) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--locked", "--quiet"])
            .args(what)
            .current_dir(root)
            .stdout(Stdio::null())
            .status()
            .context("running cargo")?;
        if !built.success() {
            bail!("the programs do not build");
        }
        Ok(Self::in_folder(&root.join("target").join(folder)))
    }

    /// A command of the simulated fleet, answered in JSON.
    pub fn sim(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.sim);
        command.arg("--json").args(arguments);
        command
    }

    /// Sets up a server in `data` with its first admin.
    pub fn init(&self, data: &Path, admin_password: &Path) -> Result<()> {
        let arguments = ["init", "--admin-email", "admin@example.test", "--admin-password-file"];
        let mut command = self.admin(data, &arguments);
        ask(command.arg(admin_password))?;
        Ok(())
    }

    /// An admin's command, answered in JSON.
    pub fn admin(&self, data: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.server);
        command.arg("--json").arg("--data").arg(data).args(arguments);
        command
    }

    /// Adds a user with this password.
    pub fn user_add(&self, data: &Path, email: &str, password: &Path) -> Result<()> {
        ask(self.admin(data, &["user", "add", email, "--password-file"]).arg(password)).map(drop)
    }

    /// The command that activates a device of this user, which backs up `folder`, at the server of `data`, which
    /// listens at this port of the machine.
    pub fn activation(
        &self,
        state: &Path,
        port: u16,
        data: &Path,
        email: &str,
        password: &Path,
        folder: &Path,
    ) -> Command {
        let url = format!("https://localhost:{port}");
        let mut command = self.device(state, &["activate", "--server", &url, "--email", email]);
        command.arg("--password-file").arg(password).arg("--ca").arg(data.join("ca.pem")).arg("--folder").arg(folder);
        command
    }

    /// A command at the device, answered in JSON.
    pub fn device(&self, state: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.endpoint);
        command.arg("--json").arg("--state").arg(state).args(arguments);
        command
    }

    /// Starts the server. Port 0 lets the system choose.
    pub fn serve(&self, data: &Path, port: u16) -> Result<Server> {
        let log = fs::OpenOptions::new().create(true).append(true).open(data.with_extension("log"))?;
        let mut child = Command::new(&self.server)
            .args(["run", "--json", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("starting the server")?;
        let mut lines = BufReader::new(child.stdout.take().context("the server's output is piped")?);
        let mut ready = String::new();
        lines.read_line(&mut ready)?;
        let ready: Value = serde_json::from_str(&ready)
            .with_context(|| format!("the server did not start: see {}", data.with_extension("log").display()))?;
        let address = ready["listening"].as_str().context("the server says where it listens")?.to_owned();
        let port = address.rsplit(':').next().and_then(|port| port.parse().ok()).context("an address has a port")?;
        Ok(Server { child, port, _lines: lines })
    }
}

/// A server process. Killed when it is dropped.
pub struct Server {
    child: Child,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// Held, so that the server's output has somewhere to go.
    _lines: BufReader<ChildStdout>,
}

impl Server {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process without a word. What it has given to the system is not lost, as it would be by a power cut.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().context("killing the server")?;
        self.child.wait().context("waiting for the server")?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that must succeed, and gives its answer. On a terminal its own progress is shown.
pub fn ask_and_show(command: &mut Command) -> Result<Value> {
    if !std::io::stderr().is_terminal() {
        return ask(command);
    }
    let output = command.arg("--progress").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", sentence_of(&output));
    }
    answer(&output)
}

/// Runs a command that must succeed, and gives its answer.
pub fn ask(command: &mut Command) -> Result<Value> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", sentence_of(&output));
    }
    answer(&output)
}

/// Runs a command that must be refused; the code and the sentence that a person would read.
pub fn ask_in_vain(command: &mut Command) -> Result<(String, String)> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("running {command:?}"))?;
    if output.status.success() {
        bail!("{command:?} was carried out, and should have been refused");
    }
    let error = &answer(&output)?["error"];
    let text =
        |field: &str| error[field].as_str().map(str::to_owned).with_context(|| format!("an error has a {field}"));
    Ok((text("code")?, text("sentence")?))
}

fn answer(output: &Output) -> Result<Value> {
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("not JSON: {}", String::from_utf8_lossy(&output.stdout)))
}

fn sentence_of(output: &Output) -> String {
    let said = answer(output).ok().and_then(|answer| answer["error"]["sentence"].as_str().map(str::to_owned));
    said.unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
