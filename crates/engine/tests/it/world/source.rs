//! The port `Source` over the model file system. Counts what is asked of it, and can be told to refuse a call or to
//! have the files changed right before or after one. Refuses to be read by a path whose entry is gone.

use super::content::Content;
use super::files::{Body, Files, Inode, Miss};
use engine::{Details, EntryKind, Extent, Found, Listing, More, Source, SourceError, SourceFile, Stat};
use format::{StoredPath, Xattr};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is asked of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    List,
    /// Looking at an entry, by itself or in a listing.
    Look,
    Details,
    Open,
    Read,
    /// Looking at an open file.
    StatOpen,
    Extents,
}

/// A reason to refuse.
#[derive(Clone, Copy, Debug)]
pub enum Refusal {
    Gone,
    Denied,
    Replaced,
    Io,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// Every call of a kind.
pub const ALWAYS: RangeInclusive<u64> = 1..=u64::MAX;

/// What was asked since the record was last taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Files opened, in the order in which that happened.
    pub opens: Vec<StoredPath>,
    pub reads: u64,
    pub bytes_read: u64,
    /// The most bytes that were asked for in one reading.
    pub largest_read: usize,
    pub lists: u64,
    /// Entries whose attributes were read.
    pub details: Vec<StoredPath>,
}

#[derive(Clone)]
pub struct MemorySource(Arc<Inner>);

struct Inner {
    files: Mutex<Files>,
    rules: Mutex<Vec<Rule>>,
    repeated: Mutex<HashSet<StoredPath>>,
    cut_off: Mutex<HashMap<StoredPath, u64>>,
    /// Entries of a directory that are shown at once; all where it is 0.
    window: AtomicUsize,
    record: Mutex<Record>,
}

struct Rule {
    op: Op,
    path: StoredPath,
    when: When,
    calls: RangeInclusive<u64>,
    seen: u64,
    act: Act,
}

enum Act {
    Refuse(Refusal),
    Change(Box<dyn FnMut(&mut Files) + Send>),
}

impl MemorySource {
    pub fn new(files: Files) -> Self {
        let (rules, repeated, cut_off) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (files, record, window) = (Mutex::new(files), Mutex::default(), AtomicUsize::new(0));
        Self(Arc::new(Inner { files, rules, repeated, cut_off, window, record }))
    }

    pub fn files(&self) -> MutexGuard<'_, Files> {
        lock(&self.0.files)
    }

    pub fn take_record(&self) -> Record {
        std::mem::take(&mut *lock(&self.0.record))
    }

    /// Refuses these calls, counted from now.
    pub fn refuse(&self, op: Op, path: &StoredPath, calls: RangeInclusive<u64>, refusal: Refusal) {
        self.rule(op, path, When::Before, calls, Act::Refuse(refusal));
    }

    /// Has the files changed before or after these calls, counted from now.
    pub fn change(
        &self,
        (when, op): (When, Op),
        path: &StoredPath,
        calls: RangeInclusive<u64>,
        change: impl FnMut(&mut Files) + Send + 'static,
    ) {
        self.rule(op, path, when, calls, Act::Change(Box::new(change)));
    }

    /// Shows every name of a directory twice, as a system may while entries are renamed.
    pub fn repeat_names(&self, dir: &StoredPath) {
        lock(&self.0.repeated).insert(dir.clone());
    }

    /// Shows directories with more entries than this as large ones, so many at a time.
    pub fn show_by(&self, window: usize) {
        self.0.window.store(window, Ordering::Relaxed);
    }

    /// Nothing is read from here on, though the file still claims to be longer.
    pub fn cut_off(&self, path: &StoredPath, at: u64) {
        lock(&self.0.cut_off).insert(path.clone(), at);
    }

    /// Everything works again.
    pub fn drop_rules(&self) {
        lock(&self.0.rules).clear();
        lock(&self.0.repeated).clear();
        lock(&self.0.cut_off).clear();
    }

    fn rule(&self, op: Op, path: &StoredPath, when: When, calls: RangeInclusive<u64>, act: Act) {
        lock(&self.0.rules).push(Rule { op, path: path.clone(), when, calls, seen: 0, act });
    }
}

impl Inner {
    /// One call: what the rules say before and after it, and the work in between.
    fn call<T>(
        &self,
        op: Op,
        path: &StoredPath,
        work: impl FnOnce(&Files) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        self.apply(op, path, When::Before)?;
        let done = work(&lock(&self.files));
        self.apply(op, path, When::After)?;
        done
    }

    fn apply(&self, op: Op, path: &StoredPath, when: When) -> Result<(), SourceError> {
        for rule in lock(&self.rules).iter_mut().filter(|rule| rule.op == op && rule.when == when && rule.path == *path)
        {
            rule.seen += 1;
            if rule.calls.contains(&rule.seen) {
                match &mut rule.act {
                    Act::Refuse(refusal) => return Err(error_of(*refusal)),
                    Act::Change(change) => change(&mut lock(&self.files)),
                }
            }
        }
        Ok(())
    }
}

