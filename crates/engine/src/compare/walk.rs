//! The walk: through the selected trees in stored-path order, with a listing of each folder beside its tree; pairs are
//! compared in batches, a few at a time, and come out in the order in which they went in.
//! Refuses to keep more than one level of folders for each on the way down.

use super::entry::{self, Compared, Pair};
use super::here::Here;
use super::{Aspect, Counts, Difference, Outcome, Plan};
use crate::cpu::Started;
use crate::ctx::Ctx;
use crate::error::{EngineError, SourceError};
use crate::ports::{EntryKind, Source, Stat};
use crate::report::Problem;
use crate::restore::Selection;
use crate::trees::{Opened, Pages, Read, TreeReader, directory_tree};
use format::{Content, Entry, EntryBody, StoredPath};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A batch ends at so many entries, or bytes to read.
const BATCH_ENTRIES_MAX: usize = 256;
const BATCH_BYTES_MAX: u64 = 8 << 20;
/// Batches under way.
const BATCHES_MAX: usize = 8;
/// Differences and problems that are kept; all are counted.
const LISTED_MAX: usize = format::limits::PROBLEMS_LISTED_MAX.0 as usize;

const NAMES: &str = "a tree has names of entries alone, or it does not decode";
const LIST_MISSING: &str = "what the server has of its content is damaged: it cannot be compared";
const PAGE_MISSING: &str = "some of what was in this folder is damaged at the server: it cannot be compared";
const TREE_MISSING: &str = "what was in this folder is damaged at the server: it cannot be compared";

pub(super) struct Walk<'a> {
    ctx: &'a Ctx,
    plan: &'a Plan,
    source: Arc<dyn Source>,
    open: Vec<Level>,
    batch: Vec<Item>,
    batch_cost: u64,
    under_way: VecDeque<Started<Vec<Item>>>,
    linked: Linked,
    counts: Counts,
    differences: Vec<Difference>,
    problems: Vec<Problem>,
}

/// A folder on the way: what is left of it, and what is in its place here.
struct Level {
    path: StoredPath,
    entries: VecDeque<Entry>,
    /// What comes after `entries` in a large directory.
    pages: Pages,
    here: Here,
    /// Whether all of its tree could be had so far: else nobody knows what the snapshot does not have.
    is_whole: bool,
}

impl Level {
    fn new(path: StoredPath, Opened { entries, pages }: Opened, here: Here) -> Self {
        Self { path, entries: entries.into(), pages: pages.into(), here, is_whole: true }
    }
}

/// What is known of an entry, or is to be found out.
enum Item {
    Pair(Box<Pair>),
    Done(StoredPath, Compared),
    Failed(StoredPath, &'static str, String),
}

/// Which names are one file: here, and in the snapshot.
#[derive(Default)]
struct Linked {
    /// The first name of every file that has several in the snapshot: what it holds, and its number here.
    in_snapshot: HashMap<(u64, u64), (EntryBody, (u64, u64))>,
    /// The number in the snapshot of every file that has several names here, if it has several there too.
    here: HashMap<(u64, u64), Option<(u64, u64)>>,
}

impl<'a> Walk<'a> {
    /// Finds the selection in the snapshot, and what is in its place.
    pub async fn begin(
        ctx: &'a Ctx,
        plan: &'a Plan,
        trees: &TreeReader,
        source: Arc<dyn Source>,
    ) -> Result<Self, EngineError> {
        let mut walk = Self {
            ctx,
            plan,
            source,
            open: Vec::new(),
            batch: Vec::new(),
            batch_cost: 0,
            under_way: VecDeque::new(),
            linked: Linked::default(),
            counts: Counts::default(),
            differences: Vec::new(),
            problems: Vec::new(),
        };
        match &plan.selection {
            Selection::Everything => {
                let path = StoredPath::root();
                let opened = trees.open(&plan.root).await?;
                let opened = opened.ok_or_else(|| EngineError::TreeMissing { path: path.to_string() })?;
                walk.enter(trees, path, opened).await?;
            }
            Selection::Paths(paths) => {
                let mut levels = Vec::with_capacity(paths.len());
                for path in paths {
                    let entry = trees.find(&plan.root, path).await?;
                    let above = path.parent().filter(|_| plan.is_in_place).unwrap_or_else(StoredPath::root);
                    levels.push(walk.of_one(above, entry).await);
                }
                trees.prefetch(levels.iter().flat_map(|level| &level.entries).filter_map(directory_tree)).await?;
                walk.open.extend(levels.into_iter().rev());
            }
        }
        Ok(walk)
    }

