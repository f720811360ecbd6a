//! A request with an idempotency key is carried out once; its answer is kept and given again. Refuses to end with
//! the caller: what has begun is finished and its answer kept, even when the connection breaks meanwhile.

use crate::extract::Whole;
use crate::reply::{No, SaidCode};
use crate::routes::{Route, Shared};
use app::idempotency::{self, Claim, Ended, Mark};
use app::{AdminActor, AppError};
use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequest as _, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use control::Refusal;
use http_body_util::BodyExt as _;
use std::sync::Arc;

/// The header with the caller's key.
pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that the answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The caller's key; `None` when the request has none.
///
/// # Errors
/// `idempotency_key_invalid` for more than one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<HeaderValue>, No> {
    let mut keys = headers.get_all(KEY).iter();
    match (keys.next(), keys.next()) {
        (key, None) => Ok(key.cloned()),
        (_, Some(_)) => Err(Refusal::IdempotencyKeyInvalid.into()),
    }
}

/// Carries the request out, or gives the answer that it got before. Never fails: a "no" is an answer.
pub(crate) async fn carried_out(
    shared: Shared,
    route: Arc<Route>,
    key: HeaderValue,
    request: Request,
    next: Next,
) -> Response {
    match claimed(&shared, &route, &key, request).await {
        Ok(Claimed::Go(mark, request)) => {
            let span = route.span.as_duration();
            let work = async move {
                // Whatever is under way when the time is over counts as such until it cannot be any more.
                match tokio::time::timeout(span, next.run(request)).await {
                    Ok(response) => settled(&shared, mark, response).await,
                    Err(_) => No::from(Refusal::IdempotencyInProgress).into_response(),
                }
            };
            let broken = |_| No(AppError::unavailable("server_failed", BROKEN, base::Span::minutes(1))).into_response();
            tokio::spawn(work).await.unwrap_or_else(broken)
        }
        Ok(Claimed::Again(response)) => response,
        Err(no) => no.into_response(),
    }
}

const BROKEN: &str = "The server could not do this now. Look whether it was done before you ask again.";

enum Claimed {
    Go(Mark, Request),
    Again(Response),
}

async fn claimed(shared: &Shared, route: &Route, key: &HeaderValue, request: Request) -> Result<Claimed, No> {
    let actor = request.extensions().get::<AdminActor>().cloned().ok_or(Refusal::CredentialInvalid)?;
    let (parts, body) = request.into_parts();
    let Whole(bytes) = Whole::from_request(Request::from_parts(parts.clone(), body), shared).await?;
    let uri = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let said = [parts.method.as_str().as_bytes(), uri.as_bytes(), &bytes];
    match idempotency::claim(&shared.app, &actor, key.as_bytes(), &said, route.span).await? {
        Claim::Go(mark) => {
            let mut request = Request::from_parts(parts, Body::from(bytes));
            request.extensions_mut().insert(actor.marked(mark));
            Ok(Claimed::Go(mark, request))
        }
        Claim::Again { status, body } => Ok(Claimed::Again(unpacked(status, &body))),
    }
}

/// Keeps the answer of a request that was carried out, and gives the key free after a "no".
async fn settled(shared: &Shared, mark: Mark, response: Response) -> Response {
    let app = &shared.app;
    let (parts, body) = response.into_parts();
    let is_short = body.size_hint().exact().is_some_and(|len| len <= idempotency::ANSWER_BYTES_MAX as u64);
    if !is_short {
        // Too long to be kept, and not to be gathered for that: it goes on as it comes.
        logged(idempotency::release(app, mark, Ended::Broken).await);
        return Response::from_parts(parts, body);
    }
    // A body that a handler has made whole does not break.
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let kept = if parts.status.is_success() {
        let packed = packed(parts.headers.get(CONTENT_TYPE), &body);
        idempotency::keep(app, mark, parts.status.as_u16(), &packed).await
    } else {
        let ended = if parts.status.is_client_error() { Ended::Refused } else { Ended::Broken };
        idempotency::release(app, mark, ended).await
    };
    logged(kept);
    Response::from_parts(parts, Body::from(body))
}

/// The change stands, and is noted with the key: a repeated request learns that its answer was lost.
fn logged(kept: Result<(), AppError>) {
    if let Err(error) = kept {
        crate::reply::log(&error);
    }
}

/// Length of the media type (1 byte), media type, body.
fn packed(media: Option<&HeaderValue>, body: &Bytes) -> Vec<u8> {
    let media = media.map_or(&b""[..], HeaderValue::as_bytes);
    let len = u8::try_from(media.len()).expect("the server's own media types are short");
    [&[len][..], media, body].concat()
}

fn unpacked(status: u16, packed: &[u8]) -> Response {
    let parts = packed.split_first().and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)));
    let (media, body) = parts.unwrap_or_default();
    let mut response = Response::new(Body::from(body.to_vec()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    if let Ok(media) = HeaderValue::from_bytes(media) {
        response.headers_mut().insert(CONTENT_TYPE, media);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response.extensions_mut().insert(SaidCode("replayed"));
    response
}
