//! Takes trees and lists apart: what they hold themselves, what they name, what they say is beneath them.
//! Refuses what does not decode. Pure: for the threads that may block.

use bytes::Bytes;
use db::Shape;
use format::{ChunkId, ChunkRef, Content, Entry, EntryBody, Error, List, Page, Piece, Totals, Tree, TreeBody};
use std::sync::Arc;

/// What a chunk is expected to be.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// The tree of a directory.
    Tree,
    /// One page of a fan, and which.
    Page { pages: Arc<Vec<Page>>, number: usize },
    /// A list of pieces.
    List,
}

/// A chunk taken apart.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) shape: Shape,
    /// What it says is in it: of a list, its pieces and what they cover.
    pub(super) declared: Totals,
    /// What it holds itself.
    pub(super) own: Totals,
    pub(super) contents: Vec<ContentNamed>,
    pub(super) children: Vec<ChildNamed>,
    pub(super) names: Names,
}

/// A content chunk that is named.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContentNamed {
    pub(super) id: ChunkId,
    pub(super) len: u32,
    /// Which entry names it.
    pub(super) entry: usize,
}

/// A tree or list that is named.
#[derive(Clone, Debug)]
pub(super) struct ChildNamed {
    pub(super) id: ChunkId,
    pub(super) role: Role,
    /// What the name says of a list: its pieces and what they cover.
    pub(super) said: Option<(u64, u64)>,
    /// Which entry names it.
    pub(super) entry: usize,
}

/// The names that a chunk gives to what it names.
#[derive(Debug)]
pub(super) enum Names {
    Entries(Vec<Entry>),
    /// The pages of a fan and the pieces of a list have no names of their own.
    None,
}

impl Names {
    /// The name of an entry; empty where there is none.
    pub(super) fn of(&self, entry: usize) -> &[u8] {
        match self {
            Names::Entries(entries) => &entries[entry].name,
            Names::None => &[],
        }
    }

    /// The first name and the last.
    pub(super) fn ends(&self) -> Option<(&[u8], &[u8])> {
        let Names::Entries(entries) = self else { return None };
        Some((&entries.first()?.name, &entries.last()?.name))
    }
}

/// Takes one chunk apart.
///
/// # Errors
/// Bytes that are not what the role asks for.
pub(super) fn decode(role: &Role, plain: &Bytes) -> Result<Decoded, Error> {
    match role {
        Role::List => Ok(list(&List::decode(plain)?)),
        Role::Tree => tree(Tree::decode(plain)?),
        Role::Page { pages, number } => {
            let tree = Tree::decode(plain)?;
            let declared = tree.totals;
            Ok(leaf(declared, tree.into_page(pages, *number)?))
        }
    }
}

fn tree(tree: Tree) -> Result<Decoded, Error> {
    let declared = tree.totals;
    match tree.body {
        TreeBody::Leaf(entries) => Ok(leaf(declared, entries)),
        TreeBody::Fan(pages) => Ok(fan(declared, pages)),
    }
}

fn leaf(declared: Totals, entries: Vec<Entry>) -> Decoded {
    let own = entries.iter().map(Totals::of_entry).sum();
    let (mut contents, mut children) = (Vec::new(), Vec::new());
    for (entry, body) in entries.iter().map(|entry| &entry.body).enumerate() {
        match body {
            EntryBody::File { content: Content::Pieces(pieces), .. } => name_pieces(pieces, entry, &mut contents),
            EntryBody::File { content: Content::Lists(lists), .. } => {
                let child = |list: &format::ListRef| ChildNamed {
                    id: list.list.id(),
                    role: Role::List,
                    said: Some((list.pieces, list.bytes)),
                    entry,
                };
                children.extend(lists.iter().map(child));
            }
            EntryBody::Directory { tree } => {
                children.push(ChildNamed { id: tree.id(), role: Role::Tree, said: None, entry });
            }
            EntryBody::File { content: Content::Inline(_), .. }
            | EntryBody::Symlink { .. }
            | EntryBody::Fifo
            | EntryBody::Socket
            | EntryBody::CharDevice { .. }
            | EntryBody::BlockDevice { .. } => {}
        }
    }
    Decoded { shape: Shape::Leaf, declared, own, contents, children, names: Names::Entries(entries) }
}

fn fan(declared: Totals, pages: Vec<Page>) -> Decoded {
    let pages = Arc::new(pages);
    let child = |(number, page): (usize, &Page)| {
        let role = Role::Page { pages: Arc::clone(&pages), number };
        ChildNamed { id: page.tree.id(), role, said: None, entry: number }
    };
    let children = pages.iter().enumerate().map(child).collect();
    let own = Totals::default();
    Decoded { shape: Shape::Fan, declared, own, contents: Vec::new(), children, names: Names::None }
}

fn list(list: &List) -> Decoded {
    let mut contents = Vec::with_capacity(list.pieces.len());
    name_pieces(&list.pieces, 0, &mut contents);
    let totals = Totals { entries: list.count(), bytes: list.covered(), ..Totals::default() };
    let (declared, own) = (totals, totals);
    Decoded { shape: Shape::List, declared, own, contents, children: Vec::new(), names: Names::None }
}

fn name_pieces(pieces: &[Piece], entry: usize, contents: &mut Vec<ContentNamed>) {
    contents.extend(pieces.iter().filter_map(|piece| match piece {
        Piece::Data { chunk, len } => Some(ContentNamed { id: ChunkRef::id(chunk), len: *len, entry }),
        Piece::Hole { .. } => None,
    }));
}
