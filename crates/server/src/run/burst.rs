//! The requests of a connection, from the first byte until nothing is under way any more. Then HTTP and its buffers are
//! let go, and the connection keeps no more than its TLS session until its peer speaks again: nearly all devices that
//! are connected are idle, and there are many of them.
//! Refuses to let go in doubt: a request whose body was not read to its end, and a byte that has not left, keep it.

use bytes::{Buf as _, Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is under way on a connection. Changed by its own task, but for bodies that another task holds: what those do
/// is seen late at worst, and late means that the connection is kept.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// Requests that were heard of.
    heard: AtomicU32,
    /// Requests whose answer is not over.
    unanswered: AtomicU32,
    /// Requests whose body was not read to its end.
    unread: AtomicU32,
    /// Something was written, and not flushed.
    unflushed: AtomicBool,
    /// There was nothing to read at the last look.
    drained: AtomicBool,
}

impl Burst {
    /// Whether all that came was answered, and nothing is left to do until the peer sends more. To be asked when HTTP
    /// has done what it could. Never fails.
    pub(super) fn is_over(&self) -> bool {
        let none = |count: &AtomicU32| count.load(Ordering::Relaxed) == 0;
        let holds = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        // A peer that has sent part of its first head is waited for by HTTP, which knows since when.
        let heard = !none(&self.heard);
        heard && none(&self.unanswered) && none(&self.unread) && holds(&self.drained) && !holds(&self.unflushed)
    }

    /// Counts a request until the answer that bears the guard is over. Never fails.
    pub(super) fn begins(self: &Arc<Self>) -> Unanswered {
        self.heard.fetch_add(1, Ordering::Relaxed);
        self.unanswered.fetch_add(1, Ordering::Relaxed);
        Unanswered(Arc::clone(self))
    }
}

/// A request's body, which tells when it was read to its end.
#[derive(Debug)]
pub(super) struct RequestBody {
    inner: Incoming,
    /// Absent once it was.
    unread: Option<Arc<Burst>>,
}

impl RequestBody {
    /// The body of a request of this burst. Never fails.
    pub(super) fn new(inner: Incoming, burst: &Arc<Burst>) -> Self {
        let unread = (!inner.is_end_stream()).then(|| Arc::clone(burst));
        if unread.is_some() {
            burst.unread.fetch_add(1, Ordering::Relaxed);
        }
        Self { inner, unread }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let poll = Pin::new(&mut self.inner).poll_frame(cx);
        let ended = matches!(poll, Poll::Ready(None)) || (poll.is_ready() && self.inner.is_end_stream());
        if ended && let Some(burst) = self.unread.take() {
            burst.unread.fetch_sub(1, Ordering::Relaxed);
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body, which is over when it is dropped.
#[derive(Debug)]
pub(super) struct AnswerBody<B> {
    inner: B,
    _unanswered: Unanswered,
}

impl<B> AnswerBody<B> {
    /// The body of the answer to the request that was counted with this guard. Never fails.
    pub(super) fn new(inner: B, unanswered: Unanswered) -> Self {
        Self { inner, _unanswered: unanswered }
    }
}

impl<B: Body + Unpin> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A request that has no whole answer yet.
#[derive(Debug)]
pub(super) struct Unanswered(Arc<Burst>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose reads and writes are seen.
#[derive(Debug)]
pub(super) struct Seen<S> {
    inner: S,
    /// What was read before and not understood: the beginning of a request.
    before: Bytes,
    burst: Arc<Burst>,
}

impl<S> Seen<S> {
    /// This stream, with bytes that come before its own. Never fails.
    pub(super) fn new(inner: S, before: Bytes, burst: Arc<Burst>) -> Self {
        Self { inner, before, burst }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Seen<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let len = self.before.len().min(buf.remaining());
            buf.put_slice(&self.before[..len]);
            self.before.advance(len);
            return Poll::Ready(Ok(()));
        }
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.burst.drained.store(poll.is_pending(), Ordering::Relaxed);
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Seen<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.burst.unflushed.store(true, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.burst.unflushed.store(true, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_flush(cx);
        if matches!(poll, Poll::Ready(Ok(()))) {
            self.burst.unflushed.store(false, Ordering::Relaxed);
        }
        poll
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // From here on the connection is closing.
        self.burst.unflushed.store(true, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
