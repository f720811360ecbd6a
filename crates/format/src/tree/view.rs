//! Reads a tree where it lies: entry by entry, and nothing of it is copied. Layout: docs/format.md, "Tree".
//! Refuses whatever the encoder would not have written.

use super::check::{self, MODE_MAX, NANOS_MAX};
use super::{Body, FAN, FileTime, LEAF, ListRef, PART, Page, Totals, VERSION};
use crate::codec::{Reader, Row};
use crate::digest::ChunkRef;
use crate::error::{Error, Flaw};
use crate::limits::{
    CHUNK_MAX, ENTRY_LISTS_MAX, ENTRY_PIECES_MAX, FILE_SIZE_MAX, INLINE_MAX, NAME_MAX, OWNER_NAME_MAX,
    SYMLINK_TARGET_MAX, XATTR_NAME_MAX, XATTRS_BYTES_MAX,
};
use crate::path::is_entry_name;
use crate::piece::{self, Pieces};

/// The shortest entry: one byte each for the name and its length, kind, flags, mode, two owners, five numbers of
/// times and inode.
const ENTRY_LEN_MIN: usize = 12;
const OWNER_LEN_MIN: usize = 2;
const PAGE_LEN_MIN: usize = 34;
const LIST_LEN_MIN: usize = 34;
const XATTR_LEN_MIN: usize = 3;

const HAS_XATTRS: u8 = 1;
const HAS_DEVICE: u8 = 2;

/// The two shapes of a tree, where it lies.
#[derive(Debug)]
pub enum TreeView<'a> {
    /// The entries, in strictly ascending order of their names' bytes.
    Leaf(LeafView<'a>),
    /// Two pages or more, in ascending order; the pages are leaves.
    Fan(Vec<Page>),
}

/// The entries of a leaf one after the other. The last item is an error where the bytes are no leaf: only who comes to
/// the end without one has seen a leaf.
#[derive(Debug)]
pub struct LeafView<'a> {
    reader: Reader<'a>,
    pub(super) totals: Totals,
    pub(super) users: Owners<'a>,
    pub(super) groups: Owners<'a>,
    /// How many entries are still to come.
    pub(super) left: usize,
    /// The name of the last one.
    last: Option<&'a [u8]>,
    /// What the entries so far add up to, and whether one of them is a directory.
    own: Totals,
    is_deep: bool,
    is_ended: bool,
}

/// An entry where it lies. What is not told here stands in the entry that `Tree::decode` makes of it.
#[derive(Debug)]
pub struct EntryView<'a> {
    /// 1 to 4,096 bytes, see [`is_entry_name`].
    pub name: &'a [u8],
    pub(super) mode: u16,
    /// Its places in the two tables of owners.
    pub(super) user: usize,
    pub(super) group: usize,
    /// When the content last changed.
    pub mtime: FileTime,
    /// When content or metadata last changed, by the file system's clock.
    pub ctime: FileTime,
    /// The inode number; 0 where there is none.
    pub inode: u64,
    pub(super) device: Option<u64>,
    pub(super) xattrs: Option<Xattrs<'a>>,
    /// What its kind has.
    pub body: BodyView<'a>,
}

/// Names and values of attributes.
pub(super) type Xattrs<'a> = Row<'a, (&'a [u8], &'a [u8])>;

/// The kind of an entry, with what belongs to it, where it lies.
pub type BodyView<'a> = Body<ContentView<'a>, &'a [u8]>;

