//! rustic with a local repository.

use super::{Contender, Place, install, size_of};
use crate::bench::measure::{self, Measured};
use anyhow::{Context, Result, ensure};
use base::Bytes;
use std::path::Path;
use std::process::{Command, Stdio};

/// rustic with one repository.
pub struct Rustic<'a> {
    place: Place<'a>,
}

impl<'a> Rustic<'a> {
    /// A new repository.
    pub fn begin(place: Place<'a>) -> Result<Self> {
        let rustic = Self { place };
        let made = rustic.command(&["init"]).stdout(Stdio::null()).status().context("running rustic")?;
        ensure!(made.success(), "rustic init failed");
        Ok(rustic)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(install::of_tools(self.place.tools, "rustic"));
        command.args(["--no-progress", "--log-level", "error", "--repository"]).arg(self.place.repository());
        command.arg("--password-file").arg(self.place.password());
        command.arg("--cache-dir").arg(self.place.cache()).args(arguments);
        // No configuration of whoever runs this counts.
        command.env("HOME", &self.place.own).env("XDG_CONFIG_HOME", &self.place.own);
        command
    }
}

impl Contender for Rustic<'_> {
    fn backup(&mut self) -> Result<Option<Measured>> {
        measure::run(self.command(&["backup"]).arg(self.place.folder), None).map(Some)
    }

    fn restore(&mut self, target: &Path) -> Result<Measured> {
        measure::run(self.command(&["restore", "latest"]).arg(target), None)
    }

    fn repository_bytes(&self) -> Result<Bytes> {
        Ok(size_of(&self.place.repository()))
    }
}
