//! The port `Target` in memory: keeps what a restore makes and in which order, and has a disk that can fill up.
//! Refuses what a file system refuses: entries in no directory, a part that nobody opened, a link to nothing.

use base::Bytes as Size;
use bytes::Bytes;
use engine::{Extent, SourceError, SourceFile, Stat, Target, TargetError, TargetFile, There};
use format::{EntryBody, Meta, StoredPath, Xattr};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An entry that was restored.
#[derive(Clone, Debug)]
pub struct Restored {
    pub body: RestoredBody,
    /// None until it is finished.
    pub meta: Option<Meta>,
}

#[derive(Clone, Debug)]
pub enum RestoredBody {
    Directory,
    /// What was written, by offset; everything else reads as zero.
    File {
        size: u64,
        written: BTreeMap<u64, Bytes>,
    },
    Special(EntryBody),
}

/// What makes an entry be there, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    MakeDirectory(StoredPath),
    FinishFile(StoredPath),
    MakeSpecial(StoredPath),
    HardLink(StoredPath),
    FinishDirectory(StoredPath),
}

#[derive(Clone, Default)]
pub struct MemoryTarget(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    names: HashMap<StoredPath, u64>,
    entries: HashMap<u64, Restored>,
    parts: HashMap<StoredPath, Part>,
    events: Vec<Event>,
    refusals: HashMap<StoredPath, Refusal>,
    undressed: HashSet<StoredPath>,
    unwritable: HashSet<StoredPath>,
    /// Bytes that may still be written; None is no limit.
    room: Option<u64>,
    bytes_written: u64,
    parts_opened: u64,
    open_now: usize,
    open_most: usize,
    discarded: Vec<StoredPath>,
    keeps: bool,
    /// Parts that an earlier restore has left: what is written there may be written over.
    left: HashSet<StoredPath>,
}

/// Why an entry cannot be finished.
#[derive(Clone, Copy, Debug)]
pub enum Refusal {
    Denied,
    Full,
}

type Part = Arc<Mutex<BTreeMap<u64, Bytes>>>;

impl MemoryTarget {
    pub fn with_room(room: Size) -> Self {
        let target = Self::default();
        target.set_room(Some(room));
        target
    }

    pub fn set_room(&self, room: Option<Size>) {
        self.state().room = room.map(|room| room.0);
    }

    /// What is there stays as it is from now on.
    pub fn keep(&self) {
        self.state().keeps = true;
    }

    /// Whoever restores cannot finish this entry.
    pub fn refuse(&self, path: &StoredPath, refusal: Refusal) {
        self.state().refusals.insert(path.clone(), refusal);
    }

    /// Whoever restores may finish this entry, and not give it all of its metadata.
    pub fn leave_undressed(&self, path: &StoredPath) {
        self.state().undressed.insert(path.clone());
    }

    pub fn get(&self, path: &StoredPath) -> Option<Restored> {
        let state = self.state();
        state.names.get(path).map(|entry| state.entries[entry].clone())
    }

    /// Everything that is there in no order, each with the number of its entry: equal for hard links.
    pub fn walk(&self) -> Vec<(StoredPath, u64, Restored)> {
        let state = self.state();
        state.names.iter().map(|(path, entry)| (path.clone(), *entry, state.entries[entry].clone())).collect()
    }

    pub fn events(&self) -> Vec<Event> {
        self.state().events.clone()
    }

    pub fn bytes_written(&self) -> u64 {
        self.state().bytes_written
    }

    /// The medium fails whenever this file is written to.
    pub fn fail_writes(&self, path: &StoredPath) {
        self.state().unwritable.insert(path.clone());
    }

    /// How often a part was opened.
    pub fn parts_opened(&self) -> u64 {
        self.state().parts_opened
    }

    /// How many were open side by side at the most.
    pub fn open_most(&self) -> usize {
        self.state().open_most
    }

    /// Parts that were taken away.
    pub fn discarded(&self) -> Vec<StoredPath> {
        self.state().discarded.clone()
    }

    /// Parts that are neither finished nor taken away.
    pub fn parts(&self) -> Vec<StoredPath> {
        let mut parts: Vec<StoredPath> = self.state().parts.keys().cloned().collect();
        parts.sort();
        parts
    }

