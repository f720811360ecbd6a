//! Rows of `collection`: how far each collection of a repository is, and what it found. Also the snapshots in the order
//! in which they are marked, and the runs that a removal waits for.
//! Refuses to decide what comes next: that is app's `collect`.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{Bytes, Count, DeviceId, RunId, SnapshotId, Timestamp};
use format::ChunkId;

/// A collection of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionRow {
    /// The repository's number.
    pub repository: i64,
    /// Its number: the generation that it began.
    pub number: i64,
    /// The run under whose keys it packs: no device begins it.
    pub run: RunId,
    /// What it does now.
    pub phase: CollectionPhase,
    /// When it began.
    pub begun_at: Timestamp,
    /// Since when it is in this phase.
    pub phase_at: Timestamp,
    /// The newest snapshot when it began: those up to this are marked device by device.
    pub snapshot_first: i64,
    /// The device of the last one that was marked of those; `None` before the first, and after the last.
    pub device_done: Option<DeviceId>,
    /// The last snapshot that was marked: of that device, or of all.
    pub snapshot_done: i64,
    /// The newest snapshot when this phase began.
    pub snapshot_last: i64,
    /// Packs up to this one may be condemned.
    pub pack_last: i64,
    /// How many parts of the table of chunks removal is through.
    pub part: u32,
    /// What it found and did.
    pub figures: CollectionFigures,
}

/// What a collection found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectionFigures {
    /// Snapshots that were marked.
    pub snapshots: Count,
    /// Trees that could not be read.
    pub flaws: Count,
    /// Chunks that are known.
    pub chunks: Count,
    /// Those of them that a snapshot needs.
    pub chunks_live: Count,
    /// Bytes of all packs.
    pub bytes: Bytes,
    /// Packs that were condemned.
    pub packs_condemned: Count,
    /// Their bytes.
    pub bytes_condemned: Bytes,
    /// Bytes, about, that nothing needs in packs that stay.
    pub bytes_waste: Bytes,
    /// Packs of which the living part was put into new ones.
    pub packs_repacked: Count,
    /// Packs that were removed.
    pub packs_removed: Count,
    /// Their bytes.
    pub bytes_removed: Bytes,
}

/// What a collection does. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CollectionPhase {
    /// Follows snapshots to everything that they need.
    Mark,
    /// Does the same for what was committed since it began.
    Later,
    /// Compares that with what there is, and condemns packs of which nothing is needed.
    Weigh,
    /// Marks what was committed while it did so, and takes back what that needs.
    Settle,
    /// Waits for the end of the grace and of the runs that began before.
    Wait,
    /// Removes what is still condemned.
    Remove,
    /// Done.
    Ended,
    /// Given up: nothing that it has condemned is so any more.
    Abandoned,
}

impl CollectionPhase {
    /// Every phase, in their order.
    pub const ALL: [CollectionPhase; 8] = [
        CollectionPhase::Mark,
        CollectionPhase::Later,
        CollectionPhase::Weigh,
        CollectionPhase::Settle,
        CollectionPhase::Wait,
        CollectionPhase::Remove,
        CollectionPhase::Ended,
        CollectionPhase::Abandoned,
    ];

    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            CollectionPhase::Mark => "mark",
            CollectionPhase::Later => "later",
            CollectionPhase::Weigh => "weigh",
            CollectionPhase::Settle => "settle",
            CollectionPhase::Wait => "wait",
            CollectionPhase::Remove => "remove",
            CollectionPhase::Ended => "ended",
            CollectionPhase::Abandoned => "abandoned",
        }
    }
}

impl CollectionRow {
    /// A collection that begins, where these are the newest snapshot and the newest pack. Never fails.
    pub fn new(repository: i64, number: i64, run: RunId, now: Timestamp, (snapshot, pack): (i64, i64)) -> Self {
        Self {
            repository,
            number,
            run,
            phase: CollectionPhase::Mark,
            begun_at: now,
            phase_at: now,
            snapshot_first: snapshot,
            device_done: None,
            snapshot_done: 0,
            snapshot_last: 0,
            pack_last: pack,
            part: 0,
            figures: CollectionFigures::default(),
        }
    }
}

