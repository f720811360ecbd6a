//! Wrong passwords in a row, by the digest of an address. Refuses addresses in clear: people type passwords there.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{Count, Timestamp};
use control::password::Failures;

/// What is remembered for this address; nothing is `Failures::default()`.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn sign_in_failure_get(tx: &mut Tx, address: &[u8; 32]) -> Result<Failures, DbError> {
    let row = query("select count, last_at from sign_in_failure where address = $1")
        .bind(&address[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get wrong passwords"))?;
    let Some(row) = row else { return Ok(Failures::default()) };
    Ok(Failures { count: Count(row.number("count")?), last: Some(row.time("last_at")?) })
}

/// Remembers so many wrong passwords for this address, the last of them at `last`.
///
/// # Errors
/// The database does not answer.
pub async fn sign_in_failure_update(
    tx: &mut Tx,
    address: &[u8; 32],
    count: Count,
    last: Timestamp,
) -> Result<(), DbError> {
    query(
        "insert into sign_in_failure (address, count, last_at) values ($1, $2, $3) \
         on conflict (address) do update set count = $2, last_at = $3",
    )
    .bind(&address[..])
    .bind(count.0.cast_signed())
    .bind(last.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("update wrong passwords"))?;
    Ok(())
}

/// Forgets the wrong passwords for this address.
///
/// # Errors
/// The database does not answer.
pub async fn sign_in_failure_remove(tx: &mut Tx, address: &[u8; 32]) -> Result<(), DbError> {
    query("delete from sign_in_failure where address = $1")
        .bind(&address[..])
        .execute(tx.conn())
        .await
        .map_err(failed("forget wrong passwords"))?;
    Ok(())
}

/// Forgets every address whose last wrong password came before `before`; the answer is how many they were.
///
/// # Errors
/// The database does not answer.
pub async fn sign_in_failure_remove_old(tx: &mut Tx, before: Timestamp) -> Result<Count, DbError> {
    let done = query("delete from sign_in_failure where last_at < $1")
        .bind(before.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("forget old wrong passwords"))?;
    Ok(Count(done.rows_affected()))
}