impl Source for MemorySource {
    fn list(&self, dir: &StoredPath) -> Result<Listing, SourceError> {
        lock(&self.0.record).lists += 1;
        let found = self.0.call(Op::List, dir, |files| {
            let Body::Directory(names) = &files.inode(find(files, dir)?).body else {
                return Err(SourceError::Replaced);
            };
            Ok(names.iter().map(|(name, inode)| Found { name: name.clone(), stat: files.stat(*inode) }).collect())
        });
        let mut found: Vec<Found> = found?;
        if lock(&self.0.repeated).contains(dir) {
            found = found.into_iter().flat_map(|found| [found.clone(), found]).collect();
        }
        let window = self.0.window.load(Ordering::Relaxed);
        if window > 0 && found.len() > window {
            let rest = Rest { source: self.clone(), dir: dir.clone(), found: found.into(), window };
            return Ok(Listing { more: Some(Box::new(rest)), ..Listing::default() });
        }
        Ok(self.look_at(dir, found))
    }

    fn stat(&self, path: &StoredPath) -> Result<Stat, SourceError> {
        self.0.call(Op::Look, path, |files| Ok(files.stat(find(files, path)?)))
    }

    fn details(&self, path: &StoredPath, kind: EntryKind) -> Result<Details, SourceError> {
        lock(&self.0.record).details.push(path.clone());
        self.0.call(Op::Details, path, |files| {
            let inode = files.inode(find(files, path)?);
            let target = match (&inode.body, kind) {
                (Body::Symlink(target), EntryKind::Symlink) => target.clone(),
                (_, EntryKind::Symlink) => return Err(SourceError::Replaced),
                _ => Vec::new(),
            };
            Ok(Details { xattrs: xattrs_of(inode), target })
        })
    }

    fn open(&self, path: &StoredPath) -> Result<Box<dyn SourceFile>, SourceError> {
        let inode = self.0.call(Op::Open, path, |files| {
            let inode = find(files, path)?;
            match files.inode(inode).body {
                Body::File(_) => Ok(inode),
                _ => Err(SourceError::Replaced),
            }
        })?;
        lock(&self.0.record).opens.push(path.clone());
        Ok(Box::new(OpenFile { source: self.clone(), path: path.clone(), inode }))
    }

    fn user_name(&self, uid: u32) -> Arc<[u8]> {
        name_of("user", uid)
    }

    fn group_name(&self, gid: u32) -> Arc<[u8]> {
        name_of("group", gid)
    }
}

/// The name of an owner; those from 60,000 on have none.
pub fn name_of(what: &str, number: u32) -> Arc<[u8]> {
    if number < 60_000 { format!("{what}-{number}").into_bytes().into() } else { Arc::from(&b""[..]) }
}

impl MemorySource {
    fn look_at(&self, dir: &StoredPath, found: Vec<Found>) -> Listing {
        let mut listing = Listing::default();
        for found in found {
            let path = dir.join(&found.name).expect("names are checked");
            match self.0.apply(Op::Look, &path, When::Before) {
                Ok(()) => listing.entries.push(found),
                Err(error) => listing.problems.push((found.name, error)),
            }
        }
        listing
    }
}

/// What is left of a large directory.
struct Rest {
    source: MemorySource,
    dir: StoredPath,
    found: VecDeque<Found>,
    window: usize,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} entries of {}", self.found.len(), self.dir)
    }
}

impl More for Rest {
    fn left(&self) -> usize {
        self.found.len()
    }

    fn look(&mut self) -> Listing {
        let next = self.found.drain(..self.window.min(self.found.len())).collect();
        self.source.look_at(&self.dir, next)
    }
}

struct OpenFile {
    source: MemorySource,
    path: StoredPath,
    inode: u64,
}

impl OpenFile {
    fn content<T>(&self, op: Op, work: impl FnOnce(&Content) -> T) -> Result<T, SourceError> {
        self.source.0.call(op, &self.path, |files| match &files.inode(self.inode).body {
            Body::File(content) => Ok(work(content)),
            _ => unreachable!("an inode keeps its kind"),
        })
    }
}

impl SourceFile for OpenFile {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SourceError> {
        let mut len = self.content(Op::Read, |content| content.read_at(offset, bytes))?;
        if let Some(end) = lock(&self.source.0.cut_off).get(&self.path) {
            len = len.min(end.saturating_sub(offset) as usize);
        }
        let mut record = lock(&self.source.0.record);
        record.reads += 1;
        record.largest_read = record.largest_read.max(bytes.len());
        record.bytes_read += len as u64;
        Ok(len)
    }

    fn stat(&self) -> Result<Stat, SourceError> {
        self.source.0.call(Op::StatOpen, &self.path, |files| Ok(files.stat(self.inode)))
    }

    fn xattrs(&self) -> Result<Vec<Xattr>, SourceError> {
        lock(&self.source.0.record).details.push(self.path.clone());
        self.source.0.call(Op::Details, &self.path, |files| Ok(xattrs_of(files.inode(self.inode))))
    }

    fn extents(&self, size: u64) -> Result<Vec<Extent>, SourceError> {
        self.content(Op::Extents, |content| content.extents(size))
    }
}

fn xattrs_of(inode: &Inode) -> Vec<Xattr> {
    inode.xattrs.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn find(files: &Files, path: &StoredPath) -> Result<u64, SourceError> {
    files.find(path).map_err(|miss| match miss {
        Miss::Gone => SourceError::Gone,
        Miss::Replaced => SourceError::Replaced,
    })
}

fn error_of(refusal: Refusal) -> SourceError {
    match refusal {
        Refusal::Gone => SourceError::Gone,
        Refusal::Denied => SourceError::Denied,
        Refusal::Replaced => SourceError::Replaced,
        Refusal::Io => SourceError::Io(std::io::Error::other("the medium fails")),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
