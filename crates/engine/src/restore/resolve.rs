//! Resolve: walks the selected trees in stored-path order, makes directories, writes what stands in the trees
//! themselves, and collects the files that need chunks, a window at a time, so that memory does not grow with the
//! snapshot.

use super::here::{self, Found, Sought};
use super::small::Small;
use super::work::{FileWork, Later, Problems, Window};
use super::{Plan, Selection};
use crate::ctx::Ctx;
use crate::error::EngineError;
use crate::ports::Target;
use crate::trees::{Opened, Pages, Read, TreeReader, directory_tree};
use format::{ChunkRef, Content, Entry, EntryBody, Piece, StoredPath};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// A window ends at this many pieces, files or bytes; a larger file is a window of its own.
const WINDOW_PIECES_MAX: usize = 32_768;
const WINDOW_FILES_MAX: usize = 16_384;
const WINDOW_BYTES_MAX: u64 = 4 << 30;
/// Files that may be here are looked for together, so many at once, or so many bytes.
const SOUGHT_BATCH_MAX: usize = 128;
const SOUGHT_BYTES_MAX: u64 = 16 << 20;

pub(super) struct Walk {
    open: Vec<Level>,
    small: Small,
    sought: Vec<Sought>,
    sought_bytes: u64,
}

/// A directory on the way: where it is restored, and what is left of it.
struct Level {
    path: StoredPath,
    entries: VecDeque<Entry>,
    /// What comes after `entries` in a large directory.
    pages: Pages,
    /// Whether this restore has made it: nothing is here yet.
    is_fresh: bool,
}

impl Level {
    /// Reads on in a large directory; false when nothing is left of it. What cannot be had of it is one problem for
    /// each stretch, and the rest is restored.
    async fn read_on(&mut self, trees: &TreeReader, problems: &Problems) -> Result<bool, EngineError> {
        if self.pages.is_empty() {
            return Ok(false);
        }
        let Read { entries, lacking } = trees.read_on(&mut self.pages).await?;
        if !lacking.is_empty() {
            let sentence = "some of what was in this folder is damaged at the server: restore it from another snapshot";
            problems.add(self.path.clone(), "tree_missing", sentence.to_owned());
        }
        trees.prefetch(entries.iter().filter_map(directory_tree)).await?;
        self.entries = entries.into();
        Ok(true)
    }
}

impl Walk {
    /// Finds the selection in the snapshot.
    pub(super) async fn begin(plan: &Plan, trees: &TreeReader) -> Result<Self, EngineError> {
        let path = StoredPath::root();
        let opened = match &plan.selection {
            Selection::Everything => {
                let opened = trees.open(&plan.root).await?;
                opened.ok_or_else(|| EngineError::TreeMissing { path: path.to_string() })?
            }
            Selection::Paths(paths) => {
                let mut entries = Vec::with_capacity(paths.len());
                for path in paths {
                    entries.push(trees.find(&plan.root, path).await?);
                }
                Opened { entries, pages: Vec::new() }
            }
        };
        let mut walk = Self { open: Vec::new(), small: Small::default(), sought: Vec::new(), sought_bytes: 0 };
        walk.push(trees, path, opened, false).await?;
        Ok(walk)
    }

    async fn push(
        &mut self,
        trees: &TreeReader,
        path: StoredPath,
        opened: Opened,
        is_fresh: bool,
    ) -> Result<(), EngineError> {
        let Opened { entries, pages } = opened;
        trees.prefetch(entries.iter().filter_map(directory_tree)).await?;
        self.open.push(Level { path, entries: entries.into(), pages: pages.into(), is_fresh });
        Ok(())
    }

