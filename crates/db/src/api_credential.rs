//! Credentials of the admin API. Refuses their text: a row holds a hash of it, and the beginning that tells it apart.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{CredentialId, Timestamp};

/// One credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCredentialRow {
    /// Which.
    pub id: CredentialId,
    /// What its maker calls it.
    pub name: String,
    /// The beginning of its text.
    pub prefix: String,
    /// The hash of its text.
    pub hash: [u8; 32],
    /// Words of `control::Permit`, one a line; `all` for every one.
    pub permits: String,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; `None` while it is in force.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom, as the audit log writes it.
    pub created_by: String,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_source: Option<String>,
}

/// Adds a credential.
///
/// # Errors
/// Constraint: one with this id or hash is there; the database does not answer.
pub async fn api_credential_insert(tx: &mut Tx, credential: &ApiCredentialRow) -> Result<(), DbError> {
    query(
        "insert into api_credential (id, name, prefix, hash, permits, expires_at, revoked_at, created_at, created_by, \
         last_used_at, last_source) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&credential.id.as_bytes()[..])
    .bind(&credential.name)
    .bind(&credential.prefix)
    .bind(&credential.hash[..])
    .bind(&credential.permits)
    .bind(credential.expires_at.map(Timestamp::as_ms))
    .bind(credential.revoked_at.map(Timestamp::as_ms))
    .bind(credential.created_at.as_ms())
    .bind(&credential.created_by)
    .bind(credential.last_used_at.map(Timestamp::as_ms))
    .bind(&credential.last_source)
    .execute(tx.conn())
    .await
    .map_err(failed("insert a credential of the admin API"))?;
    Ok(())
}

/// The credential with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn api_credential_get(tx: &mut Tx, id: CredentialId) -> Result<Option<ApiCredentialRow>, DbError> {
    let row = query("select * from api_credential where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a credential of the admin API"))?;
    row.as_ref().map(read).transpose()
}

/// The credential whose text has this hash.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn api_credential_get_by_hash(tx: &mut Tx, hash: &[u8; 32]) -> Result<Option<ApiCredentialRow>, DbError> {
    let row = query("select * from api_credential where hash = $1")
        .bind(&hash[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a credential of the admin API"))?;
    row.as_ref().map(read).transpose()
}

/// At most `limit` credentials after the one that was made then and has this id, the oldest first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn api_credential_list(
    tx: &mut Tx,
    after: Option<(Timestamp, CredentialId)>,
    limit: u32,
) -> Result<Vec<ApiCredentialRow>, DbError> {
    let (at, id) = after.unwrap_or((Timestamp::from_ms(i64::MIN), CredentialId::from_bytes([0; 16])));
    let rows = query(
        "select * from api_credential where created_at > $1 or (created_at = $1 and id > $2) \
         order by created_at, id limit $3",
    )
    .bind(at.as_ms())
    .bind(&id.as_bytes()[..])
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list credentials of the admin API"))?;
    rows.iter().map(read).collect()
}

/// Revokes a credential that is in force.
///
/// # Errors
/// The database does not answer.
pub async fn api_credential_revoke_update(tx: &mut Tx, id: CredentialId, now: Timestamp) -> Result<(), DbError> {
    query("update api_credential set revoked_at = $2 where id = $1 and revoked_at is null")
        .bind(&id.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("revoke a credential of the admin API"))?;
    Ok(())
}

/// Notes that a credential was used, and from where.
///
/// # Errors
/// The database does not answer.
pub async fn api_credential_used_update(
    tx: &mut Tx,
    id: CredentialId,
    source: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    query("update api_credential set last_used_at = $2, last_source = $3 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(now.as_ms())
        .bind(source)
        .execute(tx.conn())
        .await
        .map_err(failed("note the use of a credential"))?;
    Ok(())
}

fn read(row: &Row) -> Result<ApiCredentialRow, DbError> {
    Ok(ApiCredentialRow {
        id: CredentialId::from_bytes(row.bytes("id")?),
        name: row.text("name")?,
        prefix: row.text("prefix")?,
        hash: row.bytes("hash")?,
        permits: row.text("permits")?,
        expires_at: row.time_maybe("expires_at")?,
        revoked_at: row.time_maybe("revoked_at")?,
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
        last_used_at: row.time_maybe("last_used_at")?,
        last_source: row.text_maybe("last_source")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn credential(n: u8, at: i64) -> ApiCredentialRow {
        ApiCredentialRow {
            id: CredentialId::from_bytes([n; 16]),
            name: format!("name {n}"),
            prefix: format!("hfa1_{n}"),
            hash: [n; 32],
            permits: "user_read\ndevice_read".to_owned(),
            expires_at: (n > 1).then(|| Timestamp::from_ms(99)),
            revoked_at: None,
            created_at: Timestamp::from_ms(at),
            created_by: "admin command".to_owned(),
            last_used_at: None,
            last_source: None,
        }
    }

    #[tokio::test]
    async fn credentials_come_back_in_pages_by_hash_and_by_id() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let rows = [credential(3, 5), credential(1, 7), credential(2, 7)];
            for row in &rows {
                api_credential_insert(&mut tx, row).await.expect("new");
            }
            let first = api_credential_list(&mut tx, None, 2).await.expect("readable");
            assert_eq!(first, rows[..2]);
            let after = first.last().map(|row| (row.created_at, row.id));
            assert_eq!(api_credential_list(&mut tx, after, 2).await.expect("readable"), rows[2..]);
            assert_eq!(api_credential_get_by_hash(&mut tx, &[2; 32]).await.expect("readable"), Some(rows[2].clone()));
            assert_eq!(api_credential_get_by_hash(&mut tx, &[4; 32]).await.expect("readable"), None);
            let twice = ApiCredentialRow { id: CredentialId::from_bytes([9; 16]), ..rows[0].clone() };
            assert!(api_credential_insert(&mut tx, &twice).await.expect_err("the hash is there").is_constraint());
        }
    }

    #[tokio::test]
    async fn a_credential_is_revoked_once_and_its_use_is_noted() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let row = credential(1, 0);
            api_credential_insert(&mut tx, &row).await.expect("new");
            api_credential_used_update(&mut tx, row.id, "192.0.2.1", Timestamp::from_ms(4)).await.expect("there");
            for now in [5, 6] {
                api_credential_revoke_update(&mut tx, row.id, Timestamp::from_ms(now)).await.expect("there");
            }
            let found = api_credential_get(&mut tx, row.id).await.expect("readable").expect("there");
            assert_eq!((found.revoked_at, found.last_used_at), (Some(Timestamp::from_ms(5)), Some(Timestamp::from_ms(4))));
            assert_eq!(found.last_source.as_deref(), Some("192.0.2.1"));
        }
    }
}
