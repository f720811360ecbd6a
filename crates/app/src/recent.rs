//! What was read a moment ago, for at most a span: the one cache behind devices' states and credentials.
//! Refuses to remember what a change made meanwhile has overtaken.

use base::{Planted, Span, Timestamp, is_planted};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Entries remembered at the same time; past it the cache starts afresh.
const REMEMBERED_MAX: usize = 100_000;

/// A cache of values that are good for a moment.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    inner: Mutex<Inner<K, V>>,
}

#[derive(Debug)]
struct Inner<K, V> {
    /// Grows at every change.
    generation: u64,
    known: HashMap<K, Known<V>>,
}

#[derive(Debug)]
struct Known<V> {
    value: V,
    read_at: Timestamp,
}

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup<V> {
    /// A value that is still good.
    Fresh(V),
    /// None; what is read now may be remembered as of this generation.
    Unknown {
        /// For `remember`.
        generation: u64,
    },
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { generation: 0, known: HashMap::new() }) }
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// What is behind `key` has changed: to be called after the commit. Never fails.
    pub(crate) fn changed(&self, key: &K) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.known.remove(key);
    }

    /// The value if it was read less than `span` ago. Never fails.
    pub(crate) fn lookup(&self, key: &K, now: Timestamp, span: Span) -> Lookup<V> {
        let inner = self.lock();
        match inner.known.get(key) {
            // A clock that was set back must not make an old value fresh for ever: both directions count.
            Some(known)
                if now >= known.read_at && now.since(known.read_at) < span || is_planted(Planted::CutOffUnseen) =>
            {
                Lookup::Fresh(known.value.clone())
            }
            Some(_) | None => Lookup::Unknown { generation: inner.generation },
        }
    }

    /// Keeps what was read at `read_at`, after a look that gave this generation. Never fails.
    pub(crate) fn remember(&self, key: K, value: V, read_at: Timestamp, generation: u64) {
        let mut inner = self.lock();
        // RACE: a change committed between the read and now has called `changed`: what was read may be older than it.
        if inner.generation != generation {
            return;
        }
        if inner.known.len() >= REMEMBERED_MAX {
            inner.known.clear();
        }
        inner.known.insert(key, Known { value, read_at });
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K, V>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Span = Span::ms(500);

    fn is_fresh(recent: &Recent<u8, u8>, now: i64) -> bool {
        recent.lookup(&1, Timestamp::from_ms(now), SPAN) == Lookup::Fresh(7)
    }

    #[test]
    fn a_value_is_known_for_the_span_and_not_before_it_was_read() {
        let recent = Recent::default();
        recent.remember(1, 7, Timestamp::from_ms(1_000), 0);
        assert!(is_fresh(&recent, 1_000) && is_fresh(&recent, 1_499));
        assert!(!is_fresh(&recent, 1_500) && !is_fresh(&recent, 999));
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let recent = Recent::default();
        recent.remember(1, 7, Timestamp::from_ms(0), 0);
        recent.changed(&1);
        assert!(!is_fresh(&recent, 1));
        recent.remember(1, 7, Timestamp::from_ms(0), 0);
        assert!(!is_fresh(&recent, 1), "the reader began before the change");
    }
}
