//! Rows of `chunk` and `closed`: where each chunk lies, and beneath which trees nothing is missing.
//! Refuses refs: a chunk is known by its id, which claims nothing. All lookups are by the thousand.

use crate::batch::{concat, digits, narrow, numbers};
use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Pair, Row, query, query_of};
use crate::{DbError, Tx};
use base::{Bytes, Count};
use format::{ChunkId, ChunkKind, IndexedChunk, PackIndex, Totals};
use std::ops::Range;

/// A chunk of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRow {
    /// Its public name.
    pub id: ChunkId,
    /// What it holds.
    pub kind: ChunkKind,
    /// The number of its frame in the pack.
    pub frame: u32,
    /// Where it begins in the frame's plain bytes.
    pub at: u32,
    /// How long it is.
    pub len: u32,
}

impl ChunkRow {
    /// The chunks of a pack. Never fails.
    pub fn all(index: &PackIndex) -> Vec<ChunkRow> {
        let row = |(frame, range, chunk): (u32, Range<usize>, &IndexedChunk)| ChunkRow {
            id: chunk.chunk.id(),
            kind: chunk.kind,
            frame,
            at: u32::try_from(range.start).expect("a frame has at most 16 MiB"),
            len: chunk.len,
        };
        index.chunks().map(row).collect()
    }
}

/// Where one of the chunks that were asked for lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The place of its id in the question, from 0.
    pub position: u32,
    /// What it holds.
    pub kind: ChunkKind,
    /// The pack's number.
    pub pack: i64,
    /// The number of its frame in the pack.
    pub frame: u32,
    /// Where it begins in the frame's plain bytes.
    pub at: u32,
    /// How long it is.
    pub len: u32,
}

/// What a closed chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A tree with entries.
    Leaf,
    /// A tree with pages.
    Fan,
    /// A list of pieces.
    List,
}

/// A tree or list beneath which nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedRow {
    /// Its public name.
    pub id: ChunkId,
    /// What it is.
    pub shape: Shape,
    /// What is beneath it: of a list, `entries` counts its pieces and `bytes` what they cover.
    pub totals: Totals,
}

impl Shape {
    /// The word in the table. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Shape::Leaf => "leaf",
            Shape::Fan => "fan",
            Shape::List => "list",
        }
    }
}

/// Makes the chunks of a pack known. One that is known already keeps its row, unless the pack of that row is
/// damaged or condemned. Gives how many rows were new or changed.
///
/// # Errors
/// As the database says.
pub async fn chunk_insert(tx: &mut Tx, repository: i64, pack: i64, chunks: &[ChunkRow]) -> Result<Count, DbError> {
    // In the order of the ids, the rows go into the tree of the table from left to right, not at random.
    let mut sorted = chunks.to_vec();
    sorted.sort_unstable_by_key(|chunk| chunk.id);
    let fields = |chunk: &ChunkRow| [chunk.kind as u64, chunk.frame.into(), chunk.at.into(), chunk.len.into()];
    let done = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $5 > 0 union all select i + 1 from n where i + 1 < $5) \
         insert into chunk (repository, id, kind, pack, frame, at, len) \
         select $1, substr($3, i * 32 + 1, 32), cast(substr($4, i * 48 + 1, 12) as integer), $2, \
         cast(substr($4, i * 48 + 13, 12) as integer), cast(substr($4, i * 48 + 25, 12) as integer), \
         cast(substr($4, i * 48 + 37, 12) as integer) from n where true \
         on conflict (repository, id) do update set \
         kind = excluded.kind, pack = excluded.pack, frame = excluded.frame, at = excluded.at, len = excluded.len \
         where exists (select 1 from pack where pack.seq = chunk.pack \
         and (pack.damaged_at is not null or pack.condemned is not null))",
        postgres: "insert into chunk (repository, id, kind, pack, frame, at, len) \
         select $1, key, number[1], $2, number[2], number[3], number[4] from ( \
         select distinct on (key) substr($3, (i * 32 + 1)::int, 32) as key, array[ \
         convert_from(substr($4, (i * 48 + 1)::int, 12), 'utf8')::bigint, \
         convert_from(substr($4, (i * 48 + 13)::int, 12), 'utf8')::bigint, \
         convert_from(substr($4, (i * 48 + 25)::int, 12), 'utf8')::bigint, \
         convert_from(substr($4, (i * 48 + 37)::int, 12), 'utf8')::bigint] as number \
         from generate_series(0, $5 - 1) as n (i) order by key, i) as new \
         on conflict (repository, id) do update set \
         kind = excluded.kind, pack = excluded.pack, frame = excluded.frame, at = excluded.at, len = excluded.len \
         where exists (select 1 from pack where pack.seq = chunk.pack \
         and (pack.damaged_at is not null or pack.condemned is not null))",
    })
    .bind(repository)
    .bind(pack)
    .bind(concat(sorted.iter().map(|chunk| chunk.id.as_bytes())))
    .bind(digits(sorted.iter().flat_map(fields)))
    .bind(sorted.len() as i64)
    .execute(tx.conn())
    .await
    .map_err(failed("insert the chunks of a pack"))?;
    Ok(Count(done.rows_affected()))
}

