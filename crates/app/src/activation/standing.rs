//! What was proved, read again in the transaction that binds: a password, key, ticket or token that was changed or
//! used meanwhile proves nothing. Refuses to change anything but to add the user that a token creates.

use super::Activation;
use super::prove::{By, Proved};
use crate::tokens::{self, whose};
use crate::{App, AppError, rates, tickets};
use base::{Count, DeviceId, MapRowId, TicketId, Timestamp, UserId};
use control::activation::{Choice, Restore};
use control::{Proof, Refusal};
use db::{TokenRow, Tx, UserRow};

/// Who asks, and what comes with the proof.
pub(super) struct Standing {
    pub user: UserRow,
    pub proof: Proof,
    /// The record whose key has signed.
    pub old_key: Option<DeviceId>,
    /// What an admin has said that the computer becomes.
    pub named: Option<Choice>,
    /// What an admin has said is to be brought back.
    pub restore: Option<Restore>,
    /// How an admin has called the computer; empty for not at all.
    pub device_name: String,
    /// What is used up by this activation.
    pub spent: Spent,
}

/// What is used up by an activation.
#[derive(Default)]
pub(super) struct Spent {
    pub token: Option<TokenRow>,
    pub ticket: Option<TicketId>,
    pub map_row: Option<MapRowId>,
}

/// What the proof is worth now.
///
/// # Errors
/// `wrong_credentials`, `signature_invalid`, `ticket_invalid`, the refusals of a token and of whose computer it is;
/// the database does not answer.
pub(super) async fn now(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    activation: &Activation,
    proved: &Proved,
) -> Result<Standing, AppError> {
    let old_key = old_key_now(tx, proved).await?;
    let plain = |user: UserRow, spent: Spent| Standing {
        user,
        proof: proved.proof,
        old_key,
        named: None,
        restore: None,
        device_name: String::new(),
        spent,
    };
    match &proved.by {
        By::Password { user, hash } => {
            let user = by_id(tx, *user).await?.filter(|user| user.password_hash == *hash);
            Ok(plain(user.ok_or(Refusal::WrongCredentials)?, Spent::default()))
        }
        By::SignOn { user } => Ok(plain(by_id(tx, *user).await?.ok_or(Refusal::WrongCredentials)?, Spent::default())),
        By::OldKey => {
            let bound = proved.old_key.filter(|_| old_key.is_some()).ok_or(Refusal::SignatureInvalid)?;
            let user = by_id(tx, bound.user).await?.ok_or(Refusal::SignatureInvalid)?;
            Ok(plain(user, Spent::default()))
        }
        By::Ticket { ticket } => {
            let ticket = tickets::again(tx, now, *ticket).await?;
            let user = by_id(tx, ticket.user).await?.ok_or(Refusal::TicketInvalid)?;
            let named = Some(ticket.choice).filter(|choice| *choice != Choice::Auto);
            let spent = Spent { ticket: Some(ticket.id), ..Spent::default() };
            Ok(Standing { named, restore: Some(ticket.restore), ..plain(user, spent) })
        }
        By::Token { token, directory } => {
            let token = db::token_get(tx, *token).await.map_err(AppError::db("reading a token"))?;
            let token = token.ok_or(Refusal::TokenInvalid)?;
            admitted(tx, now, activation, &token).await?;
            let directory = directory.as_deref();
            let found = whose::find(app, tx, now, activation, &token, old_key, directory).await?;
            let spent = Spent { token: Some(token), ..Spent::default() };
            let standing = plain(found.user, spent);
            let Some(row) = found.map_row else { return Ok(standing) };
            let named = row.replaces.map(Choice::Replace);
            let spent = Spent { map_row: Some(row.id), ..standing.spent };
            Ok(Standing { named, restore: Some(row.restore), device_name: row.device_name, spent, ..standing })
        }
    }
}

/// What a token's uses in a minute are counted under. Never fails.
pub(super) fn rate_subject(token: &TokenRow) -> [u8; 32] {
    rates::subject("token", token.id.as_bytes())
}

/// May the token be used now, from there, once more in this minute?
///
/// # Errors
/// The refusals of a token; the database does not answer.
pub(super) async fn admitted(
    tx: &mut Tx,
    now: Timestamp,
    activation: &Activation,
    token: &TokenRow,
) -> Result<(), AppError> {
    let terms = tokens::terms(token, now)?;
    let in_minute = match terms.rate() {
        Some(limit) => {
            let tally = db::tally_get(tx, &rate_subject(token), limit.began(now)).await;
            tally.map_err(AppError::db("counting uses of a token"))?
        }
        None => Count(0),
    };
    Ok(terms.admits(now, activation.source, in_minute)?)
}

/// The record whose key has signed, when that is its newest key still.
async fn old_key_now(tx: &mut Tx, proved: &Proved) -> Result<Option<DeviceId>, AppError> {
    let Some(bound) = proved.old_key else { return Ok(None) };
    let newest = db::credential_get_newest(tx, bound.device).await.map_err(AppError::db("looking for an old key"))?;
    Ok(newest.filter(|newest| newest.public_key == bound.key).map(|_| bound.device))
}

async fn by_id(tx: &mut Tx, id: UserId) -> Result<Option<UserRow>, AppError> {
    db::user_get(tx, id).await.map_err(AppError::db("reading a user"))
}