/// A segment of marks that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRow {
    /// What it is of: `trees` or `contents`.
    pub kind: String,
    /// The name of its object.
    pub name: String,
    /// How many marks it has.
    pub marks: Count,
}

/// A snapshot that is to be marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRootRow {
    /// Its number.
    pub seq: i64,
    /// Its name.
    pub id: SnapshotId,
    /// Whose it is.
    pub device: DeviceId,
    /// The public name of its root tree.
    pub root: ChunkId,
    /// Its logical bytes.
    pub bytes: Bytes,
}

/// A run that a removal waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunAwaitedRow {
    /// Which.
    pub run: RunId,
    /// Whose.
    pub device: DeviceId,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it lives without another request.
    pub lease_until: Timestamp,
}

/// Adds a collection.
///
/// # Errors
/// Constraint when the repository has one of that number.
pub async fn collection_insert(tx: &mut Tx, row: &CollectionRow) -> Result<(), DbError> {
    query(
        "insert into collection (repository, number, run_id, phase, begun_at, phase_at, snapshot_first, snapshot_done, \
         pack_last) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(row.repository)
    .bind(row.number)
    .bind(&row.run.as_bytes()[..])
    .bind(row.phase.word())
    .bind(row.begun_at.as_ms())
    .bind(row.phase_at.as_ms())
    .bind(row.snapshot_first)
    .bind(row.snapshot_done)
    .bind(row.pack_last)
    .execute(tx.conn())
    .await
    .map_err(failed("insert a collection"))?;
    Ok(())
}

/// Keeps how far a collection is and what it found.
///
/// # Errors
/// As the database says.
pub async fn collection_update(tx: &mut Tx, row: &CollectionRow) -> Result<(), DbError> {
    let figures = &row.figures;
    query(
        "update collection set phase = $3, phase_at = $4, device_done = $5, snapshot_done = $6, snapshot_last = $7, \
         part = $8, run_id = $9, snapshots = $10, chunks = $11, chunks_live = $12, bytes = $13, \
         packs_condemned = $14, bytes_condemned = $15, bytes_waste = $16, packs_repacked = $17, packs_removed = $18, \
         bytes_removed = $19, flaws = $20 where repository = $1 and number = $2",
    )
    .bind(row.repository)
    .bind(row.number)
    .bind(row.phase.word())
    .bind(row.phase_at.as_ms())
    .bind(row.device_done.as_ref().map(|device| &device.as_bytes()[..]))
    .bind(row.snapshot_done)
    .bind(row.snapshot_last)
    .bind(row.part)
    .bind(&row.run.as_bytes()[..])
    .bind(int(figures.snapshots.0))
    .bind(int(figures.chunks.0))
    .bind(int(figures.chunks_live.0))
    .bind(int(figures.bytes.0))
    .bind(int(figures.packs_condemned.0))
    .bind(int(figures.bytes_condemned.0))
    .bind(int(figures.bytes_waste.0))
    .bind(int(figures.packs_repacked.0))
    .bind(int(figures.packs_removed.0))
    .bind(int(figures.bytes_removed.0))
    .bind(int(figures.flaws.0))
    .execute(tx.conn())
    .await
    .map_err(failed("keep how far a collection is"))?;
    Ok(())
}

/// The collection of that number.
///
/// # Errors
/// As the database says.
pub async fn collection_get(tx: &mut Tx, repository: i64, number: i64) -> Result<Option<CollectionRow>, DbError> {
    let row = query("select * from collection where repository = $1 and number = $2").bind(repository).bind(number);
    row.fetch_optional(tx.conn()).await.map_err(failed("get a collection"))?.as_ref().map(read).transpose()
}

/// The collection that packs under the keys of this run.
///
/// # Errors
/// As the database says.
pub async fn collection_get_by_run(tx: &mut Tx, run: RunId) -> Result<Option<CollectionRow>, DbError> {
    let row = query("select * from collection where run_id = $1").bind(&run.as_bytes()[..]);
    row.fetch_optional(tx.conn()).await.map_err(failed("get a collection by its run"))?.as_ref().map(read).transpose()
}

/// Adds segments to those of a collection.
///
/// # Errors
/// As the database says.
pub async fn segment_insert(
    tx: &mut Tx,
    repository: i64,
    collection: i64,
    segments: &[SegmentRow],
) -> Result<(), DbError> {
    for segment in segments {
        query(
            "insert into segment (repository, collection, number, kind, name, marks) values ($1, $2, \
             (select coalesce(max(number), 0) + 1 from segment where repository = $1 and collection = $2), $3, $4, $5)",
        )
        .bind(repository)
        .bind(collection)
        .bind(&segment.kind)
        .bind(&segment.name)
        .bind(int(segment.marks.0))
        .execute(tx.conn())
        .await
        .map_err(failed("insert a segment of marks"))?;
    }
    Ok(())
}

/// The segments of a collection, in the order in which they were written.
///
/// # Errors
/// As the database says.
pub async fn segment_list(tx: &mut Tx, repository: i64, collection: i64) -> Result<Vec<SegmentRow>, DbError> {
    let rows = query("select * from segment where repository = $1 and collection = $2 order by number")
        .bind(repository)
        .bind(collection);
    let rows = rows.fetch_all(tx.conn()).await.map_err(failed("list the segments of a collection"))?;
    let read = |row: &Row| {
        Ok(SegmentRow { kind: row.text("kind")?, name: row.text("name")?, marks: Count(row.number("marks")?) })
    };
    rows.iter().map(read).collect()
}

/// Removes the segments of a collection: its marks are not needed any more.
///
/// # Errors
/// As the database says.
pub async fn segment_remove(tx: &mut Tx, repository: i64, collection: i64) -> Result<(), DbError> {
    let done = query("delete from segment where repository = $1 and collection = $2").bind(repository).bind(collection);
    done.execute(tx.conn()).await.map_err(failed("remove the segments of a collection"))?;
    Ok(())
}

/// The collections of a repository, the newest first, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn collection_list(tx: &mut Tx, repository: i64, limit: u32) -> Result<Vec<CollectionRow>, DbError> {
    let rows = query("select * from collection where repository = $1 order by number desc limit $2")
        .bind(repository)
        .bind(limit);
    rows.fetch_all(tx.conn()).await.map_err(failed("list collections"))?.iter().map(read).collect()
}

