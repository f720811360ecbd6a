//! Reads a tree. Layout: docs/format.md, "Tree".
//! Refuses whatever the encoder would not have written, and allocates only what the input pays for.

use super::check::{self, MODE_MAX, NANOS_MAX};
use super::{
    Content, Entry, EntryBody, FAN, FileTime, LEAF, ListRef, Meta, PART, Page, Totals, Tree, TreeBody, VERSION, Xattr,
};
use crate::codec::Reader;
use crate::digest::ChunkRef;
use crate::error::{Error, Flaw};
use crate::limits::{
    CHUNK_MAX, ENTRY_LISTS_MAX, ENTRY_PIECES_MAX, FILE_SIZE_MAX, INLINE_MAX, NAME_MAX, OWNER_NAME_MAX,
    SYMLINK_TARGET_MAX, XATTR_NAME_MAX, XATTRS_BYTES_MAX,
};
use crate::path::is_entry_name;
use crate::piece;
use std::sync::Arc;

/// The shortest entry: one byte each for the name and its length, kind, flags, mode, two owners, five numbers of
/// times and inode.
const ENTRY_LEN_MIN: usize = 12;
/// An entry in memory is larger than a short one in bytes, so room is made for entries of this length, then grows.
const ENTRY_LEN_USUAL: usize = 48;
const OWNER_LEN_MIN: usize = 2;
const PAGE_LEN_MIN: usize = 34;
const LIST_LEN_MIN: usize = 34;
const XATTR_LEN_MIN: usize = 3;

const HAS_XATTRS: u8 = 1;
const HAS_DEVICE: u8 = 2;

/// Reads all of `bytes` as one tree.
pub(super) fn tree(bytes: &[u8]) -> Result<Tree, Error> {
    let mut reader = Reader::new(PART, bytes);
    if bytes.len() as u64 > CHUNK_MAX.0 {
        return Err(reader.flaw(Flaw::Limit { max: CHUNK_MAX.0 }));
    }
    reader.version(VERSION)?;
    let kind = reader.u8()?;
    let totals = Totals::read(&mut reader)?;
    let body = match kind {
        LEAF => TreeBody::Leaf(leaf(&mut reader, &totals)?),
        FAN => TreeBody::Fan(fan(&mut reader, &totals)?),
        _ => return Err(reader.flaw(Flaw::Tag)),
    };
    reader.finish()?;
    Ok(Tree { totals, body })
}

/// Reads what stands before the entries: enough to know how much there is beneath a tree whose name has been proved.
pub(super) fn totals(bytes: &[u8]) -> Result<Totals, Error> {
    let mut reader = Reader::new(PART, bytes);
    reader.version(VERSION)?;
    reader.u8()?;
    Totals::read(&mut reader)
}

fn leaf(reader: &mut Reader<'_>, totals: &Totals) -> Result<Vec<Entry>, Error> {
    let mut users = Owners::read(reader)?;
    let mut groups = Owners::read(reader)?;
    let count = reader.count(totals.entries.0, ENTRY_LEN_MIN)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(count.min(reader.remaining() / ENTRY_LEN_USUAL + 1));
    for _ in 0..count {
        let entry = entry(reader, &mut users, &mut groups)?;
        if entries.last().is_some_and(|last| last.name >= entry.name) {
            return Err(reader.flaw(Flaw::Order));
        }
        entries.push(entry);
    }
    if !users.all_used() || !groups.all_used() {
        return Err(reader.flaw(Flaw::Owner));
    }
    check::leaf_totals(totals, &entries).map_err(|flaw| reader.flaw(flaw))?;
    Ok(entries)
}

fn fan(reader: &mut Reader<'_>, totals: &Totals) -> Result<Vec<Page>, Error> {
    let count = reader.count(totals.entries.0, PAGE_LEN_MIN)?;
    let mut pages = Vec::with_capacity(count);
    for _ in 0..count {
        let first = reader.bytes(NAME_MAX.0)?.to_vec();
        pages.push(Page { first, tree: ChunkRef::from_bytes(reader.array()?) });
    }
    check::pages(totals, &pages).map_err(|flaw| reader.flaw(flaw))?;
    Ok(pages)
}

/// The owner table, and which of its rows an entry has used.
struct Owners(Vec<(u32, Arc<[u8]>, bool)>);

impl Owners {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        // Each owner has an entry of its own that pays for it.
        let count = reader.count(u64::MAX, OWNER_LEN_MIN + ENTRY_LEN_MIN)?;
        let unknown: Arc<[u8]> = Arc::default();
        let mut rows: Vec<(u32, Arc<[u8]>, bool)> = Vec::with_capacity(count);
        for _ in 0..count {
            let number = reader.varint_u32()?;
            let name = reader.bytes(OWNER_NAME_MAX.0)?;
            if rows.last().is_some_and(|(last, last_name, _)| (*last, &**last_name) >= (number, name)) {
                return Err(reader.flaw(Flaw::Order));
            }
            let name = if name.is_empty() { Arc::clone(&unknown) } else { Arc::from(name) };
            rows.push((number, name, false));
        }
        Ok(Self(rows))
    }

    fn take(&mut self, reader: &mut Reader<'_>) -> Result<(u32, Arc<[u8]>), Error> {
        let place = reader.varint()?;
        let row = usize::try_from(place).ok().and_then(|place| self.0.get_mut(place));
        let (number, name, used) = row.ok_or_else(|| reader.flaw(Flaw::Owner))?;
        *used = true;
        Ok((*number, Arc::clone(name)))
    }

    fn all_used(&self) -> bool {
        self.0.iter().all(|(_, _, used)| *used)
    }
}

