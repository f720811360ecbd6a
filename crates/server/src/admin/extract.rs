//! From HTTP to what a handler of the admin API takes. Refuses unknown fields, with a sentence that says which, and
//! never repeats a value: it may be a password.

use crate::extract::{NUL_SENTENCE, Whole, which};
pub(crate) use crate::extract::{Named, NamedPair, Query, malformed};
use crate::reply::No;
use crate::routes::Shared;
use app::page::PageAsk;
use app::{AdminActor, App};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use base::Timestamp;
use bytes::Bytes;
use control::Refusal;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The one letter that a text of the database cannot have, as JSON writes it.
const NUL_IN_JSON: &[u8] = b"\\u0000";

/// A request of somebody who administers and was let in.
pub(crate) struct AtAdmin {
    pub(crate) app: Arc<App>,
    pub(crate) actor: AdminActor,
}

impl FromRequestParts<Shared> for AtAdmin {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, No> {
        // Absent only when the route is not for admins: then nobody was let in as one.
        let actor = parts.extensions.get::<AdminActor>().cloned().ok_or(Refusal::CredentialInvalid)?;
        Ok(AtAdmin { app: Arc::clone(&shared.app), actor })
    }
}

/// A JSON body. An empty one stands for `{}`.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = No;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, No> {
        let Whole(bytes) = Whole::from_request(request, shared).await?;
        let bytes = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
        if bytes.windows(NUL_IN_JSON.len()).any(|letters| letters == NUL_IN_JSON) {
            return Err(malformed(NUL_SENTENCE));
        }
        serde_json::from_slice(bytes).map(Body).map_err(|error| {
            let at = format!("line {}, column {}", error.line(), error.column());
            malformed(format!("The body is not what this route takes ({at}){}.", which(&error)))
        })
    }
}

/// A body as it came, no longer than the route allows: a table in CSV.
pub(crate) struct Raw(pub(crate) Bytes);

impl FromRequest<Shared> for Raw {
    type Rejection = No;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, No> {
        let Whole(bytes) = Whole::from_request(request, shared).await?;
        Ok(Raw(bytes))
    }
}

/// The page that a query asks for.
///
/// # Errors
/// `request_malformed`.
pub(crate) fn ask(after: Option<String>, limit: Option<u64>) -> Result<PageAsk, No> {
    Ok(PageAsk::new(after, limit)?)
}

/// A point in time of the wire. Never fails.
pub(crate) fn time(ms: Option<i64>) -> Option<Timestamp> {
    ms.map(Timestamp::from_ms)
}

/// A word of the wire that may be absent, and must else be one of a few.
///
/// # Errors
/// `request_malformed`, with all of them.
pub(crate) fn word<T: Copy>(
    name: &str,
    text: Option<&str>,
    all: &[T],
    say: impl Fn(T) -> &'static str,
) -> Result<Option<T>, No> {
    text.map(|text| one_of(name, text, all, say)).transpose()
}

/// A word of the wire that must be one of a few, each of which `say` says.
///
/// # Errors
/// `request_malformed`, with all of them.
pub(crate) fn one_of<T: Copy>(name: &str, text: &str, all: &[T], say: impl Fn(T) -> &'static str) -> Result<T, No> {
    let wrong = || {
        let words: Vec<&str> = all.iter().map(|one| say(*one)).collect();
        malformed(format!("`{name}` is one of {}, and not \"{}\".", words.join(", "), text.escape_debug()))
    };
    all.iter().copied().find(|one| say(*one) == text).ok_or_else(wrong)
}
