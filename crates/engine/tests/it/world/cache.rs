//! The port `TreeCache` in memory; can be emptied and damaged. Refuses to check what it gives: that is the engine's.

use engine::TreeCache;
use format::ChunkRef;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub struct MemoryCache(Mutex<HashMap<ChunkRef, Vec<u8>>>);

impl MemoryCache {
    pub fn empty(&self) {
        self.kept().clear();
    }

    pub fn kept(&self) -> MutexGuard<'_, HashMap<ChunkRef, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TreeCache for MemoryCache {
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
        self.kept().contains_key(tree)
    }

    /// What was ever kept stays here.
    fn keep_beneath(&self, _: &ChunkRef) {}

    fn keep(&self, tree: &ChunkRef, plain: &[u8]) {
        self.kept().insert(*tree, plain.to_vec());
    }
}
