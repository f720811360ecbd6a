//! `/api/v1/tokens` and `/api/v1/legacy-token`. Refuses to show a token's text but in the answer that makes it.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask, time};
use crate::admin::{Entry, get, post};
use crate::reply::{Reply, Yes};
use app::tokens::{self, Made, TokenRow, Wish};
use base::{Count, Timestamp, TokenId};
use control::Permit;
use protocol::Text;
use protocol::admin::token::{LegacyToken, LegacyTokenMake, Token, TokenMade, TokenMake};
use protocol::admin::{Page, PageQuery};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{TokenManage, TokenRead};
    vec![
        get("token_list", "/api/v1/tokens", TokenRead, "Deployment tokens, the oldest first.", list),
        post("token_make", "/api/v1/tokens", TokenManage, "Make a deployment token; its text is shown once.", make),
        get("token_show", "/api/v1/tokens/{token}", TokenRead, "One deployment token.", show),
        post("token_revoke", "/api/v1/tokens/{token}/revoke", TokenManage,
            "Refuse a token from now on; what it has activated stays.", revoke),
        post("token_expire", "/api/v1/tokens/{token}/expire", TokenManage,
            "End a token as if its time were over.", expire),
        get("legacy_token_show", "/api/v1/legacy-token", TokenRead, "The organisation's legacy token.", legacy_show),
        post("legacy_token_make", "/api/v1/legacy-token", TokenManage,
            "Make a new legacy token; the one before is revoked.", legacy_make),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<Token>> {
    let page = tokens::page(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(token).collect(), next: page.next }))
}

async fn make(at: AtAdmin, Body(body): Body<TokenMake>) -> Reply<TokenMade> {
    let TokenMake { name, networks, domains, create_users, .. } = body;
    let wish = Wish {
        name,
        profile: body.profile.map(|profile| profile.0),
        networks,
        hours: body.hours.unwrap_or_default(),
        hours_zone: body.hours_zone.unwrap_or_default(),
        domains,
        create_users,
        uses_max: body.uses_max.map(Count),
        rate_per_minute: body.rate_per_minute.map(Count),
        expires_at: time(body.expires_at_ms),
    };
    Ok(Yes(made(tokens::make(&at.app, &at.actor, &wish).await?)))
}

async fn show(at: AtAdmin, Named(id): Named<TokenId>) -> Reply<Token> {
    Ok(Yes(token(tokens::get(&at.app, &at.actor, id).await?)))
}

async fn revoke(at: AtAdmin, Named(id): Named<TokenId>) -> Reply<Token> {
    Ok(Yes(token(tokens::revoke(&at.app, &at.actor, id).await?)))
}

async fn expire(at: AtAdmin, Named(id): Named<TokenId>) -> Reply<Token> {
    Ok(Yes(token(tokens::expire(&at.app, &at.actor, id).await?)))
}

async fn legacy_show(at: AtAdmin) -> Reply<LegacyToken> {
    Ok(Yes(LegacyToken { token: tokens::legacy_get(&at.app, &at.actor).await?.map(token) }))
}

async fn legacy_make(at: AtAdmin, Body(body): Body<LegacyTokenMake>) -> Reply<TokenMade> {
    let LegacyTokenMake { domains, create_users } = body;
    Ok(Yes(made(tokens::legacy_make(&at.app, &at.actor, &domains, create_users).await?)))
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn made(made: Made) -> TokenMade {
    TokenMade { token: token(made.token), text: made.text.expose().to_owned() }
}

fn token(row: TokenRow) -> Token {
    Token {
        token: Text(row.id),
        version: row.version,
        name: row.name,
        prefix: row.prefix,
        profile: row.profile.map(Text),
        networks: row.networks,
        hours: some(row.hours),
        hours_zone: some(row.hours_zone),
        domains: row.domains,
        create_users: row.create_users,
        uses_max: row.uses_max.map(|count| count.0),
        rate_per_minute: row.rate_per_minute.map(|count| count.0),
        expires_at_ms: row.expires_at.map(Timestamp::as_ms),
        revoked_at_ms: row.revoked_at.map(Timestamp::as_ms),
        created_at_ms: row.created_at.as_ms(),
        created_by: row.created_by,
        uses: row.uses.0,
        last_used_at_ms: row.last_used_at.map(Timestamp::as_ms),
        failures: row.failures.0,
        last_failure_at_ms: row.last_failure_at.map(Timestamp::as_ms),
        last_failure: row.last_failure,
    }
}
