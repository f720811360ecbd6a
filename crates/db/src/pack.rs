//! Rows of `pack` and `frame`: which objects hold chunks, and where in them each frame lies.
//! Refuses to know what is in a frame: see `chunk`.

use crate::batch::{concat, digits, positions};
use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Pair, Row, query, query_of};
use crate::{DbError, Tx};
use base::{Bytes, Count, RunId, Timestamp};
use format::{FrameEntry, PackId, PackIndex};

/// A pack that is durable and about to be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackNew {
    /// Its name.
    pub id: PackId,
    /// The repository's number.
    pub repository: i64,
    /// The run that sent it.
    pub run: RunId,
    /// Its whole length.
    pub bytes: Bytes,
    /// Its first 64 bytes.
    pub header: [u8; 64],
    /// The server's clock.
    pub created_at: Timestamp,
}

/// A pack as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRow {
    /// Its number.
    pub seq: i64,
    /// What it was taken in as.
    pub new: PackNew,
    /// How many of its chunks were new to the repository.
    pub chunks_new: Count,
    /// When its object was found absent or wrong.
    pub damaged_at: Option<Timestamp>,
    /// Is it about to be removed?
    pub doomed: bool,
}

/// One frame of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRow {
    /// Its number in the pack, from 0.
    pub number: u32,
    /// The codec's number.
    pub codec: u8,
    /// Where its sealed bytes begin in the object.
    pub at: u64,
    /// How many sealed bytes there are, tag included.
    pub sealed_len: u32,
    /// How many bytes it gives once opened.
    pub plain_len: u32,
}

impl FrameRow {
    /// The frames of a pack. Never fails.
    pub fn all(index: &PackIndex) -> Vec<FrameRow> {
        let row = |(number, entry): (u32, &FrameEntry)| FrameRow {
            number,
            codec: entry.codec as u8,
            at: entry.offset,
            sealed_len: entry.sealed_len,
            plain_len: entry.plain_len,
        };
        (0..).zip(index.frames()).map(row).collect()
    }
}

/// Adds a pack and gives its number.
///
/// # Errors
/// Constraint when a pack of that name is known.
pub async fn pack_insert(tx: &mut Tx, pack: &PackNew) -> Result<i64, DbError> {
    let row = query(
        "insert into pack (id, repository, run_id, bytes, header, chunks_new, created_at) \
         values ($1, $2, $3, $4, $5, 0, $6) returning seq",
    )
    .bind(&pack.id.as_bytes()[..])
    .bind(pack.repository)
    .bind(&pack.run.as_bytes()[..])
    .bind(int(pack.bytes.0))
    .bind(&pack.header[..])
    .bind(pack.created_at.as_ms())
    .fetch_one(tx.conn())
    .await
    .map_err(failed("insert a pack"))?;
    row.int("seq")
}

/// The pack with this name.
///
/// # Errors
/// As the database says.
pub async fn pack_get(tx: &mut Tx, pack: PackId) -> Result<Option<PackRow>, DbError> {
    let row = query("select * from pack where id = $1").bind(&pack.as_bytes()[..]);
    row.fetch_optional(tx.conn()).await.map_err(failed("get a pack"))?.as_ref().map(read).transpose()
}

/// The pack with this number.
///
/// # Errors
/// As the database says.
pub async fn pack_get_by_seq(tx: &mut Tx, seq: i64) -> Result<Option<PackRow>, DbError> {
    let row = query("select * from pack where seq = $1").bind(seq);
    row.fetch_optional(tx.conn()).await.map_err(failed("get a pack by its number"))?.as_ref().map(read).transpose()
}

/// The packs with numbers above `after`, in their order, at most `limit`; without those that are about to be removed.
///
/// # Errors
/// As the database says.
pub async fn pack_list(tx: &mut Tx, after: i64, limit: u32) -> Result<Vec<PackRow>, DbError> {
    let rows = query("select * from pack where seq > $1 and doomed = 0 order by seq limit $2").bind(after).bind(limit);
    rows.fetch_all(tx.conn()).await.map_err(failed("list packs"))?.iter().map(read).collect()
}

/// The packs with names after `after`, in the order of the names, at most `limit`; without those that are about to be
/// removed.
///
/// # Errors
/// As the database says.
pub async fn pack_list_by_id(tx: &mut Tx, after: Option<PackId>, limit: u32) -> Result<Vec<PackRow>, DbError> {
    let rows = query("select * from pack where id > $1 and doomed = 0 order by id limit $2")
        .bind(after.map_or_else(Vec::new, |after| after.as_bytes().to_vec()))
        .bind(limit);
    let rows = rows.fetch_all(tx.conn()).await.map_err(failed("list packs by their names"))?;
    rows.iter().map(read).collect()
}