/// Where the bytes of a file are.
#[derive(Debug)]
pub enum ContentView<'a> {
    /// Here.
    Inline(&'a [u8]),
    /// In these pieces.
    Pieces(Pieces<'a>),
    /// In the pieces of these lists.
    Lists(Row<'a, ListRef>),
}

/// Reads what a tree begins with: its kind, and how much there is beneath it.
fn start(reader: &mut Reader<'_>) -> Result<(u8, Totals), Error> {
    if reader.remaining() as u64 > CHUNK_MAX.0 {
        return Err(reader.flaw(Flaw::Limit { max: CHUNK_MAX.0 }));
    }
    reader.version(VERSION)?;
    Ok((reader.u8()?, Totals::read(reader)?))
}

/// Reads what stands before the entries: enough to know how much there is beneath a tree whose name has been proved.
pub(super) fn totals(bytes: &[u8]) -> Result<Totals, Error> {
    start(&mut Reader::new(PART, bytes)).map(|(_, totals)| totals)
}

/// Reads all of `bytes` as one tree.
pub(super) fn tree(bytes: &[u8]) -> Result<(Totals, TreeView<'_>), Error> {
    let mut reader = Reader::new(PART, bytes);
    let (kind, totals) = start(&mut reader)?;
    let view = match kind {
        LEAF => TreeView::Leaf(LeafView::begin(reader, totals)?),
        FAN => {
            let pages = fan(&mut reader, &totals)?;
            reader.finish()?;
            TreeView::Fan(pages)
        }
        _ => return Err(reader.flaw(Flaw::Tag)),
    };
    Ok((totals, view))
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

impl<'a> LeafView<'a> {
    fn begin(mut reader: Reader<'a>, totals: Totals) -> Result<Self, Error> {
        let users = Owners::read(&mut reader)?;
        let groups = Owners::read(&mut reader)?;
        let left = reader.count(totals.entries.0, ENTRY_LEN_MIN)?;
        let (last, own, is_deep, is_ended) = (None, Totals::default(), false, false);
        Ok(Self { reader, totals, users, groups, left, last, own, is_deep, is_ended })
    }

    /// Bytes that were not read yet.
    pub(super) const fn remaining(&self) -> usize {
        self.reader.remaining()
    }

    fn entry(&mut self) -> Result<EntryView<'a>, Error> {
        let entry = entry(&mut self.reader, &mut self.users, &mut self.groups)?;
        if self.last.is_some_and(|last| last >= entry.name) {
            return Err(self.reader.flaw(Flaw::Order));
        }
        self.last = Some(entry.name);
        self.own += entry.totals();
        self.is_deep |= matches!(entry.body, BodyView::Directory { .. });
        Ok(entry)
    }

    fn end(&mut self) -> Result<(), Error> {
        let reader = std::mem::replace(&mut self.reader, Reader::new(PART, &[]));
        if !self.users.all_used() || !self.groups.all_used() {
            return Err(reader.flaw(Flaw::Owner));
        }
        check::leaf_totals(&self.totals, self.own, self.is_deep).map_err(|flaw| reader.flaw(flaw))?;
        reader.finish()
    }
}

impl<'a> Iterator for LeafView<'a> {
    type Item = Result<EntryView<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_ended {
            return None;
        }
        let item = match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(self.entry())
            }
            None => {
                self.is_ended = true;
                self.end().err().map(Err)
            }
        };
        self.is_ended |= matches!(item, Some(Err(_)));
        item
    }
}

impl EntryView<'_> {
    /// What it adds to the totals, without what is beneath it. Never fails.
    pub const fn totals(&self) -> Totals {
        Totals::of_one(&self.body)
    }
}

/// A table of owners, and which of its rows an entry has used.
#[derive(Debug)]
pub(super) struct Owners<'a>(Vec<(u32, &'a [u8], bool)>);

impl<'a> Owners<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        // Each owner has an entry of its own that pays for it.
        let count = reader.count(u64::MAX, OWNER_LEN_MIN + ENTRY_LEN_MIN)?;
        let mut rows: Vec<(u32, &[u8], bool)> = Vec::with_capacity(count);
        for _ in 0..count {
            let number = reader.varint_u32()?;
            let name = reader.bytes(OWNER_NAME_MAX.0)?;
            if rows.last().is_some_and(|(last, last_name, _)| (*last, *last_name) >= (number, name)) {
                return Err(reader.flaw(Flaw::Order));
            }
            rows.push((number, name, false));
        }
        Ok(Self(rows))
    }

    /// The rows, numbers and names.
    pub fn rows(&self) -> impl Iterator<Item = (u32, &'a [u8])> {
        self.0.iter().map(|(number, name, _)| (*number, *name))
    }

    fn use_one(&mut self, reader: &mut Reader<'_>) -> Result<usize, Error> {
        let place = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        let (_, _, used) = self.0.get_mut(place).ok_or_else(|| reader.flaw(Flaw::Owner))?;
        *used = true;
        Ok(place)
    }

    fn all_used(&self) -> bool {
        self.0.iter().all(|(_, _, used)| *used)
    }
}

