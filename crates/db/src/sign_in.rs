//! Wrong passwords in a row, by the digest of an address and by source. Refuses addresses in clear: people type
//! passwords there.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{Count, Timestamp};
use control::password::Failures;

/// What is remembered for this address and source; nothing is `Failures::default()`.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn sign_in_failure_get(tx: &mut Tx, address: &[u8; 32], source: &str) -> Result<Failures, DbError> {
    let row = query("select count, last_at from sign_in_failure where address = $1 and source = $2")
        .bind(&address[..])
        .bind(source)
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get wrong passwords"))?;
    let Some(row) = row else { return Ok(Failures::default()) };
    Ok(Failures { count: Count(row.number("count")?), last: Some(row.time("last_at")?) })
}

/// What is remembered for this address, by source: those whose last one came at `since` or later.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn sign_in_failure_list(
    tx: &mut Tx,
    address: &[u8; 32],
    since: Timestamp,
) -> Result<Vec<(String, Failures)>, DbError> {
    let rows = query(
        "select source, count, last_at from sign_in_failure where address = $1 and last_at >= $2 order by source",
    )
    .bind(&address[..])
    .bind(since.as_ms())
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list wrong passwords"))?;
    rows.iter()
        .map(|row| {
            let failures = Failures { count: Count(row.number("count")?), last: Some(row.time("last_at")?) };
            Ok((row.text("source")?, failures))
        })
        .collect()
}

/// What is remembered for this address from everywhere together: of those whose last one came at `since` or later.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn sign_in_failure_sum_get(tx: &mut Tx, address: &[u8; 32], since: Timestamp) -> Result<Failures, DbError> {
    let row = query(
        "select cast(coalesce(sum(count), 0) as bigint) as count, max(last_at) as last_at \
         from sign_in_failure where address = $1 and last_at >= $2",
    )
    .bind(&address[..])
    .bind(since.as_ms())
    .fetch_one(tx.conn())
    .await
    .map_err(failed("add wrong passwords up"))?;
    Ok(Failures { count: Count(row.number("count")?), last: row.time_maybe("last_at")? })
}

/// Remembers so many wrong passwords for this address and source, the last of them at `last`.
///
/// # Errors
/// The database does not answer.
pub async fn sign_in_failure_update(
    tx: &mut Tx,
    address: &[u8; 32],
    source: &str,
    count: Count,
    last: Timestamp,
) -> Result<(), DbError> {
    query(
        "insert into sign_in_failure (address, source, count, last_at) values ($1, $2, $3, $4) \
         on conflict (address, source) do update set count = $3, last_at = $4",
    )
    .bind(&address[..])
    .bind(source)
    .bind(count.0.cast_signed())
    .bind(last.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("update wrong passwords"))?;
    Ok(())
}

/// Forgets the wrong passwords for this address: those from one source, or all. The answer is from how many sources.
///
/// # Errors
/// The database does not answer.
pub async fn sign_in_failure_remove(tx: &mut Tx, address: &[u8; 32], source: Option<&str>) -> Result<Count, DbError> {
    let done = query("delete from sign_in_failure where address = $1 and ($2 = '' or source = $2)")
        .bind(&address[..])
        .bind(source.unwrap_or_default())
        .execute(tx.conn())
        .await
        .map_err(failed("forget wrong passwords"))?;
    Ok(Count(done.rows_affected()))
}

/// Forgets every address whose last wrong password came before `before`; the answer is how many they were.
///
/// # Errors
/// The database does not answer.
pub async fn sign_in_failure_remove_old(tx: &mut Tx, before: Timestamp) -> Result<Count, DbError> {
    let done = query("delete from sign_in_failure where last_at < $1")
        .bind(before.as_ms())
        .long()
        .execute(tx.conn())
        .await
        .map_err(failed("forget old wrong passwords"))?;
    Ok(Count(done.rows_affected()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn wrong_passwords_are_remembered_by_source_added_up_and_forgotten_by_one_or_all() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let (address, at) = ([7; 32], Timestamp::from_ms);
            let failures = |count, last| Failures { count: Count(count), last: Some(at(last)) };
            for (source, count, last) in [("192.0.2.1", 3, 10), ("192.0.2.2", 4, 20), ("192.0.2.2", 5, 30)] {
                sign_in_failure_update(&mut tx, &address, source, Count(count), at(last)).await.expect("writable");
            }
            sign_in_failure_update(&mut tx, &[8; 32], "192.0.2.1", Count(1), at(30)).await.expect("writable");
            let sum = sign_in_failure_sum_get(&mut tx, &address, at(10)).await.expect("readable");
            assert_eq!(sum, failures(8, 30));
            let listed = sign_in_failure_list(&mut tx, &address, at(11)).await.expect("readable");
            assert_eq!(listed, [("192.0.2.2".to_owned(), failures(5, 30))], "the other is too old");
            let one = sign_in_failure_remove(&mut tx, &address, Some("192.0.2.2")).await.expect("writable");
            let here = sign_in_failure_get(&mut tx, &address, "192.0.2.1").await.expect("readable");
            assert_eq!((one, here), (Count(1), failures(3, 10)));
            let all = sign_in_failure_remove(&mut tx, &address, None).await.expect("writable");
            let sum = sign_in_failure_sum_get(&mut tx, &address, at(0)).await.expect("readable");
            assert_eq!((all, sum), (Count(1), Failures::default()));
            let other = sign_in_failure_get(&mut tx, &[8; 32], "192.0.2.1").await.expect("readable");
            assert_eq!(other, failures(1, 30), "another address is not touched");
        }
    }
}
