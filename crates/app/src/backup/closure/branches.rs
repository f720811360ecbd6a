//! Trees and lists on their way through a walk: who waits for whom.
//! Refuses a number that is not in use: that would be a bug.

use super::decode::Role;
use db::Shape;
use format::{ChunkId, Totals};

/// A tree or list on its way.
pub(super) struct Branch {
    pub(super) id: ChunkId,
    pub(super) role: Role,
    pub(super) waiters: Vec<Waiter>,
    /// Who named it first, and by what name: for its path.
    pub(super) parent: Option<usize>,
    pub(super) name: Box<[u8]>,
    /// How many of the chunks that it names are not whole yet.
    pub(super) waiting: usize,
    pub(super) shape: Shape,
    pub(super) declared: Totals,
    pub(super) sum: Totals,
}

/// A branch that waits for another.
#[derive(Clone, Copy)]
pub(super) struct Waiter {
    pub(super) branch: usize,
    /// What it says of a list: pieces, and what they cover.
    pub(super) said: Option<(u64, u64)>,
}

/// Branches by number; a number that is free is used again.
#[derive(Default)]
pub(super) struct Branches {
    branches: Vec<Option<Branch>>,
    free: Vec<usize>,
}

impl Branches {
    pub(super) fn len(&self) -> usize {
        self.branches.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, branch: Branch) -> usize {
        match self.free.pop() {
            Some(index) => {
                self.branches[index] = Some(branch);
                index
            }
            None => {
                self.branches.push(Some(branch));
                self.branches.len() - 1
            }
        }
    }

    pub(super) fn remove(&mut self, index: usize) -> Branch {
        self.free.push(index);
        self.branches[index].take().expect("a branch is finished once")
    }

    pub(super) fn get(&self, index: usize) -> &Branch {
        self.branches[index].as_ref().expect("a branch lives until it is finished")
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut Branch {
        self.branches[index].as_mut().expect("a branch lives until it is finished")
    }
}
