//! Removes what a collection has condemned and nobody has taken back: rows first, and the objects after them.
//! Refuses while a run is open that began before, and before the grace is over.

use super::keep;
use crate::jobs::Held;
use crate::jobs::prune::READING_SPAN;
use crate::scrub::unnamed;
use crate::snapshots::store_name;
use crate::{App, AppError, age};
use base::{Count, Planted, Span, Timestamp, is_planted};
use db::{CollectionPhase, CollectionRow};
use format::ObjectName as Named;
use store::ObjectName;

/// The parts of the table of chunks, by the first two bytes of the names.
const PARTS: u32 = 1 << 16;
/// About how many chunks are looked at in one transaction.
const CHUNKS: u64 = 20_000;
/// A run that began so long after now began by a clock that was ahead, and its lease would last as long.
pub(super) const RUN_AHEAD_MAX: Span = Span::days(1);
/// Packs that are removed in one transaction, and objects in a row.
const PACKS: u32 = 200;

/// Removes what may go now, if anything may.
///
/// # Errors
/// `job_taken_over`; the database does not answer.
pub(super) async fn remove(app: &App, held: &Held<'_>, row: &mut CollectionRow) -> Result<(), AppError> {
    if row.phase == CollectionPhase::Wait && !doom(app, held, row).await? {
        return Ok(());
    }
    if !chunks(app, held, row).await? || !packs(app, held, row).await? {
        return Ok(());
    }
    (row.phase, row.phase_at) = (CollectionPhase::Ended, app.clock.now());
    keep(app, held, row).await?;
    let (number, packs, bytes) = (row.number, row.figures.packs_removed, row.figures.bytes_removed);
    tracing::info!(
        collection = number,
        pack.count = packs.0,
        bytes = bytes.0,
        "collection {number}: {packs} packs with {bytes} are removed"
    );
    Ok(())
}

/// Dooms what is still condemned, once nothing relies on it any more. Gives whether that was done.
async fn doom(app: &App, held: &Held<'_>, row: &mut CollectionRow) -> Result<bool, AppError> {
    let now = app.clock.now();
    if row.phase_at > now {
        // The clock was ahead when this phase began: the grace begins now.
        row.phase_at = now;
        keep(app, held, row).await?;
    }
    if now < row.phase_at + app.config.collect_grace {
        return Ok(false);
    }
    age::compare(&app.db, app.store.as_ref()).await?;
    let during = || AppError::db("looking whom a removal waits for");
    let mut tx = app.db.write().await.map_err(during())?;
    held.need(&mut tx).await?;
    // RACE: a run that has outlived its lease ends here for good: whatever another server's clock says, it commits no
    // more. A run that goes on began after the settling, and has taken back what it relies on.
    db::run_expired_update(&mut tx, now, now + RUN_AHEAD_MAX).await.map_err(during())?;
    let (runs, _) = db::run_awaited_get(&mut tx, row.repository, row.number, now).await.map_err(during())?;
    let is_free = runs == Count(0) || is_planted(Planted::RunsUnawaited);
    if is_free {
        db::pack_doomed_update(&mut tx, row.repository, row.number).await.map_err(during())?;
        (row.phase, row.phase_at, row.part) = (CollectionPhase::Remove, now, 0);
        db::collection_update(&mut tx, row).await.map_err(during())?;
    }
    tx.commit().await.map_err(during())?;
    Ok(is_free)
}

/// Removes the rows of chunks, part by part. Gives whether it came to the end.
async fn chunks(app: &App, held: &Held<'_>, row: &mut CollectionRow) -> Result<bool, AppError> {
    let during = || AppError::db("removing chunks");
    let step = (u64::from(PARTS) * CHUNKS / row.figures.chunks.0.max(1)).clamp(1, u64::from(PARTS)) as u32;
    while row.part < PARTS {
        if !held.goes_on(app).await? {
            return Ok(false);
        }
        let end = row.part.saturating_add(step).min(PARTS);
        let bytes = |part: u32| u16::try_from(part).ok().map(u16::to_be_bytes);
        let from = bytes(row.part).expect("a part that is not the end has 16 bits");
        let mut tx = app.db.write().await.map_err(during())?;
        held.need(&mut tx).await?;
        db::chunk_doomed_remove(&mut tx, row.repository, from, bytes(end)).await.map_err(during())?;
        row.part = end;
        db::collection_update(&mut tx, row).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
    }
    Ok(true)
}

/// Removes the rows of packs, and notes that their objects may go. Gives whether it came to the end.
async fn packs(app: &App, held: &Held<'_>, row: &mut CollectionRow) -> Result<bool, AppError> {
    let during = || AppError::db("removing packs");
    while held.goes_on(app).await? {
        let mut tx = app.db.write().await.map_err(during())?;
        held.need(&mut tx).await?;
        let doomed = db::pack_doomed_list(&mut tx, row.repository, row.number, PACKS).await.map_err(during())?;
        let leave_at: Timestamp = app.clock.now() + READING_SPAN;
        for (seq, id, bytes) in &doomed {
            // ORDER: the rows go before the object, and that it may go is noted with them.
            db::pack_remove(&mut tx, *seq).await.map_err(during())?;
            let name = store_name(&Named::Pack(*id));
            db::leaving_insert(&mut tx, name.as_str(), leave_at).await.map_err(during())?;
            row.figures.packs_removed += Count(1);
            row.figures.bytes_removed += *bytes;
        }
        db::collection_update(&mut tx, row).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
        if doomed.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the objects whose time is over.
///
/// # Errors
/// `job_taken_over`; a database or a store that does not answer.
pub(super) async fn leave(app: &App, held: &Held<'_>) -> Result<(), AppError> {
    let during = || AppError::db("listing objects that may go");
    let mut tx = app.db.write().await.map_err(during())?;
    db::leaving_last_update(&mut tx, app.clock.now() + READING_SPAN).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    while held.goes_on(app).await? {
        let mut tx = app.db.read().await.map_err(during())?;
        let names = db::leaving_list(&mut tx, app.clock.now(), PACKS).await.map_err(during())?;
        drop(tx);
        if names.is_empty() {
            break;
        }
        // INVARIANT: nothing goes from a store that another database may be in use with.
        age::compare(&app.db, app.store.as_ref()).await?;
        for name in &names {
            let mut tx = app.db.read().await.map_err(during())?;
            // By the rules none is named again; one that is stays. Looked at just before it would go, each by itself.
            let may_go = !unnamed(&mut tx, &[name]).await?.is_empty();
            drop(tx);
            if let Ok(name) = ObjectName::new(name.as_str())
                && may_go
            {
                app.store.remove(&name).await.map_err(AppError::store("removing an object"))?;
            }
        }
        let mut tx = app.db.write().await.map_err(during())?;
        held.need(&mut tx).await?;
        for name in &names {
            db::leaving_remove(&mut tx, name).await.map_err(during())?;
        }
        tx.commit().await.map_err(during())?;
    }
    Ok(())
}
