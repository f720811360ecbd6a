//! Users: added, listed, given passwords, and recognised by them. Refuses to say whether an address has an account
//! to who has not proved to be its user.

mod sign_in;

pub use sign_in::Lockout;
pub(crate) use sign_in::sign_in;

use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::page::{Page, PageAsk, part};
use crate::password::{self, Password};
use crate::{AdminActor, App, AppError, passwords};
use base::{ProfileId, Timestamp, UserId};
use control::password::PasswordPolicy;
use control::{Permit, Refusal, UserEvent, UserState, user};
use db::{Tx, UserListRow, UserRow};

pub use db::UserFilter;

/// The longest address: what mail systems take.
const EMAIL_BYTES_MAX: usize = 254;

/// A user as an admin sees one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserView {
    /// Who.
    pub id: UserId,
    /// The address.
    pub email: String,
    /// Where the user stands.
    pub state: UserState,
    /// How many records the user has that count as devices.
    pub devices: u64,
    /// When the user was added.
    pub created_at: Timestamp,
    /// The profile that the user was given.
    pub profile: Option<ProfileId>,
    /// When a deleted user may be purged.
    pub purge_after: Option<Timestamp>,
    /// Where wrong passwords have locked the user's address; empty in a list.
    pub lockouts: Vec<Lockout>,
}

