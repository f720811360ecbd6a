//! How often something was done in one span of time. Refuses to know what: the subject is a digest.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{Count, Timestamp};

/// How often it was done in the span that began then.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn tally_get(tx: &mut Tx, subject: &[u8; 32], span_at: Timestamp) -> Result<Count, DbError> {
    let row = query("select count from tally where subject = $1 and span_at = $2")
        .bind(&subject[..])
        .bind(span_at.as_ms())
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a tally"))?;
    Ok(Count(row.map_or(Ok(0), |row| row.number("count"))?))
}

/// It was done once more.
///
/// # Errors
/// The database does not answer.
pub async fn tally_update(tx: &mut Tx, subject: &[u8; 32], span_at: Timestamp) -> Result<(), DbError> {
    query(
        "insert into tally (subject, span_at, count) values ($1, $2, 1) \
         on conflict (subject, span_at) do update set count = tally.count + 1",
    )
    .bind(&subject[..])
    .bind(span_at.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("update a tally"))?;
    Ok(())
}

/// Removes every span that began before `before`; the answer is how many rows they were.
///
/// # Errors
/// The database does not answer.
pub async fn tally_remove_old(tx: &mut Tx, before: Timestamp) -> Result<Count, DbError> {
    let done = query("delete from tally where span_at < $1")
        .bind(before.as_ms())
        .long()
        .execute(tx.conn())
        .await
        .map_err(failed("remove old tallies"))?;
    Ok(Count(done.rows_affected()))
}