fn entry(reader: &mut Reader<'_>, users: &mut Owners, groups: &mut Owners) -> Result<Entry, Error> {
    let name = reader.bytes(NAME_MAX.0)?;
    if !is_entry_name(name) {
        return Err(reader.flaw(Flaw::Name));
    }
    let kind = reader.u8()?;
    let flags = reader.u8()?;
    if flags & !(HAS_XATTRS | HAS_DEVICE) != 0 {
        return Err(reader.flaw(Flaw::Tag));
    }
    let mode = reader.varint_to(MODE_MAX)? as u16;
    let (uid, user) = users.take(reader)?;
    let (gid, group) = groups.take(reader)?;
    let mtime = time(reader)?;
    let ctime = time(reader)?;
    let inode = reader.varint()?;
    let device = if flags & HAS_DEVICE != 0 { Some(reader.varint()?) } else { None };
    let xattrs = if flags & HAS_XATTRS != 0 { xattrs(reader)? } else { Vec::new() };
    let body = body(reader, kind)?;
    let meta = Meta { mode, uid, gid, user, group, mtime, ctime, inode, device, xattrs };
    Ok(Entry { name: name.to_vec(), meta, body })
}

fn time(reader: &mut Reader<'_>) -> Result<FileTime, Error> {
    Ok(FileTime { seconds: reader.zigzag()?, nanos: reader.varint_to(NANOS_MAX)? as u32 })
}

fn xattrs(reader: &mut Reader<'_>) -> Result<Vec<Xattr>, Error> {
    let count = reader.count(XATTRS_BYTES_MAX.0, XATTR_LEN_MIN)?;
    if count == 0 {
        return Err(reader.flaw(Flaw::Empty));
    }
    let mut xattrs = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        let name = reader.bytes(XATTR_NAME_MAX.0)?.to_vec();
        let value = reader.bytes(XATTRS_BYTES_MAX.0)?.to_vec();
        xattrs.push((name, value));
    }
    check::xattrs(&xattrs).map_err(|flaw| reader.flaw(flaw))?;
    Ok(xattrs)
}

fn body(reader: &mut Reader<'_>, kind: u8) -> Result<EntryBody, Error> {
    Ok(match kind {
        0 => {
            let size = reader.varint_to(FILE_SIZE_MAX.0)?;
            EntryBody::File { size, content: content(reader, size)? }
        }
        1 => EntryBody::Directory { tree: ChunkRef::from_bytes(reader.array()?) },
        2 => EntryBody::Symlink { target: reader.bytes(SYMLINK_TARGET_MAX.0)?.to_vec() },
        3 => EntryBody::Fifo,
        4 => EntryBody::Socket,
        5 => EntryBody::CharDevice { major: reader.varint_u32()?, minor: reader.varint_u32()? },
        6 => EntryBody::BlockDevice { major: reader.varint_u32()?, minor: reader.varint_u32()? },
        _ => return Err(reader.flaw(Flaw::Tag)),
    })
}

fn content(reader: &mut Reader<'_>, size: u64) -> Result<Content, Error> {
    let (content, covered) = match reader.u8()? {
        0 => {
            let bytes = reader.bytes(INLINE_MAX.0)?;
            (Content::Inline(bytes.to_vec()), bytes.len() as u64)
        }
        1 => {
            let (pieces, covered) = piece::read(reader, ENTRY_PIECES_MAX.0)?;
            (Content::Pieces(pieces), covered)
        }
        2 => {
            let lists = lists(reader)?;
            let covered = check::lists(&lists).map_err(|flaw| reader.flaw(flaw))?;
            (Content::Lists(lists), covered)
        }
        _ => return Err(reader.flaw(Flaw::Tag)),
    };
    if covered == size { Ok(content) } else { Err(reader.flaw(Flaw::Sum)) }
}

fn lists(reader: &mut Reader<'_>) -> Result<Vec<ListRef>, Error> {
    let count = reader.count(ENTRY_LISTS_MAX.0, LIST_LEN_MIN)?;
    if count == 0 {
        return Err(reader.flaw(Flaw::Empty));
    }
    let mut lists = Vec::with_capacity(count);
    for _ in 0..count {
        let list = ChunkRef::from_bytes(reader.array()?);
        lists.push(ListRef { list, pieces: reader.varint()?, bytes: reader.varint()? });
    }
    Ok(lists)
}
