//! bupstash with a local repository, which it always reaches through `bupstash serve`.

use super::{Contender, Place, install, size_of};
use crate::bench::measure::{self, Measured};
use anyhow::{Context, Result, ensure};
use base::Bytes;
use std::path::Path;
use std::process::{Command, Stdio};

/// bupstash with one repository.
pub struct Bupstash<'a> {
    place: Place<'a>,
    /// How many snapshots there are: each has its number for a name.
    snapshots: u32,
}

impl<'a> Bupstash<'a> {
    /// A new repository.
    pub fn begin(place: Place<'a>) -> Result<Self> {
        let bupstash = Self { place, snapshots: 0 };
        for arguments in [&["new-key", "--output"][..], &["init"]] {
            let mut command = bupstash.command(arguments);
            if arguments.len() > 1 {
                command.arg(bupstash.place.own.join("key"));
            }
            let made = command.stdout(Stdio::null()).status().context("running bupstash")?;
            ensure!(made.success(), "bupstash {} failed", arguments[0]);
        }
        Ok(bupstash)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let own = &self.place.own;
        let mut command = Command::new(install::of_tools(self.place.tools, "bupstash"));
        command.args(arguments).env("HOME", own).env("XDG_CACHE_HOME", self.place.cache());
        command.env("BUPSTASH_REPOSITORY", self.place.repository()).env("BUPSTASH_KEY", own.join("key"));
        command
    }
}

impl Contender for Bupstash<'_> {
    fn backup(&mut self) -> Result<Option<Measured>> {
        self.snapshots += 1;
        let name = format!("number={}", self.snapshots);
        measure::run(self.command(&["put", "--quiet", &name]).arg(self.place.folder), None).map(Some)
    }

    fn restore(&mut self, target: &Path) -> Result<Measured> {
        std::fs::create_dir_all(target)?;
        let name = format!("number={}", self.snapshots);
        measure::run(self.command(&["restore", "--quiet", "--into"]).arg(target).arg(name), None)
    }

    fn repository_bytes(&self) -> Result<Bytes> {
        Ok(size_of(&self.place.repository()))
    }
}
