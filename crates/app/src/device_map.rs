//! The device map: filled from CSV or row by row, listed, emptied. Refuses to keep a bad row, and to lose a good one
//! for the sake of a bad one. Rules: docs/control.md, "Device map".

mod csv_rows;

use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::page::{self, Page, PageAsk};
use crate::{AdminActor, App, AppError, users};
use base::{Count, DeviceId, MapRowId, Timestamp, UserId};
use bytes::Bytes;
use control::activation::Restore;
use control::device_map::{FIELD_BYTES_MAX, Key, ROWS_MAX, UPLOAD_BYTES_MAX};
use control::{Permit, Refusal};
use csv_rows::Rows;
use db::{PageKey, Tx};
use futures::{Stream, StreamExt as _};
use std::io;

pub use db::MapRow;

/// Rows stored in one transaction.
const BATCH_ROWS: usize = 500;

/// One row as it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowText {
    /// Whose the machine is.
    pub email: String,
    /// Its number.
    pub device_id: String,
    /// Which number: `serial`, `uuid`, `host_name`.
    pub device_id_type: String,
    /// The name of a record that is made for it; empty is the machine's own.
    pub device_name: String,
    /// The record that it takes over, by identifier or name; empty for none.
    pub replace_device: String,
    /// What is to be brought back; empty is `none`.
    pub restore_data: String,
}

/// A row that was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which row, from 1; the line of names does not count.
    pub number: u64,
    /// As it was given.
    pub row: RowText,
    /// Why, as a sentence.
    pub error: String,
}

/// What an import has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows that were added or changed.
    pub stored: Count,
    /// Rows that were there already, or that an activation has used.
    pub unchanged: Count,
    /// Rows that were not stored.
    pub rejected: Vec<Rejected>,
}

impl Imported {
    /// The rejected rows as CSV with a column `error`, safe to be opened by a spreadsheet. Never fails.
    pub fn rejected_csv(&self) -> Vec<u8> {
        csv_rows::write(&self.rejected)
    }
}

/// Stores the rows of a CSV file once all of it has come and is one, in batches: what is not whole has stored nothing.
///
/// # Errors
/// `csv_invalid` for a line of names that is not one; `request_too_large` beyond 10 MiB or 100,000 rows;
/// `request_malformed` when the body breaks off; `not_permitted`.
pub async fn import_csv(
    app: &App,
    actor: &AdminActor,
    body: impl Stream<Item = io::Result<Bytes>> + Send,
) -> Result<Imported, AppError> {
    actor.need(Permit::TokenManage)?;
    let mut body = std::pin::pin!(body);
    let (mut rows, mut given, mut bytes) = (Rows::new(), Vec::new(), 0_u64);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| Refusal::RequestMalformed)?;
        bytes += piece.len() as u64;
        if bytes > UPLOAD_BYTES_MAX.0 {
            return Err(Refusal::RequestTooLarge.into());
        }
        rows.push(&piece, &mut given)?;
    }
    rows.finish(&mut given)?;
    store_all(app, actor, given).await
}

/// Stores rows, in batches.
///
/// # Errors
/// `request_too_large` beyond 100,000 rows; `not_permitted`.
pub async fn import_rows(app: &App, actor: &AdminActor, rows: Vec<RowText>) -> Result<Imported, AppError> {
    actor.need(Permit::TokenManage)?;
    if rows.len() as u64 > ROWS_MAX.0 {
        return Err(Refusal::RequestTooLarge.into());
    }
    let given = (1..).zip(rows).map(|(number, row)| Given { number, row, error: None }).collect();
    store_all(app, actor, given).await
}

/// The rows, the oldest first, each with the address of its user.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn page(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<(MapRow, String)>, AppError> {
    actor.need(Permit::TokenRead)?;
    let during = || AppError::db("listing the device map");
    let after = page::timed(ask, PageKey::FIRST)?;
    let mut tx = app.db.read().await.map_err(during())?;
    let mut listed = Vec::new();
    for row in db::device_map_list(&mut tx, after, Count(ask.rows().into())).await.map_err(during())? {
        let user = db::user_get(&mut tx, row.user).await.map_err(during())?;
        listed.push((row, user.map(|user| user.email).unwrap_or_default()));
    }
    Ok(ask.page(listed, |(row, _)| page::timed_parts(row.created_at, row.id.as_bytes()), |row| row))
}

/// Removes a row, used or not.
///
/// # Errors
/// `map_row_unknown`; `not_permitted`.
pub async fn remove(app: &App, actor: &AdminActor, id: MapRowId) -> Result<(), AppError> {
    actor.need(Permit::TokenManage)?;
    let during = || AppError::db("removing a row of the device map");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = db::device_map_get(&mut tx, id).await.map_err(during())?;
    let unknown = || AppError::not_found("map_row_unknown", there_is_no(format_args!("row {id}"), "device-map list"));
    let row = row.ok_or_else(unknown)?;
    if !db::device_map_remove(&mut tx, id).await.map_err(during())? {
        return Err(unknown());
    }
    let detail = shown(&row);
    let deed = Deed { action: "device_map_remove", subject: id.to_string(), detail, ..Deed::by(actor) };
    audit::write(&mut tx, app.clock.now(), deed).await?;
    tx.commit().await.map_err(during())
}

/// A row on its way in.
struct Given {
    number: u64,
    row: RowText,
    /// Why it is not what was meant, whatever it says.
    error: Option<&'static str>,
}

/// Whether a batch is the last one: with it the request is done, and not before.
#[derive(Clone, Copy)]
struct IsLast(bool);

