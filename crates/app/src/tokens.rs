//! Deployment tokens: made, listed, revoked, and found by their text. Refuses to show a text twice: it is kept as a
//! hash. Rules: docs/control.md, "Tokens".

mod hours;
pub(crate) mod refused;
pub(crate) mod whose;

use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::page::{self, Page, PageAsk};
use crate::secret_text::SecretText;
use crate::{AdminActor, App, AppError, policy};
use base::{Count, ProfileId, Timestamp, TokenId};
use control::token::{LISTED_MAX, NAME_BYTES_MAX, Networks, Terms, domain};
use control::{Permit, Refusal};
use db::{PageKey, PolicySubject, Tx};

pub use db::TokenRow;

/// What a token's text begins with.
pub const TOKEN_PREFIX: &str = "hft2_";
/// What the legacy token's text begins with.
pub const LEGACY_PREFIX: &str = "hft1_";
const TOKEN_CONTEXT: &str = "holdfast 2026 v1 deployment token";

/// What an admin asks of a new token.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// What to call it.
    pub name: String,
    /// The profile whose users it serves, and that those whom it creates get; `None` is every user.
    pub profile: Option<ProfileId>,
    /// Networks in CIDR form; none is everywhere.
    pub networks: Vec<String>,
    /// Hours of the week at which it may be used, `mon-fri 08:00-18:00`; empty is at all.
    pub hours: String,
    /// The time zone in which they are meant, by its IANA name; empty is UTC.
    pub hours_zone: String,
    /// Mail domains at which an account of the operating system may name the user.
    pub domains: Vec<String>,
    /// Whether such a user is added who is not there yet.
    pub create_users: bool,
    /// How often it may be used; `None` is without end.
    pub uses_max: Option<Count>,
    /// How often in one minute; `None` is without end.
    pub rate_per_minute: Option<Count>,
    /// When it ends; `None` is never.
    pub expires_at: Option<Timestamp>,
}

/// A token that was made. Its text is shown now and never again.
#[derive(Clone, Debug)]
pub struct Made {
    /// Which.
    pub token: TokenRow,
    /// Its text.
    pub text: SecretText,
}

/// Makes a token.
///
/// # Errors
/// `token_wish_invalid` with what is wrong; `name_taken` while a good token has this name; `profile_unknown`;
/// `not_permitted`.
pub async fn make(app: &App, actor: &AdminActor, wish: &Wish) -> Result<Made, AppError> {
    actor.need(Permit::TokenManage)?;
    let now = app.clock.now();
    let token = row(app, actor, now, wish)?;
    let text = SecretText::mint(TOKEN_PREFIX, app.entropy.as_ref());
    keep(app, actor, now, token, text, "token_make").await
}

/// Makes the organisation's legacy token; the one before is revoked. `domains` and `create_users` as of any token: its
/// installers say nothing of the user but the account that they run as.
///
/// # Errors
/// `token_wish_invalid` with what is wrong; `not_permitted`; the database does not answer.
pub async fn legacy_make(
    app: &App,
    actor: &AdminActor,
    domains: &[String],
    create_users: bool,
) -> Result<Made, AppError> {
    actor.need(Permit::TokenManage)?;
    let now = app.clock.now();
    let wish = Wish { name: "legacy".to_owned(), domains: domains.to_vec(), create_users, ..Wish::default() };
    let token = TokenRow { version: 1, ..row(app, actor, now, &wish)? };
    let text = SecretText::mint(LEGACY_PREFIX, app.entropy.as_ref());
    keep(app, actor, now, token, text, "token_legacy_make").await
}

/// The legacy token that is good, if there is one.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn legacy_get(app: &App, actor: &AdminActor) -> Result<Option<TokenRow>, AppError> {
    actor.need(Permit::TokenRead)?;
    let during = || AppError::db("reading the legacy token");
    let mut tx = app.db.read().await.map_err(during())?;
    db::token_legacy_get(&mut tx).await.map_err(during())
}

