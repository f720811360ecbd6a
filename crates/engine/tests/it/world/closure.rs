//! Is a snapshot whole? Walks every tree from the root: what it names must be there, of the right kind and length, and
//! every sum must be true. Refuses by the code that the real server uses.

use super::server::{Kept, refused};
use base::Kind;
use engine::RemoteError;
use format::{ChunkKind, ChunkRef, Content, Entry, EntryBody, List, ListRef, Manifest, Piece, Totals, Tree, TreeBody};
use std::collections::{BTreeMap, HashSet};

pub fn check(chunks: &BTreeMap<ChunkRef, Kept>, manifest: &Manifest) -> Result<(), RemoteError> {
    let closure = Closure(chunks);
    if closure.tree(&manifest.root)?.totals != manifest.totals {
        return Err(refused("manifest_mismatch", Kind::Invalid));
    }
    let mut left = vec![manifest.root];
    let mut seen: HashSet<ChunkRef> = left.iter().copied().collect();
    while let Some(tree) = left.pop() {
        let below = closure.one(&tree)?;
        left.extend(below.into_iter().filter(|tree| seen.insert(*tree)));
    }
    Ok(())
}

struct Closure<'a>(&'a BTreeMap<ChunkRef, Kept>);

impl Closure<'_> {
    /// Checks one tree by itself; the trees that it names.
    fn one(&self, chunk: &ChunkRef) -> Result<Vec<ChunkRef>, RemoteError> {
        let tree = self.tree(chunk)?;
        let (sum, below) = match &tree.body {
            TreeBody::Leaf(entries) => self.leaf(entries)?,
            TreeBody::Fan(pages) => {
                let mut sum = Totals::default();
                for (number, page) in pages.iter().enumerate() {
                    let leaf = self.tree(&page.tree)?;
                    sum += leaf.totals;
                    leaf.into_page(pages, number).map_err(|_| mismatch("a page is in another page's place"))?;
                }
                (sum, pages.iter().map(|page| page.tree).collect())
            }
        };
        if sum == tree.totals { Ok(below) } else { Err(mismatch("totals are not the sum")) }
    }

    fn leaf(&self, entries: &[Entry]) -> Result<(Totals, Vec<ChunkRef>), RemoteError> {
        let mut sum = Totals::default();
        let mut below = Vec::new();
        for entry in entries {
            sum += Totals::of_entry(entry);
            match &entry.body {
                EntryBody::Directory { tree } => {
                    sum += self.tree(tree)?.totals;
                    below.push(*tree);
                }
                EntryBody::File { content: Content::Pieces(pieces), .. } => self.pieces(pieces)?,
                EntryBody::File { content: Content::Lists(lists), .. } => self.lists(lists)?,
                _ => {}
            }
        }
        Ok((sum, below))
    }

    fn lists(&self, lists: &[ListRef]) -> Result<(), RemoteError> {
        for list in lists {
            let plain = self.get(&list.list, ChunkKind::List)?.plain.clone();
            let pieces = List::decode(&plain).expect("every list was parsed when it came").pieces;
            let bytes: u64 = pieces.iter().map(Piece::len).sum();
            if (pieces.len() as u64, bytes) != (list.pieces, list.bytes) {
                return Err(mismatch("a list is not as long as it is said to be"));
            }
            self.pieces(&pieces)?;
        }
        Ok(())
    }

    fn pieces(&self, pieces: &[Piece]) -> Result<(), RemoteError> {
        for piece in pieces {
            if let Piece::Data { chunk, len } = piece
                && self.get(chunk, ChunkKind::Content)?.plain.len() != *len as usize
            {
                return Err(mismatch("a chunk is not as long as it is said to be"));
            }
        }
        Ok(())
    }

    fn tree(&self, tree: &ChunkRef) -> Result<Tree, RemoteError> {
        let kept = self.get(tree, ChunkKind::Tree)?;
        Ok(Tree::decode(&kept.plain).expect("every tree was parsed when it came"))
    }

    fn get(&self, chunk: &ChunkRef, kind: ChunkKind) -> Result<&Kept, RemoteError> {
        let kept = self.0.get(chunk).filter(|kept| kept.kind == kind);
        kept.ok_or_else(|| refused("tree_names_missing", Kind::Invalid))
    }
}

fn mismatch(what: &str) -> RemoteError {
    RemoteError::new("manifest_mismatch", what, Kind::Invalid)
}
