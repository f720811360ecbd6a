//! The audit log: who did what, each row chained to the one before. Refuses updates and removals: there are no such
//! statements. The hash is computed in `app::audit`.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
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
    /// From where: an address, or empty where none is known.
    pub source: String,
    /// By which proof; empty where none was asked for.
    pub proof: String,
    /// What the hash covers: 1, everything above but source and proof; 2, these too.
    pub version: u32,
    /// Covers this row and the hash of the row before.
    pub hash: [u8; 32],
}

/// The number and the hash of the newest row.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn audit_get_newest(tx: &mut Tx) -> Result<Option<(u64, [u8; 32])>, DbError> {
    let row = query("select seq, hash from audit order by seq desc limit 1")
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
    query(
        "insert into audit (seq, at, actor, action, subject, detail, source, proof, version, hash) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(row.seq.cast_signed())
    .bind(row.at.as_ms())
    .bind(&row.actor)
    .bind(&row.action)
    .bind(&row.subject)
    .bind(&row.detail)
    .bind(&row.source)
    .bind(&row.proof)
    .bind(i64::from(row.version))
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
    let rows = query("select * from audit where seq > $1 order by seq limit $2")
        .bind(int(after))
        .bind(i64::from(limit))
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list the audit log"))?;
    rows.iter().map(read).collect()
}

/// Which rows of the log are asked for. Empty asks for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By exactly this actor.
    pub actor: Option<String>,
    /// Of exactly this action.
    pub action: Option<String>,
    /// About exactly this subject.
    pub subject: Option<String>,
    /// Not before this.
    pub from: Option<Timestamp>,
    /// Before this.
    pub until: Option<Timestamp>,
}

/// At most `limit` rows with numbers below `before` that fit, the newest first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn audit_list_newest(
    tx: &mut Tx,
    filter: &AuditFilter,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<AuditRow>, DbError> {
    let rows = query(
        "select * from audit where seq < $1 and ($2 is null or actor = $2) and ($3 is null or action = $3) \
         and ($4 is null or subject = $4) and ($5 is null or at >= $5) and ($6 is null or at < $6) \
         order by seq desc limit $7",
    )
    .bind(before.map_or(i64::MAX, int))
    .bind(&filter.actor)
    .bind(&filter.action)
    .bind(&filter.subject)
    .bind(filter.from.map(Timestamp::as_ms))
    .bind(filter.until.map(Timestamp::as_ms))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list the audit log"))?;
    rows.iter().map(read).collect()
}

/// The number and the hash of the newest row as they were noted apart from the log; `None` before the first was.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn audit_head_get(tx: &mut Tx) -> Result<Option<(u64, [u8; 32])>, DbError> {
    let row = query("select seq, hash from audit_head where one = 1")
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get the head of the audit log"))?;
    row.map(|row| Ok((row.number("seq")?, row.bytes("hash")?))).transpose()
}

/// Notes the number and the hash of the newest row apart from the log.
///
/// # Errors
/// The database does not answer.
pub async fn audit_head_update(tx: &mut Tx, seq: u64, hash: &[u8; 32]) -> Result<(), DbError> {
    query(
        "insert into audit_head (one, seq, hash) values (1, $1, $2) \
         on conflict (one) do update set seq = excluded.seq, hash = excluded.hash",
    )
    .bind(int(seq))
    .bind(&hash[..])
    .execute(tx.conn())
    .await
    .map_err(failed("note the head of the audit log"))?;
    Ok(())
}

fn read(row: &Row) -> Result<AuditRow, DbError> {
    Ok(AuditRow {
        seq: row.number("seq")?,
        at: row.time("at")?,
        actor: row.text("actor")?,
        action: row.text("action")?,
        subject: row.text("subject")?,
        detail: row.text("detail")?,
        source: row.text("source")?,
        proof: row.text("proof")?,
        version: row.number("version")?,
        hash: row.bytes("hash")?,
    })
}
