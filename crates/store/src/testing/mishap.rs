//! What the S3 server of the tests does wrong, and when. Refuses to be random: a test says which requests.

use base::{Clock as _, Span, SystemClock};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::http::response::Parts;
use hyper::{Method, Response, StatusCode};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug)]
pub enum S3Mishap {
    /// It does nothing and is answered with this status and code: 503 and `SlowDown`, 400 and `ExpiredToken`.
    Refuse(u16, &'static str),
    /// It does nothing, and the connection ends without an answer.
    Drop,
    /// It takes effect, and the connection ends without an answer.
    LoseAnswer,
    /// The lowest bit of the byte at this offset of the request's body is turned on its way.
    FlipSent(usize),
    /// It takes effect, and there is no byte of the answer's body for this long.
    SlowBody(Span),
    /// The answer's body ends after so many bytes, though more were announced.
    Truncate(usize),
    /// The answer's body has one byte more than the object, and its length is not announced.
    Lengthen,
    /// The lowest bit of the byte at this offset of the answer's body is turned.
    Flip(usize),
}

pub(super) type Answer = UnsyncBoxBody<Bytes, io::Error>;

/// The mishaps that are still to come.
#[derive(Debug, Default)]
pub(super) struct Plan {
    mishaps: Mutex<VecDeque<(Method, S3Mishap)>>,
    requests: AtomicU64,
}

impl Plan {
    pub(super) fn add(&self, method: &Method, count: usize, mishap: S3Mishap) {
        let mut mishaps = self.mishaps.lock().unwrap_or_else(PoisonError::into_inner);
        mishaps.extend(std::iter::repeat_n((method.clone(), mishap), count));
    }

    pub(super) fn planned(&self) -> usize {
        self.mishaps.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Counts a request, and takes what is planned for it.
    pub(super) fn next(&self, method: &Method) -> Option<S3Mishap> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut mishaps = self.mishaps.lock().unwrap_or_else(PoisonError::into_inner);
        let place = mishaps.iter().position(|(of, _)| of == method)?;
        mishaps.remove(place).map(|(_, mishap)| mishap)
    }
}

impl S3Mishap {
    /// What happens in place of the request; None when it takes effect.
    pub(super) fn instead(&self) -> Option<io::Result<Response<Answer>>> {
        match self {
            Self::Refuse(status, code) => {
                let body = format!("<Error><Code>{code}</Code><Message>as the test wished</Message></Error>");
                let mut response = Response::new(whole(body.into()));
                *response.status_mut() = StatusCode::from_u16(*status).expect("a test names a status");
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
                Some(Ok(response))
            }
            Self::Drop => Some(Err(io::Error::other("the connection ends before the request took effect"))),
            _ => None,
        }
    }

    /// What becomes of the request's body on its way.
    pub(super) fn before(self, body: Bytes) -> Bytes {
        match self {
            Self::FlipSent(offset) => turned(&body, offset),
            _ => body,
        }
    }

    /// What becomes of the answer.
    pub(super) fn afterwards(self, mut parts: Parts, body: Bytes) -> io::Result<Response<Answer>> {
        let body = match self {
            Self::LoseAnswer => return Err(io::Error::other("the connection ends after the request took effect")),
            Self::SlowBody(span) => slow(body, span),
            Self::Truncate(len) => {
                parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
                streamed(vec![body.slice(..len.min(body.len()))])
            }
            Self::Lengthen => {
                parts.headers.remove(CONTENT_LENGTH);
                streamed(vec![body, Bytes::from_static(b"+")])
            }
            Self::Flip(offset) => whole(turned(&body, offset)),
            Self::Refuse(..) | Self::Drop | Self::FlipSent(_) => whole(body),
        };
        Ok(Response::from_parts(parts, body))
    }
}

fn turned(body: &Bytes, offset: usize) -> Bytes {
    let mut turned = BytesMut::from(&body[..]);
    assert!(offset < turned.len(), "the byte to turn lies within the {} of the body", turned.len());
    turned[offset] ^= 1;
    turned.freeze()
}

/// A body that is what it should be.
pub(super) fn whole(body: Bytes) -> Answer {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// A body whose length the HTTP library cannot see.
fn streamed(pieces: Vec<Bytes>) -> Answer {
    let frames = pieces.into_iter().map(|piece| Ok(Frame::data(piece)));
    StreamBody::new(futures::stream::iter(frames).boxed()).boxed_unsync()
}

fn slow(body: Bytes, span: Span) -> Answer {
    let late = futures::stream::once(async move {
        SystemClock.sleep(span).await;
        Ok(Frame::data(body))
    });
    StreamBody::new(late.boxed()).boxed_unsync()
}
