//! The templates of messages that an organisation has of its own. Refuses the others: those are in the program.

use crate::error::failed;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, Tx};
use base::Timestamp;

/// One template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateRow {
    /// Which message it is for.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML; empty when it is made from the text.
    pub html: String,
    /// When it was set.
    pub set_at: Timestamp,
    /// By whom.
    pub set_by: String,
}

/// Sets a template.
///
/// # Errors
/// The database does not answer.
pub async fn template_update(tx: &mut Tx, template: &TemplateRow) -> Result<(), DbError> {
    query(
        "insert into template (name, subject, text, html, set_at, set_by) values ($1, $2, $3, $4, $5, $6) \
         on conflict (name) do update set subject = $2, text = $3, html = $4, set_at = $5, set_by = $6",
    )
    .bind(&template.name)
    .bind(&template.subject)
    .bind(&template.text)
    .bind(&template.html)
    .bind(template.set_at.as_ms())
    .bind(&template.set_by)
    .execute(tx.conn())
    .await
    .map_err(failed("update a template"))?;
    Ok(())
}

/// The template of this name; `None` when the organisation has none of its own.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn template_get(tx: &mut Tx, name: &str) -> Result<Option<TemplateRow>, DbError> {
    let row = query("select name, subject, text, html, set_at, set_by from template where name = $1")
        .bind(name)
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a template"))?;
    row.as_ref().map(read).transpose()
}

/// Every template of the organisation's own, by name.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn template_list(tx: &mut Tx) -> Result<Vec<TemplateRow>, DbError> {
    let rows = query("select name, subject, text, html, set_at, set_by from template order by name")
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list templates"))?;
    rows.iter().map(read).collect()
}

/// Removes a template, so that the program's own is used again; `false` when there was none.
///
/// # Errors
/// The database does not answer.
pub async fn template_remove(tx: &mut Tx, name: &str) -> Result<bool, DbError> {
    let done = query("delete from template where name = $1")
        .bind(name)
        .execute(tx.conn())
        .await
        .map_err(failed("remove a template"))?;
    Ok(done.rows_affected() == 1)
}

fn read(row: &Row) -> Result<TemplateRow, DbError> {
    Ok(TemplateRow {
        name: row.text("name")?,
        subject: row.text("subject")?,
        text: row.text("text")?,
        html: row.text("html")?,
        set_at: row.time("set_at")?,
        set_by: row.text("set_by")?,
    })
}
