//! Assemble: the second half of the step `chunk`. Puts entries into trees from the bottom up and hands chunks on.
//! A tree that the parent snapshot has under the same name is not handed on: it is known to be there.

mod pages;

use super::NewChunk;
use super::scan::Known;
use crate::error::EngineError;
use crate::ports::TreeCache;
use crate::trees::directory_tree;
use bytes::Bytes;
use format::{ChunkKind, ChunkRef, Content, Entry, EntryBody, Meta, NamingKey, Page, Totals, Tree, TreeBody};
use pages::{LeafPage, PAGE_BYTES_MAX, PAGE_ENTRIES_MIN, Pager};
use tokio::sync::mpsc::Sender;

/// A directory larger than this, encoded, is cut into pages.
const TREE_BYTES_MAX: usize = 16 << 10;
/// A directory of so many entries is cut while they come: no more than a page of it is held.
const CUT_ENTRIES_MIN: usize = 16_384;
/// Chunks are handed on together until they are about this long, or this many.
const BATCH_BYTES_MAX: usize = 2 << 20;
const BATCH_CHUNKS_MAX: usize = 1_024;

pub(super) struct Assembler<'a> {
    naming: &'a NamingKey,
    cache: &'a dyn TreeCache,
    chunks: Sender<Vec<NewChunk>>,
    batch: Vec<NewChunk>,
    batch_bytes: usize,
    open: Vec<OpenDirectory>,
    root: Option<(ChunkRef, Totals)>,
}

/// A directory whose entries are still coming.
pub(super) struct OpenDirectory {
    name: Vec<u8>,
    meta: Meta,
    /// Whether its metadata is the parent snapshot's.
    is_unchanged: bool,
    /// What the parent snapshot has of it.
    known: Option<Known>,
    /// Whether a page of the parent's tree could not be had.
    is_lacking: bool,
    /// How many of its entries are, to the last byte, those of the parent snapshot.
    known_entries: usize,
    /// How many entries have come.
    count: usize,
    /// All of them, with what is beneath each; none where it is cut while they come.
    entries: Vec<(Entry, Totals)>,
    cut: Option<Cut>,
    /// Everything beneath it so far.
    totals: Totals,
}

/// What has come of a large directory.
struct Cut {
    pager: Pager,
    /// Pages that are full and have no name yet.
    full: Vec<LeafPage>,
    pages: Vec<Page>,
}

impl OpenDirectory {
    pub(super) fn new(name: Vec<u8>, meta: Meta, is_unchanged: bool, known: Option<Known>, entries: usize) -> Self {
        let cut = || Cut { pager: Pager::new(entries), full: Vec::new(), pages: Vec::new() };
        Self {
            name,
            meta,
            is_unchanged,
            known,
            is_lacking: false,
            known_entries: 0,
            count: 0,
            entries: Vec::new(),
            cut: (entries >= CUT_ENTRIES_MIN).then(cut),
            totals: Totals::default(),
        }
    }

    fn push(&mut self, entry: Entry, beneath: Totals) {
        self.totals += Totals::of_entry(&entry) + beneath;
        self.count += 1;
        match &mut self.cut {
            Some(cut) => cut.pager.push(entry, beneath, &mut cut.full),
            None => self.entries.push((entry, beneath)),
        }
    }

    /// The tree that the parent snapshot, which has so many entries, has of it, if every entry is the parent's and none
    /// of the parent's is gone: it has then but one encoding, and that is there.
    fn known_tree(&self, known_entries: usize) -> Option<&Known> {
        let is_all = !self.is_lacking && self.known_entries == known_entries && self.count == known_entries;
        self.known.as_ref().filter(|_| is_all)
    }
}

impl<'a> Assembler<'a> {
    pub(super) fn new(naming: &'a NamingKey, cache: &'a dyn TreeCache, chunks: Sender<Vec<NewChunk>>) -> Self {
        Self { naming, cache, chunks, batch: Vec::new(), batch_bytes: 0, open: Vec::new(), root: None }
    }