/// The collections of a repository that have not ended, the oldest first.
///
/// # Errors
/// As the database says.
pub async fn collection_list_open(tx: &mut Tx, repository: i64) -> Result<Vec<CollectionRow>, DbError> {
    let rows =
        query("select * from collection where repository = $1 and phase not in ('ended', 'abandoned') order by number")
            .bind(repository);
    rows.fetch_all(tx.conn()).await.map_err(failed("list collections under way"))?.iter().map(read).collect()
}

/// The numbers of the newest snapshot and the newest pack there are; 0 where there is none.
///
/// # Errors
/// As the database says.
pub async fn collection_bounds_get(tx: &mut Tx) -> Result<(i64, i64), DbError> {
    let row = query(
        "select (select coalesce(max(seq), 0) from snapshot) as snapshot, \
         (select coalesce(max(seq), 0) from pack) as pack",
    );
    let row = row.fetch_one(tx.conn()).await.map_err(failed("read the newest numbers"))?;
    Ok((row.int("snapshot")?, row.int("pack")?))
}

/// The snapshots of a repository up to number `last`, device by device, after that of `after`, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn snapshot_root_list(
    tx: &mut Tx,
    repository: i64,
    after: Option<(DeviceId, i64)>,
    last: i64,
    limit: u32,
) -> Result<Vec<SnapshotRootRow>, DbError> {
    let (device, seq) = after.map_or((Vec::new(), 0), |(device, seq)| (device.as_bytes().to_vec(), seq));
    let rows = query(
        "select seq, id, device_id, root_id, bytes from snapshot \
         where repository = $1 and (device_id, seq) > ($2, $3) and seq <= $4 order by device_id, seq limit $5",
    )
    .bind(repository)
    .bind(device)
    .bind(seq)
    .bind(last)
    .bind(limit);
    rows.fetch_all(tx.conn()).await.map_err(failed("list snapshots by device"))?.iter().map(read_root).collect()
}

