//! The journal of a service: fanotify on whole file systems, which tells every change with the file handle of the
//! directory. Handles stay with a directory when it is renamed, and are turned into paths when somebody asks.
//! Refuses file systems whose handles do not last, or that others change: nothing is certain there.

mod events;
mod resolve;
mod sys;

use super::mounts::{Mount, MountList};
use super::notes::Notes;
use super::{Doubt, Journal, Means, Position, Told, mapped, stored};
use engine::Changes;
use events::{Event, Handle};
use format::StoredPath;
use resolve::Resolver;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;

/// Local file systems whose handles name a directory for as long as it is there, and that have one name in all events:
/// not those with subvolumes.
const KINDS: [&[u8]; 6] = [b"ext2", b"ext3", b"ext4", b"xfs", b"f2fs", b"tmpfs"];
/// Room for some thousands of events.
const BUFFER_BYTES: usize = 256 << 10;

pub(super) struct Fanotify {
    handle: OwnedFd,
    means: Means,
    notes: Notes<Handle>,
    list: MountList,
    mounts: Vec<Mount>,
    /// File systems that are watched, with the names that events have for them.
    marked: BTreeMap<u64, [u8; 8]>,
    buffer: Vec<u8>,
}

impl Fanotify {
    /// Watches every file system that is there.
    ///
    /// # Errors
    /// The kernel has no such thing, or this process may not use it.
    pub fn open(means: &Means) -> io::Result<Self> {
        let handle = sys::init()?;
        let mut journal = Self {
            handle,
            means: means.clone(),
            notes: Notes::new(means),
            list: MountList::open()?,
            mounts: Vec::new(),
            marked: BTreeMap::new(),
            buffer: vec![0; BUFFER_BYTES],
        };
        journal.mounts_changed()?;
        if journal.marked.is_empty() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "no file system can be watched"));
        }
        // Handles are opened when somebody asks: without the right to do so there is nothing to tell.
        Resolver::new(&journal.mounts, &journal.marked).try_one()?;
        Ok(journal)
    }

    fn note(&mut self, event: Event) {
        if event.is_overflow {
            self.notes.gap();
        }
        let is_unplaced = event.directory.is_none();
        if let Some(directory) = event.directory {
            self.notes.directory(directory);
        }
        if let Some(object) = event.object
            && !self.notes.file(object, is_unplaced)
        {
            let resolver = Resolver::new(&self.mounts, &self.marked);
            self.notes.drop_harmless(|file, is_unplaced| resolver.is_harmless(file, is_unplaced, None));
        }
    }

    /// Compares what is mounted with last time, watches what is new, and notes where anything came or went.
    fn mounts_changed(&mut self) -> io::Result<()> {
        let mounts = self.list.read()?;
        for changed in mounts.iter().filter(|mount| !self.mounts.contains(mount)) {
            self.notes.path(stored(&changed.point)?);
        }
        for gone in self.mounts.iter().filter(|mount| !mounts.contains(mount)) {
            self.notes.path(stored(&gone.point)?);
        }
        self.mounts = mounts;
        self.mark_new();
        Ok(())
    }

    fn mark_new(&mut self) {
        for mount in &self.mounts {
            if self.marked.contains_key(&mount.device) || !KINDS.contains(&&mount.kind[..]) || !resolve::is_seen(mount)
            {
                continue;
            }
            // Where it cannot be watched, it is looked at by every backup.
            let marked = sys::mark_file_system(&self.handle, &mount.point).and_then(|()| sys::fsid(&mount.point));
            match marked {
                Ok(fsid) => drop(self.marked.insert(mount.device, fsid)),
                Err(error) => tracing::debug!("what is mounted at {:?} is not watched: {error}", mount.point),
            }
        }
    }

    /// A file system that was unmounted has lost its mark, also where it is mounted again already.
    fn check_marks(&mut self) -> io::Result<()> {
        let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", self.handle.as_raw_fd()))?;
        let devices = about.lines().filter_map(|line| line.strip_prefix("fanotify sdev:"));
        let devices = devices.filter_map(|rest| u64::from_str_radix(rest.split(' ').next()?, 16).ok());
        let watched: Vec<u64> = devices.collect();
        let before = self.marked.len();
        self.marked.retain(|device, _| watched.contains(device));
        if self.marked.len() == before {
            return Ok(());
        }
        let lost: Vec<Vec<u8>> = self
            .mounts
            .iter()
            .filter(|mount| KINDS.contains(&&mount.kind[..]) && !self.marked.contains_key(&mount.device))
            .map(|mount| mount.point.clone())
            .collect();
        for point in lost {
            self.notes.path(stored(&point)?);
        }
        self.mark_new();
        Ok(())
    }

    fn changes(&self, since: Option<&Position>) -> Result<Changes, Doubt> {
        let noted = self.notes.since(since)?;
        let new = since.map(|position| position.taken_at..self.means.clock.now());
        let resolver = Resolver::new(&self.mounts, &self.marked);
        if !noted.files.iter().all(|(file, is_unplaced)| resolver.is_harmless(file, *is_unplaced, new.as_ref())) {
            return Err(Doubt::HardLinks);
        }
        let mut changes = Changes::default();
        for directory in noted.directories {
            for path in resolver.paths(directory).map_err(|_| Doubt::Gap)? {
                changes.add(stored(&path).map_err(|_| Doubt::Gap)?);
            }
        }
        for path in noted.paths {
            changes.add_all(path.clone());
        }
        for path in self.unwatched() {
            changes.add_all(stored(&path).map_err(|_| Doubt::Gap)?);
        }
        for file in mapped::files() {
            changes.add(stored(&mapped::directory_of(&file)).map_err(|_| Doubt::Gap)?);
        }
        Ok(changes)
    }

    /// Where nobody tells what changes.
    fn unwatched(&self) -> impl Iterator<Item = Vec<u8>> {
        let upper = self.mounts.iter().filter_map(Mount::upper_directory);
        let unmarked = self.mounts.iter().filter(|mount| !self.marked.contains_key(&mount.device));
        unmarked.map(|mount| mount.point.clone()).chain(upper)
    }
}

impl Journal for Fanotify {
    fn name(&self) -> &'static str {
        "fanotify"
    }

    fn handle(&self) -> Option<BorrowedFd<'_>> {
        Some(self.handle.as_fd())
    }

    fn take_in(&mut self) -> io::Result<()> {
        self.notes.begin();
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match rustix::io::read(&self.handle, &mut buffer) {
                Ok(len) => {
                    for event in events::parse(&buffer[..len]) {
                        self.note(event.unwrap_or(Event::OVERFLOW));
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.buffer = buffer;
        if self.list.has_changed()? {
            let before = self.mounts.clone();
            self.mounts_changed()?;
            if self.mounts == before {
                // Something came and went, and nobody knows where.
                self.notes.gap();
            }
        }
        Ok(())
    }

    fn look(&mut self, _: &[StoredPath], since: Option<&Position>) -> io::Result<Told> {
        self.take_in()?;
        self.check_marks()?;
        Ok(Told { position: self.notes.position(&self.means), changes: self.changes(since) })
    }
}

#[cfg(test)]
mod tests;
