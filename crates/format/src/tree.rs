//! The entries of one directory: the plaintext of a chunk of kind `Tree`. A very large directory is a fan of pages.
//! Refuses names out of order, owners that nobody uses, and totals that cannot be true.

mod check;
mod decode;
mod encode;
mod totals;
mod view;

use crate::digest::ChunkRef;
use crate::error::{Error, Flaw};
use crate::piece::Piece;
use std::sync::Arc;
pub use totals::Totals;
pub use view::{BodyView, ContentView, EntryView, LeafView, TreeView};

const PART: &str = "tree";
const VERSION: u8 = 1;
const LEAF: u8 = 0;
const FAN: u8 = 1;

/// One directory, and what there is beneath it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Everything beneath the directory, itself excluded.
    pub totals: Totals,
    /// The entries, or where they are.
    pub body: TreeBody,
}

/// The two shapes of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeBody {
    /// The entries, in strictly ascending order of their names' bytes.
    Leaf(Vec<Entry>),
    /// Two pages or more, in ascending order; the pages are leaves.
    Fan(Vec<Page>),
}

/// One page of a fan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The name of its first entry.
    pub first: Vec<u8>,
    /// Its tree, a leaf.
    pub tree: ChunkRef,
}

/// One thing found by the scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// 1 to 4,096 bytes, see [`is_entry_name`](crate::is_entry_name).
    pub name: Vec<u8>,
    /// What every kind of entry has.
    pub meta: Meta,
    /// What its kind has.
    pub body: EntryBody,
}

/// Owner, mode, times and the rest that every entry has.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Meta {
    /// Permission bits, at most 0o7777.
    pub mode: u16,
    /// The number of the user.
    pub uid: u32,
    /// The number of the group.
    pub gid: u32,
    /// The name of the user in bytes; empty when unknown. Shared, so that a clone is cheap.
    pub user: Arc<[u8]>,
    /// The name of the group in bytes; empty when unknown.
    pub group: Arc<[u8]>,
    /// When the content last changed.
    pub mtime: FileTime,
    /// When content or metadata last changed, by the file system's clock.
    pub ctime: FileTime,
    /// The inode number; 0 where there is none.
    pub inode: u64,
    /// The number of the device, for hard-linked entries only: with the inode it says which belong together.
    pub device: Option<u64>,
    /// Extended attributes, name and value, in strictly ascending order of names.
    pub xattrs: Vec<Xattr>,
}

/// An extended attribute: its name, 1 to 1,024 bytes, and its value.
pub type Xattr = (Vec<u8>, Vec<u8>);

/// A file system's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileTime {
    /// Seconds since 1970-01-01T00:00:00Z, any sign.
    pub seconds: i64,
    /// Nanoseconds after that: below 1,000,000,000.
    pub nanos: u32,
}

/// The kind of an entry, with what belongs to it: where a file's bytes are is a `C`, where a link points a `T`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<C, T> {
    /// A regular file.
    File {
        /// Its length in bytes, at most 2^63 - 1.
        size: u64,
        /// Where its bytes are.
        content: C,
    },
    /// A directory.
    Directory {
        /// Its own tree.
        tree: ChunkRef,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, as it is: at most 64 KiB, any bytes.
        target: T,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice {
        /// The driver.
        major: u32,
        /// The unit.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// The driver.
        major: u32,
        /// The unit.
        minor: u32,
    },
}

/// The kind of an entry, with what belongs to it.
pub type EntryBody = Body<Content, Vec<u8>>;

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Here: at most 4,096 bytes. An empty file is always this.
    Inline(Vec<u8>),
    /// In these pieces, one at least.
    Pieces(Vec<Piece>),
    /// In the pieces of these lists, one at least.
    Lists(Vec<ListRef>),
}

