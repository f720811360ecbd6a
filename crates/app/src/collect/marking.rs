//! Marks what snapshots need: follows their trees, and keeps the names of all that it meets in segments.
//! Refuses to count a snapshot as marked before its marks are in the store.

use super::Pace;
use super::follow::{Follow, Found};
use super::segment::{self, Kind, Mark, Merged, mark};
use crate::jobs::Held;
use crate::{App, AppError};
use base::{Bytes as Size, Count, Span, Timestamp};
use db::{CollectionPhase, CollectionRow, SegmentRow, SnapshotRootRow};
use format::ChunkId;
use std::collections::BTreeSet;

/// Snapshots that are listed at once.
const PAGE: u32 = 256;
/// How long marks stay in memory alone, unless they are many: so much work a crash can cost.
const FLUSH_SPAN: Span = Span::minutes(1);
/// Marks of one segment, however much memory there is: an object has its limit.
const MARKS_MAX: usize = 4 << 20;
/// Chunks that are looked up by one statement.
const CHUNKS_MAX: usize = 8_192;

/// A collection that marks.
pub(super) struct Marking<'a> {
    app: &'a App,
    held: &'a Held<'a>,
    follow: Follow<'a>,
    trees: Vec<Mark>,
    contents: Vec<Mark>,
    /// How many marks of either kind are kept in memory.
    marks_max: usize,
    flushed_at: Timestamp,
    pace: Pace<'a>,
    /// What the names of this writer's segments have, and how many there are.
    writer: String,
    written: u64,
    /// Segments that the database does not count yet.
    uncounted: Vec<SegmentRow>,
}

impl<'a> Marking<'a> {
    /// Goes on where the collection was left.
    ///
    /// # Errors
    /// `marks_damaged`; a database or a store that does not answer.
    pub(super) async fn open(app: &'a App, held: &'a Held<'a>, row: &CollectionRow) -> Result<Self, AppError> {
        let memory = app.config.collect_memory.0;
        let follow = Follow::new(app, row.repository, Size(memory / 4))?;
        // A quarter for both kinds of marks, which are there twice while they are written.
        let marks_max = usize::try_from(memory / 4 / 2 / 2 / 16).unwrap_or(usize::MAX).clamp(1, MARKS_MAX);
        let mut drawn = [0; 8];
        app.entropy.fill(&mut drawn);
        let marking = Self {
            app,
            held,
            follow,
            trees: Vec::new(),
            contents: Vec::new(),
            marks_max,
            flushed_at: app.clock.now(),
            pace: Pace::new(app),
            writer: format!("{:016x}", u64::from_le_bytes(drawn)),
            written: 0,
            uncounted: Vec::new(),
        };
        let mut before = Merged::open(app, &super::segments(app, row, &[Kind::Trees]).await?, memory / 4).await?;
        let mut batch = Vec::new();
        while let Some(mark) = before.next().await? {
            batch.push(mark);
            if batch.len() >= CHUNKS_MAX {
                marking.follow.seen_before(std::mem::take(&mut batch)).await?;
            }
        }
        marking.follow.seen_before(batch).await?;
        Ok(marking)
    }

    /// Marks the snapshots of this phase. Gives whether all are marked; not so when the process ends.
    ///
    /// # Errors
    /// `job_taken_over`; a database or a store that does not answer.
    pub(super) async fn phase(&mut self, row: &mut CollectionRow) -> Result<bool, AppError> {
        loop {
            let during = || AppError::db("listing what is to be marked");
            let mut tx = self.app.db.read().await.map_err(during())?;
            let roots = if row.phase == CollectionPhase::Mark {
                let after = row.device_done.map(|device| (device, row.snapshot_done));
                db::snapshot_root_list(&mut tx, row.repository, after, row.snapshot_first, PAGE).await
            } else {
                let (after, last) = (row.snapshot_done, row.snapshot_last);
                db::snapshot_root_list_by_seq(&mut tx, row.repository, after, last, PAGE).await
            };
            drop(tx);
            let roots = roots.map_err(during())?;
            if roots.is_empty() {
                self.flush(row).await?;
                return Ok(true);
            }
            for root in roots {
                if !self.snapshot(row, &root).await? {
                    return Ok(false);
                }
                if self.app.clock.now().since(self.flushed_at) >= FLUSH_SPAN {
                    self.flush(row).await?;
                }
            }
        }
    }

