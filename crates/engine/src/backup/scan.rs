//! Scan: walks the folders in stored-path order beside the parent snapshot's trees, and says of every entry whether
//! the parent's content still holds. Opens no file. Where a change journal tells what may have changed, it looks there
//! and nowhere else.

mod ahead;
mod level;
mod look;

use super::problems::Problems;
use super::{Parent, Plan};
use crate::changes::{Changes, Visit};
use crate::ctx::Ctx;
use crate::error::{EngineError, SourceError};
use crate::ports::{EntryKind, Found, Listing, Source, Stat};
use crate::trees::{Opened, Read, TreeReader, directory_tree};
use crate::unchanged::is_unchanged;
use ahead::Ahead;
use base::Bytes;
use format::limits::PATH_MAX;
use format::{ChunkRef, Entry, EntryBody, StoredPath, Totals};
use level::{Level, Next};
use look::{Look, Same};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// One step of the walk, in stored-path order.
pub(super) enum Step {
    /// A directory begins.
    Enter(Directory),
    /// An entry as the parent snapshot has it.
    Unchanged(Entry),
    /// A directory that is, with everything beneath it, as the parent snapshot has it, and how much that is.
    Untouched(Entry, Totals),
    /// A directory that was looked at: everything in it, none of which is a directory, is as the parent snapshot has
    /// it; and how much that is.
    Same(Directory, Totals),
    /// An entry that must be read.
    Changed { path: StoredPath, stat: Stat },
    /// A page of the parent's tree of the directory that began last could not be had.
    Lacking(ChunkRef),
    /// The directory that began last ends; the parent snapshot has so many entries of it.
    Leave { known_entries: usize },
}

/// A directory on the way down.
pub(super) struct Directory {
    pub path: StoredPath,
    pub stat: Stat,
    /// The parent snapshot's entry for it, with unchanged metadata.
    pub unchanged: Option<Entry>,
    /// What the parent snapshot has of it.
    pub known: Option<Known>,
    /// How many entries it has, about: some may turn out to be gone, or left out.
    pub entries: usize,
}

/// A directory in the parent snapshot: its tree and that tree's pages, which are known to be there.
pub(super) struct Known {
    pub tree: ChunkRef,
    pub pages: Vec<ChunkRef>,
}

/// Steps that are handed on together.
pub(super) type Batch = Vec<Step>;

/// Steps in one batch.
const BATCH_STEPS_MAX: usize = 512;
/// Bytes of changed files in one batch; a larger file travels alone.
pub(super) const BATCH_BYTES_MAX: u64 = 4 << 20;

pub(super) async fn walk(
    ctx: &Ctx,
    plan: &Plan,
    source: &Arc<dyn Source>,
    trees: &Arc<TreeReader>,
    problems: &Problems,
    steps: Sender<Batch>,
) -> Result<(), EngineError> {
    let roots = readable_roots(ctx, plan, source, problems).await?;
    let parent = plan.parent.as_ref().map(|parent| (Arc::clone(trees), parent.began_at));
    let look = Look { source: Arc::clone(source), parent };
    let ahead = Ahead::new(&ctx.cpu, look);
    let mut walk =
        Walk { ctx, plan, source, ahead, trees, problems, steps, batch: Batch::new(), batch_bytes: 0, roots };
    let root = StoredPath::root();
    let stat = walk.stat(&root).await.map_err(|error| nothing_to_read(&root, &error))?;
    let known_tree = plan.parent.as_ref().map(|parent| parent.root);
    let visit = match walk.changes().map_or(Visit::All, |changes| changes.at(&root)) {
        Visit::Nothing | Visit::Way if walk.is_above_a_root(&root) => Visit::Entries,
        Visit::Nothing => Visit::Way,
        visit => visit,
    };
    walk.directory(Begin { path: root, stat, unchanged: None, known_tree, visit }).await?;
    walk.flush().await
}

struct Walk<'a> {
    ctx: &'a Ctx,
    plan: &'a Plan,
    source: &'a Arc<dyn Source>,
    ahead: Ahead,
    trees: &'a TreeReader,
    problems: &'a Problems,
    steps: Sender<Batch>,
    batch: Batch,
    /// Logical bytes of the changed files in the batch.
    batch_bytes: u64,
    roots: Vec<StoredPath>,
}

/// A directory that is to be walked.
struct Begin {
    path: StoredPath,
    stat: Stat,
    /// The parent snapshot's entry for it, with unchanged metadata.
    unchanged: Option<Entry>,
    known_tree: Option<ChunkRef>,
    visit: Visit,
}

