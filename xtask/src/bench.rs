//! Benches: what the documents claim is measured here, side by side with a peer, in one run, interleaved.
//! Refuses a single number: medians, ratios, CPU seconds and peak memory together say what a time means.

mod activations;
mod collect;
mod commits;
mod connections;
mod contenders;
mod links;
mod measure;
mod peers;
mod storage;
mod together;

use anyhow::Result;
use clap::{Args, Subcommand};
use contenders::Peer;
use std::path::{Path, PathBuf};

/// Which bench.
#[derive(Subcommand)]
pub enum Bench {
    /// First backup, unchanged, changed and restore of corpora that anybody can make, beside the peers
    Peers(peers::Options),
    /// The same of a folder of one's own, beside restic alone
    FirstLight(FirstLight),
    /// Activations in a second, with the devices on the same machine, each with its own connection and shared ones
    Activations(activations::Options),
    /// A large repository: how fast it is collected, and how fast the index answers
    Collect(collect::Options),
    /// What the server needs for a backup in which nothing has changed, with few files and with many
    Commits(commits::Options),
    /// The server's memory while ten thousand devices are connected
    Connections(connections::Options),
    /// Backup and restore over lines with a delay and a rate, beside what the lines themselves carry
    Links(links::Options),
    /// A large repository of many devices: how long a storage report takes, and how much memory
    Storage(storage::Options),
    /// Several endpoints at once, each with its own corpus, and what the server then needs
    Together(together::Options),
}

/// What `cargo xtask bench first-light` takes.
#[derive(Args)]
pub struct FirstLight {
    /// The folder to back up; it is copied, never changed
    #[arg(long, value_name = "DIR")]
    corpus: PathBuf,
    /// How often everything is done; medians are reported
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// The things that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Into an empty repository.
    First,
    /// Again, with nothing changed.
    Unchanged,
    /// Again, with nothing changed, and somebody who has watched that nothing did.
    Watched,
    /// The same, after ten files were changed.
    Few,
    /// Again, after a change.
    Changed,
    /// All of it, into an empty folder.
    Restore,
}

impl Work {
    const ALL: [Work; 6] = [Work::First, Work::Unchanged, Work::Watched, Work::Few, Work::Changed, Work::Restore];

    /// What it is called where a corpus changes in this way. Never fails.
    fn said_of(self, change: Option<&'static str>) -> &'static str {
        match self {
            Work::First => "first",
            Work::Unchanged => "unchanged",
            Work::Watched => "unchanged, watched",
            Work::Few => "10 files, watched",
            Work::Changed => change.unwrap_or("changed"),
            Work::Restore => "restore",
        }
    }
}

/// Runs a bench.
///
/// # Errors
/// A program that cannot be run, or fails.
pub fn run(root: &Path, bench: &Bench) -> Result<()> {
    match bench {
        Bench::FirstLight(FirstLight { corpus, rounds }) => {
            peers::run(root, &peers::Options::of(corpus.clone(), vec![Peer::Restic], *rounds))
        }
        Bench::Peers(options) => peers::run(root, options),
        Bench::Activations(options) => activations::run(root, options),
        Bench::Collect(options) => collect::run(root, options),
        Bench::Commits(options) => commits::run(root, options),
        Bench::Connections(options) => connections::run(root, options),
        Bench::Links(options) => links::run(root, options),
        Bench::Storage(options) => storage::run(root, options),
        Bench::Together(options) => together::run(root, options),
    }
}

/// Where a bench keeps what it makes: the folder that it is told, or `target/bench`.
fn place(told: Option<&Path>, root: &Path) -> PathBuf {
    told.map_or_else(|| root.join("target").join("bench"), Path::to_owned)
}

/// ext4 without a journal passes over every inode that was deleted within the last minute, or the last six where the
/// block that says so is not on the disk, and looks for another one (recently_deleted, fs/ext4/ialloc.c): whoever makes
/// many files after many were deleted pays for it, manifold. Nobody shall: nothing is taken away within a round, and
/// then the disk gets its time.
fn settle() {
    rustix::fs::sync();
    std::thread::sleep(std::time::Duration::from_secs(365));
}
