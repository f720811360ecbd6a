//! Looks at one directory, on the pool: lists it, and compares it with the parent snapshot's tree of it as the cache
//! has that. Where nothing in it is new and nothing beneath it is to be walked, no entry of it is made.
//! Refuses to ask the server: what the cache lacks, the walk compares.

use super::Known;
use crate::error::SourceError;
use crate::ports::{EntryKind, Found, Listing, Source};
use crate::trees::{OfCache, TreeReader};
use crate::unchanged::is_unchanged;
use base::{Bytes, Timestamp};
use format::limits::PATH_MAX;
use format::{BodyView, ChunkRef, EntryView, StoredPath, Totals, Tree, TreeView};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// What it takes to look at a directory.
pub(super) struct Look {
    pub source: Arc<dyn Source>,
    /// The trees of the parent snapshot, and when its run began.
    pub parent: Option<(Arc<TreeReader>, Timestamp)>,
}

/// A directory with the parent snapshot's tree of it, where that is known.
pub(super) type Place = (StoredPath, Option<ChunkRef>);

/// What came of a directory.
pub(super) enum Looked {
    /// Its entries.
    Listing(Listing),
    /// It is as the parent snapshot has it, and no directory is in it.
    Same(Same),
}

/// A directory that is as the parent snapshot has it.
pub(super) struct Same {
    pub known: Known,
    pub totals: Totals,
    /// How many entries it has.
    pub entries: usize,
}

impl Look {
    /// What came of a directory, and the directories in it, in order.
    pub fn at(&self, (path, tree): &Place) -> (Result<Looked, SourceError>, Vec<Place>) {
        let listing = match self.source.list(path) {
            Ok(listing) => listing,
            Err(error) => return (Err(error), Vec::new()),
        };
        let mut compared = Compared { is_same: listing.problems.is_empty(), trees: HashMap::new() };
        let known = self.known(&listing, *tree);
        if let Some((_, parent, began_at)) = &known {
            compared.with(&listing.entries, parent, *began_at);
        }
        let directories =
            listing.entries.iter().enumerate().filter(|(_, found)| found.stat.kind == EntryKind::Directory);
        let below: Vec<Place> = directories
            .filter_map(|(at, found)| Some((path.join(&found.name).ok()?, compared.trees.get(&at).copied())))
            .filter(|(path, _)| Bytes::of(path.as_bytes().len()) <= PATH_MAX)
            .collect();
        let known = known.filter(|_| compared.is_same);
        let known = known.and_then(|(tree, parent, _)| Some((tree, Tree::decode_totals(&parent.plain).ok()?, parent)));
        let Some((tree, totals, parent)) = known else { return (Ok(Looked::Listing(listing)), below) };
        let pages = parent.pages.into_iter().map(|(page, _)| page).collect();
        let same = Same { known: Known { tree, pages }, totals, entries: listing.entries.len() };
        (Ok(Looked::Same(same)), Vec::new())
    }

    /// What a directory is compared with. Of a large one the names alone are listed: the walk compares those.
    fn known(&self, listing: &Listing, tree: Option<ChunkRef>) -> Option<(ChunkRef, OfCache, Timestamp)> {
        let (trees, began_at) = self.parent.as_ref().filter(|_| listing.more.is_none())?;
        let tree = tree?;
        Some((tree, trees.of_cache(&tree)?, *began_at))
    }
}

/// A directory beside the parent snapshot's tree of it.
struct Compared {
    /// Whether every entry is unchanged, none is missing and none is a directory.
    is_same: bool,
    /// The parent's tree of what is a directory in both, by its place in the listing.
    trees: HashMap<usize, ChunkRef>,
}

impl Compared {
    fn with(&mut self, found: &[Found], parent: &OfCache, began_at: Timestamp) {
        let mut at = 0;
        let leaves = parent.pages.iter().map(|(_, page)| page).chain(parent.pages.is_empty().then_some(&parent.plain));
        for leaf in leaves {
            let Ok((_, TreeView::Leaf(entries))) = Tree::view(leaf) else {
                self.is_same = false;
                return;
            };
            for entry in entries {
                let Ok(entry) = entry else {
                    self.is_same = false;
                    return;
                };
                at = self.entry(found, at, &entry, began_at);
            }
        }
        self.is_same &= at == found.len();
    }

