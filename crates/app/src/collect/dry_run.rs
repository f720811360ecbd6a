//! A collection that only says what it would find. Refuses to change anything: its marks are in the store while it
//! lasts, and nothing else of it; and to go on beside another one, for each has the memory of a collection.

use super::marking::Marking;
use super::segment::Kind;
use super::weigh;
use crate::jobs::Held;
use crate::{AdminActor, App, AppError};
use base::{Bytes as Size, Count, RunId};
use control::Permit;
use db::{CollectionRow, SegmentRow};
use store::ObjectName;

/// What a collection would find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Snapshots that were followed.
    pub snapshots: Count,
    /// Trees that could not be read: with one of them, nothing would be removed.
    pub flaws: Count,
    /// Chunks that are known.
    pub chunks: Count,
    /// Those of them that a snapshot needs.
    pub chunks_live: Count,
    /// Bytes of all packs.
    pub bytes: Size,
    /// Packs of which nothing is needed.
    pub packs_dead: Count,
    /// Their bytes.
    pub bytes_dead: Size,
    /// Bytes, about, that nothing needs in packs that would stay.
    pub bytes_waste: Size,
    /// Packs that would be replaced by fuller ones.
    pub packs_sparse: Count,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It follows the snapshots of a repository.
    Marks,
    /// It weighs the packs of a repository.
    Weighs {
        /// Snapshots that were followed.
        snapshots: Count,
    },
}

/// Finds out what a collection would find now, in all repositories together.
///
/// # Errors
/// `not_permitted`; `store_full`; a database or a store that does not answer.
pub async fn dry_run(
    app: &App,
    actor: &AdminActor,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Found, AppError> {
    actor.need(Permit::RepositoryCollect)?;
    let repositories: Vec<i64> = app.keys.repositories().iter().map(|keys| keys.seq).collect();
    let mut found = Found::default();
    let _turn = app.plane.dry_runs.acquire().await.expect("the semaphore is never closed");
    for repository in repositories {
        let mut row = row(app, repository).await?;
        let sparse = look(app, &mut row, progress).await?;
        let figures = row.figures;
        found.snapshots += figures.snapshots;
        found.flaws += figures.flaws;
        found.chunks += figures.chunks;
        found.chunks_live += figures.chunks_live;
        found.bytes += figures.bytes;
        found.packs_dead += figures.packs_condemned;
        found.bytes_dead += figures.bytes_condemned;
        found.bytes_waste += figures.bytes_waste;
        found.packs_sparse += sparse;
    }
    Ok(found)
}

async fn look(
    app: &App,
    row: &mut CollectionRow,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Count, AppError> {
    let held = Held::by_nobody(super::JOB);
    progress(Progress::Marks);
    let mut marking = Marking::open(app, &held, row).await?;
    let looked = async {
        marking.phase(row).await?;
        progress(Progress::Weighs { snapshots: row.figures.snapshots });
        weigh::weigh(app, &held, row, false).await
    };
    let looked = looked.await;
    clear(app, row, marking.uncounted()).await?;
    Ok(Count::of(looked?.map_or(0, |sparse| sparse.len())))
}

/// Removes the marks of a dry run. Those of one that was cut short are strays, which the next collection lets go.
async fn clear(app: &App, row: &CollectionRow, uncounted: &[SegmentRow]) -> Result<(), AppError> {
    let counted = super::segments(app, row, &[Kind::Trees, Kind::Contents]).await?;
    for segment in counted.iter().chain(uncounted) {
        let name = ObjectName::new(segment.name.as_str()).map_err(AppError::store("removing marks"))?;
        app.store.remove(&name).await.map_err(AppError::store("removing marks"))?;
    }
    let during = || AppError::db("removing the segments of a dry run");
    let mut tx = app.db.write().await.map_err(during())?;
    db::segment_remove(&mut tx, row.repository, row.number).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

/// A collection that has no row, under a number that no other has.
async fn row(app: &App, repository: i64) -> Result<CollectionRow, AppError> {
    let mut drawn = [0; 4];
    app.entropy.fill(&mut drawn);
    let during = || AppError::db("reading the newest numbers");
    let mut tx = app.db.read().await.map_err(during())?;
    let bounds = db::collection_bounds_get(&mut tx).await.map_err(during())?;
    // No collection comes that far.
    let number = i64::MAX - i64::from(u32::from_le_bytes(drawn));
    Ok(CollectionRow::new(repository, number, RunId::from_bytes([0; 16]), app.clock.now(), bounds))
}
