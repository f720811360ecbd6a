//! Assemble: the second half of the step `chunk`. Puts entries into trees from the bottom up and hands chunks on.
//! A tree that the parent snapshot has under the same name is not handed on: it is known to be there.

use super::NewChunk;
use super::scan::Known;
use crate::error::EngineError;
use crate::ports::TreeCache;
use crate::trees::directory_tree;
use bytes::Bytes;
use format::{ChunkKind, ChunkRef, Content, Entry, EntryBody, Meta, NamingKey, Page, Totals, Tree, TreeBody};
use tokio::sync::mpsc::Sender;

/// A directory larger than this, encoded, is cut into pages.
const TREE_BYTES_MAX: usize = 16 << 10;
/// A page ends when its entries are about this long, whatever their number.
const PAGE_BYTES_MAX: usize = 256 << 10;
/// The least and the most entries that a page holds on average.
const PAGE_ENTRIES_MIN: usize = 32;
const PAGE_ENTRIES_MAX: usize = 2_048;
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
    /// How many of its entries are, to the last byte, those of the parent snapshot.
    known_entries: usize,
    entries: Vec<Entry>,
    /// Which of the entries are directories, and what is beneath each.
    beneath: Vec<(usize, Totals)>,
    /// Everything beneath it so far.
    totals: Totals,
}

impl OpenDirectory {
    pub(super) fn new(name: Vec<u8>, meta: Meta, is_unchanged: bool, known: Option<Known>) -> Self {
        Self {
            name,
            meta,
            is_unchanged,
            known,
            known_entries: 0,
            entries: Vec::new(),
            beneath: Vec::new(),
            totals: Totals::default(),
        }
    }

