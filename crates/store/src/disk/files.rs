//! The port to a file system: what a disk store asks of one, and no more. Another than the system's own can be given
//! to a store: one that loses on a power cut whatever was not made durable. Refuses to decide what is made durable,
//! and when: disk/write.rs does. The system's own: disk/files/system.rs.

mod system;

pub use system::System;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

/// A file system. Everything it makes belongs to its owner alone. What it makes, links and removes is seen at once by
/// everybody, and durable once the folder in which that is was opened and synced.
pub trait Files: fmt::Debug + Send + Sync + 'static {
    /// Makes a folder in one that is there.
    ///
    /// # Errors
    /// `AlreadyExists`; `NotFound` when there is none above; whatever the system says.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// Makes an empty file, and opens it for writing. Of all who ask at the same time one makes it.
    ///
    /// # Errors
    /// `AlreadyExists`; `NotFound` when there is no such folder; whatever the system says.
    fn make_file(&self, file: &Path) -> io::Result<Box<dyn OpenFile>>;

    /// Opens a file for reading, or a folder for syncing.
    ///
    /// # Errors
    /// `NotFound`; whatever the system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>>;

    /// Gives a file one more name. Of all who ask for a name at the same time one gets it.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; `NotFound`; whatever the system says.
    fn link(&self, file: &Path, name: &Path) -> io::Result<()>;

    /// Takes a name from a file, and the file away with its last one.
    ///
    /// # Errors
    /// `NotFound`; whatever the system says.
    fn remove(&self, file: &Path) -> io::Result<()>;

    /// The size of what is at the path; None when nothing is.
    ///
    /// # Errors
    /// Whatever the system says.
    fn size(&self, path: &Path) -> io::Result<Option<base::Bytes>>;

    /// What is in a folder, in any order.
    ///
    /// # Errors
    /// `NotFound`; whatever the system says.
    fn list(&self, folder: &Path) -> io::Result<Vec<Found>>;
}

/// A file or folder that is open until it is dropped, whatever becomes of its name.
pub trait OpenFile: fmt::Debug + Send + Sync {
    /// Writes the bytes behind those written before.
    ///
    /// # Errors
    /// `StorageFull`, after some of them were written; whatever the system says.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the bytes of a file durable; of a folder, its entries.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync(&self) -> io::Result<()>;

    /// How many bytes there are.
    ///
    /// # Errors
    /// Whatever the system says.
    fn size(&self) -> io::Result<base::Bytes>;

    /// Fills `bytes` with those of the file from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when there are too few; whatever the system says.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Takes a lock on the file instead of the one it has, for as long as it is open; whether it was given.
    ///
    /// # Errors
    /// Whatever the system says.
    fn lock(&self, lock: Lock) -> io::Result<bool>;

    /// How much can still be written on the disk that it is on.
    ///
    /// # Errors
    /// Whatever the system says.
    fn free(&self) -> io::Result<base::Bytes>;
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name in the folder.
    pub name: OsString,
    /// Whether it is itself a folder.
    pub is_folder: bool,
}

/// Locks on a file, among all who have it open. They are gone with their process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// No other has any: given at once, or not at all.
    Alone,
    /// No other is alone: waits for it.
    Shared,
    /// None.
    Released,
}
