//! From HTTP to what a handler of the admin API takes. Refuses unknown fields and parameters, with a sentence that
//! says which, and never repeats a value: it may be a password.

use crate::extract::Whole;
use crate::reply::No;
use crate::routes::Shared;
use app::page::PageAsk;
use app::{AdminActor, App, AppError};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use base::Timestamp;
use bytes::Bytes;
use control::Refusal;
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// The one letter that a text of the database cannot have, as JSON and as a query write it.
const NUL_IN_JSON: &[u8] = b"\\u0000";
const NUL_IN_QUERY: &str = "%00";
const NUL_SENTENCE: &str = "A text cannot have the letter with the number zero.";

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

/// The query of the request.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Query<T> {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, No> {
        if parts.uri.query().is_some_and(|query| query.contains(NUL_IN_QUERY)) {
            return Err(malformed(NUL_SENTENCE));
        }
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        let query = query.map_err(|error| {
            let source = std::error::Error::source(&error).map(which).unwrap_or_default();
            malformed(format!("The query is not what this route takes{source}."))
        })?;
        Ok(Query(query.0))
    }
}

/// An identifier in the path.
pub(crate) struct Named<T>(pub(crate) T);

impl<T> FromRequestParts<Shared> for Named<T>
where
    T: FromStr + Send,
    T::Err: Display,
{
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, No> {
        let Path(text) =
            Path::<String>::from_request_parts(parts, shared).await.map_err(|_| Refusal::RequestMalformed)?;
        parsed(&text).map(Named)
    }
}

/// Two identifiers in the path.
pub(crate) struct NamedPair<T, U>(pub(crate) T, pub(crate) U);

impl<T, U> FromRequestParts<Shared> for NamedPair<T, U>
where
    T: FromStr + Send,
    T::Err: Display,
    U: FromStr + Send,
    U::Err: Display,
{
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, No> {
        let Path((one, other)) =
            Path::<(String, String)>::from_request_parts(parts, shared).await.map_err(|_| Refusal::RequestMalformed)?;
        Ok(NamedPair(parsed(&one)?, parsed(&other)?))
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

/// A word of the wire that must be one of a few.
///
/// # Errors
/// `request_malformed`.
pub(crate) fn word<T>(name: &str, text: Option<&str>, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, No> {
    let wrong = || malformed(format!("`{name}` has none of the words that it can have."));
    text.map(|text| parse(text).ok_or_else(wrong)).transpose()
}

/// `request_malformed` with a sentence of its own. Never fails.
pub(crate) fn malformed(sentence: impl Into<String>) -> No {
    No(AppError::invalid(Refusal::RequestMalformed.code(), sentence))
}

fn parsed<T>(text: &str) -> Result<T, No>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error| malformed(format!("\"{}\" in the path is {error}.", text.escape_debug())))
}

/// Which field is meant, where the reader says so without a value.
fn which(error: &(impl Display + ?Sized)) -> String {
    let text = error.to_string();
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .into_iter()
        .find_map(|beginning| Some((beginning, text.split_once(beginning)?.1.split_once('`')?.0)));
    match named {
        Some((beginning, field)) => format!(": {beginning}{}`", field.escape_debug()),
        None => String::new(),
    }
}
