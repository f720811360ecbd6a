//! Answers to requests of the admin API by the caller's key, so that the same request gets the same answer.
//! Refuses bodies in the clear: `app::idempotency` seals them, since an answer may show a secret.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::Timestamp;

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Digest of the request itself.
    pub digest: [u8; 32],
    /// Status and sealed body of its answer; `None` while there is none.
    pub answer: Option<(u16, Vec<u8>)>,
    /// When it came first.
    pub created_at: Timestamp,
    /// Until when whoever carries it out may be at work.
    pub busy_until: Timestamp,
    /// Whether its change is committed.
    pub done: bool,
}

/// Takes a key for a request; false when it is taken already.
///
/// # Errors
/// The database does not answer.
pub async fn idempotency_insert(
    tx: &mut Tx,
    id: &[u8; 32],
    digest: &[u8; 32],
    now: Timestamp,
    busy_until: Timestamp,
) -> Result<bool, DbError> {
    let inserted = query(
        "insert into idempotency (id, digest, created_at, busy_until, done) values ($1, $2, $3, $4, 0) \
         on conflict (id) do nothing",
    )
    .bind(&id[..])
    .bind(&digest[..])
    .bind(now.as_ms())
    .bind(busy_until.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("take an idempotency key"))?;
    Ok(inserted.rows_affected() == 1)
}

/// What is known of the request with this key.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn idempotency_get(tx: &mut Tx, id: &[u8; 32]) -> Result<Option<IdempotencyRow>, DbError> {
    let row = query("select digest, status, body, created_at, busy_until, done from idempotency where id = $1")
        .bind(&id[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get an idempotency key"))?;
    let Some(row) = row else { return Ok(None) };
    let answer = match row.number_maybe("status")? {
        Some(status) => Some((status, row.octets("body")?)),
        None => None,
    };
    Ok(Some(IdempotencyRow {
        digest: row.bytes("digest")?,
        answer,
        created_at: row.time("created_at")?,
        busy_until: row.time("busy_until")?,
        done: row.int("done")? != 0,
    }))
}

/// Takes a key over from whoever was at work and has not changed anything.
///
/// # Errors
/// The database does not answer.
pub async fn idempotency_busy_update(tx: &mut Tx, id: &[u8; 32], busy_until: Timestamp) -> Result<(), DbError> {
    query("update idempotency set busy_until = $2 where id = $1")
        .bind(&id[..])
        .bind(busy_until.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("take an idempotency key over"))?;
    Ok(())
}

/// Notes that the change of a request is committed: with this very transaction.
///
/// # Errors
/// The database does not answer.
pub async fn idempotency_done_update(tx: &mut Tx, id: &[u8; 32]) -> Result<(), DbError> {
    query("update idempotency set done = 1 where id = $1")
        .bind(&id[..])
        .execute(tx.conn())
        .await
        .map_err(failed("note that a request is done"))?;
    Ok(())
}

/// Keeps the answer of a request.
///
/// # Errors
/// The database does not answer.
pub async fn idempotency_answer_update(tx: &mut Tx, id: &[u8; 32], status: u16, sealed: &[u8]) -> Result<(), DbError> {
    query("update idempotency set status = $2, body = $3 where id = $1")
        .bind(&id[..])
        .bind(i64::from(status))
        .bind(sealed)
        .execute(tx.conn())
        .await
        .map_err(failed("keep an answer"))?;
    Ok(())
}

/// Gives a key free again.
///
/// # Errors
/// The database does not answer.
pub async fn idempotency_remove(tx: &mut Tx, id: &[u8; 32]) -> Result<(), DbError> {
    query("delete from idempotency where id = $1")
        .bind(&id[..])
        .execute(tx.conn())
        .await
        .map_err(failed("give an idempotency key free"))?;
    Ok(())
}

/// Removes what was asked before `before`; gives how many those were.
///
/// # Errors
/// The database does not answer.
pub async fn idempotency_remove_old(tx: &mut Tx, before: Timestamp) -> Result<u64, DbError> {
    let removed = query("delete from idempotency where created_at < $1")
        .bind(before.as_ms())
        .long()
        .execute(tx.conn())
        .await
        .map_err(failed("remove old idempotency keys"))?;
    Ok(removed.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const ID: [u8; 32] = [1; 32];

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[tokio::test]
    async fn a_key_is_taken_once_done_answered_and_removed() {
        for temp in testing::databases().await {
            once(temp).await;
        }
    }

    async fn once(temp: testing::TempDb) {
        let mut tx = temp.db.write().await.expect("nobody else writes");
        assert!(idempotency_insert(&mut tx, &ID, &[2; 32], at(5), at(9)).await.expect("new"));
        assert!(!idempotency_insert(&mut tx, &ID, &[3; 32], at(6), at(9)).await.expect("taken"));
        let mut row =
            IdempotencyRow { digest: [2; 32], answer: None, created_at: at(5), busy_until: at(9), done: false };
        assert_eq!(idempotency_get(&mut tx, &ID).await.expect("readable"), Some(row.clone()));
        idempotency_busy_update(&mut tx, &ID, at(20)).await.expect("there");
        idempotency_done_update(&mut tx, &ID).await.expect("there");
        idempotency_answer_update(&mut tx, &ID, 200, b"sealed").await.expect("there");
        (row.answer, row.busy_until, row.done) = (Some((200, b"sealed".to_vec())), at(20), true);
        assert_eq!(idempotency_get(&mut tx, &ID).await.expect("readable"), Some(row));
        assert_eq!(idempotency_remove_old(&mut tx, at(5)).await.expect("none is older"), 0);
        assert_eq!(idempotency_remove_old(&mut tx, at(6)).await.expect("one is"), 1);
        assert_eq!(idempotency_get(&mut tx, &ID).await.expect("readable"), None);
        assert!(idempotency_insert(&mut tx, &ID, &[3; 32], at(6), at(9)).await.expect("free again"));
        idempotency_remove(&mut tx, &ID).await.expect("there");
        assert_eq!(idempotency_get(&mut tx, &ID).await.expect("readable"), None);
    }
}
