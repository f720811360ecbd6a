//! The programs that are measured, each used as its own documentation says, with its default settings, encryption on.
//! Refuses to leave a program's data where another one's is.

mod borg;
mod bupstash;
mod holdfast;
mod install;
mod restic;
mod rustic;
mod tar;

use super::measure::Measured;
use crate::demo::programs::Programs;
use anyhow::Result;
use base::Bytes;
use clap::ValueEnum;
use std::fs;
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// The peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Peer {
    /// restic with a local repository
    Restic,
    /// restic over its REST protocol, served by `rustic_server`
    ResticRest,
    /// rustic with a local repository
    Rustic,
    /// bupstash with a local repository, through `bupstash serve` as always
    Bupstash,
    /// borg 1 with a local repository
    Borg,
    /// tar and zstd -3, without deduplication and encryption: what the machine can do
    Tar,
}

/// One program with one repository.
pub trait Contender {
    /// Backs the folder up; `None` where the program has no such thing as another time.
    fn backup(&mut self) -> Result<Option<Measured>>;

    /// The same, with whatever the program has to be told what changes; that runs already, and has been asked once.
    fn backup_watched(&mut self) -> Result<Option<Measured>> {
        self.backup()
    }

    /// Begins to watch, where the program can, with the backup that it takes until watching is of use.
    fn watch(&mut self) -> Result<()> {
        Ok(())
    }

    /// Restores the newest snapshot into `target`.
    fn restore(&mut self, target: &Path) -> Result<Measured>;

    /// What its repository takes on the disk, indexes and database included.
    fn repository_bytes(&self) -> Result<Bytes>;
}

/// What every contender gets: what it backs up, a folder that is its own, and where built programs are kept.
pub struct Place<'a> {
    /// What is backed up.
    pub folder: &'a Path,
    /// Where its repository, keys and caches go.
    pub own: PathBuf,
    /// Where the bench builds and keeps peers.
    pub tools: &'a Path,
}

impl Peer {
    /// What it is called. Never fails.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Restic => "restic",
            Peer::ResticRest => "restic, REST",
            Peer::Rustic => "rustic",
            Peer::Bupstash => "bupstash",
            Peer::Borg => "borg 1",
            Peer::Tar => "tar, zstd -3",
        }
    }

    /// Sees to it that its programs are there, and says which release they are.
    pub fn install(self, tools: &Path) -> Result<String> {
        match self {
            Peer::Restic => install::of_debian("restic", &["version"]),
            Peer::ResticRest => {
                let server = install::of_crates("rustic_server", "rustic-server", tools)?;
                Ok(format!("{}; {server}", install::of_debian("restic", &["version"])?))
            }
            Peer::Rustic => install::of_crates("rustic-rs", "rustic", tools),
            Peer::Bupstash => {
                install::packages(&["libsodium-dev", "pkg-config"])?;
                install::of_crates("bupstash", "bupstash", tools)
            }
            Peer::Borg => install::of_debian_as("borgbackup", "borg", &["--version"]),
            Peer::Tar => install::of_debian("zstd", &["--version"]),
        }
    }

    /// A new repository.
    pub fn begin<'a>(self, place: Place<'a>) -> Result<Box<dyn Contender + 'a>> {
        fs::create_dir_all(&place.own)?;
        fs::write(place.password(), PASSWORD)?;
        Ok(match self {
            Peer::Restic => Box::new(restic::Restic::begin(place, None)?),
            Peer::ResticRest => {
                let rest = restic::Rest::start(&place)?;
                Box::new(restic::Restic::begin(place, Some(rest))?)
            }
            Peer::Rustic => Box::new(rustic::Rustic::begin(place)?),
            Peer::Bupstash => Box::new(bupstash::Bupstash::begin(place)?),
            Peer::Borg => Box::new(borg::Borg::begin(place)?),
            Peer::Tar => Box::new(tar::Tar::begin(place)),
        })
    }
}

/// Holdfast, with a new server and a newly activated endpoint.
pub fn holdfast<'a>(programs: &'a Programs, place: Place<'a>) -> Result<Box<dyn Contender + 'a>> {
    holdfast_behind(programs, place, &mut Ok)
}

/// The same with an endpoint that finds the server at the port that `door` gives for the server's own.
pub fn holdfast_behind<'a>(
    programs: &'a Programs,
    place: Place<'a>,
    door: &mut dyn FnMut(u16) -> Result<u16>,
) -> Result<Box<dyn Contender + 'a>> {
    fs::create_dir_all(&place.own)?;
    fs::write(place.password(), PASSWORD)?;
    Ok(Box::new(holdfast::Holdfast::begin(programs, place, door)?))
}

const PASSWORD: &str = "correct horse battery staple\n";

impl Place<'_> {
    fn password(&self) -> PathBuf {
        self.own.join("password")
    }

    fn repository(&self) -> PathBuf {
        self.own.join("repository")
    }

    fn cache(&self) -> PathBuf {
        self.own.join("cache")
    }
}

fn size_of(folder: &Path) -> Bytes {
    let files = WalkDir::new(folder).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| entry.metadata().ok()).map(|metadata| Bytes(metadata.len())).sum()
}
