//! A stream that remembers since when its peer takes no bytes. Refuses to judge: the connection's task does.

use base::{Clock, Span, Timestamp};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Means that no write is waiting.
const FLOWING: i64 = i64::MIN;
/// How often the waiting time is looked at.
const LOOK: Span = Span::seconds(5);

/// A stream whose writes are watched.
pub(super) struct Watched<S> {
    inner: S,
    clock: Arc<dyn Clock>,
    waiting_since: Arc<AtomicI64>,
}

/// What is seen of a stream.
pub(super) struct Stall {
    clock: Arc<dyn Clock>,
    waiting_since: Arc<AtomicI64>,
}

impl<S> Watched<S> {
    /// The stream, and what is seen of it. Never fails.
    pub(super) fn new(inner: S, clock: Arc<dyn Clock>) -> (Self, Stall) {
        let waiting_since = Arc::new(AtomicI64::new(FLOWING));
        let stall = Stall { clock: Arc::clone(&clock), waiting_since: Arc::clone(&waiting_since) };
        (Self { inner, clock, waiting_since }, stall)
    }

    fn note<T>(&self, poll: Poll<T>) -> Poll<T> {
        if poll.is_ready() {
            self.waiting_since.store(FLOWING, Ordering::Relaxed);
        } else {
            let now = self.clock.now().as_ms();
            let _ = self.waiting_since.compare_exchange(FLOWING, now, Ordering::Relaxed, Ordering::Relaxed);
        }
        poll
    }
}

impl Stall {
    /// Resolves once a write has waited for longer than `span`. Never fails.
    pub(super) async fn longer_than(&self, span: Span) {
        loop {
            self.clock.sleep(LOOK).await;
            let since = self.waiting_since.load(Ordering::Relaxed);
            if since != FLOWING && self.clock.now().since(Timestamp::from_ms(since)) > span {
                return;
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
