//! `cargo xtask bench peers`: Holdfast and its peers over the same corpora, in one run, in turns. Each corpus is backed
//! up, again unchanged, again after its change, and restored, by everyone before the next thing is done.
//! Refuses a restore of another number of files or bytes than were backed up.

mod corpora;
mod picture;
mod report;

use super::contenders::{self, Contender, Peer, Place};
use super::{Work, settle};
use crate::demo::programs::Programs;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
pub use corpora::{Name, Subject, count, tiny};
use report::{Figures, Row};
use std::fs;
use std::path::{Path, PathBuf};

/// What `cargo xtask bench peers` takes.
#[derive(Args)]
pub struct Options {
    /// Measure copies of these folders, not the corpora that the bench makes itself
    #[arg(long, value_name = "DIR", conflicts_with = "corpora")]
    corpus: Vec<PathBuf>,
    /// The corpora to make and measure; all when absent
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    corpora: Vec<Name>,
    /// The peers beside Holdfast; all when absent
    #[arg(long, value_name = "PEER", value_delimiter = ',')]
    peers: Vec<Peer>,
    /// How often everything is done; medians are reported
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Where downloads, built peers, corpora and repositories are kept while it runs: up to 25 GB. Downloads and built
    /// peers stay for the next time; `target/bench` when absent
    #[arg(long, value_name = "DIR")]
    place: Option<PathBuf>,
    /// Take our programs from this folder as they are, instead of building them in release mode
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Write `peers.md`, `peers.svg` and `peers.json` here as well
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

impl Options {
    /// A folder of one's own beside some peers, everything else as it is without a word.
    pub fn of(corpus: PathBuf, peers: Vec<Peer>, rounds: usize) -> Self {
        let (corpora, place, programs, out, json) = (Vec::new(), None, None, None, false);
        Self { corpus: vec![corpus], corpora, peers, rounds, place, programs, out, json }
    }
}

/// Runs the bench.
///
/// # Errors
/// A program that cannot be had, cannot be run, fails, or restores another number of files or bytes.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let place = super::place(options.place.as_deref(), root);
    let (store, tools) = (place.join("downloads"), place.join("peers"));
    [&store, &tools].into_iter().try_for_each(fs::create_dir_all).context("making the bench's folders")?;
    let programs = Programs::endpoint_in(options.programs.as_deref(), root)?;
    let mut figures = Figures::default();
    let peers = or_all(&options.peers);
    for peer in &peers {
        let release = peer.install(&tools)?;
        eprintln!("{}: {release}", peer.name());
        figures.releases.push((peer.name().to_owned(), release));
    }
    let bench = Bench { peers, programs, store, tools };
    let subjects: Vec<Wanted<'_>> = match options.corpus.is_empty() {
        true => or_all(&options.corpora).into_iter().map(Wanted::Made).collect(),
        false => options.corpus.iter().map(|folder| Wanted::Own(folder)).collect(),
    };
    for round in 0..options.rounds {
        for (nth, wanted) in subjects.iter().enumerate() {
            if (round, nth) != (0, 0) {
                settle();
            }
            // Each round has a corpus of its own: what was changed in the last one is not taken back.
            let folder = tempfile::tempdir_in(&place).context("making a folder for the bench")?;
            bench.round(round, wanted, folder.path(), &mut figures)?;
        }
    }
    if let Some(out) = &options.out {
        fs::create_dir_all(out)?;
        fs::write(out.join("peers.md"), figures.markdown())?;
        fs::write(out.join("peers.svg"), picture::draw(&figures))?;
        fs::write(out.join("peers.json"), serde_json::to_string_pretty(&figures.json())?)?;
    }
    match options.json {
        true => println!("{}", serde_json::to_string_pretty(&figures.json())?),
        false => print!("{}", figures.markdown()),
    }
    Ok(())
}

/// What was named, or everything.
pub fn or_all<T: ValueEnum + Clone>(named: &[T]) -> Vec<T> {
    if named.is_empty() { T::value_variants().to_vec() } else { named.to_vec() }
}

/// A corpus that is asked for.
enum Wanted<'a> {
    Made(Name),
    Own(&'a Path),
}

struct Bench {
    peers: Vec<Peer>,
    programs: Programs,
    store: PathBuf,
    tools: PathBuf,
}

impl Bench {
    /// Everything once with one corpus.
    fn round(&self, round: usize, wanted: &Wanted<'_>, folder: &Path, figures: &mut Figures) -> Result<()> {
        let subject = match wanted {
            Wanted::Made(name) => Subject::make(*name, &self.store, folder)?,
            Wanted::Own(own) => Subject::own(own, folder)?,
        };
        eprintln!("{}: {} files, {}, round {round}", subject.name, subject.files, base::Bytes(subject.bytes));
        let mut contenders = self.contenders(&subject, folder)?;
        let len = contenders.len();
        contenders.rotate_left(round % len);
        for work in Work::ALL {
            // Nobody is always the first to read what has just been written.
            contenders.rotate_left(1 % len);
            if work == Work::Watched {
                contenders.iter_mut().try_for_each(|(_, contender)| contender.watch())?;
            }
            if work == Work::Few {
                subject.change_few()?;
            }
            if work == Work::Changed {
                if subject.change.is_none() {
                    continue;
                }
                subject.change(&self.store)?;
            }
            for (name, contender) in &mut contenders {
                let restored = folder.join(format!("restored by {name}"));
                let measured = match work {
                    Work::Restore => Some(contender.restore(&restored)?),
                    Work::Watched | Work::Few => contender.backup_watched()?,
                    Work::First | Work::Unchanged | Work::Changed => contender.backup()?,
                };
                let Some(measured) = measured else { continue };
                eprintln!("{:10} {:14} {name:14} {measured}", subject.name, work.said_of(subject.change));
                let repository = contender.repository_bytes()?;
                figures.add(&subject, work, Row { program: name.clone(), measured, repository });
                if work == Work::Restore {
                    check(name, &subject, &restored)?;
                }
            }
        }
        Ok(())
    }

    fn contenders<'a>(&'a self, subject: &'a Subject, folder: &Path) -> Result<Vec<(String, Box<dyn Contender + 'a>)>> {
        let place = |name: &str| {
            let own = folder.join(format!("of {name}"));
            Place { folder: &subject.folder, own, tools: &self.tools }
        };
        let ours = contenders::holdfast(&self.programs, place(report::OURS))?;
        let mut all = vec![(report::OURS.to_owned(), ours)];
        for peer in &self.peers {
            all.push((peer.name().to_owned(), peer.begin(place(peer.name()))?));
        }
        Ok(all)
    }
}

/// Whether as much came back as was backed up last: what restores less is not faster.
fn check(name: &str, subject: &Subject, restored: &Path) -> Result<()> {
    // What tar has written is of before the change.
    if name == Peer::Tar.name() {
        return Ok(());
    }
    let (wanted, found) = (corpora::count(&subject.folder)?, corpora::count(restored)?);
    ensure!(
        wanted == found,
        "{name} restored {} files of {} bytes, not {} of {}",
        found.0,
        found.1,
        wanted.0,
        wanted.1
    );
    Ok(())
}