/// What there is of chunks that were asked for. One that is in neither list is there, and so is its pack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// The places in the question of those that are not there, or lie in a pack that is damaged or about to be
    /// removed; ascending.
    pub missing: Vec<u32>,
    /// Those that are there, in a pack that is condemned: their places, ascending, and the numbers of the packs.
    pub condemned: Vec<(u32, i64)>,
}

/// What there is of `chunks`.
///
/// # Errors
/// As the database says.
// On SQLite `pack_unfit` knows the packs that are damaged or condemned: the row of a pack is looked at for no other
// chunk, and what a collection has condemned is not listed anew for each question (docs/performance.md).
pub async fn chunk_claim_list(tx: &mut Tx, repository: i64, chunks: &[ChunkId]) -> Result<Claims, DbError> {
    let order = Order::of(chunks.len(), |position| chunks[position]);
    let row = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $3 > 0 union all select i + 1 from n where i + 1 < $3) \
         select group_concat(i || ' ' || case when unfit.seq is null or unfit.damaged_at is not null \
         or unfit.doomed = 1 then 0 else unfit.seq end, ' ') as found from n left join chunk \
         on chunk.repository = $1 and chunk.id = substr($2, i * 32 + 1, 32) \
         left join pack as unfit indexed by pack_unfit on unfit.seq = chunk.pack \
         and (unfit.damaged_at is not null or unfit.condemned is not null) \
         where chunk.pack is null or unfit.seq is not null",
        postgres: "select string_agg(i || ' ' || coalesce((select case when damaged_at is not null or doomed = 1 \
         then 0 else seq end from pack where seq = found.pack), 0), ' ' order by i) as found from (select i, \
         (select pack from chunk where chunk.repository = $1 and chunk.id = substr($2, (i * 32 + 1)::int, 32)) as pack \
         from generate_series(0, $3 - 1) as n (i)) as found where pack is null or exists \
         (select 1 from pack where seq = found.pack and (damaged_at is not null or condemned is not null))",
    })
    .bind(repository)
    .bind(concat(order.0.iter().map(|position| chunks[*position].as_bytes())))
    .bind(chunks.len() as i64)
    .fetch_one(tx.conn())
    .await
    .map_err(failed("list chunks that are missing"))?;
    claims(&row, &order)
}

