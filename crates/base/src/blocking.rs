//! Work that waits for a disk or computes for long, beside the threads that must not wait.
//! Refuses to hide a panic of it. On a thread that has called `inline` the work is done there and then: the order of
//! what happens in the simulator depends on no other thread.

use std::cell::Cell;
use std::marker::PhantomData;
use tokio::task::{JoinError, spawn_blocking};

thread_local! {
    static INLINE: Cell<bool> = const { Cell::new(false) };
}

/// Does `work` on the threads that tokio keeps for that; it runs to its end even if nobody waits any more.
///
/// # Errors
/// It panicked, or the runtime ends.
#[expect(clippy::disallowed_methods, reason = "the one place that hands work to those threads")]
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    if INLINE.get() { Ok(work()) } else { spawn_blocking(work).await }
}

/// As long as it lives, `blocking` works at once on the thread that asks for it, as `engine::Cpu::inline` does.
#[derive(Debug)]
pub struct Inline(PhantomData<*const ()>);

/// Begins that on the current thread. Never fails.
#[must_use]
pub fn inline() -> Inline {
    INLINE.set(true);
    Inline(PhantomData)
}

impl Drop for Inline {
    fn drop(&mut self) {
        INLINE.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[tokio::test]
    async fn work_is_done_elsewhere_but_while_it_is_inline() {
        let here = thread::current().id();
        let elsewhere = || async { blocking(|| thread::current().id()).await.expect("it does not panic") };
        assert_ne!(elsewhere().await, here);
        let inline = inline();
        assert_eq!(elsewhere().await, here);
        drop(inline);
        assert_ne!(elsewhere().await, here);
    }
}
