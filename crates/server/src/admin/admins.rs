//! `/api/v1/admins`. Refuses to show a password's hash, and to say anything of a password but that it was set.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask};
use crate::admin::{Entry, delete, get, post, put};
use crate::reply::{Reply, Yes};
use crate::routes::SIGN_IN_SPAN;
use app::admins::{self, AdminView};
use app::password::Password;
use base::{AdminId, Timestamp};
use control::admin::AdminEvent;
use control::{Permit, Permits};
use protocol::Text;
use protocol::admin::Page;
use protocol::admin::administrator::{Admin, AdminMake, AdminPermits, AdminQuery};
use protocol::admin::credential::PermitWord;

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{AdminManage, AdminRead};
    vec![
        get("admin_list", "/api/v1/admins", AdminRead, "Admins, by address.", list),
        post("admin_make", "/api/v1/admins", AdminManage, "Add an admin, with permits that you have too.", make)
            .span(SIGN_IN_SPAN),
        get("admin_show", "/api/v1/admins/{admin}", AdminRead, "One admin.", show),
        put("admin_permits", "/api/v1/admins/{admin}/permits", AdminManage,
            "Give an admin these permits and no others.", permits),
        post("admin_disable", "/api/v1/admins/{admin}/disable", AdminManage,
            "Put an admin out of service; everything is kept.", disable),
        post("admin_enable", "/api/v1/admins/{admin}/enable", AdminManage, "Let a disabled admin act again.", enable),
        delete("admin_remove", "/api/v1/admins/{admin}", AdminManage, "Remove an admin.", remove),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<AdminQuery>) -> Reply<Page<Admin>> {
    let AdminQuery { after, limit, email } = query;
    let page = admins::page(&at.app, &at.actor, email.as_deref(), &ask(after, limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(admin).collect(), next: page.next }))
}

async fn make(at: AtAdmin, Body(body): Body<AdminMake>) -> Reply<Admin> {
    let AdminMake { email, permits, password } = body;
    Ok(Yes(admin(admins::make(&at.app, &at.actor, &email, set(permits), &Password::new(password)).await?)))
}

async fn show(at: AtAdmin, Named(id): Named<AdminId>) -> Reply<Admin> {
    Ok(Yes(admin(admins::get(&at.app, &at.actor, id).await?)))
}

async fn permits(at: AtAdmin, Named(id): Named<AdminId>, Body(body): Body<AdminPermits>) -> Reply<Admin> {
    change(at, id, AdminEvent::Permits(set(body.permits))).await
}

async fn disable(at: AtAdmin, Named(id): Named<AdminId>) -> Reply<Admin> {
    change(at, id, AdminEvent::Disable).await
}

async fn enable(at: AtAdmin, Named(id): Named<AdminId>) -> Reply<Admin> {
    change(at, id, AdminEvent::Enable).await
}

async fn remove(at: AtAdmin, Named(id): Named<AdminId>) -> Reply<Admin> {
    Ok(Yes(admin(admins::remove(&at.app, &at.actor, id).await?)))
}

async fn change(at: AtAdmin, id: AdminId, event: AdminEvent) -> Reply<Admin> {
    Ok(Yes(admin(admins::change(&at.app, &at.actor, id, event).await?)))
}

fn set(words: Vec<PermitWord>) -> Permits {
    words.into_iter().map(|permit| permit.0).collect()
}

fn admin(view: AdminView) -> Admin {
    Admin {
        admin: Text(view.id),
        email: view.email,
        state: if view.disabled_at.is_some() { "disabled" } else { "active" }.to_owned(),
        permits: view.permits.iter().map(PermitWord).collect(),
        created_at_ms: view.created_at.as_ms(),
        disabled_at_ms: view.disabled_at.map(Timestamp::as_ms),
    }
}
