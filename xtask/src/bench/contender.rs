//! The programs that are measured, each used as its own documentation says, with its default settings.

use super::measure::{self, Measured};
use crate::demo::programs::{Programs, Server, ask};
use anyhow::{Context, Result, bail};
use base::Bytes;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use walkdir::WalkDir;

/// One program with one repository.
pub trait Contender {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Backs the folder up.
    fn backup(&mut self) -> Result<Measured>;

    /// Restores the newest snapshot into `target`.
    fn restore(&mut self, target: &Path) -> Result<Measured>;

    /// What its repository takes on the disk, indexes and database included.
    fn repository_bytes(&self) -> Result<Bytes>;
}

/// Sees to it that restic is there.
pub fn need_restic() -> Result<()> {
    let there = Command::new("restic").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    eprintln!("restic is missing: installing it with apt-get");
    let installed = Command::new("apt-get").args(["install", "-y", "--no-install-recommends", "restic"]).status();
    if installed.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    bail!("restic is not here and apt-get cannot install it: install restic, then run the bench again")
}

/// restic with a local repository.
pub struct Restic {
    folder: PathBuf,
    place: PathBuf,
}

impl Restic {
    /// A new repository below `place`.
    pub fn begin(folder: &Path, place: &Path) -> Result<Self> {
        fs::create_dir_all(place)?;
        fs::write(place.join("password"), "correct horse battery staple\n")?;
        let restic = Self { folder: folder.to_owned(), place: place.to_owned() };
        let made = restic.command(&["init"]).stdout(Stdio::null()).status().context("running restic")?;
        if !made.success() {
            bail!("restic init failed");
        }
        Ok(restic)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("restic");
        command.args(["--quiet", "--repo"]).arg(self.place.join("repository"));
        command.arg("--password-file").arg(self.place.join("password"));
        command.arg("--cache-dir").arg(self.place.join("cache")).args(arguments);
        command
    }
}

impl Contender for Restic {
    fn name(&self) -> &'static str {
        "restic"
    }

    fn backup(&mut self) -> Result<Measured> {
        measure::run(self.command(&["backup"]).arg(&self.folder), None)
    }

    fn restore(&mut self, target: &Path) -> Result<Measured> {
        measure::run(self.command(&["restore", "latest", "--target"]).arg(target), None)
    }

    fn repository_bytes(&self) -> Result<Bytes> {
        Ok(size_of(&self.place.join("repository")))
    }
}

/// Holdfast: a server and an endpoint, over TLS on loopback, the server verifying everything.
pub struct Holdfast<'a> {
    programs: &'a Programs,
    place: PathBuf,
    server: Server,
}

impl<'a> Holdfast<'a> {
    /// A new server and a newly activated endpoint below `place`.
    pub fn begin(programs: &'a Programs, folder: &Path, place: &Path) -> Result<Self> {
        fs::create_dir_all(place)?;
        let (data, password) = (place.join("server"), place.join("password"));
        fs::write(&password, "correct horse battery staple\n")?;
        programs.init(&data, &password)?;
        ask(programs.admin(&data, &["user", "add", "ann@example.test", "--password-file"]).arg(&password))?;
        let server = programs.serve(&data, 0)?;
        let url = format!("https://localhost:{}", server.port);
        let arguments = ["activate", "--server", &url, "--email", "ann@example.test", "--password-file"];
        let mut activate = programs.device(&place.join("endpoint"), &arguments);
        ask(activate.arg(&password).arg("--ca").arg(data.join("ca.pem")).arg("--folder").arg(folder))?;
        Ok(Self { programs, place: place.to_owned(), server })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.programs.device(&self.place.join("endpoint"), arguments)
    }
}

impl Contender for Holdfast<'_> {
    fn name(&self) -> &'static str {
        "holdfast"
    }

    fn backup(&mut self) -> Result<Measured> {
        measure::run(&mut self.command(&["backup"]), Some(self.server.pid()))
    }

    fn restore(&mut self, target: &Path) -> Result<Measured> {
        let server = Some(self.server.pid());
        measure::run(self.command(&["restore", "latest", "--to"]).arg(target), server)
    }

    fn repository_bytes(&self) -> Result<Bytes> {
        Ok(size_of(&self.place.join("server")))
    }
}

fn size_of(folder: &Path) -> Bytes {
    let files = WalkDir::new(folder).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| entry.metadata().ok()).map(|metadata| Bytes(metadata.len())).sum()
}