/// One token.
///
/// # Errors
/// `token_unknown`; `not_permitted`.
pub async fn get(app: &App, actor: &AdminActor, id: TokenId) -> Result<TokenRow, AppError> {
    actor.need(Permit::TokenRead)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading a token"))?;
    by_id(&mut tx, id).await
}

/// The tokens, the oldest first.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn page(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<TokenRow>, AppError> {
    actor.need(Permit::TokenRead)?;
    let during = || AppError::db("listing tokens");
    let after = page::timed(ask, PageKey::FIRST)?;
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::token_list(&mut tx, after, Count(ask.rows().into())).await.map_err(during())?;
    Ok(ask.page(rows, |row| page::timed_parts(row.created_at, row.id.as_bytes()), |row| row))
}

/// Revokes a token: nothing happens to what it has activated.
///
/// # Errors
/// `token_unknown`; `token_ended` when it was revoked before; `not_permitted`.
pub async fn revoke(app: &App, actor: &AdminActor, id: TokenId) -> Result<TokenRow, AppError> {
    actor.need(Permit::TokenManage)?;
    let now = app.clock.now();
    let during = || AppError::db("revoking a token");
    let mut tx = app.db.write().await.map_err(during())?;
    by_id(&mut tx, id).await?;
    if !db::token_revoked_update(&mut tx, id, now).await.map_err(during())? {
        return Err(AppError::conflict(
            "token_ended",
            "The token was revoked before; nothing was changed. `token make` makes another.",
        ));
    }
    changed(tx, actor, now, id, "token_revoke").await
}

/// Ends a token now, as if its time were over.
///
/// # Errors
/// `token_unknown`; `token_ended` when it was revoked or has expired before; `not_permitted`.
pub async fn expire(app: &App, actor: &AdminActor, id: TokenId) -> Result<TokenRow, AppError> {
    actor.need(Permit::TokenManage)?;
    let now = app.clock.now();
    let during = || AppError::db("ending a token");
    let mut tx = app.db.write().await.map_err(during())?;
    let token = by_id(&mut tx, id).await?;
    if token.revoked_at.is_some() || token.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(AppError::conflict(
            "token_ended",
            "The token was revoked or has expired before; nothing was changed.",
        ));
    }
    db::token_expiry_update(&mut tx, id, Some(now)).await.map_err(during())?;
    changed(tx, actor, now, id, "token_expire").await
}

/// The token with this text, good or not; `None` when there is none.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn find(tx: &mut Tx, text: &SecretText) -> Result<Option<TokenRow>, AppError> {
    let hash = text.hash(TOKEN_PREFIX, TOKEN_CONTEXT).or_else(|| text.hash(LEGACY_PREFIX, TOKEN_CONTEXT));
    let Some(hash) = hash else { return Ok(None) };
    db::token_get_by_hash(tx, &hash).await.map_err(AppError::db("looking for a token"))
}

/// What decides whether it may be used. A network, hours or a time zone that this server does not understand admit
/// nobody.
///
/// # Errors
/// `token_network`, `token_hours`.
pub(crate) fn terms(token: &TokenRow, now: Timestamp) -> Result<Terms, Refusal> {
    let networks = Networks::parse(token.networks.iter().map(String::as_str)).map_err(|_| Refusal::TokenNetwork)?;
    Ok(Terms {
        expires_at: token.expires_at,
        revoked_at: token.revoked_at,
        uses_max: token.uses_max,
        uses: token.uses,
        networks,
        hours: hours::now(token, now)?,
        rate_per_minute: token.rate_per_minute,
    })
}