    /// Goes on by one entry; false when nothing is left.
    pub async fn step(&mut self, trees: &TreeReader) -> Result<bool, EngineError> {
        let Some(level) = self.open.last_mut() else { return Ok(false) };
        let Some(entry) = level.entries.pop_front() else {
            match level.pages.is_empty() {
                true => self.leave().await,
                false => self.read_on(trees).await?,
            }
            return Ok(true);
        };
        let found = level.here.find(&self.ctx.cpu, &entry.name).await;
        let path = level.path.join(&entry.name).expect(NAMES);
        self.counts.entries += 1;
        self.counts.files += u64::from(matches!(entry.body, EntryBody::File { .. }));
        match found {
            Some(Ok(stat)) => self.pair(trees, path, entry, stat).await?,
            None | Some(Err(SourceError::Gone | SourceError::Replaced)) => self.missing(trees, path, &entry).await?,
            Some(Err(error)) => {
                self.pass_over(trees, std::slice::from_ref(&entry)).await?;
                self.add(Item::Failed(path, error.code(), error.to_string())).await;
            }
        }
        Ok(true)
    }

    /// Reads on in a large directory. What cannot be had of it is one problem for each stretch, and the rest is
    /// compared.
    async fn read_on(&mut self, trees: &TreeReader) -> Result<(), EngineError> {
        let Some(level) = self.open.last_mut() else { return Ok(()) };
        let Read { entries, lacking } = trees.read_on(&mut level.pages).await?;
        trees.prefetch(entries.iter().filter_map(directory_tree)).await?;
        level.entries = entries.into();
        if !lacking.is_empty() {
            level.is_whole = false;
            let path = level.path.clone();
            self.add(Item::Failed(path, "tree_missing", PAGE_MISSING.to_owned())).await;
        }
        Ok(())
    }

    /// Ends a folder of which all entries were looked at.
    async fn leave(&mut self) {
        let counts_extra = self.plan.counts_extra;
        if let Some(level) = self.open.pop().filter(|level| level.is_whole && counts_extra) {
            self.counts.extra += level.here.not_asked_for(&self.ctx.cpu).await;
        }
    }

    /// Waits for what is under way.
    pub async fn end(mut self) -> Outcome {
        self.send();
        while let Some(batch) = self.under_way.pop_front() {
            let done = batch.await;
            self.note(done);
        }
        Outcome { counts: self.counts, differences: self.differences, problems: self.problems }
    }

    /// What is there and what should be there, both known by their looks.
    async fn pair(
        &mut self,
        trees: &TreeReader,
        path: StoredPath,
        mut entry: Entry,
        stat: Stat,
    ) -> Result<(), EngineError> {
        if let EntryBody::File { size, content: Content::Lists(_) } = entry.body {
            let Some(pieces) = trees.pieces(entry.body).await? else {
                self.add(Item::Failed(path, "content_missing", LIST_MISSING.to_owned())).await;
                return Ok(());
            };
            entry.body = EntryBody::File { size, content: Content::Pieces(pieces) };
        }
        let below = directory_tree(&entry).filter(|_| stat.kind == EntryKind::Directory);
        if below.is_none() {
            self.pass_over(trees, std::slice::from_ref(&entry)).await?;
        }
        let (is_linked_otherwise, is_further_name) = self.linked.look(&entry, &stat);
        let pair = Pair { path: path.clone(), entry, stat, is_linked_otherwise, is_further_name };
        self.add(Item::Pair(Box::new(pair))).await;
        let Some(tree) = below else { return Ok(()) };
        match trees.open(&tree).await? {
            Some(opened) => self.enter(trees, path, opened).await,
            None => {
                self.add(Item::Failed(path, "tree_missing", TREE_MISSING.to_owned())).await;
                Ok(())
            }
        }
    }

    /// One difference, however much is beneath it; all of that is counted.
    async fn missing(&mut self, trees: &TreeReader, path: StoredPath, entry: &Entry) -> Result<(), EngineError> {
        if let Some(tree) = directory_tree(entry)
            && let Some(totals) = trees.totals(&tree).await?
        {
            self.counts.entries += totals.entries.0;
            self.counts.files += totals.files.0;
            self.counts.missing += totals.entries.0;
        }
        self.add(Item::Done(path, Compared { what: vec![Aspect::Missing], bytes: 0 })).await;
        Ok(())
    }

    async fn enter(&mut self, trees: &TreeReader, path: StoredPath, opened: Opened) -> Result<(), EngineError> {
        trees.prefetch(opened.entries.iter().filter_map(directory_tree)).await?;
        let (source, dir) = (Arc::clone(&self.source), path.clone());
        let listing = match self.ctx.cpu.run(move || source.list(&dir)).await {
            Ok(listing) => listing,
            Err(error) => {
                self.pass_over(trees, &opened.entries).await?;
                self.add(Item::Failed(path, error.code(), error.to_string())).await;
                return Ok(());
            }
        };
        self.open.push(Level::new(path, opened, Here::from(listing)));
        Ok(())
    }

