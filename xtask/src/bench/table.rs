//! Collects the figures of all rounds, and prints medians and ratios.

use super::Work;
use super::measure::Measured;
use crate::demo::corpus::Corpus;
use base::Bytes;
use serde::Serialize;
use std::collections::BTreeMap;

/// All figures of one bench.
pub struct Figures {
    bytes: u64,
    files: usize,
    rows: Vec<(&'static str, Work, Measured)>,
    repositories: BTreeMap<&'static str, Vec<Bytes>>,
}

/// The medians of one program at one piece of work.
#[derive(Serialize)]
pub struct Median {
    program: &'static str,
    work: &'static str,
    wall_s: f64,
    mb_per_s: f64,
    cpu_s: f64,
    peak_mb: f64,
    server_peak_mb: f64,
    repository_mb: f64,
}

impl Figures {
    /// No figures yet.
    pub fn new(corpus: &Corpus) -> Self {
        Self { bytes: corpus.bytes, files: corpus.files.len(), rows: Vec::new(), repositories: BTreeMap::new() }
    }

    /// Takes one figure.
    pub fn add(&mut self, program: &'static str, work: Work, measured: Measured) {
        self.rows.push((program, work, measured));
    }

    /// Takes the size of a repository at the end of a round.
    pub fn add_repository(&mut self, program: &'static str, bytes: Bytes) {
        self.repositories.entry(program).or_default().push(bytes);
    }

    /// The medians over the rounds.
    pub fn medians(&self) -> Vec<Median> {
        let programs = self.repositories.keys().rev();
        Work::ALL.iter().flat_map(|work| programs.clone().map(|program| self.median(program, *work))).collect()
    }

    fn median(&self, program: &'static str, work: Work) -> Median {
        let rows: Vec<&Measured> = self
            .rows
            .iter()
            .filter(|(its_program, its_work, _)| *its_program == program && *its_work == work)
            .map(|(_, _, measured)| measured)
            .collect();
        let of = |value: &dyn Fn(&Measured) -> f64| median(rows.iter().map(|row| value(row)).collect());
        let wall_s = of(&|row| row.wall_s);
        Median {
            program,
            work: work.name(),
            wall_s,
            mb_per_s: self.bytes as f64 / 1e6 / wall_s,
            cpu_s: of(&|row| row.cpu_s + row.server_cpu_s),
            peak_mb: of(&|row| row.peak.0 as f64 / 1e6),
            server_peak_mb: of(&|row| row.server_peak.0 as f64 / 1e6),
            repository_mb: median(self.repositories[program].iter().map(|bytes| bytes.0 as f64 / 1e6).collect()),
        }
    }

    /// Prints the medians, and how holdfast stands to restic.
    pub fn print(&self) {
        println!("{} files, {}", self.files, Bytes(self.bytes));
        println!(
            "{:12} {:9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "", "", "wall s", "MB/s", "CPU s", "peak MB", "server", "repo MB"
        );
        let medians = self.medians();
        for m in &medians {
            println!(
                "{:12} {:9} {:8.2} {:8.0} {:8.2} {:8.0} {:8.0} {:8.0}",
                m.work, m.program, m.wall_s, m.mb_per_s, m.cpu_s, m.peak_mb, m.server_peak_mb, m.repository_mb
            );
        }
        println!("\nholdfast / restic: below 1.00 is less than restic needs");
        for pair in medians.chunks(2) {
            let [restic, holdfast] = pair else { continue };
            println!(
                "{:12} wall {:5.2}   CPU {:5.2}   repository {:5.2}",
                restic.work,
                holdfast.wall_s / restic.wall_s,
                holdfast.cpu_s / restic.cpu_s,
                holdfast.repository_mb / restic.repository_mb
            );
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}