impl Walk<'_> {
    /// Walks one directory and all beneath it. Iterative: a path may be thousands of directories deep.
    async fn directory(&mut self, begin: Begin) -> Result<(), EngineError> {
        let mut open: Vec<Level> = self.enter(begin).await?.into_iter().collect();
        while let Some(level) = open.last_mut() {
            let next = level.next();
            let name = match &next {
                Next::Found(found, _) => &found.name,
                Next::Kept(entry) => &entry.name,
                Next::Look => {
                    self.look_on(level).await;
                    continue;
                }
                Next::Pages => {
                    self.pages(level).await?;
                    continue;
                }
                Next::End => {
                    let known_entries = level.parents_seen;
                    open.pop();
                    self.step(Step::Leave { known_entries }, 0).await?;
                    continue;
                }
            };
            let path = level.path.join(name).ok();
            let Some(path) = path.filter(|path| Bytes::of(path.as_bytes().len()) <= PATH_MAX) else {
                let sentence = "its path is too long to be stored: shorten a folder's name".to_owned();
                self.problems.add(level.path.clone(), "path_too_long", sentence);
                continue;
            };
            let below = match next {
                Next::Kept(entry) => self.take_over(path, entry).await?,
                Next::Found(found, parent) if found.stat.kind == EntryKind::Directory => {
                    match (self.visit(level.visit, &path, &found.stat, parent.as_ref()), parent) {
                        (Visit::Nothing, Some(entry)) => self.take_over(path, entry).await?,
                        (visit, parent) => Some(self.begin(path, found.stat, parent, visit)),
                    }
                }
                Next::Found(found, parent) => {
                    self.entry(path, found.stat, parent).await?;
                    None
                }
                Next::Look | Next::Pages | Next::End => unreachable!("these have no name"),
            };
            if let Some(below) = below {
                open.extend(self.enter(below).await?);
            }
        }
        Ok(())
    }

    fn begin(&self, path: StoredPath, stat: Stat, parent: Option<Entry>, visit: Visit) -> Begin {
        let known_tree = parent.as_ref().and_then(directory_tree);
        let unchanged = parent.filter(|entry| self.is_unchanged(entry, &stat));
        Begin { path, stat, unchanged, known_tree, visit }
    }

    /// Begins a directory; `None` where there is none any more.
    async fn enter(&mut self, begin: Begin) -> Result<Option<Level>, EngineError> {
        let Begin { path, stat, unchanged, known_tree, visit } = begin;
        let is_above_a_root = self.is_above_a_root(&path);
        if visit == Visit::All
            && !is_above_a_root
            && let Some(Same { known, totals, entries }) = self.ahead.same(&path, known_tree).await
        {
            self.seen(totals.files.0, totals.bytes.0);
            let directory = Directory { path, stat, unchanged, known: Some(known), entries };
            self.step(Step::Same(directory, totals), 0).await?;
            return Ok(None);
        }
        let opened = match &known_tree {
            Some(tree) => self.trees.open(tree).await?,
            None => None,
        };
        // A tree that cannot be had is not known to be there: it is asked for and sent like a new one, and what it
        // would have in it is looked for.
        let (opened, known, visit) = match known_tree.zip(opened) {
            Some((tree, opened)) => {
                let pages = opened.pages.iter().map(|page| page.tree).collect();
                (opened, Some(Known { tree, pages }), visit)
            }
            None => (Opened { entries: Vec::new(), pages: Vec::new() }, None, Visit::All),
        };
        let listing = match visit {
            Visit::Way => Listing::default(),
            _ => match self.list(&path, known_tree, visit).await {
                Some(listing) => listing,
                None => return Ok(None),
            },
        };
        // What is found above the folders of the plan says nothing about what is beneath.
        let visit = if is_above_a_root { Visit::Entries } else { visit };
        let directory = Directory { path: path.clone(), stat, unchanged, known, entries: listing.count() };
        self.step(Step::Enter(directory), 0).await?;
        let (entries, pages) = (listing.entries.into(), opened.pages.into());
        let (parents, parents_seen) = (VecDeque::new(), 0);
        let mut level = Level { path, visit, entries, more: listing.more, parents, pages, parents_seen };
        self.take_parents(&mut level, opened.entries).await?;
        Ok(Some(level))
    }

    /// Looks at what comes next in a large directory.
    async fn look_on(&mut self, level: &mut Level) {
        let Some(more) = level.more.take() else { return };
        let listing = self.ctx.cpu.run(move || Listing::next_of(more)).await;
        let listing = self.without_problems(&level.path, listing);
        (level.entries, level.more) = (listing.entries.into(), listing.more);
    }

    /// Reads the next pages of the parent's tree of a large directory. One that cannot be had is not known to be there,
    /// and what it would have in it is looked for.
    async fn pages(&mut self, level: &mut Level) -> Result<(), EngineError> {
        let Read { entries, lacking } = self.trees.read_on(&mut level.pages).await?;
        for page in lacking {
            self.step(Step::Lacking(page), 0).await?;
        }
        self.take_parents(level, entries).await
    }

    async fn take_parents(&mut self, level: &mut Level, mut parents: Vec<Entry>) -> Result<(), EngineError> {
        level.parents_seen += parents.len();
        if level.visit == Visit::Way {
            level.entries.extend(self.on_the_way(&level.path, &mut parents).await);
        }
        self.trees.prefetch(parents.iter().filter_map(directory_tree)).await?;
        level.parents = parents.into();
        Ok(())
    }

    /// How much of a directory is to be looked at, which is found in one of which so much is.
    fn visit(&self, above: Visit, path: &StoredPath, stat: &Stat, parent: Option<&Entry>) -> Visit {
        let Some(changes) = self.changes().filter(|_| above != Visit::All) else { return Visit::All };
        // Another directory under the same name, or a mounted one: the journal speaks of the one that was there.
        let Some(parent) = parent.filter(|entry| directory_tree(entry).is_some() && entry.meta.inode == stat.inode)
        else {
            return Visit::All;
        };
        match changes.at(path) {
            // A change that the directory shows itself, whoever has missed it, costs a listing and no data.
            Visit::Nothing | Visit::Way if self.is_above_a_root(path) || !self.is_unchanged(parent, stat) => {
                Visit::Entries
            }
            visit => visit,
        }
    }

    /// Those directories in a directory that lead to a change. What is not there any more is taken from `parents`.
    async fn on_the_way(&self, path: &StoredPath, parents: &mut Vec<Entry>) -> Vec<Found> {
        let Some(changes) = self.changes() else { return Vec::new() };
        let (mut found, mut gone) = (Vec::new(), Vec::new());
        for entry in parents.iter().filter(|entry| directory_tree(entry).is_some()) {
            let Ok(child) = path.join(&entry.name) else { continue };
            if changes.at(&child) == Visit::Nothing {
                continue;
            }
            match self.stat(&child).await {
                Ok(stat) => found.push(Found { name: entry.name.clone(), stat }),
                Err(error) => {
                    if !matches!(error, SourceError::Gone) {
                        self.problems.add(child, error.code(), error.to_string());
                    }
                    gone.push(entry.name.clone());
                }
            }
        }
        parents.retain(|entry| !gone.contains(&entry.name));
        found
    }

    /// An entry as the parent snapshot has it, with everything beneath it. A directory of which nobody knows any more
    /// how much is beneath it must be walked.
    async fn take_over(&mut self, path: StoredPath, entry: Entry) -> Result<Option<Begin>, EngineError> {
        let Some(tree) = directory_tree(&entry) else {
            if let EntryBody::File { size, .. } = entry.body {
                self.seen(1, size);
            }
            self.step(Step::Unchanged(entry), 0).await?;
            return Ok(None);
        };
        if let Some(totals) = self.trees.totals(&tree).await? {
            self.seen(totals.files.0, totals.bytes.0);
            self.step(Step::Untouched(entry, totals), 0).await?;
            return Ok(None);
        }
        match self.stat(&path).await {
            Ok(stat) => Ok(Some(self.begin(path, stat, Some(entry), Visit::All))),
            Err(error) => {
                self.problems.add(path, error.code(), error.to_string());
                Ok(None)
            }
        }
    }

    fn seen(&self, files: u64, bytes: u64) {
        self.ctx.progress.add_files_seen(files);
        self.ctx.progress.add_bytes_seen(bytes);
    }

    async fn entry(&mut self, path: StoredPath, stat: Stat, parent: Option<Entry>) -> Result<(), EngineError> {
        if stat.kind == EntryKind::File {
            self.seen(1, stat.size);
        }
        match parent.filter(|entry| self.is_unchanged(entry, &stat)) {
            Some(entry) => self.step(Step::Unchanged(entry), 0).await,
            None => self.step(Step::Changed { path, stat }, stat.size).await,
        }
    }

    /// The entries of a directory that are in the plan. One that cannot be listed is a problem and empty; one that is
    /// gone, or no directory any more, is a problem and `None`, unless it is the root.
    async fn list(&mut self, path: &StoredPath, tree: Option<ChunkRef>, visit: Visit) -> Option<Listing> {
        let listing = match visit {
            _ if self.is_above_a_root(path) => self.list_roots_beneath(path).await,
            Visit::All => self.ahead.list(path, tree).await,
            // What is beneath it is not listed, or not all of it.
            _ => {
                let (source, path) = (Arc::clone(self.source), path.clone());
                self.ctx.cpu.run(move || source.list(&path)).await
            }
        };
        let listing = match listing {
            Ok(listing) => listing,
            Err(error) => {
                self.problems.add(path.clone(), error.code(), error.to_string());
                if matches!(error, SourceError::Gone | SourceError::Replaced) && !path.is_root() {
                    return None;
                }
                Listing::default()
            }
        };
        Some(self.without_problems(path, listing))
    }

    /// The same with its problems reported, and every name once: a directory that changes while it is listed may show
    /// one twice, and a tree has it once.
    fn without_problems(&self, path: &StoredPath, mut listing: Listing) -> Listing {
        listing.entries.dedup_by(|later, first| later.name == first.name);
        for (name, error) in std::mem::take(&mut listing.problems) {
            self.problems.add(path.join(&name).unwrap_or_else(|_| path.clone()), error.code(), error.to_string());
        }
        listing
    }

    /// Above the folders of the plan only the way to them is looked at.
    async fn list_roots_beneath(&self, path: &StoredPath) -> Result<Listing, SourceError> {
        let depth = path.components().count();
        let mut names: Vec<Vec<u8>> = self
            .roots
            .iter()
            .filter(|root| root.starts_with(path))
            .filter_map(|root| root.components().nth(depth).map(<[u8]>::to_vec))
            .collect();
        names.sort();
        names.dedup();
        let mut listing = Listing::default();
        for name in names {
            let Ok(child) = path.join(&name) else { continue };
            match self.stat(&child).await {
                Ok(stat) => listing.entries.push(Found { name, stat }),
                Err(error) => listing.problems.push((name, error)),
            }
        }
        Ok(listing)
    }

    fn is_above_a_root(&self, path: &StoredPath) -> bool {
        !self.roots.iter().any(|root| path.starts_with(root))
    }

    fn changes(&self) -> Option<&Changes> {
        self.plan.parent.as_ref()?.changes.as_ref()
    }

    fn is_unchanged(&self, entry: &Entry, stat: &Stat) -> bool {
        let Some(Parent { began_at, .. }) = &self.plan.parent else { return false };
        is_unchanged(entry.into(), *began_at, stat)
    }

    async fn stat(&self, path: &StoredPath) -> Result<Stat, SourceError> {
        let (source, path) = (Arc::clone(self.source), path.clone());
        self.ctx.cpu.run(move || source.stat(&path)).await
    }

    async fn step(&mut self, step: Step, bytes: u64) -> Result<(), EngineError> {
        if !self.batch.is_empty() && self.batch_bytes + bytes > BATCH_BYTES_MAX {
            self.flush().await?;
        }
        self.batch.push(step);
        self.batch_bytes += bytes;
        if self.batch.len() >= BATCH_STEPS_MAX || self.batch_bytes >= BATCH_BYTES_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), EngineError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        // A closed queue means that a later step ended with an error, which is the one to report.
        if !batch.is_empty() && self.steps.send(batch).await.is_err() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// The folders of the plan that are there, without those that lie in another one.
