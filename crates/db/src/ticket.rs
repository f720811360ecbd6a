//! Tickets. Refuses their codes: the column holds a hash, and the first group to tell tickets apart.

use crate::error::failed;
use crate::page::limit;
use crate::row::Columns as _;
use crate::sql::{Row, query};
use crate::{DbError, PageKey, Tx};
use base::{Count, DeviceId, TicketId, Timestamp, UserId};
use control::activation::{Choice, Restore};

/// One ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRow {
    /// Which.
    pub id: TicketId,
    /// For whom.
    pub user: UserId,
    /// The first group of its code.
    pub prefix: String,
    /// What the computer becomes.
    pub choice: Choice,
    /// What is to be brought back.
    pub restore: Restore,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// By which record.
    pub used_by: Option<DeviceId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
}

/// Adds a ticket.
///
/// # Errors
/// Constraint: a ticket with this code is there; the database does not answer.
pub async fn ticket_insert(tx: &mut Tx, ticket: &TicketRow, hash: &[u8; 32]) -> Result<(), DbError> {
    let (choice, replaces) = match ticket.choice {
        Choice::Auto => ("auto", None),
        Choice::AddNew => ("add", None),
        Choice::Replace(device) => ("replace", Some(device)),
    };
    query(
        "insert into ticket (id, user_id, prefix, hash, choice, replaces, restore, expires_at, created_at, \
         created_by) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&ticket.id.as_bytes()[..])
    .bind(&ticket.user.as_bytes()[..])
    .bind(&ticket.prefix)
    .bind(&hash[..])
    .bind(choice)
    .bind(replaces.as_ref().map(|device| &device.as_bytes()[..]))
    .bind(ticket.restore.word())
    .bind(ticket.expires_at.as_ms())
    .bind(ticket.created_at.as_ms())
    .bind(&ticket.created_by)
    .execute(tx.conn())
    .await
    .map_err(failed("insert a ticket"))?;
    Ok(())
}

/// The ticket with this id.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn ticket_get(tx: &mut Tx, id: TicketId) -> Result<Option<TicketRow>, DbError> {
    let row = query("select * from ticket where id = $1")
        .bind(&id.as_bytes()[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a ticket"))?;
    row.as_ref().map(read).transpose()
}

/// The ticket whose code has this hash, good or not.
///
/// # Errors
/// The database does not answer, or the row is damaged.
pub async fn ticket_get_by_hash(tx: &mut Tx, hash: &[u8; 32]) -> Result<Option<TicketRow>, DbError> {
    let row = query("select * from ticket where hash = $1")
        .bind(&hash[..])
        .fetch_optional(tx.conn())
        .await
        .map_err(failed("get a ticket"))?;
    row.as_ref().map(read).transpose()
}

/// The tickets after this place, the oldest first.
///
/// # Errors
/// The database does not answer, or a row is damaged.
pub async fn ticket_list(tx: &mut Tx, after: PageKey, rows: Count) -> Result<Vec<TicketRow>, DbError> {
    let rows = query(
        "select * from ticket where created_at > $1 or (created_at = $1 and id > $2) \
         order by created_at, id limit $3",
    )
    .bind(after.at.as_ms())
    .bind(&after.id[..])
    .bind(limit(rows))
    .fetch_all(tx.conn())
    .await
    .map_err(failed("list tickets"))?;
    rows.iter().map(read).collect()
}

/// Marks a ticket as used; false when it was used or revoked before.
///
/// # Errors
/// The database does not answer.
pub async fn ticket_used_update(tx: &mut Tx, id: TicketId, device: DeviceId, now: Timestamp) -> Result<bool, DbError> {
    let done =
        query("update ticket set used_at = $3, used_by = $2 where id = $1 and used_at is null and revoked_at is null")
            .bind(&id.as_bytes()[..])
            .bind(&device.as_bytes()[..])
            .bind(now.as_ms())
            .execute(tx.conn())
            .await
            .map_err(failed("mark a ticket as used"))?;
    Ok(done.rows_affected() == 1)
}

/// Revokes a ticket; false when it was used or revoked before.
///
/// # Errors
/// The database does not answer.
pub async fn ticket_revoked_update(tx: &mut Tx, id: TicketId, now: Timestamp) -> Result<bool, DbError> {
    let done = query("update ticket set revoked_at = $2 where id = $1 and used_at is null and revoked_at is null")
        .bind(&id.as_bytes()[..])
        .bind(now.as_ms())
        .execute(tx.conn())
        .await
        .map_err(failed("revoke a ticket"))?;
    Ok(done.rows_affected() == 1)
}

fn read(row: &Row) -> Result<TicketRow, DbError> {
    let replaces = row.bytes_maybe("replaces")?.map(DeviceId::from_bytes);
    let choice = match (row.text("choice")?.as_str(), replaces) {
        ("auto", None) => Choice::Auto,
        ("add", None) => Choice::AddNew,
        ("replace", Some(device)) => Choice::Replace(device),
        _ => return Err(DbError::Column { column: "choice", what: "the choices of a ticket" }),
    };
    Ok(TicketRow {
        id: TicketId::from_bytes(row.bytes("id")?),
        user: UserId::from_bytes(row.bytes("user_id")?),
        prefix: row.text("prefix")?,
        choice,
        restore: restore(&row.text("restore")?)?,
        expires_at: row.time("expires_at")?,
        revoked_at: row.time_maybe("revoked_at")?,
        used_at: row.time_maybe("used_at")?,
        used_by: row.bytes_maybe("used_by")?.map(DeviceId::from_bytes),
        created_at: row.time("created_at")?,
        created_by: row.text("created_by")?,
    })
}

/// The choice with this word. Fails for a word that is none.
pub(crate) fn restore(word: &str) -> Result<Restore, DbError> {
    Restore::from_word(word).ok_or(DbError::Column { column: "restore", what: "what may be brought back" })
}