/// The row of a new token, when what is asked for makes sense.
fn row(app: &App, actor: &AdminActor, now: Timestamp, wish: &Wish) -> Result<TokenRow, AppError> {
    let wrong = |sentence: String| AppError::invalid("token_wish_invalid", sentence);
    let name = wish.name.trim();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(wrong(format!("A token needs a name of one line and at most {NAME_BYTES_MAX} bytes.")));
    }
    if [wish.networks.len(), wish.domains.len()].iter().any(|listed| *listed as u64 > LISTED_MAX.0) {
        return Err(wrong(format!("A token lists at most {LISTED_MAX} networks and as many domains.")));
    }
    let networks = Networks::parse(wish.networks.iter().map(String::as_str));
    let networks = networks.map_err(|text| wrong(format!("\"{}\" is no network.", text.escape_debug())))?.texts();
    let (hours, hours_zone) = hours::wished(&wish.hours, &wish.hours_zone).map_err(wrong)?;
    let parsed = |text: &String| domain(text).ok_or_else(|| format!("\"{}\" is no domain.", text.escape_debug()));
    let domains: Vec<String> = wish.domains.iter().map(parsed).collect::<Result<_, _>>().map_err(wrong)?;
    if wish.create_users && domains.len() != 1 {
        return Err(wrong("A token that creates users lists one mail domain.".to_owned()));
    }
    if wish.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(wrong("The token would have ended before it is made.".to_owned()));
    }
    if [wish.uses_max, wish.rate_per_minute].contains(&Some(Count(0))) {
        return Err(wrong("A token that may never be used is of no use.".to_owned()));
    }
    Ok(TokenRow {
        id: TokenId::mint(app.entropy.as_ref()),
        version: 2,
        name: name.to_owned(),
        prefix: String::new(),
        profile: wish.profile,
        networks,
        hours,
        hours_zone,
        domains,
        create_users: wish.create_users,
        uses_max: wish.uses_max,
        rate_per_minute: wish.rate_per_minute,
        expires_at: wish.expires_at,
        revoked_at: None,
        created_at: now,
        created_by: actor.to_string(),
        uses: Count(0),
        last_used_at: None,
        failures: Count(0),
        last_failure_at: None,
        last_failure: None,
    })
}

async fn keep(
    app: &App,
    actor: &AdminActor,
    now: Timestamp,
    token: TokenRow,
    text: SecretText,
    action: &str,
) -> Result<Made, AppError> {
    let prefix = if token.version == 1 { LEGACY_PREFIX } else { TOKEN_PREFIX };
    let hash = text.hash(prefix, TOKEN_CONTEXT).expect("it was minted with this prefix");
    let token = TokenRow { prefix: text.visible(prefix), ..token };
    let during = || AppError::db("making a token");
    let mut tx = app.db.write().await.map_err(during())?;
    if token.version == 1 {
        db::token_legacy_revoked_update(&mut tx, now).await.map_err(during())?;
    }
    // The legacy token has its name from the program, and there is one.
    if token.version != 1 && db::token_named_get(&mut tx, &token.name, now).await.map_err(during())? {
        return Err(AppError::name_taken("token", &token.name, "Take another name, or revoke that one first."));
    }
    if let Some(profile) = token.profile {
        policy::subject_known(&mut tx, PolicySubject::Profile(profile)).await?;
    }
    db::token_insert(&mut tx, &token, &hash).await.map_err(during())?;
    let detail = format!("{} ({})", token.name, token.prefix);
    audit::write(&mut tx, now, Deed { action, subject: token.id.to_string(), detail, ..Deed::by(actor) }).await?;
    tx.commit().await.map_err(during())?;
    Ok(Made { token, text })
}

async fn by_id(tx: &mut Tx, id: TokenId) -> Result<TokenRow, AppError> {
    let token = db::token_get(tx, id).await.map_err(AppError::db("reading a token"))?;
    token.ok_or_else(|| AppError::not_found("token_unknown", there_is_no(format_args!("token {id}"), "token list")))
}

async fn changed(
    mut tx: Tx,
    actor: &AdminActor,
    now: Timestamp,
    id: TokenId,
    action: &str,
) -> Result<TokenRow, AppError> {
    let token = by_id(&mut tx, id).await?;
    let detail = format!("{} ({})", token.name, token.prefix);
    audit::write(&mut tx, now, Deed { action, subject: id.to_string(), detail, ..Deed::by(actor) }).await?;
    tx.commit().await.map_err(AppError::db("changing a token"))?;
    Ok(token)
}
