//! Looks at directories ahead of the walk, in its order: while the walk goes through one, the pool looks at those that
//! come next, many with one piece of work, a few pieces side by side. Refuses to begin more while some thousands of
//! entries wait that nobody has asked for.

use super::look::{Look, Looked, Place, Same};
use crate::cpu::{Cpu, Started};
use crate::error::SourceError;
use crate::ports::Listing;
use format::{ChunkRef, StoredPath};
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

type Outcome = Result<Looked, SourceError>;

/// Looks at what the walk comes to next.
pub(super) struct Ahead {
    cpu: Cpu,
    look: Arc<Look>,
    /// What is beneath the folder that is walked and has not been asked for yet, in the order of the walk.
    stretches: VecDeque<Stretch>,
    /// Entries in the stretches that are ready.
    held: usize,
    /// How many directories the next piece of work begins with: as many as the last one could have come through.
    directories: usize,
}

/// Some directories that follow each other in the walk.
enum Stretch {
    Ready(VecDeque<(Place, Outcome)>),
    UnderWay(Started<Part>),
    /// Not looked at yet, the next one last.
    Open(Vec<Place>),
}

/// What one piece of work has done.
struct Part {
    looked: VecDeque<(Place, Outcome)>,
    open: Vec<Place>,
    /// How many entries it has looked at.
    entries: usize,
}

impl Ahead {
    pub(super) fn new(cpu: &Cpu, look: Look) -> Self {
        let (cpu, look) = (cpu.clone(), Arc::new(look));
        Self { cpu, look, stretches: VecDeque::new(), held: 0, directories: 1 }
    }

    /// Whether a directory is as the parent snapshot has it in this tree, with no directory in it. Where it is not, or
    /// where that is not known, `list` comes next.
    pub(super) async fn same(&mut self, path: &StoredPath, tree: Option<ChunkRef>) -> Option<Same> {
        let is_same = |place: &Place, outcome: &Outcome| place.1 == tree && matches!(outcome, Ok(Looked::Same(_)));
        match self.next(path, tree, is_same).await? {
            Ok(Looked::Same(same)) => Some(same),
            Ok(Looked::Listing(_)) | Err(_) => None,
        }
    }

    /// The entries of a directory. The first one of a folder is listed when it is asked for, and all beneath it ahead,
    /// in the order of the walk.
    pub(super) async fn list(&mut self, path: &StoredPath, tree: Option<ChunkRef>) -> Result<Listing, SourceError> {
        match self.next(path, tree, |_, _| true).await {
            Some(Ok(Looked::Listing(listing))) => Ok(listing),
            Some(Err(error)) => Err(error),
            // It was not seen when the one above was listed, or compared with something else.
            Some(Ok(Looked::Same(_))) | None => {
                let (look, path) = (Arc::clone(&self.look), path.clone());
                self.cpu.run(move || look.source.list(&path)).await
            }
        }
    }

    /// What came of a directory, if it is wanted; it is kept otherwise. `None` also for one that nobody has seen.
    async fn next(
        &mut self,
        path: &StoredPath,
        tree: Option<ChunkRef>,
        is_wanted: impl Fn(&Place, &Outcome) -> bool,
    ) -> Option<Outcome> {
        loop {
            self.take_ended();
            self.begin();
            match self.stretches.front_mut() {
                None => self.stretches.push_back(Stretch::Open(vec![(path.clone(), tree)])),
                // Nothing was begun: what is held lies behind this, and no more of it comes before this is asked for.
                Some(Stretch::Open(_)) => self.begin_at(0),
                Some(Stretch::UnderWay(work)) => {
                    let part = work.await;
                    self.put(0, part);
                }
                Some(Stretch::Ready(ready)) => match ready.front() {
                    None => drop(self.stretches.pop_front()),
                    Some((place, outcome)) if place.0 == *path && !is_wanted(place, outcome) => return None,
                    Some((place, _)) if place.0 > *path => return None,
                    // This one, or one that the walk has passed over.
                    Some(_) => {
                        let (place, outcome) = ready.pop_front()?;
                        self.held -= held_by(&outcome);
                        if place.0 == *path {
                            self.begin();
                            return Some(outcome);
                        }
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
        let look = Arc::clone(&self.look);
        let work = self.cpu.start(move || look_at_some(&look, first));
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
    fn put(&mut self, at: usize, Part { looked, open, entries }: Part) {
        self.held += looked.iter().map(|(_, outcome)| held_by(outcome)).sum::<usize>();
        // Of large directories, neighbours go to different threads; of small ones, a thread gets enough to do.
        self.directories = (ENTRIES_MAX * looked.len() / entries.max(1)).clamp(1, DIRECTORIES_MAX);
        self.stretches[at] = Stretch::Ready(looked);
        if !open.is_empty() {
            self.stretches.insert(at + 1, Stretch::Open(open));
        }
    }
}

/// Looks at directories and what is beneath them, in the order of the walk, until it is enough for one piece of work.
fn look_at_some(look: &Look, mut open: Vec<Place>) -> Part {
    let (mut looked, mut entries) = (VecDeque::new(), 0);
    while entries < ENTRIES_MAX
        && let Some(place) = open.pop()
    {
        let (outcome, below) = look.at(&place);
        entries += match &outcome {
            Ok(Looked::Same(same)) => 1 + same.entries,
            _ => held_by(&outcome),
        };
        open.extend(below.into_iter().rev());
        looked.push_back((place, outcome));
    }
    Part { looked, open, entries }
}

/// What is held of a directory counts for so many entries: itself too, so that many empty ones are not nothing.
fn held_by(outcome: &Outcome) -> usize {
    1 + match outcome {
        Ok(Looked::Listing(listing)) => listing.count(),
        Ok(Looked::Same(same)) => same.known.pages.len(),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{Details, EntryKind, Found, More, Source, SourceFile, Stat};
    use format::FileTime;
    use std::sync::Mutex;

    /// Three levels of directories, so many in each, and so many pipes in each of the lowest; and what was listed.
    struct Listings {
        directories: usize,
        pipes: usize,
        listed: Mutex<Vec<StoredPath>>,
    }

    impl Source for Listings {
        fn list(&self, dir: &StoredPath) -> Result<Listing, SourceError> {
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

    /// Walks all directories that `is_walked` names by their number, and says which were listed, in order, and how many
    /// entries were held at most.
    async fn walk(
        cpu: Cpu,
        directories: usize,
        pipes: usize,
        is_walked: impl Fn(usize) -> bool,
    ) -> (Vec<StoredPath>, usize) {
        let listings = Arc::new(Listings { directories, pipes, listed: Mutex::default() });
        let look = Look { source: Arc::clone(&listings) as _, parent: None };
        let mut ahead = Ahead::new(&cpu, look);
        let (mut open, mut walked, mut most) = (vec![StoredPath::root()], 0, 0);
        while let Some(path) = open.pop() {
            walked += 1;
            if !is_walked(walked) {
                continue;
            }
            let listing = ahead.list(&path, None).await.expect("it is there");
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
        let empty = Listing::default();
        let held = [Ok(Looked::Listing(listing)), Ok(Looked::Listing(empty)), Err(SourceError::Gone)];
        assert_eq!(held.map(|outcome| held_by(&outcome)), [20_001, 1, 1]);
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
