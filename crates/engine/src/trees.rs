//! Trees of earlier snapshots: from the endpoint's cache where it has them, else from the server, never from trust:
//! every tree is named again before it is used, so a flipped bit costs a fetch and nothing else.

use crate::error::EngineError;
use crate::ports::{Remote, TreeCache};
use bytes::Bytes;
use format::{
    ChunkKind, ChunkRef, Content, Entry, EntryBody, List, NamingKey, Page, Piece, StoredPath, Tree, TreeBody, TreeView,
    compress,
};
use futures::StreamExt;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Reads trees and lists by ref.
pub struct TreeReader {
    naming: NamingKey,
    remote: Arc<dyn Remote>,
    cache: Arc<dyn TreeCache>,
    /// Trees that were fetched ahead and not asked for yet. Bounded by the open folders' number of children.
    ahead: Mutex<HashMap<ChunkRef, Ahead>>,
    refs_max: usize,
    /// Whether the server is asked for what the cache lacks.
    asks_server: bool,
}

/// A tree as it stands by itself: its entries, or the pages where they are.
pub(crate) struct Opened {
    pub entries: Vec<Entry>,
    pub pages: Vec<Page>,
}

/// The pages of a large directory's tree, read one after the other.
#[derive(Default)]
pub(crate) struct Pages {
    all: Vec<Page>,
    /// How many were read.
    read: usize,
    /// How many were read or fetched ahead, where the cache lacked them.
    fetched: usize,
}

impl From<Vec<Page>> for Pages {
    fn from(all: Vec<Page>) -> Self {
        Self { all, read: 0, fetched: 0 }
    }
}

impl Pages {
    /// Whether all were read. Never fails.
    pub fn is_empty(&self) -> bool {
        self.read == self.all.len()
    }
}

/// What stands in some pages, and which of them could not be had.
pub(crate) struct Read {
    pub entries: Vec<Entry>,
    pub lacking: Vec<ChunkRef>,
}

/// The bytes of a tree and of its pages.
pub(crate) struct OfCache {
    pub plain: Bytes,
    pub pages: Vec<(ChunkRef, Bytes)>,
}

/// A tree that was fetched ahead, and how often it will be asked for: folders that are alike share one.
struct Ahead {
    plain: Bytes,
    asks: usize,
}

impl TreeReader {
    /// A reader of trees named by `naming`. Never fails.
    pub fn new(naming: NamingKey, remote: Arc<dyn Remote>, cache: Arc<dyn TreeCache>) -> Self {
        Self { naming, remote, cache, ahead: Mutex::default(), refs_max: FETCH_REFS_MAX, asks_server: true }
    }

    /// Never asks the server: what the cache lacks, nobody has. Never fails.
    #[must_use]
    pub fn of_cache_alone(mut self) -> Self {
        self.asks_server = false;
        self
    }

    /// Names at most so many refs in one request: what the server takes at once. Never fails.
    #[must_use]
    pub fn with_refs_max(mut self, refs_max: usize) -> Self {
        self.refs_max = refs_max.clamp(1, FETCH_REFS_MAX);
        self
    }

    /// All entries of a directory in ascending order of name, pages joined; `None` when neither the cache nor the
    /// server has the tree undamaged.
    ///
    /// # Errors
    /// The server refuses or cannot be reached; a tree that has its name and is no tree.
    pub async fn tree(&self, tree: &ChunkRef) -> Result<Option<Vec<Entry>>, EngineError> {
        let Some(Opened { entries, pages }) = self.open(tree).await? else { return Ok(None) };
        let (mut joined, mut pages) = (entries, Pages::from(pages));
        while !pages.is_empty() {
            let Read { entries, lacking } = self.read_on(&mut pages).await?;
            if !lacking.is_empty() {
                return Ok(None);
            }
            joined.extend(entries);
        }
        Ok(Some(joined))
    }

    /// How much there is beneath a directory; `None` as with `tree`. Uses up what was fetched ahead.
    ///
    /// # Errors
    /// As `tree`.
    pub(crate) async fn totals(&self, tree: &ChunkRef) -> Result<Option<format::Totals>, EngineError> {
        let Some(plain) = self.plain(ChunkKind::Tree, tree).await? else { return Ok(None) };
        let totals = Tree::decode_totals(&plain).map_err(|cause| EngineError::Format { what: "tree", cause })?;
        // Nobody else will: what is beneath it is not walked.
        self.cache.keep(tree, &plain);
        Ok(Some(totals))
    }

