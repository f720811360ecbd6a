//! Proves who asks, before anything is locked: passwords take their time, and directories are far away.
//! Refuses to be the last word: what was found is looked at again in the transaction that binds (`standing`).

use super::{Activation, Claim, OldKey};
use crate::counters::{self, Shown};
use crate::secret_text::SecretText;
use crate::tokens::{self, refused, whose};
use crate::{App, AppError, campaigns, policy, session, tickets, users};
use base::{DeviceId, TicketId, TokenId, UserId};
use control::policy::effective;
use control::{Proof, Refusal};
use db::{TokenRow, Tx};

/// What shows who asks.
pub(super) struct Proved {
    /// How.
    pub proof: Proof,
    /// By what.
    pub by: By,
    /// The record whose newest key has signed the request too.
    pub old_key: Option<BoundKey>,
}

/// By what it was shown who asks.
pub(super) enum By {
    /// A password: the hash that it was compared with, which is empty when the directory has vouched for it.
    Password { user: UserId, hash: String },
    /// Single sign-on.
    SignOn { user: UserId },
    /// A ticket.
    Ticket { ticket: TicketId },
    /// A token; and what the directory says of the account.
    Token { token: TokenId, directory: Option<String> },
    /// The key of a record.
    OldKey,
}

/// A key that was the newest one of its record.
#[derive(Clone, Copy)]
pub(super) struct BoundKey {
    pub device: DeviceId,
    pub user: UserId,
    pub key: [u8; 32],
}

impl Proved {
    /// The deployment token, where it is by one. Never fails.
    pub fn token(&self) -> Option<TokenId> {
        match &self.by {
            By::Token { token, .. } => Some(*token),
            By::Password { .. } | By::SignOn { .. } | By::Ticket { .. } | By::OldKey => None,
        }
    }
}

/// Who asks, and what shows it. `look` is given back before anything that takes its time.
///
/// # Errors
/// As `activate`.
pub(super) async fn prove(app: &App, activation: &Activation, mut look: Tx) -> Result<Proved, AppError> {
    let old_key = match &activation.old_key {
        Some(old_key) => old_key_now(&mut look, activation, old_key).await?,
        None => None,
    };
    let token = match &activation.proof {
        Claim::Token(text) => tokens::find(&mut look, text).await?,
        Claim::Password(_) | Claim::Ticket(_) | Claim::SignOn(_) | Claim::OldKey => None,
    };
    drop(look);
    if let (None, Some(old)) = (old_key, &activation.old_key) {
        old_key_looked_at(app, activation, old).await?;
    }
    match by(app, activation, token, old_key.is_some()).await {
        Ok((proof, by)) => Ok(Proved { proof, by, old_key }),
        Err(AppError::Refused(refusal)) => {
            campaigns::refused(app, old_key.map(|bound| bound.device), &refusal).await?;
            Err(refusal.into())
        }
        Err(error) => Err(error),
    }
}

async fn by(
    app: &App,
    activation: &Activation,
    token: Option<TokenRow>,
    has_old_key: bool,
) -> Result<(Proof, By), AppError> {
    match &activation.proof {
        Claim::Password(password) => {
            let signed_in = users::sign_in(app, activation.source, &activation.email, password).await?;
            let by = By::Password { user: signed_in.user, hash: signed_in.password_hash };
            Ok((signed_in.proof, by))
        }
        Claim::Ticket(code) => {
            let ticket = tickets::find(app, activation.source, &activation.email, code.expose()).await?;
            Ok((Proof::Ticket, By::Ticket { ticket: ticket.id }))
        }
        Claim::Token(_) => Ok((Proof::Token, by_token(app, activation, token).await?)),
        Claim::SignOn(code) => Ok((Proof::SingleSignOn, by_sign_on(app, code).await?)),
        Claim::OldKey if has_old_key => Ok((Proof::OldKey, By::OldKey)),
        Claim::OldKey => Err(Refusal::SignatureInvalid.into()),
    }
}

/// The record whose newest key has signed. `None` for an unknown record and a key that is not its newest alike: beside
/// another proof such a key is of no use, and no more.
async fn old_key_now(look: &mut Tx, activation: &Activation, old: &OldKey) -> Result<Option<BoundKey>, AppError> {
    let during = || AppError::db("looking for an old key");
    let record = db::device_get(look, old.device).await.map_err(during())?;
    let credential = db::credential_get_newest(look, old.device).await.map_err(during())?;
    let (Some(record), Some(credential)) = (record, credential) else { return Ok(None) };
    let key = credential.public_key;
    let signed = session::signature_verify(&key, &activation.signed, &old.signature).is_ok();
    Ok(signed.then_some(BoundKey { device: old.device, user: record.user, key }))
}

/// A key that is not the newest of its record may show that there is a copy. Who proves to be a person is worth more.
async fn old_key_looked_at(app: &App, activation: &Activation, old: &OldKey) -> Result<(), AppError> {
    match activation.proof {
        Claim::OldKey | Claim::Token(_) => {}
        Claim::Password(_) | Claim::Ticket(_) | Claim::SignOn(_) => return Ok(()),
    }
    let (now, source) = (app.clock.now(), activation.source_text());
    let shown = Shown {
        device: old.device,
        signed: &activation.signed,
        signature: &old.signature,
        counter: old.counter.as_ref(),
        asked_at: now,
        source: &source,
    };
    counters::look_for_copy(app, now, &shown).await
}

async fn by_token(app: &App, activation: &Activation, token: Option<TokenRow>) -> Result<By, AppError> {
    let Some(token) = token else {
        return Err(refused::remember(app, activation, None, Refusal::TokenInvalid).await?.into());
    };
    let directory = whose::from_directory(app, activation).await?;
    Ok(By::Token { token: token.id, directory })
}

async fn by_sign_on(app: &App, code: &SecretText) -> Result<By, AppError> {
    let Some(sign_on) = &app.identity.sign_on else { return Err(Refusal::WrongCredentials.into()) };
    let email = sign_on.redeem(code.expose()).await?.ok_or(Refusal::WrongCredentials)?;
    let email = users::email_parse(&email).map_err(|_| Refusal::WrongCredentials)?;
    let during = || AppError::db("looking for a user");
    let mut tx = app.db.read().await.map_err(during())?;
    let user = db::user_get_by_email(&mut tx, &email).await.map_err(during())?;
    let user = user.ok_or(Refusal::WrongCredentials)?.id;
    let ways = effective(&policy::levels(&mut tx, user, None).await?.levels);
    match ways.lets_sign_in(Proof::SingleSignOn) {
        true => Ok(By::SignOn { user }),
        false => Err(Refusal::WrongCredentials.into()),
    }
}
