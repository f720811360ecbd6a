//! Lists the directories of a level ahead of the walk, many with one piece of work: while the walk compares one, the
//! pool looks at those that come next. Refuses to hold more than a few thousand entries that nobody has asked for yet.

use crate::cpu::{Cpu, Started};
use crate::error::SourceError;
use crate::ports::{Listing, Source};
use format::StoredPath;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Directories that are listed with one piece of work.
const DIRECTORIES_MAX: usize = 16;
/// Entries after which a piece of work lists no further directory.
const ENTRIES_MAX: usize = 2_048;
/// Entries that all levels together may hold ahead. One directory alone may be larger.
const HELD_MAX: usize = 16_384;

type Listed = Result<Listing, SourceError>;

/// What lists, and how much of it is held.
#[derive(Clone)]
pub(super) struct Lister {
    cpu: Cpu,
    source: Arc<dyn Source>,
    held: Arc<AtomicUsize>,
}

/// The directories of one level that are still to be listed, in the order of the walk.
#[derive(Default)]
pub(super) struct Ahead {
    wanted: VecDeque<StoredPath>,
    under_way: Option<Started<Vec<(StoredPath, Listed)>>>,
    ready: VecDeque<(StoredPath, Listed)>,
}

impl Lister {
    pub(super) fn new(cpu: &Cpu, source: &Arc<dyn Source>) -> Self {
        Self { cpu: cpu.clone(), source: Arc::clone(source), held: Arc::default() }
    }

    /// What is to be listed at a level, of which the first are begun with. Never fails.
    pub(super) fn ahead(&self, directories: impl Iterator<Item = StoredPath>) -> Ahead {
        let mut ahead = Ahead { wanted: directories.collect(), ..Ahead::default() };
        self.begin(&mut ahead);
        ahead
    }

    /// The entries of a directory: listed ahead if `ahead` is of its level, else now.
    pub(super) async fn list(&self, ahead: &mut Ahead, path: &StoredPath) -> Listed {
        loop {
            if let Some((ready, listed)) = ahead.ready.pop_front() {
                self.held.fetch_sub(entries_of(&listed), Ordering::Relaxed);
                if ready == *path {
                    return listed;
                }
                // The walk has passed this one over.
                continue;
            }
            let Some(under_way) = ahead.under_way.take() else {
                while ahead.wanted.front().is_some_and(|wanted| wanted < path) {
                    ahead.wanted.pop_front();
                }
                if ahead.wanted.front() != Some(path) {
                    let (source, path) = (Arc::clone(&self.source), path.clone());
                    return self.cpu.run(move || source.list(&path)).await;
                }
                ahead.under_way = Some(self.start(ahead));
                continue;
            };
            ahead.ready.extend(under_way.await);
            // What this piece of work has left to the next one.
            if let Some((last, _)) = ahead.ready.back() {
                while ahead.wanted.front().is_some_and(|wanted| wanted <= last) {
                    ahead.wanted.pop_front();
                }
            }
            self.begin(ahead);
        }
    }

    /// Begins with the next directories of a level, if there is room to hold what comes of it.
    fn begin(&self, ahead: &mut Ahead) {
        if !ahead.wanted.is_empty() && self.held.load(Ordering::Relaxed) < HELD_MAX {
            ahead.under_way = Some(self.start(ahead));
        }
    }

    fn start(&self, ahead: &Ahead) -> Started<Vec<(StoredPath, Listed)>> {
        let paths: Vec<StoredPath> = ahead.wanted.iter().take(DIRECTORIES_MAX).cloned().collect();
        let (source, held) = (Arc::clone(&self.source), Arc::clone(&self.held));
        self.cpu.start(move || {
            let (mut all, mut entries) = (Vec::with_capacity(paths.len()), 0);
            for path in paths {
                let listed = source.list(&path);
                entries += entries_of(&listed);
                all.push((path, listed));
                if entries >= ENTRIES_MAX {
                    break;
                }
            }
            held.fetch_add(entries, Ordering::Relaxed);
            all
        })
    }
}

