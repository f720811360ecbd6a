//! What the records of one volume's journal come to: which directories have changed since a USN, which files may have
//! names elsewhere, and which are still open. Pure but for its questions to the volume.
//! Refuses to forget an open file silently: what is written to it is not told before it is closed.

use super::reasons;
use super::records::{FileId, Record};
use super::volume::{Extent, Volume};
use crate::journal::notes::Notes;
use crate::journal::{Doubt, Means, Position};
use std::collections::HashMap;

/// Files that are kept while they are open. A computer with more is looked at whole.
const OPEN_MAX: usize = 65_536;

pub(super) struct Noted {
    journal: [u8; 16],
    /// Where to read on.
    next: u64,
    notes: Notes<FileId>,
    /// Files whose last record is not the closing one, with their directories; a directory with itself. The first
    /// write after an opening is told at once, and the others not before the file is closed.
    open: HashMap<FileId, FileId>,
    /// Whether it is not known any more which files are open.
    is_blind: bool,
}

impl Noted {
    /// Nothing yet, of the journal from its first record on.
    pub fn begin(extent: &Extent) -> Self {
        let journal = identity(extent);
        Self {
            journal,
            next: extent.first,
            notes: Notes::kept(journal, extent.first),
            open: HashMap::new(),
            is_blind: false,
        }
    }

    /// Whether this can go on from where it stands: it is the same journal, and nothing is missing in between.
    pub fn goes_on_in(&self, extent: &Extent) -> bool {
        self.journal == identity(extent) && (extent.first..=extent.next).contains(&self.next)
    }

    /// Where to read on.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// All before this USN was read.
    pub fn reach(&mut self, next: u64) {
        self.next = next;
        self.notes.reach(next);
    }

    /// A record, or one that was not understood.
    pub fn take(&mut self, record: Option<Record>, volume: &impl Volume) {
        let Some(record) = record else {
            self.is_blind = true;
            return;
        };
        // What stands at a USN comes after a position of that number: a position is where the next record will stand.
        self.notes.reach(record.usn.saturating_add(1));
        if !reasons::is_change(record.reason) {
            return;
        }
        self.notes.directory(record.parent);
        if record.is_directory {
            self.notes.directory(record.file);
        } else {
            self.file(&record, volume);
        }
        if record.reason & reasons::CLOSE != 0 {
            self.open.remove(&record.file);
        } else if self.open.len() < OPEN_MAX {
            self.open.insert(record.file, if record.is_directory { record.file } else { record.parent });
        } else {
            self.is_blind = true;
        }
    }

    fn file(&mut self, record: &Record, volume: &impl Volume) {
        let is_unplaced = record.reason & reasons::HARD_LINK_CHANGE != 0;
        if !self.notes.file(record.file, is_unplaced) {
            self.notes.drop_harmless(|file, is_unplaced| has_one_name(volume, *file, is_unplaced));
        }
    }

    pub fn position(&self, means: &Means) -> Position {
        self.notes.position(means)
    }

    /// The directories that have changed since a position, or may have.
    ///
    /// # Errors
    /// A doubt.
    pub fn since(&self, since: Option<&Position>, volume: &impl Volume) -> Result<Vec<FileId>, Doubt> {
        let noted = self.notes.since(since)?;
        if self.is_blind {
            return Err(Doubt::Gap);
        }
        if !noted.files.into_iter().all(|(file, is_unplaced)| has_one_name(volume, *file, is_unplaced)) {
            return Err(Doubt::HardLinks);
        }
        Ok(noted.directories.into_iter().chain(self.open.values()).copied().collect())
    }
}

/// Which journal it is: the volume's serial number and the id. A position of it is good for as long as both are, also
/// when this process is another one.
fn identity(extent: &Extent) -> [u8; 16] {
    let mut journal = [0; 16];
    journal[..8].copy_from_slice(&extent.volume.to_le_bytes());
    journal[8..].copy_from_slice(&extent.id.to_le_bytes());
    journal
}

/// Whether a file has one name and had no other since, or is gone with the one that it had. Of a name that it won or
/// lost, winioctl.h does not say that the record names the directory.
fn has_one_name(volume: &impl Volume, file: FileId, is_unplaced: bool) -> bool {
    !is_unplaced && volume.name_count(file).is_ok_and(|count| count.is_none_or(|count| count == 1))
}
