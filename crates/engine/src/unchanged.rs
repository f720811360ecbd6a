//! May an entry's content be taken from the parent snapshot without opening it? Pure.
//! Refuses whenever there is doubt: an entry that is read once too often costs time, one too seldom costs data.
//! Rule: docs/format.md, "Change detection".

use crate::ports::{EntryKind, Stat};
use base::{Span, Timestamp};
use format::{Entry, EntryBody, FileTime};

/// How coarse a file system's clock may be against the device's own. An entry that changed this shortly before the
/// parent run began, or later, could have changed again under the same times.
const RACY_SPAN: Span = Span::ms(10);
/// The same where times come in whole seconds, as far as one can see: FAT counts in twos.
const RACY_SPAN_WHOLE_SECONDS: Span = Span::seconds(2);

/// Whether `stat` shows the entry as the parent snapshot has it, and as old as that is certain. Never fails.
pub fn is_unchanged(parent: &Entry, parent_began_at: Timestamp, stat: &Stat) -> bool {
    same_kind(&parent.body, stat)
        && parent.meta.mtime == stat.mtime
        && parent.meta.ctime == stat.ctime
        && parent.meta.inode == stat.inode
        && is_settled(stat.ctime, parent_began_at)
}

/// Whether an entry last changed so long before the parent run began that a later change would show.
fn is_settled(ctime: FileTime, parent_began_at: Timestamp) -> bool {
    let span = if ctime.nanos == 0 { RACY_SPAN_WHOLE_SECONDS } else { RACY_SPAN };
    let settled_ms = (parent_began_at - span).as_ms();
    let (seconds, nanos) = (settled_ms.div_euclid(1_000), settled_ms.rem_euclid(1_000) as u32 * 1_000_000);
    (ctime.seconds, ctime.nanos) < (seconds, nanos)
}

fn same_kind(body: &EntryBody, stat: &Stat) -> bool {
    match (body, stat.kind) {
        (EntryBody::File { size, .. }, EntryKind::File) => *size == stat.size,
        (EntryBody::Directory { .. }, EntryKind::Directory)
        | (EntryBody::Symlink { .. }, EntryKind::Symlink)
        | (EntryBody::Fifo, EntryKind::Fifo)
        | (EntryBody::Socket, EntryKind::Socket) => true,
        (EntryBody::CharDevice { major, minor }, EntryKind::CharDevice)
        | (EntryBody::BlockDevice { major, minor }, EntryKind::BlockDevice) => (*major, *minor) == stat.rdev,
        (
            EntryBody::File { .. }
            | EntryBody::Directory { .. }
            | EntryBody::Symlink { .. }
            | EntryBody::Fifo
            | EntryBody::Socket
            | EntryBody::CharDevice { .. }
            | EntryBody::BlockDevice { .. },
            _,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use format::{Content, Meta};

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

    fn entry() -> Entry {
        let none: std::sync::Arc<[u8]> = std::sync::Arc::from(&b""[..]);
        let meta = Meta {
            mode: 0o644,
            uid: 0,
            user: none.clone(),
            gid: 0,
            group: none,
            mtime: time(4_000),
            ctime: time(5_000),
            inode: 7,
            device: None,
            xattrs: Vec::new(),
        };
        let content = Content::Inline(b"abc".to_vec());
        Entry { name: b"a".to_vec(), meta, body: EntryBody::File { size: 3, content } }
    }

    #[test]
    fn only_the_same_settled_entry_is_unchanged() {
        let later = Timestamp::from_ms(9_000);
        assert!(is_unchanged(&entry(), later, &stat()));
        let changes: [(&str, Stat); 5] = [
            ("size", Stat { size: 4, ..stat() }),
            ("mtime", Stat { mtime: time(4_001), ..stat() }),
            ("ctime", Stat { ctime: time(5_001), ..stat() }),
            ("inode", Stat { inode: 8, ..stat() }),
            ("kind", Stat { kind: EntryKind::Symlink, ..stat() }),
        ];
        for (what, changed) in changes {
            assert!(!is_unchanged(&entry(), later, &changed), "{what}");
        }
    }

    #[test]
    fn an_entry_as_new_as_the_parent_run_is_read_again() {
        let at = |ctime_ms: i64, began_at: i64| {
            let parent = Entry { meta: Meta { ctime: time(ctime_ms), ..entry().meta }, ..entry() };
            is_unchanged(&parent, Timestamp::from_ms(began_at), &Stat { ctime: time(ctime_ms), ..stat() })
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
        let parent = Entry { meta: Meta { ctime: old.ctime, ..entry().meta }, ..entry() };
        assert!(!is_unchanged(&parent, Timestamp::from_ms(0), &old));
        assert!(is_unchanged(&parent, Timestamp::from_ms(10), &old));
    }
}
