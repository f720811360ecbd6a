//! From HTTP to what a handler takes: actor, JSON, refs, identifiers, queries, streams. Refuses, with a problem and a
//! stable code, every body that is longer than its route allows or is not what it must be.

use crate::reply::No;
use crate::routes::{Peer, Route, Shared};
use app::{App, AppError, DeviceActor};
use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, header};
use base::Bytes as Size;
use bytes::Bytes;
use control::Refusal;
use control::token::Networks;
use futures::{Stream, StreamExt as _};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// The one letter that a text of the database cannot have, as a query writes it.
const NUL_IN_QUERY: &str = "%00";
pub(crate) const NUL_SENTENCE: &str = "A text cannot have the letter with the number zero.";

/// A request that needs no device.
pub(crate) struct At {
    pub(crate) app: Arc<App>,
    pub(crate) shared: Shared,
    source: Option<IpAddr>,
}

impl At {
    /// Where the request comes from.
    ///
    /// # Errors
    /// `request_malformed` for one that came over no connection: nobody's attempts could be counted.
    pub(crate) fn source(&self) -> Result<IpAddr, No> {
        self.source.ok_or_else(|| Refusal::RequestMalformed.into())
    }
}

/// A request of a device that was let in.
pub(crate) struct AtDevice {
    pub(crate) app: Arc<App>,
    pub(crate) actor: DeviceActor,
}

impl FromRequestParts<Shared> for At {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, No> {
        let source = source_of(&parts.extensions, &parts.headers, shared);
        Ok(At { app: Arc::clone(&shared.app), shared: shared.clone(), source })
    }
}

impl FromRequestParts<Shared> for AtDevice {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, No> {
        // Absent only when the route is not for devices: then nobody was let in as one.
        let actor = parts.extensions.get::<DeviceActor>().cloned().ok_or(Refusal::SessionInvalid)?;
        Ok(AtDevice { app: Arc::clone(&shared.app), actor })
    }
}

/// A JSON body.
pub(crate) struct FromJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Shared> for FromJson<T> {
    type Rejection = No;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, No> {
        let Whole(bytes) = Whole::from_request(request, shared).await?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(FromJson(value)),
            Err(error) => {
                // The position and the field, never the value: it may be a password.
                tracing::debug!("a request is not understood at line {} column {}", error.line(), error.column());
                Err(Refusal::RequestMalformed.into())
            }
        }
    }
}

/// A whole body, no longer than the route allows.
pub(crate) struct Whole(pub(crate) Bytes);

impl FromRequest<Shared> for Whole {
    type Rejection = No;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, No> {
        let limit = body_max(&request);
        let collected = Limited::new(request.into_body(), usize::try_from(limit.0).unwrap_or(usize::MAX)).collect();
        match collected.await {
            Ok(collected) => {
                let bytes = collected.to_bytes();
                shared.metrics.received(Size::of(bytes.len()));
                Ok(Whole(bytes))
            }
            Err(error) if error.is::<LengthLimitError>() => Err(Refusal::RequestTooLarge.into()),
            // The connection broke: nobody reads this answer.
            Err(_) => Err(Refusal::RequestMalformed.into()),
        }
    }
}

/// A body of names, 32 bytes each.
pub(crate) struct Names(pub(crate) Vec<[u8; 32]>);

impl FromRequest<Shared> for Names {
    type Rejection = No;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, No> {
        let Whole(bytes) = Whole::from_request(request, shared).await?;
        let (names, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(Refusal::RequestMalformed.into());
        }
        Ok(Names(names.to_vec()))
    }
}

/// A body that is passed on as it arrives.
pub(crate) struct Streamed {
    /// How long the body says it is.
    pub(crate) len: Option<u64>,
    body: Body,
    shared: Shared,
}

impl FromRequest<Shared> for Streamed {
    type Rejection = No;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, No> {
        let len = content_length(request.headers());
        Ok(Streamed { len, body: request.into_body(), shared: shared.clone() })
    }
}

impl Streamed {
    /// The body's bytes as they arrive; an error when the connection breaks. How long the next may take, the use case
    /// decides.
    pub(crate) fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let Streamed { body, shared, .. } = self;
        body.into_data_stream().map(move |piece| {
            let piece = piece.map_err(io::Error::other)?;
            shared.metrics.received(Size::of(piece.len()));
            Ok(piece)
        })
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

/// Where a request comes from; `None` for one that came over no connection. Never fails.
pub(crate) fn source_of(extensions: &Extensions, headers: &HeaderMap, shared: &Shared) -> Option<IpAddr> {
    let Peer(peer) = extensions.get::<Peer>()?;
    Some(source(peer.ip(), headers, &shared.app.config.proxy_trusted))
}

/// Where a request comes from: the connection's other end, or, where that is a proxy that is trusted, the nearest
/// address in `X-Forwarded-For` that is not one. What stands further away was written by whoever likes. Never fails.
fn source(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> IpAddr {
    let mut source = peer.to_canonical();
    let hops = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = hops.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        if !trusted.lists(source) {
            break;
        }
        match hop.parse::<IpAddr>() {
            Ok(address) => source = address.to_canonical(),
            Err(_) => break,
        }
    }
    source
}

/// The token of `Authorization: Bearer`; `None` when there is none. Never fails.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// How long the body says it is; `None` when it does not say. Never fails.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
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

/// Which field is meant, where the reader says so without a value; of a word that is none of those that there are,
/// which there are. Never fails.
pub(crate) fn which(error: &(impl Display + ?Sized)) -> String {
    let text = error.to_string();
    let named = ["unknown field `", "missing field `", "duplicate field `"]
        .into_iter()
        .find_map(|beginning| Some((beginning, text.split_once(beginning)?.1.split_once('`')?.0)));
    let words = text.split_once("unknown variant `").and_then(|(_, rest)| rest.rsplit_once("`, expected "));
    if let Some((_, words)) = words {
        let words = words.split_once(" at line").map_or(words, |(words, _)| words);
        return format!(": a word of it is none of those that there are, expected {}", words.escape_debug());
    }
    match named {
        Some((beginning, field)) => format!(": {beginning}{}`", field.escape_debug()),
        None => String::new(),
    }
}

fn body_max(request: &Request) -> Size {
    request.extensions().get::<Arc<Route>>().map_or(Size(0), |route| route.body_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_source_is_believed_only_as_far_as_trusted_proxies_go() {
        let trusted = Networks::parse(["10.0.0.0/8", "::1"]).expect("networks");
        for (peer, forwarded, expected) in [
            ("192.0.2.1", "", "192.0.2.1"),
            ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.7, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
            ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
            ("10.0.0.1", "198.51.100.7, unknown", "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            if !forwarded.is_empty() {
                headers.insert("x-forwarded-for", HeaderValue::from_static(forwarded));
            }
            let found = source(peer.parse().expect("an address"), &headers, &trusted);
            assert_eq!(found.to_string(), expected, "{peer} {forwarded}");
            assert_eq!(
                source(found, &headers, &Networks::default()),
                found,
                "without a trusted proxy nobody is believed"
            );
        }
    }
}
