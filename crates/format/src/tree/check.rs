//! The rules that a single entry, a row of entries and a row of pages must keep, for writing and for reading.
//! Refuses by naming the flaw; where it stands is the caller's to know.

use super::{Content, Entry, EntryBody, FileTime, ListRef, Page, Totals};
use crate::error::Flaw;
use crate::limits::{
    ENTRY_LISTS_MAX, ENTRY_PIECES_MAX, FILE_SIZE_MAX, INLINE_MAX, OWNER_NAME_MAX, SYMLINK_TARGET_MAX, XATTR_NAME_MAX,
    XATTRS_BYTES_MAX, up_to,
};
use crate::path::is_entry_name;
use crate::piece;

pub(super) const MODE_MAX: u64 = 0o7777;
pub(super) const NANOS_MAX: u64 = 999_999_999;

/// Every rule for one entry by itself.
pub(super) fn entry(entry: &Entry) -> Result<(), Flaw> {
    if !is_entry_name(&entry.name) {
        return Err(Flaw::Name);
    }
    let meta = &entry.meta;
    up_to(u64::from(meta.mode), MODE_MAX)?;
    up_to(meta.user.len() as u64, OWNER_NAME_MAX.0)?;
    up_to(meta.group.len() as u64, OWNER_NAME_MAX.0)?;
    for FileTime { nanos, .. } in [meta.mtime, meta.ctime] {
        up_to(u64::from(nanos), NANOS_MAX)?;
    }
    xattrs(meta.xattrs.iter().map(|(name, value)| (&name[..], &value[..])))?;
    match &entry.body {
        EntryBody::File { size, content: body } => content(*size, body),
        EntryBody::Symlink { target } => up_to(target.len() as u64, SYMLINK_TARGET_MAX.0),
        EntryBody::Directory { .. }
        | EntryBody::Fifo
        | EntryBody::Socket
        | EntryBody::CharDevice { .. }
        | EntryBody::BlockDevice { .. } => Ok(()),
    }
}

/// Names strictly ascending and of a good length, and everything together below its limit.
pub(super) fn xattrs<'a>(xattrs: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone) -> Result<(), Flaw> {
    let mut sum = 0_u64;
    for (name, value) in xattrs.clone() {
        if name.is_empty() {
            return Err(Flaw::Empty);
        }
        up_to(name.len() as u64, XATTR_NAME_MAX.0)?;
        sum = sum.saturating_add(name.len() as u64).saturating_add(value.len() as u64);
        up_to(sum, XATTRS_BYTES_MAX.0)?;
    }
    ascending(xattrs.map(|(name, _)| name))
}

fn content(size: u64, content: &Content) -> Result<(), Flaw> {
    let covered = match content {
        Content::Inline(bytes) => {
            up_to(bytes.len() as u64, INLINE_MAX.0)?;
            bytes.len() as u64
        }
        Content::Pieces(pieces) => {
            some(pieces.len(), ENTRY_PIECES_MAX.0)?;
            piece::covered(pieces.iter().copied())?
        }
        Content::Lists(refs) => {
            some(refs.len(), ENTRY_LISTS_MAX.0)?;
            lists(refs.iter().copied())?
        }
    };
    if covered == size { Ok(()) } else { Err(Flaw::Sum) }
}

/// The bytes that the lists cover together: none is empty, and each piece covers one byte or more.
pub(super) fn lists(mut lists: impl Iterator<Item = ListRef>) -> Result<u64, Flaw> {
    lists.try_fold(0_u64, |sum, list| {
        if list.pieces == 0 || list.bytes < list.pieces {
            return Err(Flaw::Empty);
        }
        sum.checked_add(list.bytes).filter(|sum| *sum <= FILE_SIZE_MAX.0).ok_or(Flaw::Sum)
    })
}

/// The totals of a leaf: exactly its entries where there is no directory, and no less where there is one.
pub(super) fn leaf_totals(totals: &Totals, own: Totals, deep: bool) -> Result<(), Flaw> {
    if *totals == own || (deep && totals.covers(&own)) { totals.check() } else { Err(Flaw::Sum) }
}

/// Two pages or more, with good names in strictly ascending order, and an entry for each at least.
pub(super) fn pages(totals: &Totals, pages: &[Page]) -> Result<(), Flaw> {
    if pages.len() < 2 {
        return Err(Flaw::Empty);
    }
    if !pages.iter().all(|page| is_entry_name(&page.first)) {
        return Err(Flaw::Name);
    }
    if totals.entries.0 < pages.len() as u64 {
        return Err(Flaw::Sum);
    }
    totals.check()?;
    ascending(pages.iter().map(|page| &page.first))
}

/// Whether a leaf with these names at its ends is the page of that number.
pub(super) fn page(pages: &[Page], number: usize, ends: Option<(&[u8], &[u8])>) -> Result<(), Flaw> {
    let ((first, last), page) = ends.zip(pages.get(number)).ok_or(Flaw::Empty)?;
    let fits_next = pages.get(number + 1).is_none_or(|next| *last < *next.first);
    if *first == *page.first && fits_next { Ok(()) } else { Err(Flaw::Order) }
}

/// Whether each is larger than the one before it.
pub(super) fn ascending<T: Ord>(items: impl Iterator<Item = T>) -> Result<(), Flaw> {
    if items.is_sorted_by(|one, next| one < next) { Ok(()) } else { Err(Flaw::Order) }
}

/// An upper bound of the encoded length: 128 bytes hold all numbers and lengths of an entry without its lists.
pub(super) fn weight(entry: &Entry) -> usize {
    let meta = &entry.meta;
    let xattrs: usize = meta.xattrs.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    let body = match &entry.body {
        EntryBody::File { content: Content::Inline(bytes), .. } => bytes.len(),
        EntryBody::File { content: Content::Pieces(pieces), .. } => pieces.len() * (32 + 10),
        EntryBody::File { content: Content::Lists(lists), .. } => lists.len() * (32 + 10 + 10),
        EntryBody::Symlink { target } => target.len(),
        _ => 32,
    };
    128 + entry.name.len() + meta.user.len() + meta.group.len() + xattrs + body
}

const fn some(count: usize, max: u64) -> Result<(), Flaw> {
    if count == 0 { Err(Flaw::Empty) } else { up_to(count as u64, max) }
}
