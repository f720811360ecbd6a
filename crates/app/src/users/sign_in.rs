//! Recognises a user by a password, and locks out who guesses: by address and source, so that who guesses elsewhere
//! locks nobody out here. Refuses to tell an unknown address from a wrong password: one answer, and the same work.

use super::{EMAIL_BYTES_MAX, address_digest, normal, policy};
use crate::audit::{self, Deed};
use crate::password::{self, Password};
use crate::{App, AppError, rates};
use base::{Count, Timestamp, UserId};
use control::attempts::{Attempt, may_try_password};
use control::password::{Failures, PasswordPolicy};
use control::policy::effective;
use control::{Proof, Refusal};
use db::{Tx, UserRow};
use std::net::IpAddr;

/// A user who has given the right password.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) user: UserId,
    /// `Password`, or `Directory` when that has vouched for it.
    pub(crate) proof: Proof,
    /// The hash that was compared with: who binds something looks whether it is still the one.
    pub(crate) password_hash: String,
}

/// Where wrong passwords have locked an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// The source; empty for everywhere.
    pub source: String,
    /// How many wrong ones.
    pub wrong: Count,
    /// Until when.
    pub until: Timestamp,
}

/// Recognises a user by the password. The answer and the work are the same for an address without an account, and for
/// a way to sign in that the user's profile does not take.
///
/// # Errors
/// `wrong_credentials`, `account_locked`, `too_many_requests`; `password_expired` to who knows it; `server_busy`.
pub(crate) async fn sign_in(app: &App, source: IpAddr, email: &str, password: &Password) -> Result<SignedIn, AppError> {
    let policy = policy(app).await?;
    let email = normal(email);
    if email.len() > EMAIL_BYTES_MAX || policy.length_max.0 < password.expose().len() as u64 {
        return Err(Refusal::WrongCredentials.into());
    }
    let address = address_digest(&email);
    // One after the other for one address: people whose password is right are not locked out for being many at once.
    let _turn = app.passwords.turn_of(&address).await;
    let counted = attempt_count(app, &policy, source, &address).await?;
    let during = || AppError::db("reading a user");
    let mut tx = app.db.read().await.map_err(during())?;
    let user = db::user_get_by_email(&mut tx, &email).await.map_err(during())?;
    // Looked up for an address without an account too: the same work.
    let id = user.as_ref().map_or(UserId::from_bytes([0; 16]), |user| user.id);
    let set_at = db::user_password_set_get(&mut tx, id).await.map_err(during())?;
    let levels = crate::policy::levels(&mut tx, id, None).await;
    // Whose hash says what an address without a password costs: always the same one, or an unknown address would stand
    // out once the price is another and not everybody has signed in since. Looked up for every address.
    let like = db::user_password_get_from(&mut tx, &price_digest(app, &address)).await.map_err(during())?;
    drop(tx);
    let ways = match &user {
        Some(_) => Some(effective(&levels?.levels)),
        None => None,
    };
    let may = |proof| ways.as_ref().is_some_and(|ways| ways.lets_sign_in(proof));
    // A password that the profile does not take is none: the same work, and the same answer as for a wrong one.
    let hash = user.as_ref().map(|user| user.password_hash.as_str());
    let hash = hash.filter(|hash| !hash.is_empty() && may(Proof::Password));
    let (local, vouched) = match compared(app, (hash, like.as_deref()), &email, password).await {
        Ok(compared) => compared,
        Err(error) => {
            attempt_take_back(app, source, &address, &counted).await?;
            return Err(error);
        }
    };
    match user {
        Some(user) if local || (vouched && may(Proof::Directory)) => {
            let renewed = match local {
                // Or known and unknown addresses would differ in time, once the price is another.
                true => password::hash_renewed(app, &user.password_hash, password).await,
                false => None,
            };
            let mut password_hash = user.password_hash;
            // It was right, so it is no failure, whatever comes of it.
            let mut tx = app.db.write().await.map_err(during())?;
            let from = rates::source_text(source);
            db::sign_in_failure_remove(&mut tx, &address, Some(&from)).await.map_err(during())?;
            if let Some(renewed) = renewed
                && db::user_password_rehash_update(&mut tx, user.id, &password_hash, &renewed).await.map_err(during())?
            {
                password_hash = renewed;
            }
            tx.commit().await.map_err(during())?;
            if local {
                policy.holds(app.clock.now(), set_at)?;
            }
            let proof = if local { Proof::Password } else { Proof::Directory };
            Ok(SignedIn { user: user.id, proof, password_hash })
        }
        user => {
            tracing::warn!("a password was wrong, or its user is unknown");
            wrong(app, &policy, source, counted.count, user.as_ref()).await?;
            Err(Refusal::WrongCredentials.into())
        }
    }
}

/// Is it the password here, and does the directory vouch for it?
async fn compared(
    app: &App,
    (hash, like): (Option<&str>, Option<&str>),
    email: &str,
    password: &Password,
) -> Result<(bool, bool), AppError> {
    let local = password::verify(app, hash, like, password).await?;
    // Asked for every address that has no password here, known or not: the same work.
    let vouched = match &app.identity.directory {
        Some(directory) if hash.is_none() => directory.verify_password(email, password).await?,
        Some(_) | None => false,
    };
    Ok((local, vouched))
}

