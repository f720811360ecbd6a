//! A server with users, a deployment token and room for a fleet, in a folder that goes away with it.
//! Refuses to look inside the server: it is set up by its command line, and asked by its admin API over HTTPS.

use super::api::Api;
use crate::demo::programs::{Programs, Server, ask};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

/// The admin's password.
const PASSWORD: &str = "correct horse battery staple\n";
/// The domain of the users' addresses. `holdfast-sim` numbers its users the same way.
const DOMAIN: &str = "example.test";

/// A server that runs, and what a fleet needs to reach it.
pub struct Place {
    // Before the folder: it ends before its data goes away.
    server: Server,
    folder: TempDir,
    users: u32,
    /// The admin API, with every permit.
    pub api: Api,
}

impl Place {
    /// A server with so many users and a deployment token for them. All devices come from one address, so that the
    /// limit for one address is off.
    ///
    /// # Errors
    /// A program that does not do its work.
    pub fn start(programs: &Programs, users: u32, config: &str) -> Result<Self> {
        Self::start_on(programs, users, config, "")
    }

    /// The same on a PostgreSQL database, which is empty and has this address; the file for an empty one.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_on(programs: &Programs, users: u32, config: &str, database: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("holdfast-fleet-").tempdir().context("making a folder")?;
        let (data, password) = (folder.path().join("data"), folder.path().join("password"));
        fs::write(&password, PASSWORD)?;
        fs::create_dir(&data)?;
        let url = json!(database);
        let common = format!("[activation]\nper_source_minute = 0\n[database]\nurl = {url}\n");
        fs::write(data.join("holdfast.toml"), format!("{common}{config}"))?;
        programs.init(&data, &password)?;
        let credential = credential_make(programs, &data, &folder.path().join("credential"))?;
        let server = programs.serve(&data, 0)?;
        let api = Api::new(server.port, &data.join("ca.pem"), credential)?;
        for number in 0..users {
            api.post("/users", &json!({ "email": format!("user{number}@{DOMAIN}") }))?;
        }
        // A token that cannot be made ends the proof: another way in would prove something else.
        let made = api.post("/tokens", &json!({ "name": "fleet", "domains": [DOMAIN] }))?;
        fs::write(folder.path().join("token"), made["text"].as_str().context("a token is shown once")?)?;
        Ok(Self { server, folder, users, api })
    }

    /// Lets a fleet do these steps by the token, and gives the figures. `fleet` names the file in which it is kept, so
    /// that it can go on later; the figures of devices that did not come through are figures too.
    ///
    /// # Errors
    /// The program did not start, or did not answer.
    pub fn fleet(&self, programs: &Programs, fleet: &str, devices: u32, steps: &str, more: &[&str]) -> Result<Value> {
        let (port, pid) = (self.server.port, self.server.pid().to_string());
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let (url, ca) = (format!("https://127.0.0.1:{port}"), at("data/ca.pem"));
        let (file, token) = (self.fleet_file(fleet).display().to_string(), at("token"));
        let (devices, users) = (devices.to_string(), self.users.to_string());
        let seed = fleet.bytes().fold(7_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into())).to_string();
        let mut arguments = vec!["fleet", "--server", &url, "--ca", &ca, "--devices", &devices, "--steps", steps];
        arguments.extend(["--users", &users, "--server-pid", &pid, "--fleet", &file, "--seed", &seed]);
        arguments.extend(["--token-file", &token]);
        arguments.extend(more);
        let output = programs.sim(&arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        serde_json::from_slice(&output.stdout).context("the simulated fleet did not answer in JSON")
    }

    /// The devices of a fleet as their file has them.
    ///
    /// # Errors
    /// No such file, or no list in it.
    pub fn fleet_read(&self, fleet: &str) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.fleet_file(fleet)).context("reading the fleet")?;
        serde_json::from_str(&text).context("a fleet is a list of devices")
    }

    /// Makes a fleet of devices that there are: the rest of another one, or copies.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn fleet_write(&self, fleet: &str, devices: &[Value]) -> Result<()> {
        fs::write(self.fleet_file(fleet), serde_json::to_string(devices)?).context("writing the fleet")
    }

    fn fleet_file(&self, fleet: &str) -> PathBuf {
        self.folder.path().join(format!("{fleet}.json"))
    }
}

/// Makes a credential with every permit by the command line: the only way to the first one.
fn credential_make(programs: &Programs, data: &Path, file: &Path) -> Result<String> {
    let make = ["credential", "make", "--name", "fleet", "--permit", "all", "--file"];
    ask(programs.admin(data, &make).arg(file))?;
    let text = fs::read_to_string(file).context("the credential is in its file")?;
    ensure!(text.starts_with("hfa1_"), "a credential begins with hfa1_");
    Ok(text.trim().to_owned())
}
