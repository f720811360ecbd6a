//! `/api/v1/mail`: the outbox. Refuses to show the text of a message that holds a secret: `app::mail` leaves it out.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask, word};
use crate::admin::{Entry, get, post};
use crate::reply::{Reply, Yes};
use app::mail::{self, MailView};
use base::{MailId, Span, Timestamp};
use control::Permit;
use control::mail::MailStatus;
use protocol::Text;
use protocol::admin::Page;
use protocol::admin::mail::{Mail, MailQuery, MailTest, MailTested};

/// As long as a mail server may take for one message.
const TEST_SPAN: Span = Span::minutes(25);

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{SettingManage, SettingRead};
    vec![
        get("mail_list", "/api/v1/mail", SettingRead, "The outbox, the newest message first.", list),
        get("mail_show", "/api/v1/mail/{mail}", SettingRead, "One message.", show),
        post("mail_resend", "/api/v1/mail/{mail}/resend", SettingManage,
            "Queue a message again that failed or is unclear; an unclear one may arrive twice.", resend),
        post("mail_test", "/api/v1/mail/test", SettingManage,
            "Send a test message at once, and say what the mail server answered.", test).span(TEST_SPAN),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<MailQuery>) -> Reply<Page<Mail>> {
    let status = word("status", query.status.as_deref(), &MailStatus::ALL, MailStatus::word)?;
    let page = mail::list(&at.app, &at.actor, status, &ask(query.after, query.limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(message).collect(), next: page.next }))
}

async fn show(at: AtAdmin, Named(id): Named<MailId>) -> Reply<Mail> {
    Ok(Yes(message(mail::show(&at.app, &at.actor, id).await?)))
}

async fn resend(at: AtAdmin, Named(id): Named<MailId>) -> Reply<Mail> {
    Ok(Yes(message(mail::resend(&at.app, &at.actor, id).await?)))
}

async fn test(at: AtAdmin, Body(body): Body<MailTest>) -> Reply<MailTested> {
    let answer = mail::test(&at.app, &at.actor, &body.recipient).await?;
    Ok(Yes(MailTested { outcome: answer.outcome.word().to_owned(), said: answer.said }))
}

fn message(view: MailView) -> Mail {
    Mail {
        mail: Text(view.id),
        occasion: view.occasion,
        template: view.template,
        recipient: view.recipient,
        subject: view.subject,
        text: view.text,
        status: view.status.word().to_owned(),
        attempts: view.attempts.0,
        due_at_ms: view.due_at.map(Timestamp::as_ms),
        last_error: view.last_error,
        created_at_ms: view.created_at.as_ms(),
        sent_at_ms: view.sent_at.map(Timestamp::as_ms),
    }
}
