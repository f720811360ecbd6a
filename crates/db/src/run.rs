//! Rows of `run`: one execution of a backup or a restore, and the lease that it is on chunks.
//! Refuses to end a run twice: a status is only ever changed away from `open`.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{Bytes, Count, DeviceId, RunId, SnapshotId, Timestamp};

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunPurpose {
    /// Appends one snapshot.
    Backup,
    /// Reads one snapshot.
    Restore,
}

/// Whether a run goes on, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunStatus {
    /// It goes on, as long as its lease lasts.
    Open,
    /// It became a snapshot.
    Committed,
    /// Its device, or a rule, ended it.
    Aborted,
    /// A newer backup run of the same device took its place.
    Superseded,
}

/// A run that is about to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunNew {
    /// Its name.
    pub id: RunId,
    /// Whose run it is.
    pub device: DeviceId,
    /// The repository's number.
    pub repository: i64,
    /// The binding of the device's key under which it begins.
    pub epoch: u64,
    /// Drawn by the device: the same request is the same run.
    pub request: [u8; 16],
    /// What it does.
    pub purpose: RunPurpose,
    /// Which repository key its run key comes from.
    pub key_id: u32,
    /// The snapshot that it reads; None for a backup.
    pub snapshot: Option<SnapshotId>,
    /// The server's clock.
    pub began_at: Timestamp,
    /// How long it lives without a request.
    pub lease_until: Timestamp,
}

/// A run as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// What it began as; `lease_until` is the present one, and `snapshot` that of a commit, too.
    pub new: RunNew,
    /// Whether it goes on.
    pub status: RunStatus,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The digest of the one manifest that it may become a snapshot by; None until a commit has come so far.
    pub manifest_id: Option<[u8; 32]>,
    /// What it sent and what came of it.
    pub counters: RunCounters,
}

/// What a run sent and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunCounters {
    /// Bytes of request bodies that were received.
    pub bytes_received: Bytes,
    /// Chunks that were new to the repository.
    pub chunks_new: Count,
    /// Packs that were taken in.
    pub packs: Count,
}

impl RunPurpose {
    /// The word in the table. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            RunPurpose::Backup => "backup",
            RunPurpose::Restore => "restore",
        }
    }
}

impl RunStatus {
    /// The word in the table. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            RunStatus::Open => "open",
            RunStatus::Committed => "committed",
            RunStatus::Aborted => "aborted",
            RunStatus::Superseded => "superseded",
        }
    }
}

/// Adds an open run.
///
/// # Errors
/// Constraint when the device has a run of that request, or another open backup run.
pub async fn run_insert(tx: &mut Tx, run: &RunNew) -> Result<(), DbError> {
    query(
        "insert into run (id, device_id, repository, epoch, request, purpose, status, key_id, snapshot_id, began_at, \
         lease_until, generation) values ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $9, $10, \
         (select generation from repository where seq = $3))",
    )
    .bind(&run.id.as_bytes()[..])
    .bind(&run.device.as_bytes()[..])
    .bind(run.repository)
    .bind(int(run.epoch))
    .bind(&run.request[..])
    .bind(run.purpose.word())
    .bind(i64::from(run.key_id))
    .bind(run.snapshot.as_ref().map(|snapshot| &snapshot.as_bytes()[..]))
    .bind(run.began_at.as_ms())
    .bind(run.lease_until.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("insert a run"))?;
    Ok(())
}

/// The run with this name.
///
/// # Errors
/// As the database says.
pub async fn run_get(tx: &mut Tx, run: RunId) -> Result<Option<RunRow>, DbError> {
    let row = query("select * from run where id = $1").bind(&run.as_bytes()[..]);
    row.fetch_optional(tx.conn()).await.map_err(failed("get a run"))?.as_ref().map(read).transpose()
}

