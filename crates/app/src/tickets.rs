//! Tickets: made, revoked, and found by their code. Refuses to show a code twice, and to tell one wrong code from
//! another. Rules: docs/control.md, "Tickets".

use crate::audit::{self, Deed};
use crate::error::there_is_no;
use crate::mail::{self, Draft, Values};
use crate::page::{self, Page, PageAsk};
use crate::passwords::Unmailed;
use crate::{AdminActor, App, AppError, rates, users};
use base::{Count, Span, TicketId, Timestamp, UserId};
use control::activation::{Choice, Restore};
use control::attempts::Attempt;
use control::ticket::{Code, SPAN_DEFAULT, SPAN_MAX, Terms};
use control::{Permit, Refusal};
use db::{PageKey, Tx};
use std::net::IpAddr;

pub use db::TicketRow;

/// What an admin asks of a new ticket.
#[derive(Clone, Debug)]
pub struct Wish {
    /// For whom.
    pub email: String,
    /// What the computer becomes.
    pub choice: Choice,
    /// What is to be brought back.
    pub restore: Restore,
    /// For how long it is good; `None` is 7 days.
    pub span: Option<Span>,
    /// Is the code to be shown to the admin, and not mailed?
    pub show: bool,
}

/// A ticket that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Which.
    pub ticket: TicketRow,
    /// Whose.
    pub email: String,
    /// How its code reaches the user.
    pub way: TicketWay,
}

/// How a ticket's code reaches its user: one way, as with links.
#[derive(Clone, Debug)]
pub enum TicketWay {
    /// A message with it is queued.
    Mailed,
    /// It is shown now, and never again.
    Shown {
        /// The code.
        code: Code,
        /// Why it was not mailed.
        why: Unmailed,
    },
}

/// Makes a ticket.
///
/// # Errors
/// `user_unknown`; `ticket_wish_invalid` for a time over 30 days or a record that is not the user's; `not_permitted`.
pub async fn make(app: &App, actor: &AdminActor, wish: &Wish) -> Result<Made, AppError> {
    actor.need(Permit::TokenManage)?;
    let wrong = |sentence: &str| AppError::invalid("ticket_wish_invalid", sentence);
    let span = wish.span.unwrap_or(SPAN_DEFAULT);
    if span == Span::ZERO || span > SPAN_MAX {
        return Err(wrong("A ticket is good for at most 30 days."));
    }
    let (email, now) = (users::email_parse(&wish.email)?, app.clock.now());
    let during = || AppError::db("making a ticket");
    let mut tx = app.db.write().await.map_err(during())?;
    let user = users::by_email(&mut tx, &email).await?;
    if let Choice::Replace(device) = wish.choice {
        let record = db::device_get(&mut tx, device).await.map_err(during())?;
        if record.is_none_or(|record| record.user != user.id) {
            return Err(wrong("The device that the ticket is to replace is none of the user's."));
        }
    }
    let code = Code::mint(app.entropy.as_ref());
    let ticket = TicketRow {
        id: TicketId::mint(app.entropy.as_ref()),
        user: user.id,
        prefix: code.visible(),
        choice: wish.choice,
        restore: wish.restore,
        expires_at: now + span,
        revoked_at: None,
        used_at: None,
        used_by: None,
        created_at: now,
        created_by: actor.to_string(),
    };
    db::ticket_insert(&mut tx, &ticket, &hash(app, &code)).await.map_err(during())?;
    let way = match (wish.show, app.mailer.is_some()) {
        (false, true) => {
            let until = ticket.expires_at;
            let values = Values::new()
                .with("code", &code.to_text())
                .with("deadline", &mail::date(until))
                .with("fingerprint", &app.ca_fingerprint);
            let (occasion, template, until) = (format!("ticket:{}", ticket.id), "ticket", Some(until));
            let draft = Draft { occasion, recipient: &email, template, values, until };
            mail::queue(app, &mut tx, now, draft).await?;
            TicketWay::Mailed
        }
        (true, _) => TicketWay::Shown { code, why: Unmailed::Asked },
        (false, false) => TicketWay::Shown { code, why: Unmailed::MailOff },
    };
    let word = if matches!(way, TicketWay::Mailed) { "mailed" } else { "shown" };
    let detail = format!("for {}, until {}, {word}", user.id, ticket.expires_at.as_ms());
    audit::write(
        &mut tx,
        now,
        Deed { action: "ticket_make", subject: ticket.id.to_string(), detail, ..Deed::by(actor) },
    )
    .await?;
    tx.commit().await.map_err(during())?;
    Ok(Made { ticket, email, way })
}

