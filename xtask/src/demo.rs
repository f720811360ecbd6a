//! The main job, on real programs and a real folder: a device is activated, backed up, cut off, comes back as the
//! same device, goes on where it was, and everything can be restored. Ends with the ledger and its verdict.
//! Refuses to change the folder it is given: the story plays on a copy of it.

pub mod compare;
pub mod corpus;
mod ledger;
pub mod programs;
mod story;

use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};

/// What `cargo xtask demo` takes.
#[derive(Args)]
pub struct Options {
    /// The folder to play the story on; a real tree of this machine, up to 1 GiB, when none is given
    folder: Option<PathBuf>,
    /// Keep server, endpoint and copies in this new folder instead of a temporary one
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print the ledger as JSON, and nothing else, on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the demo.
///
/// # Errors
/// A step that did not go as the story says, or a verdict that does not hold.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    play(options, || programs::Programs::build(root))
}

fn play(options: &Options, programs: impl FnOnce() -> Result<programs::Programs>) -> Result<()> {
    let place = Place::new(options.keep.as_deref())?;
    let programs = programs()?;
    let corpus = corpus::Corpus::copy(options.folder.as_deref(), place.path())?;
    let ledger = story::play(&programs, &corpus, place.path())?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&ledger)?);
    } else {
        ledger.print();
    }
    place.finish();
    if !ledger.verdict.holds {
        bail!("the verdict does not hold: {}", ledger.verdict.sentence);
    }
    Ok(())
}

/// The demo on a small tree that is made here, as a test, with the programs as the tests have them: a release build of
/// everything once more would be most of its time.
///
/// # Errors
/// As `run`.
pub fn run_small(root: &Path) -> Result<()> {
    let place = tempfile::tempdir().context("making a temporary folder")?;
    let folder = place.path().join("small tree");
    corpus::make_small(&folder)?;
    let options = Options { folder: Some(folder), keep: None, json: false };
    play(&options, || programs::Programs::build_for_tests(root))
}

/// Where server, endpoint and copies live while the story plays.
enum Place {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Place {
    fn new(keep: Option<&Path>) -> Result<Self> {
        let Some(keep) = keep else {
            return Ok(Place::Temporary(tempfile::tempdir().context("making a temporary folder")?));
        };
        if keep.exists() && keep.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{} is not empty: --keep wants a new or empty folder", keep.display());
        }
        std::fs::create_dir_all(keep).with_context(|| format!("making {}", keep.display()))?;
        Ok(Place::Kept(keep.canonicalize()?))
    }

    fn path(&self) -> &Path {
        match self {
            Place::Kept(path) => path,
            Place::Temporary(folder) => folder.path(),
        }
    }

    fn finish(self) {
        if let Place::Kept(path) = self {
            eprintln!("Kept in {}: server/ and endpoint/ work with the programs in target/release.", path.display());
        }
    }
}
