//! What users were told of their quota. Refuses to decide whether somebody is told: `control::quota` does.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::query;
use crate::{DbError, Tx};
use base::{Timestamp, UserId};
use control::quota::{Standing, Told};

/// What a user was told, as of one who stands below where nothing is known; and when a backup was last refused.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn quota_notice_get(tx: &mut Tx, user: UserId) -> Result<(Told, Option<Timestamp>), DbError> {
    let row = query("select standing, warned_at, over_at, refused_at from quota_notice where user_id = $1")
        .bind(&user.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get what a user was told of the quota"))?;
    let Some(row) = row else { return Ok((Told::default(), None)) };
    let standing = Standing::from_word(&row.text("standing")?);
    let told = Told {
        standing: standing
            .ok_or(DbError::Column { column: "standing", what: "where a user stands beside the quota" })?,
        warned_at: row.time_maybe("warned_at")?,
        over_at: row.time_maybe("over_at")?,
    };
    Ok((told, row.time_maybe("refused_at")?))
}

/// Keeps what a user was told, and when a backup was refused where one was.
///
/// # Errors
/// Constraint: there is no such user; the database does not answer.
pub async fn quota_notice_update(
    tx: &mut Tx,
    user: UserId,
    told: Told,
    refused_at: Option<Timestamp>,
) -> Result<(), DbError> {
    query(
        "insert into quota_notice (user_id, standing, warned_at, over_at, refused_at) values ($1, $2, $3, $4, $5) \
         on conflict (user_id) do update set standing = $2, warned_at = $3, over_at = $4, \
         refused_at = coalesce($5, quota_notice.refused_at)",
    )
    .bind(&user.as_bytes()[..])
    .bind(told.standing.word())
    .bind(told.warned_at.map(Timestamp::as_ms))
    .bind(told.over_at.map(Timestamp::as_ms))
    .bind(refused_at.map(Timestamp::as_ms))
    .execute(tx.conn())
    .await
    .map_err(failed("keep what a user was told of the quota"))?;
    Ok(())
}

/// The addresses of the users who are over, and whose last refused backup was at `since` or later, in their order.
///
/// # Errors
/// The database does not answer.
pub async fn quota_notice_list_refused(tx: &mut Tx, since: Timestamp) -> Result<Vec<String>, DbError> {
    let rows = query(
        "select u.email from quota_notice n join \"user\" u on u.id = n.user_id \
         where n.refused_at >= $1 and n.standing = 'over' order by u.email",
    )
    .bind(since.as_ms())
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list users whose backups were refused"))?;
    rows.iter().map(|row| row.text("email")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn what_was_told_reads_back_and_a_refusal_is_not_forgotten_by_what_comes_later() {
        for temp in testing::fixtures().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let at = Timestamp::from_ms;
            let get = async |tx: &mut Tx| quota_notice_get(tx, testing::USER).await.expect("readable");
            let refused = async |tx: &mut Tx, since| quota_notice_list_refused(tx, at(since)).await.expect("readable");
            assert_eq!(get(&mut tx).await, (Told::default(), None));
            let mut refused_at = None;
            for (standing, when) in [(Standing::Warning, None), (Standing::Over, Some(at(5))), (Standing::Over, None)] {
                let told = Told { standing, warned_at: Some(at(1)), over_at: when };
                quota_notice_update(&mut tx, testing::USER, told, when).await.expect("writable");
                refused_at = when.or(refused_at);
                assert_eq!(get(&mut tx).await, (told, refused_at));
            }
            assert_eq!(refused(&mut tx, 5).await, ["u@x"]);
            assert!(refused(&mut tx, 6).await.is_empty());
            quota_notice_update(&mut tx, testing::USER, Told::default(), None).await.expect("writable");
            assert!(refused(&mut tx, 5).await.is_empty(), "there is room again");
        }
    }
}
