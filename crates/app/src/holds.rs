//! Legal holds: while one is there, no snapshot of its user or device expires, and neither is purged.
//! Refuses two of one name on one subject. What a hold stops: docs/control.md, "Retention".

use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::page::{Page, PageAsk, part};
use crate::policy::{subject_known, subject_text};
use crate::{AdminActor, App, AppError};
use base::{DeviceId, HoldId};
use control::Permit;

pub use db::{HoldRow, HoldSubject};

/// The longest name of a hold, in characters.
const NAME_CHARS_MAX: usize = 100;

/// The holds, in the order of their identifiers.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave; the database does not answer.
pub async fn page(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<HoldRow>, AppError> {
    actor.need(Permit::SnapshotRead)?;
    let after = match ask.key::<1>()? {
        Some([id]) => Some(HoldId::from_bytes(part(id.try_into().ok())?)),
        None => None,
    };
    let during = || AppError::db("listing holds");
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::hold_page_list(&mut tx, after, ask.rows()).await.map_err(during())?;
    Ok(ask.page(rows, |row| [row.id.as_bytes().to_vec()], |row| row))
}

/// The holds that keep what a device has stored: its own, and those of its user.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn of_device(app: &App, actor: &AdminActor, device: DeviceId) -> Result<Vec<HoldRow>, AppError> {
    actor.need(Permit::SnapshotRead)?;
    let during = || AppError::db("listing the holds on a device");
    let mut tx = app.db.read().await.map_err(during())?;
    db::hold_list_by_device(&mut tx, device).await.map_err(during())
}

/// Sets a hold. From its transaction on, nothing that it keeps expires, is removed or is purged.
///
/// # Errors
/// `hold_exists`, `name_invalid`; the subject's unknown; `not_permitted`; the database does not answer.
pub async fn set(app: &App, actor: &AdminActor, subject: HoldSubject, name: &str) -> Result<HoldRow, AppError> {
    actor.need(Permit::SnapshotManage)?;
    let name = name_parse(name)?;
    let now = app.clock.now();
    let during = || AppError::db("setting a hold");
    let mut tx = app.db.write().await.map_err(during())?;
    subject_known(&mut tx, subject.into()).await?;
    let id = HoldId::mint(app.entropy.as_ref());
    let (name_own, subject_name, set_by) = (name.to_owned(), String::new(), actor.to_string());
    let hold = HoldRow { id, subject, subject_name, name: name_own, set_at: now, set_by };
    db::hold_insert(&mut tx, &hold).await.map_err(|error| match error.is_constraint() {
        true => AppError::conflict("hold_exists", format!("There is a hold \"{name}\" on this already.")),
        false => during()(error),
    })?;
    let detail = format!("\"{name}\" on {}", subject_text(subject.into()));
    let deed = Deed { action: "hold_set", subject: id.to_string(), detail, ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    Ok(hold)
}

/// Lifts a hold. What it has kept may expire, and be purged, from the next look of those jobs on.
///
/// # Errors
/// `hold_unknown`; `not_permitted`; the database does not answer.
pub async fn lift(app: &App, actor: &AdminActor, id: HoldId) -> Result<HoldRow, AppError> {
    actor.need(Permit::SnapshotManage)?;
    let now = app.clock.now();
    let during = || AppError::db("lifting a hold");
    let mut tx = app.db.write().await.map_err(during())?;
    let unknown = || AppError::not_found("hold_unknown", there_is_no(format_args!("hold {id}"), "hold list"));
    let hold = db::hold_get(&mut tx, id).await.map_err(during())?.ok_or_else(unknown)?;
    db::hold_remove(&mut tx, id).await.map_err(during())?;
    let detail = format!("\"{}\" on {}", hold.name, subject_text(hold.subject.into()));
    let deed = Deed { action: "hold_lift", subject: id.to_string(), detail, ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    Ok(hold)
}

fn name_parse(text: &str) -> Result<&str, AppError> {
    let name = text.trim();
    if !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control) {
        return Ok(name);
    }
    let sentence = format!("A hold needs a name on one line, with at most {NAME_CHARS_MAX} characters.");
    Err(AppError::invalid("name_invalid", sentence))
}
