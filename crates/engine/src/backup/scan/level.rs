//! A directory that is being walked: what is left of it here and in the parent snapshot, both in name order.
//! Refuses to know what becomes of an entry.

use crate::changes::Visit;
use crate::ports::Found;
use format::{Entry, StoredPath};
use std::collections::VecDeque;

pub(super) struct Level {
    pub path: StoredPath,
    /// How much of it is looked at. Of one that is only a way, `entries` are the next steps of it, and what `parents`
    /// has beside them is as it was.
    pub visit: Visit,
    pub entries: VecDeque<Found>,
    pub parents: VecDeque<Entry>,
}

/// What comes next in a directory.
pub(super) enum Next {
    /// An entry that is here, with the parent snapshot's entry of the same name.
    Found(Found, Option<Entry>),
    /// An entry that nobody has looked at, since it is as the parent snapshot has it.
    Kept(Entry),
}

impl Next {
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Found(found, _) => &found.name,
            Self::Kept(entry) => &entry.name,
        }
    }
}

impl Level {
    pub fn next(&mut self) -> Option<Next> {
        if self.visit == Visit::Way {
            let parent = self.parents.pop_front()?;
            let found = self.entries.pop_front_if(|found| found.name == parent.name);
            return Some(match found {
                Some(found) => Next::Found(found, Some(parent)),
                None => Next::Kept(parent),
            });
        }
        let found = self.entries.pop_front()?;
        while self.parents.front().is_some_and(|entry| entry.name < found.name) {
            self.parents.pop_front();
        }
        let parent = self.parents.pop_front_if(|entry| entry.name == found.name);
        Some(Next::Found(found, parent))
    }
}