/// What a listing counts for: itself too, so that many empty ones are not nothing.
fn entries_of(listed: &Listed) -> usize {
    1 + listed.as_ref().map_or(0, |listing| listing.entries.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Details, EntryKind, Found, SourceFile, Stat};
    use format::FileTime;
    use std::sync::Mutex;

    /// Directories with so many entries each, and the order in which they were listed.
    struct Listings(usize, Mutex<Vec<StoredPath>>);

    impl Source for Listings {
        fn list(&self, dir: &StoredPath) -> Listed {
            self.1.lock().expect("no panic with the lock").push(dir.clone());
            let time = FileTime { seconds: 0, nanos: 0 };
            let stat = Stat {
                kind: EntryKind::Fifo,
                mode: 0,
                uid: 0,
                gid: 0,
                mtime: time,
                ctime: time,
                inode: 0,
                device: 0,
                links: 1,
                size: 0,
                stored: 0,
                rdev: (0, 0),
            };
            let entries = (0..self.0).map(|n| Found { name: n.to_string().into_bytes(), stat }).collect();
            Ok(Listing { entries, problems: Vec::new() })
        }

        fn stat(&self, _: &StoredPath) -> Result<Stat, SourceError> {
            Err(SourceError::Gone)
        }

        fn details(&self, _: &StoredPath, _: EntryKind) -> Result<Details, SourceError> {
            Err(SourceError::Gone)
        }

        fn open(&self, _: &StoredPath) -> Result<Box<dyn SourceFile>, SourceError> {
            Err(SourceError::Gone)
        }

        fn user_name(&self, _: u32) -> Arc<[u8]> {
            Arc::from(&b""[..])
        }

        fn group_name(&self, _: u32) -> Arc<[u8]> {
            Arc::from(&b""[..])
        }
    }

    fn path(number: usize) -> StoredPath {
        StoredPath::from_bytes(format!("{number:04}").into_bytes()).expect("a literal path is good")
    }

    /// Lists those directories of a level of 100 that `is_walked` names, and says how many were listed at most ahead.
    async fn walk(entries: usize, is_walked: impl Fn(usize) -> bool) -> (usize, Vec<StoredPath>) {
        let listings = Arc::new(Listings(entries, Mutex::default()));
        let source: Arc<dyn Source> = Arc::clone(&listings) as _;
        let lister = Lister::new(&Cpu::inline(), &source);
        let mut ahead = lister.ahead((0..100).map(path));
        let mut most = 0;
        for (nth, number) in (0..100).filter(|number| is_walked(*number)).enumerate() {
            let listed = listings.1.lock().expect("no panic with the lock").len();
            most = most.max(listed - nth.min(listed));
            let found = lister.list(&mut ahead, &path(number)).await.expect("it is there");
            assert_eq!(found.entries.len(), entries);
        }
        assert_eq!(lister.held.load(Ordering::Relaxed), 0, "nothing is held that nobody will ask for");
        let order = listings.1.lock().expect("no panic with the lock").clone();
        (most, order)
    }

    #[tokio::test]
    async fn every_directory_is_listed_once_and_in_order() {
        let (most, order) = walk(3, |_| true).await;
        assert_eq!(order, (0..100).map(path).collect::<Vec<_>>());
        assert!((DIRECTORIES_MAX..=2 * DIRECTORIES_MAX).contains(&most), "{most} ahead");
    }

    #[tokio::test]
    async fn large_directories_are_not_heaped_up() {
        let (most, order) = walk(HELD_MAX, |_| true).await;
        assert_eq!(order.len(), 100);
        assert!(most <= 2, "{most} ahead");
    }

    #[tokio::test]
    async fn what_the_walk_passes_over_is_let_go_of() {
        let (_, order) = walk(3, |number| number % 7 == 3 || number == 99).await;
        assert!(order.len() <= 100 && order.is_sorted(), "{order:?}");
    }
}
