//! Admins. Refuses passwords: the column holds an Argon2id hash in its text form.

use crate::error::failed;
use crate::row::Columns as _;
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
}

/// Adds an admin.
///
/// # Errors
/// Constraint: an admin with this address is there; the database does not answer.
pub async fn admin_insert(tx: &mut Tx, admin: &AdminRow, now: Timestamp) -> Result<(), DbError> {
    sqlx::query("insert into admin (id, email, password_hash, created_at) values ($1, $2, $3, $4)")
        .bind(&admin.id.as_bytes()[..])
        .bind(&admin.email)
        .bind(&admin.password_hash)
        .bind(now.as_ms())
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
    let rows = sqlx::query("select id, email, password_hash from admin order by email")
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list admins"))?;
    let mut admins = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = AdminId::from_bytes(row.bytes("id")?);
        admins.push(AdminRow { id, email: row.text("email")?, password_hash: row.text("password_hash")? });
    }
    Ok(admins)
}
