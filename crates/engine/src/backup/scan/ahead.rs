//! Lists directories ahead of the walk, in its order: while the walk compares one, the pool looks at those that come
//! next, many with one piece of work. Refuses to hold more than some thousands of entries that nobody has asked for.

use crate::cpu::{Cpu, Started};
use crate::error::SourceError;
use crate::ports::{EntryKind, Listing, Source};
use base::Bytes;
use format::StoredPath;
use format::limits::PATH_MAX;
use std::collections::VecDeque;
use std::sync::Arc;

/// Entries after which a piece of work ends, and the walk gets what it has listed.
const ENTRIES_MAX: usize = 512;
/// Entries that are held ahead: beyond it, no further piece of work is begun. One directory alone may be larger.
const HELD_MAX: usize = 16_384;

type Listed = Result<Listing, SourceError>;

/// Lists what the walk comes to next.
pub(super) struct Ahead {
    cpu: Cpu,
    source: Arc<dyn Source>,
    /// What is beneath the folder that is walked and not listed yet, the next one last.
    open: Vec<StoredPath>,
    under_way: Option<Started<Part>>,
    ready: VecDeque<(StoredPath, Listed)>,
    /// Entries in `ready`.
    held: usize,
}

/// What one piece of work has done.
struct Part {
    listed: Vec<(StoredPath, Listed)>,
    open: Vec<StoredPath>,
}

impl Ahead {
    pub(super) fn new(cpu: &Cpu, source: &Arc<dyn Source>) -> Self {
        let (cpu, source) = (cpu.clone(), Arc::clone(source));
        Self { cpu, source, open: Vec::new(), under_way: None, ready: VecDeque::new(), held: 0 }
    }

    /// The entries of a directory. The first one of a folder is listed when it is asked for, and all beneath it ahead,
    /// in the order of the walk.
    pub(super) async fn list(&mut self, path: &StoredPath) -> Listed {
        loop {
            match self.ready.pop_front() {
                // The walk has passed this one over.
                Some((ready, listed)) if ready < *path => self.held -= entries_of(&listed),
                Some((ready, listed)) if ready == *path => {
                    self.held -= entries_of(&listed);
                    self.begin();
                    return listed;
                }
                // It was not seen when the one above was listed.
                Some(later) => {
                    self.ready.push_front(later);
                    let (source, path) = (Arc::clone(&self.source), path.clone());
                    return self.cpu.run(move || source.list(&path)).await;
                }
                None => {
                    if self.under_way.is_none() && self.open.is_empty() {
                        self.open.push(path.clone());
                    }
                    self.begin();
                    let Some(under_way) = self.under_way.take() else { continue };
                    let Part { listed, open } = under_way.await;
                    self.open = open;
                    self.held += listed.iter().map(|(_, listed)| entries_of(listed)).sum::<usize>();
                    self.ready.extend(listed);
                    self.begin();
                }
            }
        }
    }

    /// Begins with what comes next, if there is room to hold what comes of it.
    fn begin(&mut self) {
        if self.under_way.is_some() || self.open.is_empty() || self.held >= HELD_MAX {
            return;
        }
        let (source, mut open) = (Arc::clone(&self.source), std::mem::take(&mut self.open));
        self.under_way = Some(self.cpu.start(move || {
            let (mut listed, mut entries) = (Vec::new(), 0);
            while entries < ENTRIES_MAX
                && let Some(path) = open.pop()
            {
                let found = source.list(&path);
                entries += entries_of(&found);
                if let Ok(listing) = &found {
                    let below = listing.entries.iter().rev().filter(|found| found.stat.kind == EntryKind::Directory);
                    let paths = below.filter_map(|found| path.join(&found.name).ok());
                    open.extend(paths.filter(|path| Bytes::of(path.as_bytes().len()) <= PATH_MAX));
                }
                listed.push((path, found));
            }
            Part { listed, open }
        }));
    }
}

