//! What admins do with mail: see and change templates, see the outbox, send again, send a test.
//! Refuses to show the text of a message that holds a secret, and to keep a template that does not work.

use super::catalogue::{self, KINDS, Kind};
use super::{Answer, Letter, Message, POLICY, Template, Values};
use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::page::{self, Page, PageAsk, part};
use crate::{AdminActor, App, AppError};
use base::{Count, MailId, Timestamp};
use control::mail::MailStatus;
use control::{Permit, Refusal};
use db::{MailRow, PageKey, TemplateRow, Tx};

/// A template as an admin sees it.
#[derive(Clone, Debug)]
pub struct TemplateView {
    /// Its name.
    pub name: String,
    /// What it is for, and which values it may use.
    pub kind: &'static Kind,
    /// What is used: the organisation's, or the program's own.
    pub template: Template,
    /// When and by whom the organisation's was set; `None` where the program's own is used.
    pub set: Option<(Timestamp, String)>,
}

/// A message of the outbox as an admin sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailView {
    /// Which.
    pub id: MailId,
    /// What it is about.
    pub occasion: String,
    /// The template that it was made from.
    pub template: String,
    /// The address.
    pub recipient: String,
    /// One line.
    pub subject: String,
    /// The plain text; `None` when it holds a secret, or is not kept any more.
    pub text: Option<String>,
    /// Where it stands.
    pub status: MailStatus,
    /// How often it was tried.
    pub attempts: Count,
    /// When the next attempt is due, if it is queued.
    pub due_at: Option<Timestamp>,
    /// What the last attempt met; empty when nothing went wrong.
    pub last_error: String,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When the mail server took it.
    pub sent_at: Option<Timestamp>,
}

