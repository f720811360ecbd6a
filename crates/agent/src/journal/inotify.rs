//! The journal of a process without the rights of a service: inotify, one watch for each directory of the folders that
//! somebody asks about, from the first question on.
//! Refuses more directories than the system lets it watch: nothing is certain then. A second name that a file had for a
//! moment only is not seen, which fanotify would: docs/format.md, "Change detection".

use super::mounts::{Mount, MountList};
use super::notes::Notes;
use super::{Doubt, Journal, Means, Position, Told, absolute, mapped, stored};
use base::Timestamp;
use engine::Changes;
use format::StoredPath;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

/// What counts as a change. Closing what was open for writing stands for what was written through memory.
const WATCHED: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW);
/// File systems that change through this kernel alone.
const KINDS: [&[u8]; 12] = [
    b"ext2",
    b"ext3",
    b"ext4",
    b"xfs",
    b"btrfs",
    b"f2fs",
    b"bcachefs",
    b"tmpfs",
    b"overlay",
    b"vfat",
    b"exfat",
    b"zfs",
];
const BUFFER_BYTES: usize = 64 << 10;

pub(super) struct Inotify {
    handle: OwnedFd,
    means: Means,
    notes: Notes<StoredPath>,
    list: MountList,
    mounts: Vec<Mount>,
    /// What is watched: empty until somebody asks, and again when it has to begin anew.
    folders: Vec<StoredPath>,
    watches: HashMap<i32, StoredPath>,
    directories: BTreeMap<StoredPath, i32>,
    /// Directories that cannot be watched: they are looked at by every backup.
    unwatched: BTreeSet<StoredPath>,
    /// Whether the system lets this process watch no more directories.
    is_exhausted: bool,
}

/// One word of the system, kept while its buffer is reused.
struct Event {
    watch: i32,
    what: ReadFlags,
    name: Option<Vec<u8>>,
}

impl Inotify {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// The kernel has no such thing, or this user has used it up.
    pub fn open(means: &Means) -> io::Result<Self> {
        let handle = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut list = MountList::open()?;
        Ok(Self {
            handle,
            means: means.clone(),
            notes: Notes::new(means),
            mounts: list.read()?,
            list,
            folders: Vec::new(),
            watches: HashMap::new(),
            directories: BTreeMap::new(),
            unwatched: BTreeSet::new(),
            is_exhausted: false,
        })
    }

    /// Begins anew with these folders: what was noted of others says nothing about them.
    fn begin_with(&mut self, folders: &[StoredPath]) {
        self.notes.gap();
        for watch in std::mem::take(&mut self.watches).into_keys() {
            // One that is gone already needs no removal.
            let _ = inotify::remove_watch(&self.handle, watch);
        }
        self.directories.clear();
        self.unwatched.clear();
        self.is_exhausted = false;
        self.folders = folders.to_vec();
        folders.iter().for_each(|folder| self.watch_tree(folder));
    }

    /// Watches a directory and all beneath it.
    fn watch_tree(&mut self, top: &StoredPath) {
        let mut left = vec![top.clone()];
        while let Some(path) = left.pop() {
            if self.is_exhausted || self.is_foreign(&path) {
                continue;
            }
            match inotify::add_watch(&self.handle, absolute(&path), WATCHED) {
                Ok(watch) => {
                    self.watches.insert(watch, path.clone());
                    self.directories.insert(path.clone(), watch);
                }
                Err(Errno::NOSPC | Errno::NOMEM) => self.is_exhausted = true,
                // Gone since it was listed, which was noted; or never a directory.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(_) => drop(self.unwatched.insert(path.clone())),
            }
            // ORDER: after the watch: what comes in between is in both.
            let Ok(entries) = fs::read_dir(absolute(&path)) else { continue };
            let directories = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            left.extend(directories.filter_map(|entry| path.join(entry.file_name().as_bytes()).ok()));
        }
    }

    fn leave_tree(&mut self, top: &StoredPath) {
        let beneath = self.directories.range(top..).take_while(|(path, _)| path.starts_with(top));
        let beneath: Vec<(StoredPath, i32)> = beneath.map(|(path, watch)| (path.clone(), *watch)).collect();
        for (path, watch) in beneath {
            self.directories.remove(&path);
            self.watches.remove(&watch);
            let _ = inotify::remove_watch(&self.handle, watch);
        }
    }

    /// Whether something is mounted there that others may change, or that the kernel makes up.
    fn is_foreign(&self, path: &StoredPath) -> bool {
        let path = absolute(path);
        let mount = self.mounts.iter().rev().find(|mount| OsStr::from_bytes(&mount.point) == path.as_os_str());
        mount.is_some_and(|mount| !KINDS.contains(&&mount.kind[..]))
    }