    /// Goes on until a window is full; `None` when nothing is left.
    pub(super) async fn next_window(
        &mut self,
        ctx: &Ctx,
        plan: &Plan,
        trees: &TreeReader,
        target: &Arc<dyn Target>,
        problems: &Problems,
        later: &mut Later,
    ) -> Result<Option<Window>, EngineError> {
        let mut window = Window::default();
        while let Some(level) = self.open.last_mut() {
            if problems.is_full() {
                return Err(EngineError::TargetFull);
            }
            let Some(entry) = level.entries.pop_front() else {
                if !level.read_on(trees, problems).await? {
                    self.open.pop();
                }
                continue;
            };
            let is_fresh = level.is_fresh;
            let path = level.path.join(&entry.name).expect("a tree has names of entries alone, or it does not decode");
            if let EntryBody::Directory { tree } = &entry.body {
                self.enter(ctx, trees, target, problems, later, (path, entry.meta.clone()), tree).await?;
            } else if !is_fresh && is_kept(ctx, target, &path).await {
                // Not among the further names either: what is there is another content than the snapshot's.
            } else if !is_further_name(&path, &entry, later) {
                self.entry(ctx, trees, target, problems, &mut window, (path, entry), is_fresh).await?;
                if self.sought.len() >= SOUGHT_BATCH_MAX || self.sought_bytes >= SOUGHT_BYTES_MAX {
                    self.seek(ctx, plan, target, problems, &mut window).await;
                }
            }
            if window.pieces >= WINDOW_PIECES_MAX
                || window.files.len() >= WINDOW_FILES_MAX
                || window.bytes >= WINDOW_BYTES_MAX
            {
                return Ok(Some(window));
            }
        }
        self.small.finish(ctx, target, problems).await;
        self.seek(ctx, plan, target, problems, &mut window).await;
        Ok((!window.files.is_empty()).then_some(window))
    }

