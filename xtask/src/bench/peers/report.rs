//! The figures of all rounds: medians, and how Holdfast stands to the best peer, cell by cell; as Markdown and JSON.

use super::corpora::Subject;
use crate::bench::Work;
use crate::bench::measure::{Measured, median};
use base::Bytes;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What Holdfast is called in the figures.
pub const OURS: &str = "holdfast";
/// What only says what the machine can do, and is nobody's peer: it neither deduplicates nor encrypts.
const BASELINE: &str = "tar, zstd -3";

/// One figure.
pub struct Row {
    /// Whose.
    pub program: String,
    /// What it took.
    pub measured: Measured,
    /// The repository afterwards.
    pub repository: Bytes,
}

/// The same work on the same corpus, by everyone, in every round.
struct Cell {
    corpus: String,
    files: u64,
    bytes: u64,
    work: &'static str,
    rows: Vec<Row>,
}

/// Medians of one program in one cell.
pub struct Median {
    /// Whose.
    pub program: String,
    /// Seconds from start to end.
    pub wall_s: f64,
    cpu_s: f64,
    peak: Bytes,
    server_peak: Bytes,
    loopback: Bytes,
    repository: Bytes,
}

/// All figures of one run.
#[derive(Default)]
pub struct Figures {
    /// Each peer with what it says of its release.
    pub releases: Vec<(String, String)>,
    cells: Vec<Cell>,
}

impl Figures {
    /// Takes one figure.
    pub fn add(&mut self, subject: &Subject, work: Work, row: Row) {
        let (corpus, work) = (&subject.name, work.said_of(subject.change));
        match self.cells.iter_mut().find(|cell| cell.corpus == *corpus && cell.work == work) {
            Some(cell) => cell.rows.push(row),
            None => {
                let Subject { files, bytes, .. } = *subject;
                self.cells.push(Cell { corpus: corpus.clone(), files, bytes, work, rows: vec![row] });
            }
        }
    }

    /// Each corpus and work with the medians, in the order in which they were measured. Never fails.
    pub fn medians(&self) -> Vec<(&str, &'static str, Vec<Median>)> {
        self.cells.iter().map(|cell| (cell.corpus.as_str(), cell.work, cell.medians())).collect()
    }

    /// A table for each corpus.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let mut corpus = "";
        for cell in &self.cells {
            if cell.corpus != corpus {
                corpus = &cell.corpus;
                let (files, bytes) = (base::Count(cell.files).counted("file"), Bytes(cell.bytes));
                let _ = write!(text, "\n**{corpus}**: {files}, {bytes}\n\n");
                text.push_str(
                    "| work | program | wall s | CPU s | peak MB | server MB | loopback MB | repository MB |",
                );
                text.push_str(" holdfast / it: wall, CPU |\n|---|---|---|---|---|---|---|---|---|\n");
            }
            cell.write(&mut text);
        }
        text.push_str(
            "\nTheirs local, except where their name says otherwise; Holdfast over TLS, its server verifying ",
        );
        text.push_str("everything. CPU: all processes together. Bold: the best peer.\n\n");
        for (name, release) in &self.releases {
            let _ = writeln!(text, "- {name}: {release}");
        }
        text
    }

    /// The same as JSON: a list of cells.
    pub fn json(&self) -> Value {
        let of_cell = |cell: &Cell| {
            let programs: Vec<Value> = cell.medians().iter().map(Median::json).collect();
            let Cell { corpus, files, bytes, work, .. } = cell;
            json!({ "corpus": corpus, "files": files, "bytes": bytes, "work": work, "programs": programs })
        };
        json!({
            "releases": self.releases.iter().map(|(name, release)| json!([name, release])).collect::<Vec<_>>(),
            "cells": self.cells.iter().map(of_cell).collect::<Vec<_>>(),
        })
    }
}

impl Cell {
    fn medians(&self) -> Vec<Median> {
        let mut names: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !names.contains(&row.program.as_str()) {
                names.push(&row.program);
            }
        }
        // In every cell in the same order, whoever had the first turn.
        names.sort_by_key(|name| (*name != OURS, *name == BASELINE, *name));
        names.into_iter().map(|name| self.median(name)).collect()
    }

    fn median(&self, program: &str) -> Median {
        let rows: Vec<&Row> = self.rows.iter().filter(|row| row.program == program).collect();
        let of = |value: &dyn Fn(&Row) -> f64| median(rows.iter().map(|row| value(row)).collect());
        let bytes = |value: &dyn Fn(&Row) -> Bytes| Bytes(of(&|row| value(row).0 as f64) as u64);
        Median {
            program: program.to_owned(),
            wall_s: of(&|row| row.measured.wall_s),
            cpu_s: of(&|row| row.measured.cpu_s + row.measured.server_cpu_s),
            peak: bytes(&|row| row.measured.peak),
            server_peak: bytes(&|row| row.measured.server_peak),
            loopback: bytes(&|row| row.measured.loopback),
            repository: bytes(&|row| row.repository),
        }
    }

    fn write(&self, text: &mut String) {
        let medians = self.medians();
        let peers = medians.iter().filter(|one| one.program != OURS && one.program != BASELINE);
        let best = peers.map(|peer| peer.wall_s).min_by(f64::total_cmp);
        let ours = medians.iter().find(|one| one.program == OURS);
        for (nth, one) in medians.iter().enumerate() {
            let work = if nth == 0 { self.work } else { "" };
            let mark = if one.program != OURS && Some(one.wall_s) == best { "**" } else { "" };
            let ratio = match ours {
                Some(ours) if one.program != OURS => {
                    format!("{}, {}", ratio(ours.wall_s, one.wall_s), ratio(ours.cpu_s, one.cpu_s))
                }
                _ => String::new(),
            };
            let mb =
                |bytes: Bytes| if bytes.0 == 0 { "–".to_owned() } else { format!("{:.0}", bytes.0 as f64 / 1e6) };
            let Median { program, wall_s, cpu_s, peak, server_peak, loopback, repository } = one;
            let (peak, server_peak) = (mb(*peak), mb(*server_peak));
            let (loopback, repository) = (mb(*loopback), mb(*repository));
            let _ = writeln!(
                text,
                "| {work} | {mark}{program}{mark} | {wall_s:.2} | {cpu_s:.2} | {peak} | {server_peak} | {loopback} | \
                 {repository} | {ratio} |",
            );
        }
    }
}

impl Median {
    fn json(&self) -> Value {
        json!({
            "program": self.program,
            "wall_s": self.wall_s,
            "cpu_s": self.cpu_s,
            "peak_bytes": self.peak.0,
            "server_peak_bytes": self.server_peak.0,
            "loopback_bytes": self.loopback.0,
            "repository_bytes": self.repository.0,
        })
    }
}

/// One time by another; a dash where the other is too short to be measured.
fn ratio(ours: f64, theirs: f64) -> String {
    if theirs < 0.01 { "–".to_owned() } else { format!("{:.2}", ours / theirs) }
}
