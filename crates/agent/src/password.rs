//! A password that is set by a link. Refuses to ask twice: where no answer comes, the link may be used up, and whoever
//! has typed the password should know that it may hold.

use crate::error::AgentError;
use crate::hidden::Hidden;
use crate::remote::{Around, Connection};
use crate::state::Server;
use base::Span;
use control::Refusal;
use protocol::agent::password::PasswordLinkRequest;

/// Sets the password of whoever the link was made for; their address.
///
/// # Errors
/// `link_invalid`, what the organisation asks of passwords, `server_busy`; no answer.
pub async fn set_by_link(
    around: &Around,
    server: &Server,
    link: &Hidden,
    password: &Hidden,
) -> Result<String, AgentError> {
    let connection = Connection::to(server, &Around { patience: Span::ZERO, ..around.clone() })?;
    // The address of the page is taken as it is in a message: the link itself stands behind `#`.
    let link = link.expose().rsplit('#').next().unwrap_or_default().trim().to_owned();
    let password = password.expose().to_owned();
    let reply = connection.use_link(&PasswordLinkRequest { link, password }).await;
    reply.map(|reply| reply.email).map_err(AgentError::Remote)
}

/// Whether another password may be taken where this one was not: the link is good still. Never fails.
pub fn is_about_the_password(error: &AgentError) -> bool {
    let asked = [
        Refusal::PasswordTooShort { min: base::Count(0) },
        Refusal::PasswordTooLong { max: base::Bytes(0) },
        Refusal::PasswordReused,
    ];
    asked.iter().any(|refusal| refusal.code() == error.code())
}
