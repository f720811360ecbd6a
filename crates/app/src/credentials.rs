//! Credentials of the admin API: made, listed, revoked, and recognised at every request. Refuses to keep their text:
//! it is shown once, and the database holds a hash of its 256 random bits. Rules: docs/control.md, "Permits".

use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::page::{Page, PageAsk, part};
use crate::recent::{Lookup, Recent};
use crate::{AdminActor, App, AppError, CredentialActor, SecretText, rates, session};
use base::{CredentialId, Span, Timestamp};
use control::attempts::Attempt;
use control::{Permit, Permits, Refusal};
use db::ApiCredentialRow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// What a credential's text begins with, so that it is taken for no other kind.
pub const TEXT_PREFIX: &str = "hfa1_";
/// The longest name, in characters.
const NAME_MAX: usize = 100;
/// Uses within this span of the last one noted are not noted.
const USED_SPAN: Span = Span::minutes(1);
/// The word for every permit, those of later releases included. Never written but for whoever has asked for that.
const ALL: &str = "all";

/// A credential as an admin sees one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialView {
    /// Which.
    pub id: CredentialId,
    /// What its maker calls it.
    pub name: String,
    /// The beginning of its text.
    pub prefix: String,
    /// What it may do.
    pub permits: Permits,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom, as the audit log writes it.
    pub created_by: String,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From where.
    pub last_source: Option<String>,
}

/// A credential to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialNew {
    /// What to call it: 1 to 100 characters.
    pub name: String,
    /// What it may do.
    pub permits: Permits,
    /// Whether it may do everything instead, what later releases can do included.
    pub all: bool,
    /// When it expires; `None` for never.
    pub expires_at: Option<Timestamp>,
}

/// Makes a credential. Its text is in the answer and nowhere else.
///
/// # Errors
/// `credential_name_invalid`, `permits_missing`, `credential_expiry_past`; `permit_beyond_own`;
/// `not_permitted`.
pub async fn make(app: &App, actor: &AdminActor, new: CredentialNew) -> Result<(CredentialView, SecretText), AppError> {
    actor.need(Permit::CredentialManage)?;
    let now = app.clock.now();
    let CredentialNew { name, permits, all, expires_at } = new;
    let name = name_parse(&name)?;
    let permits = if all { Permits::all() } else { permits };
    if permits == Permits::NONE {
        return Err(AppError::invalid(
            "permits_missing",
            "A credential needs at least one permit: name some, or `all`.",
        ));
    }
    control::admin::may_give(actor.permits(), permits)?;
    if expires_at.is_some_and(|at| at <= now) {
        return Err(AppError::invalid(
            "credential_expiry_past",
            "The credential would have expired already: give a later end.",
        ));
    }
    let text = SecretText::mint(TEXT_PREFIX, app.entropy.as_ref());
    let row = ApiCredentialRow {
        id: CredentialId::mint(app.entropy.as_ref()),
        name,
        prefix: text.visible(TEXT_PREFIX),
        hash: hash(&text).expect("a text of our own begins as it should"),
        permits: if all { ALL.to_owned() } else { listed(permits) },
        expires_at,
        revoked_at: None,
        created_at: now,
        created_by: actor.to_string(),
        last_used_at: None,
        last_source: None,
    };
    let during = || AppError::db("making a credential");
    let mut tx = app.db.write().await.map_err(during())?;
    db::api_credential_insert(&mut tx, &row).await.map_err(during())?;
    let permits = row.permits.replace('\n', " ");
    let deed = Deed {
        action: "credential_make",
        subject: row.id.to_string(),
        detail: format!("\"{}\": {permits}", row.name),
        ..Deed::by(actor)
    };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    Ok((view(row)?, text))
}

/// Credentials in the order of their identifiers, revoked and expired ones included.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn page(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<CredentialView>, AppError> {
    actor.need(Permit::CredentialManage)?;
    let after = match ask.key::<1>()? {
        Some([id]) => Some(CredentialId::from_bytes(part(id.try_into().ok())?)),
        None => None,
    };
    let during = || AppError::db("listing credentials");
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::api_credential_list(&mut tx, after, ask.rows()).await.map_err(during())?;
    let key = |row: &ApiCredentialRow| [row.id.as_bytes().to_vec()];
    let Page { items, next } = ask.page(rows, key, view);
    Ok(Page { items: items.into_iter().collect::<Result<_, _>>()?, next })
}