/// The run that a device's request began.
///
/// # Errors
/// As the database says.
pub async fn run_get_by_request(tx: &mut Tx, device: DeviceId, request: &[u8; 16]) -> Result<Option<RunRow>, DbError> {
    let row = query("select * from run where device_id = $1 and request = $2")
        .bind(&device.as_bytes()[..])
        .bind(&request[..]);
    row.fetch_optional(tx.conn()).await.map_err(failed("get a run by its request"))?.as_ref().map(read).transpose()
}

/// Ends the device's open backup run, if there is one, as superseded. Gives how many were ended: 0 or 1.
///
/// # Errors
/// As the database says.
pub async fn run_superseded_update(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<Count, DbError> {
    let done = query(
        "update run set status = 'superseded', ended_at = $2 \
         where device_id = $1 and status = 'open' and purpose = 'backup'",
    )
    .bind(&device.as_bytes()[..])
    .bind(now.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("supersede a run"))?;
    Ok(Count(done.rows_affected()))
}

/// Ends every open run of a device as aborted: its credential went away. Gives how many were ended.
///
/// # Errors
/// As the database says.
pub async fn run_aborted_update_by_device(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<Count, DbError> {
    let done = query("update run set status = 'aborted', ended_at = $2 where device_id = $1 and status = 'open'")
        .bind(&device.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("abort the runs of a device"))?;
    Ok(Count(done.rows_affected()))
}

/// Ends every open restore of a device as aborted; backups go on. Gives how many were ended.
///
/// # Errors
/// As the database says.
pub async fn restore_aborted_update_by_device(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<Count, DbError> {
    let done = query(
        "update run set status = 'aborted', ended_at = $2 \
         where device_id = $1 and status = 'open' and purpose = 'restore'",
    )
    .bind(&device.as_bytes()[..])
    .bind(now.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("abort the restores of a device"))?;
    Ok(Count(done.rows_affected()))
}

/// Ends an open run as aborted. Gives whether it was open.
///
/// # Errors
/// As the database says.
pub async fn run_aborted_update(tx: &mut Tx, run: RunId, now: Timestamp) -> Result<bool, DbError> {
    let done = query("update run set status = 'aborted', ended_at = $2 where id = $1 and status = 'open'")
        .bind(&run.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("abort a run"))?;
    Ok(done.rows_affected() == 1)
}

/// Ends an open backup run as committed with this snapshot. Gives whether it was open.
///
/// # Errors
/// As the database says.
pub async fn run_committed_update(
    tx: &mut Tx,
    run: RunId,
    snapshot: SnapshotId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let done = query(
        "update run set status = 'committed', snapshot_id = $2, ended_at = $3 \
         where id = $1 and status = 'open' and purpose = 'backup'",
    )
    .bind(&run.as_bytes()[..])
    .bind(&snapshot.as_bytes()[..])
    .bind(now.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("commit a run"))?;
    Ok(done.rows_affected() == 1)
}

/// Binds an open run to the manifest with this digest, for good. Gives false, and changes nothing, when it is bound to
/// another or has ended.
///
/// # Errors
/// As the database says.
pub async fn run_manifest_update(tx: &mut Tx, run: RunId, manifest_id: &[u8; 32]) -> Result<bool, DbError> {
    let done = query(
        "update run set manifest_id = $2 \
         where id = $1 and status = 'open' and (manifest_id is null or manifest_id = $2)",
    )
    .bind(&run.as_bytes()[..])
    .bind(&manifest_id[..])
    .execute(tx.conn())
    .await
    .map_err(failed("bind a run to its manifest"))?;
    Ok(done.rows_affected() == 1)
}

/// Lets an open run live until then; never shortens its life.
///
/// # Errors
/// As the database says.
pub async fn run_lease_update(tx: &mut Tx, run: RunId, until: Timestamp) -> Result<(), DbError> {
    query("update run set lease_until = $2 where id = $1 and status = 'open' and lease_until < $2")
        .bind(&run.as_bytes()[..])
        .bind(until.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("extend the lease of a run"))?;
    Ok(())
}

/// Adds to what a run sent and what came of it.
///
/// # Errors
/// As the database says.
pub async fn run_counters_update(tx: &mut Tx, run: RunId, more: RunCounters) -> Result<(), DbError> {
    query(
        "update run set bytes_received = bytes_received + $2, chunks_new = chunks_new + $3, packs = packs + $4 \
         where id = $1",
    )
    .bind(&run.as_bytes()[..])
    .bind(int(more.bytes_received.0))
    .bind(int(more.chunks_new.0))
    .bind(int(more.packs.0))
    .execute(tx.conn())
    .await
    .map_err(failed("count what a run sent"))?;
    Ok(())
}

fn read(row: &Row) -> Result<RunRow, DbError> {
    let purpose = match row.try_get("purpose").map_err(failed("read a run"))? {
        "backup" => RunPurpose::Backup,
        "restore" => RunPurpose::Restore,
        _ => return Err(DbError::Column { column: "purpose", what: "the purposes of a run" }),
    };
    let status = match row.try_get("status").map_err(failed("read a run"))? {
        "open" => RunStatus::Open,
        "committed" => RunStatus::Committed,
        "aborted" => RunStatus::Aborted,
        "superseded" => RunStatus::Superseded,
        _ => return Err(DbError::Column { column: "status", what: "the statuses of a run" }),
    };
    let new = RunNew {
        id: RunId::from_bytes(row.bytes("id")?),
        device: DeviceId::from_bytes(row.bytes("device_id")?),
        repository: row.int("repository")?,
        epoch: row.number("epoch")?,
        request: row.bytes("request")?,
        purpose,
        key_id: row.number("key_id")?,
        snapshot: row.bytes_maybe("snapshot_id")?.map(SnapshotId::from_bytes),
        began_at: row.time("began_at")?,
        lease_until: row.time("lease_until")?,
    };
    let counters = RunCounters {
        bytes_received: Bytes(row.number("bytes_received")?),
        chunks_new: Count(row.number("chunks_new")?),
        packs: Count(row.number("packs")?),
    };
    let (ended_at, manifest_id) = (row.time_maybe("ended_at")?, row.bytes_maybe("manifest_id")?);
    Ok(RunRow { new, status, ended_at, manifest_id, counters })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn run(id: u8, purpose: RunPurpose) -> RunNew {
        RunNew {
            id: RunId::from_bytes([id; 16]),
            device: testing::DEVICE,
            repository: testing::REPOSITORY,
            epoch: 3,
            request: [id; 16],
            purpose,
            key_id: 7,
            snapshot: None,
            began_at: Timestamp::from_ms(100),
            lease_until: Timestamp::from_ms(200),
        }
    }

    #[tokio::test]
    async fn a_run_reads_back_as_it_was_written() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let new = RunNew { snapshot: Some(SnapshotId::from_bytes([9; 16])), ..run(1, RunPurpose::Restore) };
            run_insert(&mut tx, &new).await.expect("the run is new");
            let (status, counters) = (RunStatus::Open, RunCounters::default());
            let expected = RunRow { new, status, ended_at: None, manifest_id: None, counters };
            assert_eq!(run_get(&mut tx, expected.new.id).await.expect("readable"), Some(expected.clone()));
            let by_request = run_get_by_request(&mut tx, testing::DEVICE, &[1; 16]).await.expect("readable");
            assert_eq!(by_request, Some(expected));
            assert_eq!(run_get(&mut tx, RunId::from_bytes([2; 16])).await.expect("readable"), None);
        }
    }

    #[tokio::test]
    async fn a_device_has_one_open_backup_run_and_a_request_begins_one_run() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            run_insert(&mut tx, &run(1, RunPurpose::Backup)).await.expect("the first");
            run_insert(&mut tx, &run(2, RunPurpose::Restore)).await.expect("a restore beside it");
            tx.commit().await.expect("nothing stands against it");
            let second = run(3, RunPurpose::Backup);
            let again = RunNew { id: RunId::from_bytes([4; 16]), ..run(2, RunPurpose::Restore) };
            for refused in [second, again] {
                let mut tx = temp.db.write().await.expect("nobody else writes");
                assert!(run_insert(&mut tx, &refused).await.expect_err("one is there").is_constraint());
            }
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let now = Timestamp::from_ms(150);
            assert_eq!(run_superseded_update(&mut tx, testing::DEVICE, now).await.expect("done"), Count(1));
            assert_eq!(run_superseded_update(&mut tx, testing::DEVICE, now).await.expect("done"), Count(0));
            run_insert(&mut tx, &run(3, RunPurpose::Backup)).await.expect("the first is superseded");
        }
    }

    #[tokio::test]
    async fn a_run_ends_once() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let (now, later) = (Timestamp::from_ms(150), Timestamp::from_ms(160));
            let (first, second) = (run(1, RunPurpose::Backup), run(2, RunPurpose::Backup));
            run_insert(&mut tx, &first).await.expect("new");
            let snapshot = SnapshotId::from_bytes([8; 16]);
            assert!(run_committed_update(&mut tx, first.id, snapshot, now).await.expect("done"));
            assert!(!run_committed_update(&mut tx, first.id, snapshot, later).await.expect("done"));
            assert!(!run_aborted_update(&mut tx, first.id, later).await.expect("done"));
            let ended = run_get(&mut tx, first.id).await.expect("readable").expect("there");
            assert_eq!((ended.status, ended.ended_at), (RunStatus::Committed, Some(now)));
            assert_eq!(ended.new.snapshot, Some(snapshot));

            run_insert(&mut tx, &second).await.expect("new");
            run_insert(&mut tx, &run(3, RunPurpose::Restore)).await.expect("new");
            assert_eq!(run_aborted_update_by_device(&mut tx, testing::DEVICE, later).await.expect("done"), Count(2));
            let ended = run_get(&mut tx, second.id).await.expect("readable").expect("there");
            assert_eq!((ended.status, ended.ended_at), (RunStatus::Aborted, Some(later)));
        }
    }

    #[tokio::test]
    async fn a_run_is_bound_to_one_manifest_and_only_while_it_is_open() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let (new, [one, two]) = (run(1, RunPurpose::Backup), [[1; 32], [2; 32]]);
            run_insert(&mut tx, &new).await.expect("new");
            for (manifest, bound) in [(one, true), (two, false), (one, true)] {
                assert_eq!(run_manifest_update(&mut tx, new.id, &manifest).await.expect("done"), bound, "{manifest:?}");
                let row = run_get(&mut tx, new.id).await.expect("readable").expect("there");
                assert_eq!(row.manifest_id, Some(one));
            }
            assert!(run_aborted_update(&mut tx, new.id, Timestamp::from_ms(150)).await.expect("done"));
            assert!(!run_manifest_update(&mut tx, new.id, &one).await.expect("done"));
        }
    }

    #[tokio::test]
    async fn a_lease_grows_and_counters_add_up() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let new = run(1, RunPurpose::Backup);
            run_insert(&mut tx, &new).await.expect("new");
            for until in [500, 300] {
                run_lease_update(&mut tx, new.id, Timestamp::from_ms(until)).await.expect("open");
            }
            let more = RunCounters { bytes_received: Bytes(10), chunks_new: Count(2), packs: Count(1) };
            for _ in 0..2 {
                run_counters_update(&mut tx, new.id, more).await.expect("there");
            }
            let row = run_get(&mut tx, new.id).await.expect("readable").expect("there");
            assert_eq!(row.new.lease_until, Timestamp::from_ms(500), "a late answer does not shorten a lease");
            assert_eq!(row.counters, RunCounters { bytes_received: Bytes(20), chunks_new: Count(4), packs: Count(2) });
        }
    }
}
