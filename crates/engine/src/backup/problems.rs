//! Collects the problems of a run from all its steps: every one is counted, the first thousand are kept.

use crate::progress::Progress;
use crate::report::Problem;
use format::{ListedProblem, StoredPath};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) struct Problems {
    progress: Arc<Progress>,
    collected: Mutex<Collected>,
}

/// The problems of a run, for the caller and for the manifest.
#[derive(Default)]
pub(super) struct Collected {
    /// The first so many.
    pub kept: Vec<Problem>,
    /// All counted, and those listed that a manifest has room for.
    pub listed: format::Problems,
}

impl Problems {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self { progress, collected: Mutex::default() }
    }

    pub(super) fn add(&self, path: StoredPath, code: &'static str, sentence: String) {
        self.progress.add_problems(1);
        let mut collected = self.collected.lock().unwrap_or_else(PoisonError::into_inner);
        let (for_manifest, words) = (path.clone(), sentence.clone());
        collected.listed.add(ListedProblem { path: for_manifest, code: code.to_owned(), sentence: words });
        if collected.kept.len() < format::limits::PROBLEMS_LISTED_MAX.0 as usize {
            collected.kept.push(Problem { path, code, sentence });
        }
    }

    pub(super) fn into_collected(self) -> Collected {
        self.collected.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
