//! The disk of the machine on which the simulated servers run, in memory: a file system that loses on a power cut
//! whatever nobody has made durable, in any order and in part, as POSIX allows. Refuses to lose anything else.
//!
//! A process that is killed takes nothing with it but its locks. Before every operation that changes something the
//! process may end, or the power go.

mod content;
mod entries;
mod open;

use super::dice::Dice;
use content::Content;
use entries::{Entries, Entry};
use open::{Open, Opened};
use std::fmt;
use std::io;
use std::path::{Component, Path};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use store::files::{Files, Found, OpenFile};

/// What can be written while nobody fills the disk.
const ROOM: u64 = 1 << 40;
/// The system makes everything durable by itself before one of so many operations.
const WRITE_BACK_ONCE_IN: u64 = 1_000;

/// The disk.
pub(super) struct Drive {
    root: Arc<Entries>,
    dice: Dice,
    /// How much can still be written.
    room: Mutex<u64>,
    /// Whether other programs fill it too.
    is_shared: AtomicBool,
    /// Numbers what is open.
    opened: AtomicU64,
}

/// A process that uses it.
pub(super) trait Process: Send + Sync {
    /// Whether it has ended. Never fails.
    fn has_ended(&self) -> bool;

    /// The moment before it changes something. Never fails: a dead process never comes out of here.
    fn before(&self, operation: &'static str);
}

/// What a power cut has taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Entries of folders that are as they were before.
    pub(super) entries: u64,
    /// Files whose bytes are not what was written.
    pub(super) files: u64,
}

impl Drive {
    /// An empty one. Never fails.
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            root: Arc::default(),
            dice: Dice::new(seed),
            room: Mutex::new(ROOM),
            is_shared: AtomicBool::new(false),
            opened: AtomicU64::new(0),
        })
    }

    /// The files as a process sees them. Never fails.
    pub(super) fn of(self: &Arc<Self>, process: Arc<dyn Process>) -> Arc<dyn Files> {
        Arc::new(Mount { drive: Arc::clone(self), process })
    }

    /// The power goes: what was not durable is lost or not, each by itself. Every process must end with it.
    /// Never fails.
    pub(super) fn lose_power(&self) -> Lost {
        self.root.lose_power(&self.dice)
    }

    /// Other programs fill the disk up to so many bytes, and take what becomes free. Never fails.
    pub(super) fn fill(&self, room: u64) {
        self.is_shared.store(true, Ordering::SeqCst);
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = room;
    }

    /// There is room for everybody again. Never fails.
    pub(super) fn empty(&self) {
        self.is_shared.store(false, Ordering::SeqCst);
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = ROOM;
    }

    /// What the system says that is free: while others write too, perhaps more than there will be.
    fn free(&self) -> u64 {
        let room = *self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over_soon = self.is_shared.load(Ordering::SeqCst) && self.dice.once_in(2);
        if is_over_soon { room + self.dice.below(1 << 20) } else { room }
    }

    /// How many of so many bytes find room.
    fn take(&self, wanted: u64) -> u64 {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = wanted.min(*room);
        *room -= taken;
        taken
    }

    fn give_back(&self, bytes: u64) {
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
    }

    /// What is at a path.
    fn find(&self, path: &Path) -> io::Result<Entry> {
        let mut found = Entry::Folder(Arc::clone(&self.root));
        for component in path.components() {
            if let Component::Normal(name) = component {
                let Entry::Folder(folder) = &found else { return Err(io::ErrorKind::NotADirectory.into()) };
                found = folder.get(&name.to_string_lossy()).ok_or(io::ErrorKind::NotFound)?;
            }
        }
        Ok(found)
    }

    fn folder(&self, path: &Path) -> io::Result<Arc<Entries>> {
        match self.find(path)? {
            Entry::Folder(folder) => Ok(folder),
            Entry::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn file(&self, path: &Path) -> io::Result<Arc<Content>> {
        match self.find(path)? {
            Entry::File(content) => Ok(content),
            Entry::Folder(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// The folder above a path, and the last part of it.
    fn split(&self, path: &Path) -> io::Result<(Arc<Entries>, String)> {
        let name = path.file_name().ok_or(io::ErrorKind::AlreadyExists)?;
        let above = path.parent().unwrap_or(Path::new("/"));
        Ok((self.folder(above)?, name.to_string_lossy().into_owned()))
    }
}

/// The disk as one process sees it.
#[derive(Clone)]
struct Mount {
    drive: Arc<Drive>,
    process: Arc<dyn Process>,
}

impl Mount {
    /// The moment before something is changed.
    fn step(&self, operation: &'static str) -> io::Result<()> {
        // A dead process is being unwound here. It cleans nothing up, as it would not if it were one.
        if std::thread::panicking() {
            return Err(io::Error::other("the process has ended"));
        }
        self.process.before(operation);
        if self.drive.dice.once_in(WRITE_BACK_ONCE_IN) {
            self.drive.root.write_back();
        }
        Ok(())
    }

    fn open(&self, what: Opened) -> Box<dyn OpenFile> {
        Box::new(Open::new(self.clone(), what, self.drive.opened.fetch_add(1, Ordering::SeqCst)))
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mount")
    }
}

impl Files for Mount {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.step("making a folder")?;
        let (above, name) = self.drive.split(folder)?;
        above.add(name, Entry::Folder(Arc::default()))
    }

    fn make_file(&self, file: &Path) -> io::Result<Box<dyn OpenFile>> {
        self.step("making a file")?;
        let (folder, name) = self.drive.split(file)?;
        let content = Arc::new(Content::default());
        folder.add(name, Entry::File(Arc::clone(&content)))?;
        Ok(self.open(Opened::File(content)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        Ok(match self.drive.find(path)? {
            Entry::File(content) => self.open(Opened::File(content)),
            Entry::Folder(entries) => self.open(Opened::Folder(entries)),
        })
    }

    fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        self.step("linking a file")?;
        let content = self.drive.file(file)?;
        let (folder, name) = self.drive.split(name)?;
        folder.add(name, Entry::File(content))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.step("removing a file")?;
        let content = self.drive.file(file)?;
        let (folder, name) = self.drive.split(file)?;
        folder.remove(&name)?;
        if content.is_nameless() {
            self.drive.give_back(content.len());
        }
        Ok(())
    }

    fn size(&self, path: &Path) -> io::Result<Option<base::Bytes>> {
        match self.drive.find(path) {
            Ok(Entry::File(content)) => Ok(Some(base::Bytes(content.len()))),
            Ok(Entry::Folder(_)) => Ok(Some(base::Bytes(0))),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Found>> {
        Ok(self.drive.folder(folder)?.list())
    }
}

#[cfg(test)]
mod tests;
