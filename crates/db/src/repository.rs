//! Repositories and their sealed keys. Refuses open keys: what goes in and out here was sealed.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{RepositoryId, Timestamp};

/// One repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryRow {
    /// The row number.
    pub seq: i64,
    /// The name.
    pub id: RepositoryId,
}

/// One sealed key of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryKeyRow {
    /// `name` or `seal`.
    pub purpose: String,
    /// Which of the keys for that purpose.
    pub key_id: u32,
    /// The key, sealed by the installation's secret.
    pub sealed: Vec<u8>,
    /// Since when the repository has it.
    pub created_at: Timestamp,
}

/// Adds a repository; the answer is its row number.
///
/// # Errors
/// A repository with this id is there; the database does not answer.
pub async fn repository_insert(tx: &mut Tx, id: RepositoryId, now: Timestamp) -> Result<i64, DbError> {
    let row = query("insert into repository (id, created_at) values ($1, $2) returning seq")
        .bind(&id.as_bytes()[..])
        .bind(now.as_ms())
        .fetch_one(tx.conn())
        .await
        .map_err(failed("insert a repository"))?;
    row.int("seq")
}

/// Every repository, by row number.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn repository_list(tx: &mut Tx) -> Result<Vec<RepositoryRow>, DbError> {
    let rows = query("select seq, id from repository order by seq")
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list repositories"))?;
    let read = |row: &Row| Ok(RepositoryRow { seq: row.int("seq")?, id: RepositoryId::from_bytes(row.bytes("id")?) });
    rows.iter().map(read).collect()
}

/// Begins the next generation of a repository, and gives its number.
///
/// # Errors
/// The database does not answer, or there is no such repository.
pub async fn repository_generation_update(tx: &mut Tx, repository: i64) -> Result<i64, DbError> {
    let row = query("update repository set generation = generation + 1 where seq = $1 returning generation")
        .bind(repository)
        .fetch_one(tx.conn())
        .await
        .map_err(failed("begin a generation of a repository"))?;
    row.int("generation")
}

/// Hides the closed trees of a generation, and those alone.
///
/// # Errors
/// The database does not answer.
pub async fn repository_hidden_update(tx: &mut Tx, repository: i64, generation: i64) -> Result<(), DbError> {
    let done = query("update repository set hidden = $2 where seq = $1").bind(repository).bind(generation);
    done.execute(tx.conn()).await.map_err(failed("hide closed trees"))?;
    Ok(())
}

/// Adds a sealed key to a repository.
///
/// # Errors
/// The repository has a key with this purpose and id; the database does not answer.
pub async fn repository_key_insert(tx: &mut Tx, repository: i64, key: &RepositoryKeyRow) -> Result<(), DbError> {
    query("insert into repository_key (repository, purpose, key_id, sealed, created_at) values ($1, $2, $3, $4, $5)")
        .bind(repository)
        .bind(&key.purpose)
        .bind(i64::from(key.key_id))
        .bind(&key.sealed)
        .bind(key.created_at.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("insert a repository key"))?;
    Ok(())
}

/// The sealed keys of a repository, by purpose and id.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn repository_key_list(tx: &mut Tx, repository: i64) -> Result<Vec<RepositoryKeyRow>, DbError> {
    let rows = query(
        "select purpose, key_id, sealed, created_at from repository_key where repository = $1 order by purpose, key_id",
    )
    .bind(repository)
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list repository keys"))?;
    let read = |row: &Row| {
        Ok(RepositoryKeyRow {
            purpose: row.text("purpose")?,
            key_id: row.number("key_id")?,
            sealed: row.octets("sealed")?,
            created_at: row.time("created_at")?,
        })
    };
    rows.iter().map(read).collect()
}