/// What a listing counts for: itself too, so that many empty ones are not nothing.
fn entries_of(listed: &Listed) -> usize {
    1 + listed.as_ref().map_or(0, |listing| listing.entries.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Details, Found, OpenedFile, Stat};
    use format::FileTime;
    use std::sync::Mutex;

    /// Three levels of directories, so many in each, and so many pipes in each of the lowest; and what was listed.
    struct Listings {
        directories: usize,
        pipes: usize,
        listed: Mutex<Vec<StoredPath>>,
    }

    impl Source for Listings {
        fn list(&self, dir: &StoredPath) -> Listed {
            self.listed.lock().expect("no panic with the lock").push(dir.clone());
            let is_lowest = dir.components().count() == 2;
            let (kind, count) = match is_lowest {
                true => (EntryKind::Fifo, self.pipes),
                false => (EntryKind::Directory, self.directories),
            };
            let time = FileTime { seconds: 0, nanos: 0 };
            let (mode, uid, gid, inode, device, links, size, stored, rdev) = (0, 0, 0, 0, 0, 1, 0, 0, (0, 0));
            let stat =
                Stat { kind, mode, uid, gid, mtime: time, ctime: time, inode, device, links, size, stored, rdev };
            let entries = (0..count).map(|n| Found { name: format!("{n:04}").into_bytes(), stat }).collect();
            Ok(Listing { entries, problems: Vec::new(), more: None })
        }

        fn stat(&self, _: &StoredPath) -> Result<Stat, SourceError> {
            Err(SourceError::Gone)
        }

        fn details(&self, _: &StoredPath, _: EntryKind) -> Result<Details, SourceError> {
            Err(SourceError::Gone)
        }

        fn open(&self, _: &StoredPath) -> Result<OpenedFile, SourceError> {
            Err(SourceError::Gone)
        }

        fn user_name(&self, _: u32) -> Arc<[u8]> {
            Arc::from(&b""[..])
        }

        fn group_name(&self, _: u32) -> Arc<[u8]> {
            Arc::from(&b""[..])
        }
    }

    /// Walks all directories that `is_walked` names by their number, and says which were listed, in order, and how many
    /// entries were held at most.
    async fn walk(directories: usize, pipes: usize, is_walked: impl Fn(usize) -> bool) -> (Vec<StoredPath>, usize) {
        let listings = Arc::new(Listings { directories, pipes, listed: Mutex::default() });
        let source: Arc<dyn Source> = Arc::clone(&listings) as _;
        let mut ahead = Ahead::new(&Cpu::inline(), &source);
        let (mut open, mut walked, mut most) = (vec![StoredPath::root()], 0, 0);
        while let Some(path) = open.pop() {
            walked += 1;
            if !is_walked(walked) {
                continue;
            }
            let listing = ahead.list(&path).await.expect("it is there");
            most = most.max(ahead.held);
            let below = listing.entries.iter().rev().filter(|found| found.stat.kind == EntryKind::Directory);
            open.extend(below.map(|found| path.join(&found.name).expect("a short path")));
        }
        let listed = listings.listed.lock().expect("no panic with the lock").clone();
        (listed, most)
    }

    #[tokio::test]
    async fn every_directory_is_listed_once_and_in_the_order_of_the_walk() {
        let (listed, most) = walk(30, 5, |_| true).await;
        assert_eq!(listed.len(), 1 + 30 + 30 * 30);
        assert!(listed.is_sorted());
        assert!(most > ENTRIES_MAX / 2, "{most} entries ahead");
    }

    #[tokio::test]
    async fn large_directories_are_not_heaped_up() {
        let (listed, most) = walk(10, HELD_MAX, |_| true).await;
        assert_eq!(listed.len(), 1 + 10 + 100);
        assert!(most <= 2 * HELD_MAX + ENTRIES_MAX, "{most} entries ahead");
    }

    #[tokio::test]
    async fn what_the_walk_passes_over_is_let_go_of() {
        let (listed, most) = walk(30, 5, |number| number % 7 != 3).await;
        assert!(listed.is_sorted() && listed.len() <= 1 + 30 + 30 * 30, "{} listed", listed.len());
        assert!(most < HELD_MAX);
    }
}
