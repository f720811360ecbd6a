//! A wrapper that makes a chosen call go wrong, once, in a chosen way.
//! Refuses to be random: a test says which call, and the next one is well again.

use crate::{ObjectInfo, ObjectName, Put, Store, StoreError, Verb};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use std::sync::{Mutex, PoisonError};

/// Passes calls on to the store inside, save those for which a mishap is planned.
#[derive(Debug)]
pub struct Fault<S> {
    inner: S,
    plan: Mutex<Plan>,
}

/// What goes wrong.
#[derive(Debug)]
pub enum Mishap {
    /// The call does nothing and fails.
    Fail(StoreError),
    /// The call takes effect, and fails all the same: its answer was lost.
    LoseAnswer(StoreError),
    /// The bytes returned end after this many; for `get` and `get_range`.
    Truncate(usize),
    /// The lowest bit of the byte at this offset, counted in the bytes returned, is turned; for `get` and `get_range`.
    Flip(usize),
}

#[derive(Debug, Default)]
struct Plan {
    calls: [u64; Verb::ALL.len()],
    mishaps: Vec<(Verb, u64, Mishap)>,
}

impl<S: Store> Fault<S> {
    /// Wraps a store, with nothing planned. Never fails.
    pub fn new(inner: S) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// The store inside. Never fails.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Plans a mishap for the `nth` call of `verb` from now on; 1 is the next.
    ///
    /// # Panics
    /// When `nth` is 0, and when the mishap is one of bytes and the verb returns none.
    pub fn plan(&self, verb: Verb, nth: u64, mishap: Mishap) {
        assert!(nth > 0, "the next call is number 1");
        let of_bytes = matches!(mishap, Mishap::Truncate(_) | Mishap::Flip(_));
        assert!(!of_bytes || matches!(verb, Verb::Get | Verb::GetRange), "{verb:?} returns no bytes");
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let call = plan.calls[verb as usize] + nth;
        plan.mishaps.push((verb, call, mishap));
    }

    /// How many planned mishaps have not happened yet. Never fails.
    pub fn planned(&self) -> usize {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).mishaps.len()
    }

    /// Counts a call of `verb` and takes what is planned for it.
    fn next(&self, verb: Verb) -> Option<Mishap> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.calls[verb as usize] += 1;
        let call = plan.calls[verb as usize];
        let position = plan.mishaps.iter().position(|(of, at, _)| (*of, *at) == (verb, call))?;
        Some(plan.mishaps.remove(position).2)
    }
}

/// Carries out one call with its mishap, if any; a mishap of bytes has no meaning here, `plan` refuses it.
macro_rules! pass_on {
    ($self:ident, $verb:expr, $call:expr) => {
        match $self.next($verb) {
            Some(Mishap::Fail(error)) => Err(error),
            Some(Mishap::LoseAnswer(error)) => $call.await.and(Err(error)),
            Some(Mishap::Truncate(_) | Mishap::Flip(_)) | None => $call.await,
        }
    };
}

#[async_trait]
impl<S: Store> Store for Fault<S> {
    async fn put_new(&self, name: &ObjectName, bytes: Bytes) -> Result<Put, StoreError> {
        pass_on!(self, Verb::PutNew, self.inner.put_new(name, bytes))
    }

    async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        let mishap = self.next(Verb::Get);
        bytes_with(mishap, self.inner.get(name)).await
    }

    async fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        let mishap = self.next(Verb::GetRange);
        bytes_with(mishap, self.inner.get_range(name, offset, len)).await
    }

    async fn head(&self, name: &ObjectName) -> Result<Option<base::Bytes>, StoreError> {
        pass_on!(self, Verb::Head, self.inner.head(name))
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        pass_on!(self, Verb::List, self.inner.list(prefix, after, limit))
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        pass_on!(self, Verb::Remove, self.inner.remove(name))
    }
}

async fn bytes_with(
    mishap: Option<Mishap>,
    call: impl Future<Output = Result<Bytes, StoreError>>,
) -> Result<Bytes, StoreError> {
    match mishap {
        None => call.await,
        Some(Mishap::Fail(error)) => Err(error),
        Some(Mishap::LoseAnswer(error)) => call.await.and(Err(error)),
        Some(Mishap::Truncate(len)) => call.await.map(|bytes| bytes.slice(..len.min(bytes.len()))),
        Some(Mishap::Flip(offset)) => call.await.map(|bytes| {
            let mut turned = BytesMut::from(&bytes[..]);
            assert!(offset < turned.len(), "the byte to turn lies within the {} bytes returned", turned.len());
            turned[offset] ^= 1;
            turned.freeze()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;
    use std::sync::Arc;

    fn name() -> ObjectName {
        ObjectName::new("a").expect("a plain name")
    }

    async fn with_object() -> Fault<Memory> {
        let store = Fault::new(Memory::new());
        store.put_new(&name(), Bytes::from_static(b"12345")).await.expect("nothing is planned");
        store
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_store_without_planned_mishaps_keeps_the_promises_of_a_store() {
        crate::conformance::run(Arc::new(Fault::new(Memory::new()))).await;
    }

    #[tokio::test]
    async fn the_nth_call_fails_with_the_chosen_error_and_the_next_is_well() {
        let store = with_object().await;
        store.plan(Verb::Head, 2, Mishap::Fail(StoreError::Closing));
        assert!(store.head(&name()).await.is_ok());
        assert!(store.get(&name()).await.is_ok(), "a call of another verb does not count");
        assert!(matches!(store.head(&name()).await, Err(StoreError::Closing)));
        assert!(store.head(&name()).await.is_ok());
        assert_eq!(store.planned(), 0);
    }

    #[tokio::test]
    async fn a_failed_call_does_nothing_and_a_lost_answer_hides_what_was_done() {
        let store = with_object().await;
        store.plan(Verb::Remove, 1, Mishap::Fail(StoreError::Closing));
        store.plan(Verb::Remove, 2, Mishap::LoseAnswer(StoreError::Closing));
        assert!(store.remove(&name()).await.is_err());
        assert!(store.inner().head(&name()).await.expect("memory does not fail").is_some());
        assert!(store.remove(&name()).await.is_err());
        assert!(store.inner().head(&name()).await.expect("memory does not fail").is_none());
    }

    #[tokio::test]
    async fn bytes_are_cut_or_turned_once() {
        let store = with_object().await;
        store.plan(Verb::Get, 1, Mishap::Truncate(2));
        store.plan(Verb::Get, 2, Mishap::Flip(4));
        store.plan(Verb::GetRange, 1, Mishap::Flip(0));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(store.get(&name()).await.expect("only the bytes are wrong"));
        }
        seen.push(store.get_range(&name(), 1, 2).await.expect("only the bytes are wrong"));
        assert_eq!(seen, [&b"12"[..], b"12344", b"12345", b"33"]);
    }
}
