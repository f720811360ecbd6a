//! Makes a tree of what was read where it lies (`view`).
//! Refuses nothing of its own, and allocates only what the input pays for.

use super::view::{self, BodyView, ContentView, EntryView, LeafView, Owners, TreeView};
use super::{Content, Entry, EntryBody, Meta, Tree, TreeBody};
use crate::error::Error;
use std::sync::Arc;

/// An entry in memory is larger than a short one in bytes, so room is made for entries of this length, then grows.
const ENTRY_LEN_USUAL: usize = 48;

/// Reads all of `bytes` as one tree.
pub(super) fn tree(bytes: &[u8]) -> Result<Tree, Error> {
    let (totals, view) = view::tree(bytes)?;
    let body = match view {
        TreeView::Leaf(leaf) => TreeBody::Leaf(entries(leaf)?),
        TreeView::Fan(pages) => TreeBody::Fan(pages),
    };
    Ok(Tree { totals, body })
}

fn entries(leaf: LeafView<'_>) -> Result<Vec<Entry>, Error> {
    let (users, groups) = (named(&leaf.users), named(&leaf.groups));
    let mut entries = Vec::with_capacity(leaf.left.min(leaf.remaining() / ENTRY_LEN_USUAL + 1));
    for entry in leaf {
        entries.push(owned(entry?, &users, &groups));
    }
    Ok(entries)
}

/// Numbers and names of owners; the names are shared by the entries.
fn named(owners: &Owners<'_>) -> Vec<(u32, Arc<[u8]>)> {
    let unknown: Arc<[u8]> = Arc::default();
    let name = |name: &[u8]| if name.is_empty() { Arc::clone(&unknown) } else { Arc::from(name) };
    owners.rows().map(|(number, bytes)| (number, name(bytes))).collect()
}

fn owned(entry: EntryView<'_>, users: &[(u32, Arc<[u8]>)], groups: &[(u32, Arc<[u8]>)]) -> Entry {
    let EntryView { name, mode, user, group, mtime, ctime, inode, device, xattrs, body } = entry;
    let ((uid, user), (gid, group)) = (users[user].clone(), groups[group].clone());
    let xattrs = xattrs.into_iter().flatten().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    let body = match body {
        BodyView::File { size, content } => EntryBody::File { size, content: content_of(content) },
        BodyView::Directory { tree } => EntryBody::Directory { tree },
        BodyView::Symlink { target } => EntryBody::Symlink { target: target.to_vec() },
        BodyView::Fifo => EntryBody::Fifo,
        BodyView::Socket => EntryBody::Socket,
        BodyView::CharDevice { major, minor } => EntryBody::CharDevice { major, minor },
        BodyView::BlockDevice { major, minor } => EntryBody::BlockDevice { major, minor },
    };
    let meta = Meta { mode, uid, gid, user, group, mtime, ctime, inode, device, xattrs };
    Entry { name: name.to_vec(), meta, body }
}

fn content_of(content: ContentView<'_>) -> Content {
    match content {
        ContentView::Inline(bytes) => Content::Inline(bytes.to_vec()),
        ContentView::Pieces(pieces) => Content::Pieces(pieces.collect()),
        ContentView::Lists(lists) => Content::Lists(lists.collect()),
    }
}
