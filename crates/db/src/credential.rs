//! Device keys bound to devices. Refuses a second live binding: the schema's index stands against it.

mod chain;

pub use chain::{CredentialSince, credential_follows_update, credential_since_get};

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{DeviceId, Timestamp};

/// One binding of a key to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// Which binding of the device this is, from 1.
    pub epoch: u64,
    /// The public half of the device key (Ed25519).
    pub public_key: [u8; 32],
    /// When it was revoked; `None` while it lives.
    pub revoked_at: Option<Timestamp>,
}

/// Binds a key to a device.
///
/// # Errors
/// Constraint: the device has a live binding, or one of this epoch; the database does not answer.
pub async fn credential_insert(
    tx: &mut Tx,
    device: DeviceId,
    epoch: u64,
    public_key: &[u8; 32],
    now: Timestamp,
) -> Result<(), DbError> {
    query("insert into credential (device_id, epoch, public_key, issued_at) values ($1, $2, $3, $4)")
        .bind(&device.as_bytes()[..])
        .bind(epoch.cast_signed())
        .bind(&public_key[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("insert a credential"))?;
    Ok(())
}

/// The newest binding of a device, live or revoked.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn credential_get_newest(tx: &mut Tx, device: DeviceId) -> Result<Option<CredentialRow>, DbError> {
    let row =
        query("select epoch, public_key, revoked_at from credential where device_id = $1 order by epoch desc limit 1")
            .bind(&device.as_bytes()[..])
            .fetch_optional(tx.conn())
            .await
            .map_err(failed("get a credential"))?;
    row.as_ref().map(read).transpose()
}

/// The live binding of a device.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn credential_get_live(tx: &mut Tx, device: DeviceId) -> Result<Option<CredentialRow>, DbError> {
    let row = query("select epoch, public_key, revoked_at from credential where device_id = $1 and revoked_at is null")
        .bind(&device.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a credential"))?;
    row.as_ref().map(read).transpose()
}

/// Revokes the live binding of a device; nothing happens when there is none.
///
/// # Errors
/// The database does not answer.
pub async fn credential_revoke_update(tx: &mut Tx, device: DeviceId, now: Timestamp) -> Result<(), DbError> {
    query("update credential set revoked_at = $2 where device_id = $1 and revoked_at is null")
        .bind(&device.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("revoke a credential"))?;
    Ok(())
}

fn read(row: &Row) -> Result<CredentialRow, DbError> {
    Ok(CredentialRow {
        epoch: row.number("epoch")?,
        public_key: row.bytes("public_key")?,
        revoked_at: row.time_maybe("revoked_at")?,
    })
}
