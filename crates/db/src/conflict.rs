//! The conflict desk: two machines with one key, or two records of one machine. Refuses a second open one of
//! a device and a kind.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
use crate::{DbError, PageKey, Tx};
use base::{ConflictId, Count, DeviceId, Timestamp};

/// What is in conflict. The words are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConflictKind {
    /// Two machines with one key.
    Clone,
    /// Two records of one machine.
    Records,
}

/// What was decided. The words are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConflictStatus {
    /// Nothing yet.
    Open,
    /// One machine after all, or two records made one.
    Merged,
    /// Two machines.
    Split,
    /// Both stay as they are.
    Kept,
    /// It was decided, and the decision taken back.
    Undone,
}

/// One conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictRow {
    /// Which.
    pub id: ConflictId,
    /// The record.
    pub device: DeviceId,
    /// What is in conflict.
    pub kind: ConflictKind,
    /// When it was seen last.
    pub seen_at: Timestamp,
    /// The number that the server had handed out.
    pub counter: u64,
    /// The number that was presented; 0 when none was.
    pub counter_seen: u64,
    /// The address that it was presented from.
    pub source: String,
    /// The name of the computer, as the record has it.
    pub host_name: String,
    /// How often it was seen.
    pub times: u64,
    /// What was decided.
    pub status: ConflictStatus,
    /// When.
    pub resolved_at: Option<Timestamp>,
    /// By whom.
    pub resolved_by: Option<String>,
    /// Until when it can be undone.
    pub undo_until: Option<Timestamp>,
    /// The other record.
    pub other: Option<DeviceId>,
    /// What an undo has to know (the schema says what).
    pub before: Option<u64>,
    /// The state that a split ended.
    pub state_before: Option<String>,
}

impl ConflictRow {
    /// One that was seen for the first time and of which nothing is decided: without counters, source or another
    /// record. Never fails.
    pub fn open(id: ConflictId, device: DeviceId, kind: ConflictKind, host_name: String, now: Timestamp) -> Self {
        Self {
            id,
            device,
            kind,
            seen_at: now,
            counter: 0,
            counter_seen: 0,
            source: String::new(),
            host_name,
            times: 1,
            status: ConflictStatus::Open,
            resolved_at: None,
            resolved_by: None,
            undo_until: None,
            other: None,
            before: None,
            state_before: None,
        }
    }
}

/// Adds a conflict.
///
/// # Errors
/// Constraint: one of this kind is open for the device; the database does not answer.
pub async fn conflict_insert(tx: &mut Tx, row: &ConflictRow) -> Result<(), DbError> {
    query(
        "insert into conflict (id, device_id, kind, seen_at, counter, counter_seen, source, host_name, times, status, \
         other_device) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&row.id.as_bytes()[..])
    .bind(&row.device.as_bytes()[..])
    .bind(row.kind.word())
    .bind(row.seen_at.as_ms())
    .bind(int(row.counter))
    .bind(int(row.counter_seen))
    .bind(&row.source)
    .bind(&row.host_name)
    .bind(int(row.times))
    .bind(row.status.word())
    .bind(row.other.as_ref().map(|device| &device.as_bytes()[..]))
    .execute(tx.conn())
    .await
    .map_err(failed("insert a conflict"))?;
    Ok(())
}

/// The conflict with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn conflict_get(tx: &mut Tx, id: ConflictId) -> Result<Option<ConflictRow>, DbError> {
    let row = query("select * from conflict where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a conflict"))?;
    row.as_ref().map(read).transpose()
}

/// The open conflict of a device of this kind.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn conflict_get_open(
    tx: &mut Tx,
    device: DeviceId,
    kind: ConflictKind,
) -> Result<Option<ConflictRow>, DbError> {
    let row = query("select * from conflict where device_id = $1 and kind = $2 and status = 'open'")
        .bind(&device.as_bytes()[..])
        .bind(kind.word())
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get the open conflict of a device"))?;
    row.as_ref().map(read).transpose()
}

/// The open conflicts that this record is part of, the newest first.
///
/// # Errors
/// The database does not answer.
pub async fn conflict_list_open_by_device(tx: &mut Tx, device: DeviceId) -> Result<Vec<ConflictId>, DbError> {
    let rows = query(
        "select id from conflict where (device_id = $1 or other_device = $1) and status = 'open' \
         order by seen_at desc, id desc",
    )
    .bind(&device.as_bytes()[..])
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the open conflicts of a device"))?;
    rows.iter().map(|row| Ok(ConflictId::from_bytes(row.bytes("id")?))).collect()
}

/// The records that this one is in question to be the same machine as, in conflicts that are open.
///
/// # Errors
/// The database does not answer.
pub async fn conflict_list_resembled(tx: &mut Tx, other: DeviceId) -> Result<Vec<DeviceId>, DbError> {
    let rows = query(
        "select device_id from conflict where other_device = $1 and kind = 'records' and status = 'open' \
         order by seen_at, id",
    )
    .bind(&other.as_bytes()[..])
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list what a record resembles"))?;
    rows.iter().map(|row| row.bytes("device_id").map(DeviceId::from_bytes)).collect()
}