    /// As `tree`, without the entries that stand in pages.
    ///
    /// # Errors
    /// As `tree`.
    pub(crate) async fn open(&self, tree: &ChunkRef) -> Result<Option<Opened>, EngineError> {
        let Some(plain) = self.plain(ChunkKind::Tree, tree).await? else { return Ok(None) };
        Ok(Some(match decode_tree(&plain)?.body {
            TreeBody::Leaf(entries) => Opened { entries, pages: Vec::new() },
            TreeBody::Fan(pages) => Opened { entries: Vec::new(), pages },
        }))
    }

    /// Reads the next pages of a large directory, as many as some thousand entries are on. Never none, unless none is
    /// left or those that are could not be had.
    ///
    /// # Errors
    /// As `tree`.
    pub(crate) async fn read_on(&self, pages: &mut Pages) -> Result<Read, EngineError> {
        let mut read = Read { entries: Vec::new(), lacking: Vec::new() };
        while read.entries.len() < READ_ENTRIES_MIN && !pages.is_empty() {
            if pages.fetched == pages.read {
                pages.fetched = pages.all.len().min(pages.read + PAGES_AHEAD_MAX);
                self.prefetch(pages.all[pages.read..pages.fetched].iter().map(|page| page.tree)).await?;
            }
            let number = pages.read;
            pages.read += 1;
            match self.page(&pages.all, number).await? {
                Some(entries) => read.entries.extend(entries),
                None => read.lacking.push(pages.all[number].tree),
            }
        }
        Ok(read)
    }

    /// The entries of one page, which lie between its name and the next one's; `None` as with `tree`.
    async fn page(&self, pages: &[Page], number: usize) -> Result<Option<Vec<Entry>>, EngineError> {
        let Some(plain) = self.plain(ChunkKind::Tree, &pages[number].tree).await? else { return Ok(None) };
        let entries = decode_tree(&plain)?.into_page(pages, number);
        entries.map(Some).map_err(|cause| EngineError::Format { what: "page", cause })
    }

    /// The pieces of a list; `None` when the server lacks it or sends it damaged.
    ///
    /// # Errors
    /// As `tree`.
    pub async fn list(&self, list: &ChunkRef) -> Result<Option<Vec<Piece>>, EngineError> {
        let Some(plain) = self.plain(ChunkKind::List, list).await? else { return Ok(None) };
        let list = List::decode(&plain).map_err(|cause| EngineError::Format { what: "list", cause })?;
        Ok(Some(list.pieces))
    }

    /// The entry of a directory that has this name, if there is one.
    ///
    /// # Errors
    /// As `tree`; neither the cache nor the server has the tree undamaged, or the page on which it would be: `path` is
    /// named then.
    async fn entry(&self, tree: &ChunkRef, path: &StoredPath, name: &[u8]) -> Result<Option<Entry>, EngineError> {
        let missing = || EngineError::TreeMissing { path: path.to_string() };
        let Opened { mut entries, pages } = self.open(tree).await?.ok_or_else(missing)?;
        if let Some(number) = pages.partition_point(|page| page.first.as_slice() <= name).checked_sub(1) {
            entries = self.page(&pages, number).await?.ok_or_else(missing)?;
        }
        Ok(entries.into_iter().find(|entry| entry.name == name))
    }

    /// The entry that has this path below the tree `root`.
    ///
    /// # Errors
    /// As `entry`; there is no such entry, as of the root itself.
    pub(crate) async fn find(&self, root: &ChunkRef, path: &StoredPath) -> Result<Entry, EngineError> {
        let missing = || EngineError::NotInSnapshot { path: path.to_string() };
        let mut tree = *root;
        let mut above = StoredPath::root();
        let mut components = path.components().peekable();
        while let Some(name) = components.next() {
            let entry = self.entry(&tree, &above, name).await?.ok_or_else(missing)?;
            if components.peek().is_none() {
                return Ok(entry);
            }
            tree = directory_tree(&entry).ok_or_else(missing)?;
            above = above.join(name).map_err(|_| missing())?;
        }
        Err(missing())
    }

    /// All pieces of a file, lists joined, and none of anything that has no pieces; `None` when a list is missing.
    ///
    /// # Errors
    /// As `list`.
    pub(crate) async fn pieces(&self, body: EntryBody) -> Result<Option<Vec<Piece>>, EngineError> {
        let lists = match body {
            EntryBody::File { content: Content::Pieces(pieces), .. } => return Ok(Some(pieces)),
            EntryBody::File { content: Content::Lists(lists), .. } => lists,
            _ => return Ok(Some(Vec::new())),
        };
        let mut joined = Vec::new();
        for list in lists {
            let Some(pieces) = self.list(&list.list).await? else { return Ok(None) };
            joined.extend(pieces);
        }
        Ok(Some(joined))
    }