    /// Every file and part, with what is written in it: for a test that damages it.
    pub fn written(&self, damage: impl Fn(&StoredPath, &mut BTreeMap<u64, Bytes>)) {
        let mut state = self.state();
        for (path, part) in &state.parts {
            damage(path, &mut lock(part));
        }
        let names: Vec<(StoredPath, u64)> = state.names.iter().map(|(path, entry)| (path.clone(), *entry)).collect();
        for (path, entry) in names {
            if let Some(Restored { body: RestoredBody::File { written, .. }, .. }) = state.entries.get_mut(&entry) {
                damage(&path, written);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }
}

/// A file or a part as it was at one moment.
struct Here {
    size: u64,
    written: BTreeMap<u64, Bytes>,
}

impl SourceFile for Here {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SourceError> {
        let len = (bytes.len() as u64).min(self.size.saturating_sub(offset));
        bytes.copy_from_slice(&super::compare::read(&self.written, offset, bytes.len()));
        Ok(len as usize)
    }

    fn stat(&self) -> Result<Stat, SourceError> {
        Err(SourceError::Gone)
    }

    fn xattrs(&self) -> Result<Vec<Xattr>, SourceError> {
        Err(SourceError::Gone)
    }

    fn extents(&self, size: u64) -> Result<Vec<Extent>, SourceError> {
        Ok(vec![Extent::Data(size)])
    }
}

impl There for Here {
    fn dress(&self, _meta: &Meta) -> Vec<TargetError> {
        Vec::new()
    }
}

impl State {
    fn check_place(&self, path: &StoredPath) -> Result<(), TargetError> {
        let above = path.parent().expect("nothing is made in the place of the root");
        let is_directory = |path| {
            self.names.get(path).is_some_and(|entry| matches!(self.entries[entry].body, RestoredBody::Directory))
        };
        if !above.is_root() && !is_directory(&above) {
            return Err(failed("finding the folder above"));
        }
        match self.refusals.get(path) {
            Some(Refusal::Denied) => Err(TargetError::Denied { what: "making the entry" }),
            Some(Refusal::Full) => Err(TargetError::Full),
            None => Ok(()),
        }
    }

    fn noted(&self, path: &StoredPath) -> Vec<TargetError> {
        let what = "setting an attribute";
        if self.undressed.contains(path) { vec![TargetError::Unsupported { what }] } else { Vec::new() }
    }

    fn put(&mut self, path: &StoredPath, restored: Restored) {
        let number = self.entries.len() as u64;
        self.entries.insert(number, restored);
        self.names.insert(path.clone(), number);
    }
}

impl Target for MemoryTarget {
    fn keeps_what_is_there(&self) -> bool {
        self.state().keeps
    }

    fn is_there(&self, path: &StoredPath) -> bool {
        self.state().names.contains_key(path)
    }

    fn make_directory(&self, path: &StoredPath) -> Result<bool, TargetError> {
        let mut state = self.state();
        state.check_place(path)?;
        if let Some(entry) = state.names.get(path) {
            let is_directory = matches!(state.entries[entry].body, RestoredBody::Directory);
            return if is_directory { Ok(false) } else { Err(TargetError::InTheWay) };
        }
        state.put(path, Restored { body: RestoredBody::Directory, meta: None });
        state.events.push(Event::MakeDirectory(path.clone()));
        Ok(true)
    }

    fn there(&self, path: &StoredPath, wanted: u64, meta: &Meta) -> Option<Box<dyn There>> {
        let state = self.state();
        let restored = &state.entries[state.names.get(path)?];
        let RestoredBody::File { size, written } = &restored.body else { return None };
        // It can be dressed only as it is.
        let is_same = *size == wanted && restored.meta.as_ref() == Some(meta);
        is_same.then(|| Box::new(Here { size: *size, written: written.clone() }) as _)
    }

    fn part_left(&self, path: &StoredPath, _size: u64) -> Option<Box<dyn SourceFile>> {
        let mut state = self.state();
        let written = lock(state.parts.get(path)?).clone();
        state.left.insert(path.clone());
        let size = written.last_key_value().map_or(0, |(at, bytes)| at + bytes.len() as u64);
        Some(Box::new(Here { size, written }))
    }

    fn open_part(&self, path: &StoredPath, _size: u64) -> Result<Box<dyn TargetFile>, TargetError> {
        let mut state = self.state();
        let above = path.parent().expect("the root is no file");
        if !above.is_root() && !state.names.contains_key(&above) {
            return Err(failed("finding the folder above"));
        }
        state.parts_opened += 1;
        state.open_now += 1;
        state.open_most = state.open_most.max(state.open_now);
        let part = Arc::clone(state.parts.entry(path.clone()).or_default());
        Ok(Box::new(PartFile { target: self.clone(), path: path.clone(), part }))
    }

    fn finish_file(&self, path: &StoredPath, size: u64, meta: &Meta) -> Result<Vec<TargetError>, TargetError> {
        let mut state = self.state();
        state.check_place(path)?;
        let part = state.parts.remove(path).ok_or(failed("finding the part"))?;
        let written = std::mem::take(&mut *lock(&part));
        let end = written.last_key_value().map_or(0, |(at, bytes)| at + bytes.len() as u64);
        assert!(end <= size, "{path} was written up to {end} and has {size} bytes");
        state.put(path, Restored { body: RestoredBody::File { size, written }, meta: Some(meta.clone()) });
        state.events.push(Event::FinishFile(path.clone()));
        Ok(state.noted(path))
    }

    fn discard_part(&self, path: &StoredPath) {
        let mut state = self.state();
        state.left.remove(path);
        if state.parts.remove(path).is_some() {
            state.discarded.push(path.clone());
        }
    }

    fn make_special(&self, path: &StoredPath, body: &EntryBody, meta: &Meta) -> Result<Vec<TargetError>, TargetError> {
        let mut state = self.state();
        state.check_place(path)?;
        if let EntryBody::Symlink { target } = body
            && target.is_empty()
        {
            return Err(failed("making the link"));
        }
        state.put(path, Restored { body: RestoredBody::Special(body.clone()), meta: Some(meta.clone()) });
        state.events.push(Event::MakeSpecial(path.clone()));
        Ok(state.noted(path))
    }

    fn hard_link(&self, existing: &StoredPath, path: &StoredPath) -> Result<(), TargetError> {
        let mut state = self.state();
        state.check_place(path)?;
        let entry = *state.names.get(existing).ok_or(failed("finding the file to link to"))?;
        state.names.insert(path.clone(), entry);
        state.events.push(Event::HardLink(path.clone()));
        Ok(())
    }

    fn finish_directory(&self, path: &StoredPath, meta: &Meta) -> Result<Vec<TargetError>, TargetError> {
        let mut state = self.state();
        let entry = *state.names.get(path).ok_or(failed("finding the folder"))?;
        let directory = state.entries.get_mut(&entry).expect("names lead to entries");
        assert!(matches!(directory.body, RestoredBody::Directory), "{path} is no directory");
        directory.meta = Some(meta.clone());
        state.events.push(Event::FinishDirectory(path.clone()));
        Ok(state.noted(path))
    }
}

struct PartFile {
    target: MemoryTarget,
    path: StoredPath,
    part: Part,
}

impl TargetFile for PartFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), TargetError> {
        let mut state = self.target.state();
        let len = bytes.len() as u64;
        if state.unwritable.contains(&self.path) {
            return Err(failed("writing"));
        }
        if let Some(room) = &mut state.room {
            *room = room.checked_sub(len).ok_or(TargetError::Full)?;
        }
        state.bytes_written += len;
        let mut written = lock(&self.part);
        let before = written.range(..offset + len).next_back();
        let overlaps = before.is_some_and(|(at, before)| at + before.len() as u64 > offset);
        assert!(!overlaps || state.left.contains(&self.path), "{len} bytes at {offset} were written before");
        written.insert(offset, Bytes::copy_from_slice(bytes));
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        self.target.state().open_now -= 1;
    }
}

fn failed(what: &'static str) -> TargetError {
    TargetError::Io { what, cause: std::io::Error::from(std::io::ErrorKind::NotFound) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
