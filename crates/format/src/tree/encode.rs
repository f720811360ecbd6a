//! Writes a tree. Layout: docs/format.md, "Tree".
//! Refuses what the decoder would refuse, before anything is written.

use super::{Content, Entry, EntryBody, FAN, FileTime, LEAF, Meta, PART, Page, Tree, TreeBody, VERSION, check};
use crate::codec::Writer;
use crate::error::{Error, Flaw};
use crate::limits::CHUNK_MAX;
use crate::piece;

/// Appends `tree` to `out`, or leaves `out` as it was.
pub(super) fn tree(tree: &Tree, out: &mut Vec<u8>) -> Result<(), Error> {
    let error = |flaw| Error::Encode { part: PART, flaw };
    check(tree).map_err(error)?;
    let from = out.len();
    write(tree, out);
    if (out.len() - from) as u64 > CHUNK_MAX.0 {
        out.truncate(from);
        return Err(error(Flaw::Limit { max: CHUNK_MAX.0 }));
    }
    Ok(())
}

fn check(tree: &Tree) -> Result<(), Flaw> {
    match &tree.body {
        TreeBody::Leaf(entries) => {
            entries.iter().try_for_each(check::entry)?;
            check::ascending(entries.iter().map(|entry| &entry.name))?;
            let own = entries.iter().map(super::Totals::of_entry).sum();
            check::leaf_totals(&tree.totals, own, entries.iter().any(Entry::is_directory))
        }
        TreeBody::Fan(pages) => check::pages(&tree.totals, pages),
    }
}

/// Writes without asking: for `tree`, and for tests of what a decoder refuses.
pub(super) fn write(tree: &Tree, out: &mut Vec<u8>) {
    match &tree.body {
        TreeBody::Leaf(entries) => {
            out.reserve(64 + entries.len() * 96);
            leaf(tree, entries, &mut Writer::new(out));
        }
        TreeBody::Fan(pages) => {
            out.reserve(32 + pages.len() * 64);
            fan(tree, pages, &mut Writer::new(out));
        }
    }
}

/// A number and a name, in the order of the table.
type Owner<'a> = (u32, &'a [u8]);

fn leaf(tree: &Tree, entries: &[Entry], writer: &mut Writer<'_>) {
    writer.u8(VERSION);
    writer.u8(LEAF);
    tree.totals.write(writer);
    let users = owners(entries, user);
    let groups = owners(entries, group);
    for table in [&users, &groups] {
        writer.count(table.len());
        for (number, name) in table {
            writer.varint(u64::from(*number));
            writer.bytes(name);
        }
    }
    writer.count(entries.len());
    for entry in entries {
        let place = |table: &[Owner<'_>], owner| table.binary_search(&owner).expect("the table has every owner");
        let owner = (place(&users, user(&entry.meta)), place(&groups, group(&entry.meta)));
        self::entry(entry, owner, writer);
    }
}

fn fan(tree: &Tree, pages: &[Page], writer: &mut Writer<'_>) {
    writer.u8(VERSION);
    writer.u8(FAN);
    tree.totals.write(writer);
    writer.count(pages.len());
    for page in pages {
        writer.bytes(&page.first);
        writer.raw(page.tree.as_bytes());
    }
}

fn user(meta: &Meta) -> Owner<'_> {
    (meta.uid, &meta.user)
}

fn group(meta: &Meta) -> Owner<'_> {
    (meta.gid, &meta.group)
}

/// Every owner once, in ascending order. A number may come with two names: entries of a parent keep the old one.
fn owners(entries: &[Entry], of: impl Fn(&Meta) -> Owner<'_>) -> Vec<Owner<'_>> {
    let mut table: Vec<Owner<'_>> = Vec::new();
    for entry in entries {
        let owner = of(&entry.meta);
        if table.last() != Some(&owner) {
            table.push(owner);
        }
    }
    table.sort_unstable();
    table.dedup();
    table
}

fn entry(entry: &Entry, (user, group): (usize, usize), writer: &mut Writer<'_>) {
    let meta = &entry.meta;
    writer.bytes(&entry.name);
    writer.u8(kind(&entry.body));
    writer.u8(u8::from(!meta.xattrs.is_empty()) | u8::from(meta.device.is_some()) << 1);
    writer.varint(u64::from(meta.mode));
    writer.count(user);
    writer.count(group);
    for FileTime { seconds, nanos } in [meta.mtime, meta.ctime] {
        writer.zigzag(seconds);
        writer.varint(u64::from(nanos));
    }
    writer.varint(meta.inode);
    if let Some(device) = meta.device {
        writer.varint(device);
    }
    if !meta.xattrs.is_empty() {
        writer.count(meta.xattrs.len());
        for (name, value) in &meta.xattrs {
            writer.bytes(name);
            writer.bytes(value);
        }
    }
    body(&entry.body, writer);
}

const fn kind(body: &EntryBody) -> u8 {
    match body {
        EntryBody::File { .. } => 0,
        EntryBody::Directory { .. } => 1,
        EntryBody::Symlink { .. } => 2,
        EntryBody::Fifo => 3,
        EntryBody::Socket => 4,
        EntryBody::CharDevice { .. } => 5,
        EntryBody::BlockDevice { .. } => 6,
    }
}

fn body(body: &EntryBody, writer: &mut Writer<'_>) {
    match body {
        EntryBody::File { size, content } => {
            writer.varint(*size);
            self::content(content, writer);
        }
        EntryBody::Directory { tree } => writer.raw(tree.as_bytes()),
        EntryBody::Symlink { target } => writer.bytes(target),
        EntryBody::Fifo | EntryBody::Socket => {}
        EntryBody::CharDevice { major, minor } | EntryBody::BlockDevice { major, minor } => {
            writer.varint(u64::from(*major));
            writer.varint(u64::from(*minor));
        }
    }
}

fn content(content: &Content, writer: &mut Writer<'_>) {
    match content {
        Content::Inline(bytes) => {
            writer.u8(0);
            writer.bytes(bytes);
        }
        Content::Pieces(pieces) => {
            writer.u8(1);
            piece::write(writer, pieces);
        }
        Content::Lists(lists) => {
            writer.u8(2);
            writer.count(lists.len());
            for list in lists {
                writer.raw(list.list.as_bytes());
                writer.varint(list.pieces);
                writer.varint(list.bytes);
            }
        }
    }
}
