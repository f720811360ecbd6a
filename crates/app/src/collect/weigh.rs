//! Weighs packs: how much of each something needs. Goes through all chunks in the order of their names, beside the
//! marks, and condemns the packs of which nothing is needed.
//! Refuses to hold more packs in memory than it may: it goes through the chunks once for each part of them.

use super::segment::{Kind, Merged, mark};
use super::segments;
use crate::jobs::Held;
use crate::{App, AppError};
use base::{Bytes as Size, Count};
use db::{ChunkWeightRow, CollectionRow};
use format::ChunkId;
use std::collections::{HashMap, HashSet};

/// Chunks that are read at once.
const PAGE: u32 = 20_000;
/// Packs that are condemned in one transaction, and rows of them that are read at once.
const PACKS: u32 = 1_000;
/// Rows of closed trees that are removed in one transaction.
const CLOSED_MAX: usize = 2_000;
/// Bytes that a pack takes here.
const WEIGHT_LEN: u64 = size_of::<Weight>() as u64;

/// What is known of one pack.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    /// Its number.
    seq: i64,
    bytes: u64,
    /// Plain bytes of its chunks, and of those that something needs.
    total: u64,
    live: u64,
    is_condemned: bool,
}

/// A pack of which little is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sparse {
    pub(super) seq: i64,
    /// How much of it is needed, in thousandths.
    pub(super) live_permille: u64,
}

/// How many sparse packs are remembered.
const SPARSE_MAX: usize = 4_096;

/// Weighs all packs, and gives those of which little is needed, the emptiest first. With `condemn`, those of which
/// nothing is needed are condemned; without, they are only counted. None when the process ends.
///
/// # Errors
/// `job_taken_over`, `marks_damaged`; a database or a store that does not answer.
pub(super) async fn weigh(
    app: &App,
    held: &Held<'_>,
    row: &mut CollectionRow,
    condemn: bool,
) -> Result<Option<Vec<Sparse>>, AppError> {
    let figures = &mut row.figures;
    (figures.chunks, figures.chunks_live, figures.bytes) = (Count(0), Count(0), Size(0));
    (figures.packs_condemned, figures.bytes_condemned, figures.bytes_waste) = (Count(0), Size(0), Size(0));
    let mut sparse = Vec::new();
    let packs_max = usize::try_from(app.config.collect_memory.0 / 2 / WEIGHT_LEN).unwrap_or(usize::MAX).max(1);
    let mut after = 0;
    loop {
        let mut weights = packs(app, row.repository, after, packs_max).await?;
        let is_first = after == 0;
        let Some(last) = weights.last() else { break };
        after = last.seq;
        if !chunks(app, held, row, &mut weights, is_first).await? {
            return Ok(None);
        }
        judge(app, held, row, &weights, condemn, &mut sparse).await?;
    }
    sparse.sort_unstable_by_key(|sparse| sparse.live_permille);
    Ok(Some(sparse))
}

/// The next packs, in the order of their numbers.
async fn packs(app: &App, repository: i64, after: i64, max: usize) -> Result<Vec<Weight>, AppError> {
    let mut weights: Vec<Weight> = Vec::new();
    while weights.len() < max {
        let during = || AppError::db("listing packs");
        let mut tx = app.db.read().await.map_err(during())?;
        let after = weights.last().map_or(after, |last| last.seq);
        let rows = db::pack_weight_list(&mut tx, repository, after, PACKS).await.map_err(during())?;
        if rows.is_empty() {
            break;
        }
        weights.extend(rows.into_iter().map(|row| Weight {
            seq: row.seq,
            bytes: row.bytes.0,
            is_condemned: row.condemned.is_some(),
            ..Weight::default()
        }));
    }
    Ok(weights)
}

/// Adds every chunk to the weight of its pack. Gives whether it came to the end.
async fn chunks(
    app: &App,
    held: &Held<'_>,
    row: &mut CollectionRow,
    weights: &mut [Weight],
    count: bool,
) -> Result<bool, AppError> {
    let mut beside = Beside::open(app, row).await?;
    while let Some(page) = beside.page(held).await? {
        for (chunk, is_live) in page {
            if count {
                row.figures.chunks += Count(1);
                row.figures.chunks_live += Count(u64::from(is_live));
            }
            if let Ok(position) = weights.binary_search_by_key(&chunk.pack, |weight| weight.seq) {
                let weight = &mut weights[position];
                weight.total += u64::from(chunk.len);
                weight.live += if is_live { u64::from(chunk.len) } else { 0 };
            }
        }
    }
    Ok(beside.is_done)
}

/// The chunks that something needs of these packs, by pack; of packs that have too many together, none. None when the
/// process ends.
///
/// # Errors
/// As `weigh`.
pub(super) async fn live_of(
    app: &App,
    held: &Held<'_>,
    row: &CollectionRow,
    packs: &[i64],
    chunks_max: usize,
) -> Result<Option<HashMap<i64, HashSet<ChunkId>>>, AppError> {
    let mut live: HashMap<i64, HashSet<ChunkId>> = packs.iter().map(|seq| (*seq, HashSet::new())).collect();
    let mut beside = Beside::open(app, row).await?;
    let mut count = 0;
    while let Some(page) = beside.page(held).await? {
        for (chunk, is_live) in page {
            if let Some(chunks) = live.get_mut(&chunk.pack).filter(|_| is_live) {
                chunks.insert(chunk.id);
                count += 1;
            }
        }
        while count > chunks_max {
            let Some(largest) = live.iter().max_by_key(|(_, chunks)| chunks.len()).map(|(seq, _)| *seq) else { break };
            count -= live.remove(&largest).map_or(0, |chunks| chunks.len());
        }
    }
    Ok(beside.is_done.then_some(live))
}

