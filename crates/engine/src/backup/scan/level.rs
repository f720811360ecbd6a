//! A directory that is being walked: what is left of it here and in the parent snapshot, both in name order. Of a large
//! one only a part of either is held, and what comes next is asked for. Refuses to know what becomes of an entry.

use crate::changes::Visit;
use crate::ports::{Found, More};
use crate::trees::Pages;
use format::{Entry, StoredPath};
use std::collections::VecDeque;

pub(super) struct Level {
    pub path: StoredPath,
    /// How much of it is looked at. Of one that is only a way, `entries` are the next steps of it, and what `parents`
    /// has beside them is as it was.
    pub visit: Visit,
    pub entries: VecDeque<Found>,
    /// What comes after `entries`.
    pub more: Option<Box<dyn More>>,
    pub parents: VecDeque<Entry>,
    /// The pages of the parent's tree that come after `parents`.
    pub pages: Pages,
    /// How many entries the parent has, as far as they have been seen.
    pub parents_seen: usize,
}

/// What comes next in a directory.
pub(super) enum Next {
    /// An entry that is here, with the parent snapshot's entry of the same name.
    Found(Found, Option<Entry>),
    /// An entry that nobody has looked at, since it is as the parent snapshot has it.
    Kept(Entry),
    /// More of the directory has to be looked at.
    Look,
    /// More pages of the parent's tree have to be read.
    Pages,
    /// Nothing.
    End,
}

impl Level {
    pub fn next(&mut self) -> Next {
        if self.visit == Visit::Way {
            let Some(parent) = self.parents.pop_front() else { return self.pages_or(Next::End) };
            return match self.entries.pop_front_if(|found| found.name == parent.name) {
                Some(found) => Next::Found(found, Some(parent)),
                None => Next::Kept(parent),
            };
        }
        let Some(found) = self.entries.front() else {
            // What is left of the parent is not here any more, and is counted all the same.
            return if self.more.is_some() { Next::Look } else { self.pages_or(Next::End) };
        };
        while self.parents.front().is_some_and(|entry| entry.name < found.name) {
            self.parents.pop_front();
        }
        if self.parents.is_empty() && !self.pages.is_empty() {
            return Next::Pages;
        }
        let parent = self.parents.pop_front_if(|entry| entry.name == found.name);
        match self.entries.pop_front() {
            Some(found) => Next::Found(found, parent),
            None => Next::End,
        }
    }

    fn pages_or(&self, other: Next) -> Next {
        if self.pages.is_empty() { other } else { Next::Pages }
    }
}
