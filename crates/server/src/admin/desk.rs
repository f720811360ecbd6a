//! `/api/v1/desk`: what waits for an admin. Refuses to decide.

use crate::admin::devices::device;
use crate::admin::extract::{AtAdmin, Body, Named, Query, ask};
use crate::admin::{Entry, get, post};
use crate::reply::{Reply, Yes};
use app::desk::{self, RefusedRow};
use base::DeviceId;
use control::Permit;
use protocol::Text;
use protocol::admin::desk::{Pending, Refuse, RefusedActivation};
use protocol::admin::device::Device;
use protocol::admin::{Page, PageQuery};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{DeviceManage, DeviceRead, TokenRead};
    vec![
        get("desk_pending_list", "/api/v1/desk/pending", DeviceRead,
            "Records that wait for an admin, the oldest first.", pending),
        get("desk_append_only_list", "/api/v1/desk/append-only", DeviceRead,
            "Devices in service that wait for full rights, by name.", append_only),
        get("desk_refused_list", "/api/v1/desk/refused", TokenRead,
            "Activations by a token that were refused, the newest first.", refused),
        post("desk_approve", "/api/v1/desk/{device}/approve", DeviceManage,
            "Say yes: to a record that waits, or to full rights.", approve),
        post("desk_refuse", "/api/v1/desk/{device}/refuse", DeviceManage,
            "Say no to a record that waits: it is deleted, and the computer shows the reason.", refuse),
    ]
}

async fn pending(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<Pending>> {
    let page = desk::pending(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    let item = |row: desk::Pending| Pending {
        device: device(row.device),
        proof: row.waiting.proof,
        reason: row.waiting.reason,
        token: row.waiting.token.map(Text),
        source: row.waiting.source,
        asked_at_ms: row.waiting.asked_at.as_ms(),
    };
    Ok(Yes(Page { items: page.items.into_iter().map(item).collect(), next: page.next }))
}

async fn append_only(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<Device>> {
    let page = desk::append_only(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(device).collect(), next: page.next }))
}

async fn refused(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<RefusedActivation>> {
    let page = desk::refused(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    let item = |row: RefusedRow| RefusedActivation {
        at_ms: row.at.as_ms(),
        times: row.times.0,
        code: row.code,
        token: row.token.map(Text),
        source: row.source,
        email: row.email,
        host_name: row.host_name,
        serial: row.serial,
        os_user: row.os_user,
    };
    Ok(Yes(Page { items: page.items.into_iter().map(item).collect(), next: page.next }))
}

async fn approve(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Device> {
    Ok(Yes(device(desk::approve(&at.app, &at.actor, id).await?)))
}

async fn refuse(at: AtAdmin, Named(id): Named<DeviceId>, Body(body): Body<Refuse>) -> Reply<Device> {
    Ok(Yes(device(desk::refuse(&at.app, &at.actor, id, &body.reason).await?)))
}
