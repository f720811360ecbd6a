//! Credentials of programs that administer. Refuses their text: it is shown once, and kept here as a hash.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{CredentialId, Timestamp};

/// One credential of the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiCredentialRow {
    /// Which.
    pub id: CredentialId,
    /// What an admin calls it.
    pub name: String,
    /// The first characters of its text, enough to tell credentials apart.
    pub prefix: String,
    /// Of its text.
    pub hash: [u8; 32],
    /// Words of `control::Permit`, one a line; `all` for every one.
    pub permits: String,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When an admin ended it.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it: the actor as it displays itself.
    pub created_by: String,
    /// When it was last used, to a minute or so.
    pub last_used_at: Option<Timestamp>,
    /// The address from which that was.
    pub last_source: Option<String>,
}

/// Adds a credential; its last use is not written.
///
/// # Errors
/// Constraint: one with this id or hash is there; the database does not answer.
pub async fn api_credential_insert(tx: &mut Tx, credential: &ApiCredentialRow) -> Result<(), DbError> {
    query(
        "insert into api_credential (id, name, prefix, hash, permits, expires_at, revoked_at, created_at, created_by) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
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
    .execute(tx.conn())
    .await
    .map_err(failed("insert a credential of the API"))?;
    Ok(())
}

/// The credential whose text has this hash, whether it still holds or not.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn api_credential_get_by_hash(tx: &mut Tx, hash: &[u8; 32]) -> Result<Option<ApiCredentialRow>, DbError> {
    let row = query("select * from api_credential where hash = $1")
        .bind(&hash[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a credential of the API"))?;
    row.as_ref().map(read).transpose()
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
        .map_err(failed("get a credential of the API"))?;
    row.as_ref().map(read).transpose()
}

/// The credentials with ids above `after` (`None`: from the first), in the order of their ids, at most `limit`.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn api_credential_list(
    tx: &mut Tx,
    after: Option<CredentialId>,
    limit: u32,
) -> Result<Vec<ApiCredentialRow>, DbError> {
    let rows = query("select * from api_credential where $1 is null or id > $1 order by id limit $2")
        .bind(after.as_ref().map(|id| &id.as_bytes()[..]))
        .bind(i64::from(limit))
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list the credentials of the API"))?;
    rows.iter().map(read).collect()
}

/// Sets when and from where a credential was last used.
///
/// # Errors
/// The database does not answer.
pub async fn api_credential_used_update(
    tx: &mut Tx,
    id: CredentialId,
    now: Timestamp,
    source: &str,
) -> Result<(), DbError> {
    query("update api_credential set last_used_at = $2, last_source = $3 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(now.as_ms())
        .bind(source)
        .execute(tx.conn())
        .await
        .map_err(failed("update the last use of a credential of the API"))?;
    Ok(())
}

/// Ends a credential. Gives whether it was there and had not been ended before.
///
/// # Errors
/// The database does not answer.
pub async fn api_credential_revoke_update(tx: &mut Tx, id: CredentialId, now: Timestamp) -> Result<bool, DbError> {
    let done = query("update api_credential set revoked_at = $2 where id = $1 and revoked_at is null")
        .bind(&id.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("revoke a credential of the API"))?;
    Ok(done.rows_affected() == 1)
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

    fn credential(n: u8) -> ApiCredentialRow {
        ApiCredentialRow {
            id: CredentialId::from_bytes([n; 16]),
            name: "ticket system".to_owned(),
            prefix: "hfa1_ab".to_owned(),
            hash: [n; 32],
            permits: "device_read\nuser_read".to_owned(),
            expires_at: (n > 1).then(|| Timestamp::from_ms(900)),
            revoked_at: None,
            created_at: Timestamp::from_ms(1),
            created_by: "admin command".to_owned(),
            last_used_at: None,
            last_source: None,
        }
    }

    #[tokio::test]
    async fn a_credential_is_found_by_its_hash_as_it_was_stored_used_and_revoked() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let mut one = credential(1);
            api_credential_insert(&mut tx, &one).await.expect("new");
            assert_eq!(api_credential_get_by_hash(&mut tx, &one.hash).await.expect("readable").as_ref(), Some(&one));
            assert_eq!(api_credential_get_by_hash(&mut tx, &[9; 32]).await.expect("readable"), None);
            let (used, revoked) = (Timestamp::from_ms(5), Timestamp::from_ms(6));
            api_credential_used_update(&mut tx, one.id, used, "192.0.2.7").await.expect("writable");
            for ended in [true, false] {
                assert_eq!(api_credential_revoke_update(&mut tx, one.id, revoked).await.expect("writable"), ended);
            }
            (one.last_used_at, one.last_source) = (Some(used), Some("192.0.2.7".to_owned()));
            one.revoked_at = Some(revoked);
            assert_eq!(api_credential_get(&mut tx, one.id).await.expect("readable"), Some(one));
        }
    }

    #[tokio::test]
    async fn credentials_are_listed_page_by_page() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            for n in [3, 1, 2] {
                api_credential_insert(&mut tx, &credential(n)).await.expect("new");
            }
            let page = api_credential_list(&mut tx, None, 2).await.expect("readable");
            assert_eq!(page, [credential(1), credential(2)]);
            let rest = api_credential_list(&mut tx, Some(page[1].id), 2).await.expect("readable");
            assert_eq!(rest, [credential(3)]);
        }
    }
}
