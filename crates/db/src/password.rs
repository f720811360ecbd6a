//! Links by which passwords are set, and the hashes of earlier passwords. Refuses texts: only hashes come here.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{Count, Timestamp, UserId};

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordLinkRow {
    /// Whose password it sets.
    pub user: UserId,
    /// `set` or `reset`.
    pub purpose: String,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was used, or replaced by a newer one.
    pub used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

/// Adds a link.
///
/// # Errors
/// Constraint: a link with this text is there; the database does not answer.
pub async fn password_link_insert(tx: &mut Tx, hash: &[u8; 32], link: &PasswordLinkRow) -> Result<(), DbError> {
    query(
        "insert into password_link (hash, user_id, purpose, expires_at, created_at, created_by) \
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&hash[..])
    .bind(&link.user.as_bytes()[..])
    .bind(&link.purpose)
    .bind(link.expires_at.as_ms())
    .bind(link.created_at.as_ms())
    .bind(&link.created_by)
    .execute(tx.conn())
    .await
    .map_err(failed("insert a password link"))?;
    Ok(())
}

/// The link whose text has this hash, good or not.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn password_link_get(tx: &mut Tx, hash: &[u8; 32]) -> Result<Option<PasswordLinkRow>, DbError> {
    let row = query("select * from password_link where hash = $1")
        .bind(&hash[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a password link"))?;
    row.as_ref().map(link).transpose()
}

/// Ends every link of a user that is not used yet.
///
/// # Errors
/// The database does not answer.
pub async fn password_link_used_update_by_user(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<(), DbError> {
    query("update password_link set used_at = $2 where user_id = $1 and used_at is null")
        .bind(&user.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("end the password links of a user"))?;
    Ok(())
}

/// Removes the links that ended before `before`; the answer is how many they were.
///
/// # Errors
/// The database does not answer.
pub async fn password_link_remove_old(tx: &mut Tx, before: Timestamp) -> Result<Count, DbError> {
    let done = query("delete from password_link where expires_at < $1")
        .bind(before.as_ms())
        .long()
        .execute(tx.conn())
        .await
        .map_err(failed("remove old password links"))?;
    Ok(Count(done.rows_affected()))
}

/// Remembers the hash of a password that a user had.
///
/// # Errors
/// The database does not answer.
pub async fn password_old_insert(
    tx: &mut Tx,
    user: UserId,
    password_hash: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    query(
        "insert into password_old (user_id, password_hash, set_at) values ($1, $2, $3) \
         on conflict (user_id, set_at) do update set password_hash = $2",
    )
    .bind(&user.as_bytes()[..])
    .bind(password_hash)
    .bind(now.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("remember a password"))?;
    Ok(())
}

/// The hashes of the passwords that a user had before, the newest first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn password_old_list(tx: &mut Tx, user: UserId, rows: Count) -> Result<Vec<String>, DbError> {
    let rows = query("select password_hash from password_old where user_id = $1 order by set_at desc limit $2")
        .bind(&user.as_bytes()[..])
        .bind(crate::page::limit(rows))
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list the passwords that a user had"))?;
    rows.iter().map(|row| row.text("password_hash")).collect()
}

/// Keeps the newest `kept` hashes of a user's earlier passwords, and removes the rest.
///
/// # Errors
/// The database does not answer.
pub async fn password_old_remove(tx: &mut Tx, user: UserId, kept: Count) -> Result<(), DbError> {
    query(
        "delete from password_old where user_id = $1 and set_at not in \
         (select set_at from password_old where user_id = $1 order by set_at desc limit $2)",
    )
    .bind(&user.as_bytes()[..])
    .bind(crate::page::limit(kept))
    .execute(tx.conn())
    .await
    .map_err(failed("remove old passwords"))?;
    Ok(())
}

fn link(row: &Row) -> Result<PasswordLinkRow, DbError> {
    Ok(PasswordLinkRow {
        user: UserId::from_bytes(row.bytes("user_id")?),
        purpose: row.text("purpose")?,
        expires_at: row.time("expires_at")?,
        used_at: row.time_maybe("used_at")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}
