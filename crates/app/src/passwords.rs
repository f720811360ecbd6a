//! What the organisation asks of passwords, links by which users set them, and the passwords that they had before.
//! Refuses to let a link tell what is wrong with it: unknown, used, replaced and expired cost and say the same.

use crate::audit::{self, Deed};
use crate::mail::{self, Draft, Values};
use crate::password::{self, Password};
use crate::rates;
use crate::secret_text::SecretText;
use crate::users::address_digest;
use crate::{AdminActor, App, AppError};
use base::{Count, Timestamp, UserId};
use control::attempts::Attempt;
use control::password::{PasswordPolicy, PasswordSetting, RESET_LINK_SPAN, SET_LINK_SPAN};
use control::{Permit, Refusal, UserState};
use data_encoding::HEXLOWER;
use db::{PasswordLinkRow, SettingRow, Tx, UserRow};
use std::net::IpAddr;

/// What a link's text begins with.
pub const LINK_PREFIX: &str = "hfl1_";
/// Where the page is that takes links.
pub const LINK_PAGE: &str = "/password";
const LINK_CONTEXT: &str = "holdfast 2026 v1 password link";

/// What a link is for. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It sets the first password of a user.
    Set,
    /// It sets another one.
    Reset,
}

/// A link that was made.
#[derive(Clone, Debug)]
pub struct Link {
    /// Whose password it sets.
    pub email: String,
    /// How it reaches the user.
    pub way: LinkWay,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// How a link reaches its user: one way, so that nobody holds it beside the user without having asked for it.
#[derive(Clone, Debug)]
pub enum LinkWay {
    /// A message with it is queued.
    Mailed,
    /// It is shown now, and never again.
    Shown {
        /// The address of the page, or the link's bare text where the server does not know its own address.
        link: SecretText,
        /// Why it was not mailed.
        why: Unmailed,
    },
}

/// Why something that lets a user in is shown to the admin. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmailed {
    /// The admin has asked for it.
    Asked,
    /// No mail server is set.
    MailOff,
    /// `server.public_url` is not set: there is no address to send.
    NoAddress,
}

impl Unmailed {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Unmailed::Asked => "asked",
            Unmailed::MailOff => "mail_off",
            Unmailed::NoAddress => "no_address",
        }
    }
}

impl Purpose {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Purpose::Set => "set",
            Purpose::Reset => "reset",
        }
    }

    const fn template(self) -> &'static str {
        match self {
            Purpose::Set => "password_set",
            Purpose::Reset => "password_reset",
        }
    }
}

/// Makes a link for a user; the older ones end. It is mailed to the user, unless the admin wants to see it (`show`) or
/// it cannot be: then it is in the answer.
///
/// # Errors
/// `user_unknown`; `user_not_active` for one who is deleted; `not_permitted`.
pub async fn link_make(
    app: &App,
    actor: &AdminActor,
    id: UserId,
    purpose: Purpose,
    show: bool,
) -> Result<Link, AppError> {
    actor.need(Permit::UserManage)?;
    let now = app.clock.now();
    let during = || AppError::db("making a password link");
    let mut tx = app.db.write().await.map_err(during())?;
    let user = db::user_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| AppError::user_unknown(id))?;
    let email = user.email.clone();
    if matches!(user.state, UserState::Deleted | UserState::Purged) {
        return Err(Refusal::UserNotActive.into());
    }
    let expires_at = now
        + match purpose {
            Purpose::Set => SET_LINK_SPAN,
            Purpose::Reset => RESET_LINK_SPAN,
        };
    let text = SecretText::mint(LINK_PREFIX, app.entropy.as_ref());
    let hash = text.hash(LINK_PREFIX, LINK_CONTEXT).expect("it was minted with this prefix");
    let row = PasswordLinkRow {
        user: user.id,
        purpose: purpose.word().to_owned(),
        expires_at,
        used_at: None,
        created_at: now,
        created_by: actor.to_string(),
    };
    db::password_link_used_update_by_user(&mut tx, user.id, now).await.map_err(during())?;
    db::password_link_insert(&mut tx, &hash, &row).await.map_err(during())?;
    let way = match (show, app.mailer.is_some(), app.config.public_url()) {
        (false, true, Some(url)) => {
            let link = page(url, &text);
            let values = Values::new().with("link", link.expose()).with("deadline", &mail::date(expires_at));
            let occasion = format!("link:{id}:{}", HEXLOWER.encode(&hash[..8]));
            let (recipient, template, until) = (email.as_str(), purpose.template(), Some(expires_at));
            mail::queue(app, &mut tx, now, Draft { occasion, recipient, template, values, until }).await?;
            LinkWay::Mailed
        }
        (true, _, url) => {
            LinkWay::Shown { link: url.map_or(text.clone(), |url| page(url, &text)), why: Unmailed::Asked }
        }
        (false, false, url) => {
            LinkWay::Shown { link: url.map_or(text.clone(), |url| page(url, &text)), why: Unmailed::MailOff }
        }
        (false, true, None) => LinkWay::Shown { link: text, why: Unmailed::NoAddress },
    };
    let detail = match &way {
        LinkWay::Mailed => format!("{}, mailed", purpose.word()),
        LinkWay::Shown { .. } => format!("{}, shown", purpose.word()),
    };
    let deed = Deed { action: "user_link_make", subject: user.id.to_string(), detail, ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    Ok(Link { email, way, expires_at })
}