/// The templates: those of the program in the order of docs/mail.md, then those that were added for campaigns.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave; the database does not answer.
pub async fn template_list(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<TemplateView>, AppError> {
    actor.need(Permit::SettingRead)?;
    let during = || AppError::db("listing templates");
    let mut tx = app.db.read().await.map_err(during())?;
    let mut set = db::template_list(&mut tx).await.map_err(during())?;
    let mut views = Vec::new();
    for kind in KINDS {
        let at = set.iter().position(|row| row.name == kind.name);
        views.push(template_view(kind, kind.name, at.map(|at| set.remove(at))));
    }
    let added = set.into_iter().filter_map(|row| {
        let kind = catalogue::kind_of(&row.name)?;
        Some(template_view(kind, &row.name.clone(), Some(row)))
    });
    views.extend(added);
    if let Some([after]) = ask.key::<1>()? {
        let at = views.iter().position(|view| view.name.as_bytes() == after);
        views.drain(..=part(at)?);
    }
    views.truncate(ask.rows() as usize);
    Ok(ask.page(views, |view| [view.name.as_bytes().to_vec()], |view| view))
}

/// One template.
///
/// # Errors
/// `template_unknown`; `not_permitted`.
pub async fn template_show(app: &App, actor: &AdminActor, name: &str) -> Result<TemplateView, AppError> {
    actor.need(Permit::SettingRead)?;
    let kind = kind(name)?;
    let during = || AppError::db("reading a template");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::template_get(&mut tx, name).await.map_err(during())?;
    Ok(template_view(kind, name, row))
}

/// Sets the organisation's own template, which holds for messages that are queued from now on.
///
/// # Errors
/// `template_invalid` with the part and the reason; `template_unknown`; `not_permitted`.
pub async fn template_set(
    app: &App,
    actor: &AdminActor,
    name: &str,
    template: Template,
) -> Result<TemplateView, AppError> {
    actor.need(Permit::SettingManage)?;
    let kind = kind(name)?;
    template.inspect(kind)?;
    let now = app.clock.now();
    let Template { subject, text, html } = template;
    let row = TemplateRow { name: name.to_owned(), subject, text, html, set_at: now, set_by: actor.to_string() };
    let during = || AppError::db("setting a template");
    let mut tx = app.db.write().await.map_err(during())?;
    db::template_update(&mut tx, &row).await.map_err(during())?;
    deed(&mut tx, now, actor, "template_set", name, String::new()).await?;
    tx.commit().await.map_err(during())?;
    Ok(template_view(kind, name, Some(row)))
}

/// Takes the organisation's own template away: the program's is used again. Nothing changes where there is none.
///
/// # Errors
/// `template_unknown`; `not_permitted`.
pub async fn template_reset(app: &App, actor: &AdminActor, name: &str) -> Result<TemplateView, AppError> {
    actor.need(Permit::SettingManage)?;
    let kind = kind(name)?;
    let during = || AppError::db("resetting a template");
    let mut tx = app.db.write().await.map_err(during())?;
    if db::template_remove(&mut tx, name).await.map_err(during())? {
        deed(&mut tx, app.clock.now(), actor, "template_reset", name, String::new()).await?;
    }
    tx.commit().await.map_err(during())?;
    Ok(template_view(kind, name, None))
}

/// The message that this template, or else the one that is kept, makes of samples; of what the organisation has set
/// for itself where it has. Nothing is sent or kept.
///
/// # Errors
/// `template_invalid`, `template_unknown`; `not_permitted`.
pub async fn template_preview(
    app: &App,
    actor: &AdminActor,
    name: &str,
    draft: Option<Template>,
) -> Result<Message, AppError> {
    actor.need(Permit::SettingRead)?;
    let kind = kind(name)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading a template"))?;
    let values = super::common(app, &mut tx, Values::samples()).await?.with("user.email", "anna@example.org");
    match draft {
        Some(template) => {
            template.inspect(kind)?;
            template.fill(kind, &values)
        }
        None => super::message(&mut tx, kind, name, &values).await,
    }
}

/// The outbox, the newest first, of this status or of any.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave; the database does not answer.
pub async fn list(
    app: &App,
    actor: &AdminActor,
    status: Option<MailStatus>,
    ask: &PageAsk,
) -> Result<Page<MailView>, AppError> {
    actor.need(Permit::SettingRead)?;
    let after = page::timed(ask, PageKey::LAST)?;
    let during = || AppError::db("listing messages");
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::mail_list(&mut tx, status, after, ask.rows()).await.map_err(during())?;
    Ok(ask.page(rows, |row| page::timed_parts(row.created_at, row.id.as_bytes()), view))
}

/// One message.
///
/// # Errors
/// `mail_unknown`; `not_permitted`.
pub async fn show(app: &App, actor: &AdminActor, id: MailId) -> Result<MailView, AppError> {
    actor.need(Permit::SettingRead)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading a message"))?;
    row(&mut tx, id).await.map(view)
}

/// Queues a message again that failed, or of which it is unclear whether it was sent: then it may arrive twice, which
/// is the admin's decision.
///
/// # Errors
/// `mail_not_over`, `mail_wiped`, `mail_off`, `mail_unknown`; `not_permitted`.
pub async fn resend(app: &App, actor: &AdminActor, id: MailId) -> Result<MailView, AppError> {
    actor.need(Permit::SettingManage)?;
    if app.mailer.is_none() {
        return Err(Refusal::MailOff.into());
    }
    let now = app.clock.now();
    let during = || AppError::db("queueing a message again");
    let mut tx = app.db.write().await.map_err(during())?;
    let found = row(&mut tx, id).await?;
    found.status.resend(found.text.is_empty())?;
    db::mail_queued_update(&mut tx, id, now, now + POLICY.try_span).await.map_err(during())?;
    deed(&mut tx, now, actor, "mail_resend", &id.to_string(), format!("was {}", found.status.word())).await?;
    let queued = row(&mut tx, id).await?;
    tx.commit().await.map_err(during())?;
    Ok(view(queued))
}

/// Sends a test message at once, past the outbox, and says how that ended.
///
/// # Errors
/// `mail_off`, `email_invalid`; `not_permitted`.
pub async fn test(app: &App, actor: &AdminActor, recipient: &str) -> Result<Answer, AppError> {
    actor.need(Permit::SettingManage)?;
    let mailer = app.mailer.as_ref().ok_or(Refusal::MailOff)?;
    let recipient = crate::users::email_parse(recipient)?;
    let (now, id) = (app.clock.now(), MailId::mint(app.entropy.as_ref()));
    let kind = kind("test")?;
    let mut tx = app.db.write().await.map_err(AppError::db("writing the audit log"))?;
    let values = super::common(app, &mut tx, Values::new()).await?.with("user.email", &recipient);
    let Message { subject, text, html } = super::message(&mut tx, kind, "test", &values).await?;
    deed(&mut tx, now, actor, "mail_test", &recipient, id.to_string()).await?;
    tx.commit().await.map_err(AppError::db("writing the audit log"))?;
    let answer = mailer.send(&Letter { id, at: now, recipient, subject, text, html }).await;
    mailer.rest().await;
    Ok(answer)
}

async fn deed(
    tx: &mut Tx,
    now: Timestamp,
    actor: &AdminActor,
    action: &str,
    subject: &str,
    detail: String,
) -> Result<(), AppError> {
    audit::write(tx, now, Deed { action, subject: subject.to_owned(), detail, ..Deed::by(actor) }).await
}

fn kind(name: &str) -> Result<&'static Kind, AppError> {
    catalogue::kind_of(name).ok_or_else(|| super::template_unknown(name))
}

async fn row(tx: &mut Tx, id: MailId) -> Result<MailRow, AppError> {
    let row = db::mail_get(tx, id).await.map_err(AppError::db("reading a message"))?;
    row.ok_or_else(|| AppError::not_found("mail_unknown", there_is_no(format_args!("message {id}"), "mail list")))
}

fn template_view(kind: &'static Kind, name: &str, row: Option<TemplateRow>) -> TemplateView {
    let own = || (Template::own(kind), None);
    let set = |row: TemplateRow| {
        (Template { subject: row.subject, text: row.text, html: row.html }, Some((row.set_at, row.set_by)))
    };
    let (template, set) = row.map_or_else(own, set);
    TemplateView { name: name.to_owned(), kind, template, set }
}

fn view(row: MailRow) -> MailView {
    let is_shown = !row.secret && !row.text.is_empty();
    MailView {
        id: row.id,
        occasion: row.occasion,
        template: row.template,
        recipient: row.recipient,
        subject: row.subject,
        text: is_shown.then_some(row.text),
        status: row.status,
        attempts: row.attempts,
        due_at: (row.status == MailStatus::Queued).then_some(row.due_at),
        last_error: row.last_error,
        created_at: row.created_at,
        sent_at: row.sent_at,
    }
}
