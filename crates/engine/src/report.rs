//! What went wrong with single entries. A problem never ends a run.

use format::StoredPath;

/// One entry that was not saved or restored as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The entry.
    pub path: StoredPath,
    /// The stable code.
    pub code: &'static str,
    /// One plain sentence.
    pub sentence: String,
}