    fn note(&mut self, event: Event) {
        let Event { watch, what, name } = event;
        if what.contains(ReadFlags::QUEUE_OVERFLOW) || what.contains(ReadFlags::UNMOUNT) {
            return self.is_lost();
        }
        if what.contains(ReadFlags::IGNORED) {
            if let Some(path) = self.watches.remove(&watch) {
                self.directories.remove(&path);
            }
            return;
        }
        let Some(directory) = self.watches.get(&watch).cloned() else { return };
        self.notes.directory(directory.clone());
        if what.contains(ReadFlags::MOVE_SELF) && self.folders.contains(&directory) {
            return self.is_lost();
        }
        let Some(path) = name.and_then(|name| directory.join(&name).ok()) else { return };
        if !what.contains(ReadFlags::ISDIR) {
            if !self.notes.file(path, false) {
                self.notes.drop_harmless(|file, _| is_harmless(file, None));
            }
        } else if what.contains(ReadFlags::MOVED_FROM) {
            self.leave_tree(&path);
        } else if what.intersects(ReadFlags::MOVED_TO.union(ReadFlags::CREATE)) {
            self.watch_tree(&path);
            // What happened in it before it was watched, nobody has noted.
            self.notes.path(path);
        }
    }

    /// Something was missed: directories may be there that are not watched.
    fn is_lost(&mut self) {
        self.notes.gap();
        self.folders.clear();
    }

    fn changes(&self, since: Option<&Position>) -> Result<Changes, Doubt> {
        if self.is_exhausted {
            return Err(Doubt::Gap);
        }
        let noted = self.notes.since(since)?;
        let new = since.map(|position| position.taken_at..self.means.clock.now());
        if !noted.files.iter().all(|(file, _)| is_harmless(file, new.as_ref())) {
            return Err(Doubt::HardLinks);
        }
        let mut changes = Changes::default();
        noted.directories.into_iter().for_each(|path| changes.add(path.clone()));
        noted.paths.into_iter().for_each(|path| changes.add_all(path.clone()));
        self.unwatched.iter().for_each(|path| changes.add_all(path.clone()));
        let foreign = self.mounts.iter().filter(|mount| !KINDS.contains(&&mount.kind[..]));
        for point in
            foreign.map(|mount| mount.point.clone()).chain(self.mounts.iter().filter_map(Mount::upper_directory))
        {
            changes.add_all(stored(&point).map_err(|_| Doubt::Gap)?);
        }
        for file in mapped::files() {
            changes.add(stored(&mapped::directory_of(&file)).map_err(|_| Doubt::Gap)?);
        }
        Ok(changes)
    }
}

impl Journal for Inotify {
    fn name(&self) -> &'static str {
        "inotify"
    }

    fn handle(&self) -> Option<BorrowedFd<'_>> {
        Some(self.handle.as_fd())
    }

    fn take_in(&mut self) -> io::Result<()> {
        self.notes.begin();
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
        loop {
            let mut events = Vec::new();
            let mut reader = Reader::new(&self.handle, &mut buffer);
            let ended = loop {
                match reader.next() {
                    Ok(event) => events.push(Event {
                        watch: event.wd(),
                        what: event.events(),
                        name: event.file_name().map(|name| name.to_bytes().to_vec()),
                    }),
                    Err(error) => break error,
                }
                if reader.is_buffer_empty() {
                    break Errno::INTR;
                }
            };
            events.into_iter().for_each(|event| self.note(event));
            match ended {
                Errno::AGAIN => break,
                Errno::INTR => {}
                error => return Err(error.into()),
            }
        }
        if self.list.has_changed()? {
            self.mounts = self.list.read()?;
            self.is_lost();
        }
        Ok(())
    }

    fn look(&mut self, folders: &[StoredPath], since: Option<&Position>) -> io::Result<Told> {
        self.take_in()?;
        if self.folders != folders {
            self.begin_with(folders);
            // The next ask is told what happened from here on.
            let position = self.notes.position(&self.means);
            return Ok(Told { position, changes: self.notes.since(since).and(Err(Doubt::Gap)) });
        }
        Ok(Told { position: self.notes.position(&self.means), changes: self.changes(since) })
    }
}

/// Whether a file that was changed has one name, or is gone, or is so new that whatever names it has were noted.
fn is_harmless(file: &StoredPath, new: Option<&Range<Timestamp>>) -> bool {
    match fs::symlink_metadata(absolute(file)) {
        Ok(about) => about.nlink() == 1 || new.is_some_and(|new| is_born_in(&about, new)),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn is_born_in(about: &Metadata, new: &Range<Timestamp>) -> bool {
    let born = about.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
    let born = born.and_then(|born| i64::try_from(born.as_millis()).ok()).map(Timestamp::from_ms);
    born.is_some_and(|born| super::is_born_in(born, new))
}

#[cfg(test)]
mod tests;
