//! Large repositories, made in minutes: real trees in real packs, and chunks of which the index alone knows. What asks
//! the index, and what follows trees, finds all that it looks at.
//! Refuses to be restored from: no content is stored.

mod dedupe;
mod make;

pub use dedupe::{Asked, dedupe};
pub use make::{Made, Plan, make};

use app::{AdminActor, App, AppError, collect, jobs, storage};
use base::{Clock, Count, OsEntropy, Span};
use std::path::Path;
use std::sync::Arc;

/// What a collection took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collected {
    /// From its beginning to the moment from which it waits.
    pub span: Span,
    /// Chunks that are known.
    pub chunks: Count,
    /// Those that a snapshot needs.
    pub chunks_live: Count,
    /// Packs of which nothing is needed.
    pub packs_condemned: Count,
}

/// What a storage report took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// From its beginning to its end.
    pub span: Span,
    /// What it found.
    pub report: storage::Report,
}

/// Opens a data directory in this process.
///
/// # Errors
/// As `App::open`.
pub async fn open(data: &Path, clock: &Arc<dyn Clock>) -> Result<Arc<App>, AppError> {
    Ok(Arc::new(App::open(data, Arc::clone(clock), Arc::new(OsEntropy)).await?))
}

/// Has one collection run in this process, up to its grace.
///
/// # Errors
/// A database or a store that does not answer.
pub async fn collect(app: &App) -> Result<Collected, AppError> {
    collect::start(app, &AdminActor::Command).await?;
    let begun_at = app.clock.now();
    jobs::tick_all(app).await?;
    let span = app.clock.now().since(begun_at);
    let status = collect::status(app, &AdminActor::Command).await?;
    let figures = status.collections.first().map(|one| one.row.figures).unwrap_or_default();
    Ok(Collected {
        span,
        chunks: figures.chunks,
        chunks_live: figures.chunks_live,
        packs_condemned: figures.packs_condemned,
    })
}

/// Makes a storage report in this process.
///
/// # Errors
/// A database or a store that does not answer.
pub async fn report(app: &App) -> Result<Option<Reported>, AppError> {
    let begun_at = app.clock.now();
    let status = storage::fresh(app, &AdminActor::Command, &mut |_| {}).await?;
    let span = app.clock.now().since(begun_at);
    Ok(status.report.map(|report| Reported { span, report }))
}