/// How many packs there are.
///
/// # Errors
/// As the database says.
pub async fn pack_count_get(tx: &mut Tx) -> Result<Count, DbError> {
    let row = query("select count(*) as packs from pack");
    let row = row.fetch_one(tx.conn()).await.map_err(failed("count packs"))?;
    Ok(Count(row.number("packs")?))
}

/// Which of `packs` the run has not sent: their places in the list, ascending.
///
/// # Errors
/// As the database says.
pub async fn pack_missing_list(tx: &mut Tx, run: RunId, packs: &[PackId]) -> Result<Vec<u32>, DbError> {
    let row = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $3 > 0 union all select i + 1 from n where i + 1 < $3) \
         select group_concat(i, ' ') as found from n where not exists ( \
         select 1 from pack where id = substr($2, i * 32 + 1, 32) and run_id = $1)",
        postgres: "select string_agg(i::text, ' ' order by i) as found from generate_series(0, $3 - 1) as n (i) \
         where not exists ( select 1 from pack where id = substr($2, (i * 32 + 1)::int, 32) and run_id = $1)",
    })
    .bind(&run.as_bytes()[..])
    .bind(concat(packs.iter().map(PackId::as_bytes)))
    .bind(packs.len() as i64)
    .fetch_one(tx.conn())
    .await
    .map_err(failed("list packs that a run has not sent"))?;
    positions(&row)
}

/// Which of `packs` have a row: their places in the list, ascending.
///
/// # Errors
/// As the database says.
pub async fn pack_known_list(tx: &mut Tx, packs: &[PackId]) -> Result<Vec<u32>, DbError> {
    let row = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $2 > 0 union all select i + 1 from n where i + 1 < $2) \
         select group_concat(i, ' ') as found from n where exists ( \
         select 1 from pack where id = substr($1, i * 32 + 1, 32))",
        postgres: "select string_agg(i::text, ' ' order by i) as found from generate_series(0, $2 - 1) as n (i) \
         where exists ( select 1 from pack where id = substr($1, (i * 32 + 1)::int, 32))",
    })
    .bind(concat(packs.iter().map(PackId::as_bytes)))
    .bind(packs.len() as i64)
    .fetch_one(tx.conn())
    .await
    .map_err(failed("list packs that are known"))?;
    positions(&row)
}

/// Keeps how many chunks of a pack were new.
///
/// # Errors
/// As the database says.
pub async fn pack_chunks_new_update(tx: &mut Tx, seq: i64, chunks_new: Count) -> Result<(), DbError> {
    query("update pack set chunks_new = $2 where seq = $1")
        .bind(seq)
        .bind(int(chunks_new.0))
        .execute(tx.conn())
        .await
        .map_err(failed("count the new chunks of a pack"))?;
    Ok(())
}

/// Marks a pack as damaged since then, or as whole. Gives whether that changed anything; an older mark stays.
///
/// # Errors
/// As the database says.
pub async fn pack_damaged_update(tx: &mut Tx, seq: i64, damaged_at: Option<Timestamp>) -> Result<bool, DbError> {
    let done = query("update pack set damaged_at = $2 where seq = $1 and (damaged_at is null) <> ($2 is null)")
        .bind(seq)
        .bind(damaged_at.map(Timestamp::as_ms))
        .execute(tx.conn())
        .await
        .map_err(failed("mark a pack as damaged or whole"))?;
    Ok(done.rows_affected() == 1)
}

/// How many times a pack of this repository was marked as damaged.
///
/// # Errors
/// As the database says.
pub async fn repository_damages_get(tx: &mut Tx, repository: i64) -> Result<Count, DbError> {
    let row = query("select damages from repository where seq = $1").bind(repository);
    let row = row.fetch_one(tx.conn()).await.map_err(failed("count the damages of a repository"))?;
    Ok(Count(row.number("damages")?))
}

/// Counts one more mark of damage in this repository.
///
/// # Errors
/// As the database says.
pub async fn repository_damages_update(tx: &mut Tx, repository: i64) -> Result<(), DbError> {
    let done = query("update repository set damages = damages + 1 where seq = $1").bind(repository);
    done.execute(tx.conn()).await.map_err(failed("count a damage of a repository"))?;
    Ok(())
}

