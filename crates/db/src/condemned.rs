//! Chunks, closed trees and packs as a collection goes through them: page by page, in the order of their keys.
//! Refuses to decide what may go. What a row of `pack` says of its fate: docs/ordering.md, "Collection".

use crate::batch::{concat, digits};
use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Pair, query, query_of};
use crate::{ChunkRow, DbError, Tx};
use base::{Bytes, Count};
use format::{ChunkId, PackId};

/// What a collection looks at in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkWeightRow {
    /// Its public name.
    pub id: ChunkId,
    /// The number of its pack.
    pub pack: i64,
    /// How long it is.
    pub len: u32,
}

/// What a collection looks at in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackWeightRow {
    /// Its number.
    pub seq: i64,
    /// Its whole length.
    pub bytes: Bytes,
    /// The collection that has condemned it.
    pub condemned: Option<i64>,
}

/// The chunks of a repository with ids after `after`, in the order of their ids, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn chunk_weight_list(
    tx: &mut Tx,
    repository: i64,
    after: Option<ChunkId>,
    limit: u32,
) -> Result<Vec<ChunkWeightRow>, DbError> {
    let rows = query("select id, pack, len from chunk where repository = $1 and id > $2 order by id limit $3")
        .bind(repository)
        .bind(bytes_or_none(after))
        .bind(limit)
        .long()
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list chunks by their names"))?;
    rows.iter()
        .map(|row| {
            let id = ChunkId::from_bytes(row.bytes("id")?);
            Ok(ChunkWeightRow { id, pack: row.int("pack")?, len: row.number("len")? })
        })
        .collect()
}

/// The packs of a repository with numbers above `after`, in their order, at most `limit`; without those that are about
/// to be removed.
///
/// # Errors
/// As the database says.
pub async fn pack_weight_list(
    tx: &mut Tx,
    repository: i64,
    after: i64,
    limit: u32,
) -> Result<Vec<PackWeightRow>, DbError> {
    let rows = query(
        "select seq, bytes, condemned from pack where seq > $2 and repository = $1 and doomed = 0 \
         order by seq limit $3",
    )
    .bind(repository)
    .bind(after)
    .bind(limit)
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list packs by their numbers"))?;
    rows.iter()
        .map(|row| {
            let (bytes, condemned) = (Bytes(row.number("bytes")?), row.number_maybe("condemned")?);
            Ok(PackWeightRow { seq: row.int("seq")?, bytes, condemned })
        })
        .collect()
}

/// Condemns those of `packs` that are not condemned yet, have numbers up to `last`, and do not belong to an open run.
/// Gives how many that were, and their bytes.
///
/// # Errors
/// As the database says.
pub async fn pack_condemned_update(
    tx: &mut Tx,
    repository: i64,
    collection: i64,
    last: i64,
    packs: &[i64],
) -> Result<(Count, Bytes), DbError> {
    let rows = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $5 > 0 union all select i + 1 from n where i + 1 < $5) \
         update pack set condemned = $2 where seq in (select cast(substr($4, i * 12 + 1, 12) as integer) from n) \
         and repository = $1 and seq <= $3 and condemned is null and doomed = 0 and not exists \
         (select 1 from run where run.id = pack.run_id and run.status = 'open') returning bytes",
        postgres: "update pack set condemned = $2 where seq in \
         (select convert_from(substr($4, (i * 12 + 1)::int, 12), 'utf8')::bigint \
         from generate_series(0, $5 - 1) as n (i)) \
         and repository = $1 and seq <= $3 and condemned is null and doomed = 0 and not exists \
         (select 1 from run where run.id = pack.run_id and run.status = 'open') returning bytes",
    })
    .bind(repository)
    .bind(collection)
    .bind(last)
    .bind(digits(packs.iter().map(|seq| u64::try_from(*seq).unwrap_or_default())))
    .bind(packs.len() as i64)
    .long()
    .fetch_all(tx.conn())
    .await
    .map_err(failed("condemn packs"))?;
    let bytes = rows.iter().map(|row| Ok(Bytes(row.number("bytes")?))).collect::<Result<Vec<Bytes>, DbError>>()?;
    Ok((Count::of(bytes.len()), bytes.into_iter().sum()))
}

