//! tar and zstd -3: one file, without deduplication, encryption or a server. What the machine itself can do.

use super::{Contender, Place};
use crate::bench::measure::{self, Measured};
use anyhow::Result;
use base::Bytes;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file.
pub struct Tar<'a> {
    place: Place<'a>,
}

impl<'a> Tar<'a> {
    /// No file yet. Never fails.
    pub fn begin(place: Place<'a>) -> Self {
        Self { place }
    }

    fn file(&self) -> PathBuf {
        self.place.own.join("folder.tar.zst")
    }
}

impl Contender for Tar<'_> {
    fn backup(&mut self) -> Result<Option<Measured>> {
        if self.file().exists() {
            return Ok(None);
        }
        let mut command = Command::new("sh");
        command.args(["-c", "tar -cf - -C \"$1\" . | zstd -q -3 -o \"$2\"", "sh"]);
        measure::run(command.arg(self.place.folder).arg(self.file()), None).map(Some)
    }

    fn restore(&mut self, target: &Path) -> Result<Measured> {
        std::fs::create_dir_all(target)?;
        let mut command = Command::new("sh");
        command.args(["-c", "zstd -q -dc \"$1\" | tar -xf - -C \"$2\"", "sh"]);
        measure::run(command.arg(self.file()).arg(target), None)
    }

    fn repository_bytes(&self) -> Result<Bytes> {
        Ok(Bytes(std::fs::metadata(self.file())?.len()))
    }
}
