//! The outbox. Refuses two messages of one occasion, and an attempt that another process has claimed.

use crate::error::failed;
use crate::row::{Columns as _, int};
use crate::sql::{Row, query};
use crate::{DbError, PageKey, Tx};
use base::{Count, MailId, Timestamp};
use control::mail::{MailStatus, MailStep};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRow {
    /// Which.
    pub id: MailId,
    /// What it is about: the same is never queued twice.
    pub occasion: String,
    /// The template that it was made from.
    pub template: String,
    /// The address.
    pub recipient: String,
    /// One line.
    pub subject: String,
    /// The plain text; empty once it is wiped.
    pub text: String,
    /// The HTML; empty once it is wiped.
    pub html: String,
    /// Whether it holds a link or a code that proves who asks.
    pub secret: bool,
    /// Where it stands.
    pub status: MailStatus,
    /// How often it was tried.
    pub attempts: Count,
    /// When it has to change by itself: docs/mail.md.
    pub due_at: Timestamp,
    /// Until when it is tried.
    pub give_up_at: Timestamp,
    /// When the last attempt began.
    pub tried_at: Option<Timestamp>,
    /// What the last attempt met, for a person; empty when nothing went wrong.
    pub last_error: String,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When the mail server took it.
    pub sent_at: Option<Timestamp>,
}

/// Adds a message; `false` when there is one of this occasion.
///
/// # Errors
/// The database does not answer.
pub async fn mail_insert(tx: &mut Tx, mail: &MailRow) -> Result<bool, DbError> {
    let done = query(
        "insert into mail (id, occasion, template, recipient, subject, text, html, secret, status, attempts, due_at, \
         give_up_at, tried_at, last_error, created_at, sent_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) on conflict do nothing",
    )
    .bind(&mail.id.as_bytes()[..])
    .bind(&mail.occasion)
    .bind(&mail.template)
    .bind(&mail.recipient)
    .bind(&mail.subject)
    .bind(&mail.text)
    .bind(&mail.html)
    .bind(i64::from(mail.secret))
    .bind(mail.status.word())
    .bind(int(mail.attempts.0))
    .bind(mail.due_at.as_ms())
    .bind(mail.give_up_at.as_ms())
    .bind(mail.tried_at.map(Timestamp::as_ms))
    .bind(&mail.last_error)
    .bind(mail.created_at.as_ms())
    .bind(mail.sent_at.map(Timestamp::as_ms))
    .execute(tx.conn())
    .await
    .map_err(failed("insert a message"))?;
    Ok(done.rows_affected() == 1)
}

/// The message with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn mail_get(tx: &mut Tx, id: MailId) -> Result<Option<MailRow>, DbError> {
    let row = query(
        "select id, occasion, template, recipient, subject, text, html, secret, status, attempts, due_at, give_up_at, \
         tried_at, last_error, created_at, sent_at from mail where id = $1",
    )
    .bind(&id.as_bytes()[..])
    .fetch_optional(tx.conn())
    .await
    .map_err(failed("get a message"))?;
    row.as_ref().map(read).transpose()
}

/// At most `limit` messages of this status or of any, the newest first, older than the one that was queued at this
/// time and has this id.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn mail_list(
    tx: &mut Tx,
    status: Option<MailStatus>,
    after: PageKey,
    limit: u32,
) -> Result<Vec<MailRow>, DbError> {
    let rows = query(
        "select id, occasion, template, recipient, subject, text, html, secret, status, attempts, due_at, give_up_at, \
         tried_at, last_error, created_at, sent_at from mail \
         where (created_at < $1 or (created_at = $1 and id < $2)) and ($3 = '' or status = $3) \
         order by created_at desc, id desc limit $4",
    )
    .bind(after.at.as_ms())
    .bind(&after.id[..])
    .bind(status.map_or("", MailStatus::word))
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list messages"))?;
    rows.iter().map(read).collect()
}

/// At most `limit` queued messages whose time has come, the longest due first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn mail_list_due(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<MailId>, DbError> {
    let rows = query("select id from mail where status = 'queued' and due_at <= $1 order by due_at limit $2")
        .bind(now.as_ms())
        .bind(i64::from(limit))
        .fetch_all(tx.conn())
        .await
        .map_err(failed("list due messages"))?;
    rows.iter().map(|row| row.bytes("id").map(MailId::from_bytes)).collect()
}

