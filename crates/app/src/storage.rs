//! Storage reports: what takes room in the store, and whose it is, by user, device and profile. One walk of each
//! repository finds out for every tree which devices need it; beside the table of chunks that gives what each subject
//! needs alone, shares, and has for its part of what is stored.
//! Refuses to guess, and to hold a transaction or the memory for all of it: what comes while it goes on is looked at
//! next time. Rules: docs/control.md, "What takes room".

mod graph;
mod sets;
mod sorted;
mod subjects;
mod walk;
mod weigh;
mod write;

use crate::audit::{self, Deed};
use crate::jobs::{Held, due};
use crate::page::{Page, PageAsk, part};
use crate::{AdminActor, App, AppError};
use base::{Bytes as Size, Count, Timestamp};
use control::Permit;
use graph::Shared;
use subjects::Subjects;

pub use db::{StorageFigures, StorageLevel, StorageReportRow, StorageShareRow, StorageTotals};

/// The name of the job, and of the row that says when it is due.
pub(crate) const JOB: &str = "storage";

/// How storage reports stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// When the next one begins; a time that is over while it is made; `None` where only an admin starts one.
    pub next_at: Option<Timestamp>,
    /// The last one.
    pub report: Option<Report>,
}

/// A storage report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What there is.
    pub row: StorageReportRow,
    /// What all snapshots together take.
    pub whole: StorageFigures,
}

/// How far one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It follows snapshots.
    Follows {
        /// How many so far.
        snapshots: Count,
    },
    /// It weighs chunks.
    Weighs {
        /// How many so far.
        chunks: Count,
    },
}

/// The last report, and when the next one comes.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn status(app: &App, actor: &AdminActor) -> Result<Status, AppError> {
    actor.need(Permit::ReportRead)?;
    let during = || AppError::db("reading the last storage report");
    let mut tx = app.db.read().await.map_err(during())?;
    let state = db::job_state_get(&mut tx, JOB).await.map_err(during())?;
    let next_at = state.map(|state| state.due).filter(|at| *at != due::FAR);
    let Some(row) = db::storage_report_get(&mut tx).await.map_err(during())? else {
        return Ok(Status { next_at, report: None });
    };
    let whole = db::storage_share_list(&mut tx, row.number, StorageLevel::Whole, None, 1).await.map_err(during())?;
    let whole = whole.first().map(|share| share.figures).unwrap_or_default();
    Ok(Status { next_at, report: Some(Report { row, whole }) })
}

/// What the subjects of one level take by the last report, by identifier. Later pages go on with the report of the
/// first, which is there until two newer ones are.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave, or of a report that is gone; the database does
/// not answer.
pub async fn page(
    app: &App,
    actor: &AdminActor,
    level: StorageLevel,
    ask: &PageAsk,
) -> Result<Page<StorageShareRow>, AppError> {
    actor.need(Permit::ReportRead)?;
    let after = ask.key::<2>()?;
    let during = || AppError::db("listing what takes room");
    let mut tx = app.db.read().await.map_err(during())?;
    let newest = db::storage_report_get(&mut tx).await.map_err(during())?.map(|row| row.number);
    let (number, subject) = match (newest, &after) {
        (None, None) => return Ok(Page { items: Vec::new(), next: None }),
        (Some(newest), None) => (newest, None),
        (newest, Some([number, subject])) => {
            let number = number.as_slice().try_into().ok().map(i64::from_le_bytes);
            // The one before the newest is still there.
            let is_kept = |number: &i64| newest.is_some_and(|newest| (newest - 1..=newest).contains(number));
            (part(number.filter(is_kept))?, Some(subject.as_slice()))
        }
    };
    let rows = db::storage_share_list(&mut tx, number, level, subject, ask.rows()).await.map_err(during())?;
    Ok(ask.page(rows, |row| [number.to_le_bytes().to_vec(), row.subject.clone()], |row| row))
}

/// Has a report made in the background, of what is there from now on.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn start(app: &App, actor: &AdminActor) -> Result<(), AppError> {
    actor.need(Permit::ReportRead)?;
    let now = app.clock.now();
    let during = || AppError::db("asking for a storage report");
    let mut tx = app.db.write().await.map_err(during())?;
    due::set(&mut tx, JOB, now, now).await?;
    let deed = Deed { action: "storage_report_start", subject: "store".to_owned(), ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())
}

/// Makes a report now, and gives it.
///
/// # Errors
/// `not_permitted`; `store_full` when a scratch file has no room; a database or a store that does not answer.
pub async fn fresh(
    app: &App,
    actor: &AdminActor,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Status, AppError> {
    actor.need(Permit::ReportRead)?;
    make(app, &Held::by_nobody(JOB), progress).await?;
    status(app, actor).await
}

/// One tick: makes a report when one is due. May be killed at any point, and begins anew then.
///
/// # Errors
/// `job_taken_over`; a database or a store that does not answer.
pub(crate) async fn tick(app: &App, held: &Held<'_>) -> Result<(), AppError> {
    let every = app.config.storage_report_every;
    if !due::is_due(app, held, JOB, every).await? {
        return Ok(());
    }
    let begun_at = app.clock.now();
    if !make(app, held, &mut |_| {}).await? {
        return Ok(());
    }
    let during = || AppError::db("saying when a storage report is due");
    let mut tx = app.db.write().await.map_err(during())?;
    held.need(&mut tx).await?;
    let state = db::job_state_get(&mut tx, JOB).await.map_err(during())?;
    // RACE: who has asked since this one began wants what was there then.
    if state.is_none_or(|state| state.at <= begun_at) {
        due::set(&mut tx, JOB, begun_at, due::next(begun_at, every)).await?;
    }
    tx.commit().await.map_err(during())
}

/// Makes a report. Gives whether it came to the end; not so when the process ends.
async fn make(app: &App, held: &Held<'_>, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<bool, AppError> {
    let _turn = app.plane.reports.acquire().await.expect("the semaphore is never closed");
    let mut subjects = Subjects::of(app).await?;
    let mut totals = StorageTotals::default();
    for repository in app.keys.repositories().iter().map(|keys| keys.seq) {
        let shared = Shared::new(Size(app.config.collect_memory.0), subjects.devices.len())?;
        let Some(flaws) = walk::walk(app, held, repository, &mut subjects, &shared, progress).await? else {
            return Ok(false);
        };
        totals.flaws += flaws;
        if !weigh::weigh(app, held, repository, &shared, &mut totals, progress).await? {
            return Ok(false);
        }
        subjects = shared.with(|graph| graph.distribute(subjects)).await?;
    }
    let whole = subjects.whole();
    let totals = weigh::settled(totals, whole.stored);
    write::write(app, held, &subjects, &whole, &totals).await?;
    tracing::info!(
        snapshot.count = whole.snapshots.0,
        chunk.count = totals.chunks.0,
        bytes = totals.bytes.0,
        "a storage report is there: {} snapshots need {} of {}",
        whole.snapshots,
        whole.stored,
        totals.bytes
    );
    Ok(true)
}