/// Adds a user. Without a password, only links, tickets and tokens work for the user.
///
/// # Errors
/// `email_invalid`, `user_exists`; `password_too_short`, `password_too_long`; `not_permitted`.
pub async fn add(
    app: &App,
    actor: &AdminActor,
    email: &str,
    password: Option<&Password>,
) -> Result<UserView, AppError> {
    actor.need(Permit::UserManage)?;
    let email = email_parse(email)?;
    let password_hash = match password {
        Some(password) => {
            policy(app).await?.accepts(password.expose())?;
            password::hash(app, password).await?
        }
        None => String::new(),
    };
    let now = app.clock.now();
    let user = new(app, now, email.clone(), password_hash);
    let id = user.id;
    let during = || AppError::db("adding a user");
    let mut tx = app.db.write().await.map_err(during())?;
    if db::user_get_by_email(&mut tx, &email).await.map_err(during())?.is_some() {
        return Err(AppError::conflict(
            "user_exists",
            format!("There is a user {email} already: `user show {email}`."),
        ));
    }
    db::user_insert(&mut tx, &user).await.map_err(during())?;
    if !user.password_hash.is_empty() {
        db::user_password_update(&mut tx, id, &user.password_hash, now).await.map_err(during())?;
    }
    let added = listed(&mut tx, id).await?;
    let deed = Deed { action: "user_add", subject: id.to_string(), ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    Ok(added)
}

/// The users that fit, by address.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave; the database does not answer.
pub async fn page(
    app: &App,
    actor: &AdminActor,
    filter: &UserFilter,
    ask: &PageAsk,
) -> Result<Page<UserView>, AppError> {
    actor.need(Permit::UserRead)?;
    let after = match ask.key::<1>()? {
        Some([email]) => part(String::from_utf8(email).ok())?,
        None => String::new(),
    };
    let during = || AppError::db("listing users");
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = db::user_page_list(&mut tx, filter, &after, ask.rows()).await.map_err(during())?;
    Ok(ask.page(rows, |row| [row.user.email.clone().into_bytes()], view))
}

/// One user.
///
/// # Errors
/// `user_unknown`; `not_permitted`.
pub async fn get(app: &App, actor: &AdminActor, id: UserId) -> Result<UserView, AppError> {
    actor.need(Permit::UserRead)?;
    let mut tx = app.db.read().await.map_err(AppError::db("reading a user"))?;
    let user = listed(&mut tx, id).await?;
    let lockouts = sign_in::lockouts(&mut tx, app.clock.now(), &user.email).await?;
    Ok(UserView { lockouts, ..user })
}

/// Puts an admin's event to a user; `unlock` ends what wrong passwords have locked, too. What it means for the user's
/// devices holds at once, for requests under way too.
///
/// # Errors
/// `user_unknown`; `user_state_same`, `user_wrong_state`; `not_permitted`.
pub async fn change(app: &App, actor: &AdminActor, id: UserId, event: UserEvent) -> Result<UserView, AppError> {
    actor.need(Permit::UserManage)?;
    let now = app.clock.now();
    let during = || AppError::db("changing a user");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = db::user_listed_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| AppError::user_unknown(id))?;
    let before = row.user.state;
    let standing = user::Standing { state: before, was: row.was, purge_after: row.purge_after };
    let lifted = event == UserEvent::Unlock && sign_in::lift(&mut tx, now, &row.user.email).await?;
    let state = match user::step(now, standing, event) {
        Err(Refusal::UserStateSame { .. }) if lifted => before,
        stepped => stepped?,
    };
    let deleted = state == UserState::Deleted;
    let purge_after = deleted.then(|| now + app.config.device_undelete);
    db::user_state_update(&mut tx, id, state, deleted.then_some(before), purge_after).await.map_err(during())?;
    let devices = db::device_list_by_user(&mut tx, id).await.map_err(during())?;
    let changed = listed(&mut tx, id).await?;
    let lifted = if lifted { ", and its wrong passwords are forgotten" } else { "" };
    let (action, detail) = (format!("user_{}", event.word()), format!("{before} to {state}{lifted}"));
    let deed = Deed { action: &action, subject: id.to_string(), detail, ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    // ORDER: said after the commit, or a request in between would remember the old state.
    for device in devices {
        app.states.changed(device.id);
    }
    Ok(changed)
}

/// Gives a user another local password, also one that the user had before, and ends links and a lock-out.
///
/// # Errors
/// `user_unknown`; `password_too_short`, `password_too_long`; `not_permitted`.
pub async fn password_set(
    app: &App,
    actor: &AdminActor,
    id: UserId,
    password: &Password,
) -> Result<UserView, AppError> {
    actor.need(Permit::UserManage)?;
    let during = || AppError::db("setting a password");
    let mut tx = app.db.read().await.map_err(during())?;
    let policy = passwords::policy_now(&mut tx).await?;
    policy.accepts(password.expose())?;
    drop(tx);
    let password_hash = password::hash(app, password).await?;
    let now = app.clock.now();
    let mut tx = app.db.write().await.map_err(during())?;
    let user = db::user_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| AppError::user_unknown(id))?;
    passwords::replace(&mut tx, now, &policy, &user, &password_hash).await?;
    let changed = listed(&mut tx, id).await?;
    let deed = Deed { action: "user_password_set", subject: id.to_string(), ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    Ok(changed)
}

/// A new user of the only repository there is. Never fails.
pub(crate) fn new(app: &App, now: Timestamp, email: String, password_hash: String) -> UserRow {
    let repository = app.keys.repositories().first().expect("`App::open` refuses a database without one").seq;
    let id = UserId::mint(app.entropy.as_ref());
    UserRow { id, email, state: UserState::Active, repository, password_hash, created_at: now }
}

/// The user with this address, which is in lower case.
///
/// # Errors
/// `user_unknown`; the database does not answer.
pub(crate) async fn by_email(tx: &mut Tx, email: &str) -> Result<UserRow, AppError> {
    let user = db::user_get_by_email(tx, email).await.map_err(AppError::db("reading a user"))?;
    user.ok_or_else(|| AppError::not_found("user_unknown", there_is_no(format_args!("user {email}"), "user list")))
}

async fn policy(app: &App) -> Result<PasswordPolicy, AppError> {
    passwords::policy_now(&mut app.db.read().await.map_err(AppError::db("reading settings"))?).await
}

/// The address as it is stored: without space around it, in lower case.
///
/// # Errors
/// `email_invalid`: not one `@` with something on both sides, spaces or control characters, over 254 bytes.
pub fn email_parse(text: &str) -> Result<String, AppError> {
    let email = normal(text);
    let sides = email.split_once('@').filter(|(name, domain)| !name.is_empty() && !domain.is_empty());
    let plain = !email.chars().any(|c| c.is_whitespace() || c.is_control()) && email.matches('@').count() == 1;
    if sides.is_none() || !plain || email.len() > EMAIL_BYTES_MAX {
        let shown = text.escape_debug();
        return Err(AppError::invalid(
            "email_invalid",
            format!("\"{shown}\" is not an e-mail address: write one like anna@example.org."),
        ));
    }
    Ok(email)
}

/// The digest under which wrong passwords for an address are remembered. Never fails.
pub(crate) fn address_digest(email: &str) -> [u8; 32] {
    blake3::derive_key("holdfast 2026 v1 sign-in address", normal(email).as_bytes())
}

/// The user that an admin names by address or identifier.
///
/// # Errors
/// `user_unknown`; the database does not answer.
pub(crate) async fn named(tx: &mut Tx, text: &str) -> Result<UserId, AppError> {
    let during = || AppError::db("looking for a user");
    let user = match text.parse() {
        Ok(id) => db::user_get(tx, id).await,
        Err(_) => db::user_get_by_email(tx, &normal(text)).await,
    };
    let shown = text.escape_debug();
    let unknown = || AppError::not_found("user_unknown", there_is_no(format_args!("user \"{shown}\""), "user list"));
    Ok(user.map_err(during())?.ok_or_else(unknown)?.id)
}

async fn listed(tx: &mut Tx, id: UserId) -> Result<UserView, AppError> {
    let row = db::user_listed_get(tx, id).await.map_err(AppError::db("reading a user"))?;
    row.map(view).ok_or_else(|| AppError::user_unknown(id))
}

fn view(row: UserListRow) -> UserView {
    let UserListRow { user: UserRow { id, email, state, created_at, .. }, profile, was: _, purge_after, devices } = row;
    UserView { id, email, state, devices, created_at, profile, purge_after, lockouts: Vec::new() }
}

fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}
