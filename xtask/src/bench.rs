//! Benches: what the documents claim is measured here, side by side with a peer, in one run, interleaved.
//! Refuses a single number: medians, ratios, CPU seconds and peak memory together say what a time means.

mod activations;
mod connections;
mod contender;
mod measure;
mod table;

use crate::demo::corpus::Corpus;
use crate::demo::programs::Programs;
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use contender::{Contender, Holdfast, Restic};
use measure::Measured;
use std::path::{Path, PathBuf};

/// Which bench.
#[derive(Subcommand)]
pub enum Bench {
    /// First backup, unchanged, changed and restore, beside restic on a local repository
    FirstLight(FirstLight),
    /// Activations in a second, with the devices on the same machine, each with its own connection and shared ones
    Activations(activations::Options),
    /// The server's memory while ten thousand devices are connected
    Connections(connections::Options),
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
    /// Where copies and repositories are made; the system's temporary folder when absent
    #[arg(long, value_name = "DIR")]
    place: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// The four things that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Into an empty repository.
    First,
    /// Again, with nothing changed.
    Unchanged,
    /// Again, with one file in a hundred changed.
    Changed,
    /// All of it, into an empty folder.
    Restore,
}

impl Work {
    const ALL: [Work; 4] = [Work::First, Work::Unchanged, Work::Changed, Work::Restore];

    fn name(self) -> &'static str {
        match self {
            Work::First => "first",
            Work::Unchanged => "unchanged",
            Work::Changed => "changed 1 %",
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
        Bench::FirstLight(options) => first_light(root, options),
        Bench::Activations(options) => activations::run(root, options),
        Bench::Connections(options) => connections::run(root, options),
    }
}

fn first_light(root: &Path, options: &FirstLight) -> Result<()> {
    contender::need_restic()?;
    let place = match &options.place {
        Some(place) => tempfile::tempdir_in(place),
        None => tempfile::tempdir(),
    };
    let place = place.context("making a folder for the bench")?;
    let programs = Programs::build(root)?;
    let corpus = Corpus::copy(Some(&options.corpus), place.path())?;
    eprintln!("{} files, {} bytes, {} rounds", corpus.files.len(), corpus.bytes, options.rounds);
    let mut figures = table::Figures::new(&corpus);
    for round in 0..options.rounds {
        let folder = place.path().join(format!("round {round}"));
        std::fs::create_dir_all(&folder)?;
        let mut contenders: Vec<Box<dyn Contender + '_>> = vec![
            Box::new(Restic::begin(&corpus.copy, &folder.join("restic"))?),
            Box::new(Holdfast::begin(&programs, &corpus.copy, &folder.join("holdfast"))?),
        ];
        if round % 2 == 1 {
            contenders.reverse();
        }
        for work in Work::ALL {
            if work == Work::Changed {
                corpus.change_one_percent()?;
            }
            for contender in &mut contenders {
                let measured = one(&mut **contender, work, &folder)?;
                eprintln!("round {round}: {:9} {:12} {measured}", contender.name(), work.name());
                figures.add(contender.name(), work, measured);
            }
        }
        for contender in &contenders {
            figures.add_repository(contender.name(), contender.repository_bytes()?);
        }
        drop(contenders);
        std::fs::remove_dir_all(&folder).context("taking the round's folder away")?;
        settle();
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&figures.medians())?);
    } else {
        figures.print();
    }
    Ok(())
}

/// ext4 looks twice at every inode that was deleted within five seconds before it gives it out again: whoever makes
/// many files right after many were deleted pays for it, up to threefold. Nobody shall.
fn settle() {
    std::thread::sleep(std::time::Duration::from_secs(7));
}

fn one(contender: &mut dyn Contender, work: Work, folder: &Path) -> Result<Measured> {
    match work {
        Work::First | Work::Unchanged | Work::Changed => contender.backup(),
        // Nothing is taken away before the round is over: see `settle`.
        Work::Restore => contender.restore(&folder.join(format!("restored by {}", contender.name()))),
    }
}