/// Begins an attempt at a queued message, which is unclear from `unclear_at` on; `false` when it is not queued.
///
/// # Errors
/// The database does not answer.
pub async fn mail_claim_update(
    tx: &mut Tx,
    id: MailId,
    now: Timestamp,
    unclear_at: Timestamp,
) -> Result<bool, DbError> {
    let done = query(
        "update mail set status = 'sending', attempts = attempts + 1, tried_at = $2, due_at = $3 \
         where id = $1 and status = 'queued'",
    )
    .bind(&id.as_bytes()[..])
    .bind(now.as_ms())
    .bind(unclear_at.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("claim a message"))?;
    Ok(done.rows_affected() == 1)
}

/// Drops a queued message for this reason and wipes its texts; `false` when it is not queued.
///
/// # Errors
/// The database does not answer.
pub async fn mail_dropped_update(tx: &mut Tx, id: MailId, remove_at: Timestamp, why: &str) -> Result<bool, DbError> {
    let done = query(
        "update mail set status = 'dropped', due_at = $2, last_error = $3, text = '', html = '' \
         where id = $1 and status = 'queued'",
    )
    .bind(&id.as_bytes()[..])
    .bind(remove_at.as_ms())
    .bind(why)
    .execute(tx.conn())
    .await
    .map_err(failed("drop a message"))?;
    Ok(done.rows_affected() == 1)
}

/// Ends the attempt of this number. `false` when it is not under way any more, and was not found unclear meanwhile.
///
/// # Errors
/// The database does not answer.
pub async fn mail_step_update(
    tx: &mut Tx,
    id: MailId,
    attempt: Count,
    step: MailStep,
    last_error: &str,
    sent_at: Option<Timestamp>,
) -> Result<bool, DbError> {
    let done = query(
        "update mail set status = $3, due_at = $4, last_error = $5, sent_at = $6, \
         text = case when $3 = 'queued' or ($3 <> 'sent' and secret = 0) then text else '' end, \
         html = case when $3 = 'queued' or ($3 <> 'sent' and secret = 0) then html else '' end \
         where id = $1 and attempts = $2 and (status = 'sending' or (status = 'unclear' and $3 <> 'queued'))",
    )
    .bind(&id.as_bytes()[..])
    .bind(int(attempt.0))
    .bind(step.status.word())
    .bind(step.due_at.as_ms())
    .bind(last_error)
    .bind(sent_at.map(Timestamp::as_ms))
    .execute(tx.conn())
    .await
    .map_err(failed("end an attempt at a message"))?;
    Ok(done.rows_affected() == 1)
}

/// Queues a message that failed or is unclear once more; `false` when it is neither.
///
/// # Errors
/// The database does not answer.
pub async fn mail_queued_update(
    tx: &mut Tx,
    id: MailId,
    now: Timestamp,
    give_up_at: Timestamp,
) -> Result<bool, DbError> {
    let done = query(
        "update mail set status = 'queued', due_at = $2, give_up_at = $3, last_error = '' \
         where id = $1 and status in ('failed', 'unclear')",
    )
    .bind(&id.as_bytes()[..])
    .bind(now.as_ms())
    .bind(give_up_at.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("queue a message again"))?;
    Ok(done.rows_affected() == 1)
}

/// Lets every queued message whose time has come wait until `due_at`, for this reason: the mail server is away.
///
/// # Errors
/// The database does not answer.
pub async fn mail_waiting_update(
    tx: &mut Tx,
    now: Timestamp,
    due_at: Timestamp,
    last_error: &str,
) -> Result<Count, DbError> {
    let done = query("update mail set due_at = $2, last_error = $3 where status = 'queued' and due_at <= $1")
        .bind(now.as_ms())
        .bind(due_at.as_ms())
        .bind(last_error)
        .execute(tx.conn())
        .await
        .map_err(failed("let messages wait"))?;
    Ok(Count(done.rows_affected()))
}

/// Calls every attempt unclear that is under way for too long, and wipes the texts with a secret.
///
/// # Errors
/// The database does not answer.
pub async fn mail_stale_update(
    tx: &mut Tx,
    now: Timestamp,
    remove_at: Timestamp,
    last_error: &str,
) -> Result<Count, DbError> {
    let done = query(
        "update mail set status = 'unclear', due_at = $2, last_error = $3, \
         text = case when secret = 0 then text else '' end, html = case when secret = 0 then html else '' end \
         where status = 'sending' and due_at <= $1",
    )
    .bind(now.as_ms())
    .bind(remove_at.as_ms())
    .bind(last_error)
    .execute(tx.conn())
    .await
    .map_err(failed("call messages unclear"))?;
    Ok(Count(done.rows_affected()))
}

