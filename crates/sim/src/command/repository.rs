//! `repository make|collect|dedupe|report`: what a large repository costs, in a process of its own for each.

use super::CommandError;
use crate::process;
use crate::repository::{self, Plan};
use base::{Bytes, Clock};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// What can be done with a large repository.
#[derive(Debug, Subcommand)]
pub enum Repository {
    /// Fill a data directory that `init` has made.
    Make(Make),
    /// Have one collection run in this process, up to its grace.
    Collect(Place),
    /// Ask which of some names are missing, over and over.
    Dedupe(Dedupe),
    /// Make a storage report.
    Report(Place),
}

/// Where it is.
#[derive(Debug, Args)]
pub struct Place {
    /// The data directory. No server may run on it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// What `make` takes.
#[derive(Debug, Args)]
pub struct Make {
    #[command(flatten)]
    place: Place,
    /// Chunks of content, about.
    #[arg(long, default_value_t = 100_000)]
    chunks: u64,
    /// Directories of a snapshot.
    #[arg(long, default_value_t = 2_000)]
    directories: u64,
    /// Files of a directory, of one chunk each.
    #[arg(long, default_value_t = 50)]
    files: u64,
    /// One of so many snapshots is gone again.
    #[arg(long, default_value_t = 5)]
    gone_every: u64,
    /// Devices, to which the snapshots go in turn.
    #[arg(long, default_value_t = 1)]
    devices: u64,
    /// One of so many directories has the same content in every snapshot, under other names; 0: none.
    #[arg(long, default_value_t = 0)]
    shared_every: u64,
}

/// What `dedupe` takes.
#[derive(Debug, Args)]
pub struct Dedupe {
    #[command(flatten)]
    place: Place,
    /// How many chunks of content `make` was asked for.
    #[arg(long)]
    chunks: u64,
    /// Questions that are asked.
    #[arg(long, default_value_t = 2_000)]
    questions: usize,
    /// Names in each; a tenth of them is missing.
    #[arg(long, default_value_t = 1_000)]
    names: usize,
}

impl Repository {
    /// Does what was asked, and says what it took.
    pub(super) fn answer(self, clock: &Arc<dyn Clock>) -> Result<Value, CommandError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| CommandError::Runtime { cause })?;
        let mut said = runtime.block_on(self.run(clock)).map_err(|cause| CommandError::Repository { cause })?;
        let used = process::own();
        said["cpu_s"] = json!(used.cpu_s);
        said["peak_mb"] = json!(mb(used.peak));
        Ok(said)
    }

    async fn run(self, clock: &Arc<dyn Clock>) -> Result<Value, app::AppError> {
        match self {
            Repository::Make(Make { place, chunks, directories, files, gone_every, devices, shared_every }) => {
                let app = repository::open(&place.data, clock).await?;
                let plan = Plan {
                    chunks,
                    directories: directories.max(1),
                    files: files.max(1),
                    gone_every: gone_every.max(2),
                    devices: devices.max(1),
                    shared_every,
                };
                let made = repository::make(&app, plan).await?;
                app.db.close().await;
                Ok(json!({ "snapshots": made.snapshots.0, "chunks": made.chunks.0, "packs": made.packs.0 }))
            }
            Repository::Collect(place) => {
                let app = repository::open(&place.data, clock).await?;
                let took = repository::collect(&app).await?;
                let seconds = took.span.as_ms() as f64 / 1_000.0;
                Ok(json!({
                    "seconds": seconds,
                    "chunks": took.chunks.0,
                    "chunks_live": took.chunks_live.0,
                    "packs_condemned": took.packs_condemned.0,
                    "chunks_per_second": (took.chunks.0 as f64 / seconds).round(),
                }))
            }
            Repository::Report(place) => {
                let app = repository::open(&place.data, clock).await?;
                Ok(repository::report(&app).await?.map_or(Value::Null, reported))
            }
            Repository::Dedupe(Dedupe { place, chunks, questions, names }) => {
                let app = repository::open(&place.data, clock).await?;
                let asked = repository::dedupe(&app, chunks, questions, names).await?;
                Ok(json!({
                    "questions": asked.questions,
                    "names": asked.names,
                    "p50_ms": asked.p50_ms,
                    "p99_ms": asked.p99_ms,
                    "max_ms": asked.max_ms,
                    "control_p50_ms": asked.control_p50_ms,
                    "control_p99_ms": asked.control_p99_ms,
                }))
            }
        }
    }
}

fn reported(took: repository::Reported) -> Value {
    let (seconds, report) = (took.span.as_ms() as f64 / 1_000.0, took.report);
    let chunks = report.row.figures.chunks.0;
    json!({
        "seconds": seconds,
        "chunks": chunks,
        "chunks_per_second": (chunks as f64 / seconds).round(),
        "snapshots": report.whole.snapshots.0,
        "stored_bytes": report.whole.stored.0,
        "unneeded_bytes": report.row.figures.unneeded.0,
        "missing": report.row.figures.missing.0,
        "flaws": report.row.figures.flaws.0,
    })
}

/// Megabytes, as the goals count them.
fn mb(bytes: Bytes) -> u64 {
    bytes.0 / 1_000_000
}
