//! The commit of a snapshot in which nothing has changed: real endpoints with few files and with many, in turns, each
//! with a server of its own that says how long each of its answers took. Refuses a time that the endpoint has seen:
//! that one grows with the files, as it looks at each.

use super::contenders::{self, Contender, Place};
use super::measure::median;
use super::peers::tiny;
use crate::demo::programs::Programs;
use crate::fleet::api::Api;
use anyhow::{Context, Result};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};

/// The goal for a commit, in milliseconds.
const GOAL_MS: f64 = 50.0;
/// The route of a commit, as the server's metrics name it.
const COMMIT: &str = "route=\"/v1/runs/{run}/commit\"";

/// What `cargo xtask bench commits` takes.
#[derive(Args)]
pub struct Options {
    /// Files of each endpoint
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 1_000_000])]
    files: Vec<u64>,
    /// Backups of each in which nothing has changed; medians are reported
    #[arg(long, default_value_t = 15)]
    rounds: u32,
    /// Where files and repositories are kept while it runs, 5 KB for each file; `target/bench` when absent
    #[arg(long, value_name = "DIR")]
    place: Option<PathBuf>,
    /// Take our programs from this folder as they are, instead of building them in release mode
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

/// Runs the bench.
///
/// # Errors
/// A program that cannot be run, or fails.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let programs = Programs::endpoint_in(options.programs.as_deref(), root)?;
    let place = super::place(options.place.as_deref(), root);
    fs::create_dir_all(&place).context("making the bench's folder")?;
    let folder = tempfile::tempdir_in(&place).context("making a folder for the bench")?;
    let corpora: Vec<PathBuf> =
        options.files.iter().map(|files| folder.path().join(format!("{files} files"))).collect();
    let mut endpoints = Vec::new();
    for (files, corpus) in options.files.iter().zip(&corpora) {
        tiny(corpus, *files)?;
        endpoints.push(Endpoint::begin(&programs, corpus, folder.path(), *files)?);
    }
    for _ in 0..options.rounds {
        endpoints.iter_mut().try_for_each(Endpoint::round)?;
    }
    println!("| files | commit, median ms | at most | every answer of a backup, median ms | server CPU s |");
    println!("|---:|---:|---:|---:|---:|");
    endpoints.iter().for_each(|endpoint| println!("{}", endpoint.row()));
    println!("The goal for a commit is {GOAL_MS} ms, whatever the number of files.");
    Ok(())
}

/// An endpoint, and what its server says.
struct Endpoint<'a> {
    files: u64,
    ours: Box<dyn Contender + 'a>,
    api: Api,
    /// Milliseconds that each commit took.
    commits: Vec<f64>,
    /// Milliseconds that all answers of each backup took.
    answers: Vec<f64>,
    cpu: Vec<f64>,
}

impl<'a> Endpoint<'a> {
    /// Has its first backup behind it, and one more.
    fn begin(programs: &'a Programs, corpus: &'a Path, folder: &'a Path, files: u64) -> Result<Self> {
        let own = folder.join(format!("own {files}"));
        let place = Place { folder: corpus, own: own.clone(), tools: folder };
        let mut at = 0;
        let mut ours = contenders::holdfast_behind(programs, place, &mut |port| {
            at = port;
            Ok(port)
        })?;
        for _ in 0..2 {
            ours.backup()?.context("ours can always go on")?;
        }
        let api = Api::new(at, &own.join("repository/ca.pem"), String::new())?;
        Ok(Self { files, ours, api, commits: Vec::new(), answers: Vec::new(), cpu: Vec::new() })
    }

    fn round(&mut self) -> Result<()> {
        let before = self.api.metrics()?;
        let measured = self.ours.backup()?.context("ours can always go on")?;
        let after = self.api.metrics()?;
        let ms = |part: &str| (seconds(&after, part) - seconds(&before, part)) * 1_000.0;
        self.commits.push(ms(COMMIT));
        self.answers.push(ms("route=\"/v1/"));
        self.cpu.push(measured.server_cpu_s);
        Ok(())
    }

    fn row(&self) -> String {
        let most = self.commits.iter().copied().fold(0.0, f64::max);
        format!(
            "| {} | {:.1} | {most:.1} | {:.1} | {:.2} |",
            self.files,
            median(self.commits.clone()),
            median(self.answers.clone()),
            median(self.cpu.clone())
        )
    }
}

/// How many seconds all answers took so far whose labels hold this. Never fails.
fn seconds(metrics: &str, part: &str) -> f64 {
    let sums = metrics.lines().filter(|line| line.starts_with("holdfast_request_seconds_sum") && line.contains(part));
    sums.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seconds_of_a_route_are_summed_over_its_methods() {
        let metrics = "# HELP holdfast_request_seconds Time\n\
                       holdfast_request_seconds_sum{method=\"POST\",route=\"/v1/runs/{run}/commit\"} 0.25\n\
                       holdfast_request_seconds_count{method=\"POST\",route=\"/v1/runs/{run}/commit\"} 7\n\
                       holdfast_request_seconds_sum{method=\"POST\",route=\"/v1/runs\"} 0.5\n";
        assert_eq!((seconds(metrics, COMMIT), seconds(metrics, "route=\"/v1/")), (0.25, 0.75));
    }
}