/// What there is of `chunks` as content of these lengths.
///
/// # Errors
/// As the database says.
pub async fn chunk_content_claim_list(
    tx: &mut Tx,
    repository: i64,
    chunks: &[(ChunkId, u32)],
) -> Result<Claims, DbError> {
    let order = Order::of(chunks.len(), |position| chunks[position].0);
    let row = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $5 > 0 union all select i + 1 from n where i + 1 < $5) \
         select group_concat(i || ' ' || case when unfit.seq is null or unfit.damaged_at is not null \
         or unfit.doomed = 1 then 0 else unfit.seq end, ' ') as found from n left join chunk \
         on chunk.repository = $1 and chunk.id = substr($2, i * 32 + 1, 32) and chunk.kind = $4 \
         and chunk.len = cast(substr($3, i * 12 + 1, 12) as integer) \
         left join pack as unfit indexed by pack_unfit on unfit.seq = chunk.pack \
         and (unfit.damaged_at is not null or unfit.condemned is not null) \
         where chunk.pack is null or unfit.seq is not null",
        postgres: "select string_agg(i || ' ' || coalesce((select case when damaged_at is not null or doomed = 1 \
         then 0 else seq end from pack where seq = found.pack), 0), ' ' order by i) as found from (select i, \
         (select pack \
         from chunk where chunk.repository = $1 and chunk.id = substr($2, (i * 32 + 1)::int, 32) and chunk.kind = $4 \
         and chunk.len = convert_from(substr($3, (i * 12 + 1)::int, 12), 'utf8')::bigint) as pack \
         from generate_series(0, $5 - 1) as n (i)) as found where pack is null or exists \
         (select 1 from pack where seq = found.pack and (damaged_at is not null or condemned is not null))",
    })
    .bind(repository)
    .bind(concat(order.0.iter().map(|position| chunks[*position].0.as_bytes())))
    .bind(digits(order.0.iter().map(|position| u64::from(chunks[*position].1))))
    .bind(i64::from(ChunkKind::Content as u8))
    .bind(chunks.len() as i64)
    .fetch_one(tx.conn())
    .await
    .map_err(failed("list content that is missing"))?;
    claims(&row, &order)
}

/// Where `chunks` lie, for those that are there, damaged packs included; in ascending order of their places in the
/// list.
///
/// # Errors
/// As the database says.
pub async fn chunk_list(tx: &mut Tx, repository: i64, chunks: &[ChunkId]) -> Result<Vec<Place>, DbError> {
    let row = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $3 > 0 union all select i + 1 from n where i + 1 < $3) \
         select group_concat(i || ' ' || kind || ' ' || pack || ' ' || frame || ' ' || at || ' ' || len, ' ') as found \
         from n cross join chunk \
         where chunk.repository = $1 and chunk.id = substr($2, i * 32 + 1, 32)",
        postgres: "select string_agg(concat_ws(' ', i, kind, pack, frame, at, len), ' ' order by i) as found \
         from generate_series(0, $3 - 1) as n (i) \
         join chunk on chunk.repository = $1 and chunk.id = substr($2, (i * 32 + 1)::int, 32)",
    })
    .bind(repository)
    .bind(concat(chunks.iter().map(ChunkId::as_bytes)))
    .bind(chunks.len() as i64)
    .fetch_one(tx.conn())
    .await
    .map_err(failed("list the places of chunks"))?;
    numbers(&row)?.into_iter().map(place).collect()
}

/// The same for those that lie in a pack that is neither marked as damaged nor about to be removed; with each, whether
/// its pack is condemned.
///
/// # Errors
/// As the database says.
pub async fn chunk_whole_list(tx: &mut Tx, repository: i64, chunks: &[ChunkId]) -> Result<Vec<(Place, bool)>, DbError> {
    let row = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $3 > 0 union all select i + 1 from n where i + 1 < $3) \
         select group_concat(i || ' ' || kind || ' ' || pack || ' ' || frame || ' ' || at || ' ' || len || ' ' || \
         (pack.condemned is not null), ' ') as found from n cross join chunk cross join pack on pack.seq = chunk.pack \
         where chunk.repository = $1 and chunk.id = substr($2, i * 32 + 1, 32) and pack.damaged_at is null \
         and pack.doomed = 0",
        postgres: "select string_agg(concat_ws(' ', i, kind, pack, frame, at, len, (pack.condemned is not null)::int), \
         ' ' order by i) as found from generate_series(0, $3 - 1) as n (i) \
         join chunk on chunk.repository = $1 and chunk.id = substr($2, (i * 32 + 1)::int, 32) \
         join pack on pack.seq = chunk.pack and pack.damaged_at is null and pack.doomed = 0",
    })
    .bind(repository)
    .bind(concat(chunks.iter().map(ChunkId::as_bytes)))
    .bind(chunks.len() as i64)
    .fetch_one(tx.conn())
    .await
    .map_err(failed("list the places of whole chunks"))?;
    let read = |[position, kind, pack, frame, at, len, condemned]: [i64; 7]| {
        Ok((place([position, kind, pack, frame, at, len])?, condemned != 0))
    };
    numbers(&row)?.into_iter().map(read).collect()
}