/// Removes the rows of a pack's frames, and of the chunks that are found in it.
///
/// # Errors
/// As the database says.
pub async fn pack_rows_remove(tx: &mut Tx, repository: i64, pack: i64) -> Result<(), DbError> {
    let failed = || failed("remove the rows of a pack");
    let chunks = query("delete from chunk where repository = $1 and pack = $2").bind(repository).bind(pack);
    chunks.execute(tx.conn()).await.map_err(failed())?;
    query("delete from frame where pack = $1").bind(pack).execute(tx.conn()).await.map_err(failed())?;
    Ok(())
}

/// Adds the frames of a pack.
///
/// # Errors
/// Constraint when a frame of that number is known.
pub async fn frame_insert(tx: &mut Tx, pack: i64, frames: &[FrameRow]) -> Result<(), DbError> {
    let fields = |frame: &FrameRow| {
        [frame.number.into(), frame.codec.into(), frame.at, frame.sealed_len.into(), frame.plain_len.into()]
    };
    query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $3 > 0 union all select i + 1 from n where i + 1 < $3) \
         insert into frame (pack, number, codec, at, sealed_len, plain_len) \
         select $1, cast(substr($2, i * 60 + 1, 12) as integer), cast(substr($2, i * 60 + 13, 12) as integer), \
         cast(substr($2, i * 60 + 25, 12) as integer), cast(substr($2, i * 60 + 37, 12) as integer), \
         cast(substr($2, i * 60 + 49, 12) as integer) from n",
        postgres: "insert into frame (pack, number, codec, at, sealed_len, plain_len) \
         select $1, convert_from(substr($2, (i * 60 + 1)::int, 12), 'utf8')::bigint, \
         convert_from(substr($2, (i * 60 + 13)::int, 12), 'utf8')::bigint, \
         convert_from(substr($2, (i * 60 + 25)::int, 12), 'utf8')::bigint, \
         convert_from(substr($2, (i * 60 + 37)::int, 12), 'utf8')::bigint, \
         convert_from(substr($2, (i * 60 + 49)::int, 12), 'utf8')::bigint from generate_series(0, $3 - 1) as n (i)",
    })
    .bind(pack)
    .bind(digits(frames.iter().flat_map(fields)))
    .bind(frames.len() as i64)
    .execute(tx.conn())
    .await
    .map_err(failed("insert the frames of a pack"))?;
    Ok(())
}

/// The frames of a pack with these numbers, those that there are, in ascending order.
///
/// # Errors
/// As the database says.
pub async fn frame_list(tx: &mut Tx, pack: i64, numbers: &[u32]) -> Result<Vec<FrameRow>, DbError> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let rows = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $3 > 0 union all select i + 1 from n where i + 1 < $3) \
         select frame.* from n cross join frame \
         where frame.pack = $1 and frame.number = cast(substr($2, i * 12 + 1, 12) as integer)",
        postgres: "select frame.* from generate_series(0, $3 - 1) as n (i) join frame on frame.pack = $1 \
         and frame.number = convert_from(substr($2, (i * 12 + 1)::int, 12), 'utf8')::bigint order by frame.number",
    })
    .bind(pack)
    .bind(digits(sorted.iter().map(|number| u64::from(*number))))
    .bind(sorted.len() as i64)
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list frames of a pack"))?;
    rows.iter().map(read_frame).collect()
}

/// All frames of a pack, in ascending order.
///
/// # Errors
/// As the database says.
pub async fn frame_list_by_pack(tx: &mut Tx, pack: i64) -> Result<Vec<FrameRow>, DbError> {
    let rows = query("select * from frame where pack = $1 order by number").bind(pack);
    let rows = rows.fetch_all(tx.conn()).await.map_err(failed("list the frames of a pack"))?;
    rows.iter().map(read_frame).collect()
}

fn read(row: &Row) -> Result<PackRow, DbError> {
    let new = PackNew {
        id: PackId::from_bytes(row.bytes("id")?),
        repository: row.int("repository")?,
        run: RunId::from_bytes(row.bytes("run_id")?),
        bytes: Bytes(row.number("bytes")?),
        header: row.bytes("header")?,
        created_at: row.time("created_at")?,
    };
    Ok(PackRow {
        seq: row.int("seq")?,
        new,
        chunks_new: Count(row.number("chunks_new")?),
        damaged_at: row.time_maybe("damaged_at")?,
        doomed: row.int("doomed")? != 0,
    })
}

