//! Rows of `snapshot`: what a commit made, complete and restorable.
//! Refuses two snapshots of one run, and to change what was committed: only what becomes of it changes.

use crate::batch::{concat, positions};
use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Pair, Row, query, query_of};
use crate::{DbError, Tx};
use base::{Bytes, Count, DeviceId, RunId, SnapshotId, Timestamp, UserId};
use format::{ChunkId, StoredPath, Totals};

/// A snapshot about to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotNew {
    /// Its name.
    pub id: SnapshotId,
    /// Whose it is.
    pub device: DeviceId,
    /// The repository's number.
    pub repository: i64,
    /// The run that made it.
    pub run: RunId,
    /// The binding of the device's key under which it was appended.
    pub epoch: u64,
    /// The snapshot that it went on from.
    pub parent: Option<SnapshotId>,
    /// The ref of its root tree, sealed.
    pub root_sealed: Vec<u8>,
    /// The public name of its root tree.
    pub root: ChunkId,
    /// BLAKE3 of the manifest object.
    pub manifest_id: [u8; 32],
    /// The device's clock.
    pub began_at: Timestamp,
    /// The device's clock.
    pub ended_at: Timestamp,
    /// The server's clock.
    pub committed_at: Timestamp,
    /// What is in it.
    pub totals: Totals,
    /// The folders that it covers.
    pub folders: Vec<StoredPath>,
    /// Is it of some folders alone, and not of all that its device is to back up?
    pub partial: bool,
    /// The computer's name at the time.
    pub host_name: String,
    /// Entries that could not be saved, or changed while they were read.
    pub problems: Count,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its number: grows with each commit, and is never used again.
    pub seq: i64,
    /// What was committed.
    pub new: SnapshotNew,
    /// What has become of it since.
    pub fate: SnapshotFate,
}

/// What has become of a snapshot since its commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotFate {
    /// When retention has let go of it: it is removed after the undo period.
    pub expired_at: Option<Timestamp>,
    /// When a scrub found that something of it cannot be restored.
    pub hurt_at: Option<Timestamp>,
    /// When an admin gave it up, because of that.
    pub given_up_at: Option<Timestamp>,
    /// Who has pinned it, and when.
    pub pin: Option<Pin>,
}

/// An admin's word that a snapshot is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why, in the admin's words.
    pub note: String,
}

/// What retention looks at in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotAgeRow {
    /// Its number.
    pub seq: i64,
    /// Its name.
    pub id: SnapshotId,
    /// The server's clock at its commit.
    pub committed_at: Timestamp,
    /// Is it of some folders alone?
    pub partial: bool,
    /// Was something of it found lost?
    pub hurt: bool,
    /// Has an admin pinned it?
    pub pinned: bool,
    /// Has an admin given it up?
    pub given_up: bool,
    /// When retention has let go of it.
    pub expired_at: Option<Timestamp>,
    /// Is it being restored now?
    pub restoring: bool,
}

/// Adds a snapshot and gives its number.
///
/// # Errors
/// Constraint when there is one of that name, or of that run.
pub async fn snapshot_insert(tx: &mut Tx, snapshot: &SnapshotNew) -> Result<i64, DbError> {
    let row = query(
        "insert into snapshot (id, device_id, repository, run_id, epoch, parent_id, root_sealed, root_id, manifest_id, \
         began_at, ended_at, committed_at, entries, files, bytes, folders, host_name, problems, partial) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) returning seq",
    )
    .bind(&snapshot.id.as_bytes()[..])
    .bind(&snapshot.device.as_bytes()[..])
    .bind(snapshot.repository)
    .bind(&snapshot.run.as_bytes()[..])
    .bind(int(snapshot.epoch))
    .bind(snapshot.parent.as_ref().map(|parent| &parent.as_bytes()[..]))
    .bind(&snapshot.root_sealed)
    .bind(&snapshot.root.as_bytes()[..])
    .bind(&snapshot.manifest_id[..])
    .bind(snapshot.began_at.as_ms())
    .bind(snapshot.ended_at.as_ms())
    .bind(snapshot.committed_at.as_ms())
    .bind(int(snapshot.totals.entries.0))
    .bind(int(snapshot.totals.files.0))
    .bind(int(snapshot.totals.bytes.0))
    .bind(folders_to_bytes(&snapshot.folders))
    .bind(&snapshot.host_name)
    .bind(int(snapshot.problems.0))
    .bind(i64::from(snapshot.partial))
    .fetch_one(tx.conn())
    .await
    .map_err(failed("insert a snapshot"))?;
    row.int("seq")
}