/// How many rows point into each pack, by the pack's number, ascending; one whole pass over the table.
///
/// # Errors
/// As the database says.
pub async fn chunk_count_list(tx: &mut Tx) -> Result<Vec<(i64, Count)>, DbError> {
    let rows = query("select pack, count(*) as chunks from chunk group by pack order by pack");
    let rows = rows.fetch_all(tx.conn()).await.map_err(failed("count the chunks of packs"))?;
    rows.iter().map(|row| Ok((row.int("pack")?, Count(row.number("chunks")?)))).collect()
}

/// Which of `chunks` are closed, with their places in the list, ascending; without those that are hidden.
///
/// # Errors
/// As the database says.
pub async fn closed_list(tx: &mut Tx, repository: i64, chunks: &[ChunkId]) -> Result<Vec<(u32, ClosedRow)>, DbError> {
    let rows = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $3 > 0 union all select i + 1 from n where i + 1 < $3) \
         select i, closed.* from n cross join closed \
         where closed.repository = $1 and closed.id = substr($2, i * 32 + 1, 32) \
         and closed.generation <> (select hidden from repository where seq = $1)",
        postgres: "select i, closed.* from generate_series(0, $3 - 1) as n (i) \
         join closed on closed.repository = $1 and closed.id = substr($2, (i * 32 + 1)::int, 32) \
         and closed.generation <> (select hidden from repository where seq = $1)",
    })
    .bind(repository)
    .bind(concat(chunks.iter().map(ChunkId::as_bytes)))
    .bind(chunks.len() as i64)
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list closed trees"))?;
    let mut closed = rows
        .iter()
        .map(|row| Ok((row.number("i")?, read_closed(row)?)))
        .collect::<Result<Vec<(u32, ClosedRow)>, DbError>>()?;
    closed.sort_unstable_by_key(|(position, _)| *position);
    Ok(closed)
}

/// Makes trees and lists known as closed, under the repository's generation; one that is known already, and not hidden,
/// keeps its row.
///
/// # Errors
/// As the database says.
pub async fn closed_insert(tx: &mut Tx, repository: i64, closed: &[ClosedRow]) -> Result<(), DbError> {
    for shape in [Shape::Leaf, Shape::Fan, Shape::List] {
        let mut rows: Vec<&ClosedRow> = closed.iter().filter(|closed| closed.shape == shape).collect();
        rows.sort_unstable_by_key(|closed| closed.id);
        if !rows.is_empty() {
            closed_insert_shape(tx, repository, shape, &rows).await?;
        }
    }
    Ok(())
}

/// Forgets what is closed in a repository: a pack of it is damaged, so that the next commits look at everything.
///
/// # Errors
/// As the database says.
pub async fn closed_remove(tx: &mut Tx, repository: i64) -> Result<Count, DbError> {
    let done = query("delete from closed where repository = $1").bind(repository);
    let done = done.execute(tx.conn()).await.map_err(failed("forget closed trees"))?;
    Ok(Count(done.rows_affected()))
}