fn read_frame(row: &Row) -> Result<FrameRow, DbError> {
    Ok(FrameRow {
        number: row.number("number")?,
        codec: row.number("codec")?,
        at: row.number("at")?,
        sealed_len: row.number("sealed_len")?,
        plain_len: row.number("plain_len")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    pub(crate) fn pack(id: u8) -> PackNew {
        PackNew {
            id: PackId::from_bytes([id; 32]),
            repository: testing::REPOSITORY,
            run: RunId::from_bytes([1; 16]),
            bytes: Bytes(1_000),
            header: [id; 64],
            created_at: Timestamp::from_ms(5),
        }
    }

    #[tokio::test]
    async fn a_pack_and_its_frames_read_back_as_they_were_written() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let seq = pack_insert(&mut tx, &pack(1)).await.expect("new");
            let frames: Vec<FrameRow> = (0..300)
                .map(|n| FrameRow {
                    number: n,
                    codec: (n % 2) as u8,
                    at: u64::from(n) << 20,
                    sealed_len: 1 << 20,
                    plain_len: n,
                })
                .collect();
            frame_insert(&mut tx, seq, &frames).await.expect("new");
            frame_insert(&mut tx, seq, &[]).await.expect("nothing to do");
            pack_chunks_new_update(&mut tx, seq, Count(12)).await.expect("there");
            let row = pack_get(&mut tx, pack(1).id).await.expect("readable").expect("there");
            assert_eq!(row, PackRow { seq, new: pack(1), chunks_new: Count(12), damaged_at: None, doomed: false });
            assert_eq!(pack_get_by_seq(&mut tx, seq).await.expect("readable"), Some(row));
            assert_eq!(frame_list_by_pack(&mut tx, seq).await.expect("readable"), frames);
            let some = frame_list(&mut tx, seq, &[299, 7, 7, 300, 0]).await.expect("readable");
            assert_eq!(some, [frames[0], frames[7], frames[299]]);
            assert!(pack_insert(&mut tx, &pack(1)).await.expect_err("it is there").is_constraint());
        }
    }

    #[tokio::test]
    async fn a_run_is_told_which_packs_it_has_not_sent() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            for id in [1, 2] {
                pack_insert(&mut tx, &pack(id)).await.expect("new");
            }
            let other = PackNew { run: RunId::from_bytes([2; 16]), ..pack(3) };
            pack_insert(&mut tx, &other).await.expect("new");
            let asked = [pack(4).id, pack(1).id, other.id, pack(2).id];
            let missing = pack_missing_list(&mut tx, pack(1).run, &asked).await.expect("readable");
            assert_eq!(missing, [0, 2], "a pack of another run is none of this one's");
            assert_eq!(pack_missing_list(&mut tx, pack(1).run, &[]).await.expect("readable"), [0_u32; 0]);
            let known = pack_known_list(&mut tx, &asked).await.expect("readable");
            assert_eq!(known, [1, 2, 3], "whoever has sent them");
            assert_eq!(pack_known_list(&mut tx, &[]).await.expect("readable"), [0_u32; 0]);
        }
    }

    #[tokio::test]
    async fn the_first_mark_of_damage_stays_until_the_pack_is_whole_again() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let seq = pack_insert(&mut tx, &pack(1)).await.expect("new");
            let (first, second) = (Timestamp::from_ms(10), Timestamp::from_ms(20));
            let mut changed = Vec::new();
            for mark in [None, Some(first), Some(second), None] {
                changed.push(pack_damaged_update(&mut tx, seq, mark).await.expect("there"));
                let row = pack_get_by_seq(&mut tx, seq).await.expect("readable").expect("there");
                assert_eq!(row.damaged_at, mark.map(|_| first));
            }
            assert_eq!(changed, [false, true, false, true]);
            assert_eq!(pack_list(&mut tx, seq, 10).await.expect("readable"), []);
            assert_eq!(pack_list(&mut tx, 0, 10).await.expect("readable").len(), 1);
            for damages in [0, 1] {
                assert_eq!(repository_damages_get(&mut tx, testing::REPOSITORY).await.expect("there"), Count(damages));
                repository_damages_update(&mut tx, testing::REPOSITORY).await.expect("there");
            }
            assert_eq!(pack_count_get(&mut tx).await.expect("readable"), Count(1));
        }
    }
}