/// The snapshot with this name.
///
/// # Errors
/// As the database says.
pub async fn snapshot_get(tx: &mut Tx, snapshot: SnapshotId) -> Result<Option<SnapshotRow>, DbError> {
    let row = query("select * from snapshot where id = $1").bind(&snapshot.as_bytes()[..]);
    row.fetch_optional(tx.conn()).await.map_err(failed("get a snapshot"))?.as_ref().map(read).transpose()
}

/// Which of `snapshots` there are, each with its device: their places in the list, ascending.
///
/// # Errors
/// As the database says.
pub async fn snapshot_known_list(tx: &mut Tx, snapshots: &[(DeviceId, SnapshotId)]) -> Result<Vec<u32>, DbError> {
    let row = query_of(Pair {
        sqlite: "with recursive n (i) as (select 0 where $3 > 0 union all select i + 1 from n where i + 1 < $3) \
         select group_concat(i, ' ') as found from n where exists ( \
         select 1 from snapshot where id = substr($2, i * 16 + 1, 16) and device_id = substr($1, i * 16 + 1, 16))",
        postgres: "select string_agg(i::text, ' ' order by i) as found from generate_series(0, $3 - 1) as n (i) \
         where exists ( select 1 from snapshot where id = substr($2, (i * 16 + 1)::int, 16) \
         and device_id = substr($1, (i * 16 + 1)::int, 16))",
    })
    .bind(concat(snapshots.iter().map(|(device, _)| device.as_bytes())))
    .bind(concat(snapshots.iter().map(|(_, snapshot)| snapshot.as_bytes())))
    .bind(snapshots.len() as i64)
    .fetch_one(tx.conn())
    .await
    .map_err(failed("list snapshots that are known"))?;
    positions(&row)
}

/// The newest snapshot of a device: the one committed last, whatever the clocks said.
///
/// # Errors
/// As the database says.
pub async fn snapshot_get_newest(tx: &mut Tx, device: DeviceId) -> Result<Option<SnapshotRow>, DbError> {
    Ok(snapshot_list_by_device(tx, device, None, None, 1).await?.pop())
}

/// The snapshot that stands for a device: the newest that is not partial, and where there is none, the newest.
///
/// # Errors
/// As the database says.
pub async fn snapshot_get_whole(tx: &mut Tx, device: DeviceId) -> Result<Option<SnapshotRow>, DbError> {
    let row = query(
        "select * from snapshot where seq = coalesce( \
         (select seq from snapshot where device_id = $1 and partial = 0 order by seq desc limit 1), \
         (select seq from snapshot where device_id = $1 order by seq desc limit 1))",
    )
    .bind(&device.as_bytes()[..]);
    row.fetch_optional(tx.conn()).await.map_err(failed("get a device's snapshot"))?.as_ref().map(read).transpose()
}

