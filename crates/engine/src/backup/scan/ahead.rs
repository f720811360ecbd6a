//! Lists directories ahead of the walk, in its order: while the walk compares one, the pool looks at those that come
//! next, many with one piece of work, a few pieces side by side. Refuses to begin more while some thousands of
//! entries wait that nobody has asked for.

use crate::cpu::{Cpu, Started};
use crate::error::SourceError;
use crate::ports::{EntryKind, Listing, Source};
use base::Bytes;
use format::StoredPath;
use format::limits::PATH_MAX;
use futures::FutureExt;
use std::collections::VecDeque;
use std::sync::Arc;

/// Entries after which a piece of work ends, and the walk gets what it has listed.
const ENTRIES_MAX: usize = 512;
/// Entries that are held ahead: beyond it, no further piece of work is begun. Each that is under way then may bring
/// one more directory of any size.
const HELD_MAX: usize = 16_384;
/// Pieces of work under way at once.
const WORKS_MAX: usize = 4;
/// Directories that one piece of work begins with, at most: it goes on with what is beneath them.
const DIRECTORIES_MAX: usize = 64;

type Listed = Result<Listing, SourceError>;

/// Lists what the walk comes to next.
pub(super) struct Ahead {
    cpu: Cpu,
    source: Arc<dyn Source>,
    /// What is beneath the folder that is walked and has not been asked for yet, in the order of the walk.
    stretches: VecDeque<Stretch>,
    /// Entries in the stretches that are ready.
    held: usize,
    /// How many directories the next piece of work begins with: as many as the last one could have come through.
    directories: usize,
}

/// Some directories that follow each other in the walk.
enum Stretch {
    Ready(VecDeque<(StoredPath, Listed)>),
    UnderWay(Started<Part>),
    /// Not listed yet, the next one last.
    Open(Vec<StoredPath>),
}

/// What one piece of work has done.
struct Part {
    listed: VecDeque<(StoredPath, Listed)>,
    open: Vec<StoredPath>,
}

impl Ahead {
    pub(super) fn new(cpu: &Cpu, source: &Arc<dyn Source>) -> Self {
        let (cpu, source) = (cpu.clone(), Arc::clone(source));
        Self { cpu, source, stretches: VecDeque::new(), held: 0, directories: 1 }
    }

    /// The entries of a directory. The first one of a folder is listed when it is asked for, and all beneath it ahead,
    /// in the order of the walk.
    pub(super) async fn list(&mut self, path: &StoredPath) -> Listed {
        loop {
            self.take_ended();
            self.begin();
            match self.stretches.front_mut() {
                None => self.stretches.push_back(Stretch::Open(vec![path.clone()])),
                // Nothing was begun: what is held lies behind this, and no more of it comes before this is asked for.
                Some(Stretch::Open(_)) => self.begin_at(0),
                Some(Stretch::UnderWay(work)) => {
                    let part = work.await;
                    self.put(0, part);
                }
                Some(Stretch::Ready(ready)) => match ready.pop_front() {
                    None => drop(self.stretches.pop_front()),
                    // The walk has passed this one over.
                    Some((next, listed)) if next < *path => self.held -= entries_of(&listed),
                    Some((next, listed)) if next == *path => {
                        self.held -= entries_of(&listed);
                        self.begin();
                        return listed;
                    }
                    // It was not seen when the one above was listed.
                    Some(later) => {
                        ready.push_front(later);
                        let (source, path) = (Arc::clone(&self.source), path.clone());
                        return self.cpu.run(move || source.list(&path)).await;
                    }
                },
            }
        }
    }

    /// Begins with what comes next, if there is room to hold what comes of it.
    fn begin(&mut self) {
        while self.held < HELD_MAX
            && self.stretches.iter().filter(|stretch| matches!(stretch, Stretch::UnderWay(_))).count() < WORKS_MAX
            && let Some(at) = self.stretches.iter().position(|stretch| matches!(stretch, Stretch::Open(_)))
        {
            self.begin_at(at);
            self.take_ended();
        }
    }

    /// Begins with the first directories of an open stretch.
    fn begin_at(&mut self, at: usize) {
        let Some(Stretch::Open(open)) = self.stretches.get_mut(at) else { return };
        let count = self.directories.min(open.len());
        let first = open.split_off(open.len() - count);
        if open.is_empty() {
            self.stretches.remove(at);
        }
        let source = Arc::clone(&self.source);
        let work = self.cpu.start(move || list_some(&*source, first));
        self.stretches.insert(at, Stretch::UnderWay(work));
    }

