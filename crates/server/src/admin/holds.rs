//! `/api/v1/holds`: legal holds on users and devices. Refuses a hold on both at once, and on nothing.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask, malformed};
use crate::admin::{Entry, delete, get, post};
use crate::reply::{Reply, Yes};
use app::holds::{self, HoldRow, HoldSubject};
use base::HoldId;
use control::Permit;
use protocol::Text;
use protocol::admin::hold::{Hold, HoldSet};
use protocol::admin::{Page, PageQuery};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{SnapshotManage, SnapshotRead};
    vec![
        get("hold_list", "/api/v1/holds", SnapshotRead, "Legal holds.", list),
        post("hold_set", "/api/v1/holds", SnapshotManage,
            "Set a legal hold on a user or a device: nothing of it expires or is purged.", set),
        delete("hold_lift", "/api/v1/holds/{hold}", SnapshotManage, "Lift a legal hold.", lift),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<Hold>> {
    let page = holds::page(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(hold).collect(), next: page.next }))
}

async fn set(at: AtAdmin, Body(body): Body<HoldSet>) -> Reply<Hold> {
    let subject = match (body.user, body.device) {
        (Some(user), None) => HoldSubject::User(user.0),
        (None, Some(device)) => HoldSubject::Device(device.0),
        _ => return Err(malformed("Give `user` or `device`, one of them.")),
    };
    Ok(Yes(hold(holds::set(&at.app, &at.actor, subject, &body.name).await?)))
}

async fn lift(at: AtAdmin, Named(id): Named<HoldId>) -> Reply<Hold> {
    Ok(Yes(hold(holds::lift(&at.app, &at.actor, id).await?)))
}

fn hold(row: HoldRow) -> Hold {
    let (user, device) = match row.subject {
        HoldSubject::User(user) => (Some(Text(user)), None),
        HoldSubject::Device(device) => (None, Some(Text(device))),
    };
    let (on, set_at_ms) = (row.subject_name, row.set_at.as_ms());
    Hold { hold: Text(row.id), name: row.name, user, device, on, set_at_ms, set_by: row.set_by }
}
