//! Counts what is tried, and refuses beyond a limit. Refuses to keep addresses with the counts: a subject is
//! a digest. The audit log names a source that was shut out.
//! Rules: docs/control.md, "Attempts".

use crate::audit::{self, Deed};
use crate::{App, AppError};
use base::{Count, Timestamp};
use control::Refusal;
use control::attempts::{Attempt, Limit, TICKETS_ALARM, TICKETS_ALARMED};
use db::Tx;
use std::net::IpAddr;

/// What is counted: a word for what is done, and who or what does it. Never fails.
pub fn subject(word: &str, who: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("holdfast 2026 v1 tally subject");
    hasher.update(&(word.len() as u64).to_le_bytes()).update(word.as_bytes()).update(who);
    *hasher.finalize().as_bytes()
}

/// Counts one more of what may be done `limit.max` times in `limit.span`.
///
/// # Errors
/// `too_many_requests` when that was one too many; the database does not answer.
pub async fn count(tx: &mut Tx, now: Timestamp, subject: &[u8; 32], limit: Limit) -> Result<(), AppError> {
    let during = || AppError::db("counting requests");
    let counted = db::tally_get(tx, subject, limit.began(now)).await.map_err(during())?;
    limit.admits(now, counted)?;
    db::tally_update(tx, subject, limit.began(now)).await.map_err(during())
}

/// The text that stands for a source, for people: an address, or a network of 64 bits. Never fails.
pub(crate) fn source_text(source: IpAddr) -> String {
    match source.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// The bytes that stand for a source: an IPv6 network of 64 bits is one, for whoever has an address there has them
/// all. Never fails.
pub(crate) fn source_bytes(source: IpAddr) -> Vec<u8> {
    match source.to_canonical() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

/// May this source try once more? Nothing is counted: that is done once it was found wrong.
///
/// # Errors
/// `too_many_requests`; the database does not answer.
pub(crate) async fn may_try(tx: &mut Tx, now: Timestamp, attempt: Attempt, source: IpAddr) -> Result<(), AppError> {
    let during = || AppError::db("counting attempts");
    let limit = limit_now(tx, now, attempt).await?;
    let of_source = subject(attempt.word(), &source_bytes(source));
    let count = db::tally_get(tx, &of_source, limit.began(now)).await.map_err(during())?;
    Ok(limit.admits(now, count)?)
}

/// How many of this kind this source has got wrong in this span.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn wrong_now(
    tx: &mut Tx,
    now: Timestamp,
    attempt: Attempt,
    source: IpAddr,
) -> Result<Count, AppError> {
    let of_source = subject(attempt.word(), &source_bytes(source));
    let count = db::tally_get(tx, &of_source, attempt.limit().began(now)).await;
    count.map_err(AppError::db("counting attempts"))
}

/// Counts a wrong password; the answer is how many this source has got wrong in this span.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn wrong_password(tx: &mut Tx, now: Timestamp, source: IpAddr) -> Result<Count, AppError> {
    let of_source = subject(Attempt::Password.word(), &source_bytes(source));
    let counted = db::tally_update(tx, &of_source, Attempt::Password.limit().began(now)).await;
    counted.map_err(AppError::db("counting attempts"))?;
    wrong_now(tx, now, Attempt::Password, source).await
}

/// Counts one that was found wrong, and writes down when that locks its source; the answer is whether it may go on.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn wrong(tx: &mut Tx, now: Timestamp, attempt: Attempt, source: IpAddr) -> Result<bool, AppError> {
    let during = || AppError::db("counting attempts");
    let limit = attempt.limit();
    let of_source = subject(attempt.word(), &source_bytes(source));
    let count = db::tally_get(tx, &of_source, limit.began(now)).await.map_err(during())?;
    if limit.admits(now, count).is_err() {
        return Ok(false);
    }
    db::tally_update(tx, &of_source, limit.began(now)).await.map_err(during())?;
    let most = limit_now(tx, now, attempt).await?.max;
    if attempt == Attempt::Ticket {
        ticket_from_everywhere(tx, now).await?;
    }
    limited_write(tx, now, attempt, source, Count(count.0 + 1), most).await?;
    Ok(true)
}

