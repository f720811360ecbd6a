//! How much there is to back up, for a bar that knows no parent snapshot: a walk over names and sizes, meanwhile.
//! Refuses to report anything: what it cannot look at is for the backup itself to tell.

use super::meter::Goal;
use crate::files::{FilteredSource, FolderSource, Selection};
use engine::{EntryKind, Found, Listing, Source};
use format::StoredPath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Counts files and bytes below the folders until it is done or `stop` is set. Blocks. Never fails.
pub(super) fn count(selection: &Arc<Selection>, stop: &Arc<AtomicBool>) -> Option<Goal> {
    let source = FilteredSource::new(FolderSource::whole().ok()?, Arc::clone(selection));
    let mut goal = Goal { files: 0, bytes: 0 };
    let mut open = selection.folders();
    while let Some(folder) = open.pop() {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let mut next = source.list(&folder).ok();
        while let Some(listing) = next {
            listing.entries.iter().for_each(|found| add(found, &folder, &mut goal, &mut open));
            next = listing.more.map(Listing::next_of);
        }
    }
    Some(goal)
}

fn add(found: &Found, folder: &StoredPath, goal: &mut Goal, open: &mut Vec<StoredPath>) {
    match found.stat.kind {
        EntryKind::File => {
            goal.files += 1;
            goal.bytes += found.stat.size;
        }
        EntryKind::Directory => open.extend(folder.join(&found.name).ok()),
        EntryKind::Symlink | EntryKind::Fifo | EntryKind::Socket | EntryKind::CharDevice | EntryKind::BlockDevice => {}
    }
}
