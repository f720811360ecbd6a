//! `/api/v1/credentials`. The text of a credential is in the answer that makes it, and nowhere else.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask, time};
use crate::admin::{Entry, get, post};
use crate::reply::{Reply, Yes};
use app::credentials::{self, CredentialNew, CredentialView};
use base::{CredentialId, Timestamp};
use control::Permit;
use protocol::Text;
use protocol::admin::credential::{Credential, CredentialMade, CredentialMake, PermitWord};
use protocol::admin::{Page, PageQuery};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::CredentialManage;
    vec![
        get("credential_list", "/api/v1/credentials", CredentialManage,
            "Credentials of the admin API, those that have ended included.", list),
        post("credential_make", "/api/v1/credentials", CredentialManage,
            "Make a credential; its text is shown in this answer and never again.", make),
        get("credential_show", "/api/v1/credentials/{credential}", CredentialManage, "One credential.", show),
        post("credential_revoke", "/api/v1/credentials/{credential}/revoke", CredentialManage,
            "End a credential at once.", revoke),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<Credential>> {
    let page = credentials::page(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(credential).collect(), next: page.next }))
}

async fn make(at: AtAdmin, Body(body): Body<CredentialMake>) -> Reply<CredentialMade> {
    let CredentialMake { name, permits, all, expires_at_ms } = body;
    let permits = permits.into_iter().map(|permit| permit.0).collect();
    let new = CredentialNew { name, permits, all, expires_at: time(expires_at_ms) };
    let (made, text) = credentials::make(&at.app, &at.actor, new).await?;
    Ok(Yes(CredentialMade { credential: credential(made), text: text.expose().to_owned() }))
}

async fn show(at: AtAdmin, Named(id): Named<CredentialId>) -> Reply<Credential> {
    Ok(Yes(credential(credentials::get(&at.app, &at.actor, id).await?)))
}

async fn revoke(at: AtAdmin, Named(id): Named<CredentialId>) -> Reply<Credential> {
    Ok(Yes(credential(credentials::revoke(&at.app, &at.actor, id).await?)))
}

fn credential(view: CredentialView) -> Credential {
    Credential {
        credential: Text(view.id),
        name: view.name,
        prefix: view.prefix,
        permits: view.permits.iter().map(PermitWord).collect(),
        expires_at_ms: view.expires_at.map(Timestamp::as_ms),
        revoked_at_ms: view.revoked_at.map(Timestamp::as_ms),
        created_at_ms: view.created_at.as_ms(),
        created_by: view.created_by,
        last_used_at_ms: view.last_used_at.map(Timestamp::as_ms),
        last_source: view.last_source,
    }
}
