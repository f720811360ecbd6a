//! Where anything may have changed since the parent's run, as a change journal tells. Pure.
//! Refuses to guess: of a directory that a journal is not sure of, everything beneath is named.
//! Rule: docs/format.md, "Change detection".

use format::StoredPath;
use std::collections::BTreeSet;

/// Directories to look at again; all others are as the parent snapshot has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Directories of which themselves or an entry may have changed.
    entries: BTreeSet<StoredPath>,
    /// Directories beneath which anything may have changed. None lies beneath another.
    all: BTreeSet<StoredPath>,
}

/// How much of a directory is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Nothing in it or beneath it has changed.
    Nothing,
    /// It leads to what has changed, and has not itself.
    Way,
    /// Its entries may have changed; of what is beneath them, each is asked for by itself.
    Entries,
    /// It and everything beneath it may have changed.
    All,
}

impl Changes {
    /// A directory that may have changed itself, or of which an entry may have. Never fails.
    pub fn add(&mut self, directory: StoredPath) {
        self.entries.insert(directory);
    }

    /// A path at and beneath which anything may have changed. Never fails.
    pub fn add_all(&mut self, path: StoredPath) {
        if self.is_in_all(&path) {
            return;
        }
        let covered: Vec<StoredPath> = self.at_or_beneath(&self.all, &path).cloned().collect();
        for beneath in covered {
            self.all.remove(&beneath);
        }
        self.all.insert(path);
    }

    /// How much of a directory is to be looked at. Never fails.
    pub fn at(&self, directory: &StoredPath) -> Visit {
        if self.is_in_all(directory) {
            Visit::All
        } else if self.entries.contains(directory) {
            Visit::Entries
        } else if [&self.entries, &self.all].into_iter().any(|set| self.at_or_beneath(set, directory).next().is_some())
        {
            Visit::Way
        } else {
            Visit::Nothing
        }
    }

    /// The directories of which themselves or an entry may have changed. Never fails.
    pub fn entries(&self) -> impl Iterator<Item = &StoredPath> {
        self.entries.iter()
    }

    /// The paths at and beneath which anything may have changed. Never fails.
    pub fn all(&self) -> impl Iterator<Item = &StoredPath> {
        self.all.iter()
    }

    /// How many paths it names. Never fails.
    pub fn count(&self) -> usize {
        self.entries.len() + self.all.len()
    }

    /// Whether the path is one of those, or beneath one. As none lies beneath another, and what lies beneath a path
    /// follows it at once, it can only be the last one before.
    fn is_in_all(&self, path: &StoredPath) -> bool {
        self.all.range(..=path).next_back().is_some_and(|before| path.starts_with(before))
    }

    fn at_or_beneath<'a>(
        &self,
        set: &'a BTreeSet<StoredPath>,
        path: &'a StoredPath,
    ) -> impl Iterator<Item = &'a StoredPath> {
        set.range(path..).take_while(|other| other.starts_with(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> StoredPath {
        StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path")
    }

    #[test]
    fn a_change_is_looked_at_with_the_way_to_it_and_nothing_beside() {
        let mut changes = Changes::default();
        changes.add(path("home/ann/docs"));
        changes.add_all(path("home/ann/docs/deep"));
        changes.add_all(path("srv"));
        for (at, visit) in [
            ("", Visit::Way),
            ("home", Visit::Way),
            ("home/ann", Visit::Way),
            ("home/ann/docs", Visit::Entries),
            ("home/ann/docs-old", Visit::Nothing),
            ("home/ann/docs/deep", Visit::All),
            ("home/ann/docs/deep/er", Visit::All),
            ("home/ann/docs/deeper", Visit::Nothing),
            ("home/bob", Visit::Nothing),
            ("srv", Visit::All),
            ("srv/x/y", Visit::All),
            ("srv2", Visit::Nothing),
        ] {
            assert_eq!(changes.at(&path(at)), visit, "{at}");
        }
    }

    #[test]
    fn what_is_beneath_another_is_named_once() {
        let mut changes = Changes::default();
        for at in ["a/b/c", "a/b-c", "a/b/d", "a/b", "a/b/e", "a/bc"] {
            changes.add_all(path(at));
        }
        assert_eq!(changes.count(), 3, "{changes:?}");
        for (at, visit) in [("a/b/c", Visit::All), ("a/b/z/z", Visit::All), ("a/b-c", Visit::All), ("a", Visit::Way)] {
            assert_eq!(changes.at(&path(at)), visit, "{at}");
        }
        changes.add_all(path(""));
        assert_eq!((changes.count(), changes.at(&path("anything"))), (1, Visit::All));
    }
}
