//! The audit log: who did what, each row chained to the one before. Refuses updates and removals: there are no such
//! statements. The hash is computed in `app::audit`.

use crate::error::failed;
use crate::row::Columns as _;
use crate::{DbError, Tx};
use base::Timestamp;

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number, from 1 without a gap.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who: `admin command`, `device dev_…`, `user usr_…`.
    pub actor: String,
    /// Did what: a stable word.
    pub action: String,
    /// To what.
    pub subject: String,
    /// The rest, in words.
    pub detail: String,
    /// Covers this row and the hash of the row before.
    pub hash: [u8; 32],
}

/// The number and the hash of the newest row.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn audit_get_newest(tx: &mut Tx) -> Result<Option<(u64, [u8; 32])>, DbError> {
    let row = sqlx::query("select seq, hash from audit order by seq desc limit 1")
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get the newest audit row"))?;
    row.map(|row| Ok((row.number("seq")?, row.bytes("hash")?))).transpose()
}

/// Adds a row.
///
/// # Errors
/// Constraint: a row with this number is there; the database does not answer.
pub async fn audit_insert(tx: &mut Tx, row: &AuditRow) -> Result<(), DbError> {
    sqlx::query(
        "insert into audit (seq, at, actor, action, subject, detail, hash) values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(row.seq.cast_signed())
    .bind(row.at.as_ms())
    .bind(&row.actor)
    .bind(&row.action)
    .bind(&row.subject)
    .bind(&row.detail)
    .bind(&row.hash[..])
    .execute(tx.conn())
    .await
    .map_err(failed("insert an audit row"))?;
    Ok(())
}

/// At most `limit` rows after number `after`, in order.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn audit_list(tx: &mut Tx, after: u64, limit: u32) -> Result<Vec<AuditRow>, DbError> {
    let rows = sqlx::query(
        "select seq, at, actor, action, subject, detail, hash from audit where seq > $1 order by seq limit $2",
    )
    .bind(after.cast_signed())
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the audit log"))?;
    let mut list = Vec::with_capacity(rows.len());
    for row in &rows {
        list.push(AuditRow {
            seq: row.number("seq")?,
            at: row.time("at")?,
            actor: row.text("actor")?,
            action: row.text("action")?,
            subject: row.text("subject")?,
            detail: row.text("detail")?,
            hash: row.bytes("hash")?,
        });
    }
    Ok(list)
}
