//! Answers to the admin API's POSTs, by the caller's key. Refuses a second answer: the first one stays.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{Count, Timestamp};

/// What is kept for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Of method, path and body: what the key stands for.
    pub digest: [u8; 32],
    /// The HTTP status and the body; `None` while the first request is under way, or when it was cut short.
    pub answer: Option<(u16, Vec<u8>)>,
    /// When the key came first.
    pub created_at: Timestamp,
}

/// Notes that a request with this key (`id`: the digest of who asks and the key) is under way; `false` when the key
/// came before.
///
/// # Errors
/// The database does not answer.
pub async fn idempotency_insert(
    tx: &mut Tx,
    id: &[u8; 32],
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<bool, DbError> {
    let done =
        query("insert into idempotency (id, digest, created_at) values ($1, $2, $3) on conflict (id) do nothing")
            .bind(&id[..])
            .bind(&digest[..])
            .bind(now.as_ms())
            .execute(tx.conn())
            .await
            .map_err(failed("insert an idempotency key"))?;
    Ok(done.rows_affected() == 1)
}

/// What is kept for this key.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn idempotency_get(tx: &mut Tx, id: &[u8; 32]) -> Result<Option<IdempotencyRow>, DbError> {
    let row = query("select digest, status, body, created_at from idempotency where id = $1")
        .bind(&id[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get an idempotency key"))?;
    let Some(row) = row else { return Ok(None) };
    let answer = match row.number_maybe("status")? {
        Some(status) => Some((status, row.octets("body")?)),
        None => None,
    };
    Ok(Some(IdempotencyRow { digest: row.bytes("digest")?, answer, created_at: row.time("created_at")? }))
}

/// Keeps the answer to the request with this key. Gives whether it was the first.
///
/// # Errors
/// The database does not answer.
pub async fn idempotency_update(tx: &mut Tx, id: &[u8; 32], status: u16, body: &[u8]) -> Result<bool, DbError> {
    let done = query("update idempotency set status = $2, body = $3 where id = $1 and status is null")
        .bind(&id[..])
        .bind(i64::from(status))
        .bind(body)
        .execute(tx.conn())
        .await
        .map_err(failed("keep an answer"))?;
    Ok(done.rows_affected() == 1)
}

/// Removes a key whose request came to nothing, so that it can be tried again. A key with an answer stays.
///
/// # Errors
/// The database does not answer.
pub async fn idempotency_remove(tx: &mut Tx, id: &[u8; 32]) -> Result<(), DbError> {
    query("delete from idempotency where id = $1 and status is null")
        .bind(&id[..])
        .execute(tx.conn())
        .await
        .map_err(failed("remove an idempotency key"))?;
    Ok(())
}

/// Removes the keys that came before `before`; the answer is how many they were.
///
/// # Errors
/// The database does not answer.
pub async fn idempotency_remove_old(tx: &mut Tx, before: Timestamp) -> Result<Count, DbError> {
    let done = query("delete from idempotency where created_at < $1")
        .bind(before.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("remove old idempotency keys"))?;
    Ok(Count(done.rows_affected()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_key_gets_one_answer_and_keeps_it_until_it_is_old() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let (id, digest, now) = ([1; 32], [2; 32], Timestamp::from_ms(50));
            for first in [true, false] {
                assert_eq!(idempotency_insert(&mut tx, &id, &digest, now).await.expect("writable"), first);
            }
            let mut row = IdempotencyRow { digest, answer: None, created_at: now };
            assert_eq!(idempotency_get(&mut tx, &id).await.expect("readable").as_ref(), Some(&row));
            assert!(idempotency_update(&mut tx, &id, 201, b"{}").await.expect("writable"));
            assert!(!idempotency_update(&mut tx, &id, 500, b"").await.expect("writable"), "the first answer stays");
            idempotency_remove(&mut tx, &id).await.expect("a key with an answer stays");
            row.answer = Some((201, b"{}".to_vec()));
            assert_eq!(idempotency_get(&mut tx, &id).await.expect("readable"), Some(row));
            for (before, removed) in [(50, 0), (51, 1)] {
                let before = Timestamp::from_ms(before);
                assert_eq!(idempotency_remove_old(&mut tx, before).await.expect("writable"), Count(removed));
            }
            assert_eq!(idempotency_get(&mut tx, &id).await.expect("readable"), None);
        }
    }

    #[tokio::test]
    async fn a_key_whose_request_came_to_nothing_can_be_used_again() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            for _ in 0..2 {
                let new = idempotency_insert(&mut tx, &[1; 32], &[2; 32], Timestamp::from_ms(0)).await;
                assert!(new.expect("writable"));
                idempotency_remove(&mut tx, &[1; 32]).await.expect("writable");
            }
        }
    }
}
