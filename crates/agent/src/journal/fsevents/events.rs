//! What an event of FSEvents says: a path, flags, and where it stands. Pure. Refuses to guess where events were dropped
//! or counted anew: that is a gap.

use crate::journal::notes::Notes;
use crate::journal::stored;
use format::StoredPath;

/// The bits kFSEventStreamEventFlag* of FSEvents.h that decide something here.
pub(super) mod flags {
    pub const MUST_SCAN_SUB_DIRS: u32 = 0x0000_0001;
    pub const USER_DROPPED: u32 = 0x0000_0002;
    pub const KERNEL_DROPPED: u32 = 0x0000_0004;
    pub const EVENT_IDS_WRAPPED: u32 = 0x0000_0008;
    pub const HISTORY_DONE: u32 = 0x0000_0010;
    pub const ROOT_CHANGED: u32 = 0x0000_0020;
    pub const MOUNT: u32 = 0x0000_0040;
    pub const UNMOUNT: u32 = 0x0000_0080;
    pub const ITEM_CREATED: u32 = 0x0000_0100;
    pub const ITEM_RENAMED: u32 = 0x0000_0800;
    pub const ITEM_IS_FILE: u32 = 0x0001_0000;
    pub const ITEM_IS_DIR: u32 = 0x0002_0000;
    pub const ITEM_IS_SYMLINK: u32 = 0x0004_0000;
    pub const ITEM_IS_HARDLINK: u32 = 0x0010_0000;
    pub const ITEM_IS_LAST_HARDLINK: u32 = 0x0020_0000;
    pub const ITEM_CLONED: u32 = 0x0040_0000;
}

/// Events that say that others are missing.
const GAP: u32 = flags::USER_DROPPED | flags::KERNEL_DROPPED | flags::EVENT_IDS_WRAPPED;
/// Events that say that nothing is certain at and beneath their path.
const ALL: u32 = flags::MUST_SCAN_SUB_DIRS | flags::ROOT_CHANGED | flags::MOUNT | flags::UNMOUNT;
/// What happens to a directory of which the system then says nothing more about what is in it.
const ARRIVED: u32 = flags::ITEM_CREATED | flags::ITEM_RENAMED | flags::ITEM_CLONED;
/// What has several names, or had them until now.
const LINKED: u32 = flags::ITEM_IS_HARDLINK | flags::ITEM_IS_LAST_HARDLINK;

/// Where the volume is mounted of which most paths are seen from the root too: an event may name either.
pub(super) const DATA: &[u8] = b"/System/Volumes/Data";

/// Whether this is a directory on the way to what is mounted there.
fn is_above_data(path: &StoredPath) -> bool {
    stored(DATA).is_ok_and(|data| data.starts_with(path))
}

/// One event, or several about one path that the system has made into one: then all their flags are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::journal) struct Event {
    /// Absolute. A directory's may end with a slash.
    pub path: Vec<u8>,
    pub flags: u32,
    /// Grows over all volumes of this computer.
    pub id: u64,
}

impl Event {
    /// Whether it says only that what happened before the question has been told.
    pub fn is_end_of_history(&self) -> bool {
        self.flags & flags::HISTORY_DONE != 0
    }

    /// Notes what it says of some folders.
    pub fn note(&self, folders: &[StoredPath], notes: &mut Notes<StoredPath>) {
        if self.is_end_of_history() {
            return;
        }
        let path = self.path.strip_suffix(b"/").unwrap_or(&self.path);
        let within = path.strip_prefix(DATA).filter(|path| path.is_empty() || path.starts_with(b"/"));
        let Some(path) = stored(within.unwrap_or(path)).ok().filter(|_| self.flags & GAP == 0) else {
            return notes.gap();
        };
        if folders.iter().any(|folder| path.starts_with(folder)) {
            self.note_within(path, notes);
        } else if self.flags & LINKED != 0 {
            // Another name of it may be in a folder.
            self.note_linked(path, notes);
        } else if self.flags & (ALL | ARRIVED) != 0 {
            // What is beneath the folders may have had other paths meanwhile.
            let is_above = |folder: &&StoredPath| folder.starts_with(&path) || is_above_data(&path);
            folders.iter().filter(is_above).for_each(|folder| notes.path(folder.clone()));
        }
    }

    fn note_linked(&self, path: StoredPath, notes: &mut Notes<StoredPath>) {
        if !notes.file(path, true) {
            notes.gap();
        }
    }

    fn note_within(&self, path: StoredPath, notes: &mut Notes<StoredPath>) {
        if let Some(above) = path.parent() {
            notes.directory(above);
        }
        if self.flags & ALL != 0 {
            return notes.path(path);
        }
        // HFS+ has directories of several names too.
        if self.flags & LINKED != 0 {
            self.note_linked(path.clone(), notes);
        }
        // Without a word about what it is, it is a directory in which something has changed.
        let is_file = self.flags & (flags::ITEM_IS_FILE | flags::ITEM_IS_SYMLINK) != 0;
        if !is_file || self.flags & flags::ITEM_IS_DIR != 0 {
            if self.flags & ARRIVED != 0 { notes.path(path) } else { notes.directory(path) }
        }
    }
}