    /// Takes in what was done meanwhile.
    fn take_ended(&mut self) {
        let mut at = 0;
        while let Some(stretch) = self.stretches.get_mut(at) {
            if let Stretch::UnderWay(work) = stretch
                && let Some(part) = work.now_or_never()
            {
                self.put(at, part);
            }
            at += 1;
        }
    }

    /// Puts what a piece of work has done in its place.
    fn put(&mut self, at: usize, Part { listed, open }: Part) {
        let entries = listed.iter().map(|(_, listed)| entries_of(listed)).sum::<usize>();
        self.held += entries;
        // Of large directories, neighbours go to different threads; of small ones, a thread gets enough to do.
        self.directories = (ENTRIES_MAX * listed.len() / entries.max(1)).clamp(1, DIRECTORIES_MAX);
        self.stretches[at] = Stretch::Ready(listed);
        if !open.is_empty() {
            self.stretches.insert(at + 1, Stretch::Open(open));
        }
    }
}

/// Lists directories and what is beneath them, in the order of the walk, until it is enough for one piece of work.
fn list_some(source: &dyn Source, mut open: Vec<StoredPath>) -> Part {
    let (mut listed, mut entries) = (VecDeque::new(), 0);
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
        listed.push_back((path, found));
    }
    Part { listed, open }
}

/// What a listing counts for: itself too, so that many empty ones are not nothing.
fn entries_of(listed: &Listed) -> usize {
    1 + listed.as_ref().map_or(0, Listing::count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Details, Found, More, OpenedFile, Stat};
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
    async fn walk(
        cpu: Cpu,
        directories: usize,
        pipes: usize,
        is_walked: impl Fn(usize) -> bool,
    ) -> (Vec<StoredPath>, usize) {
        let listings = Arc::new(Listings { directories, pipes, listed: Mutex::default() });
        let source: Arc<dyn Source> = Arc::clone(&listings) as _;
        let mut ahead = Ahead::new(&cpu, &source);
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
        let (listed, most) = walk(Cpu::inline(), 30, 5, |_| true).await;
        assert_eq!(listed.len(), 1 + 30 + 30 * 30);
        assert!(listed.is_sorted());
        assert!(most > ENTRIES_MAX / 2, "{most} entries ahead");
    }

    #[tokio::test]
    async fn side_by_side_every_directory_is_listed_once_too_and_no_more_is_held() {
        for (directories, pipes) in [(30, 5), (10, 1_000), (10, HELD_MAX)] {
            let (mut listed, most) = walk(Cpu::threads(3), directories, pipes, |_| true).await;
            listed.sort();
            assert_eq!(listed.len(), 1 + directories + directories * directories);
            assert!(listed.is_sorted_by(|one, next| one < next), "one was listed twice");
            assert!(most <= (WORKS_MAX + 1) * HELD_MAX.max(pipes + ENTRIES_MAX), "{most} entries ahead");
        }
    }

    /// So many names that nobody has looked at.
    #[derive(Debug)]
    struct Unseen(usize);

    impl More for Unseen {
        fn left(&self) -> usize {
            self.0
        }

        fn look(&mut self) -> Listing {
            Listing::default()
        }
    }

    #[test]
    fn a_directory_whose_names_alone_are_held_counts_for_all_of_them() {
        let listing = Listing { more: Some(Box::new(Unseen(20_000))), ..Listing::default() };
        assert_eq!((entries_of(&Ok(listing)), entries_of(&Ok(Listing::default()))), (20_001, 1));
        assert_eq!(entries_of(&Err(SourceError::Gone)), 1);
    }

    #[tokio::test]
    async fn large_directories_are_not_heaped_up() {
        let (listed, most) = walk(Cpu::inline(), 10, HELD_MAX, |_| true).await;
        assert_eq!(listed.len(), 1 + 10 + 100);
        assert!(most <= 2 * HELD_MAX + ENTRIES_MAX, "{most} entries ahead");
    }

    #[tokio::test]
    async fn what_the_walk_passes_over_is_let_go_of() {
        let (listed, most) = walk(Cpu::inline(), 30, 5, |number| number % 7 != 3).await;
        assert!(listed.is_sorted() && listed.len() <= 1 + 30 + 30 * 30, "{} listed", listed.len());
        assert!(most < HELD_MAX);
    }
}