async fn closed_insert_shape(tx: &mut Tx, repository: i64, shape: Shape, rows: &[&ClosedRow]) -> Result<(), DbError> {
    // Totals may have more digits than a batch's numbers have: they are bound as bytes and read as a text of 20.
    let totals = |closed: &&ClosedRow| [closed.totals.entries.0, closed.totals.files.0, closed.totals.bytes.0];
    let wide: String = rows.iter().flat_map(totals).map(|n| std::format!("{:020}", int(n))).collect();
    query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $5 > 0 union all select i + 1 from n where i + 1 < $5) \
         insert into closed (repository, id, shape, entries, files, bytes, generation) \
         select $1, substr($2, i * 32 + 1, 32), $4, cast(substr($3, i * 60 + 1, 20) as integer), \
         cast(substr($3, i * 60 + 21, 20) as integer), cast(substr($3, i * 60 + 41, 20) as integer), \
         (select generation from repository where seq = $1) from n where true \
         on conflict (repository, id) do update set generation = excluded.generation \
         where closed.generation = (select hidden from repository where seq = $1)",
        postgres: "insert into closed (repository, id, shape, entries, files, bytes, generation) \
         select $1, substr($2, (i * 32 + 1)::int, 32), $4, \
         convert_from(substr($3, (i * 60 + 1)::int, 20), 'utf8')::bigint, \
         convert_from(substr($3, (i * 60 + 21)::int, 20), 'utf8')::bigint, \
         convert_from(substr($3, (i * 60 + 41)::int, 20), 'utf8')::bigint, \
         (select generation from repository where seq = $1) from generate_series(0, $5 - 1) as n (i) \
         on conflict (repository, id) do update set generation = excluded.generation \
         where closed.generation = (select hidden from repository where seq = $1)",
    })
    .bind(repository)
    .bind(concat(rows.iter().map(|closed| closed.id.as_bytes())))
    .bind(wide.into_bytes())
    .bind(shape.word())
    .bind(rows.len() as i64)
    .execute(tx.conn())
    .await
    .map_err(failed("insert closed trees"))?;
    Ok(())
}

/// The places of a question in the order of the names: so the index is gone through from left to right.
struct Order(Vec<usize>);

impl Order {
    fn of(len: usize, id: impl Fn(usize) -> ChunkId) -> Self {
        let mut order: Vec<usize> = (0..len).collect();
        order.sort_unstable_by_key(|position| id(*position));
        Self(order)
    }
}

/// The pairs of a place in the sorted question and a pack: 0 for a chunk that is missing.
fn claims(row: &Row, order: &Order) -> Result<Claims, DbError> {
    let mut claims = Claims::default();
    for [place, pack] in numbers(row)? {
        let position = usize::try_from(place).ok().and_then(|place| order.0.get(place).copied());
        let position = position.and_then(|position| u32::try_from(position).ok());
        let position = position.ok_or(DbError::Column { column: "found", what: "the places of the question" })?;
        match pack {
            0 => claims.missing.push(position),
            pack => claims.condemned.push((position, pack)),
        }
    }
    claims.missing.sort_unstable();
    claims.condemned.sort_unstable();
    Ok(claims)
}

fn place([position, kind, pack, frame, at, len]: [i64; 6]) -> Result<Place, DbError> {
    let kind = u8::try_from(kind).ok().and_then(ChunkKind::from_u8);
    Ok(Place {
        position: narrow(position)?,
        kind: kind.ok_or(DbError::Column { column: "kind", what: "the kinds of chunks" })?,
        pack,
        frame: narrow(frame)?,
        at: narrow(at)?,
        len: narrow(len)?,
    })
}

fn read_closed(row: &Row) -> Result<ClosedRow, DbError> {
    let shape = match row.try_get("shape").map_err(failed("read a closed tree"))? {
        "leaf" => Shape::Leaf,
        "fan" => Shape::Fan,
        "list" => Shape::List,
        _ => return Err(DbError::Column { column: "shape", what: "the shapes of closed chunks" }),
    };
    let totals = Totals {
        entries: Count(row.number("entries")?),
        files: Count(row.number("files")?),
        bytes: Bytes(row.number("bytes")?),
    };
    Ok(ClosedRow { id: ChunkId::from_bytes(row.bytes("id")?), shape, totals })
}

#[cfg(test)]
mod tests;