/// The snapshots of a repository with numbers above `after` up to `last`, in their order, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn snapshot_root_list_by_seq(
    tx: &mut Tx,
    repository: i64,
    after: i64,
    last: i64,
    limit: u32,
) -> Result<Vec<SnapshotRootRow>, DbError> {
    let rows = query(
        "select seq, id, device_id, root_id, bytes from snapshot \
         where repository = $1 and seq > $2 and seq <= $3 order by seq limit $4",
    )
    .bind(repository)
    .bind(after)
    .bind(last)
    .bind(limit);
    rows.fetch_all(tx.conn()).await.map_err(failed("list later snapshots"))?.iter().map(read_root).collect()
}

/// Ends every run whose lease has passed, and those that began after `last`, which a clock that was ahead has said.
/// Gives how many.
///
/// # Errors
/// As the database says.
pub async fn run_expired_update(tx: &mut Tx, now: Timestamp, last: Timestamp) -> Result<Count, DbError> {
    let done = query(
        "update run set status = 'aborted', ended_at = $1 \
         where status = 'open' and (lease_until <= $1 or began_at > $2)",
    )
    .bind(now.as_ms())
    .bind(last.as_ms())
    .long()
    .execute(tx.conn());
    Ok(Count(done.await.map_err(failed("end runs whose lease has passed"))?.rows_affected()))
}

/// How many open runs of a repository began up to that generation and have a lease at `now`, and the oldest of them.
///
/// # Errors
/// As the database says.
pub async fn run_awaited_get(
    tx: &mut Tx,
    repository: i64,
    generation: i64,
    now: Timestamp,
) -> Result<(Count, Option<RunAwaitedRow>), DbError> {
    let op = "list runs that a removal waits for";
    let row = query(
        "select count(*) as runs from run where repository = $1 and generation <= $2 and status = 'open' \
         and lease_until > $3",
    )
    .bind(repository)
    .bind(generation)
    .bind(now.as_ms());
    let count = Count(row.fetch_one(tx.conn()).await.map_err(failed(op))?.number("runs")?);
    let row = query(
        "select id, device_id, began_at, lease_until from run where repository = $1 and generation <= $2 \
         and status = 'open' and lease_until > $3 order by began_at limit 1",
    )
    .bind(repository)
    .bind(generation)
    .bind(now.as_ms());
    let row = row.fetch_optional(tx.conn()).await.map_err(failed(op))?;
    let read = |row: Row| {
        Ok(RunAwaitedRow {
            run: RunId::from_bytes(row.bytes("id")?),
            device: DeviceId::from_bytes(row.bytes("device_id")?),
            began_at: row.time("began_at")?,
            lease_until: row.time("lease_until")?,
        })
    };
    Ok((count, row.map(read).transpose()?))
}

fn read(row: &Row) -> Result<CollectionRow, DbError> {
    let word = row.text("phase")?;
    let phase = CollectionPhase::ALL.into_iter().find(|phase| phase.word() == word);
    let figures = CollectionFigures {
        snapshots: Count(row.number("snapshots")?),
        flaws: Count(row.number("flaws")?),
        chunks: Count(row.number("chunks")?),
        chunks_live: Count(row.number("chunks_live")?),
        bytes: Bytes(row.number("bytes")?),
        packs_condemned: Count(row.number("packs_condemned")?),
        bytes_condemned: Bytes(row.number("bytes_condemned")?),
        bytes_waste: Bytes(row.number("bytes_waste")?),
        packs_repacked: Count(row.number("packs_repacked")?),
        packs_removed: Count(row.number("packs_removed")?),
        bytes_removed: Bytes(row.number("bytes_removed")?),
    };
    Ok(CollectionRow {
        repository: row.int("repository")?,
        number: row.int("number")?,
        run: RunId::from_bytes(row.bytes("run_id")?),
        phase: phase.ok_or(DbError::Column { column: "phase", what: "the phases of a collection" })?,
        begun_at: row.time("begun_at")?,
        phase_at: row.time("phase_at")?,
        snapshot_first: row.int("snapshot_first")?,
        device_done: row.bytes_maybe("device_done")?.map(DeviceId::from_bytes),
        snapshot_done: row.int("snapshot_done")?,
        snapshot_last: row.int("snapshot_last")?,
        pack_last: row.int("pack_last")?,
        part: row.number("part")?,
        figures,
    })
}