/// One credential.
///
/// # Errors
/// `credential_unknown`; `not_permitted`.
pub async fn get(app: &App, actor: &AdminActor, id: CredentialId) -> Result<CredentialView, AppError> {
    actor.need(Permit::CredentialManage)?;
    let during = || AppError::db("reading a credential");
    let mut tx = app.db.read().await.map_err(during())?;
    view(db::api_credential_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| unknown(id))?)
}

/// Ends a credential. One that has ended already stays as it is.
///
/// # Errors
/// `credential_unknown`; `not_permitted`.
pub async fn revoke(app: &App, actor: &AdminActor, id: CredentialId) -> Result<CredentialView, AppError> {
    actor.need(Permit::CredentialManage)?;
    let now = app.clock.now();
    let during = || AppError::db("revoking a credential");
    let mut tx = app.db.write().await.map_err(during())?;
    let mut row = db::api_credential_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| unknown(id))?;
    if row.revoked_at.is_none() {
        row.revoked_at = Some(now);
        db::api_credential_revoke_update(&mut tx, id, now).await.map_err(during())?;
        let deed =
            Deed { action: "credential_revoke", subject: id.to_string(), detail: row.name.clone(), ..Deed::by(actor) };
        audit::write(&mut tx, now, deed).await?;
    }
    tx.commit().await.map_err(during())?;
    // ORDER: said after the commit, or a request in between would remember the credential as it was.
    app.credentials.recent.changed(&row.hash);
    view(row)
}

/// Who a request of the admin API comes from.
///
/// # Errors
/// `wrong_audience` for a device's session; `credential_invalid`, and `too_many_requests` instead of it once this
/// source has come with too many; `credential_revoked`, `credential_expired`.
pub async fn authenticate(app: &App, bearer: Option<&str>, source: Option<IpAddr>) -> Result<AdminActor, AppError> {
    let text = bearer.ok_or(Refusal::CredentialInvalid)?;
    if text.starts_with(session::TOKEN_PREFIX) {
        return Err(Refusal::WrongAudience.into());
    }
    // Nobody types a credential: space around it makes it another text.
    let whole = Some(text).filter(|text| text.trim() == *text).map(|text| SecretText::new(text.to_owned()));
    let now = app.clock.now();
    // Looked up whether or not it can be one of ours, so that every wrong one is the same work.
    let hash = whole.and_then(|text| hash(&text)).unwrap_or_default();
    let Some(row) = standing(app, hash, now).await? else { return Err(wrong(app, source, now).await?.into()) };
    if row.revoked_at.is_some() {
        return Err(Refusal::CredentialRevoked.into());
    }
    if row.expires_at.is_some_and(|at| now >= at) {
        return Err(Refusal::CredentialExpired.into());
    }
    if app.credentials.is_to_note(&row, now) {
        let noted = note(app, row.id, source, now).await;
        // A full disk must not close the door by which it is seen.
        if let Err(error) = noted {
            tracing::warn!(credential.id = %row.id, "the use of a credential was not noted: {error}");
        }
    }
    let permits = permits_read(&row)?;
    let ApiCredentialRow { id, name, prefix, .. } = row;
    Ok(AdminActor::Credential(Box::new(CredentialActor { id, name, prefix, permits, source, mark: None })))
}

/// Counts a credential that there is not, and gives the answer to it. A source that had too many writes nothing more:
/// whoever guesses must not hold up those who write.
async fn wrong(app: &App, source: Option<IpAddr>, now: Timestamp) -> Result<Refusal, AppError> {
    let Some(source) = source else { return Ok(Refusal::CredentialInvalid) };
    let during = || AppError::db("counting credentials that are none");
    let mut tx = app.db.read().await.map_err(during())?;
    match rates::may_try(&mut tx, now, Attempt::Credential, source).await {
        Err(AppError::Refused(refusal)) => return Ok(refusal),
        looked => looked?,
    }
    drop(tx);
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: others of this source may have been counted meanwhile; then this one is one too many.
    let counted = rates::wrong(&mut tx, now, Attempt::Credential, source).await?;
    tx.commit().await.map_err(during())?;
    tracing::warn!("a credential of the admin API was wrong");
    let left = Attempt::Credential.limit().left(now);
    Ok(if counted { Refusal::CredentialInvalid } else { Refusal::TooManyRequests { left } })
}

