//! What a connection's task sees of its connection: since when its peer takes no bytes, and for which device an answer
//! is on its way. An idle connection costs no timer: the task sleeps until there is something to look after.
//! Refuses to judge what the rules judge: whether the device may still have the answer, `app::guard` says.

use app::{App, AppError, DeviceActor, guard};
use base::{Span, Timestamp};
use control::access::Verb;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// A connection whose peer takes no bytes of an answer for this long is closed.
pub const STALL_SPAN: Span = Span::seconds(60);
/// Means that no write is waiting.
const FLOWING: i64 = i64::MIN;
/// How often the waiting time of a write is looked at.
const LOOK: Span = Span::seconds(5);

/// What is seen of one connection.
pub(crate) struct Line {
    app: Arc<App>,
    waiting_since: AtomicI64,
    /// Whose answer is on its way, and what the device must be allowed for it.
    answering: Mutex<Option<(DeviceActor, Verb)>>,
    changed: Notify,
}

/// Why a connection is closed in the middle.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Its peer took no bytes for too long.
    Stalled,
    /// The device whose answer was on its way may not have it any more.
    Cut(AppError),
}

impl Line {
    /// A connection on which nothing has happened yet. Never fails.
    pub(crate) fn new(app: Arc<App>) -> Arc<Self> {
        let (waiting_since, answering, changed) = (AtomicI64::new(FLOWING), Mutex::default(), Notify::new());
        Arc::new(Self { app, waiting_since, answering, changed })
    }

    /// Looks after an answer of this device until the guard is dropped. Never fails.
    pub(crate) fn answers(self: Arc<Self>, actor: DeviceActor, verb: Verb) -> Answering {
        self.answering_set(Some((actor, verb)));
        Answering { line: self }
    }

    /// Resolves once the connection has to be closed, whatever is under way on it. Never fails.
    pub(crate) async fn broken(&self) -> Broken {
        let stalls = async {
            loop {
                let waits = || self.waiting_since.load(Ordering::Relaxed) != FLOWING;
                self.until(waits).await;
                self.app.clock.sleep(LOOK).await;
                let since = self.waiting_since.load(Ordering::Relaxed);
                if since != FLOWING && self.app.clock.now().since(Timestamp::from_ms(since)) > STALL_SPAN {
                    return Broken::Stalled;
                }
            }
        };
        let cuts = async {
            loop {
                self.until(|| self.answered_to().is_some()).await;
                let Some((actor, verb)) = self.answered_to() else { continue };
                let done = self.until(|| self.answered_to().is_none());
                if let Err(error) = guard::hold(&self.app, &actor, verb, done).await {
                    return Broken::Cut(error);
                }
            }
        };
        tokio::select! {
            stalled = stalls => stalled,
            cut = cuts => cut,
        }
    }

    /// Resolves when this is so; looked at whenever something changes.
    async fn until(&self, is_so: impl Fn() -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // RACE: heard of before the look, or a change in between would not be.
            changed.as_mut().enable();
            if is_so() {
                return;
            }
            changed.await;
        }
    }

    fn answered_to(&self) -> Option<(DeviceActor, Verb)> {
        self.answering.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn answering_set(&self, to: Option<(DeviceActor, Verb)>) {
        *self.answering.lock().unwrap_or_else(PoisonError::into_inner) = to;
        self.changed.notify_waiters();
    }
}

/// An answer on its way. Held by its body.
pub(crate) struct Answering {
    line: Arc<Line>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.line.answering_set(None);
    }
}

/// A stream whose writes are seen.
pub(super) struct Watched<S> {
    inner: S,
    line: Arc<Line>,
}

impl<S> Watched<S> {
    /// The stream of this line. Never fails.
    pub(super) fn new(inner: S, line: Arc<Line>) -> Self {
        Self { inner, line }
    }

    fn note<T>(&self, poll: Poll<T>) -> Poll<T> {
        let line = &self.line;
        if poll.is_ready() {
            line.waiting_since.store(FLOWING, Ordering::Relaxed);
        } else {
            let now = line.app.clock.now().as_ms();
            let first = line.waiting_since.compare_exchange(FLOWING, now, Ordering::Relaxed, Ordering::Relaxed);
            if first.is_ok() {
                line.changed.notify_waiters();
            }
        }
        poll
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
