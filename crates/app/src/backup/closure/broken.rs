//! What is wrong with a tree, and where. Refuses refs: a path says it to a person.

use format::StoredPath;
use std::fmt;

/// Where a tree does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The directory or file that names what is wrong.
    pub(crate) path: StoredPath,
    /// What is wrong with it.
    pub(crate) flaw: Flaw,
}

/// How a tree does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// What it names is not there, or not as what it is named.
    Missing,
    /// What it names is there and cannot be read.
    Damaged,
    /// Its totals, or those that a file gives for a list, are not what is beneath it.
    Totals,
    /// A page that does not belong where it is named.
    Page,
    /// More than this server counts, or keeps in memory at once.
    TooLarge,
}

impl fmt::Display for Broken {
    /// `folder a/b names data that is not there`, as the end of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_root() {
            f.write_str("the root ")?;
        } else {
            write!(f, "\"{}\" ", self.path)?;
        }
        f.write_str(match self.flaw {
            Flaw::Missing => "is named, and the server does not have its data",
            Flaw::Damaged => "is named, and its data cannot be read",
            Flaw::Totals => "says another number of entries, files or bytes than there are",
            Flaw::Page => "has a page of names that does not belong there",
            Flaw::TooLarge => "is more than the server counts",
        })
    }
}