/// Keyed, so that nobody can work out whose price an address has.
fn price_digest(app: &App, address: &[u8; 32]) -> [u8; 16] {
    let digest = blake3::keyed_hash(app.keys.address.expose(), address);
    *digest.as_bytes().first_chunk().expect("32 bytes hold 16")
}

/// Where wrong passwords have locked this address.
///
/// # Errors
/// The database does not answer.
pub(super) async fn lockouts(tx: &mut Tx, now: Timestamp, email: &str) -> Result<Vec<Lockout>, AppError> {
    let policy = crate::passwords::policy_now(tx).await?;
    let during = || AppError::db("reading wrong passwords");
    let (address, since) = (address_digest(email), now - policy.lock_span);
    let all = db::sign_in_failure_sum_get(tx, &address, since).await.map_err(during())?;
    let here = db::sign_in_failure_list(tx, &address, since).await.map_err(during())?;
    let everywhere = (String::new(), all, policy.failures_max_everywhere());
    let each = here.into_iter().map(|(source, failures)| (source, failures, policy.failures_max));
    let locked = std::iter::once(everywhere).chain(each).filter_map(|(source, failures, max)| {
        let until = policy.locked_until(now, &failures, max)?;
        Some(Lockout { source, wrong: failures.count, until })
    });
    Ok(locked.collect())
}

/// Forgets the wrong passwords of this address; the answer is whether they had locked it anywhere.
///
/// # Errors
/// The database does not answer.
pub(super) async fn lift(tx: &mut Tx, now: Timestamp, email: &str) -> Result<bool, AppError> {
    let locked = !lockouts(tx, now, email).await?.is_empty();
    let forgotten = db::sign_in_failure_remove(tx, &address_digest(email), None).await;
    forgotten.map_err(AppError::db("forgetting wrong passwords"))?;
    Ok(locked)
}

/// An attempt that was counted as wrong.
struct Counted {
    /// How many there are with it, for this address from this source.
    count: Count,
    /// What there was before.
    before: Failures,
}

/// Counts an attempt as wrong before the password is compared; whoever finds it right takes that back.
async fn attempt_count(
    app: &App,
    policy: &PasswordPolicy,
    source: IpAddr,
    address: &[u8; 32],
) -> Result<Counted, AppError> {
    let (now, from) = (app.clock.now(), rates::source_text(source));
    let during = || AppError::db("counting a sign-in");
    // RACE: counted first and compared later, so that a thousand guesses side by side are a thousand and not one.
    let mut tx = app.db.write().await.map_err(during())?;
    let since = now - policy.lock_span;
    let here = db::sign_in_failure_get(&mut tx, address, &from).await.map_err(during())?;
    let everywhere = db::sign_in_failure_sum_get(&mut tx, address, since).await.map_err(during())?;
    let of_source = rates::wrong_now(&mut tx, now, Attempt::Password, source).await?;
    may_try_password(now, of_source, here.count)?;
    policy.may_try(now, &here, &everywhere)?;
    let counted = policy.after_failure(now, &here);
    db::sign_in_failure_update(&mut tx, address, &from, counted.count, now).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    Ok(Counted { count: counted.count, before: here })
}

/// Nobody could say whether it was right (the directory is away, too many wait): it was no wrong one, or whoever tries
/// meanwhile would be locked out.
async fn attempt_take_back(app: &App, source: IpAddr, address: &[u8; 32], counted: &Counted) -> Result<(), AppError> {
    let (from, during) = (rates::source_text(source), || AppError::db("taking a sign-in back"));
    let mut tx = app.db.write().await.map_err(during())?;
    let here = db::sign_in_failure_get(&mut tx, address, &from).await.map_err(during())?;
    // RACE: another server may have counted one since, which stays.
    let last = if here.count == counted.count { counted.before.last } else { here.last };
    match (here.count.0.checked_sub(1), last) {
        (Some(count @ 1..), Some(last)) => {
            db::sign_in_failure_update(&mut tx, address, &from, Count(count), last).await.map_err(during())?;
        }
        (Some(_), _) => {
            db::sign_in_failure_remove(&mut tx, address, Some(&from)).await.map_err(during())?;
        }
        // Somebody has found the right one since, and all were forgotten.
        (None, _) => {}
    }
    tx.commit().await.map_err(during())
}

/// Counts a wrong one for its source, and writes down what it has locked: once for each, and not every guess.
async fn wrong(
    app: &App,
    policy: &PasswordPolicy,
    source: IpAddr,
    counted: Count,
    user: Option<&UserRow>,
) -> Result<(), AppError> {
    let (now, during) = (app.clock.now(), || AppError::db("counting a wrong password"));
    let mut tx = app.db.write().await.map_err(during())?;
    let of_source = rates::wrong_password(&mut tx, now, source).await?;
    let from = rates::source_text(source);
    if counted == policy.failures_max {
        // An address without an account is not written down: people type passwords there.
        let subject = user.map_or_else(|| "an address without an account".to_owned(), |user| user.id.to_string());
        let detail = format!("{counted} wrong passwords from {from}, which is locked for {} there", policy.lock_span);
        let (actor, action, proof) = ("unknown".to_owned(), "sign_in_locked", Proof::Password.word().to_owned());
        let deed = Deed { actor, action, subject, detail, source: from, proof, mark: None };
        audit::write(&mut tx, now, deed).await?;
    }
    let most = Attempt::Password.limit().max;
    rates::limited_write(&mut tx, now, Attempt::Password, source, of_source, most).await?;
    tx.commit().await.map_err(during())
}
