//! A server with users, a deployment token and room for a fleet, in a folder that goes away with it.
//! Refuses to look inside the server: it is asked by its command line.

use crate::demo::programs::{Programs, Server, ask};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

/// Everybody's password.
const PASSWORD: &str = "correct horse battery staple\n";
/// The domain of the users' addresses. `holdfast-sim` numbers its users the same way.
const DOMAIN: &str = "example.test";
/// Commands that set users up side by side.
const SIDE_BY_SIDE: usize = 4;

/// A server that runs, and what a fleet needs to reach it.
pub struct Place {
    // Before the folder: it ends before its data goes away.
    server: Server,
    folder: TempDir,
    users: u32,
    /// Whether devices prove themselves by the token, and not by passwords.
    pub by_token: bool,
}

impl Place {
    /// A server with so many users. Hashing passwords is made cheap: what is measured is something else.
    ///
    /// # Errors
    /// A program that does not do its work.
    pub fn start(programs: &Programs, users: u32, config: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("holdfast-fleet-").tempdir().context("making a folder")?;
        let (data, password) = (folder.path().join("data"), folder.path().join("password"));
        fs::write(&password, PASSWORD)?;
        programs.init(&data, &password)?;
        let cheap = "[password]\nmemory_mib = 1\npasses = 1\n";
        fs::write(data.join("holdfast.toml"), format!("{cheap}{config}"))?;
        users_add(programs, &data, &password, users)?;
        let token = folder.path().join("token");
        let by_token = token_make(programs, &data, &token)?;
        let server = programs.serve(&data, 0)?;
        Ok(Self { server, folder, users, by_token })
    }

    /// The server's data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Lets a fleet do these steps, and gives the figures. `fleet` names the file in which it is kept, so that it can
    /// go on later; the figures of devices that did not come through are figures too.
    ///
    /// # Errors
    /// The program did not start, or did not answer.
    pub fn fleet(&self, programs: &Programs, fleet: &str, devices: u32, steps: &str, more: &[&str]) -> Result<Value> {
        let (port, pid) = (self.server.port, self.server.pid().to_string());
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let (url, ca) = (format!("https://127.0.0.1:{port}"), at("data/ca.pem"));
        let (file, password, token) = (at(&format!("{fleet}.json")), at("password"), at("token"));
        let (devices, users) = (devices.to_string(), self.users.to_string());
        let seed = fleet.bytes().fold(7_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into())).to_string();
        let mut arguments = vec!["fleet", "--server", &url, "--ca", &ca, "--devices", &devices, "--steps", steps];
        arguments.extend(["--users", &users, "--server-pid", &pid, "--fleet", &file, "--seed", &seed]);
        match self.by_token {
            true => arguments.extend(["--token-file", &token]),
            false => arguments.extend(["--password-file", &password]),
        }
        arguments.extend(more);
        let output = programs.sim(&arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        serde_json::from_slice(&output.stdout).context("the simulated fleet did not answer in JSON")
    }
}

fn users_add(programs: &Programs, data: &Path, password: &Path, users: u32) -> Result<()> {
    let password = password.display().to_string();
    let numbers: Vec<u32> = (0..users).collect();
    for several in numbers.chunks(SIDE_BY_SIDE) {
        let adding = several.iter().map(|number| {
            let email = format!("user{number}@{DOMAIN}");
            let mut command = programs.admin(data, &["user", "add", &email, "--password-file", &password]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()
        });
        for added in adding.collect::<Vec<_>>() {
            ensure!(added?.wait()?.success(), "a user could not be added");
        }
    }
    Ok(())
}

/// Makes a deployment token for the users' domain and writes it down. `false` where the server has no such command yet:
/// then passwords are used.
fn token_make(programs: &Programs, data: &Path, file: &Path) -> Result<bool> {
    let make = ["token", "make", "fleet", "--domain", DOMAIN];
    let Ok(made) = ask(&mut programs.admin(data, &make)) else { return Ok(false) };
    fs::write(file, made["token"].as_str().context("a token is shown once")?)?;
    Ok(true)
}
