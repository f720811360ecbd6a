//! Whose computer it is that comes with a deployment token. Refuses a guess: one user, or nobody.
//! Rules: docs/control.md, "Tokens".

use crate::activation::Activation;
use crate::audit::{self, Deed};
use crate::{App, AppError, identity, users};
use base::{DeviceId, Timestamp};
use control::device_map::Key;
use control::token::addresses;
use control::{Proof, Refusal};
use db::{MapRow, TokenRow, Tx, UserRow};

/// Whose computer it is, and the row of the device map that says so.
pub(crate) struct Whose {
    pub(crate) user: UserRow,
    pub(crate) map_row: Option<MapRow>,
}

/// The address that the directory gives for the account of the operating system; not asked when the device map knows.
/// Not to be called with a transaction open.
///
/// # Errors
/// The directory or the database does not answer.
pub(crate) async fn from_directory(app: &App, activation: &Activation) -> Result<Option<String>, AppError> {
    let Some(directory) = &app.identity.directory else { return Ok(None) };
    let (domain, user) = identity::os_user(&activation.about.os_user);
    if user.is_empty() {
        return Ok(None);
    }
    directory.find_by_os_user(domain, user).await
}

/// Whose computer it is: of the device map, of the old key's record, of the directory, of the account.
///
/// # Errors
/// `user_unknown_to_token`, `token_user_ambiguous`, `token_profile`; the database does not answer.
pub(crate) async fn find(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    activation: &Activation,
    token: &TokenRow,
    old_key: Option<DeviceId>,
    directory: Option<&str>,
) -> Result<Whose, AppError> {
    let found = by_anything(app, tx, now, activation, token, old_key, directory).await?;
    let Some(profile) = token.profile else { return Ok(found) };
    let has = db::profile_get_by_user(tx, found.user.id).await.map_err(AppError::db("reading a user's profile"))?;
    match has.is_some_and(|has| has.id == profile) {
        true => Ok(found),
        false => Err(Refusal::TokenProfile.into()),
    }
}

async fn by_anything(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    activation: &Activation,
    token: &TokenRow,
    old_key: Option<DeviceId>,
    directory: Option<&str>,
) -> Result<Whose, AppError> {
    let during = || AppError::db("looking for the user of a computer");
    if let Some(map_row) = map_row(tx, activation).await? {
        let user = db::user_get(tx, map_row.user).await.map_err(during())?;
        let user = user.ok_or(Refusal::UserUnknownToToken)?;
        return Ok(Whose { user, map_row: Some(map_row) });
    }
    if let Some(device) = old_key
        && let Some(record) = db::device_get(tx, device).await.map_err(during())?
        && let Some(user) = db::user_get(tx, record.user).await.map_err(during())?
    {
        return Ok(Whose { user, map_row: None });
    }
    if let Some(email) = directory {
        let email = users::email_parse(email).map_err(|_| Refusal::UserUnknownToToken)?;
        if let Some(user) = db::user_get_by_email(tx, &email).await.map_err(during())? {
            return Ok(Whose { user, map_row: None });
        }
    }
    let user = by_account(app, tx, now, activation, token).await?;
    Ok(Whose { user, map_row: None })
}

/// The open row for this machine, by its strongest number.
async fn map_row(tx: &mut Tx, activation: &Activation) -> Result<Option<MapRow>, AppError> {
    let row = db::device_map_open_get(tx, &Key::of(&activation.evidence())).await;
    row.map_err(AppError::db("looking into the device map"))
}

async fn by_account(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    activation: &Activation,
    token: &TokenRow,
) -> Result<UserRow, AppError> {
    let during = || AppError::db("looking for the user of an account");
    let addresses = addresses(&activation.email, &activation.about.os_user, &token.domains);
    let mut found = Vec::new();
    for email in &addresses {
        found.extend(db::user_get_by_email(tx, email).await.map_err(during())?);
    }
    match (found.len(), addresses.as_slice()) {
        (1, _) => Ok(found.remove(0)),
        (0, [email]) if token.create_users => create(app, tx, now, activation, token, email).await,
        (0, _) => Err(Refusal::UserUnknownToToken.into()),
        (_, _) => Err(Refusal::TokenUserAmbiguous.into()),
    }
}

async fn create(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    activation: &Activation,
    token: &TokenRow,
    email: &str,
) -> Result<UserRow, AppError> {
    let during = || AppError::db("adding a user");
    let email = users::email_parse(email).map_err(|_| Refusal::UserUnknownToToken)?;
    let user = users::new(app, now, email, String::new());
    db::user_insert(tx, &user).await.map_err(during())?;
    if let Some(profile) = token.profile {
        db::user_profile_update(tx, user.id, profile, 1).await.map_err(during())?;
    }
    let (actor, source) = (format!("token {}", token.id), activation.source_text());
    let profile = match token.profile {
        Some(profile) => format!("profile {profile}"),
        None => "the default profile".to_owned(),
    };
    let detail = format!("{profile}, as the token {} gives", token.prefix);
    let deed = Deed { actor, action: "user_add", subject: user.id.to_string(), detail, source, ..Deed::default() };
    audit::write(tx, now, Deed { proof: Proof::Token.word().to_owned(), ..deed }).await?;
    Ok(user)
}
