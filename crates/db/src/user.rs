//! Users. Refuses passwords: the column holds an Argon2id hash in its text form.

mod page;

pub use page::{UserFilter, UserListRow, user_listed_get, user_page_list, user_state_update};

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{Timestamp, UserId};
use control::UserState;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Who.
    pub id: UserId,
    /// The address, in lower case.
    pub email: String,
    /// Where the user stands.
    pub state: UserState,
    /// The row number of the repository that the user's devices share.
    pub repository: i64,
    /// The hash of the password; empty for a user who has none.
    pub password_hash: String,
    /// When the user was added.
    pub created_at: Timestamp,
}

/// Adds a user.
///
/// # Errors
/// Constraint: a user with this address is there; the database does not answer.
pub async fn user_insert(tx: &mut Tx, user: &UserRow) -> Result<(), DbError> {
    query(
        "insert into \"user\" (id, email, state, repository, password_hash, created_at) \
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&user.id.as_bytes()[..])
    .bind(&user.email)
    .bind(user.state.word())
    .bind(user.repository)
    .bind(&user.password_hash)
    .bind(user.created_at.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("insert a user"))?;
    Ok(())
}

/// The user with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn user_get(tx: &mut Tx, id: UserId) -> Result<Option<UserRow>, DbError> {
    let row = query(
        "select id, email, state, repository, password_hash, created_at \
         from \"user\" where id = $1",
    )
    .bind(&id.as_bytes()[..])
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get a user"))?;
    row.as_ref().map(read).transpose()
}

/// The user with this address, which is in lower case.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn user_get_by_email(tx: &mut Tx, email: &str) -> Result<Option<UserRow>, DbError> {
    let row = query(
        "select id, email, state, repository, password_hash, created_at \
         from \"user\" where email = $1",
    )
    .bind(email)
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get a user"))?;
    row.as_ref().map(read).transpose()
}

/// The hash of the password of the first user whose identifier is not below this; empty where that user has none.
///
/// # Errors
/// The database does not answer.
pub async fn user_password_get_from(tx: &mut Tx, from: &[u8; 16]) -> Result<Option<String>, DbError> {
    let row = query("select password_hash from \"user\" where id >= $1 order by id limit 1")
        .bind(&from[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get the hash of some user"))?;
    row.map(|row| row.text("password_hash")).transpose()
}

/// Every user, by address.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn user_list(tx: &mut Tx) -> Result<Vec<UserRow>, DbError> {
    let rows = query(
        "select id, email, state, repository, password_hash, created_at \
         from \"user\" order by email",
    )
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list users"))?;
    rows.iter().map(read).collect()
}

/// When a user's password was set; `None` when there is none, or it was not kept.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn user_password_set_get(tx: &mut Tx, id: UserId) -> Result<Option<Timestamp>, DbError> {
    let row = query("select password_set_at from \"user\" where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get when a password was set"))?;
    row.map_or(Ok(None), |row| row.time_maybe("password_set_at"))
}

/// Sets the hash of a user's password, which was set at `now`.
///
/// # Errors
/// The database does not answer.
pub async fn user_password_update(tx: &mut Tx, id: UserId, password_hash: &str, now: Timestamp) -> Result<(), DbError> {
    query("update \"user\" set password_hash = $2, password_set_at = $3 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(password_hash)
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("update a password"))?;
    Ok(())
}

/// Sets another hash of the same password, which was set when it was; whether the one before was still there.
///
/// # Errors
/// The database does not answer.
pub async fn user_password_rehash_update(
    tx: &mut Tx,
    id: UserId,
    before: &str,
    password_hash: &str,
) -> Result<bool, DbError> {
    let done = query("update \"user\" set password_hash = $3 where id = $1 and password_hash = $2")
        .bind(&id.as_bytes()[..])
        .bind(before)
        .bind(password_hash)
        .execute(tx.conn())
        .await
        .map_err(failed("update the hash of a password"))?;
    Ok(done.rows_affected() == 1)
}

fn read(row: &Row) -> Result<UserRow, DbError> {
    Ok(UserRow {
        id: UserId::from_bytes(row.bytes("id")?),
        email: row.text("email")?,
        state: user_state(&row.text("state")?)?,
        repository: row.int("repository")?,
        password_hash: row.text("password_hash")?,
        created_at: row.time("created_at")?,
    })
}

/// The state with this word. Fails for a word that no state has.
pub(crate) fn user_state(word: &str) -> Result<UserState, DbError> {
    UserState::from_word(word).ok_or(DbError::Column { column: "state", what: "the states of a user" })
}