/// Stores rows, in batches. When one fails, those before it stay: the same rows again are unchanged then.
async fn store_all(app: &App, actor: &AdminActor, mut rows: Vec<Given>) -> Result<Imported, AppError> {
    let mut imported = Imported::default();
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(BATCH_ROWS));
        let is_last = IsLast(rest.is_empty());
        store(app, actor, std::mem::replace(&mut rows, rest), &mut imported, is_last).await?;
    }
    Ok(imported)
}

/// Stores a batch in one transaction.
async fn store(
    app: &App,
    actor: &AdminActor,
    batch: Vec<Given>,
    imported: &mut Imported,
    is_last: IsLast,
) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("storing rows of the device map");
    let mut tx = app.db.write().await.map_err(during())?;
    let (mut stored, mut unchanged, mut rejected) = (0, 0, Vec::new());
    for Given { number, row, error } in batch {
        let put = match error {
            None => put(app, &mut tx, now, actor, &row).await?,
            Some(error) => Err(error.to_owned()),
        };
        match put {
            Ok(true) => stored += 1,
            Ok(false) => unchanged += 1,
            Err(error) => rejected.push(Rejected { number, row, error }),
        }
    }
    if stored > 0 {
        let detail = format!("{stored} rows stored, {unchanged} unchanged, {} rejected", rejected.len());
        let by = Deed::by(actor);
        let mark = by.mark.filter(|_| is_last.0);
        audit::write(&mut tx, now, Deed { action: "device_map_import", detail, mark, ..by }).await?;
    }
    tx.commit().await.map_err(during())?;
    imported.stored += Count(stored);
    imported.unchanged += Count(unchanged);
    imported.rejected.extend(rejected);
    Ok(())
}

/// Stores a row, and says whether anything has changed; or says why it is bad.
async fn put(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    actor: &AdminActor,
    given: &RowText,
) -> Result<Result<bool, String>, AppError> {
    let during = || AppError::db("storing a row of the device map");
    let RowText { email, device_id, device_id_type, device_name, replace_device, restore_data } = given;
    let fields = [email, device_id, device_id_type, device_name, replace_device, restore_data];
    if fields.iter().any(|field| field.len() as u64 > FIELD_BYTES_MAX.0 || field.chars().any(char::is_control)) {
        return Ok(Err("A field is longer than 512 bytes, or has line breaks or control characters.".to_owned()));
    }
    // What stands where a letter could not be read, here or by the program that wrote the file.
    if fields.iter().any(|field| field.contains(char::REPLACEMENT_CHARACTER)) {
        return Ok(Err("A letter of this row could not be read: it was not in UTF-8.".to_owned()));
    }
    let key = match Key::parse(device_id_type, device_id) {
        Ok(key) => key,
        Err(error) => return Ok(Err(error.to_owned())),
    };
    let restore = if restore_data.trim().is_empty() { Restore::None.word() } else { restore_data.trim() };
    let Some(restore) = Restore::from_word(restore) else {
        return Ok(Err("What is to be brought back is none of none, data, settings, all.".to_owned()));
    };
    let user = match users::email_parse(email) {
        Ok(email) => db::user_get_by_email(tx, &email).await.map_err(during())?,
        Err(_) => None,
    };
    let Some(user) = user else { return Ok(Err("There is no user with this address.".to_owned())) };
    let replaces = match replace_device.trim() {
        "" => None,
        text => match record(tx, user.id, text).await? {
            Ok(device) => Some(device),
            Err(error) => return Ok(Err(error.to_owned())),
        },
    };
    let before = db::device_map_get_newest(tx, key.word(), &key.value).await.map_err(during())?;
    let open = before.as_ref().filter(|before| before.consumed_at.is_none());
    let row = MapRow {
        id: open.as_ref().map_or_else(|| MapRowId::mint(app.entropy.as_ref()), |open| open.id),
        user: user.id,
        kind: key.word().to_owned(),
        value: key.value,
        device_name: device_name.trim().to_owned(),
        replaces,
        restore,
        created_at: now,
        created_by: actor.to_string(),
        consumed_at: None,
        consumed_by: None,
    };
    if before.as_ref().is_some_and(|before| says_the_same(before, &row)) {
        return Ok(Ok(false));
    }
    db::device_map_update(tx, &row).await.map_err(during())?;
    let was = open.map_or_else(String::new, |open| format!("; before: {}", shown(open)));
    let detail = format!("{}{was}", shown(&row));
    let deed = Deed { action: "device_map_set", subject: row.id.to_string(), detail, ..Deed::by(actor) };
    // The request is done with its last batch, and not with a row of it.
    audit::write(tx, now, Deed { mark: None, ..deed }).await?;
    Ok(Ok(true))
}

/// A row as the audit log has it: which machine becomes whose, as what, and what comes back.
fn shown(row: &MapRow) -> String {
    let MapRow { kind, value, user, replaces, restore, .. } = row;
    let replaces = replaces.map_or_else(|| "as it is found".to_owned(), |device| format!("as {device}"));
    format!("{kind} {value} for {user}, {replaces}, restore {}", restore.word())
}

/// The record of this user that is meant, by identifier or by a name that only one has.
async fn record(tx: &mut Tx, user: UserId, text: &str) -> Result<Result<DeviceId, &'static str>, AppError> {
    let records = db::device_list_by_user(tx, user).await.map_err(AppError::db("listing a user's devices"))?;
    let mut fitting = records.iter().filter(|record| record.name == text || record.id.to_string() == text);
    Ok(match (fitting.next(), fitting.next()) {
        (Some(record), None) => Ok(record.id),
        (None, _) => Err("The user has no device with this identifier or name to replace."),
        (Some(_), Some(_)) => Err("The user has more than one device with this name: give its identifier."),
    })
}

fn says_the_same(one: &MapRow, other: &MapRow) -> bool {
    let said = |row: &MapRow| (row.user, row.device_name.clone(), row.replaces, row.restore);
    said(one) == said(other)
}
