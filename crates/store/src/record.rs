//! A wrapper that counts: how often each verb was called, and how many bytes went through it.
//! Refuses nothing and changes nothing; tests assert on the counts.

use crate::{ObjectInfo, ObjectName, Put, Store, StoreError, Verb};
use async_trait::async_trait;
use base::Count;
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the calls to the store inside, also those that fail.
#[derive(Debug)]
pub struct Record<S> {
    inner: S,
    calls: [AtomicU64; Verb::ALL.len()],
    bytes: [AtomicU64; Verb::ALL.len()],
}

impl<S: Store> Record<S> {
    /// Wraps a store, with every count at zero. Never fails.
    pub fn new(inner: S) -> Self {
        Self { inner, calls: Default::default(), bytes: Default::default() }
    }

    /// The store inside. Never fails.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// How often the verb was called. Never fails.
    pub fn count(&self, verb: Verb) -> Count {
        Count(self.calls[verb as usize].load(Ordering::Relaxed))
    }

    /// How many bytes were given to `put_new`, or returned by `get` or `get_range`; zero for other verbs. Never fails.
    pub fn bytes(&self, verb: Verb) -> base::Bytes {
        base::Bytes(self.bytes[verb as usize].load(Ordering::Relaxed))
    }

    /// Sets every count back to zero. Never fails.
    pub fn reset(&self) {
        for counter in self.calls.iter().chain(&self.bytes) {
            counter.store(0, Ordering::Relaxed);
        }
    }

    fn called(&self, verb: Verb) {
        self.calls[verb as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn carried(&self, verb: Verb, bytes: &Bytes) {
        self.bytes[verb as usize].fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
}

#[async_trait]
impl<S: Store> Store for Record<S> {
    async fn put_new(&self, name: &ObjectName, bytes: Bytes) -> Result<Put, StoreError> {
        self.called(Verb::PutNew);
        self.carried(Verb::PutNew, &bytes);
        self.inner.put_new(name, bytes).await
    }

    async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        self.called(Verb::Get);
        let bytes = self.inner.get(name).await?;
        self.carried(Verb::Get, &bytes);
        Ok(bytes)
    }

    async fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        self.called(Verb::GetRange);
        let bytes = self.inner.get_range(name, offset, len).await?;
        self.carried(Verb::GetRange, &bytes);
        Ok(bytes)
    }

    async fn head(&self, name: &ObjectName) -> Result<Option<base::Bytes>, StoreError> {
        self.called(Verb::Head);
        self.inner.head(name).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        self.called(Verb::List);
        self.inner.list(prefix, after, limit).await
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.called(Verb::Remove);
        self.inner.remove(name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Memory;
    use std::sync::Arc;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_recorded_store_keeps_the_promises_of_a_store() {
        crate::conformance::run(Arc::new(Record::new(Memory::new()))).await;
    }

    #[tokio::test]
    async fn calls_are_counted_with_failures_and_bytes_without() {
        let store = Record::new(Memory::new());
        let name = ObjectName::new("a").expect("a plain name");
        store.put_new(&name, Bytes::from_static(b"12345")).await.expect("memory does not fail");
        store.get(&name).await.expect("it is there");
        store.get_range(&name, 1, 3).await.expect("it is long enough");
        store.get_range(&name, 1, 30).await.expect_err("it is too short");
        store.head(&name).await.expect("memory does not fail");
        store.list("", None, 1).await.expect("memory does not fail");
        store.remove(&name).await.expect("memory does not fail");

        let seen = Verb::ALL.map(|verb| (store.count(verb).0, store.bytes(verb).0));
        assert_eq!(seen, [(1, 5), (1, 5), (2, 3), (1, 0), (1, 0), (1, 0)]);
        store.reset();
        assert!(Verb::ALL.iter().all(|verb| store.count(*verb).0 == 0 && store.bytes(*verb).0 == 0));
    }
}
