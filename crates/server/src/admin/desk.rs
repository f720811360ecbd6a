//! `/api/v1/desk`: what waits for an admin. Refuses to decide.

use crate::admin::devices::{about, device};
use crate::admin::extract::{AtAdmin, Body, Named, Query, ask};
use crate::admin::{Entry, get, post};
use crate::reply::{Reply, Yes};
use app::desk::{self, RefusedRow};
use base::{DeviceId, Timestamp};
use control::Permit;
use protocol::Text;
use protocol::admin::desk::{AppendOnly, Came, Former, Pending, Refuse, RefusedActivation};
use protocol::admin::device::Device;
use protocol::admin::{Page, PageQuery};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{DeviceManage, DeviceRead, TokenRead};
    vec![
        get("desk_pending_list", "/api/v1/desk/pending", DeviceRead,
            "Pending records, the oldest first: how each was asked for, and what it resembles.", pending),
        get("desk_append_only_list", "/api/v1/desk/append-only", DeviceRead,
            "Devices in service that wait for full rights: how each came, and what was there before.", append_only),
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
        reason: row.reason,
        asked_at_ms: row.at.as_ms(),
        came: row.came.map(came),
    };
    Ok(Yes(Page { items: page.items.into_iter().map(item).collect(), next: page.next }))
}

async fn append_only(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<AppendOnly>> {
    let page = desk::append_only(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    let item = |row: desk::AppendOnly| AppendOnly { device: device(row.device), came: row.came.map(came) };
    Ok(Yes(Page { items: page.items.into_iter().map(item).collect(), next: page.next }))
}

fn came(came: desk::Came) -> Came {
    let former = |former: desk::Former| Former {
        device: Text(former.device),
        about: about(former.about),
        differs: former.differs.into_iter().map(str::to_owned).collect(),
        last_seen_at_ms: former.seen_at.map(Timestamp::as_ms),
        activated_at_ms: former.activated_at.map(Timestamp::as_ms),
    };
    let (token, token_name) = came.token.map(|(id, name)| (Text(id), name)).unzip();
    Came {
        proof: came.proof,
        token,
        token_name,
        source: came.source,
        at_ms: came.at.as_ms(),
        outcome: came.outcome,
        former: came.former.map(former),
    }
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
