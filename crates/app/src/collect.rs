//! Collection: finds what no snapshot needs and removes it, beside backups. Mark what snapshots need, weigh packs by
//! it, condemn those of which nothing is needed; settle with what was committed meanwhile; wait for the grace and for
//! the runs that began before; remove. Whoever uses a chunk of a condemned pack takes that back.
//! Refuses to condemn anything while a tree cannot be read, for what is beneath it is not known; and to rely on clocks:
//! what protects whom is in docs/ordering.md, "Collection".

mod dry_run;
pub(crate) mod follow;
mod marking;
mod remove;
mod repack;
pub(crate) mod segment;
mod status;
mod strays;
mod weigh;

pub use dry_run::{Found, Progress, dry_run};
pub use status::{Collected, Status, Waiting, start, status};

use crate::jobs::{Held, due};
use crate::{App, AppError, chain};
use base::{Bytes as Size, Count, Kind, Planted, RunId, Span, is_planted};
use db::{CollectionPhase, CollectionRow, SegmentRow};
use marking::Marking;
use segment::Kind as Marks;

/// The name of the job.
pub(crate) const JOB: &str = "collect";

/// One tick: goes on with what is under way, begins what is due, removes what may go. Goes on until nothing is left to
/// do now, or the process ends. May be repeated and killed at any point.
///
/// # Errors
/// `job_taken_over`; a database or a store that does not answer.
pub(crate) async fn tick(app: &App, held: &Held<'_>) -> Result<(), AppError> {
    remove::leave(app, held).await?;
    let repositories: Vec<i64> = app.keys.repositories().iter().map(|keys| keys.seq).collect();
    let mut failed = None;
    for repository in repositories {
        // One that fails holds no other up.
        if let Err(error) = attend(app, held, repository).await {
            tracing::warn!(code = error.code(), "collecting repository {repository} is tried again: {}", chain(&error));
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Goes on with the collections of a repository, and begins the one that is due.
async fn attend(app: &App, held: &Held<'_>, repository: i64) -> Result<(), AppError> {
    let during = || AppError::db("listing collections");
    let mut tx = app.db.read().await.map_err(during())?;
    let open = db::collection_list_open(&mut tx, repository).await.map_err(during())?;
    drop(tx);
    let mut is_marking = false;
    for mut row in open {
        advance(app, held, &mut row).await?;
        is_marking |= is_on_its_way(row.phase);
    }
    if !is_marking
        && held.goes_on(app).await?
        && due::is_due(app, held, &job(repository), app.config.collect_every).await?
    {
        let mut row = begin(app, held, repository).await?;
        advance(app, held, &mut row).await?;
    }
    Ok(())
}

/// Goes through the phases of a collection, as far as it gets now.
async fn advance(app: &App, held: &Held<'_>, row: &mut CollectionRow) -> Result<(), AppError> {
    match phases(app, held, row).await {
        // What it has found is lost, and with it nothing else: the next one begins anew.
        Err(error) if error.kind() == Kind::Damaged && row.phase != CollectionPhase::Remove => {
            abandon(app, held, row, &error.to_string()).await
        }
        done => done,
    }
}

/// Whether a collection still looks for what may go: one of a repository does so at a time.
fn is_on_its_way(phase: CollectionPhase) -> bool {
    use CollectionPhase::{Later, Mark, Settle, Weigh};
    matches!(phase, Mark | Later | Weigh | Settle)
}

async fn phases(app: &App, held: &Held<'_>, row: &mut CollectionRow) -> Result<(), AppError> {
    use CollectionPhase::{Abandoned, Ended, Later, Mark, Remove, Settle, Wait, Weigh};
    // What was followed once is not followed again in a later phase.
    let mut marking = None;
    loop {
        match row.phase {
            Mark | Later | Settle => {
                let marking = match &mut marking {
                    Some(marking) => marking,
                    none => none.insert(Marking::open(app, held, row).await?),
                };
                if !marking.phase(row).await? {
                    return Ok(());
                }
                match row.phase {
                    Mark => later(app, held, row).await?,
                    Later => next(app, held, row, Weigh).await?,
                    _ => settled(app, held, row).await?,
                }
            }
            Weigh => {
                if !weigh_all(app, held, row).await? {
                    return Ok(());
                }
            }
            Wait | Remove => return remove::remove(app, held, row).await,
            Ended | Abandoned => return Ok(()),
        }
    }
}

/// Begins a collection: from here on, closed trees and runs carry its number.
async fn begin(app: &App, held: &Held<'_>, repository: i64) -> Result<CollectionRow, AppError> {
    let during = || AppError::db("beginning a collection");
    let now = app.clock.now();
    let mut tx = app.db.write().await.map_err(during())?;
    held.need(&mut tx).await?;
    let number = db::repository_generation_update(&mut tx, repository).await.map_err(during())?;
    let bounds = db::collection_bounds_get(&mut tx).await.map_err(during())?;
    let row = CollectionRow::new(repository, number, RunId::begun(now, app.entropy.as_ref()), now, bounds);
    // ORDER: what was asked for counts as done with the row that does it.
    due::set(&mut tx, &job(repository), now, due::next(now, app.config.collect_every)).await?;
    db::collection_insert(&mut tx, &row).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    tracing::info!(collection = number, "collection {number} of repository {repository} begins");
    Ok(row)
}

/// All snapshots that were there at the beginning are marked: those follow that came since.
async fn later(app: &App, held: &Held<'_>, row: &mut CollectionRow) -> Result<(), AppError> {
    let during = || AppError::db("reading the newest snapshot");
    let mut tx = app.db.read().await.map_err(during())?;
    if !is_planted(Planted::LaterUnmarked) {
        (row.snapshot_last, _) = db::collection_bounds_get(&mut tx).await.map_err(during())?;
    }
    drop(tx);
    (row.device_done, row.snapshot_done) = (None, row.snapshot_first);
    next(app, held, row, CollectionPhase::Later).await
}

/// Condemns, and settles what follows. Gives whether it came to the end.
async fn weigh_all(app: &App, held: &Held<'_>, row: &mut CollectionRow) -> Result<bool, AppError> {
    if row.figures.flaws.0 > 0 {
        let flaws = row.figures.flaws;
        let why = format!("{flaws} trees cannot be read, and what is beneath them is not known: `scrub` says which");
        abandon(app, held, row, &why).await?;
        return Ok(true);
    }
    let Some(sparse) = weigh::weigh(app, held, row, true).await? else { return Ok(false) };
    if !repack::repack(app, held, row, &sparse).await? || !weigh::closed_clear(app, held, row).await? {
        return Ok(false);
    }
    condemned(app, held, row).await?;
    Ok(true)
}

/// Everything is condemned that can be. From this transaction on, whoever builds on what is stored takes back what it
/// needs; what was built before is marked next.
async fn condemned(app: &App, held: &Held<'_>, row: &mut CollectionRow) -> Result<(), AppError> {
    let during = || AppError::db("settling a collection");
    let mut tx = app.db.write().await.map_err(during())?;
    held.need(&mut tx).await?;
    // INVARIANT: closed trees that came since the collection began are hidden: beneath one of them something may be
    // condemned. A walk that has looked at one of them finds its count of damages overtaken.
    db::repository_hidden_update(&mut tx, row.repository, row.number).await.map_err(during())?;
    db::repository_generation_update(&mut tx, row.repository).await.map_err(during())?;
    db::repository_damages_update(&mut tx, row.repository).await.map_err(during())?;
    if !is_planted(Planted::LaterUnmarked) {
        (row.snapshot_last, _) = db::collection_bounds_get(&mut tx).await.map_err(during())?;
    }
    (row.phase, row.phase_at) = (CollectionPhase::Settle, app.clock.now());
    db::collection_update(&mut tx, row).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

/// What was condemned is needed by no snapshot. The marks may go, and strays are looked for.
async fn settled(app: &App, held: &Held<'_>, row: &mut CollectionRow) -> Result<(), AppError> {
    let during = || AppError::db("counting what is condemned");
    let mut tx = app.db.read().await.map_err(during())?;
    let condemned = db::pack_condemned_get(&mut tx, row.repository, row.number).await.map_err(during())?;
    drop(tx);
    (row.figures.packs_condemned, row.figures.bytes_condemned) = condemned;
    if row.figures.flaws.0 > 0 {
        return abandon(app, held, row, "a tree that was committed meanwhile cannot be read").await;
    }
    let (packs, bytes) = condemned;
    // Where nothing was found there is nothing to wait for.
    let next = if packs == Count(0) { CollectionPhase::Ended } else { CollectionPhase::Wait };
    end_marks(app, held, row, next).await?;
    tracing::info!(
        collection = row.number,
        pack.count = packs.0,
        bytes = bytes.0,
        "collection {}: {packs} packs with {bytes} are needed by no snapshot",
        row.number
    );
    strays::look(app, held).await
}

/// Gives a collection up, and everything that it has condemned free.
async fn abandon(app: &App, held: &Held<'_>, row: &mut CollectionRow, why: &str) -> Result<(), AppError> {
    tracing::error!(collection = row.number, "collection {} removes nothing: {why}", row.number);
    end_marks(app, held, row, CollectionPhase::Abandoned).await
}

/// Goes to a phase in which the marks are not needed: their objects may go. One that is given up condemns nothing.
async fn end_marks(
    app: &App,
    held: &Held<'_>,
    row: &mut CollectionRow,
    phase: CollectionPhase,
) -> Result<(), AppError> {
    let during = || AppError::db("ending the marks of a collection");
    let now = app.clock.now();
    let mut tx = app.db.write().await.map_err(during())?;
    held.need(&mut tx).await?;
    for segment in db::segment_list(&mut tx, row.repository, row.number).await.map_err(during())? {
        db::leaving_insert(&mut tx, &segment.name, now).await.map_err(during())?;
    }
    db::segment_remove(&mut tx, row.repository, row.number).await.map_err(during())?;
    if phase == CollectionPhase::Abandoned {
        db::pack_spared_update(&mut tx, row.repository, row.number).await.map_err(during())?;
    }
    (row.phase, row.phase_at) = (phase, now);
    db::collection_update(&mut tx, row).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

async fn next(app: &App, held: &Held<'_>, row: &mut CollectionRow, phase: CollectionPhase) -> Result<(), AppError> {
    (row.phase, row.phase_at) = (phase, app.clock.now());
    keep(app, held, row).await
}

/// Keeps how far a collection is.
async fn keep(app: &App, held: &Held<'_>, row: &CollectionRow) -> Result<(), AppError> {
    let during = || AppError::db("keeping how far a collection is");
    let mut tx = app.db.write().await.map_err(during())?;
    held.need(&mut tx).await?;
    db::collection_update(&mut tx, row).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

/// The segments of a collection that count, of these kinds.
async fn segments(app: &App, row: &CollectionRow, kinds: &[Marks]) -> Result<Vec<SegmentRow>, AppError> {
    let during = || AppError::db("listing segments");
    let mut tx = app.db.read().await.map_err(during())?;
    let mut segments = db::segment_list(&mut tx, row.repository, row.number).await.map_err(during())?;
    segments.retain(|segment| kinds.iter().any(|kind| kind.word() == segment.kind));
    Ok(segments)
}

/// The row that says when a repository's collection is due.
fn job(repository: i64) -> String {
    format!("{JOB} {repository}")
}

/// Keeps what follows every tree to the rate that it may read at.
pub(crate) struct Pace<'a> {
    app: &'a App,
}

impl<'a> Pace<'a> {
    /// The rate that the configuration says. Never fails.
    pub(crate) fn new(app: &'a App) -> Self {
        Self { app }
    }

    /// So much was read: waits as long as that may take. Never fails.
    pub(crate) async fn read(&self, bytes: Size) {
        let rate = self.app.config.collect_rate.0;
        if let Some(ms) = bytes.0.saturating_mul(1_000).checked_div(rate) {
            self.app.clock.sleep(Span::ms(ms)).await;
        }
    }
}
