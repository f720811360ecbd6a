//! A pool of threads for work that blocks or computes, so that the thread that talks to the server never waits.
//! `inline` does the work at once on the caller's thread: the simulator's order is then fixed.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use threadpool::ThreadPool;
use tokio::sync::oneshot;

/// Where blocking and computing work is done; cheap to clone.
#[derive(Clone)]
pub struct Cpu(Option<Pools>);

#[derive(Clone)]
struct Pools {
    work: ThreadPool,
    /// One thread for what is short and has others waiting: it need not queue behind what is long.
    brief: ThreadPool,
}

impl Cpu {
    /// A pool of so many threads, one at least, and one more for what is brief, that lives as long as its clones. An
    /// idle thread sleeps: one that spins would take the core from the server beside it. Never fails, as far as the
    /// system gives threads.
    pub fn threads(threads: usize) -> Self {
        let pool =
            |threads, name: &str| threadpool::Builder::new().num_threads(threads).thread_name(name.to_owned()).build();
        Self(Some(Pools { work: pool(threads.max(1), "engine"), brief: pool(1, "engine, brief") }))
    }

    /// Work is done where it is asked for, one piece after the other. Never fails.
    pub fn inline() -> Self {
        Self(None)
    }

    /// Does `work` and gives its result. A panic in `work` comes out here. Never fails otherwise.
    ///
    /// RACE: work that was handed to the pool is done whether or not this future is polled again. A step that waits
    /// for a later one must not hold a thread that the later one needs.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.start(work).await
    }

    /// The same, begun at once and not only when the answer is waited for.
    pub fn start<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Started<T> {
        start_in(self.0.as_ref().map(|pools| &pools.work), work)
    }

    /// The same as `run` for work of some system calls for which a whole step waits: it does not queue behind work that
    /// computes.
    pub async fn brief<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        start_in(self.0.as_ref().map(|pools| &pools.brief), work).await
    }
}

fn start_in<T: Send + 'static>(pool: Option<&ThreadPool>, work: impl FnOnce() -> T + Send + 'static) -> Started<T> {
    let (sender, receiver) = oneshot::channel();
    let work = move || {
        // Nobody waits any more when the run was given up: the result is then nobody's.
        let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
    };
    match pool {
        Some(pool) => pool.execute(work),
        None => work(),
    }
    Started(receiver)
}

/// Work that was begun; waited for as a future.
pub struct Started<T>(oneshot::Receiver<Result<T, Box<dyn Any + Send>>>);

impl<T> Future for Started<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let ended = ready!(Pin::new(&mut self.0).poll(context)).expect("the pool does what it was given");
        Poll::Ready(ended.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cpu({} threads)", self.0.as_ref().map_or(0, |pools| pools.work.max_count()))
    }
}
