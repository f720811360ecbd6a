//! What the organisation has set for itself. Refuses to know which keys there are and what a value means: `control`
//! and `app` do. A key without a row has its default.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::Timestamp;

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    /// Its name.
    pub key: String,
    /// Its value, as text.
    pub value: String,
    /// When it was set.
    pub set_at: Timestamp,
    /// Who set it: the actor as it displays itself.
    pub set_by: String,
}

/// Every setting that has not its default, by key.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn setting_list(tx: &mut Tx) -> Result<Vec<SettingRow>, DbError> {
    let rows = query("select key, value, set_at, set_by from setting order by key")
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list settings"))?;
    rows.iter().map(read).collect()
}

/// Sets a setting, whether it was set before or not.
///
/// # Errors
/// The database does not answer.
pub async fn setting_update(tx: &mut Tx, setting: &SettingRow) -> Result<(), DbError> {
    query(
        "insert into setting (key, value, set_at, set_by) values ($1, $2, $3, $4) \
         on conflict (key) do update set value = $2, set_at = $3, set_by = $4",
    )
    .bind(&setting.key)
    .bind(&setting.value)
    .bind(setting.set_at.as_ms())
    .bind(&setting.set_by)
    .execute(tx.conn())
    .await
    .map_err(failed("update a setting"))?;
    Ok(())
}

/// Gives a setting its default back. Gives whether it had another value.
///
/// # Errors
/// The database does not answer.
pub async fn setting_remove(tx: &mut Tx, key: &str) -> Result<bool, DbError> {
    let done = query("delete from setting where key = $1")
        .bind(key)
        .execute(tx.conn())
        .await
        .map_err(failed("remove a setting"))?;
    Ok(done.rows_affected() == 1)
}

fn read(row: &Row) -> Result<SettingRow, DbError> {
    Ok(SettingRow {
        key: row.text("key")?,
        value: row.text("value")?,
        set_at: row.time("set_at")?,
        set_by: row.text("set_by")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[tokio::test]
    async fn a_setting_keeps_its_last_value_until_it_is_removed() {
        for temp in testing::databases().await {
            let mut tx = temp.db.write().await.expect("nobody else writes");
            let setting = |key: &str, value: &str, at| SettingRow {
                key: key.to_owned(),
                value: value.to_owned(),
                set_at: Timestamp::from_ms(at),
                set_by: "admin command".to_owned(),
            };
            let last = [setting("mail.from", "", 2), setting("password.min", "12", 3)];
            for row in [&setting("password.min", "8", 1), &last[0], &last[1]] {
                setting_update(&mut tx, row).await.expect("writable");
            }
            assert_eq!(setting_list(&mut tx).await.expect("readable"), last);
            for had in [true, false] {
                assert_eq!(setting_remove(&mut tx, "password.min").await.expect("writable"), had);
            }
            assert_eq!(setting_list(&mut tx).await.expect("readable"), last[..1]);
        }
    }
}