/// A list of pieces, with its sums, so that a reader can find a place in the file without fetching the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRef {
    /// The chunk of kind `List`.
    pub list: ChunkRef,
    /// How many pieces it has.
    pub pieces: u64,
    /// How many bytes of the file they cover.
    pub bytes: u64,
}

impl Tree {
    /// The tree of these entries; `below` is the sum of the totals of the trees of its directories. Never fails:
    /// `encode` tells whether the entries are in order.
    pub fn leaf(entries: Vec<Entry>, below: Totals) -> Self {
        let own: Totals = entries.iter().map(Totals::of_entry).sum();
        Self { totals: own + below, body: TreeBody::Leaf(entries) }
    }

    /// The tree of these pages; `totals` is the sum of their totals. Never fails: `encode` tells whether they are in
    /// order.
    pub const fn fan(pages: Vec<Page>, totals: Totals) -> Self {
        Self { totals, body: TreeBody::Fan(pages) }
    }

    /// The bytes of the tree. Errors: an entry or a page that breaks a rule, names out of order, totals below what the
    /// entries themselves have, more than 8 MiB.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        self.encode_into(&mut out)?;
        Ok(out)
    }

    /// Appends the bytes of the tree to `out`. Errors: as `encode`; `out` is then as before.
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        encode::tree(self, out)
    }

    /// Reads the bytes of a tree. Errors: anything that `encode` would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        decode::tree(bytes)
    }

    /// The totals of the tree in these bytes, without looking at its entries. Errors: it does not begin like a tree.
    pub fn decode_totals(bytes: &[u8]) -> Result<Totals, Error> {
        view::totals(bytes)
    }

    /// The tree in these bytes where it lies, with its totals. Errors: as `decode`; of a leaf, as its entries come.
    pub fn view(bytes: &[u8]) -> Result<(Totals, TreeView<'_>), Error> {
        view::tree(bytes)
    }

    /// Whether these bytes are a tree. Errors: as `decode`.
    pub fn check(bytes: &[u8]) -> Result<(), Error> {
        match view::tree(bytes)?.1 {
            TreeView::Leaf(mut leaf) => leaf.try_for_each(|entry| entry.map(|_| ())),
            TreeView::Fan(_) => Ok(()),
        }
    }

    /// Whether a leaf whose entries begin and end with these names is page `number` of the fan `pages`.
    /// Errors: no names, or names that do not belong between this page's first name and the next's.
    pub fn check_page(pages: &[Page], number: usize, ends: Option<(&[u8], &[u8])>) -> Result<(), Error> {
        check::page(pages, number, ends).map_err(|flaw| Error::Decode { part: "page", offset: 0, flaw })
    }

    /// The entries of page `number` of the fan `pages`, of which this is the tree.
    /// Errors: not a leaf, no entries, or entries that do not belong between this page's first name and the next's.
    pub fn into_page(self, pages: &[Page], number: usize) -> Result<Vec<Entry>, Error> {
        let TreeBody::Leaf(entries) = self.body else {
            return Err(Error::Decode { part: "page", offset: 0, flaw: Flaw::Tag });
        };
        let ends = entries.first().zip(entries.last()).map(|(first, last)| (&first.name[..], &last.name[..]));
        Self::check_page(pages, number, ends)?;
        Ok(entries)
    }
}

impl Entry {
    /// Whether it can stand in a tree. Errors: a name, number, order, sum or limit that the format refuses, so that a
    /// scan can report the one entry and go on.
    pub fn check(&self) -> Result<(), Error> {
        check::entry(self).map_err(|flaw| Error::Encode { part: "entry", flaw })
    }

    /// At most how many bytes it adds to a leaf, for deciding where to cut pages; below 3 MiB for every entry that
    /// `check` accepts. Never fails.
    pub fn weight(&self) -> usize {
        check::weight(self)
    }

    /// Whether this is a directory. Never fails.
    pub const fn is_directory(&self) -> bool {
        matches!(self.body, EntryBody::Directory { .. })
    }
}

#[cfg(test)]
mod tests;