/// The address of the page for this link. The text follows `#`, so that it is in no log of any server on the way.
fn page(url: &str, text: &SecretText) -> SecretText {
    SecretText::new(format!("{url}{LINK_PAGE}#{}", text.expose()))
}

/// Sets the password of the user that a link was made for. The answer is the user's address.
///
/// # Errors
/// `link_invalid` for every link that is not good, after the same work; `password_too_short`, `password_too_long`,
/// `password_reused`; `too_many_requests`; `server_busy`.
pub async fn link_use(app: &App, source: IpAddr, link: &SecretText, password: &Password) -> Result<String, AppError> {
    let during = || AppError::db("using a password link");
    let now = app.clock.now();
    let mut tx = app.db.read().await.map_err(during())?;
    rates::may_try(&mut tx, now, Attempt::Link, source).await?;
    let policy = policy_now(&mut tx).await?;
    // Looked up whether or not it can be one of ours, so that every wrong link is the same work.
    let hash = link.hash(LINK_PREFIX, LINK_CONTEXT).unwrap_or_default();
    let user = link_user(&mut tx, &hash, now).await?;
    let old = match &user {
        Some(user) => earlier(&mut tx, &policy, user).await?,
        None => Vec::new(),
    };
    drop(tx);
    policy.accepts(password.expose())?;
    let password_hash = password::hash(app, password).await?;
    let Some(user) = user else {
        return rates::wrong_said(app, Attempt::Link, source, Refusal::LinkInvalid).await;
    };
    unused(app, &old, password).await?;
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: it may have been used or replaced while the password was hashed.
    let user = match link_user(&mut tx, &hash, now).await? {
        Some(again) if again.id == user.id => again,
        Some(_) | None => return Err(Refusal::LinkInvalid.into()),
    };
    replace(&mut tx, now, &policy, &user, &password_hash).await?;
    let (actor, source) = (format!("user {}", user.id), source.to_canonical().to_string());
    let (subject, proof) = (user.id.to_string(), "link".to_owned());
    let deed = Deed { actor, action: "user_password_set", subject, source, proof, ..Deed::default() };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    Ok(user.email)
}

/// What the organisation asks of passwords.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn policy(app: &App, actor: &AdminActor) -> Result<PasswordPolicy, AppError> {
    actor.need(Permit::SettingRead)?;
    policy_now(&mut app.db.read().await.map_err(AppError::db("reading settings"))?).await
}