/// All chunks of a repository, each with whether it is marked.
struct Beside<'a> {
    app: &'a App,
    repository: i64,
    marks: Merged<'a>,
    after: Option<ChunkId>,
    /// Whether all were given; not so when the process ends.
    is_done: bool,
}

impl<'a> Beside<'a> {
    async fn open(app: &'a App, row: &CollectionRow) -> Result<Self, AppError> {
        let segments = segments(app, row, &[Kind::Trees, Kind::Contents]).await?;
        let marks = Merged::open(app, &segments, app.config.collect_memory.0 / 4).await?;
        Ok(Self { app, repository: row.repository, marks, after: None, is_done: false })
    }

    /// The next chunks; None after the last, and when the process ends.
    async fn page(&mut self, held: &Held<'_>) -> Result<Option<Vec<(ChunkWeightRow, bool)>>, AppError> {
        if !held.goes_on(self.app).await? {
            return Ok(None);
        }
        let during = || AppError::db("listing chunks");
        let mut tx = self.app.db.read().await.map_err(during())?;
        let rows = db::chunk_weight_list(&mut tx, self.repository, self.after, PAGE).await.map_err(during())?;
        drop(tx);
        let Some(last) = rows.last() else {
            self.is_done = true;
            return Ok(None);
        };
        self.after = Some(last.id);
        let mut page = Vec::with_capacity(rows.len());
        for row in rows {
            page.push((row, self.marks.has(mark(&row.id)).await?));
        }
        Ok(Some(page))
    }
}

/// Says what becomes of each pack.
async fn judge(
    app: &App,
    held: &Held<'_>,
    row: &mut CollectionRow,
    weights: &[Weight],
    condemn: bool,
    sparse: &mut Vec<Sparse>,
) -> Result<(), AppError> {
    let (mut dead, mut rescued) = (Vec::new(), Vec::new());
    for weight in weights.iter().filter(|weight| weight.seq <= row.pack_last) {
        let figures = &mut row.figures;
        figures.bytes += Size(weight.bytes);
        if weight.live == 0 {
            if !weight.is_condemned {
                dead.push((weight.seq, weight.bytes));
            }
            continue;
        }
        if weight.is_condemned {
            rescued.push(weight.seq);
        }
        let live_permille = (u128::from(weight.live) * 1_000 / u128::from(weight.total)) as u64;
        figures.bytes_waste +=
            Size(weight.bytes - (u128::from(weight.bytes) * u128::from(live_permille) / 1_000) as u64);
        if live_permille < app.config.collect_repack_below * 10 {
            sparse.push(Sparse { seq: weight.seq, live_permille });
        }
    }
    if sparse.len() > 2 * SPARSE_MAX {
        sparse.sort_unstable_by_key(|sparse| sparse.live_permille);
        sparse.truncate(SPARSE_MAX);
    }
    if !condemn {
        row.figures.packs_condemned += Count::of(dead.len());
        row.figures.bytes_condemned += Size(dead.iter().map(|(_, bytes)| bytes).sum());
        return Ok(());
    }
    let during = || AppError::db("condemning packs");
    if !rescued.is_empty() {
        // By the rules none is; what is needed is kept all the same.
        tracing::error!(pack.count = rescued.len(), "{} condemned packs are needed, and are kept", rescued.len());
        let mut tx = app.db.write().await.map_err(during())?;
        db::pack_rescued_update(&mut tx, &rescued).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
    }
    for dead in dead.chunks(PACKS as usize) {
        let seqs: Vec<i64> = dead.iter().map(|(seq, _)| *seq).collect();
        let mut tx = app.db.write().await.map_err(during())?;
        held.need(&mut tx).await?;
        let condemned = db::pack_condemned_update(&mut tx, row.repository, row.number, row.pack_last, &seqs).await;
        let (packs, bytes) = condemned.map_err(during())?;
        tx.commit().await.map_err(during())?;
        row.figures.packs_condemned += packs;
        row.figures.bytes_condemned += bytes;
    }
    Ok(())
}

/// Removes the rows of closed trees that no snapshot needs: beneath one of them something may be condemned. Gives
/// whether it came to the end.
///
/// # Errors
/// As `weigh`.
pub(super) async fn closed_clear(app: &App, held: &Held<'_>, row: &CollectionRow) -> Result<bool, AppError> {
    let during = || AppError::db("removing the rows of closed trees");
    let segments = segments(app, row, &[Kind::Trees]).await?;
    let mut marks = Merged::open(app, &segments, app.config.collect_memory.0 / 4).await?;
    let (mut after, mut unmarked) = (None, Vec::new());
    loop {
        if !held.goes_on(app).await? {
            return Ok(false);
        }
        let mut tx = app.db.read().await.map_err(during())?;
        let page = db::closed_page_list(&mut tx, row.repository, after, row.number, PAGE).await.map_err(during())?;
        drop(tx);
        after = page.last().copied();
        for id in &page {
            if !marks.has(mark(id)).await? {
                unmarked.push(*id);
            }
        }
        let is_last = page.is_empty();
        while unmarked.len() >= CLOSED_MAX || is_last && !unmarked.is_empty() {
            let rest = unmarked.split_off(unmarked.len().min(CLOSED_MAX));
            let mut tx = app.db.write().await.map_err(during())?;
            held.need(&mut tx).await?;
            db::closed_list_remove(&mut tx, row.repository, &unmarked).await.map_err(during())?;
            tx.commit().await.map_err(during())?;
            unmarked = rest;
        }
        if is_last {
            return Ok(true);
        }
    }
}
