//! May an entry's content be taken from the parent snapshot without opening it? Pure.
//! Refuses whenever there is doubt: an entry that is read once too often costs time, one too seldom costs data.
//! Rule: docs/format.md, "Change detection".

use crate::ports::{EntryKind, Stat};
use base::{Span, Timestamp};
use format::{Body, Entry, EntryView, FileTime, Meta};

/// How coarse a file system's clock may be against the device's own. An entry that changed this shortly before the
/// parent run began, or later, could have changed again under the same times.
const RACY_SPAN: Span = Span::ms(10);
/// The same where times come in whole seconds, as far as one can see: FAT counts in twos.
const RACY_SPAN_WHOLE_SECONDS: Span = Span::seconds(2);

/// What a file system shows of an entry without opening it, as far as that tells whether it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looks {
    kind: EntryKind,
    /// 0 for all but files.
    size: u64,
    /// 0 for all but devices.
    rdev: (u32, u32),
    mtime: FileTime,
    ctime: FileTime,
    inode: u64,
}

impl From<&Stat> for Looks {
    fn from(stat: &Stat) -> Self {
        let Stat { kind, size, rdev, mtime, ctime, inode, .. } = *stat;
        Self { kind, size, rdev, mtime, ctime, inode }
    }
}

impl From<&Entry> for Looks {
    fn from(entry: &Entry) -> Self {
        let Meta { mtime, ctime, inode, .. } = entry.meta;
        Self::of(&entry.body, mtime, ctime, inode)
    }
}

impl From<&EntryView<'_>> for Looks {
    fn from(entry: &EntryView<'_>) -> Self {
        Self::of(&entry.body, entry.mtime, entry.ctime, entry.inode)
    }
}

impl Looks {
    fn of<C, T>(body: &Body<C, T>, mtime: FileTime, ctime: FileTime, inode: u64) -> Self {
        let (size, rdev) = match *body {
            Body::File { size, .. } => (size, (0, 0)),
            Body::CharDevice { major, minor } | Body::BlockDevice { major, minor } => (0, (major, minor)),
            Body::Directory { .. } | Body::Symlink { .. } | Body::Fifo | Body::Socket => (0, (0, 0)),
        };
        Self { kind: EntryKind::of(body), size, rdev, mtime, ctime, inode }
    }
}

/// Whether `stat` shows the entry as the parent snapshot has it, and as old as that is certain. Never fails.
pub fn is_unchanged(parent: Looks, parent_began_at: Timestamp, stat: &Stat) -> bool {
    parent == Looks::from(stat) && is_settled(stat.ctime, parent_began_at)
}

/// Whether an entry last changed so long before the parent run began that a later change would show.
fn is_settled(ctime: FileTime, parent_began_at: Timestamp) -> bool {
    let span = if ctime.nanos == 0 { RACY_SPAN_WHOLE_SECONDS } else { RACY_SPAN };
    let settled_ms = (parent_began_at - span).as_ms();
    let (seconds, nanos) = (settled_ms.div_euclid(1_000), settled_ms.rem_euclid(1_000) as u32 * 1_000_000);
    (ctime.seconds, ctime.nanos) < (seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use format::EntryBody;

    fn time(ms: i64) -> FileTime {
        FileTime { seconds: ms.div_euclid(1_000), nanos: ms.rem_euclid(1_000) as u32 * 1_000_000 }
    }

    fn stat() -> Stat {
        Stat {
            kind: EntryKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: time(4_000),
            ctime: time(5_000),
            inode: 7,
            device: 1,
            links: 1,
            size: 3,
            stored: 4096,
            rdev: (0, 0),
        }
    }

    fn parent() -> Looks {
        Looks::from(&stat())
    }

    #[test]
    fn an_entry_looks_the_same_in_a_tree_and_on_the_disk() {
        let tree = format::ChunkRef::from_bytes([1; 32]);
        let content = format::Content::Inline(b"abc".to_vec());
        let bodies = [
            (EntryBody::File { size: 3, content }, EntryKind::File, 3, (0, 0)),
            (EntryBody::Directory { tree }, EntryKind::Directory, 0, (0, 0)),
            (EntryBody::Symlink { target: b"x".to_vec() }, EntryKind::Symlink, 0, (0, 0)),
            (EntryBody::Fifo, EntryKind::Fifo, 0, (0, 0)),
            (EntryBody::Socket, EntryKind::Socket, 0, (0, 0)),
            (EntryBody::CharDevice { major: 4, minor: 64 }, EntryKind::CharDevice, 0, (4, 64)),
            (EntryBody::BlockDevice { major: 8, minor: 1 }, EntryKind::BlockDevice, 0, (8, 1)),
        ];
        for (body, kind, size, rdev) in bodies {
            let meta = Meta { mtime: time(4_000), ctime: time(5_000), inode: 7, ..Meta::default() };
            let entry = Entry { name: b"a".to_vec(), meta, body };
            assert_eq!(Looks::from(&entry), Looks::from(&Stat { kind, size, rdev, ..stat() }));
            let bytes = format::Tree::leaf(vec![entry.clone()], format::Totals::default()).encode().expect("a tree");
            let Ok((_, format::TreeView::Leaf(mut leaf))) = format::Tree::view(&bytes) else { panic!("a leaf") };
            let view = leaf.next().expect("an entry").expect("an entry");
            assert_eq!(Looks::from(&view), Looks::from(&entry));
        }
    }

    #[test]
    fn only_the_same_settled_entry_is_unchanged() {
        let later = Timestamp::from_ms(9_000);
        assert!(is_unchanged(parent(), later, &stat()));
        let changes: [(&str, Stat); 5] = [
            ("size", Stat { size: 4, ..stat() }),
            ("mtime", Stat { mtime: time(4_001), ..stat() }),
            ("ctime", Stat { ctime: time(5_001), ..stat() }),
            ("inode", Stat { inode: 8, ..stat() }),
            ("kind", Stat { kind: EntryKind::Symlink, ..stat() }),
        ];
        for (what, changed) in changes {
            assert!(!is_unchanged(parent(), later, &changed), "{what}");
        }
    }

    #[test]
    fn an_entry_as_new_as_the_parent_run_is_read_again() {
        let at = |ctime_ms: i64, began_at: i64| {
            let parent = Looks { ctime: time(ctime_ms), ..parent() };
            is_unchanged(parent, Timestamp::from_ms(began_at), &Stat { ctime: time(ctime_ms), ..stat() })
        };
        for (began_at, unchanged) in [(4_000, false), (5_001, false), (5_011, false), (5_012, true)] {
            assert_eq!(at(5_001, began_at), unchanged, "began at {began_at}");
        }
        for (began_at, unchanged) in [(5_000, false), (5_012, false), (7_000, false), (7_001, true)] {
            assert_eq!(at(5_000, began_at), unchanged, "whole seconds, began at {began_at}");
        }
    }

    #[test]
    fn times_before_1970_do_not_wrap() {
        let old = Stat { ctime: FileTime { seconds: -1, nanos: 999_000_000 }, ..stat() };
        let parent = Looks { ctime: old.ctime, ..parent() };
        assert!(!is_unchanged(parent, Timestamp::from_ms(0), &old));
        assert!(is_unchanged(parent, Timestamp::from_ms(10), &old));
    }
}