async fn readable_roots(
    ctx: &Ctx,
    plan: &Plan,
    source: &Arc<dyn Source>,
    problems: &Problems,
) -> Result<Vec<StoredPath>, EngineError> {
    let mut roots: Vec<StoredPath> = Vec::new();
    let mut first_error = None;
    let mut folders = plan.folders.clone();
    folders.sort();
    for folder in folders {
        if roots.iter().any(|root| folder.starts_with(root)) {
            continue;
        }
        let (source, path) = (Arc::clone(source), folder.clone());
        let looked_at = ctx.cpu.run(move || match source.stat(&path)?.kind {
            EntryKind::Directory => source.list(&path).map(|_| ()),
            _ => Ok(()),
        });
        match looked_at.await {
            Ok(()) => roots.push(folder),
            Err(error) => {
                first_error.get_or_insert_with(|| nothing_to_read(&folder, &error));
                problems.add(folder, error.code(), chosen_folder(&error));
            }
        }
    }
    match first_error {
        Some(error) if roots.is_empty() => Err(error),
        None if roots.is_empty() => Err(EngineError::NothingToRead { sentence: "no folder is chosen".to_owned() }),
        _ => Ok(roots),
    }
}

fn nothing_to_read(folder: &StoredPath, error: &SourceError) -> EngineError {
    EngineError::NothingToRead { sentence: format!("/{folder}: {}", chosen_folder(error)) }
}

/// What is wrong with a folder that was chosen: unlike other entries, no listing has shown it before.
fn chosen_folder(error: &SourceError) -> String {
    match error {
        SourceError::Gone => "it is not there: bring it back, or choose other folders".to_owned(),
        SourceError::Denied | SourceError::Replaced | SourceError::Io(_) => error.to_string(),
    }
}