    /// Compares one entry of the parent's, and says where the listing goes on.
    fn entry(&mut self, found: &[Found], mut at: usize, parent: &EntryView<'_>, began_at: Timestamp) -> usize {
        while let Some(Found { name, stat }) = found.get(at) {
            match (name[..].cmp(parent.name), &parent.body) {
                (Ordering::Greater, _) => break,
                (Ordering::Less, _) => self.is_same = false,
                (Ordering::Equal, BodyView::Directory { tree }) if stat.kind == EntryKind::Directory => {
                    self.is_same = false;
                    self.trees.insert(at, *tree);
                    return at + 1;
                }
                (Ordering::Equal, _) => {
                    self.is_same &= is_unchanged(parent.into(), began_at, stat);
                    return at + 1;
                }
            }
            at += 1;
        }
        self.is_same = false;
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Stat;
    use format::{Content, Entry, EntryBody, FileTime, Meta};

    fn time(seconds: i64) -> FileTime {
        FileTime { seconds, nanos: 1 }
    }

    fn found(name: &str, kind: EntryKind, ctime: i64) -> Found {
        let (mtime, ctime) = (time(1), time(ctime));
        let (mode, uid, gid, inode, device, links, size, stored, rdev) = (0o644, 0, 0, 7, 1, 1, 0, 0, (0, 0));
        let stat = Stat { kind, mode, uid, gid, mtime, ctime, inode, device, links, size, stored, rdev };
        Found { name: name.into(), stat }
    }

    fn entry(name: &str, body: EntryBody) -> Entry {
        let meta = Meta { mtime: time(1), ctime: time(2), inode: 7, ..Meta::default() };
        Entry { name: name.into(), meta, body }
    }

    fn file(name: &str) -> Entry {
        entry(name, EntryBody::File { size: 0, content: Content::Inline(Vec::new()) })
    }

    /// Compares a listing with the parent's entries, on one page and on as many as there are entries.
    fn compare(listing: &[Found], parent: &[Entry]) -> Compared {
        let encode = |entries: &[Entry]| {
            let tree = Tree::leaf(entries.to_vec(), Totals::default());
            bytes::Bytes::from(tree.encode().expect("it keeps the rules"))
        };
        let compare = |parent: &OfCache| {
            let mut compared = Compared { is_same: true, trees: HashMap::new() };
            compared.with(listing, parent, Timestamp::from_ms(9_000));
            compared
        };
        let name = ChunkRef::from_bytes([1; 32]);
        let one = compare(&OfCache { plain: encode(parent), pages: Vec::new() });
        if !parent.is_empty() {
            let pages = parent.iter().map(|entry| (name, encode(std::slice::from_ref(entry)))).collect();
            let many = compare(&OfCache { plain: bytes::Bytes::new(), pages });
            assert_eq!((many.is_same, &many.trees), (one.is_same, &one.trees));
        }
        one
    }

    #[test]
    fn only_what_has_the_parents_entries_and_no_other_is_the_same() {
        let is_same = |listing: &[(&str, i64)], parent: &[&str]| {
            let listing: Vec<Found> =
                listing.iter().map(|(name, ctime)| found(name, EntryKind::File, *ctime)).collect();
            compare(&listing, &parent.iter().map(|name| file(name)).collect::<Vec<_>>()).is_same
        };
        assert!(is_same(&[], &[]));
        assert!(is_same(&[("a", 2), ("b", 2)], &["a", "b"]));
        assert!(!is_same(&[("a", 2), ("b", 3)], &["a", "b"]), "one has changed");
        assert!(!is_same(&[("a", 2), ("b", 2)], &["a"]), "one is new, at the end");
        assert!(!is_same(&[("a", 2), ("b", 2)], &["b"]), "one is new, at the front");
        assert!(!is_same(&[("a", 2), ("b", 2), ("c", 2)], &["a", "c"]), "one is new, in between");
        assert!(!is_same(&[("a", 2)], &["a", "b"]), "the last is gone");
        assert!(!is_same(&[("b", 2)], &["a", "b"]), "the first is gone");
        assert!(!is_same(&[("a", 2), ("c", 2)], &["a", "b", "c"]), "one in between is gone");
        assert!(!is_same(&[("b", 2)], &["a"]), "it has another name");
        assert!(!is_same(&[], &["a"]) && !is_same(&[("a", 2)], &[]));
    }

    #[test]
    fn directories_are_never_the_same_and_keep_their_trees() {
        let tree = ChunkRef::from_bytes([3; 32]);
        let directory = |name: &str| entry(name, EntryBody::Directory { tree });
        let listing =
            [("a", EntryKind::File), ("b", EntryKind::Directory), ("c", EntryKind::Directory), ("d", EntryKind::File)];
        let listing = listing.map(|(name, kind)| found(name, kind, 2));
        let compared = compare(&listing, &[directory("a"), directory("b"), file("c"), directory("d")]);
        assert!(!compared.is_same);
        assert_eq!(compared.trees, HashMap::from([(1, tree)]), "of what is a directory in both");
        assert!(!compare(&listing[1..2], &[directory("b")]).is_same, "what is in it has to be looked at");
    }

    #[test]
    fn what_is_no_tree_is_not_the_same() {
        let parent = OfCache { plain: bytes::Bytes::from_static(b"no tree"), pages: Vec::new() };
        let mut compared = Compared { is_same: true, trees: HashMap::new() };
        compared.with(&[], &parent, Timestamp::from_ms(9_000));
        assert!(!compared.is_same);
    }
}