    /// The tree that the parent snapshot has of it, if every entry is the parent's and none of the parent's is gone: it
    /// has then but one encoding, and that is there.
    fn known_tree(&self) -> Option<&Known> {
        let is_all = |known: &&Known| self.known_entries == known.entries && self.entries.len() == known.entries;
        self.known.as_ref().filter(is_all)
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
    pub(super) fn known(&mut self, entry: Entry) {
        self.entry(entry);
        self.open.last_mut().expect("an entry has been put in it").known_entries += 1;
    }

    /// A directory that is, with everything beneath it, as the parent snapshot has it.
    pub(super) fn untouched(&mut self, entry: Entry, totals: Totals) {
        let tree = directory_tree(&entry).expect("only a directory has anything beneath it");
        self.cache.keep_beneath(&tree);
        let above = self.open.last_mut().expect("the scan enters the root before it names an entry");
        above.beneath.push((above.entries.len(), totals));
        above.totals += totals;
        self.known(entry);
    }

    pub(super) fn entry(&mut self, entry: Entry) {
        let directory = self.open.last_mut().expect("the scan enters the root before it names an entry");
        directory.totals += Totals::of_entry(&entry);
        directory.entries.push(entry);
    }

    /// Ends the directory that began last: its tree is named, kept, handed on when it is new, and entered above.
    pub(super) async fn leave(&mut self) -> Result<(), EngineError> {
        let mut directory = self.open.pop().expect("the scan leaves only what it entered");
        let (name, meta) = (std::mem::take(&mut directory.name), std::mem::take(&mut directory.meta));
        let (totals, is_unchanged) = (directory.totals, directory.is_unchanged);
        let known_tree = directory.known.as_ref().map(|known| known.tree);
        let tree = match directory.known_tree().filter(|known| self.keeps_again(known)) {
            Some(known) => known.tree,
            None => self.tree(directory).await?,
        };
        match self.open.last_mut() {
            None => self.root = Some((tree, totals)),
            Some(above) => {
                let entry = Entry { name, meta, body: EntryBody::Directory { tree } };
                above.totals += Totals::of_entry(&entry) + totals;
                above.beneath.push((above.entries.len(), totals));
                above.known_entries += usize::from(is_unchanged && known_tree == Some(tree));
                above.entries.push(entry);
            }
        }
        Ok(())
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

    async fn tree(&mut self, directory: OpenDirectory) -> Result<ChunkRef, EngineError> {
        let OpenDirectory { known, entries, beneath, totals, .. } = directory;
        let known_trees: Vec<ChunkRef> =
            known.into_iter().flat_map(|known| [known.pages, vec![known.tree]]).flatten().collect();
        let weight = weight(&entries);
        let is_large = entries.len() > 2 * PAGE_ENTRIES_MIN && weight > TREE_BYTES_MAX;
        // A few entries can be heavy too: much metadata, or very large files.
        if !is_large && weight <= PAGE_BYTES_MAX {
            return self.keep(&Tree { totals, body: TreeBody::Leaf(entries) }, &known_trees).await;
        }
        let mut cut = pages_of(entries, &beneath);
        // One page alone is no fan: no name in it was a boundary.
        if let [LeafPage { entries, .. }] = &mut cut[..] {
            let entries = std::mem::take(entries);
            return self.keep(&Tree { totals, body: TreeBody::Leaf(entries) }, &known_trees).await;
        }
        let mut pages = Vec::with_capacity(cut.len());
        for page in cut {
            let first = page.entries[0].name.clone();
            let leaf = Tree { totals: page.totals, body: TreeBody::Leaf(page.entries) };
            let tree = self.keep(&leaf, &known_trees).await?;
            pages.push(Page { first, tree });
        }
        self.keep(&Tree { totals, body: TreeBody::Fan(pages) }, &known_trees).await
    }

    /// Keeps the trees of a directory that is as it was, if the cache has them all.
    fn keeps_again(&self, known: &Known) -> bool {
        known.pages.iter().chain([&known.tree]).all(|tree| self.cache.keep_again(tree))
    }

    async fn keep(&mut self, tree: &Tree, known_trees: &[ChunkRef]) -> Result<ChunkRef, EngineError> {
        let plain = tree.encode().map_err(|cause| EngineError::Format { what: "tree", cause })?;
        let chunk = self.naming.name(ChunkKind::Tree, &plain);
        self.cache.keep(&chunk, &plain);
        if !known_trees.contains(&chunk) {
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

struct LeafPage {
    entries: Vec<Entry>,
    totals: Totals,
}

/// Cuts a large directory where the names say, so that an entry more or less changes one page and no other.
fn pages_of(entries: Vec<Entry>, beneath: &[(usize, Totals)]) -> Vec<LeafPage> {
    let average = page_entries(entries.len());
    let mut beneath = beneath.iter().peekable();
    let mut pages = Vec::new();
    let mut page = LeafPage { entries: Vec::new(), totals: Totals::default() };
    let mut page_bytes = 0;
    for (position, entry) in entries.into_iter().enumerate() {
        let full = page.entries.len() >= 4 * average || page_bytes + weight_of(&entry) > PAGE_BYTES_MAX;
        if full && !page.entries.is_empty() {
            pages.push(std::mem::replace(&mut page, LeafPage { entries: Vec::new(), totals: Totals::default() }));
            page_bytes = 0;
        }
        page_bytes += weight_of(&entry);
        page.totals += Totals::of_entry(&entry);
        if let Some((_, totals)) = beneath.next_if(|(at, _)| *at == position) {
            page.totals += *totals;
        }
        let is_boundary = if page.entries.len() >= average / 2 {
            is_page_boundary(&entry.name, average)
        } else {
            // Heavy entries fill a page before it has that many: it should still end where a name says.
            page_bytes >= PAGE_BYTES_MAX / 2 && is_page_boundary(&entry.name, 4)
        };
        page.entries.push(entry);
        if is_boundary {
            pages.push(std::mem::replace(&mut page, LeafPage { entries: Vec::new(), totals: Totals::default() }));
            page_bytes = 0;
        }
    }
    if !page.entries.is_empty() {
        pages.push(page);
    }
    pages
}

/// How many entries a page of a directory with so many holds: about the square root, since a change sends one page and
/// the list of pages. A power of two, so that a directory must grow fourfold before it is cut anew.
fn page_entries(entries: usize) -> usize {
    let log2 = entries.max(1).ilog2();
    (1 << log2.div_ceil(2)).clamp(PAGE_ENTRIES_MIN, PAGE_ENTRIES_MAX)
}

/// One name in so many, whichever others there are. Any even spread will do, an attacker gains nothing: FNV-1a, and its
/// bits mixed once more, since names often differ in their last digit only.
fn is_page_boundary(name: &[u8], one_in: usize) -> bool {
    let hash = name
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 33).is_multiple_of(one_in as u64)
}

fn weight(entries: &[Entry]) -> usize {
    entries.iter().map(weight_of).sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(names: impl Iterator<Item = u32>) -> Vec<Entry> {
        let fifo =
            |name: u32| Entry { name: format!("{name:08}").into_bytes(), meta: Meta::default(), body: EntryBody::Fifo };
        names.map(fifo).collect()
    }

    #[test]
    fn one_entry_more_changes_one_page() {
        let firsts = |entries: Vec<Entry>| {
            pages_of(entries, &[])
                .iter()
                .map(|page| (page.entries[0].name.clone(), page.entries.len()))
                .collect::<Vec<_>>()
        };
        let before = firsts(entries((0..100_000).filter(|n| *n != 50_000)));
        let after = firsts(entries(0..100_000));
        assert!(before.len() > 10, "{} pages", before.len());
        let changed = after.iter().filter(|page| !before.contains(page)).count();
        assert_eq!(changed, 1);
    }

    #[test]
    fn the_pages_hold_every_entry_once_and_sum_to_the_whole() {
        let beneath = Totals { entries: base::Count(5), files: base::Count(4), bytes: base::Bytes(9) };
        let pages = pages_of(entries(0..30_000), &[(7, beneath), (29_999, beneath)]);
        let joined: Vec<Entry> = pages.iter().flat_map(|page| page.entries.clone()).collect();
        assert_eq!(joined, entries(0..30_000));
        let totals: Totals = pages.iter().map(|page| page.totals).sum();
        assert_eq!((totals.entries.0, totals.files.0, totals.bytes.0), (30_010, 8, 18));
        assert!(pages.iter().all(|page| page.entries.len() <= 4 * page_entries(30_000)));
    }
}