    /// Marks one snapshot, and gives whether it came to the end.
    ///
    /// INVARIANT: a tree that is in a segment which the row counts was followed to its ends. Marks of a snapshot may be
    /// written before it is done; they count only afterwards, and whoever goes on after a crash does not know of them.
    async fn snapshot(&mut self, row: &mut CollectionRow, root: &SnapshotRootRow) -> Result<bool, AppError> {
        self.follow.begin(root.root).await?;
        while let Some(found) = self.follow.step().await? {
            row.figures.flaws += found.flaws;
            if row.phase == CollectionPhase::Settle {
                self.rescue(row, &found).await?;
            }
            self.trees.extend(found.trees.iter().map(mark));
            self.contents.extend(found.contents.iter().map(mark));
            if self.trees.len().max(self.contents.len()) >= self.marks_max {
                self.write(row).await?;
            }
            self.pace.read(found.bytes).await;
            if !self.held.goes_on(self.app).await? {
                return Ok(false);
            }
        }
        row.figures.snapshots += Count(1);
        row.device_done = (row.phase == CollectionPhase::Mark).then_some(root.device);
        row.snapshot_done = root.seq;
        Ok(true)
    }

    /// Takes back what was condemned though this snapshot, which was committed meanwhile, needs it.
    async fn rescue(&self, row: &CollectionRow, found: &Found) -> Result<(), AppError> {
        let during = || AppError::db("rescuing condemned packs");
        let ids: Vec<ChunkId> = found.trees.iter().chain(&found.contents).copied().collect();
        let mut packs = BTreeSet::new();
        let mut tx = self.app.db.read().await.map_err(during())?;
        for ids in ids.chunks(CHUNKS_MAX) {
            let claims = db::chunk_claim_list(&mut tx, row.repository, ids).await.map_err(during())?;
            packs.extend(claims.condemned.into_iter().map(|(_, pack)| pack));
        }
        drop(tx);
        if packs.is_empty() {
            return Ok(());
        }
        let packs: Vec<i64> = packs.into_iter().collect();
        let mut tx = self.app.db.write().await.map_err(during())?;
        db::pack_rescued_update(&mut tx, &packs).await.map_err(during())?;
        tx.commit().await.map_err(during())
    }

    /// Puts the marks into the store and says how far they go.
    async fn flush(&mut self, row: &CollectionRow) -> Result<(), AppError> {
        self.write(row).await?;
        let during = || AppError::db("keeping how far a collection is");
        let mut tx = self.app.db.write().await.map_err(during())?;
        self.held.need(&mut tx).await?;
        // ORDER: the marks are durable before a row counts them, and they count in the transaction that says that these
        // snapshots are marked.
        db::segment_insert(&mut tx, row.repository, row.number, &self.uncounted).await.map_err(during())?;
        db::collection_update(&mut tx, row).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
        self.uncounted.clear();
        self.flushed_at = self.app.clock.now();
        Ok(())
    }

    async fn write(&mut self, row: &CollectionRow) -> Result<(), AppError> {
        for (kind, marks) in [(Kind::Trees, &mut self.trees), (Kind::Contents, &mut self.contents)] {
            let name = (self.writer.as_str(), self.written);
            self.uncounted.extend(segment::write(self.app, row, name, kind, marks).await?);
        }
        self.written += 1;
        Ok(())
    }

    /// The objects of all segments that this writer has made and that no row counts. Never fails.
    pub(super) fn uncounted(&self) -> &[SegmentRow] {
        &self.uncounted
    }
}
