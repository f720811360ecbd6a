//! `/api/v1/templates`. Refuses nothing by itself: what a template may be, `app::mail` knows.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask};
use crate::admin::{Entry, delete, get, post, put};
use crate::reply::{Reply, Yes};
use app::mail::{self, TemplateView};
use base::Bytes;
use control::Permit;
use protocol::admin::template::{Template, TemplateMessage, TemplatePreview, TemplateSet};
use protocol::admin::{Page, PageQuery};

/// Text and HTML, each of its greatest size, as JSON may write them.
const TEMPLATE_BYTES_MAX: Bytes = Bytes::kib(512);

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{SettingManage, SettingRead};
    vec![
        get("template_list", "/api/v1/templates", SettingRead, "Templates of messages.", list),
        get("template_show", "/api/v1/templates/{template}", SettingRead, "One template, as it is used.", show),
        put("template_set", "/api/v1/templates/{template}", SettingManage,
            "Set the organisation's own template, for messages from now on.", set).body(TEMPLATE_BYTES_MAX),
        delete("template_reset", "/api/v1/templates/{template}", SettingManage,
            "Use the program's own template again.", reset),
        post("template_preview", "/api/v1/templates/{template}/preview", SettingRead,
            "The message that a template makes of samples; nothing is sent.", preview).body(TEMPLATE_BYTES_MAX),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<Template>> {
    let page = mail::template_list(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(template).collect(), next: page.next }))
}

async fn show(at: AtAdmin, Named(name): Named<String>) -> Reply<Template> {
    Ok(Yes(template(mail::template_show(&at.app, &at.actor, &name).await?)))
}

async fn set(at: AtAdmin, Named(name): Named<String>, Body(body): Body<TemplateSet>) -> Reply<Template> {
    Ok(Yes(template(mail::template_set(&at.app, &at.actor, &name, wanted(body)).await?)))
}

async fn reset(at: AtAdmin, Named(name): Named<String>) -> Reply<Template> {
    Ok(Yes(template(mail::template_reset(&at.app, &at.actor, &name).await?)))
}

async fn preview(at: AtAdmin, Named(name): Named<String>, Body(body): Body<TemplatePreview>) -> Reply<TemplateMessage> {
    let draft = body.draft.map(wanted);
    let mail::Message { subject, text, html } = mail::template_preview(&at.app, &at.actor, &name, draft).await?;
    Ok(Yes(TemplateMessage { subject, text, html }))
}

fn wanted(body: TemplateSet) -> mail::Template {
    mail::Template { subject: body.subject, text: body.text, html: body.html }
}

fn template(view: TemplateView) -> Template {
    let TemplateView { name, kind, template, set } = view;
    let (set_at_ms, set_by) = set.map(|(at, by)| (at.as_ms(), by)).unzip();
    Template {
        template: name,
        meaning: kind.meaning.to_owned(),
        values: kind.all_values().map(|value| value.name.to_owned()).collect(),
        subject: template.subject,
        text: template.text,
        html: template.html,
        set_at_ms,
        set_by,
    }
}