/// The tickets, the oldest first, each with the address of its user.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn page(app: &App, actor: &AdminActor, ask: &PageAsk) -> Result<Page<(TicketRow, String)>, AppError> {
    actor.need(Permit::TokenRead)?;
    let during = || AppError::db("listing tickets");
    let after = page::timed(ask, PageKey::FIRST)?;
    let mut tx = app.db.read().await.map_err(during())?;
    let mut rows = Vec::new();
    for ticket in db::ticket_list(&mut tx, after, Count(ask.rows().into())).await.map_err(during())? {
        let user = db::user_get(&mut tx, ticket.user).await.map_err(during())?;
        rows.push((ticket, user.map(|user| user.email).unwrap_or_default()));
    }
    Ok(ask.page(rows, |(ticket, _)| page::timed_parts(ticket.created_at, ticket.id.as_bytes()), |row| row))
}

/// Revokes a ticket.
///
/// # Errors
/// `ticket_unknown`; `ticket_ended` when it was used or revoked before; `not_permitted`.
pub async fn revoke(app: &App, actor: &AdminActor, id: TicketId) -> Result<(TicketRow, String), AppError> {
    actor.need(Permit::TokenManage)?;
    let now = app.clock.now();
    let during = || AppError::db("revoking a ticket");
    let mut tx = app.db.write().await.map_err(during())?;
    by_id(&mut tx, id).await?;
    if !db::ticket_revoked_update(&mut tx, id, now).await.map_err(during())? {
        return Err(AppError::conflict(
            "ticket_ended",
            "The ticket was used or revoked before; nothing was changed. `ticket make` makes another.",
        ));
    }
    let ticket = by_id(&mut tx, id).await?;
    let detail = ticket.prefix.clone();
    audit::write(&mut tx, now, Deed { action: "ticket_revoke", subject: id.to_string(), detail, ..Deed::by(actor) })
        .await?;
    let email = users_email(&mut tx, Some(&ticket)).await?.unwrap_or_default();
    tx.commit().await.map_err(during())?;
    Ok((ticket, email))
}

/// The ticket with this code, which is good and is for the user of `email`, where one is given. What is wrong is
/// counted for its source.
///
/// # Errors
/// `ticket_invalid`, `too_many_requests`; the database does not answer.
pub(crate) async fn find(app: &App, source: IpAddr, email: &str, typed: &str) -> Result<TicketRow, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("looking for a ticket");
    // RACE: looked for and counted in one transaction that writes, so that guesses side by side are all counted.
    let mut tx = app.db.write().await.map_err(during())?;
    rates::may_try(&mut tx, now, Attempt::Ticket, source).await?;
    let hash = Code::parse(typed).map_or([0; 32], |code| hash(app, &code));
    let ticket = db::ticket_get_by_hash(&mut tx, &hash).await.map_err(during())?;
    // The user is looked up for a wrong code too: the same work.
    let user = users_email(&mut tx, ticket.as_ref()).await?;
    let fits = email.trim().is_empty() || user.as_deref() == Some(email.trim().to_lowercase().as_str());
    if let Some(ticket) = ticket.filter(|ticket| fits && good(ticket, now).is_ok()) {
        // ORDER: committed before it is answered, as everywhere below a write lock: see `db::Tx`.
        tx.commit().await.map_err(during())?;
        return Ok(ticket);
    }
    rates::wrong(&mut tx, now, Attempt::Ticket, source).await?;
    tx.commit().await.map_err(during())?;
    tracing::warn!("a ticket was wrong");
    Err(Refusal::TicketInvalid.into())
}

/// The same ticket, read again in the transaction that uses it.
///
/// # Errors
/// `ticket_invalid`; the database does not answer.
pub(crate) async fn again(tx: &mut Tx, now: Timestamp, id: TicketId) -> Result<TicketRow, AppError> {
    let ticket = db::ticket_get(tx, id).await.map_err(AppError::db("reading a ticket"))?;
    let ticket = ticket.ok_or(Refusal::TicketInvalid)?;
    good(&ticket, now)?;
    Ok(ticket)
}

fn good(ticket: &TicketRow, now: Timestamp) -> Result<(), Refusal> {
    let TicketRow { expires_at, revoked_at, used_at, .. } = *ticket;
    Terms { expires_at, revoked_at, used_at }.admits(now)
}

async fn by_id(tx: &mut Tx, id: TicketId) -> Result<TicketRow, AppError> {
    let ticket = db::ticket_get(tx, id).await.map_err(AppError::db("reading a ticket"))?;
    ticket.ok_or_else(|| AppError::not_found("ticket_unknown", there_is_no(format_args!("ticket {id}"), "ticket list")))
}

async fn users_email(tx: &mut Tx, ticket: Option<&TicketRow>) -> Result<Option<String>, AppError> {
    let user = ticket.map_or(UserId::from_bytes([0; 16]), |ticket| ticket.user);
    let user = db::user_get(tx, user).await.map_err(AppError::db("reading a user"))?;
    Ok(user.map(|user| user.email))
}

/// Keyed, so that whoever reads the database cannot try all codes of 80 bits.
fn hash(app: &App, code: &Code) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(app.keys.ticket.expose());
    hasher.update(code.expose());
    *hasher.finalize().as_bytes()
}
