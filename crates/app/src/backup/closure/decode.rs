//! Takes trees and lists apart: what they hold themselves, what they name, what they say is beneath them.
//! Refuses what does not decode. Pure: for the threads that may block.

use bytes::Bytes;
use db::Shape;
use format::{BodyView, ChunkId, ContentView, Error, Flaw, LeafView, List, Page, Piece, Totals, Tree, TreeView};
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
    /// Which of the entries that name something names it.
    pub(super) entry: usize,
}

/// A tree or list that is named.
#[derive(Clone, Debug)]
pub(super) struct ChildNamed {
    pub(super) id: ChunkId,
    pub(super) role: Role,
    /// What the name says of a list: its pieces and what they cover.
    pub(super) said: Option<(u64, u64)>,
    /// Which of the entries that name something names it.
    pub(super) entry: usize,
}

/// The names that a chunk gives to what it names. The pages of a fan and the pieces of a list have no names of their
/// own.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Of those entries that name anything.
    naming: Vec<Bytes>,
    /// Of the first entry and the last.
    ends: Option<(Bytes, Bytes)>,
}

impl Names {
    /// The name of an entry; empty where there is none.
    pub(super) fn of(&self, entry: usize) -> &[u8] {
        self.naming.get(entry).map_or(&[], |name| name)
    }

    /// The first name and the last.
    pub(super) fn ends(&self) -> Option<(&[u8], &[u8])> {
        self.ends.as_ref().map(|(first, last)| (&first[..], &last[..]))
    }
}

/// Takes one chunk apart.
///
/// # Errors
/// Bytes that are not what the role asks for.
pub(super) fn decode(role: &Role, plain: &Bytes) -> Result<Decoded, Error> {
    match role {
        Role::List => Ok(list(&List::decode(plain)?)),
        Role::Tree => match Tree::view(plain)? {
            (declared, TreeView::Leaf(entries)) => leaf(plain, declared, entries),
            (declared, TreeView::Fan(pages)) => Ok(fan(declared, pages)),
        },
        Role::Page { pages, number } => {
            let (declared, TreeView::Leaf(entries)) = Tree::view(plain)? else {
                return Err(Error::Decode { part: "page", offset: 0, flaw: Flaw::Tag });
            };
            let decoded = leaf(plain, declared, entries)?;
            Tree::check_page(pages, *number, decoded.names.ends())?;
            Ok(decoded)
        }
    }
}

fn leaf(plain: &Bytes, declared: Totals, entries: LeafView<'_>) -> Result<Decoded, Error> {
    let (mut own, mut contents, mut children, mut names) =
        (Totals::default(), Vec::new(), Vec::new(), Names::default());
    let mut ends: Option<(&[u8], &[u8])> = None;
    for view in entries {
        let view = view?;
        own += view.totals();
        ends = Some((ends.map_or(view.name, |(first, _)| first), view.name));
        let entry = names.naming.len();
        match view.body {
            BodyView::File { content: ContentView::Pieces(pieces), .. } => name_pieces(pieces, entry, &mut contents),
            BodyView::File { content: ContentView::Lists(lists), .. } => {
                let child = |list: format::ListRef| ChildNamed {
                    id: list.list.id(),
                    role: Role::List,
                    said: Some((list.pieces, list.bytes)),
                    entry,
                };
                children.extend(lists.map(child));
            }
            BodyView::Directory { tree } => {
                children.push(ChildNamed { id: tree.id(), role: Role::Tree, said: None, entry });
            }
            BodyView::File { content: ContentView::Inline(_), .. }
            | BodyView::Symlink { .. }
            | BodyView::Fifo
            | BodyView::Socket
            | BodyView::CharDevice { .. }
            | BodyView::BlockDevice { .. } => continue,
        }
        names.naming.push(plain.slice_ref(view.name));
    }
    names.ends = ends.map(|(first, last)| (plain.slice_ref(first), plain.slice_ref(last)));
    Ok(Decoded { shape: Shape::Leaf, declared, own, contents, children, names })
}

fn fan(declared: Totals, pages: Vec<Page>) -> Decoded {
    let pages = Arc::new(pages);
    let child = |(number, page): (usize, &Page)| {
        let role = Role::Page { pages: Arc::clone(&pages), number };
        ChildNamed { id: page.tree.id(), role, said: None, entry: number }
    };
    let children = pages.iter().enumerate().map(child).collect();
    let own = Totals::default();
    Decoded { shape: Shape::Fan, declared, own, contents: Vec::new(), children, names: Names::default() }
}

fn list(list: &List) -> Decoded {
    let mut contents = Vec::with_capacity(list.pieces.len());
    name_pieces(list.pieces.iter().copied(), 0, &mut contents);
    let totals = Totals { entries: list.count(), bytes: list.covered(), ..Totals::default() };
    let (declared, own) = (totals, totals);
    Decoded { shape: Shape::List, declared, own, contents, children: Vec::new(), names: Names::default() }
}

fn name_pieces(pieces: impl Iterator<Item = Piece>, entry: usize, contents: &mut Vec<ContentNamed>) {
    contents.extend(pieces.filter_map(|piece| match piece {
        Piece::Data { chunk, len } => Some(ContentNamed { id: chunk.id(), len, entry }),
        Piece::Hole { .. } => None,
    }));
}
