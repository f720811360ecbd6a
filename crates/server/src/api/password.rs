//! `POST /v1/password-links`: whoever was given a link sets a password by it.

use crate::extract::{At, FromJson};
use crate::reply::{Reply, Yes};
use app::SecretText;
use app::password::Password;
use protocol::agent::password::{PasswordLinkReply, PasswordLinkRequest};

pub(crate) async fn link_use(at: At, FromJson(request): FromJson<PasswordLinkRequest>) -> Reply<PasswordLinkReply> {
    let PasswordLinkRequest { link, password } = request;
    let (link, password) = (SecretText::new(link), Password::new(password));
    let email = app::passwords::link_use(&at.app, at.source, &link, &password).await?;
    Ok(Yes(PasswordLinkReply { email }))
}
