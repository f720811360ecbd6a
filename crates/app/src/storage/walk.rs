//! Follows every tree of a repository's snapshots, each once, and takes in what it names.
//! Refuses to end at one that cannot be read: it is counted, and what is beneath it is needed by whoever else names it.

use super::Progress;
use super::graph::{Graph, Shared};
use super::subjects::Subjects;
use crate::collect::Pace;
use crate::collect::follow::named_by;
use crate::jobs::Held;
use crate::{App, AppError};
use base::{Bytes as Size, Count};
use db::{Place, SnapshotRootRow};
use format::{ChunkId, ChunkKind};

/// Snapshots that are followed together: those of one device lie near each other.
const ROOTS: u32 = 64;
/// Trees and lists that are looked up together, and their bytes that are decoded together.
const BATCH: u32 = 1_024;
const BATCH_BYTES: Size = Size::mib(4);
/// Trees of which it is said together who needs what they name.
const SETTLED: usize = 20_000;

/// Follows all snapshots that the report is of. Gives how many trees could not be read; `None` when the process ends.
///
/// # Errors
/// `job_taken_over`; a database or a store that does not answer.
pub(super) async fn walk(
    app: &App,
    held: &Held<'_>,
    repository: i64,
    subjects: &mut Subjects,
    shared: &Shared,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Option<Count>, AppError> {
    let walk = Walk { app, repository, shared, pace: Pace::new(app) };
    let (mut after, mut snapshots, mut flaws) = (None, Count(0), Count(0));
    loop {
        let during = || AppError::db("listing what is to be followed");
        let mut tx = app.db.read().await.map_err(during())?;
        let roots = db::snapshot_root_list(&mut tx, repository, after, subjects.snapshot_last, ROOTS).await;
        drop(tx);
        let roots = roots.map_err(during())?;
        let Some(last) = roots.last() else { break };
        after = Some((last.device, last.seq));
        snapshots += Count::of(roots.len());
        let device = |root: SnapshotRootRow| Some((root.root, subjects.snapshot(root.device, root.bytes)?));
        let roots: Vec<(ChunkId, u32)> = roots.into_iter().filter_map(device).collect();
        shared.with(move |graph| graph.roots(&roots)).await?;
        while let Some(found) = walk.step().await? {
            flaws += found;
            if !held.goes_on(app).await? {
                return Ok(None);
            }
        }
        progress(Progress::Follows { snapshots });
    }
    shared
        .with(|graph| {
            graph.settle();
            Ok(())
        })
        .await?;
    while shared.with(|graph| graph.settle_some(SETTLED)).await? {
        if !held.goes_on(app).await? {
            return Ok(None);
        }
    }
    Ok(Some(flaws))
}

struct Walk<'a> {
    app: &'a App,
    repository: i64,
    shared: &'a Shared,
    pace: Pace<'a>,
}

impl Walk<'_> {
    /// Reads the next trees, and gives how many of them cannot be read; `None` when all were read.
    async fn step(&self) -> Result<Option<Count>, AppError> {
        let (first, ids) = self.shared.with(|graph| graph.unread(BATCH)).await?;
        if ids.is_empty() {
            return Ok(None);
        }
        let during = || AppError::db("looking trees up");
        let mut tx = self.app.db.read().await.map_err(during())?;
        let mut places = db::chunk_list(&mut tx, self.repository, &ids).await.map_err(during())?;
        drop(tx);
        // What it is, its row says: whoever names it as something else does not hide what it names.
        places.retain(|place| place.kind != ChunkKind::Content);
        let mut flaws = Count::of(ids.len() - places.len());
        let mut rest = places.as_slice();
        while !rest.is_empty() {
            let (part, after) = rest.split_at(together(rest));
            rest = after;
            flaws += self.read(first, part.to_vec()).await?;
        }
        Ok(Some(flaws))
    }

    async fn read(&self, first: u32, part: Vec<Place>) -> Result<Count, AppError> {
        let bytes: u64 = part.iter().map(|place| u64::from(place.len)).sum();
        let trees: Vec<u32> = part.iter().map(|place| first + place.position).collect();
        let named = named_by(self.app, part).await?;
        let flaws = Count::of(named.iter().filter(|named| named.is_none()).count());
        let take = move |graph: &mut Graph| {
            let mut known = trees.into_iter().zip(named).filter_map(|(tree, named)| Some((tree, named?)));
            known.try_for_each(|(tree, named)| graph.named(tree, &named))
        };
        self.shared.with(take).await?;
        self.pace.read(Size(bytes)).await;
        Ok(flaws)
    }
}

/// How many of these are read together: at least one.
fn together(places: &[Place]) -> usize {
    let mut bytes = 0;
    let fit = places.iter().take_while(|place| {
        bytes += u64::from(place.len);
        bytes <= BATCH_BYTES.0
    });
    fit.count().max(1)
}
