//! What the journal asks of macOS: the stream of events, whose journal holds a folder, and what is mounted. A port.
//! Refuses nothing: the rules are in `fsevents` and `events`.

use super::events::Event;
use base::Timestamp;
use format::StoredPath;
use std::io;

pub(in crate::journal) trait System {
    /// The UUID of the journal that the volume of a folder has; `None` where it has none, or where the folder is named
    /// by way of a link, so that events name it otherwise.
    ///
    /// # Errors
    /// The folder cannot be asked about.
    fn journal_of(&self, folder: &StoredPath) -> io::Result<Option<[u8; 16]>>;

    /// The id that the last event has.
    fn latest(&self) -> u64;

    /// Hands over every event of this computer with an id above `since`, and perhaps some from before, up to the one
    /// that ends the history: the folders alone do not tell what happened while one above them had another name.
    ///
    /// # Errors
    /// There is no stream, or it does not come to an end.
    fn read(&self, folders: &[StoredPath], since: u64, each: &mut dyn FnMut(Event)) -> io::Result<()>;

    /// Where anything is mounted.
    ///
    /// # Errors
    /// The system does not say.
    fn mounts(&self) -> io::Result<Vec<StoredPath>>;

    /// When a file was born; `None` where it is gone, or its file system does not say.
    fn birth(&self, file: &StoredPath) -> Option<Timestamp>;
}
