//! What the journal asks of Windows: volumes, where they are seen, and of one volume its journal and its files. A port.
//! Refuses nothing: the rules are in `usn` and `noted`.

use super::records::FileId;
use format::StoredPath;
use std::io;

/// winerror.h: what is asked for has made room for newer records.
pub(super) const ERROR_JOURNAL_ENTRY_DELETED: i32 = 1181;
/// winerror.h: among others, the journal has another id than the one that is asked for.
pub(super) const ERROR_INVALID_PARAMETER: i32 = 87;

/// Where a volume is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::journal) struct Place {
    /// The volume: `\\?\Volume{…}\`.
    pub volume: String,
    /// A drive or a directory: `C:\`, `C:\mount\`.
    pub at: String,
}

/// All volumes of this computer.
pub(in crate::journal) trait Volumes {
    type Volume: Volume;

    /// Every place of every local volume.
    ///
    /// # Errors
    /// The system does not say.
    fn places(&self) -> io::Result<Vec<Place>>;

    /// The path that the system gives what a folder names, by way of the volume's name and through all links, in
    /// UTF-16: `\\?\Volume{…}\Users\ann`.
    ///
    /// # Errors
    /// It is not there, or on no local volume.
    fn real(&self, folder: &StoredPath) -> io::Result<Vec<u16>>;

    /// Opens a volume by its name.
    ///
    /// # Errors
    /// It is gone, or this process may not.
    fn open(&self, name: &str) -> io::Result<Self::Volume>;
}

/// What a volume says of its journal: USN_JOURNAL_DATA of winioctl.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) struct Extent {
    /// The volume's serial number.
    pub volume: u64,
    /// The journal's id: another one after it was deleted and created anew.
    pub id: u64,
    /// The oldest record that may still be read.
    pub first: u64,
    /// Where the next record will stand.
    pub next: u64,
}

/// One volume, open.
pub(in crate::journal) trait Volume {
    /// # Errors
    /// There is no journal, or the volume is gone.
    fn extent(&self) -> io::Result<Extent>;

    /// Fills the buffer with records from a USN on, as `records::parse` reads them, and says how many bytes it wrote.
    ///
    /// # Errors
    /// `ERROR_JOURNAL_ENTRY_DELETED`: that is no longer kept. `ERROR_INVALID_PARAMETER`: the journal has another id.
    fn read(&self, journal: u64, from: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// The path of a directory or file within the volume, in UTF-16: `\Users\ann`. `None` where it is gone.
    ///
    /// # Errors
    /// It is there, and cannot be asked about.
    fn path_of(&self, id: FileId) -> io::Result<Option<Vec<u16>>>;

    /// How many names a file has; `None` where it is gone.
    ///
    /// # Errors
    /// As `path_of`.
    fn name_count(&self, id: FileId) -> io::Result<Option<u32>>;
}
