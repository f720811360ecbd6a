//! Answers to activations, kept so that a repeated request gets the same one. Refuses to change one.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, DeviceAbout, Tx};
use base::{DeviceId, Timestamp, TokenId};

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

/// How a machine came to its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// The proof's word.
    pub proof: String,
    /// The deployment token.
    pub token: Option<TokenId>,
    /// From where it asked.
    pub source: String,
    /// What the record held before; `None` for one that was made for the machine.
    pub former: Option<Former>,
}

/// The machine that had a record before another activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// What it said of itself.
    pub about: DeviceAbout,
    /// When it was heard of last.
    pub seen_at: Option<Timestamp>,
    /// When it was activated.
    pub activated_at: Timestamp,
}

/// The newest activation of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameRow {
    /// When.
    pub at: Timestamp,
    /// The outcome's word.
    pub outcome: String,
    /// How.
    pub came: Came,
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

/// Keeps the answer to a request, and how the machine came to it.
///
/// # Errors
/// Constraint: this request with this key has one; the database does not answer.
pub async fn activation_insert(
    tx: &mut Tx,
    request: &[u8; 16],
    device_key: &[u8; 32],
    answer: &ActivationRow,
    came: &Came,
    now: Timestamp,
) -> Result<(), DbError> {
    let former = came.former.as_ref();
    query(
        "insert into activation (request, device_key, digest, device_id, epoch, rights, outcome, restore, created_at, \
         changes, proof, token_id, source, former, former_seen_at, former_activated_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
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
    .bind(&came.proof)
    .bind(came.token.as_ref().map(|token| &token.as_bytes()[..]))
    .bind(&came.source)
    .bind(former.map_or(String::new(), |former| lines(&former.about)))
    .bind(former.and_then(|former| former.seen_at).map(Timestamp::as_ms))
    .bind(former.map(|former| former.activated_at.as_ms()))
    .execute(tx.conn())
    .await
    .map_err(failed("insert an activation"))?;
    Ok(())
}

/// How the machine that has this record now came to it.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn activation_get_newest(tx: &mut Tx, device: DeviceId) -> Result<Option<CameRow>, DbError> {
    let row = query(
        "select created_at, outcome, proof, token_id, source, former, former_seen_at, former_activated_at \
         from activation where device_id = $1 order by epoch desc limit 1",
    )
    .bind(&device.as_bytes()[..])
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get the newest activation of a device"))?;
    let Some(row) = row else { return Ok(None) };
    let came = Came {
        proof: row.text("proof")?,
        token: row.bytes_maybe("token_id")?.map(TokenId::from_bytes),
        source: row.text("source")?,
        former: former(&row)?,
    };
    Ok(Some(CameRow { at: row.time("created_at")?, outcome: row.text("outcome")?, came }))
}

fn former(row: &Row) -> Result<Option<Former>, DbError> {
    let Some(activated_at) = row.time_maybe("former_activated_at")? else { return Ok(None) };
    let text = row.text("former")?;
    let mut lines = text.split('\n').map(str::to_owned);
    let mut next = || lines.next().ok_or(DbError::Column { column: "former", what: "what a machine says of itself" });
    let about = DeviceAbout {
        host_name: next()?,
        serial: next()?,
        hardware_uuid: next()?,
        os_user: next()?,
        os: next()?,
        arch: next()?,
        agent: next()?,
    };
    Ok(Some(Former { about, seen_at: row.time_maybe("former_seen_at")?, activated_at }))
}

/// One text a line: an activation with a control character is refused before it is stored.
fn lines(about: &DeviceAbout) -> String {
    let DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent } = about;
    [host_name, serial, hardware_uuid, os_user, os, arch, agent].map(String::as_str).join("\n")
}
