//! What the steps of a restore hand to each other.

use crate::error::TargetError;
use crate::ports::TargetFile;
use crate::progress::Progress;
use crate::report::Problem;
use format::{ChunkRef, EntryBody, Meta, StoredPath};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Files whose pieces are fetched together.
#[derive(Default)]
pub(super) struct Window {
    pub files: Vec<FileWork>,
    /// Where each chunk goes.
    pub places: HashMap<ChunkRef, Places>,
    pub pieces: usize,
    pub bytes: u64,
    /// How many parts are kept open.
    pub open_files: AtomicUsize,
}

/// Where one chunk goes.
#[derive(Default)]
pub(super) struct Places {
    /// A file of the window, and the offset in it.
    pub at: Vec<(usize, u64)>,
    /// A chunk that comes twice is written once, or a file would be finished before its other pieces are there.
    pub has_come: AtomicBool,
}

/// A file that waits for pieces.
pub(super) struct FileWork {
    pub path: StoredPath,
    pub size: u64,
    pub meta: Meta,
    /// Pieces that are not written yet. The one who writes the last one finishes the file.
    pub pieces_left: AtomicUsize,
    pub is_lost: AtomicBool,
    /// Kept open between pieces, unless too many are.
    pub part: Mutex<Option<Arc<dyn TargetFile>>>,
}

/// What is done when every file is in its place.
#[derive(Default)]
pub(super) struct Later {
    pub directories: Vec<(StoredPath, Meta)>,
    /// A further name of a file: the name that has the content, and this one.
    pub links: Vec<(StoredPath, StoredPath)>,
    /// The first name of every file that has several, by file system and inode, with what it holds.
    pub linked: HashMap<(u64, u64), (StoredPath, EntryBody)>,
}

/// Collects the problems of a restore: every one is counted, the first thousand are kept.
pub(super) struct Problems {
    progress: Arc<Progress>,
    kept: Mutex<Vec<Problem>>,
    is_full: AtomicBool,
}

impl Problems {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        Self { progress, kept: Mutex::default(), is_full: AtomicBool::new(false) }
    }

    pub(super) fn add(&self, path: StoredPath, code: &'static str, sentence: String) {
        self.progress.add_problems(1);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < format::limits::PROBLEMS_LISTED_MAX.0 as usize {
            kept.push(Problem { path, code, sentence });
        }
    }

    pub(super) fn add_error(&self, path: &StoredPath, error: &TargetError) {
        if matches!(error, TargetError::Full) {
            self.is_full.store(true, Ordering::Relaxed);
        }
        self.add(path.clone(), error.code(), error.to_string());
    }

    /// Whether the disk was found full: going on would only make a problem of every file that is left.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    pub(super) fn into_list(self) -> Vec<Problem> {
        self.kept.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
