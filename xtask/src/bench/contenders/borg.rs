//! borg 1 with a local repository.

use super::{Contender, PASSWORD, Place, size_of};
use crate::bench::measure::{self, Measured};
use anyhow::{Context, Result, ensure};
use base::Bytes;
use std::path::Path;
use std::process::{Command, Stdio};

/// borg with one repository.
pub struct Borg<'a> {
    place: Place<'a>,
    /// How many snapshots there are: each has its number for a name.
    snapshots: u32,
}

impl<'a> Borg<'a> {
    /// A new repository.
    pub fn begin(place: Place<'a>) -> Result<Self> {
        let borg = Self { place, snapshots: 0 };
        let mut command = borg.command(&["init", "--encryption", "repokey-blake2"]);
        let made = command.arg(borg.place.repository()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ensure!(made.context("running borg")?.success(), "borg init failed");
        Ok(borg)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("borg");
        command.args(arguments).env("BORG_BASE_DIR", self.place.cache());
        command.env("BORG_PASSPHRASE", PASSWORD.trim()).env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes");
        command
    }

    fn snapshot(&self) -> String {
        format!("{}::{}", self.place.repository().display(), self.snapshots)
    }
}

impl Contender for Borg<'_> {
    fn backup(&mut self) -> Result<Option<Measured>> {
        self.snapshots += 1;
        measure::run(self.command(&["create"]).arg(self.snapshot()).arg(self.place.folder), None).map(Some)
    }

    fn restore(&mut self, target: &Path) -> Result<Measured> {
        std::fs::create_dir_all(target)?;
        measure::run(self.command(&["extract"]).arg(self.snapshot()).current_dir(target), None)
    }

    fn repository_bytes(&self) -> Result<Bytes> {
        Ok(size_of(&self.place.repository()))
    }
}