/// The snapshots of a device with numbers below `before`, newest first, at most `limit`; with an `epoch`, only those
/// that were appended under that binding of its key.
///
/// # Errors
/// As the database says.
pub async fn snapshot_list_by_device(
    tx: &mut Tx,
    device: DeviceId,
    epoch: Option<u64>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<SnapshotRow>, DbError> {
    let rows = query(
        "select * from snapshot where device_id = $1 and seq < $2 and ($3 is null or epoch = $3) \
         order by seq desc limit $4",
    )
    .bind(&device.as_bytes()[..])
    .bind(before.unwrap_or(i64::MAX))
    .bind(epoch.map(int))
    .bind(limit);
    rows.fetch_all(tx.conn()).await.map_err(failed("list the snapshots of a device"))?.iter().map(read).collect()
}

/// The snapshots of a device and of the records that were merged into it and are not deleted, with numbers below
/// `before`, newest first, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn snapshot_list_with_merged(
    tx: &mut Tx,
    device: DeviceId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<SnapshotRow>, DbError> {
    let rows = query(
        "select * from snapshot where seq < $2 and \
         (device_id = $1 or device_id in (select id from device where merged_into = $1 \
         and state not in ('deleted', 'purged'))) \
         order by seq desc limit $3",
    )
    .bind(&device.as_bytes()[..])
    .bind(before.unwrap_or(i64::MAX))
    .bind(i64::from(limit));
    rows.fetch_all(tx.conn()).await.map_err(failed("list the snapshots of a merged device"))?.iter().map(read).collect()
}

/// Removes a snapshot's row: of a record that is purged, or of one that retention has let go of.
///
/// # Errors
/// As the database says.
pub async fn snapshot_remove(tx: &mut Tx, snapshot: SnapshotId) -> Result<(), DbError> {
    // It is the newest of its device where that was given up, or is purged.
    let newest = query(
        "update device set last_snapshot = (select s.id from snapshot s where s.device_id = device.id and s.id <> $1 \
         order by s.seq desc limit 1) where last_snapshot = $1",
    )
    .bind(&snapshot.as_bytes()[..])
    .execute(tx.conn());
    newest.await.map_err(failed("find the newest snapshot of a device anew"))?;
    let done = query("delete from snapshot where id = $1").bind(&snapshot.as_bytes()[..]).execute(tx.conn());
    done.await.map_err(failed("remove a snapshot"))?;
    Ok(())
}

/// What retention looks at in every snapshot of a device, in the order of their commits.
///
/// # Errors
/// As the database says.
pub async fn snapshot_age_list(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<Vec<SnapshotAgeRow>, DbError> {
    let rows = query(
        "select seq, id, committed_at, partial, hurt_at, given_up_at, pinned_at, expired_at, \
         (select count(*) from run r where r.snapshot_id = snapshot.id and r.purpose = 'restore' and r.status = 'open' \
         and r.lease_until > $2) as restores from snapshot where device_id = $1 order by seq",
    )
    .bind(&device.as_bytes()[..])
    .bind(now.as_ms())
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the ages of snapshots"))?;
    let read = |row: &Row| {
        Ok(SnapshotAgeRow {
            seq: row.int("seq")?,
            id: SnapshotId::from_bytes(row.bytes("id")?),
            committed_at: row.time("committed_at")?,
            partial: row.int("partial")? != 0,
            hurt: row.time_maybe("hurt_at")?.is_some(),
            pinned: row.time_maybe("pinned_at")?.is_some(),
            given_up: row.time_maybe("given_up_at")?.is_some(),
            expired_at: row.time_maybe("expired_at")?,
            restoring: row.int("restores")? > 0,
        })
    };
    rows.iter().map(read).collect()
}

/// Notes since when retention has let go of a snapshot, or that it has not.
///
/// # Errors
/// As the database says.
pub async fn snapshot_expired_update(
    tx: &mut Tx,
    snapshot: SnapshotId,
    expired_at: Option<Timestamp>,
) -> Result<(), DbError> {
    let done = query("update snapshot set expired_at = $2 where id = $1")
        .bind(&snapshot.as_bytes()[..])
        .bind(expired_at.map(Timestamp::as_ms))
        .execute(tx.conn());
    done.await.map_err(failed("note that a snapshot expires"))?;
    Ok(())
}

/// Pins a snapshot, or takes that back. Gives whether there is such a snapshot.
///
/// # Errors
/// As the database says.
pub async fn snapshot_pin_update(tx: &mut Tx, snapshot: SnapshotId, pin: Option<&Pin>) -> Result<bool, DbError> {
    let done = query("update snapshot set pinned_at = $2, pinned_by = $3, pin_note = $4 where id = $1")
        .bind(&snapshot.as_bytes()[..])
        .bind(pin.map(|pin| pin.at.as_ms()))
        .bind(pin.map_or("", |pin| &pin.by))
        .bind(pin.map_or("", |pin| &pin.note))
        .execute(tx.conn());
    Ok(done.await.map_err(failed("pin a snapshot"))?.rows_affected() == 1)
}

/// Mends what is said of what is in a snapshot: its manifest or its trees say so.
///
/// # Errors
/// As the database says.
pub async fn snapshot_totals_update(tx: &mut Tx, snapshot: SnapshotId, totals: Totals) -> Result<(), DbError> {
    let done = query("update snapshot set entries = $2, files = $3, bytes = $4 where id = $1")
        .bind(&snapshot.as_bytes()[..])
        .bind(int(totals.entries.0))
        .bind(int(totals.files.0))
        .bind(int(totals.bytes.0))
        .execute(tx.conn());
    done.await.map_err(failed("mend the totals of a snapshot"))?;
    Ok(())
}

/// Notes that something of a snapshot is lost, or that it is whole. An older note stays.
///
/// # Errors
/// As the database says.
pub async fn snapshot_hurt_update(
    tx: &mut Tx,
    snapshot: SnapshotId,
    hurt_at: Option<Timestamp>,
) -> Result<(), DbError> {
    let done = query("update snapshot set hurt_at = $2 where id = $1 and (hurt_at is null) <> ($2 is null)")
        .bind(&snapshot.as_bytes()[..])
        .bind(hurt_at.map(Timestamp::as_ms))
        .execute(tx.conn());
    done.await.map_err(failed("note that a snapshot is hurt"))?;
    Ok(())
}

/// Notes that an admin has given a snapshot up, or that this was taken back.
///
/// # Errors
/// As the database says.
pub async fn snapshot_given_up_update(
    tx: &mut Tx,
    snapshot: SnapshotId,
    given_up_at: Option<Timestamp>,
) -> Result<(), DbError> {
    let done = query("update snapshot set given_up_at = $2 where id = $1")
        .bind(&snapshot.as_bytes()[..])
        .bind(given_up_at.map(Timestamp::as_ms))
        .execute(tx.conn());
    done.await.map_err(failed("note that a snapshot is given up"))?;
    Ok(())
}

/// The records that have snapshots and are neither deleted nor purged, with ids after `after`, in the order of their
/// ids, at most `limit`; each with its user.
///
/// # Errors
/// As the database says.
pub async fn snapshot_device_list(
    tx: &mut Tx,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<(DeviceId, UserId)>, DbError> {
    let rows = query(
        "select id, user_id from device where id > $1 and state not in ('deleted', 'purged') \
         and exists (select 1 from snapshot where snapshot.device_id = device.id) order by id limit $2",
    )
    .bind(after.map_or_else(Vec::new, |after| after.as_bytes().to_vec()))
    .bind(limit)
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list devices with snapshots"))?;
    rows.iter()
        .map(|row| Ok((DeviceId::from_bytes(row.bytes("id")?), UserId::from_bytes(row.bytes("user_id")?))))
        .collect()
}

/// The snapshots of all devices with numbers below `before`, newest first, at most `limit`.
///
/// # Errors
/// As the database says.
pub async fn snapshot_list(tx: &mut Tx, before: Option<i64>, limit: u32) -> Result<Vec<SnapshotRow>, DbError> {
    let rows = query("select * from snapshot where seq < $1 order by seq desc limit $2")
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit);
    rows.fetch_all(tx.conn()).await.map_err(failed("list snapshots"))?.iter().map(read).collect()
}

/// How many snapshots a device has: all, or those that one binding of a key has appended.
///
/// # Errors
/// As the database says.
pub async fn snapshot_count_get(tx: &mut Tx, device: DeviceId, epoch: Option<u64>) -> Result<Count, DbError> {
    let row = query("select count(*) as snapshots from snapshot where device_id = $1 and ($2 is null or epoch = $2)")
        .bind(&device.as_bytes()[..])
        .bind(epoch.map(int))
        .fetch_one(tx.conn())
        .await
        .map_err(failed("count the snapshots of a device"))?;
    Ok(Count(row.number("snapshots")?))
}

/// Each path followed by a NUL, which no path contains: so one empty path, the root, differs from none.
fn folders_to_bytes(folders: &[StoredPath]) -> Vec<u8> {
    folders.iter().flat_map(|folder| [folder.as_bytes(), b"\0"]).flatten().copied().collect()
}

fn folders_from_bytes(bytes: &[u8]) -> Result<Vec<StoredPath>, DbError> {
    let wrong = DbError::Column { column: "folders", what: "the lists of stored paths" };
    let Some((last, parts)) = bytes.split_last() else { return Ok(Vec::new()) };
    if *last != 0 {
        return Err(wrong);
    }
    let paths = parts.split(|byte| *byte == 0).map(|path| StoredPath::from_bytes(path.to_vec()));
    paths.collect::<Result<_, _>>().map_err(|_| wrong)
}

fn read(row: &Row) -> Result<SnapshotRow, DbError> {
    let totals = Totals {
        entries: Count(row.number("entries")?),
        files: Count(row.number("files")?),
        bytes: Bytes(row.number("bytes")?),
    };
    let new = SnapshotNew {
        id: SnapshotId::from_bytes(row.bytes("id")?),
        device: DeviceId::from_bytes(row.bytes("device_id")?),
        repository: row.int("repository")?,
        run: RunId::from_bytes(row.bytes("run_id")?),
        epoch: row.number("epoch")?,
        parent: row.bytes_maybe("parent_id")?.map(SnapshotId::from_bytes),
        root_sealed: row.octets("root_sealed")?,
        root: ChunkId::from_bytes(row.bytes("root_id")?),
        manifest_id: row.bytes("manifest_id")?,
        began_at: row.time("began_at")?,
        ended_at: row.time("ended_at")?,
        committed_at: row.time("committed_at")?,
        totals,
        folders: folders_from_bytes(&row.octets("folders")?)?,
        partial: row.int("partial")? != 0,
        host_name: row.text("host_name")?,
        problems: Count(row.number("problems")?),
    };
    let pin = match row.time_maybe("pinned_at")? {
        Some(at) => Some(Pin { at, by: row.text("pinned_by")?, note: row.text("pin_note")? }),
        None => None,
    };
    let fate = SnapshotFate {
        expired_at: row.time_maybe("expired_at")?,
        hurt_at: row.time_maybe("hurt_at")?,
        given_up_at: row.time_maybe("given_up_at")?,
        pin,
    };
    Ok(SnapshotRow { seq: row.int("seq")?, new, fate })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn path(text: &str) -> StoredPath {
        StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a literal path is good")
    }

    fn snapshot(n: u8, device: DeviceId) -> SnapshotNew {
        SnapshotNew {
            id: SnapshotId::from_bytes([n; 16]),
            device,
            repository: testing::REPOSITORY,
            run: RunId::from_bytes([n; 16]),
            epoch: 2,
            parent: (n > 1).then(|| SnapshotId::from_bytes([n - 1; 16])),
            root_sealed: vec![n; 60],
            root: ChunkId::from_bytes([n; 32]),
            manifest_id: [n; 32],
            began_at: Timestamp::from_ms(-1),
            ended_at: Timestamp::from_ms(1),
            // The clock of the server was set back between the first and the others.
            committed_at: Timestamp::from_ms(100 - i64::from(n)),
            totals: Totals { entries: Count(3), files: Count(2), bytes: Bytes(1) },
            folders: vec![path("home/a b"), path("été")],
            partial: n == 3 || n == 5,
            host_name: "host".to_owned(),
            problems: Count(4),
        }
    }

    #[tokio::test]
    async fn the_newest_that_is_whole_stands_for_a_device_and_a_part_where_there_is_nothing_else() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let other = DeviceId::from_bytes([0xd2; 16]);
            testing::device(&mut tx, other).await;
            let whole = async |tx: &mut Tx, device| {
                let row = snapshot_get_whole(tx, device).await.expect("readable");
                row.map(|row| row.new.id.as_bytes()[0])
            };
            for (n, device, expected) in [
                (3, testing::DEVICE, Some(3)),
                (2, testing::DEVICE, Some(2)),
                (4, other, Some(4)),
                (5, testing::DEVICE, Some(2)),
                (6, testing::DEVICE, Some(6)),
            ] {
                snapshot_insert(&mut tx, &snapshot(n, device)).await.expect("new");
                assert_eq!(whole(&mut tx, device).await, expected, "after {n}");
            }
            assert_eq!(whole(&mut tx, DeviceId::from_bytes([0xd3; 16])).await, None);
        }
    }

    #[tokio::test]
    async fn the_newest_snapshot_is_the_one_committed_last_whatever_the_clock_said() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let other = DeviceId::from_bytes([0xd2; 16]);
            testing::device(&mut tx, other).await;
            assert_eq!(snapshot_get_newest(&mut tx, testing::DEVICE).await.expect("readable"), None);
            for n in 1..=3 {
                snapshot_insert(&mut tx, &snapshot(n, testing::DEVICE)).await.expect("new");
            }
            let seq = snapshot_insert(&mut tx, &snapshot(9, other)).await.expect("new");
            let asked = [(other, 9), (other, 3), (testing::DEVICE, 4), (testing::DEVICE, 1)];
            let asked = asked.map(|(device, n)| (device, SnapshotId::from_bytes([n; 16])));
            let known = snapshot_known_list(&mut tx, &asked).await.expect("readable");
            assert_eq!(known, [0, 3], "a snapshot of another device is none");
            let newest = snapshot_get_newest(&mut tx, testing::DEVICE).await.expect("readable").expect("there");
            assert_eq!(newest.new, snapshot(3, testing::DEVICE));
            assert_eq!(snapshot_get(&mut tx, newest.new.id).await.expect("readable"), Some(newest.clone()));
            let mended = Totals { entries: Count(30), files: Count(20), bytes: Bytes(10) };
            snapshot_totals_update(&mut tx, newest.new.id, mended).await.expect("there");
            let after = snapshot_get(&mut tx, newest.new.id).await.expect("readable").expect("there");
            assert_eq!(after.new, SnapshotNew { totals: mended, ..newest.new.clone() });
            let list = async |tx: &mut Tx, epoch, before| {
                let rows = snapshot_list_by_device(tx, testing::DEVICE, epoch, before, 10).await.expect("readable");
                rows.iter().map(|row| row.new.id.as_bytes()[0]).collect::<Vec<u8>>()
            };
            assert_eq!(list(&mut tx, None, Some(newest.seq)).await, [2, 1]);
            assert_eq!(list(&mut tx, Some(2), None).await, [3, 2, 1]);
            assert_eq!(list(&mut tx, Some(3), None).await, [0_u8; 0], "nothing was appended under that binding");
            for (epoch, expected) in [(None, 3), (Some(2), 3), (Some(3), 0)] {
                let count = snapshot_count_get(&mut tx, testing::DEVICE, epoch).await.expect("readable");
                assert_eq!(count, Count(expected), "{epoch:?}");
            }
            assert_eq!(snapshot_list(&mut tx, None, 2).await.expect("readable")[0].seq, seq);
        }
    }

    #[tokio::test]
    async fn a_name_and_a_run_make_one_snapshot() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            snapshot_insert(&mut tx, &snapshot(1, testing::DEVICE)).await.expect("new");
            tx.commit().await.expect("nothing stands against it");
            let same_run = SnapshotNew { run: RunId::from_bytes([1; 16]), ..snapshot(2, testing::DEVICE) };
            let same_name = SnapshotNew { run: RunId::from_bytes([2; 16]), ..snapshot(1, testing::DEVICE) };
            for twice in [same_run, same_name] {
                let mut tx = temp.db.write().await.expect("nobody else writes");
                assert!(snapshot_insert(&mut tx, &twice).await.expect_err("it is there").is_constraint());
            }
        }
    }

    #[test]
    fn lists_of_folders_come_back_and_the_root_differs_from_none() {
        for folders in [vec![], vec![StoredPath::root()], vec![path("a"), path("b/c")]] {
            assert_eq!(folders_from_bytes(&folders_to_bytes(&folders)).expect("our own bytes"), folders);
        }
        assert!(folders_from_bytes(b"a").is_err(), "a path without its end");
    }
}
