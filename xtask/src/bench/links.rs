//! `cargo xtask bench links`: first backup, unchanged backup and restore over lines with a delay and a rate, each
//! beside what the same line carries when bytes are only pumped, and the same work over a line without delay.
//! Refuses to call a line slow that the programs do not fill.

#[allow(dead_code, reason = "the tests of the real programs change the rate, and lose connections")]
mod line;
mod pump;
mod report;

use super::contenders::{self, Place};
use crate::demo::corpus::noise;
use crate::demo::programs::Programs;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use line::Line;
use report::{Figures, Row};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// What `cargo xtask bench links` takes.
#[derive(Args)]
pub struct Options {
    /// The lines: a round trip in ms, a rate in Mbit/s, or both as in `50ms@100mbit`. The first one should be without
    /// delay and without a rate: the others are compared with it
    #[arg(
        long,
        value_name = "LINE",
        value_delimiter = ',',
        default_value = "0ms,5ms,50ms,200ms,50ms@100mbit,200ms@100mbit,10mbit"
    )]
    lines: Vec<Kind>,
    /// Take our programs from this folder as they are, instead of building them in release mode
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
    /// Where corpora and repositories are kept while it runs: up to 2 GB; `target/bench` when absent
    #[arg(long, value_name = "DIR")]
    place: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// A kind of line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// There and back.
    round_trip_ms: u64,
    /// 0 is no limit.
    mbit: u64,
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut kind = Kind::default();
        for part in text.split('@') {
            match (part.strip_suffix("ms"), part.strip_suffix("mbit")) {
                (Some(ms), _) => kind.round_trip_ms = ms.parse().context("a round trip in ms")?,
                (_, Some(mbit)) => kind.mbit = mbit.parse().context("a rate in Mbit/s")?,
                _ => bail!("{text} is no line: write 50ms, 10mbit or 50ms@10mbit"),
            }
        }
        Ok(kind)
    }
}

impl Kind {
    fn round_trip(self) -> Duration {
        Duration::from_millis(self.round_trip_ms)
    }

    /// In bytes a second, 0 for none.
    fn rate(self) -> u64 {
        self.mbit * 1_000_000 / 8
    }

    /// The bytes of large files in the corpus: so many that a cell takes less than a minute.
    fn large_bytes(self) -> u64 {
        match self.mbit {
            0 => 512 << 20,
            mbit => (mbit * 3_200_000).clamp(32 << 20, 320 << 20),
        }
    }

    fn pump(self, connections: usize) -> Result<f64> {
        let bytes = if self.mbit == 0 { 1 << 30 } else { self.rate() * 8 };
        pump::rate(self.round_trip(), self.rate(), connections, bytes)
    }
}

/// Runs the bench.
///
/// # Errors
/// A program that cannot be run, or fails.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let programs = Programs::endpoint_in(options.programs.as_deref(), root)?;
    let place = super::place(options.place.as_deref(), root);
    fs::create_dir_all(&place).context("making the bench's folder")?;
    let mut figures = Figures::default();
    for kind in &options.lines {
        let folder = tempfile::tempdir_in(&place).context("making a folder for the bench")?;
        figures.pumped.push((*kind, [kind.pump(1)?, kind.pump(4)?]));
        cell(&programs, *kind, folder.path(), &mut figures)?;
    }
    match options.json {
        true => println!("{}", serde_json::to_string_pretty(&figures.json())?),
        false => print!("{}", figures.markdown()),
    }
    Ok(())
}

/// Everything once over one line.
fn cell(programs: &Programs, kind: Kind, folder: &Path, figures: &mut Figures) -> Result<()> {
    let corpus = folder.join("corpus");
    let bytes = corpus_of(&corpus, kind.large_bytes())?;
    let mut line = None;
    let place = Place { folder: &corpus, own: folder.join("own"), tools: folder };
    let mut ours = contenders::holdfast_behind(programs, place, &mut |port| {
        let new = Line::before(port, kind.round_trip(), kind.rate())?;
        Ok(line.insert(new).port)
    })?;
    let line = line.context("the endpoint has asked for its line")?;
    let restored = folder.join("restored");
    let works = ["first", "unchanged", "a file more", "restore"];
    for work in works {
        let before = line.passed();
        let measured = match work {
            "restore" => ours.restore(&restored)?,
            _ => {
                if work == "a file more" {
                    fs::write(corpus.join("one more"), noise(0, 5_000_000))?;
                }
                ours.backup()?.context("ours can always go on")?
            }
        };
        let after = line.passed();
        let row = Row { kind, work, measured, up: after.0 - before.0, down: after.1 - before.1 };
        eprintln!("{}", row.line());
        figures.rows.push(row);
    }
    let (_, found) = super::peers::count(&restored)?;
    ensure!(found == bytes + 5_000_000, "{found} bytes were restored");
    Ok(())
}

/// Small files in folders of folders, and large ones; all of them noise. The bytes in them.
fn corpus_of(folder: &Path, large_bytes: u64) -> Result<u64> {
    const SMALL: usize = 8 << 10;
    const LARGE: usize = 4 << 20;
    for number in 0..1_000_u64 {
        let above = folder.join((number % 20).to_string()).join((number / 20 % 5).to_string());
        fs::create_dir_all(&above)?;
        fs::write(above.join(number.to_string()), noise(number, SMALL))?;
    }
    let large = large_bytes / LARGE as u64;
    for number in 0..large {
        fs::write(folder.join(format!("large {number}")), noise(10_000 + number, LARGE))?;
    }
    Ok(1_000 * SMALL as u64 + large * LARGE as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_named_by_round_trip_and_rate() {
        let kind = |text: &str| text.parse::<Kind>().ok().map(|kind| (kind.round_trip_ms, kind.mbit));
        assert_eq!(kind("50ms"), Some((50, 0)));
        assert_eq!(kind("10mbit"), Some((0, 10)));
        assert_eq!(kind("200ms@100mbit"), Some((200, 100)));
        for wrong in ["", "50", "ms", "50ms@", "10 mbit", "fast"] {
            assert_eq!(kind(wrong), None, "{wrong}");
        }
    }
}