    /// Takes what was fetched ahead for folders that nobody will enter.
    async fn pass_over(&self, trees: &TreeReader, entries: &[Entry]) -> Result<(), EngineError> {
        for tree in entries.iter().filter_map(directory_tree) {
            trees.totals(&tree).await?;
        }
        Ok(())
    }

    /// A level of one entry, which is looked at by itself.
    async fn of_one(&self, above: StoredPath, entry: Entry) -> Level {
        let (source, path) = (Arc::clone(&self.source), above.join(&entry.name).expect(NAMES));
        let looked = self.ctx.cpu.run(move || source.stat(&path)).await;
        let here = Here::one(entry.name.clone(), looked);
        Level::new(above, Opened { entries: vec![entry], pages: Vec::new() }, here)
    }

    async fn add(&mut self, item: Item) {
        if let Item::Pair(pair) = &item {
            self.batch_cost += entry::cost(pair);
        }
        self.batch.push(item);
        if self.batch.len() >= BATCH_ENTRIES_MAX || self.batch_cost >= BATCH_BYTES_MAX {
            self.send();
        }
        while self.under_way.len() > BATCHES_MAX
            && let Some(first) = self.under_way.pop_front()
        {
            let done = first.await;
            self.note(done);
        }
    }

    fn send(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.batch_cost = 0;
        let (source, naming) = (Arc::clone(&self.source), self.plan.naming.clone());
        let progress = Arc::clone(&self.ctx.progress);
        self.under_way.push_back(self.ctx.cpu.start(move || {
            let compare = |item| {
                let Item::Pair(pair) = item else { return item };
                progress.add_files_seen(u64::from(pair.stat.kind == EntryKind::File));
                match entry::compare(&*source, &naming, &pair) {
                    Ok(compared) => {
                        progress.add_bytes_read(compared.bytes);
                        Item::Done(pair.path, compared)
                    }
                    // It went away since it was listed.
                    Err(SourceError::Gone) => Item::Done(pair.path, Compared { what: vec![Aspect::Missing], bytes: 0 }),
                    Err(error) => Item::Failed(pair.path, error.code(), error.to_string()),
                }
            };
            batch.into_iter().map(compare).collect()
        }));
    }

    fn note(&mut self, done: Vec<Item>) {
        for item in done {
            match item {
                Item::Done(path, Compared { what, bytes }) => {
                    self.counts.bytes += bytes;
                    if what.first() == Some(&Aspect::Missing) {
                        self.counts.missing += 1;
                    } else if !what.is_empty() {
                        self.counts.different += 1;
                    }
                    if !what.is_empty() && self.differences.len() < LISTED_MAX {
                        self.differences.push(Difference { path, what });
                    }
                }
                Item::Failed(path, code, sentence) => {
                    self.ctx.progress.add_problems(1);
                    if self.problems.len() < LISTED_MAX {
                        self.problems.push(Problem { path, code, sentence });
                    }
                }
                Item::Pair(_) => unreachable!("a batch comes back compared"),
            }
        }
    }
}

impl Linked {
    /// Whether the entry's names belong together in another way here than in the snapshot, and whether it is the same
    /// file as an earlier name that should hold the same.
    fn look(&mut self, entry: &Entry, stat: &Stat) -> (bool, bool) {
        if matches!(entry.body, EntryBody::Directory { .. }) || stat.kind == EntryKind::Directory {
            return (false, false);
        }
        let here = (stat.device, stat.inode);
        let in_snapshot = entry.meta.device.map(|device| (device, entry.meta.inode));
        // As in a restore: numbers are given out again, and two entries are one file only when they hold the same.
        let first = in_snapshot.and_then(|number| self.in_snapshot.get(&number));
        let first = first.filter(|(body, _)| *body == entry.body).map(|(_, first)| *first);
        if let (None, Some(number)) = (first, in_snapshot) {
            self.in_snapshot.entry(number).or_insert_with(|| (entry.body.clone(), here));
        }
        let is_apart = first.is_some_and(|first| first != here);
        let is_together = stat.links > 1
            && match self.here.entry(here) {
                std::collections::hash_map::Entry::Occupied(known) => first.is_none() || *known.get() != in_snapshot,
                std::collections::hash_map::Entry::Vacant(none) => {
                    none.insert(in_snapshot);
                    false
                }
            };
        (is_apart || is_together, first == Some(here))
    }
}