/// Gives up every queued message that was tried, or had to wait for the mail server, until its end.
///
/// # Errors
/// The database does not answer.
pub async fn mail_expired_update(tx: &mut Tx, now: Timestamp, remove_at: Timestamp) -> Result<Count, DbError> {
    let done = query(
        "update mail set status = 'failed', due_at = $2, \
         text = case when secret = 0 then text else '' end, html = case when secret = 0 then html else '' end \
         where status = 'queued' and give_up_at <= $1 and last_error <> ''",
    )
    .bind(now.as_ms())
    .bind(remove_at.as_ms())
    .execute(tx.conn())
    .await
    .map_err(failed("give up messages"))?;
    Ok(Count(done.rows_affected()))
}

/// How many attempts began after `since`, by the last one of each message.
///
/// # Errors
/// The database does not answer.
pub async fn mail_tried_get(tx: &mut Tx, since: Timestamp) -> Result<Count, DbError> {
    let row = query("select count(*) as tried from mail where tried_at > $1")
        .bind(since.as_ms())
        .fetch_one(tx.conn())
        .await
        .map_err(failed("count attempts"))?;
    row.number("tried").map(Count)
}

/// How many messages have to change by themselves and be settled for it: any but an attempt that is due.
///
/// # Errors
/// The database does not answer.
pub async fn mail_overdue_get(tx: &mut Tx, now: Timestamp) -> Result<Count, DbError> {
    // Every status by its word, or no index fits, and every tick reads the texts of all messages that are kept.
    let row = query(
        "select count(*) as overdue from mail \
         where (status in ('sending', 'sent', 'failed', 'unclear', 'dropped') and due_at <= $1) \
         or (status = 'queued' and give_up_at <= $1 and last_error <> '')",
    )
    .bind(now.as_ms())
    .fetch_one(tx.conn())
    .await
    .map_err(failed("count messages that are overdue"))?;
    row.number("overdue").map(Count)
}

/// How many messages of each status there are whose occasion begins so; a status without any is left out.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn mail_count_list(tx: &mut Tx, begins: &str) -> Result<Vec<(MailStatus, Count)>, DbError> {
    // Past every occasion that begins so: the greatest character that there is, in the order of either database.
    let rows = query(
        "select status, count(*) as messages from mail where occasion >= $1 and occasion < $2 \
         group by status order by status",
    )
    .bind(begins)
    .bind(format!("{begins}\u{10ffff}"))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("count messages"))?;
    let read = |row: &Row| {
        let status = MailStatus::from_word(&row.text("status")?);
        let status = status.ok_or(DbError::Column { column: "status", what: "the words of a message's status" })?;
        Ok((status, Count(row.number("messages")?)))
    };
    rows.iter().map(read).collect()
}

/// Removes the messages that were over long enough ago.
///
/// # Errors
/// The database does not answer.
pub async fn mail_over_remove(tx: &mut Tx, now: Timestamp) -> Result<Count, DbError> {
    let done = query("delete from mail where status in ('sent', 'failed', 'unclear', 'dropped') and due_at <= $1")
        .bind(now.as_ms())
        .long()
        .execute(tx.conn())
        .await
        .map_err(failed("remove old messages"))?;
    Ok(Count(done.rows_affected()))
}

fn read(row: &Row) -> Result<MailRow, DbError> {
    let status = MailStatus::from_word(&row.text("status")?);
    Ok(MailRow {
        id: MailId::from_bytes(row.bytes("id")?),
        occasion: row.text("occasion")?,
        template: row.text("template")?,
        recipient: row.text("recipient")?,
        subject: row.text("subject")?,
        text: row.text("text")?,
        html: row.text("html")?,
        secret: row.int("secret")? != 0,
        status: status.ok_or(DbError::Column { column: "status", what: "the words of a message's status" })?,
        attempts: Count(row.number("attempts")?),
        due_at: row.time("due_at")?,
        give_up_at: row.time("give_up_at")?,
        tried_at: row.time_maybe("tried_at")?,
        last_error: row.text("last_error")?,
        created_at: row.time("created_at")?,
        sent_at: row.time_maybe("sent_at")?,
    })
}
