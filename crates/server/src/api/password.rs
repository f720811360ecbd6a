//! `POST /v1/password-links`: whoever was given a link sets a password by it; and the page that a link leads to.
//! Refuses to let the page load, send or be framed by anything else, and to learn the link before it is used: it stands
//! behind `#`, which browsers keep to themselves.

use crate::extract::{At, FromJson};
use crate::reply::{Reply, Yes};
use app::SecretText;
use app::password::Password;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use protocol::agent::password::{PasswordLinkReply, PasswordLinkRequest};

const PAGE: &str = include_str!("password/page.html");
const SCRIPT: &str = include_str!("password/page.js");
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// `GET /password`.
pub(crate) async fn page() -> Response {
    file("text/html; charset=utf-8", PAGE)
}

/// `GET /password.js`.
pub(crate) async fn script() -> Response {
    file("text/javascript; charset=utf-8", SCRIPT)
}

pub(crate) async fn link_use(at: At, FromJson(request): FromJson<PasswordLinkRequest>) -> Reply<PasswordLinkReply> {
    let PasswordLinkRequest { link, password } = request;
    let (link, password) = (SecretText::new(link), Password::new(password));
    let email = app::passwords::link_use(&at.app, at.source()?, &link, &password).await?;
    Ok(Yes(PasswordLinkReply { email }))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}