/// Takes back that packs are condemned, and gives those of them that are there and not about to be removed.
///
/// # Errors
/// As the database says.
pub async fn pack_rescued_update(tx: &mut Tx, packs: &[i64]) -> Result<Vec<i64>, DbError> {
    let mut rescued = Vec::with_capacity(packs.len());
    for seq in packs {
        let done = query("update pack set condemned = null where seq = $1 and doomed = 0").bind(*seq);
        if done.execute(tx.conn()).await.map_err(failed("take back that a pack is condemned"))?.rows_affected() == 1 {
            rescued.push(*seq);
        }
    }
    Ok(rescued)
}

/// Takes back everything that a collection has condemned: it was not finished.
///
/// # Errors
/// As the database says.
pub async fn pack_spared_update(tx: &mut Tx, repository: i64, collection: i64) -> Result<Count, DbError> {
    let done = query("update pack set condemned = null where repository = $1 and condemned = $2 and doomed = 0")
        .bind(repository)
        .bind(collection)
        .long()
        .execute(tx.conn());
    Ok(Count(done.await.map_err(failed("take back what a collection has condemned"))?.rows_affected()))
}

/// Dooms what a collection has condemned: from now on nothing brings it back. Gives how many packs that are.
///
/// # Errors
/// As the database says.
pub async fn pack_doomed_update(tx: &mut Tx, repository: i64, collection: i64) -> Result<Count, DbError> {
    let done = query("update pack set doomed = 1 where repository = $1 and condemned = $2 and doomed = 0")
        .bind(repository)
        .bind(collection)
        .long()
        .execute(tx.conn());
    Ok(Count(done.await.map_err(failed("doom packs"))?.rows_affected()))
}

/// How many packs a collection has condemned that are still there, and their bytes.
///
/// # Errors
/// As the database says.
pub async fn pack_condemned_get(tx: &mut Tx, repository: i64, collection: i64) -> Result<(Count, Bytes), DbError> {
    let row = query(
        "select count(*) as packs, cast(coalesce(sum(bytes), 0) as bigint) as bytes from pack \
         where repository = $1 and condemned = $2",
    )
    .bind(repository)
    .bind(collection);
    let row = row.fetch_one(tx.conn()).await.map_err(failed("count condemned packs"))?;
    Ok((Count(row.number("packs")?), Bytes(row.number("bytes")?)))
}

/// Packs of a collection that are doomed, in the order of their numbers, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn pack_doomed_list(
    tx: &mut Tx,
    repository: i64,
    collection: i64,
    limit: u32,
) -> Result<Vec<(i64, PackId, Bytes)>, DbError> {
    let rows = query(
        "select seq, id, bytes from pack where repository = $1 and condemned = $2 and doomed = 1 order by seq limit $3",
    )
    .bind(repository)
    .bind(collection)
    .bind(limit);
    let rows = rows.fetch_all(tx.conn()).await.map_err(failed("list doomed packs"))?;
    rows.iter()
        .map(|row| Ok((row.int("seq")?, PackId::from_bytes(row.bytes("id")?), Bytes(row.number("bytes")?))))
        .collect()
}

/// Removes the chunks of doomed packs whose ids are from `from` on and, where that is given, below `to`.
///
/// # Errors
/// As the database says.
pub async fn chunk_doomed_remove(
    tx: &mut Tx,
    repository: i64,
    from: [u8; 2],
    to: Option<[u8; 2]>,
) -> Result<Count, DbError> {
    // Longer than any id, so that it is above all of them.
    let to = to.map_or(vec![0xff; 33], |to| to.to_vec());
    let done = query(
        "delete from chunk where repository = $1 and id >= $2 and id < $3 \
         and pack in (select seq from pack where repository = $1 and condemned is not null and doomed = 1)",
    )
    .bind(repository)
    .bind(&from[..])
    .bind(to)
    .long()
    .execute(tx.conn());
    Ok(Count(done.await.map_err(failed("remove the chunks of doomed packs"))?.rows_affected()))
}

