//! Challenges that were used, until they would have expired anyway. Refuses the second use of one.

use crate::error::failed;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{Count, Timestamp};

/// Notes that a challenge was used; `false` when it was before.
///
/// # Errors
/// The database does not answer.
pub async fn challenge_used_insert(tx: &mut Tx, challenge: &[u8; 48], expires_at: Timestamp) -> Result<bool, DbError> {
    let done = query("insert into challenge_used (challenge, expires_at) values ($1, $2) on conflict do nothing")
        .bind(&challenge[..])
        .bind(expires_at.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("insert a used challenge"))?;
    Ok(done.rows_affected() == 1)
}

/// Removes the challenges that have expired; the answer is how many they were.
///
/// # Errors
/// The database does not answer.
pub async fn challenge_used_remove(tx: &mut Tx, now: Timestamp) -> Result<Count, DbError> {
    let done = query("delete from challenge_used where expires_at < $1")
        .bind(now.as_ms())
        .long()
        .execute(tx.conn())
        .await
        .map_err(failed("remove expired challenges"))?;
    Ok(Count(done.rows_affected()))
}
