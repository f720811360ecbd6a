//! Records that wait for an admin, with the key that is bound when one approves. Refuses to decide about them.

use crate::error::failed;
use crate::page::limit;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::ticket::restore;
use crate::{DbError, PageKey, Tx};
use base::{Count, DeviceId, Timestamp, TokenId};
use control::activation::Restore;

/// One record that waits, or that an admin has refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingRow {
    /// The record.
    pub device: DeviceId,
    /// The public half of the key to bind.
    pub device_key: [u8; 32],
    /// Which request it came in.
    pub request: [u8; 16],
    /// Of everything in that request.
    pub digest: [u8; 32],
    /// What is to be brought back once it is approved.
    pub restore: Restore,
    /// The deployment token.
    pub token: Option<TokenId>,
    /// The proof's word.
    pub proof: String,
    /// Why it waits: a stable word.
    pub reason: String,
    /// From where it was asked.
    pub source: String,
    /// When it was asked first.
    pub asked_at: Timestamp,
    /// When an admin refused it.
    pub refused_at: Option<Timestamp>,
    /// The admin's words then.
    pub refusal: String,
}

/// Adds a record that waits.
///
/// # Errors
/// Constraint: it waits already, or another record with this key does; the database does not answer.
pub async fn waiting_insert(tx: &mut Tx, row: &WaitingRow) -> Result<(), DbError> {
    query(
        "insert into waiting (device_id, device_key, request, digest, restore, token_id, proof, reason, source, \
         asked_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&row.device.as_bytes()[..])
    .bind(&row.device_key[..])
    .bind(&row.request[..])
    .bind(&row.digest[..])
    .bind(row.restore.word())
    .bind(row.token.as_ref().map(|token| &token.as_bytes()[..]))
    .bind(&row.proof)
    .bind(&row.reason)
    .bind(&row.source)
    .bind(row.asked_at.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("insert a record that waits"))?;
    Ok(())
}

/// What is known of a record that waits or was refused.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn waiting_get(tx: &mut Tx, device: DeviceId) -> Result<Option<WaitingRow>, DbError> {
    let row = query("select * from waiting where device_id = $1")
        .bind(&device.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a record that waits"))?;
    row.as_ref().map(read).transpose()
}

/// The record that waits, or was refused, with this key.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn waiting_get_by_key(tx: &mut Tx, device_key: &[u8; 32]) -> Result<Option<WaitingRow>, DbError> {
    let row = query("select * from waiting where device_key = $1")
        .bind(&device_key[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a record that waits"))?;
    row.as_ref().map(read).transpose()
}

/// A pending record, and the computer that waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRow {
    /// The record.
    pub device: DeviceId,
    /// When it was asked for first; when it was made, where nobody has.
    pub at: Timestamp,
    /// Who waits; `None` where no computer has asked.
    pub waiting: Option<WaitingRow>,
}

/// The pending records after this place, the oldest first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn waiting_list(tx: &mut Tx, after: PageKey, rows: Count) -> Result<Vec<PendingRow>, DbError> {
    let rows = query(
        "select w.*, p.id as pending_id, p.at as pending_at from \
         (select d.id, coalesce(v.asked_at, d.created_at) as at from device d \
         left join waiting v on v.device_id = d.id and v.refused_at is null where d.state = 'pending') p \
         left join waiting w on w.device_id = p.id and w.refused_at is null \
         where p.at > $1 or (p.at = $1 and p.id > $2) order by p.at, p.id limit $3",
    )
    .bind(after.at.as_ms())
    .bind(&after.id[..])
    .bind(limit(rows))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list records that wait"))?;
    let pending = |row: &Row| {
        let waiting = row.bytes_maybe::<16>("device_id")?.map(|_| read(row)).transpose()?;
        let device = DeviceId::from_bytes(row.bytes("pending_id")?);
        Ok(PendingRow { device, at: row.time("pending_at")?, waiting })
    };
    rows.iter().map(pending).collect()
}

/// A refusal is taken back: nobody waits for the record, and its computer may ask for it again.
///
/// # Errors
/// The database does not answer.
pub async fn waiting_refused_remove(tx: &mut Tx, device: DeviceId) -> Result<(), DbError> {
    query("delete from waiting where device_id = $1 and refused_at is not null")
        .bind(&device.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("take a refusal back"))?;
    Ok(())
}

/// Marks a record as refused, with the admin's words.
///
/// # Errors
/// The database does not answer.
pub async fn waiting_refused_update(
    tx: &mut Tx,
    device: DeviceId,
    refusal: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    query("update waiting set refused_at = $2, refusal = $3 where device_id = $1")
        .bind(&device.as_bytes()[..])
        .bind(now.as_ms())
        .bind(refusal)
        .execute(tx.conn())
        .await
        .map_err(failed("refuse a record that waits"))?;
    Ok(())
}

/// The record waits no longer.
///
/// # Errors
/// The database does not answer.
pub async fn waiting_remove(tx: &mut Tx, device: DeviceId) -> Result<(), DbError> {
    query("delete from waiting where device_id = $1")
        .bind(&device.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("remove a record that waits"))?;
    Ok(())
}

fn read(row: &Row) -> Result<WaitingRow, DbError> {
    Ok(WaitingRow {
        device: DeviceId::from_bytes(row.bytes("device_id")?),
        device_key: row.bytes("device_key")?,
        request: row.bytes("request")?,
        digest: row.bytes("digest")?,
        restore: restore(&row.text("restore")?)?,
        token: row.bytes_maybe("token_id")?.map(TokenId::from_bytes),
        proof: row.text("proof")?,
        reason: row.text("reason")?,
        source: row.text("source")?,
        asked_at: row.time("asked_at")?,
        refused_at: row.time_maybe("refused_at")?,
        refusal: row.text("refusal")?,
    })
}