fn entry<'a>(reader: &mut Reader<'a>, users: &mut Owners<'a>, groups: &mut Owners<'a>) -> Result<EntryView<'a>, Error> {
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
    let user = users.use_one(reader)?;
    let group = groups.use_one(reader)?;
    let mtime = time(reader)?;
    let ctime = time(reader)?;
    let inode = reader.varint()?;
    let device = if flags & HAS_DEVICE != 0 { Some(reader.varint()?) } else { None };
    let xattrs = if flags & HAS_XATTRS != 0 { Some(xattrs(reader)?) } else { None };
    let body = body(reader, kind)?;
    Ok(EntryView { name, mode, user, group, mtime, ctime, inode, device, xattrs, body })
}

fn time(reader: &mut Reader<'_>) -> Result<FileTime, Error> {
    Ok(FileTime { seconds: reader.zigzag()?, nanos: reader.varint_to(NANOS_MAX)? as u32 })
}

fn xattrs<'a>(reader: &mut Reader<'a>) -> Result<Xattrs<'a>, Error> {
    let count = reader.count(XATTRS_BYTES_MAX.0, XATTR_LEN_MIN)?;
    if count == 0 {
        return Err(reader.flaw(Flaw::Empty));
    }
    let one = |reader: &mut Reader<'a>| Ok((reader.bytes(XATTR_NAME_MAX.0)?, reader.bytes(XATTRS_BYTES_MAX.0)?));
    let xattrs = Row::read(reader, count, one)?;
    check::xattrs(xattrs.clone()).map_err(|flaw| reader.flaw(flaw))?;
    Ok(xattrs)
}

fn body<'a>(reader: &mut Reader<'a>, kind: u8) -> Result<BodyView<'a>, Error> {
    Ok(match kind {
        0 => {
            let size = reader.varint_to(FILE_SIZE_MAX.0)?;
            BodyView::File { size, content: content(reader, size)? }
        }
        1 => BodyView::Directory { tree: ChunkRef::from_bytes(reader.array()?) },
        2 => BodyView::Symlink { target: reader.bytes(SYMLINK_TARGET_MAX.0)? },
        3 => BodyView::Fifo,
        4 => BodyView::Socket,
        5 => BodyView::CharDevice { major: reader.varint_u32()?, minor: reader.varint_u32()? },
        6 => BodyView::BlockDevice { major: reader.varint_u32()?, minor: reader.varint_u32()? },
        _ => return Err(reader.flaw(Flaw::Tag)),
    })
}

fn content<'a>(reader: &mut Reader<'a>, size: u64) -> Result<ContentView<'a>, Error> {
    let (content, covered) = match reader.u8()? {
        0 => {
            let bytes = reader.bytes(INLINE_MAX.0)?;
            (ContentView::Inline(bytes), bytes.len() as u64)
        }
        1 => {
            let (pieces, covered) = piece::view(reader, ENTRY_PIECES_MAX.0)?;
            (ContentView::Pieces(pieces), covered)
        }
        2 => {
            let lists = lists(reader)?;
            let covered = check::lists(lists.clone()).map_err(|flaw| reader.flaw(flaw))?;
            (ContentView::Lists(lists), covered)
        }
        _ => return Err(reader.flaw(Flaw::Tag)),
    };
    if covered == size { Ok(content) } else { Err(reader.flaw(Flaw::Sum)) }
}

fn lists<'a>(reader: &mut Reader<'a>) -> Result<Row<'a, ListRef>, Error> {
    let count = reader.count(ENTRY_LISTS_MAX.0, LIST_LEN_MIN)?;
    if count == 0 {
        return Err(reader.flaw(Flaw::Empty));
    }
    Row::read(reader, count, |reader| {
        let list = ChunkRef::from_bytes(reader.array()?);
        Ok(ListRef { list, pieces: reader.varint()?, bytes: reader.varint()? })
    })
}