/// A reset has come for a device that a split has cut off: the split cannot be undone any more.
///
/// # Errors
/// The database does not answer.
pub async fn conflict_split_final_update(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<(), DbError> {
    query("update conflict set undo_until = $2 where device_id = $1 and status = 'split' and undo_until > $2")
        .bind(&device.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("end the undo of a split"))?;
    Ok(())
}

/// An admin has suspended a record that a merge had suspended: an undo of the merge leaves it so.
///
/// # Errors
/// The database does not answer.
pub async fn conflict_suspended_update(tx: &mut Tx, other: DeviceId) -> Result<(), DbError> {
    query("update conflict set before = 0 where other_device = $1 and status = 'merged' and kind = 'records'")
        .bind(&other.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("keep that a merged record is suspended"))?;
    Ok(())
}

/// At most `limit` conflicts, newest first, after the one that `after` names by time and id; only open ones if asked.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn conflict_list(
    tx: &mut Tx,
    open_only: bool,
    after: PageKey,
    limit: u32,
) -> Result<Vec<ConflictRow>, DbError> {
    let rows = query(
        "select * from conflict where (seen_at < $1 or (seen_at = $1 and id < $2)) and ($3 = 0 or status = 'open') \
         order by seen_at desc, id desc limit $4",
    )
    .bind(after.at.as_ms())
    .bind(&after.id[..])
    .bind(i64::from(open_only))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list conflicts"))?;
    rows.iter().map(read).collect()
}

/// The pairs of records that an admin has decided to keep.
///
/// # Errors
/// The database does not answer.
pub async fn conflict_list_kept(tx: &mut Tx) -> Result<Vec<(DeviceId, DeviceId)>, DbError> {
    let rows = query("select device_id, other_device from conflict where status = 'kept' and other_device is not null")
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list the records that are kept"))?;
    let id = |row: &Row, column| row.bytes(column).map(DeviceId::from_bytes);
    rows.iter().map(|row| Ok((id(row, "device_id")?, id(row, "other_device")?))).collect()
}

/// Has an admin decided to keep these two records, whichever was named first?
///
/// # Errors
/// The database does not answer.
pub async fn conflict_kept_get(tx: &mut Tx, one: DeviceId, other: DeviceId) -> Result<bool, DbError> {
    let row = query(
        "select 1 as kept from conflict where status = 'kept' and device_id in ($1, $2) and other_device in ($1, $2) \
         and device_id <> other_device limit 1",
    )
    .bind(&one.as_bytes()[..])
    .bind(&other.as_bytes()[..])
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("look for records that are kept"))?;
    Ok(row.is_some())
}

/// Keeps that a conflict was seen once more.
///
/// # Errors
/// The database does not answer.
pub async fn conflict_seen_update(
    tx: &mut Tx,
    id: ConflictId,
    source: &str,
    counter_seen: u64,
    now: Timestamp,
) -> Result<(), DbError> {
    query("update conflict set seen_at = $2, source = $3, counter_seen = $4, times = times + 1 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(now.as_ms())
        .bind(source)
        .bind(int(counter_seen))
        .execute(tx.conn())
        .await
        .map_err(failed("update when a conflict was seen"))?;
    Ok(())
}

/// Keeps what was decided, or that it was taken back.
///
/// # Errors
/// Constraint: it is open again and another one of its kind is, for the device; the database does not answer.
pub async fn conflict_update(tx: &mut Tx, row: &ConflictRow) -> Result<Count, DbError> {
    let done = query(
        "update conflict set status = $2, resolved_at = $3, resolved_by = $4, undo_until = $5, other_device = $6, \
         before = $7, state_before = $8, device_id = $9 where id = $1",
    )
    .bind(&row.id.as_bytes()[..])
    .bind(row.status.word())
    .bind(row.resolved_at.map(Timestamp::as_ms))
    .bind(&row.resolved_by)
    .bind(row.undo_until.map(Timestamp::as_ms))
    .bind(row.other.as_ref().map(|device| &device.as_bytes()[..]))
    .bind(row.before.map(int))
    .bind(&row.state_before)
    .bind(&row.device.as_bytes()[..])
    .execute(tx.conn())
    .await
    .map_err(failed("update a conflict"))?;
    Ok(Count(done.rows_affected()))
}

impl ConflictKind {
    /// The stored word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            ConflictKind::Clone => "clone",
            ConflictKind::Records => "records",
        }
    }
}

impl ConflictStatus {
    const ALL: [ConflictStatus; 5] = [
        ConflictStatus::Open,
        ConflictStatus::Merged,
        ConflictStatus::Split,
        ConflictStatus::Kept,
        ConflictStatus::Undone,
    ];

    /// The stored word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            ConflictStatus::Open => "open",
            ConflictStatus::Merged => "merged",
            ConflictStatus::Split => "split",
            ConflictStatus::Kept => "kept",
            ConflictStatus::Undone => "undone",
        }
    }
}

fn read(row: &Row) -> Result<ConflictRow, DbError> {
    let (kind, status) = (row.text("kind")?, row.text("status")?);
    let kind = [ConflictKind::Clone, ConflictKind::Records].into_iter().find(|known| known.word() == kind);
    let status = ConflictStatus::ALL.into_iter().find(|known| known.word() == status);
    Ok(ConflictRow {
        id: ConflictId::from_bytes(row.bytes("id")?),
        device: DeviceId::from_bytes(row.bytes("device_id")?),
        kind: kind.ok_or(DbError::Column { column: "kind", what: "the kinds of a conflict" })?,
        seen_at: row.time("seen_at")?,
        counter: row.number("counter")?,
        counter_seen: row.number("counter_seen")?,
        source: row.text("source")?,
        host_name: row.text("host_name")?,
        times: row.number("times")?,
        status: status.ok_or(DbError::Column { column: "status", what: "the statuses of a conflict" })?,
        resolved_at: row.time_maybe("resolved_at")?,
        resolved_by: row.text_maybe("resolved_by")?,
        undo_until: row.time_maybe("undo_until")?,
        other: row.bytes_maybe("other_device")?.map(DeviceId::from_bytes),
        before: row.number_maybe("before")?,
        state_before: row.text_maybe("state_before")?,
    })
}
