//! The device map. Refuses two open rows for one number: the schema's index stands against it.

use crate::error::failed;
use crate::page::limit;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::ticket::restore;
use crate::{DbError, PageKey, Tx};
use base::{Count, DeviceId, MapRowId, Timestamp, UserId};
use control::activation::{Match, Restore};
use control::device_map::Key;

/// One row: the machine with this number is this user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapRow {
    /// Which.
    pub id: MapRowId,
    /// Whose the machine is.
    pub user: UserId,
    /// Which number: `serial`, `uuid`, `host_name`.
    pub kind: String,
    /// The number, as evidence is compared.
    pub value: String,
    /// The name of a record that is made for it; empty is the machine's own.
    pub device_name: String,
    /// The record that it takes over.
    pub replaces: Option<DeviceId>,
    /// What is to be brought back.
    pub restore: Restore,
    /// When the row was made.
    pub created_at: Timestamp,
    /// By whom: who has said what it says now.
    pub created_by: String,
    /// When an activation used it.
    pub consumed_at: Option<Timestamp>,
    /// Which record that was.
    pub consumed_by: Option<DeviceId>,
}

/// Adds a row, or changes the open row for the same number, which keeps its identifier and its age.
///
/// # Errors
/// Constraint: no such user or record; the database does not answer.
pub async fn device_map_update(tx: &mut Tx, row: &MapRow) -> Result<(), DbError> {
    query(
        "insert into device_map (id, user_id, kind, value, device_name, replaces, restore, created_at, created_by) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         on conflict (kind, value) where consumed_at is null do update set \
         user_id = $2, device_name = $5, replaces = $6, restore = $7, created_by = $9",
    )
    .bind(&row.id.as_bytes()[..])
    .bind(&row.user.as_bytes()[..])
    .bind(&row.kind)
    .bind(&row.value)
    .bind(&row.device_name)
    .bind(row.replaces.as_ref().map(|device| &device.as_bytes()[..]))
    .bind(row.restore.word())
    .bind(row.created_at.as_ms())
    .bind(&row.created_by)
    .execute(tx.conn())
    .await
    .map_err(failed("update the device map"))?;
    Ok(())
}

/// The open row for a machine: the one for the strongest of its numbers that has one.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn device_map_open_get(tx: &mut Tx, keys: &[Key]) -> Result<Option<MapRow>, DbError> {
    let value = |kind| keys.iter().find(|key| key.kind == kind).map(|key| key.value.clone());
    let row = query(
        "select * from device_map where consumed_at is null and ((kind = 'serial' and value = $1) \
         or (kind = 'uuid' and value = $2) or (kind = 'host_name' and value = $3)) \
         order by case kind when 'serial' then 0 when 'uuid' then 1 else 2 end limit 1",
    )
    .bind(value(Match::Serial))
    .bind(value(Match::HardwareUuid))
    .bind(value(Match::HostName))
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get a row of the device map"))?;
    row.as_ref().map(read).transpose()
}

/// The newest row for a number, the open one before those that were used.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn device_map_get_newest(tx: &mut Tx, kind: &str, value: &str) -> Result<Option<MapRow>, DbError> {
    let row = query(
        "select * from device_map where kind = $1 and value = $2 \
         order by case when consumed_at is null then 0 else 1 end, created_at desc limit 1",
    )
    .bind(kind)
    .bind(value)
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get a row of the device map"))?;
    row.as_ref().map(read).transpose()
}

/// A row, used or not.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn device_map_get(tx: &mut Tx, id: MapRowId) -> Result<Option<MapRow>, DbError> {
    let row = query("select * from device_map where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a row of the device map"))?;
    row.as_ref().map(read).transpose()
}

/// The rows after this place, the oldest first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn device_map_list(tx: &mut Tx, after: PageKey, rows: Count) -> Result<Vec<MapRow>, DbError> {
    let rows = query(
        "select * from device_map where created_at > $1 or (created_at = $1 and id > $2) \
         order by created_at, id limit $3",
    )
    .bind(after.at.as_ms())
    .bind(&after.id[..])
    .bind(limit(rows))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the device map"))?;
    rows.iter().map(read).collect()
}

/// Marks a row as used; false when it was used before, or is gone.
///
/// # Errors
/// The database does not answer.
pub async fn device_map_consumed_update(
    tx: &mut Tx,
    id: MapRowId,
    device: DeviceId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let done = query("update device_map set consumed_at = $3, consumed_by = $2 where id = $1 and consumed_at is null")
        .bind(&id.as_bytes()[..])
        .bind(&device.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("mark a row of the device map as used"))?;
    Ok(done.rows_affected() == 1)
}

/// Removes a row, used or not; false when it is not there.
///
/// # Errors
/// The database does not answer.
pub async fn device_map_remove(tx: &mut Tx, id: MapRowId) -> Result<bool, DbError> {
    let done = query("delete from device_map where id = $1")
        .bind(&id.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("remove a row of the device map"))?;
    Ok(done.rows_affected() == 1)
}

fn read(row: &Row) -> Result<MapRow, DbError> {
    Ok(MapRow {
        id: MapRowId::from_bytes(row.bytes("id")?),
        user: UserId::from_bytes(row.bytes("user_id")?),
        kind: row.text("kind")?,
        value: row.text("value")?,
        device_name: row.text("device_name")?,
        replaces: row.bytes_maybe("replaces")?.map(DeviceId::from_bytes),
        restore: restore(&row.text("restore")?)?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        consumed_at: row.time_maybe("consumed_at")?,
        consumed_by: row.bytes_maybe("consumed_by")?.map(DeviceId::from_bytes),
    })
}