    pub(super) fn enter(&mut self, directory: OpenDirectory) {
        self.open.push(directory);
    }

    /// An entry as the parent snapshot has it.
    pub(super) async fn known(&mut self, entry: Entry) -> Result<(), EngineError> {
        self.last().known_entries += 1;
        self.push(entry, Totals::default()).await
    }

    /// A directory that is, with everything beneath it, as the parent snapshot has it.
    pub(super) async fn untouched(&mut self, entry: Entry, totals: Totals) -> Result<(), EngineError> {
        let tree = directory_tree(&entry).expect("only a directory has anything beneath it");
        self.cache.keep_beneath(&tree);
        self.last().known_entries += 1;
        self.push(entry, totals).await
    }

    /// A directory that was looked at, and has what the parent snapshot has of it and no directory.
    pub(super) async fn same(&mut self, directory: OpenDirectory, totals: Totals) -> Result<(), EngineError> {
        let known = directory.known.as_ref().expect("it was compared with what the parent snapshot has");
        // What the cache cannot keep, the next run asks the server for.
        self.keeps_again(known);
        let tree = known.tree;
        self.close(OpenDirectory { totals, ..directory }, tree).await
    }

    pub(super) async fn entry(&mut self, entry: Entry) -> Result<(), EngineError> {
        self.push(entry, Totals::default()).await
    }

    /// A page of the parent's tree is not known to be there.
    pub(super) fn lacking(&mut self, page: &ChunkRef) {
        let directory = self.last();
        directory.is_lacking = true;
        if let Some(known) = &mut directory.known {
            known.pages.retain(|known| known != page);
        }
    }

    fn last(&mut self) -> &mut OpenDirectory {
        self.open.last_mut().expect("the scan enters the root before it names an entry")
    }

    async fn push(&mut self, entry: Entry, beneath: Totals) -> Result<(), EngineError> {
        let directory = self.last();
        directory.push(entry, beneath);
        if directory.cut.as_ref().is_some_and(|cut| !cut.full.is_empty())
            && let Some(mut directory) = self.open.pop()
        {
            self.name_full(&mut directory).await?;
            self.open.push(directory);
        }
        Ok(())
    }

    /// Names, keeps and hands on the pages of a large directory that are full.
    async fn name_full(&mut self, directory: &mut OpenDirectory) -> Result<(), EngineError> {
        let Some(cut) = &mut directory.cut else { return Ok(()) };
        for page in std::mem::take(&mut cut.full) {
            let page = self.page(page, directory.known.as_ref()).await?;
            cut.pages.push(page);
        }
        Ok(())
    }

    /// Ends the directory that began last, of which the parent snapshot has so many entries: its tree is named, kept,
    /// handed on when it is new, and entered above.
    pub(super) async fn leave(&mut self, known_entries: usize) -> Result<(), EngineError> {
        let mut directory = self.open.pop().expect("the scan leaves only what it entered");
        let tree = match directory.known_tree(known_entries).filter(|known| self.keeps_again(known)) {
            Some(known) => known.tree,
            None => self.tree(&mut directory).await?,
        };
        self.close(directory, tree).await
    }

    /// Enters a directory above, now that its tree has a name.
    async fn close(&mut self, directory: OpenDirectory, tree: ChunkRef) -> Result<(), EngineError> {
        let OpenDirectory { name, meta, is_unchanged, known, totals, .. } = directory;
        if self.open.is_empty() {
            self.root = Some((tree, totals));
            return Ok(());
        }
        let is_known = is_unchanged && known.is_some_and(|known| known.tree == tree);
        self.last().known_entries += usize::from(is_known);
        self.push(Entry { name, meta, body: EntryBody::Directory { tree } }, totals).await
    }

    /// Hands on what is left. The root tree and everything beneath it.
    pub(super) async fn finish(mut self) -> (ChunkRef, Totals) {
        self.flush().await;
        self.root.expect("the scan leaves the root last")
    }