/// Counts a wrong ticket among those from everywhere, and writes down when that leaves each source fewer: it shuts out
/// those that have had as many, and none of them gets a row of its own for that.
async fn ticket_from_everywhere(tx: &mut Tx, now: Timestamp) -> Result<(), AppError> {
    let during = || AppError::db("counting attempts");
    let (all, began) = (everywhere(Attempt::Ticket), TICKETS_ALARM.began(now));
    db::tally_update(tx, &all, began).await.map_err(during())?;
    if db::tally_get(tx, &all, began).await.map_err(during())? != TICKETS_ALARM.max {
        return Ok(());
    }
    let Limit { max, span } = TICKETS_ALARM;
    let detail = format!("{max} wrong tickets from everywhere in {span}: each source has {}", TICKETS_ALARMED.max);
    let (actor, action, proof) = ("unknown".to_owned(), "sign_in_alarmed", Attempt::Ticket.word().to_owned());
    audit::write(tx, now, Deed { actor, action, subject: "everywhere".to_owned(), detail, proof, ..Deed::default() })
        .await
}

/// Writes down that this source is locked, if this many wrong are just as many as it may have: once, and not every
/// guess.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn limited_write(
    tx: &mut Tx,
    now: Timestamp,
    attempt: Attempt,
    source: IpAddr,
    wrong: Count,
    most: Count,
) -> Result<(), AppError> {
    if wrong != most {
        return Ok(());
    }
    let from = source_text(source);
    let detail = format!("{wrong} wrong {}s in {}", attempt.word(), attempt.limit().span);
    let (actor, action, proof) = ("unknown".to_owned(), "sign_in_source_limited", attempt.word().to_owned());
    let deed = Deed { actor, action, subject: from.clone(), detail, source: from, proof, mark: None };
    audit::write(tx, now, deed).await
}

/// The same in a transaction of its own, for what was found wrong outside of one. `refusal` is the answer then.
///
/// # Errors
/// `refusal`; the database does not answer.
pub(crate) async fn wrong_said<T>(
    app: &App,
    attempt: Attempt,
    source: IpAddr,
    refusal: Refusal,
) -> Result<T, AppError> {
    let during = || AppError::db("counting attempts");
    let mut tx = app.db.write().await.map_err(during())?;
    wrong(&mut tx, app.clock.now(), attempt, source).await?;
    tx.commit().await.map_err(during())?;
    Err(refusal.into())
}

/// The limit of one source, which is lower while tickets are being guessed from everywhere.
async fn limit_now(tx: &mut Tx, now: Timestamp, attempt: Attempt) -> Result<Limit, AppError> {
    if attempt != Attempt::Ticket {
        return Ok(attempt.limit());
    }
    let during = || AppError::db("counting attempts");
    let all = db::tally_get(tx, &everywhere(attempt), TICKETS_ALARM.began(now)).await.map_err(during())?;
    Ok(if TICKETS_ALARM.admits(now, all).is_ok() { attempt.limit() } else { TICKETS_ALARMED })
}

fn everywhere(attempt: Attempt) -> [u8; 32] {
    subject(attempt.word(), b"everywhere")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_64_bits_is_one_source_and_an_ipv4_address_is_itself_however_it_came() {
        let bytes = |text: &str| source_bytes(text.parse().expect("an address"));
        assert_eq!(bytes("2001:db8::1"), bytes("2001:db8::ffff:1"));
        assert_ne!(bytes("2001:db8::1"), bytes("2001:db8:0:1::1"));
        assert_eq!(bytes("::ffff:192.0.2.1"), bytes("192.0.2.1"));
        let text = |text: &str| source_text(text.parse().expect("an address"));
        assert_eq!(
            (text("2001:db8::7"), text("::ffff:192.0.2.1")),
            ("2001:db8::/64".to_owned(), "192.0.2.1".to_owned())
        );
        assert_ne!(bytes("192.0.2.1"), bytes("192.0.2.2"));
    }
}
