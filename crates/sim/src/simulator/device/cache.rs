//! The port `TreeCache` in memory: what was kept of the last snapshot, and what is kept of the one being made.

use engine::TreeCache;
use format::ChunkRef;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The trees of one snapshot. A run works on a copy, which takes the place of this one when it has come to its end.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<ChunkRef, Vec<u8>>>);

impl Cache {
    /// A copy, to work on. Never fails.
    pub(super) fn beside(other: &Cache) -> Self {
        Self(Mutex::new(other.kept().clone()))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<ChunkRef, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TreeCache for Cache {
    fn get(&self, tree: &ChunkRef) -> Option<Vec<u8>> {
        self.kept().get(tree).cloned()
    }

    fn has(&self, tree: &ChunkRef) -> bool {
        self.kept().contains_key(tree)
    }

    fn mark_damaged(&self, tree: &ChunkRef) {
        self.kept().remove(tree);
    }

    fn keep_again(&self, tree: &ChunkRef) -> bool {
        self.has(tree)
    }

    fn keep_beneath(&self, _: &ChunkRef) {}

    fn keep(&self, tree: &ChunkRef, plain: &[u8]) {
        self.kept().insert(*tree, plain.to_vec());
    }
}
