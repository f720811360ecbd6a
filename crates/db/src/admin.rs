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
}

/// Adds an admin.
///
/// # Errors
/// Constraint: an admin with this address is there; the database does not answer.
pub async fn admin_insert(tx: &mut Tx, admin: &AdminRow, now: Timestamp) -> Result<(), DbError> {
    query("insert into admin (id, email, password_hash, created_at, permits) values ($1, $2, $3, $4, $5)")
        .bind(&admin.id.as_bytes()[..])
        .bind(&admin.email)
        .bind(&admin.password_hash)
        .bind(now.as_ms())
        .bind(&admin.permits)
        .execute(tx.conn())
        .await
        .map_err(failed("insert an admin"))?;
    Ok(())
}

/// Every admin, by address.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn admin_list(tx: &mut Tx) -> Result<Vec<AdminRow>, DbError> {
    let rows = query("select id, email, password_hash, permits from admin order by email")
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list admins"))?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> Result<AdminRow, DbError> {
    Ok(AdminRow {
        id: AdminId::from_bytes(row.bytes("id")?),
        email: row.text("email")?,
        password_hash: row.text("password_hash")?,
        permits: row.text("permits")?,
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
            };
            let (zoe, amy) = (admin(1, "zoe@x"), admin(2, "amy@x"));
            let zoe = AdminRow { permits: "device_read".to_owned(), ..zoe };
            for one in [&zoe, &amy] {
                admin_insert(&mut tx, one, Timestamp::from_ms(1)).await.expect("new");
            }
            assert_eq!(admin_list(&mut tx).await.expect("readable"), [amy, zoe]);
            let twice = admin_insert(&mut tx, &admin(3, "zoe@x"), Timestamp::from_ms(1)).await;
            assert!(twice.expect_err("it is there").is_constraint());
        }
    }
}
