//! Mail: messages are made from templates, queued in the transaction of what they tell of, and sent by a job.
//! Refuses to send a message twice, to lose one that was queued, and to let a bad template stop what it tells of.
//! docs/mail.md has the whole of it.

pub mod catalogue;
mod engine;
mod manage;
pub(crate) mod occasion;
mod port;
mod smtp;
mod tick;

pub use engine::{Message, SUBJECT_BYTES_MAX, TEXT_BYTES_MAX, Template, Values};
pub use manage::{
    MailView, TemplateView, list, resend, show, template_list, template_preview, template_reset, template_set,
    template_show, test,
};
pub use port::{Answer, Letter, Mailer};
pub(crate) use smtp::is_mailbox;
pub use smtp::{Login, Smtp, SmtpSettings, Timeouts};
pub use tick::{POLICY, tick};

use crate::{App, AppError, policy};
use base::{Count, MailId, Timestamp};
use catalogue::Kind;
use control::mail::MailStatus;
use control::{Notice, State};
use db::{DeviceRow, MailRow, Tx};

/// Whether a message was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It is sent after the transaction.
    Yes(MailId),
    /// There was one of this occasion.
    Before,
    /// This server sends no mail.
    Off,
}

/// A message to be queued.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// What it is about, as a text that nothing else has: the same is never queued twice.
    pub occasion: String,
    /// The address.
    pub recipient: &'a str,
    /// The template, by its name in `catalogue`.
    pub template: &'a str,
    /// Its values, but for those that every message has.
    pub values: Values,
    /// Until when it is worth sending, where that is sooner than attempts end anyway: a link or a code that is over.
    pub until: Option<Timestamp>,
}

/// Queues a message in the caller's transaction: it is sent if that commits, and only then. A template of the
/// organisation's that fails on these values is logged, and the program's own is used.
///
/// # Errors
/// `template_unknown`; the database does not answer.
pub async fn queue(app: &App, tx: &mut Tx, now: Timestamp, draft: Draft<'_>) -> Result<Queued, AppError> {
    let kind = catalogue::kind_of(draft.template).ok_or_else(|| template_unknown(draft.template))?;
    if app.mailer.is_none() {
        tracing::debug!(template = draft.template, "no mail server is set: a message was not queued");
        return Ok(Queued::Off);
    }
    let values = common(app, tx, draft.values).await?;
    put(app, tx, now, kind, Draft { values, ..draft }).await
}

/// Queues a message whose values have those that every message has, but for the address.
async fn put(app: &App, tx: &mut Tx, now: Timestamp, kind: &Kind, draft: Draft<'_>) -> Result<Queued, AppError> {
    let Draft { occasion, recipient, template, values, until } = draft;
    let give_up_at = now + POLICY.try_span;
    let values = values.with("user.email", recipient);
    let Message { subject, text, html } = message(tx, kind, template, &values).await?;
    let id = MailId::mint(app.entropy.as_ref());
    let row = MailRow {
        id,
        occasion,
        template: template.to_owned(),
        recipient: recipient.to_owned(),
        subject,
        text,
        html,
        secret: kind.secret,
        status: MailStatus::Queued,
        attempts: Count(0),
        due_at: now,
        give_up_at: until.map_or(give_up_at, |until| until.min(give_up_at)),
        tried_at: None,
        last_error: String::new(),
        created_at: now,
        sent_at: None,
    };
    let new = db::mail_insert(tx, &row).await.map_err(AppError::db("queueing a message"))?;
    Ok(if new { Queued::Yes(id) } else { Queued::Before })
}

/// Whom a notice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The user of the device.
    User,
    /// Every admin.
    Admins,
}

/// Queues what the lifecycle wants people to be told of a device, which is in `state` after this transaction.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn notice_queue(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: &DeviceRow,
    state: &State,
    audience: Audience,
    notice: Notice,
) -> Result<(), AppError> {
    let word = notice.word();
    if app.mailer.is_none() {
        tracing::debug!(device.id = %device.id, notice = word, "no mail server is set: nobody was told: {word}");
        return Ok(());
    }
    let during = || AppError::db("looking for whom to tell");
    let user = db::user_get(tx, device.user).await.map_err(during())?.map(|user| user.email).unwrap_or_default();
    let (template, recipients) = match audience {
        Audience::User => (catalogue::notice_user(notice), vec![user.clone()]),
        Audience::Admins => {
            let admins = db::admin_list(tx).await.map_err(during())?;
            (catalogue::notice_admins(notice), admins.into_iter().map(|admin| admin.email).collect())
        }
    };
    let kind = catalogue::kind_of(template).ok_or_else(|| template_unknown(template))?;
    let deadline = deadline(state).map(date).unwrap_or_default();
    // The same for every recipient, so read once.
    let values = common(app, tx, Values::new())
        .await?
        .with("device.name", &device.name)
        .with("device.host_name", &device.about.host_name)
        .with("device.id", &device.id.to_string())
        .with("device.user", &user)
        .with("deadline", &deadline);
    for recipient in recipients.iter().filter(|recipient| !recipient.is_empty()) {
        // The time tells two suspensions of one device apart; within one change there is one notice of a word.
        let occasion = format!("notice:{template}:{}:{}:{recipient}", device.id, now.as_ms());
        put(app, tx, now, kind, Draft { occasion, recipient, template, values: values.clone(), until: None }).await?;
    }
    Ok(())
}

/// A time as messages write it, in UTC: `2027-01-31 12:00 UTC`. Never fails.
pub fn date(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_ms()).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The date that the state itself sets.
fn deadline(state: &State) -> Option<Timestamp> {
    match state {
        State::Held { append_until, .. } => Some(*append_until),
        State::Deleted { purge_after, .. } => Some(*purge_after),
        State::Pending
        | State::Active { .. }
        | State::Deactivated { .. }
        | State::Suspended { .. }
        | State::Quarantined { .. }
        | State::Decommissioning { .. }
        | State::Decommissioned
        | State::Purged => None,
    }
}

/// These values, and those that every message has but for the address that it goes to.
async fn common(app: &App, tx: &mut Tx, values: Values) -> Result<Values, AppError> {
    let organisation = match app.config.organisation_name.as_str() {
        "" => "your organisation",
        name => name,
    };
    let values = values.with("organisation", organisation).with("server", app.config.public_url().unwrap_or_default());
    Ok(values.with("support", &policy::support(tx).await?.unwrap_or_default()))
}

/// The message that the organisation's template, or else the program's own, makes of these values.
async fn message(tx: &mut Tx, kind: &Kind, name: &str, values: &Values) -> Result<Message, AppError> {
    if let Some(template) = template_get(tx, name).await? {
        match template.fill(kind, values) {
            Ok(message) => return Ok(message),
            Err(error) => tracing::warn!(template = name, error = %error, "a template fails; our own is used"),
        }
    }
    Template::own(kind).fill(kind, values)
}

async fn template_get(tx: &mut Tx, name: &str) -> Result<Option<Template>, AppError> {
    let row = db::template_get(tx, name).await.map_err(AppError::db("reading a template"))?;
    Ok(row.map(|row| Template { subject: row.subject, text: row.text, html: row.html }))
}

fn template_unknown(name: &str) -> AppError {
    let name = control::mail::one_line(name, 60);
    AppError::not_found("template_unknown", format!("There is no template `{name}`; `template list` shows all."))
}
