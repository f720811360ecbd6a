//! Admins: added, listed, given permits, put out of service, removed. Refuses to decide: `control::admin` says who may
//! change whom, and that one with every permit is left. Rules: docs/control.md, "Admins".

use crate::audit::{self, Deed};
use crate::credentials::{permits_from_text, permits_to_text};
use crate::error::there_is_no;
use crate::page::{Page, PageAsk, part};
use crate::password::{self, Password};
use crate::{AdminActor, App, AppError, passwords, users};
use base::{AdminId, Timestamp};
use control::admin::{AdminEvent, AdminStanding, may_give, step};
use control::{Permit, Permits};
use db::{AdminRow, Tx};

/// An admin as an admin sees one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminView {
    /// Who.
    pub id: AdminId,
    /// The address.
    pub email: String,
    /// What the admin may do.
    pub permits: Permits,
    /// When the admin was added.
    pub created_at: Timestamp,
    /// Since when the admin is out of service.
    pub disabled_at: Option<Timestamp>,
}

/// The admins, by address: all, or the one with this address.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn page(
    app: &App,
    actor: &AdminActor,
    email: Option<&str>,
    ask: &PageAsk,
) -> Result<Page<AdminView>, AppError> {
    actor.need(Permit::AdminRead)?;
    let after = match ask.key::<1>()? {
        Some([email]) => part(String::from_utf8(email).ok())?,
        None => String::new(),
    };
    let during = || AppError::db("listing admins");
    let mut tx = app.db.read().await.map_err(during())?;
    let email = email.map(|email| email.trim().to_lowercase());
    let rows = db::admin_page_list(&mut tx, email.as_deref(), &after, ask.rows()).await.map_err(during())?;
    let Page { items, next } = ask.page(rows, |row: &AdminRow| [row.email.clone().into_bytes()], view);
    Ok(Page { items: items.into_iter().collect::<Result<_, _>>()?, next })
}

/// One admin.
///
/// # Errors
/// `admin_unknown`; `not_permitted`.
pub async fn get(app: &App, actor: &AdminActor, id: AdminId) -> Result<AdminView, AppError> {
    actor.need(Permit::AdminRead)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading an admin"))?;
    view(known(&mut tx, id).await?)
}

/// Adds an admin, in service.
///
/// # Errors
/// `email_invalid`, `admin_exists`, `permits_missing`; `permit_beyond_own`; `password_too_short`,
/// `password_too_long`; `not_permitted`.
pub async fn make(
    app: &App,
    actor: &AdminActor,
    email: &str,
    permits: Permits,
    password: &Password,
) -> Result<AdminView, AppError> {
    actor.need(Permit::AdminManage)?;
    let email = users::email_parse(email)?;
    some(permits)?;
    may_give(actor.permits(), permits)?;
    let during = || AppError::db("adding an admin");
    let mut tx = app.db.read().await.map_err(during())?;
    passwords::policy_now(&mut tx).await?.accepts(password.expose())?;
    drop(tx);
    let password_hash = password::hash(app, password).await?;
    let now = app.clock.now();
    let (id, words) = (AdminId::mint(app.entropy.as_ref()), permits_to_text(permits));
    let row = AdminRow { id, email, password_hash, permits: words, created_at: now, disabled_at: None };
    let mut tx = app.db.write().await.map_err(during())?;
    if !db::admin_page_list(&mut tx, Some(&row.email), "", 1).await.map_err(during())?.is_empty() {
        return Err(AppError::conflict(
            "admin_exists",
            format!("There is an admin {0} already: `admin show {0}`.", row.email),
        ));
    }
    db::admin_insert(&mut tx, &row).await.map_err(during())?;
    let detail = row.permits.replace('\n', " ");
    let deed = Deed { action: "admin_make", subject: id.to_string(), detail, ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    let made = view(row)?;
    tx.commit().await.map_err(during())?;
    Ok(made)
}

/// Gives an admin other permits, or puts one out of service, or in again.
///
/// # Errors
/// `admin_unknown`, `permits_missing`; `permit_beyond_own`, `last_admin`, `admin_state_same`; `not_permitted`.
pub async fn change(app: &App, actor: &AdminActor, id: AdminId, event: AdminEvent) -> Result<AdminView, AppError> {
    if let AdminEvent::Permits(permits) = event {
        some(permits)?;
    }
    carry_out(app, actor, id, event).await
}

/// Removes an admin; what the admin has done stays in the audit log. The answer is who it was.
///
/// # Errors
/// `admin_unknown`; `permit_beyond_own`, `last_admin`; `not_permitted`.
pub async fn remove(app: &App, actor: &AdminActor, id: AdminId) -> Result<AdminView, AppError> {
    carry_out(app, actor, id, AdminEvent::Remove).await
}

async fn carry_out(app: &App, actor: &AdminActor, id: AdminId, event: AdminEvent) -> Result<AdminView, AppError> {
    actor.need(Permit::AdminManage)?;
    let now = app.clock.now();
    let during = || AppError::db("changing an admin");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    let standing = AdminStanding { permits: permits_of(&row)?, disabled: row.disabled_at.is_some() };
    // Those in service alone are listed, so their permits are all that counts.
    let mut others_whole = false;
    for other in db::admin_list(&mut tx).await.map_err(during())? {
        others_whole |= other.id != id && permits_of(&other)? == Permits::all();
    }
    let after = step(actor.permits(), standing, others_whole, event)?;
    let row = match after {
        Some(AdminStanding { permits, disabled }) => {
            let disabled_at = disabled.then(|| row.disabled_at.unwrap_or(now));
            let permits = permits_to_text(permits);
            db::admin_update(&mut tx, id, &permits, disabled_at).await.map_err(during())?;
            AdminRow { permits, disabled_at, ..row }
        }
        None => {
            db::admin_remove(&mut tx, id).await.map_err(during())?;
            row
        }
    };
    let detail = match event {
        AdminEvent::Permits(_) => row.permits.replace('\n', " "),
        AdminEvent::Disable | AdminEvent::Enable | AdminEvent::Remove => String::new(),
    };
    let action = format!("admin_{}", event.word());
    let deed = Deed { action: &action, subject: id.to_string(), detail, ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    let changed = view(row)?;
    tx.commit().await.map_err(during())?;
    Ok(changed)
}

async fn known(tx: &mut Tx, id: AdminId) -> Result<AdminRow, AppError> {
    let row = db::admin_get(tx, id).await.map_err(AppError::db("reading an admin"))?;
    row.ok_or_else(|| AppError::not_found("admin_unknown", there_is_no(format_args!("admin {id}"), "admin list")))
}

fn some(permits: Permits) -> Result<(), AppError> {
    if permits == Permits::NONE {
        return Err(AppError::invalid("permits_missing", "An admin needs at least one permit; disable one instead."));
    }
    Ok(())
}

fn permits_of(row: &AdminRow) -> Result<Permits, AppError> {
    let damaged = || AppError::damaged("row_damaged", "The permits of a stored admin cannot be read.");
    permits_from_text(&row.permits).ok_or_else(damaged)
}

fn view(row: AdminRow) -> Result<AdminView, AppError> {
    let permits = permits_of(&row)?;
    let AdminRow { id, email, password_hash: _, permits: _, created_at, disabled_at } = row;
    Ok(AdminView { id, email, permits, created_at, disabled_at })
}