    #[expect(clippy::too_many_arguments, reason = "the collaborators of one step, not settings")]
    async fn enter(
        &mut self,
        ctx: &Ctx,
        trees: &TreeReader,
        target: &Arc<dyn Target>,
        problems: &Problems,
        later: &mut Later,
        (path, meta): (StoredPath, format::Meta),
        tree: &ChunkRef,
    ) -> Result<(), EngineError> {
        let made = {
            let (target, path) = (Arc::clone(target), path.clone());
            ctx.cpu.brief(move || target.make_directory(&path)).await
        };
        let is_fresh = match made {
            Ok(is_fresh) => is_fresh,
            Err(error) => {
                problems.add_error(&path, &error);
                return Ok(());
            }
        };
        match trees.open(tree).await? {
            Some(opened) => self.push(trees, path.clone(), opened, is_fresh).await?,
            None => {
                let sentence = "what was in this folder is damaged at the server: restore it from another snapshot";
                problems.add(path.clone(), "tree_missing", sentence.to_owned());
            }
        }
        later.directories.push((path, meta));
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the collaborators of one step, not settings")]
    async fn entry(
        &mut self,
        ctx: &Ctx,
        trees: &TreeReader,
        target: &Arc<dyn Target>,
        problems: &Problems,
        window: &mut Window,
        (path, entry): (StoredPath, Entry),
        is_fresh: bool,
    ) -> Result<(), EngineError> {
        let EntryBody::File { size, content: Content::Pieces(_) | Content::Lists(_) } = &entry.body else {
            self.small.add(ctx, target, problems, path, entry).await;
            return Ok(());
        };
        let size = *size;
        match trees.pieces(entry.body).await? {
            Some(pieces) if pieces.iter().all(|piece| matches!(piece, Piece::Hole { .. })) => {
                let body = EntryBody::File { size, content: Content::Pieces(pieces) };
                self.small.add(ctx, target, problems, path, Entry { body, ..entry }).await;
            }
            Some(pieces) if is_fresh => add(window, Sought { path, size, meta: entry.meta, pieces }, &[]),
            Some(pieces) => {
                self.sought.push(Sought { path, size, meta: entry.meta, pieces });
                self.sought_bytes += size;
            }
            None => problems.add(path, "content_missing", super::fetch::CONTENT_MISSING.to_owned()),
        }
        Ok(())
    }

    /// Looks for what is here of the files that were put off; the rest of them goes into the window.
    async fn seek(
        &mut self,
        ctx: &Ctx,
        plan: &Plan,
        target: &Arc<dyn Target>,
        problems: &Problems,
        window: &mut Window,
    ) {
        let batch = std::mem::take(&mut self.sought);
        self.sought_bytes = 0;
        if batch.is_empty() {
            return;
        }
        let (target, naming, progress) = (Arc::clone(target), plan.naming.clone(), Arc::clone(&ctx.progress));
        let look = move |sought| (here::look(&*target, &naming, &progress, &sought), sought);
        let found: Vec<_> = ctx.cpu.run(move || batch.into_iter().map(look).collect()).await;
        for (found, sought) in found {
            match found {
                Found::Pieces(has) => add(window, sought, &has),
                Found::Whole(Ok(noted)) => noted.iter().for_each(|error| problems.add_error(&sought.path, error)),
                Found::Whole(Err(error)) => problems.add_error(&sought.path, &error),
            }
        }
    }
}

/// Puts a file into the window, with those of its pieces that it does not have.
fn add(window: &mut Window, file: Sought, has: &[bool]) {
    let Sought { path, size, meta, pieces } = file;
    let file = window.files.len();
    let mut at = 0;
    let mut count = 0;
    for (number, piece) in pieces.iter().enumerate() {
        let is_there = has.get(number).is_some_and(|is_there| *is_there);
        if let Piece::Data { chunk, .. } = piece
            && !is_there
        {
            window.places.entry(*chunk).or_default().at.push((file, at));
            count += 1;
        }
        at += piece.len();
    }
    window.pieces += count;
    window.bytes += size;
    window.files.push(FileWork {
        path,
        size,
        meta,
        pieces_left: AtomicUsize::new(count),
        is_lost: AtomicBool::new(false),
        part: std::sync::Mutex::new(None),
    });
}

/// Whether the target has something of this name, and wants it to stay.
async fn is_kept(ctx: &Ctx, target: &Arc<dyn Target>, path: &StoredPath) -> bool {
    if !target.keeps_what_is_there() {
        return false;
    }
    let (target, path) = (Arc::clone(target), path.clone());
    ctx.cpu.brief(move || target.is_there(&path)).await
}

/// Whether the entry is one more name of a file that is restored under another: it is linked at the end. Numbers of
/// file systems and inodes are given out again, and an unchanged entry has those of an earlier day: two entries are one
/// file only when they hold the same.
fn is_further_name(path: &StoredPath, entry: &Entry, later: &mut Later) -> bool {
    let Some(device) = entry.meta.device else { return false };
    match later.linked.entry((device, entry.meta.inode)) {
        std::collections::hash_map::Entry::Occupied(first) => {
            let (existing, body) = first.get();
            let is_same = *body == entry.body;
            if is_same {
                later.links.push((existing.clone(), path.clone()));
            }
            is_same
        }
        std::collections::hash_map::Entry::Vacant(none) => {
            none.insert((path.clone(), entry.body.clone()));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(inode: u64, content: &[u8]) -> Entry {
        let meta = format::Meta { device: Some(1), inode, ..format::Meta::default() };
        let content = Content::Inline(content.to_vec());
        Entry { name: b"name".to_vec(), meta, body: EntryBody::File { size: 3, content } }
    }

    #[test]
    fn the_same_numbers_with_other_content_are_another_file() {
        let path = |name: &[u8]| StoredPath::root().join(name).expect("a name");
        let mut later = Later::default();
        assert!(!is_further_name(&path(b"first"), &entry(7, b"one"), &mut later));
        assert!(is_further_name(&path(b"twin"), &entry(7, b"one"), &mut later));
        assert!(!is_further_name(&path(b"given out again"), &entry(7, b"two"), &mut later));
        assert!(!is_further_name(&path(b"other inode"), &entry(8, b"one"), &mut later));
        assert_eq!(later.links, [(path(b"first"), path(b"twin"))]);
    }
}