/// Sets a number of that policy; `None` gives it its default back.
///
/// # Errors
/// `setting_invalid`; `not_permitted`.
pub async fn policy_set(
    app: &App,
    actor: &AdminActor,
    setting: PasswordSetting,
    value: Option<u64>,
) -> Result<PasswordPolicy, AppError> {
    actor.need(Permit::SettingManage)?;
    let word = setting.word();
    if let Some(value) = value.filter(|value| PasswordPolicy::default().with(setting, *value).is_none()) {
        let (min, max) = setting.range();
        let sentence = format!("`{word}` is a whole number from {min} to {max}, and not {value}.");
        return Err(AppError::invalid("setting_invalid", sentence));
    }
    let during = || AppError::db("changing a setting");
    let now = app.clock.now();
    let mut tx = app.db.write().await.map_err(during())?;
    match value {
        Some(value) => {
            let (key, set_by) = (word.to_owned(), actor.to_string());
            let row = SettingRow { key, value: value.to_string(), set_at: now, set_by };
            db::setting_update(&mut tx, &row).await.map_err(during())?;
        }
        None => {
            db::setting_remove(&mut tx, word).await.map_err(during())?;
        }
    }
    let detail = value.map_or("default".to_owned(), |value| value.to_string());
    audit::write(&mut tx, now, Deed { action: "setting_set", subject: word.to_owned(), detail, ..Deed::by(actor) })
        .await?;
    let policy = policy_now(&mut tx).await?;
    tx.commit().await.map_err(during())?;
    Ok(policy)
}

/// What the organisation asks of passwords now. A setting that this release does not take counts as its default.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn policy_now(tx: &mut Tx) -> Result<PasswordPolicy, AppError> {
    let rows = db::setting_list(tx).await.map_err(AppError::db("reading settings"))?;
    let set = rows.iter().filter_map(|row| Some((PasswordSetting::from_word(&row.key)?, row.value.parse().ok()?)));
    Ok(set.fold(PasswordPolicy::default(), |policy, (setting, value)| policy.with(setting, value).unwrap_or(policy)))
}

/// The hashes of the passwords that the user may not choose again: the present one first.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn earlier(tx: &mut Tx, policy: &PasswordPolicy, user: &UserRow) -> Result<Vec<String>, AppError> {
    let Some(before) = policy.reuse.0.checked_sub(1) else { return Ok(Vec::new()) };
    let mut hashes = Vec::new();
    if !user.password_hash.is_empty() {
        hashes.push(user.password_hash.clone());
    }
    let old = db::password_old_list(tx, user.id, Count(before)).await;
    hashes.extend(old.map_err(AppError::db("reading earlier passwords"))?);
    Ok(hashes)
}

/// Fails with `password_reused` when the password is behind one of these hashes.
///
/// # Errors
/// As said; `server_busy`.
async fn unused(app: &App, hashes: &[String], password: &Password) -> Result<(), AppError> {
    for hash in hashes {
        if password::verify(app, Some(hash), None, password).await? {
            return Err(Refusal::PasswordReused.into());
        }
    }
    Ok(())
}

/// Gives a user another password: the one before is remembered, links and a lock-out end.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn replace(
    tx: &mut Tx,
    now: Timestamp,
    policy: &PasswordPolicy,
    user: &UserRow,
    password_hash: &str,
) -> Result<(), AppError> {
    let during = || AppError::db("setting a password");
    if !user.password_hash.is_empty() {
        db::password_old_insert(tx, user.id, &user.password_hash, now).await.map_err(during())?;
    }
    let kept = Count(policy.reuse.0.saturating_sub(1));
    db::password_old_remove(tx, user.id, kept).await.map_err(during())?;
    db::user_password_update(tx, user.id, password_hash, now).await.map_err(during())?;
    db::password_link_used_update_by_user(tx, user.id, now).await.map_err(during())?;
    db::sign_in_failure_remove(tx, &address_digest(&user.email), None).await.map_err(during())?;
    Ok(())
}

/// The user of a link that is good now.
async fn link_user(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> Result<Option<UserRow>, AppError> {
    let during = || AppError::db("looking for a password link");
    let link = db::password_link_get(tx, hash).await.map_err(during())?;
    let user: UserId = link.as_ref().map_or(UserId::from_bytes([0; 16]), |link| link.user);
    // The user is looked up for a wrong link too: the same work.
    let user = db::user_get(tx, user).await.map_err(during())?;
    let good = link.is_some_and(|link| link.used_at.is_none() && now < link.expires_at);
    Ok(user.filter(|user| good && !matches!(user.state, UserState::Deleted | UserState::Purged)))
}
