//! Remembers which activations by a token were refused, and why, for whoever looks at the desk.
//! Refuses to be filled: the same machine and reason are one row, the rows are bounded, and so is each source.

use crate::activation::Activation;
use crate::audit::{self, Deed};
use crate::{App, AppError, rates};
use base::{Count, Timestamp, TokenId};
use control::attempts::{Attempt, UNKNOWN_TOKENS_LISTED};
use control::desk::REFUSED_MAX;
use control::{Proof, Refusal};
use db::{RefusedRow, Tx};

/// Remembers a refusal, and gives the answer to it: the refusal, or `too_many_requests` when this source has had so
/// many that nothing more is written for it.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn remember(
    app: &App,
    activation: &Activation,
    token: Option<TokenId>,
    refusal: Refusal,
) -> Result<Refusal, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("remembering a refused activation");
    let mut tx = app.db.write().await.map_err(during())?;
    if !rates::wrong(&mut tx, now, Attempt::Token, activation.source).await? {
        tx.commit().await.map_err(during())?;
        return Ok(match token {
            // Whoever has the text of a token is told what is wrong with it, however often.
            Some(_) => refusal,
            None => Refusal::TooManyRequests { left: Attempt::Token.limit().left(now) },
        });
    }
    let row = match token.is_some() || listed_one_by_one(&mut tx, now).await? {
        true => row(activation, token, &refusal, now),
        false => row_of_the_others(&refusal, now),
    };
    let is_new = db::refused_get(&mut tx, &row.id).await.map_err(during())?.is_none();
    if is_new {
        make_room(&mut tx).await?;
    }
    db::refused_update(&mut tx, &row).await.map_err(during())?;
    if let Some(token) = token {
        db::token_failed_update(&mut tx, token, refusal.code(), now).await.map_err(during())?;
    }
    if is_new {
        let actor = token.map_or_else(|| "unknown token".to_owned(), |token| format!("token {token}"));
        let subject = row.host_name.clone();
        let (detail, source) = (format!("refused: {}", refusal.code()), row.source.clone());
        let deed = Deed { actor, action: "device_activate", subject, detail, source, ..Deed::default() };
        audit::write(&mut tx, now, Deed { proof: Proof::Token.word().to_owned(), ..deed }).await?;
    }
    tx.commit().await.map_err(during())?;
    Ok(refusal)
}

/// Whether an unknown token is listed with what its computer says of itself; so many are, in an hour.
async fn listed_one_by_one(tx: &mut Tx, now: Timestamp) -> Result<bool, AppError> {
    let during = || AppError::db("counting unknown tokens");
    let (limit, subject) = (UNKNOWN_TOKENS_LISTED, rates::subject("token", b"unknown"));
    let count = db::tally_get(tx, &subject, limit.began(now)).await.map_err(during())?;
    if limit.admits(now, count).is_err() {
        return Ok(false);
    }
    db::tally_update(tx, &subject, limit.began(now)).await.map_err(during())?;
    Ok(true)
}

/// Removes the oldest row when there are as many as there may be.
async fn make_room(tx: &mut Tx) -> Result<(), AppError> {
    let during = || AppError::db("counting refused activations");
    if db::refused_count_get(tx).await.map_err(during())? >= REFUSED_MAX {
        db::refused_remove_oldest(tx).await.map_err(during())?;
    }
    Ok(())
}

/// The one row of all the others, that are only counted: without a name, and without a source.
fn row_of_the_others(refusal: &Refusal, now: Timestamp) -> RefusedRow {
    let digest = blake3::derive_key("holdfast 2026 v1 refused activations without a name", refusal.code().as_bytes());
    RefusedRow {
        id: *digest.first_chunk().expect("32 bytes hold 16"),
        at: now,
        token: None,
        source: String::new(),
        code: refusal.code().to_owned(),
        email: String::new(),
        host_name: String::new(),
        serial: String::new(),
        os_user: String::new(),
        times: Count(1),
    }
}

fn row(activation: &Activation, token: Option<TokenId>, refusal: &Refusal, now: Timestamp) -> RefusedRow {
    let about = &activation.about;
    let mut hasher = blake3::Hasher::new_derive_key("holdfast 2026 v1 refused activation");
    let token_bytes = token.map_or([0; 16], |token| *token.as_bytes());
    let machine = [&about.host_name, &about.serial, &about.hardware_uuid, &about.os_user, &activation.email];
    hasher.update(&token_bytes).update(refusal.code().as_bytes());
    for text in machine {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    let digest = hasher.finalize();
    let id = *digest.as_bytes().first_chunk().expect("32 bytes hold 16");
    RefusedRow {
        id,
        at: now,
        token,
        source: activation.source_text(),
        code: refusal.code().to_owned(),
        email: activation.email.clone(),
        host_name: about.host_name.clone(),
        serial: about.serial.clone(),
        os_user: about.os_user.clone(),
        times: Count(1),
    }
}