/// What this process knows of credentials. One for each `App`.
#[derive(Debug, Default)]
pub struct Credentials {
    recent: Recent<[u8; 32], ApiCredentialRow>,
    /// When the use of a credential was last noted: as many as there are credentials in use.
    noted: Mutex<HashMap<CredentialId, Timestamp>>,
}

impl Credentials {
    fn is_to_note(&self, row: &ApiCredentialRow, now: Timestamp) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let last = noted.get(&row.id).copied().max(row.last_used_at);
        let due = last.is_none_or(|last| now.since(last) >= USED_SPAN || last > now);
        if due {
            noted.insert(row.id, now);
        }
        due
    }
}

/// The row with this hash, no older than a device's state may be.
async fn standing(app: &App, hash: [u8; 32], now: Timestamp) -> Result<Option<ApiCredentialRow>, AppError> {
    let generation = match app.credentials.recent.lookup(&hash, now, app.config.state_cache_span) {
        Lookup::Fresh(row) => return Ok(Some(row)),
        Lookup::Unknown { generation } => generation,
    };
    let during = || AppError::db("looking for a credential");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::api_credential_get_by_hash(&mut tx, &hash).await.map_err(during())?;
    if let Some(row) = &row {
        app.credentials.recent.remember(hash, row.clone(), now, generation);
    }
    Ok(row)
}

async fn note(app: &App, id: CredentialId, source: Option<IpAddr>, now: Timestamp) -> Result<(), AppError> {
    let during = || AppError::db("noting the use of a credential");
    let source = source.map(|source| source.to_string()).unwrap_or_default();
    let mut tx = app.db.write().await.map_err(during())?;
    db::api_credential_used_update(&mut tx, id, now, &source).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

fn hash(text: &SecretText) -> Option<[u8; 32]> {
    text.hash(TEXT_PREFIX, "holdfast 2026 v1 admin credential")
}

fn name_parse(text: &str) -> Result<String, AppError> {
    let name = text.trim();
    let good = (1..=NAME_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    let wrong = || AppError::invalid("credential_name_invalid", "A name has from 1 to 100 characters, in one line.");
    good.then(|| name.to_owned()).ok_or_else(wrong)
}

/// As the rows of admins keep permits: one who may do everything may do so after an update, too, or nobody could.
/// Never fails.
pub(crate) fn permits_to_text(permits: Permits) -> String {
    if permits == Permits::all() { ALL.to_owned() } else { listed(permits) }
}

fn listed(permits: Permits) -> String {
    permits.iter().map(Permit::word).collect::<Vec<_>>().join("\n")
}

/// The permits that a row keeps; `None` for a text that says none.
pub(crate) fn permits_from_text(text: &str) -> Option<Permits> {
    if text == ALL {
        return Some(Permits::all());
    }
    text.lines().map(Permit::from_word).collect()
}

fn permits_read(row: &ApiCredentialRow) -> Result<Permits, AppError> {
    let damaged = || AppError::damaged("row_damaged", "The permits of a stored credential cannot be read.");
    permits_from_text(&row.permits).ok_or_else(damaged)
}

fn view(row: ApiCredentialRow) -> Result<CredentialView, AppError> {
    let permits = permits_read(&row)?;
    let ApiCredentialRow {
        id,
        name,
        prefix,
        hash: _,
        permits: _,
        expires_at,
        revoked_at,
        created_at,
        created_by,
        last_used_at,
        last_source,
    } = row;
    Ok(CredentialView {
        id,
        name,
        prefix,
        permits,
        expires_at,
        revoked_at,
        created_at,
        created_by,
        last_used_at,
        last_source,
    })
}

fn unknown(id: CredentialId) -> AppError {
    AppError::not_found("credential_unknown", there_is_no(format_args!("credential {id}"), "credential list"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn the_hash_of_a_credential_is_what_databases_hold() {
        let text = SecretText::new(format!("{TEXT_PREFIX}{}", "A".repeat(43)));
        let hash = hash(&text).expect("a credential's text");
        assert_eq!(HEXLOWER.encode(&hash), "b920db4916d77048046fa75685dbd6ef284e67491262388fe0fb5efba2722134");
        assert_eq!(text.visible(TEXT_PREFIX), "hfa1_AAAAAA");
    }
}
