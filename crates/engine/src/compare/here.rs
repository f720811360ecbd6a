//! What is in a folder here, beside the entries of its tree: both come in the order of their names, so that neither is
//! held whole where there are very many. Refuses to go back.

use crate::cpu::Cpu;
use crate::error::SourceError;
use crate::ports::{Listing, More, Stat};
use std::collections::VecDeque;

/// A listing that is walked through once.
///
/// INVARIANT: names are asked for in ascending order. A leaf has them so, and `TreeReader` checks where a page lies.
pub(super) struct Here {
    looked: VecDeque<(Vec<u8>, Result<Stat, SourceError>)>,
    more: Option<Box<dyn More>>,
    /// Names that nobody has asked for.
    passed: u64,
}

impl From<Listing> for Here {
    fn from(listing: Listing) -> Self {
        let mut here = Self { looked: VecDeque::new(), more: None, passed: 0 };
        here.take_in(listing);
        here
    }
}

impl Here {
    /// One name alone.
    pub fn one(name: Vec<u8>, looked: Result<Stat, SourceError>) -> Self {
        Self { looked: VecDeque::from([(name, looked)]), more: None, passed: 0 }
    }

    /// What has this name, which comes after all that were asked for before.
    pub async fn find(&mut self, cpu: &Cpu, name: &[u8]) -> Option<Result<Stat, SourceError>> {
        while self.has_next(cpu).await {
            let (next, _) = self.looked.front()?;
            if next.as_slice() > name {
                return None;
            }
            let (next, looked) = self.looked.pop_front()?;
            if next == name {
                return Some(looked);
            }
            self.passed += 1;
        }
        None
    }

    /// How many names nobody has asked for, to the end of the listing.
    pub async fn not_asked_for(mut self, cpu: &Cpu) -> u64 {
        while self.has_next(cpu).await {
            self.passed += self.looked.drain(..).count() as u64;
        }
        self.passed
    }

    /// Looks on until something is there; false at the end.
    async fn has_next(&mut self, cpu: &Cpu) -> bool {
        while self.looked.is_empty() {
            let Some(more) = self.more.take() else { return false };
            let listing = cpu.run(move || Listing::next_of(more)).await;
            self.take_in(listing);
        }
        true
    }

    fn take_in(&mut self, Listing { entries, problems, more }: Listing) {
        let entries = entries.into_iter().map(|found| (found.name, Ok(found.stat)));
        let problems = problems.into_iter().map(|(name, error)| (name, Err(error)));
        let mut looked: Vec<_> = entries.chain(problems).collect();
        looked.sort_by(|(one, _), (other, _)| one.cmp(other));
        // A directory that changes while it is listed may show a name twice.
        looked.dedup_by(|(later, _), (first, _)| later == first);
        (self.looked, self.more) = (looked.into(), more);
    }
}
