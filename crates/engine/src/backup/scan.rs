//! Scan: walks the folders in stored-path order beside the parent snapshot's trees, and says of every entry whether
//! the parent's content still holds. Opens no file.

mod ahead;

use super::problems::Problems;
use super::{Parent, Plan};
use crate::ctx::Ctx;
use crate::error::{EngineError, SourceError};
use crate::ports::{EntryKind, Found, Listing, Source, Stat};
use crate::trees::{TreeReader, directory_tree};
use crate::unchanged::is_unchanged;
use ahead::Ahead;
use base::Bytes;
use format::limits::PATH_MAX;
use format::{ChunkRef, Entry, StoredPath};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;

/// One step of the walk, in stored-path order.
pub(super) enum Step {
    /// A directory begins.
    Enter(Directory),
    /// An entry as the parent snapshot has it.
    Unchanged(Entry),
    /// An entry that must be read.
    Changed { path: StoredPath, stat: Stat },
    /// The directory that began last ends.
    Leave,
}

/// A directory on the way down.
pub(super) struct Directory {
    pub path: StoredPath,
    pub stat: Stat,
    /// The parent snapshot's entry for it, with unchanged metadata.
    pub unchanged: Option<Entry>,
    /// What the parent snapshot has of it.
    pub known: Option<Known>,
}

/// A directory in the parent snapshot: its tree and that tree's pages, which are known to be there.
pub(super) struct Known {
    pub tree: ChunkRef,
    pub pages: Vec<ChunkRef>,
    /// How many entries it has.
    pub entries: usize,
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
    trees: &TreeReader,
    problems: &Problems,
    steps: Sender<Batch>,
) -> Result<(), EngineError> {
    let roots = readable_roots(ctx, plan, source, problems).await?;
    let ahead = Ahead::new(&ctx.cpu, source);
    let mut walk =
        Walk { ctx, plan, source, ahead, trees, problems, steps, batch: Batch::new(), batch_bytes: 0, roots };
    let root = StoredPath::root();
    let stat = walk.stat(&root).await.map_err(|error| nothing_to_read(&root, &error))?;
    let known_tree = plan.parent.as_ref().map(|parent| parent.root);
    walk.directory(root, stat, None, known_tree).await?;
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

impl Walk<'_> {
    /// Walks one directory and all beneath it. Iterative: a path may be thousands of directories deep.
    async fn directory(
        &mut self,
        path: StoredPath,
        stat: Stat,
        unchanged: Option<Entry>,
        known_tree: Option<ChunkRef>,
    ) -> Result<(), EngineError> {
        let mut open: Vec<Level> = self.enter(path, stat, unchanged, known_tree).await?.into_iter().collect();
        while let Some(level) = open.last_mut() {
            let Some((found, parent)) = level.next() else {
                open.pop();
                self.step(Step::Leave, 0).await?;
                continue;
            };
            let path = level.path.join(&found.name).ok();
            let Some(path) = path.filter(|path| Bytes::of(path.as_bytes().len()) <= PATH_MAX) else {
                let sentence = "its path is too long to be stored: shorten a folder's name".to_owned();
                self.problems.add(level.path.clone(), "path_too_long", sentence);
                continue;
            };
            if found.stat.kind == EntryKind::Directory {
                let known_tree = parent.as_ref().and_then(directory_tree);
                let unchanged = parent.filter(|entry| self.is_unchanged(entry, &found.stat));
                open.extend(self.enter(path, found.stat, unchanged, known_tree).await?);
            } else {
                self.entry(path, found.stat, parent).await?;
            }
        }
        Ok(())
    }

    /// Begins a directory; `None` where there is none any more.
    async fn enter(
        &mut self,
        path: StoredPath,
        stat: Stat,
        unchanged: Option<Entry>,
        known_tree: Option<ChunkRef>,
    ) -> Result<Option<Level>, EngineError> {
        let Some(entries) = self.list(&path).await else { return Ok(None) };
        let known = match &known_tree {
            Some(tree) => self.trees.tree_and_pages(tree).await?,
            None => None,
        };
        // A tree that cannot be had is not known to be there: it is asked for and sent like a new one.
        let (parents, known) = match known_tree.zip(known) {
            Some((tree, (parents, pages))) => {
                let entries = parents.len();
                (parents, Some(Known { tree, pages, entries }))
            }
            None => (Vec::new(), None),
        };
        self.trees.prefetch(parents.iter().filter_map(directory_tree)).await?;
        self.step(Step::Enter(Directory { path: path.clone(), stat, unchanged, known }), 0).await?;
        Ok(Some(Level { path, entries: entries.into(), parents: parents.into() }))
    }

    async fn entry(&mut self, path: StoredPath, stat: Stat, parent: Option<Entry>) -> Result<(), EngineError> {
        if stat.kind == EntryKind::File {
            self.ctx.progress.add_files_seen(1);
            self.ctx.progress.add_bytes_seen(stat.size);
        }
        match parent.filter(|entry| self.is_unchanged(entry, &stat)) {
            Some(entry) => self.step(Step::Unchanged(entry), 0).await,
            None => self.step(Step::Changed { path, stat }, stat.size).await,
        }
    }

    /// The entries of a directory that are in the plan. One that cannot be listed is a problem and empty; one that is
    /// gone, or no directory any more, is a problem and `None`, unless it is the root.
    async fn list(&mut self, path: &StoredPath) -> Option<Vec<Found>> {
        let listing = match self.is_above_a_root(path) {
            true => self.list_roots_beneath(path).await,
            false => self.ahead.list(path).await,
        };
        let mut listing = match listing {
            Ok(listing) => listing,
            Err(error) => {
                self.problems.add(path.clone(), error.code(), error.to_string());
                if matches!(error, SourceError::Gone | SourceError::Replaced) && !path.is_root() {
                    return None;
                }
                Listing::default()
            }
        };
        // A directory that changes while it is listed may show a name twice; a tree has it once.
        listing.entries.dedup_by(|later, first| later.name == first.name);
        for (name, error) in listing.problems {
            self.problems.add(path.join(&name).unwrap_or_else(|_| path.clone()), error.code(), error.to_string());
        }
        Some(listing.entries)
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

    fn is_unchanged(&self, entry: &Entry, stat: &Stat) -> bool {
        let Some(Parent { began_at, .. }) = &self.plan.parent else { return false };
        is_unchanged(entry, *began_at, stat)
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

/// A directory that is being walked: what is left of it here and in the parent snapshot, both in name order.
struct Level {
    path: StoredPath,
    entries: VecDeque<Found>,
    parents: VecDeque<Entry>,
}

impl Level {
    /// The next entry here, with the parent snapshot's entry of the same name.
    fn next(&mut self) -> Option<(Found, Option<Entry>)> {
        let found = self.entries.pop_front()?;
        while self.parents.front().is_some_and(|entry| entry.name < found.name) {
            self.parents.pop_front();
        }
        let same_name = self.parents.front().is_some_and(|entry| entry.name == found.name);
        let parent = if same_name { self.parents.pop_front() } else { None };
        Some((found, parent))
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
