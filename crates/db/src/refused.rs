//! Activations by a token that were refused, for the desk. Refuses a second row for the same machine and reason.

use crate::error::failed;
use crate::page::limit;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, PageKey, Tx};
use base::{Count, Timestamp, TokenId};

/// What was refused, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRow {
    /// Of the token, the machine and the reason.
    pub id: [u8; 16],
    /// The last time.
    pub at: Timestamp,
    /// The token, when its text was known.
    pub token: Option<TokenId>,
    /// From where it was asked last.
    pub source: String,
    /// The refusal's code.
    pub code: String,
    /// The address that the request gave; empty for none.
    pub email: String,
    /// What the machine said of itself.
    pub host_name: String,
    /// The maker's serial number.
    pub serial: String,
    /// The account that the endpoint runs as.
    pub os_user: String,
    /// How often.
    pub times: Count,
}

/// Counts a refusal: a new row, or one more of the row with this id, with the time and source of the last one.
///
/// # Errors
/// The database does not answer.
pub async fn refused_update(tx: &mut Tx, row: &RefusedRow) -> Result<(), DbError> {
    query(
        "insert into refused_activation (id, at, token_id, source, code, email, host_name, serial, os_user, times) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1) \
         on conflict (id) do update set at = $2, source = $4, times = refused_activation.times + 1",
    )
    .bind(&row.id[..])
    .bind(row.at.as_ms())
    .bind(row.token.as_ref().map(|token| &token.as_bytes()[..]))
    .bind(&row.source)
    .bind(&row.code)
    .bind(&row.email)
    .bind(&row.host_name)
    .bind(&row.serial)
    .bind(&row.os_user)
    .execute(tx.conn())
    .await
    .map_err(failed("count a refused activation"))?;
    Ok(())
}

/// The row with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn refused_get(tx: &mut Tx, id: &[u8; 16]) -> Result<Option<RefusedRow>, DbError> {
    let row = query("select * from refused_activation where id = $1")
        .bind(&id[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a refused activation"))?;
    row.as_ref().map(read).transpose()
}

/// What was refused before this place, the newest first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn refused_list(tx: &mut Tx, after: PageKey, rows: Count) -> Result<Vec<RefusedRow>, DbError> {
    let rows = query(
        "select * from refused_activation where at < $1 or (at = $1 and id < $2) order by at desc, id desc limit $3",
    )
    .bind(after.at.as_ms())
    .bind(&after.id[..])
    .bind(limit(rows))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list refused activations"))?;
    rows.iter().map(read).collect()
}

/// How many there are.
///
/// # Errors
/// The database does not answer.
pub async fn refused_count_get(tx: &mut Tx) -> Result<Count, DbError> {
    let row = query("select count(*) as count from refused_activation")
        .fetch_one(tx.conn())
        .await
        .map_err(failed("count refused activations"))?;
    Ok(Count(row.number("count")?))
}

/// Removes the oldest one of those whose token nobody knows, else the oldest of all.
///
/// # Errors
/// The database does not answer.
pub async fn refused_remove_oldest(tx: &mut Tx) -> Result<(), DbError> {
    query(
        "delete from refused_activation \
         where id = (select id from refused_activation \
         order by case when token_id is null then 0 else 1 end, at, id limit 1)",
    )
    .execute(tx.conn())
    .await
    .map_err(failed("remove a refused activation"))?;
    Ok(())
}

/// Removes what was refused last before `before`; the answer is how many rows they were.
///
/// # Errors
/// The database does not answer.
pub async fn refused_remove_old(tx: &mut Tx, before: Timestamp) -> Result<Count, DbError> {
    let done = query("delete from refused_activation where at < $1")
        .bind(before.as_ms())
        .long()
        .execute(tx.conn())
        .await
        .map_err(failed("remove old refused activations"))?;
    Ok(Count(done.rows_affected()))
}

fn read(row: &Row) -> Result<RefusedRow, DbError> {
    Ok(RefusedRow {
        id: row.bytes("id")?,
        at: row.time("at")?,
        token: row.bytes_maybe("token_id")?.map(TokenId::from_bytes),
        source: row.text("source")?,
        code: row.text("code")?,
        email: row.text("email")?,
        host_name: row.text("host_name")?,
        serial: row.text("serial")?,
        os_user: row.text("os_user")?,
        times: Count(row.number("times")?),
    })
}