fn read_root(row: &Row) -> Result<SnapshotRootRow, DbError> {
    Ok(SnapshotRootRow {
        seq: row.int("seq")?,
        id: SnapshotId::from_bytes(row.bytes("id")?),
        device: DeviceId::from_bytes(row.bytes("device_id")?),
        root: ChunkId::from_bytes(row.bytes("root_id")?),
        bytes: Bytes(row.number("bytes")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_collection_reads_back_as_it_was_kept() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let (run, now) = (RunId::from_bytes([7; 16]), Timestamp::from_ms(1));
            let row = |number| CollectionRow::new(testing::REPOSITORY, number, run, now, (3, 4));
            let (first, second) = (row(2), row(4));
            collection_insert(&mut tx, &first).await.expect("new");
            collection_insert(&mut tx, &second).await.expect("new");
            for phase in CollectionPhase::ALL {
                let figures = CollectionFigures {
                    snapshots: Count(1),
                    flaws: Count(11),
                    chunks: Count(2),
                    chunks_live: Count(3),
                    bytes: Bytes(4),
                    packs_condemned: Count(5),
                    bytes_condemned: Bytes(6),
                    bytes_waste: Bytes(7),
                    packs_repacked: Count(8),
                    packs_removed: Count(9),
                    bytes_removed: Bytes(10),
                };
                let (device_done, snapshot_done, snapshot_last) = (Some(testing::DEVICE), 5, 6);
                let row = CollectionRow {
                    phase,
                    device_done,
                    snapshot_done,
                    snapshot_last,
                    part: 8,
                    figures,
                    ..first.clone()
                };
                collection_update(&mut tx, &row).await.expect("writable");
                let kept = collection_get(&mut tx, testing::REPOSITORY, 2).await.expect("readable");
                assert_eq!(kept, Some(row.clone()));
                let open = collection_list_open(&mut tx, testing::REPOSITORY).await.expect("readable");
                let is_over = matches!(phase, CollectionPhase::Ended | CollectionPhase::Abandoned);
                assert_eq!(open.len(), if is_over { 1 } else { 2 });
                let all = collection_list(&mut tx, testing::REPOSITORY, 9).await.expect("readable");
                assert_eq!(all, [second.clone(), row]);
            }
            assert_eq!(collection_bounds_get(&mut tx).await.expect("readable"), (0, 0));
            let by_run = collection_get_by_run(&mut tx, RunId::from_bytes([8; 16])).await.expect("readable");
            assert_eq!(by_run, None);
            let segment =
                |n: u64| SegmentRow { kind: "trees".to_owned(), name: format!("collect/{n}"), marks: Count(n) };
            let segments: Vec<SegmentRow> = [3, 1, 2].map(segment).into();
            for segment in &segments {
                let one = std::slice::from_ref(segment);
                segment_insert(&mut tx, testing::REPOSITORY, 2, one).await.expect("writable");
            }
            assert_eq!(segment_list(&mut tx, testing::REPOSITORY, 2).await.expect("readable"), segments);
            assert_eq!(segment_list(&mut tx, testing::REPOSITORY, 4).await.expect("readable"), []);
            segment_remove(&mut tx, testing::REPOSITORY, 2).await.expect("writable");
            assert_eq!(segment_list(&mut tx, testing::REPOSITORY, 2).await.expect("readable"), []);
        }
    }
}
