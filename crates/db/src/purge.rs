//! What is removed for good: the rest of purged records, and rows whose time is over. Refuses records that are not
//! purged: their rows stay whatever is asked.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::query;
use crate::{DbError, Tx};
use base::{Bytes, Count, DeviceId, RunId};

/// At most `limit` purged records that still have snapshots, credentials or runs.
///
/// # Errors
/// The database does not answer.
pub async fn device_list_purged_rest(tx: &mut Tx, limit: u32) -> Result<Vec<DeviceId>, DbError> {
    let rows = query(
        "select d.id from device d where d.state = 'purged' and (exists (select 1 from snapshot s \
         where s.device_id = d.id) or exists (select 1 from credential c where c.device_id = d.id)) \
         order by d.id limit $1",
    )
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list purged devices"))?;
    rows.iter().map(|row| Ok(DeviceId::from_bytes(row.bytes("id")?))).collect()
}

/// Removes what is left of a purged record but its snapshots: credentials, runs, answers to activations, its own
/// policy and folders, and what its computer said of itself. The record stays, as a name that nothing takes.
///
/// # Errors
/// The database does not answer.
pub async fn device_rest_remove(tx: &mut Tx, device: DeviceId) -> Result<(), DbError> {
    const STATEMENTS: [&str; 10] = [
        "delete from run where device_id = (select id from device where id = $1 and state = 'purged')",
        "delete from activation where device_id = (select id from device where id = $1 and state = 'purged')",
        "delete from unlinked where device_id = (select id from device where id = $1 and state = 'purged')",
        "delete from waiting where device_id = (select id from device where id = $1 and state = 'purged')",
        "delete from policy_value where level = 'device' and subject = \
         (select id from device where id = $1 and state = 'purged')",
        "delete from folder where level = 'device' and subject = \
         (select id from device where id = $1 and state = 'purged')",
        "update conflict set source = '', host_name = '' where device_id = \
         (select id from device where id = $1 and state = 'purged')",
        "update device set merged_into = null where merged_into = \
         (select id from device where id = $1 and state = 'purged')",
        "update device set host_name = '', serial = '', hardware_uuid = '', os_user = '', last_snapshot = null, \
         last_source = null, counter_nonce = null, counter_nonce_before = null where id = $1 and state = 'purged'",
        // ORDER: last, because the credentials are what tells that something is left.
        "delete from credential where device_id = (select id from device where id = $1 and state = 'purged')",
    ];
    for statement in STATEMENTS {
        query(statement)
            .bind(&device.as_bytes()[..])
            .execute(tx.conn())
            .await
            .map_err(failed("remove the rest of a device"))?;
    }
    Ok(())
}

/// Keeps what an endpoint says that it opened and read in a run.
///
/// # Errors
/// The database does not answer.
pub async fn run_reported_update(
    tx: &mut Tx,
    run: RunId,
    files_opened: Option<Count>,
    bytes_read: Option<Bytes>,
) -> Result<(), DbError> {
    query(
        "update run set files_opened = coalesce($2, files_opened), bytes_read = coalesce($3, bytes_read) where id = $1",
    )
    .bind(&run.as_bytes()[..])
    .bind(files_opened.map(|count| int(count.0)))
    .bind(bytes_read.map(|bytes| int(bytes.0)))
    .execute(tx.conn())
    .await
    .map_err(failed("keep what a run has read"))?;
    Ok(())
}