    /// Hands on one chunk of content or a list.
    pub(super) async fn chunk(&mut self, chunk: NewChunk) {
        self.batch_bytes += chunk.plain.len();
        self.batch.push(chunk);
        if self.batch_bytes >= BATCH_BYTES_MAX || self.batch.len() >= BATCH_CHUNKS_MAX {
            self.flush().await;
        }
    }

    async fn tree(&mut self, directory: &mut OpenDirectory) -> Result<ChunkRef, EngineError> {
        let mut cut = match directory.cut.take() {
            Some(mut cut) => {
                cut.full.extend(cut.pager.end());
                cut
            }
            None => {
                let entries = std::mem::take(&mut directory.entries);
                let weight: usize = entries.iter().map(|(entry, _)| weight_of(entry)).sum();
                let is_large = entries.len() > 2 * PAGE_ENTRIES_MIN && weight > TREE_BYTES_MAX;
                let (mut pager, mut full) = (Pager::new(entries.len()), Vec::new());
                // A few entries can be heavy too: much metadata, or very large files.
                if is_large || weight > PAGE_BYTES_MAX {
                    entries.into_iter().for_each(|(entry, beneath)| pager.push(entry, beneath, &mut full));
                    full.extend(pager.end());
                } else {
                    let entries = entries.into_iter().map(|(entry, _)| entry).collect();
                    full.push(LeafPage { entries, totals: directory.totals });
                }
                Cut { pager, full, pages: Vec::new() }
            }
        };
        // One page alone is no fan: no name in it was a boundary.
        if cut.pages.is_empty() && cut.full.len() <= 1 {
            let LeafPage { entries, totals } = cut.full.pop().unwrap_or_default();
            return self.keep(&Tree { totals, body: TreeBody::Leaf(entries) }, directory.known.as_ref()).await;
        }
        directory.cut = Some(cut);
        self.name_full(directory).await?;
        let pages = directory.cut.take().map(|cut| cut.pages).unwrap_or_default();
        match &pages[..] {
            [only] => Ok(only.tree),
            _ => {
                let fan = Tree { totals: directory.totals, body: TreeBody::Fan(pages) };
                self.keep(&fan, directory.known.as_ref()).await
            }
        }
    }

    async fn page(&mut self, page: LeafPage, known: Option<&Known>) -> Result<Page, EngineError> {
        let first = page.entries[0].name.clone();
        let leaf = Tree { totals: page.totals, body: TreeBody::Leaf(page.entries) };
        Ok(Page { first, tree: self.keep(&leaf, known).await? })
    }

    /// Keeps the trees of a directory that is as it was, if the cache has them all.
    fn keeps_again(&self, known: &Known) -> bool {
        known.pages.iter().chain([&known.tree]).all(|tree| self.cache.keep_again(tree))
    }

    async fn keep(&mut self, tree: &Tree, known: Option<&Known>) -> Result<ChunkRef, EngineError> {
        let plain = tree.encode().map_err(|cause| EngineError::Format { what: "tree", cause })?;
        let chunk = self.naming.name(ChunkKind::Tree, &plain);
        self.cache.keep(&chunk, &plain);
        let is_known = known.is_some_and(|known| known.tree == chunk || known.pages.contains(&chunk));
        if !is_known {
            self.chunk(NewChunk { kind: ChunkKind::Tree, chunk, plain: Bytes::from(plain) }).await;
        }
        Ok(chunk)
    }

    async fn flush(&mut self) {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        // A closed queue means that a later step ended with an error, which is the one to report.
        if !batch.is_empty() && self.chunks.send(batch).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// About how long an entry is when it is encoded.
fn weight_of(entry: &Entry) -> usize {
    let xattrs: usize = entry.meta.xattrs.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let body = match &entry.body {
        EntryBody::File { content: Content::Inline(bytes), .. } => bytes.len(),
        EntryBody::File { content: Content::Pieces(pieces), .. } => pieces.len() * 36,
        EntryBody::File { content: Content::Lists(lists), .. } => lists.len() * 40,
        EntryBody::Symlink { target } => target.len(),
        _ => 32,
    };
    entry.name.len() + xattrs + body + 40
}