/// Says where chunks lie from now on, those of them that are known: in the pack `pack`, each in that frame and at that
/// place. Gives how many rows that were.
///
/// # Errors
/// As the database says.
pub async fn chunk_moved_update(
    tx: &mut Tx,
    repository: i64,
    pack: i64,
    chunks: &[ChunkRow],
) -> Result<Count, DbError> {
    let done = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $5 > 0 union all select i + 1 from n where i + 1 < $5), \
         new (id, frame, at) as (select substr($3, i * 32 + 1, 32), cast(substr($4, i * 24 + 1, 12) as integer), \
         cast(substr($4, i * 24 + 13, 12) as integer) from n) \
         update chunk set pack = $2, frame = new.frame, at = new.at from new \
         where chunk.repository = $1 and chunk.id = new.id",
        postgres: "update chunk set pack = $2, frame = new.frame, at = new.at from ( \
         select substr($3, (i * 32 + 1)::int, 32) as id, \
         convert_from(substr($4, (i * 24 + 1)::int, 12), 'utf8')::bigint as frame, \
         convert_from(substr($4, (i * 24 + 13)::int, 12), 'utf8')::bigint as at \
         from generate_series(0, $5 - 1) as n (i)) as new where chunk.repository = $1 and chunk.id = new.id",
    })
    .bind(repository)
    .bind(pack)
    .bind(concat(chunks.iter().map(|chunk| chunk.id.as_bytes())))
    .bind(digits(chunks.iter().flat_map(|chunk| [u64::from(chunk.frame), u64::from(chunk.at)])))
    .bind(chunks.len() as i64)
    .long()
    .execute(tx.conn());
    Ok(Count(done.await.map_err(failed("say where chunks lie now"))?.rows_affected()))
}

/// Removes a pack of which no chunk is left, with its frames.
///
/// # Errors
/// As the database says.
pub async fn pack_remove(tx: &mut Tx, seq: i64) -> Result<(), DbError> {
    for statement in ["delete from frame where pack = $1", "delete from pack where seq = $1 and doomed = 1"] {
        query(statement).bind(seq).execute(tx.conn()).await.map_err(failed("remove a pack"))?;
    }
    Ok(())
}

/// The closed trees of a repository with ids after `after` that are of an older generation than `generation`, in the
/// order of their ids, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn closed_page_list(
    tx: &mut Tx,
    repository: i64,
    after: Option<ChunkId>,
    generation: i64,
    limit: u32,
) -> Result<Vec<ChunkId>, DbError> {
    let rows =
        query("select id from closed where repository = $1 and id > $2 and generation < $3 order by id limit $4")
            .bind(repository)
            .bind(bytes_or_none(after))
            .bind(generation)
            .bind(limit)
            .long()
            .fetch_all(tx.conn())
            .await
            .map_err(failed("list closed trees by their names"))?;
    rows.iter().map(|row| Ok(ChunkId::from_bytes(row.bytes("id")?))).collect()
}

/// Forgets that these are closed. Gives how many were.
///
/// # Errors
/// As the database says.
pub async fn closed_list_remove(tx: &mut Tx, repository: i64, chunks: &[ChunkId]) -> Result<Count, DbError> {
    let done = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $3 > 0 union all select i + 1 from n where i + 1 < $3) \
         delete from closed where repository = $1 and id in (select substr($2, i * 32 + 1, 32) from n)",
        postgres: "delete from closed where repository = $1 and id in \
         (select substr($2, (i * 32 + 1)::int, 32) from generate_series(0, $3 - 1) as n (i))",
    })
    .bind(repository)
    .bind(concat(chunks.iter().map(ChunkId::as_bytes)))
    .bind(chunks.len() as i64)
    .execute(tx.conn());
    Ok(Count(done.await.map_err(failed("forget some closed trees"))?.rows_affected()))
}

fn bytes_or_none(id: Option<ChunkId>) -> Vec<u8> {
    id.map_or_else(Vec::new, |id| id.as_bytes().to_vec())
}
