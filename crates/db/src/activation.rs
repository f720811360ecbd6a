//! Answers to activations, kept so that a repeated request gets the same one. Refuses to change one.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{DeviceId, Timestamp};

/// The answer that a request with a key got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationRow {
    /// Of everything in the request.
    pub digest: [u8; 32],
    /// The record that the key was bound to.
    pub device: DeviceId,
    /// Which binding it was.
    pub epoch: u64,
    /// The word of the rights that it gave.
    pub rights: String,
    /// The outcome's word.
    pub outcome: String,
    /// What it has changed of the user's own choices: `control::policy::PolicyChanges` as text.
    pub changes: String,
    /// The word of what is to be brought back.
    pub restore: String,
}

/// What a key is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceKeyRow {
    /// A request with it was answered, or waits.
    pub asked: bool,
    /// It is bound to a record, or was.
    pub bound: bool,
}

/// What is known of a key before anything else is looked at; mostly nothing.
///
/// # Errors
/// The database does not answer.
pub async fn device_key_get(tx: &mut Tx, request: &[u8; 16], device_key: &[u8; 32]) -> Result<DeviceKeyRow, DbError> {
    let row = query(
        "select (select count(*) from activation where request = $1 and device_key = $2) \
         + (select count(*) from waiting where device_key = $2) as asked, \
         (select count(*) from credential where public_key = $2) as bound",
    )
    .bind(&request[..])
    .bind(&device_key[..])
    .fetch_one(tx.conn())
    .await
    .map_err(failed("look for a device key"))?;
    Ok(DeviceKeyRow { asked: row.int("asked")? > 0, bound: row.int("bound")? > 0 })
}

/// The answer kept for this request with this key.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn activation_get(
    tx: &mut Tx,
    request: &[u8; 16],
    device_key: &[u8; 32],
) -> Result<Option<ActivationRow>, DbError> {
    let row = query(
        "select digest, device_id, epoch, rights, outcome, restore, changes from activation \
         where request = $1 and device_key = $2",
    )
    .bind(&request[..])
    .bind(&device_key[..])
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get an activation"))?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(ActivationRow {
        digest: row.bytes("digest")?,
        device: DeviceId::from_bytes(row.bytes("device_id")?),
        epoch: row.number("epoch")?,
        rights: row.text("rights")?,
        outcome: row.text("outcome")?,
        changes: row.text("changes")?,
        restore: row.text("restore")?,
    }))
}

/// Keeps the answer to a request.
///
/// # Errors
/// Constraint: this request with this key has one; the database does not answer.
pub async fn activation_insert(
    tx: &mut Tx,
    request: &[u8; 16],
    device_key: &[u8; 32],
    answer: &ActivationRow,
    now: Timestamp,
) -> Result<(), DbError> {
    query(
        "insert into activation (request, device_key, digest, device_id, epoch, rights, outcome, restore, created_at, \
         changes) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&request[..])
    .bind(&device_key[..])
    .bind(&answer.digest[..])
    .bind(&answer.device.as_bytes()[..])
    .bind(answer.epoch.cast_signed())
    .bind(&answer.rights)
    .bind(&answer.outcome)
    .bind(&answer.restore)
    .bind(now.as_ms())
    .bind(&answer.changes)
    .execute(tx.conn())
    .await
    .map_err(failed("insert an activation"))?;
    Ok(())
}
