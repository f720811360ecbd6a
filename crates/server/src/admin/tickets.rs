//! `/api/v1/tickets`. Refuses to show a ticket's code but in the answer that makes it.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask, malformed, word};
use crate::admin::{Entry, get, post};
use crate::reply::{No, Reply, Yes};
use app::tickets::{self, Made, TicketRow, TicketWay, Wish};
use base::{Span, TicketId, Timestamp};
use control::Permit;
use control::activation::{Choice, Restore};
use protocol::Text;
use protocol::admin::ticket::{Ticket, TicketMade, TicketMake};
use protocol::admin::{Page, PageQuery};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{TokenManage, TokenRead};
    vec![
        get("ticket_list", "/api/v1/tickets", TokenRead, "Tickets, the oldest first.", list),
        post("ticket_make", "/api/v1/tickets", TokenManage,
            "Make a one-time code for one user, and mail it; or it is shown, once.", make),
        post("ticket_revoke", "/api/v1/tickets/{ticket}/revoke", TokenManage,
            "Withdraw a ticket that was not used.", revoke),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<PageQuery>) -> Reply<Page<Ticket>> {
    let page = tickets::page(&at.app, &at.actor, &ask(query.after, query.limit)?).await?;
    let items = page.items.into_iter().map(|(row, email)| ticket(row, email)).collect();
    Ok(Yes(Page { items, next: page.next }))
}

async fn make(at: AtAdmin, Body(body): Body<TicketMake>) -> Reply<TicketMade> {
    let choice = choice(&body)?;
    let restore = word("restore", body.restore.as_deref(), &Restore::ALL, Restore::word)?.unwrap_or_default();
    let wish = Wish { email: body.email, choice, restore, span: body.span_ms.map(Span::ms), show: body.show };
    let Made { ticket: row, email, way } = tickets::make(&at.app, &at.actor, &wish).await?;
    let (code, unmailed) = match way {
        TicketWay::Mailed => (None, None),
        TicketWay::Shown { code, why } => (Some(code.to_text()), Some(why.word().to_owned())),
    };
    Ok(Yes(TicketMade { ticket: ticket(row, email), mailed: code.is_none(), code, unmailed }))
}

async fn revoke(at: AtAdmin, Named(id): Named<TicketId>) -> Reply<Ticket> {
    let (row, email) = tickets::revoke(&at.app, &at.actor, id).await?;
    Ok(Yes(ticket(row, email)))
}

fn choice(body: &TicketMake) -> Result<Choice, No> {
    match (body.choice.as_deref(), body.replaces) {
        (None | Some("auto"), None) => Ok(Choice::Auto),
        (Some("add"), None) => Ok(Choice::AddNew),
        (None | Some("replace"), Some(device)) => Ok(Choice::Replace(device.0)),
        _ => Err(malformed("`choice` is auto, add, or replace with `replaces`.")),
    }
}

fn ticket(row: TicketRow, email: String) -> Ticket {
    let (choice, replaces) = match row.choice {
        Choice::Auto => ("auto", None),
        Choice::AddNew => ("add", None),
        Choice::Replace(device) => ("replace", Some(device)),
    };
    Ticket {
        ticket: Text(row.id),
        user: Text(row.user),
        email,
        prefix: row.prefix,
        choice: choice.to_owned(),
        replaces: replaces.map(Text),
        restore: row.restore.word().to_owned(),
        expires_at_ms: row.expires_at.as_ms(),
        revoked_at_ms: row.revoked_at.map(Timestamp::as_ms),
        used_at_ms: row.used_at.map(Timestamp::as_ms),
        used_by: row.used_by.map(Text),
        created_at_ms: row.created_at.as_ms(),
        created_by: row.created_by,
    }
}
