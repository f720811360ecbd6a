//! What is removed for good: the rest of purged records, and rows whose time is over. Refuses records that are not
//! purged: their rows stay whatever is asked.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::query;
use crate::{DbError, Tx};
use base::{Bytes, Count, DeviceId, RunId, Timestamp, UserId};

/// The purged records that still have snapshots, credentials or runs.
///
/// # Errors
/// The database does not answer.
pub async fn device_list_purged_rest(tx: &mut Tx) -> Result<Vec<DeviceId>, DbError> {
    let rows = query(
        "select d.id from device d where d.state = 'purged' and (exists (select 1 from snapshot s \
         where s.device_id = d.id) or exists (select 1 from credential c where c.device_id = d.id)) \
         order by d.id",
    )
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
    const STATEMENTS: [&str; 11] = [
        "delete from run where device_id = (select id from device where id = $1 and state = 'purged')",
        "delete from activation where device_id = (select id from device where id = $1 and state = 'purged')",
        "delete from support_bundle where device_id = (select id from device where id = $1 and state = 'purged')",
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
            .long()
            .execute(tx.conn())
            .await
            .map_err(failed("remove the rest of a device"))?;
    }
    Ok(())
}

/// The deleted users whose undo period is over at `now` and of whom nothing is held, the longest first.
///
/// # Errors
/// The database does not answer.
pub async fn user_list_over(tx: &mut Tx, now: Timestamp) -> Result<Vec<UserId>, DbError> {
    let rows = query(
        "select id from \"user\" where state = 'deleted' and (purge_after is null or purge_after <= $1) \
         and not exists (select 1 from hold where (hold.level = 'user' and hold.subject = \"user\".id) \
         or (hold.level = 'device' and hold.subject in (select d.id from device d where d.user_id = \"user\".id))) \
         order by purge_after, id",
    )
    .bind(now.as_ms())
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list deleted users"))?;
    rows.iter().map(|row| Ok(UserId::from_bytes(row.bytes("id")?))).collect()
}

/// A user's records that are neither deleted nor purged, those that were merged too.
///
/// # Errors
/// The database does not answer.
pub async fn device_list_kept_by_user(tx: &mut Tx, user: UserId) -> Result<Vec<DeviceId>, DbError> {
    let rows = query("select id from device where user_id = $1 and state not in ('deleted', 'purged') order by id")
        .bind(&user.as_bytes()[..])
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list the records of a user"))?;
    rows.iter().map(|row| Ok(DeviceId::from_bytes(row.bytes("id")?))).collect()
}

/// The purged users that still have an address, and whose records are gone: purged, with nothing left.
///
/// # Errors
/// The database does not answer.
pub async fn user_list_purged_rest(tx: &mut Tx) -> Result<Vec<(UserId, String)>, DbError> {
    let rows = query(
        "select u.id, u.email from \"user\" u where u.state = 'purged' and u.email like '%@%' and not exists \
         (select 1 from device d where d.user_id = u.id and (d.state <> 'purged' or exists \
         (select 1 from snapshot s where s.device_id = d.id) or exists \
         (select 1 from credential c where c.device_id = d.id))) order by u.id",
    )
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list purged users"))?;
    rows.iter().map(|row| Ok((UserId::from_bytes(row.bytes("id")?), row.text("email")?))).collect()
}

/// Removes what is left of a purged user but the identifier. `address` is the digest under which wrong passwords for
/// the user's address are counted. The address is free then.
///
/// # Errors
/// The database does not answer.
pub async fn user_rest_remove(tx: &mut Tx, user: UserId, email: &str, address: &[u8; 32]) -> Result<(), DbError> {
    const BY_ID: [&str; 7] = [
        "delete from ticket where user_id = $1",
        "delete from device_map where user_id = $1",
        "delete from password_link where user_id = $1",
        "delete from password_old where user_id = $1",
        "delete from policy_value where level = 'user' and subject = $1",
        "delete from folder where level = 'user' and subject = $1",
        "update device set name = '' where user_id = $1 and state = 'purged'",
    ];
    for statement in BY_ID {
        query(statement)
            .bind(&user.as_bytes()[..])
            .long()
            .execute(tx.conn())
            .await
            .map_err(failed("remove the rest of a user"))?;
    }
    for statement in ["delete from mail where recipient = $1", "delete from refused_activation where email = $1"] {
        query(statement).bind(email).long().execute(tx.conn()).await.map_err(failed("remove what names a user"))?;
    }
    query("delete from sign_in_failure where address = $1")
        .bind(&address[..])
        .execute(tx.conn())
        .await
        .map_err(failed("remove the wrong sign-ins of a user"))?;
    // ORDER: last, because the address is what tells that something is left. What stands there is none that a user
    // can have: it has no @.
    query(
        "update \"user\" set email = $2, password_hash = '', password_set_at = null, profile_id = null \
         where id = $1 and state = 'purged'",
    )
    .bind(&user.as_bytes()[..])
    .bind(format!("purged {user}"))
    .execute(tx.conn())
    .await
    .map_err(failed("remove the address of a user"))?;
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