    /// A tree and its pages as they lie in the cache; `None` where it lacks one of them. Never fails.
    pub(crate) fn of_cache(&self, tree: &ChunkRef) -> Option<OfCache> {
        let plain = self.cached(tree)?;
        let Ok((_, TreeView::Fan(pages))) = Tree::view(&plain) else {
            return Some(OfCache { plain, pages: Vec::new() });
        };
        let pages = pages.into_iter().map(|page| Some((page.tree, self.cached(&page.tree)?)));
        Some(OfCache { pages: pages.collect::<Option<_>>()?, plain })
    }

    /// Fetches those trees that the cache lacks in one request, for the calls of `tree` that follow. One that is
    /// damaged is fetched when it is asked for.
    ///
    /// # Errors
    /// The server refuses or cannot be reached.
    pub async fn prefetch(&self, trees: impl IntoIterator<Item = ChunkRef>) -> Result<(), EngineError> {
        let mut asks: BTreeMap<ChunkRef, usize> = BTreeMap::new();
        for tree in trees.into_iter().filter(|tree| !self.cache.has(tree)) {
            *asks.entry(tree).or_default() += 1;
        }
        asks.retain(|tree, asks| !self.ask_again(tree, *asks));
        let lacking: Vec<ChunkRef> = asks.keys().copied().collect();
        for refs in lacking.chunks(self.refs_max) {
            let fetched = self.fetch(ChunkKind::Tree, refs).await?;
            let fetched = fetched.into_iter().map(|(tree, plain)| (tree, Ahead { plain, asks: asks[&tree] }));
            self.ahead.lock().unwrap_or_else(PoisonError::into_inner).extend(fetched);
        }
        Ok(())
    }

    async fn plain(&self, kind: ChunkKind, chunk: &ChunkRef) -> Result<Option<Bytes>, EngineError> {
        if let Some(plain) = self.take_ahead(chunk).or_else(|| self.cached(chunk)) {
            return Ok(Some(plain));
        }
        Ok(self.fetch(kind, &[*chunk]).await?.into_iter().next().map(|(_, plain)| plain))
    }

    /// Whether the tree is there ahead; it will then be asked for so many times more.
    fn ask_again(&self, tree: &ChunkRef, asks: usize) -> bool {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.get_mut(tree).map(|tree| tree.asks += asks).is_some()
    }

    fn take_ahead(&self, tree: &ChunkRef) -> Option<Bytes> {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let found = ahead.get_mut(tree)?;
        found.asks -= 1;
        if found.asks > 0 { Some(found.plain.clone()) } else { ahead.remove(tree).map(|found| found.plain) }
    }

    fn cached(&self, tree: &ChunkRef) -> Option<Bytes> {
        let plain = self.cache.get(tree)?;
        if self.naming.name(ChunkKind::Tree, &plain) == *tree {
            return Some(Bytes::from(plain));
        }
        self.cache.mark_damaged(tree);
        None
    }

    /// The chunks that the server has. One that is not what its name says is left out, as if it had not come.
    async fn fetch(&self, kind: ChunkKind, refs: &[ChunkRef]) -> Result<Vec<(ChunkRef, Bytes)>, EngineError> {
        if !self.asks_server {
            return Ok(Vec::new());
        }
        let mut fetched = Vec::with_capacity(refs.len());
        let mut parcels = self.remote.fetch(refs.to_vec()).await.map_err(EngineError::Remote)?;
        while let Some(parcel) = parcels.next().await {
            let parcel = parcel.map_err(EngineError::Remote)?;
            let Ok(plain) = compress::decompress(parcel.codec, &parcel.bytes, parcel.plain_len) else { continue };
            let plain = Bytes::from(plain);
            let mut at = 0;
            for (position, len) in parcel.chunks {
                let chunk = refs.get(position as usize).ok_or(EngineError::Answer { step: "fetch" })?;
                let end = at + len as usize;
                let bytes = if end <= plain.len() { plain.slice(at..end) } else { Bytes::new() };
                at = end;
                if self.naming.name(kind, &bytes) == *chunk {
                    fetched.push((*chunk, bytes));
                }
            }
        }
        Ok(fetched)
    }
}

/// Pages of a tree that are fetched together where the cache lacks them: some megabytes.
const PAGES_AHEAD_MAX: usize = 64;
/// Pages are read together until they have so many entries: the trees of these are fetched by one request.
const READ_ENTRIES_MIN: usize = 4_096;
/// Refs in one request for trees.
const FETCH_REFS_MAX: usize = 4_096;

/// The tree of an entry that is a directory. Never fails.
pub(crate) fn directory_tree(entry: &Entry) -> Option<ChunkRef> {
    match &entry.body {
        EntryBody::Directory { tree } => Some(*tree),
        _ => None,
    }
}

fn decode_tree(plain: &[u8]) -> Result<Tree, EngineError> {
    Tree::decode(plain).map_err(|cause| EngineError::Format { what: "tree", cause })
}
