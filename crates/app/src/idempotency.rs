//! One change for each idempotency key: the same request gets the stored answer again, for a day.
//! Refuses to do twice what was done: the audit row of a change notes its key in the same transaction, so that a lost
//! answer is known from work that never happened. Refuses answers in the clear: an answer may show a secret, once.

use crate::{AdminActor, App, AppError, keys};
use base::{Span, Timestamp};
use control::Refusal;
use db::IdempotencyRow;

/// How long an answer is kept.
pub const KEPT_SPAN: Span = Span::hours(24);
/// The longest key.
pub const KEY_TEXT_MAX: usize = 128;
/// The longest answer that is kept.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// What a request may take beyond its route's time before it counts as ended: a commit that was under way.
const GRACE: Span = Span::minutes(1);

/// A key that a request has taken. Named by a digest of the caller and the key's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    id: [u8; 32],
}

impl Mark {
    pub(crate) fn id(&self) -> &[u8; 32] {
        &self.id
    }
}

/// What a request with a key is to do.
#[derive(Debug)]
pub enum Claim {
    /// Go on; then `keep` the answer or `release` the key.
    Go(Mark),
    /// Nothing: this is the answer.
    Again {
        /// The status.
        status: u16,
        /// The body.
        body: Vec<u8>,
    },
}

/// Takes the key for a request of `actor`, whose route takes at most `span`. `request` is everything that makes it
/// this request: method, path, query and body.
///
/// # Errors
/// `idempotency_key_invalid`, `idempotency_key_reused`, `idempotency_in_progress`, `idempotency_answer_lost`.
pub async fn claim(
    app: &App,
    actor: &AdminActor,
    key: &[u8],
    request: &[&[u8]],
    span: Span,
) -> Result<Claim, AppError> {
    if key.is_empty() || key.len() > KEY_TEXT_MAX || !key.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::IdempotencyKeyInvalid.into());
    }
    let mark = Mark { id: digest(app, "key", &[actor.to_string().as_bytes(), key]) };
    let request = digest(app, "request", request);
    let now = app.clock.now();
    let during = || AppError::db("taking an idempotency key");
    let mut tx = app.db.write().await.map_err(during())?;
    db::idempotency_remove_old(&mut tx, now - KEPT_SPAN).await.map_err(during())?;
    let busy_until = now + span + GRACE;
    if !db::idempotency_insert(&mut tx, &mark.id, &request, now, busy_until).await.map_err(during())? {
        let row = db::idempotency_get(&mut tx, &mark.id).await.map_err(during())?;
        let row = row.ok_or(Refusal::IdempotencyInProgress)?;
        if let Some(answer) = earlier(app, mark, &request, row, now)? {
            // ORDER: committed before it is answered: the other may share this commit, and not be durable yet.
            tx.commit().await.map_err(during())?;
            return Ok(answer);
        }
        db::idempotency_busy_update(&mut tx, &mark.id, busy_until).await.map_err(during())?;
    }
    tx.commit().await.map_err(during())?;
    Ok(Claim::Go(mark))
}

/// What an earlier request with the key means for this one; `None` when that one ended without a change.
fn earlier(
    app: &App,
    mark: Mark,
    request: &[u8; 32],
    row: IdempotencyRow,
    now: Timestamp,
) -> Result<Option<Claim>, AppError> {
    if row.digest != *request {
        return Err(Refusal::IdempotencyKeyReused.into());
    }
    if let Some((status, sealed)) = row.answer {
        let body = keys::open(&app.keys.answer, &aad(mark, status), &sealed);
        let damaged = || AppError::damaged("kept_answer_damaged", "The stored answer to this request cannot be read.");
        return Ok(Some(Claim::Again { status, body: body.ok_or_else(damaged)? }));
    }
    match (now < row.busy_until, row.done) {
        (true, _) => Err(Refusal::IdempotencyInProgress.into()),
        (false, true) => Err(Refusal::IdempotencyAnswerLost.into()),
        (false, false) => Ok(None),
    }
}

/// Keeps the answer to a request that was carried out.
///
/// # Errors
/// The database does not answer.
pub async fn keep(app: &App, mark: Mark, status: u16, body: &[u8]) -> Result<(), AppError> {
    let sealed = keys::seal(&app.keys.answer, &aad(mark, status), body, app.entropy.as_ref());
    let during = || AppError::db("keeping an answer");
    let mut tx = app.db.write().await.map_err(during())?;
    db::idempotency_answer_update(&mut tx, &mark.id, status, &sealed).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

/// How a request ended that has no answer to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A rule said no, so nothing was changed: the key is free for another try.
    Refused,
    /// A part broke: the key stays with the request, and what was noted of it decides.
    Broken,
}

/// Lets go of a key.
///
/// # Errors
/// The database does not answer.
pub async fn release(app: &App, mark: Mark, ended: Ended) -> Result<(), AppError> {
    let during = || AppError::db("giving an idempotency key free");
    let mut tx = app.db.write().await.map_err(during())?;
    match ended {
        Ended::Refused => db::idempotency_remove(&mut tx, &mark.id).await.map_err(during())?,
        Ended::Broken => {
            let now = app.clock.now();
            db::idempotency_busy_update(&mut tx, &mark.id, now).await.map_err(during())?;
        }
    }
    tx.commit().await.map_err(during())
}

/// Keyed: a body may hold a password, which who reads the database must not be able to guess at.
fn digest(app: &App, what: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(app.keys.request.expose());
    for part in std::iter::once(&what.as_bytes()).chain(parts) {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    *hasher.finalize().as_bytes()
}

fn aad(mark: Mark, status: u16) -> Vec<u8> {
    [&mark.id[..], &status.to_le_bytes()].concat()
}
