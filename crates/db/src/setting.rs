//! What the organisation has set for itself, as texts by key. Refuses to know a key: who reads one knows its form.

use crate::error::failed;
use crate::row::Columns as _;
use crate::{DbError, Tx};

/// The value of a setting; `None` when it is not set.
///
/// # Errors
/// The database does not answer.
pub async fn setting_get(tx: &mut Tx, key: &str) -> Result<Option<String>, DbError> {
    let row = sqlx::query("select value from setting where key = $1")
        .bind(key)
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a setting"))?;
    row.map(|row| row.text("value")).transpose()
}
