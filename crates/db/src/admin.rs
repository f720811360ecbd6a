//! Admins. Refuses passwords: the column holds an Argon2id hash in its text form.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::{AdminId, Timestamp};

/// One admin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRow {
    /// Who.
    pub id: AdminId,
    /// The address, in lower case.
    pub email: String,
    /// The hash of the password.
    pub password_hash: String,
    /// Words of `control::Permit`, one a line; `all` for every one.
    pub permits: String,
    /// When the admin was added.
    pub created_at: Timestamp,
    /// Since when the admin is out of service.
    pub disabled_at: Option<Timestamp>,
}

/// Adds an admin, in service.
///
/// # Errors
/// Constraint: an admin with this address is there; the database does not answer.
pub async fn admin_insert(tx: &mut Tx, admin: &AdminRow) -> Result<(), DbError> {
    query("insert into admin (id, email, password_hash, created_at, permits) values ($1, $2, $3, $4, $5)")
        .bind(&admin.id.as_bytes()[..])
        .bind(&admin.email)
        .bind(&admin.password_hash)
        .bind(admin.created_at.as_ms())
        .bind(&admin.permits)
        .execute(tx.conn())
        .await
        .map_err(failed("insert an admin"))?;
    Ok(())
}

/// Every admin in service, by address.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn admin_list(tx: &mut Tx) -> Result<Vec<AdminRow>, DbError> {
    let rows = query("select * from admin where disabled_at is null order by email")
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list admins"))?;
    rows.iter().map(read).collect()
}

/// At most `limit` admins, those out of service too, by address, after the one with the address `after`: all, or the
/// one with the address `email`.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn admin_page_list(
    tx: &mut Tx,
    email: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<AdminRow>, DbError> {
    let rows = query("select * from admin where email > $1 and ($2 is null or email = $2) order by email limit $3")
        .bind(after)
        .bind(email)
        .bind(i64::from(limit))
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list admins"))?;
    rows.iter().map(read).collect()
}

/// The admin with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn admin_get(tx: &mut Tx, id: AdminId) -> Result<Option<AdminRow>, DbError> {
    let row = query("select * from admin where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get an admin"))?;
    row.as_ref().map(read).transpose()
}

/// Sets what an admin may do, and since when the admin is out of service.
///
/// # Errors
/// The database does not answer.
pub async fn admin_update(
    tx: &mut Tx,
    id: AdminId,
    permits: &str,
    disabled_at: Option<Timestamp>,
) -> Result<(), DbError> {
    query("update admin set permits = $2, disabled_at = $3 where id = $1")
        .bind(&id.as_bytes()[..])
        .bind(permits)
        .bind(disabled_at.map(Timestamp::as_ms))
        .execute(tx.conn())
        .await
        .map_err(failed("update an admin"))?;
    Ok(())
}

/// Removes an admin.
///
/// # Errors
/// The database does not answer.
pub async fn admin_remove(tx: &mut Tx, id: AdminId) -> Result<(), DbError> {
    query("delete from admin where id = $1")
        .bind(&id.as_bytes()[..])
        .execute(tx.conn())
        .await
        .map_err(failed("remove an admin"))?;
    Ok(())
}

fn read(row: &Row) -> Result<AdminRow, DbError> {
    Ok(AdminRow {
        id: AdminId::from_bytes(row.bytes("id")?),
        email: row.text("email")?,
        password_hash: row.text("password_hash")?,
        permits: row.text("permits")?,
        created_at: row.time("created_at")?,
        disabled_at: row.time_maybe("disabled_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn admins_keep_their_permits_and_an_address_has_one() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let admin = |n: u8, email: &str| AdminRow {
                id: AdminId::from_bytes([n; 16]),
                email: email.to_owned(),
                password_hash: "$argon2id$".to_owned(),
                permits: "all".to_owned(),
                created_at: Timestamp::from_ms(1),
                disabled_at: None,
            };
            let (zoe, amy) = (admin(1, "zoe@x"), admin(2, "amy@x"));
            let zoe = AdminRow { permits: "device_read".to_owned(), ..zoe };
            for one in [&zoe, &amy] {
                admin_insert(&mut tx, one).await.expect("new");
            }
            assert_eq!(admin_list(&mut tx).await.expect("readable"), [amy.clone(), zoe.clone()]);
            let off = Some(Timestamp::from_ms(2));
            admin_update(&mut tx, amy.id, "user_read", off).await.expect("there");
            assert_eq!(admin_list(&mut tx).await.expect("readable"), std::slice::from_ref(&zoe), "of those in service");
            let amy = AdminRow { permits: "user_read".to_owned(), disabled_at: off, ..amy };
            let page = async |tx: &mut Tx, email, after| admin_page_list(tx, email, after, 9).await.expect("readable");
            assert_eq!(page(&mut tx, None, "").await, [amy.clone(), zoe.clone()]);
            assert_eq!(page(&mut tx, None, "amy@x").await, std::slice::from_ref(&zoe));
            assert_eq!(page(&mut tx, Some("amy@x"), "").await, std::slice::from_ref(&amy));
            assert_eq!(admin_get(&mut tx, amy.id).await.expect("readable"), Some(amy.clone()));
            admin_remove(&mut tx, amy.id).await.expect("there");
            assert_eq!(admin_get(&mut tx, amy.id).await.expect("readable"), None);
            let twice = admin_insert(&mut tx, &admin(3, "zoe@x")).await;
            assert!(twice.expect_err("it is there").is_constraint());
        }
    }
}
