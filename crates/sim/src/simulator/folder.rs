//! What is on the disk of a simulated device: a few dozen files that change, go and come back; some are on many
//! devices. The port `Source` over it as it is at one moment.

use super::admin::RETENTION_DAYS;
use super::dice::Dice;
use base::{Bytes as Size, Entropy as _, SeededEntropy, Span, Timestamp};
use bytes::Bytes;
use engine::{Details, EntryKind, Extent, Found, Listing, Source, SourceError, SourceFile, Stat};
use format::{FileTime, StoredPath};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Directories of a device, and files of a directory, at most.
const DIRECTORIES: u64 = 5;
const FILES: u64 = 9;
/// Contents that any device may have.
const COMMON: u64 = 60;
/// The largest file: large enough to be cut into chunks of its own, small enough to have many.
const FILE_BYTES_MAX: Size = Size::kib(20);

/// A file: its bytes, and what tells that it has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) changed: FileTime,
    inode: u64,
}

/// Contents that a device has had and may have again.
const PAST_MAX: usize = 30;
/// For how long after its last snapshot has gone something is taken for about to be collected.
const DUE_SPAN: Span = Span::days(2);

/// All files of a device, by directory and name. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folder(Arc<BTreeMap<(String, String), File>>);

/// What a device had and has no more, and since when: it may come back when nothing else has it any more.
#[derive(Default)]
pub(super) struct Past(VecDeque<(Timestamp, Bytes)>);

impl Past {
    fn keep(&mut self, file: Option<File>, now: Timestamp) {
        self.0.extend(file.map(|file| (now, file.bytes)));
        while self.0.len() > PAST_MAX {
            self.0.pop_front();
        }
    }

    /// One of the older ones, taken out: mostly one whose last snapshot has just gone, so that it is about to be
    /// collected.
    fn take(&mut self, dice: &Dice, now: Timestamp) -> Option<Bytes> {
        let kept = Span::days(RETENTION_DAYS);
        let is_due = |since: &Timestamp| (*since + kept..*since + kept + DUE_SPAN).contains(&now);
        let due: Vec<usize> = (0..self.0.len()).filter(|at| is_due(&self.0[*at].0)).collect();
        let older: Vec<usize> = (0..self.0.len() / 2).collect();
        let at = dice.pick(if due.is_empty() || dice.once_in(4) { &older } else { &due }).copied()?;
        self.0.remove(at).map(|(_, bytes)| bytes)
    }
}

impl Folder {
    /// Some files change, by the device's clock. Never fails.
    pub(super) fn change(&mut self, past: &mut Past, dice: &Dice, now: Timestamp) {
        let files = Arc::make_mut(&mut self.0);
        for _ in 0..=dice.below(6) {
            let path = (format!("d{}", dice.below(DIRECTORIES)), format!("f{}", dice.below(FILES)));
            if dice.once_in(5) {
                past.keep(files.remove(&path), now);
                continue;
            }
            let bytes = match dice.below(3) {
                0 => content(dice.below(COMMON)),
                1 => past.take(dice, now).unwrap_or_else(|| content(dice.seed())),
                _ => content(dice.seed()),
            };
            let (seconds, nanos) = (now.as_ms().div_euclid(1_000), 1 + dice.below(999_999_998) as u32);
            let file = File { bytes, changed: FileTime { seconds, nanos }, inode: 1 + dice.seed() / 2 };
            past.keep(files.insert(path, file), now);
        }
    }

    /// The files, by their paths. Never fails.
    pub(super) fn files(&self) -> impl Iterator<Item = (String, &File)> {
        self.0.iter().map(|((directory, name), file)| (format!("{directory}/{name}"), file))
    }

    fn find(&self, path: &StoredPath) -> Result<Stat, SourceError> {
        let parts: Vec<String> = path.components().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        match &parts[..] {
            [] => Ok(stat(EntryKind::Directory, 0, 1, EPOCH)),
            [directory] if self.0.keys().any(|(found, _)| found == directory) => Ok(directory_stat(directory)),
            [directory, name] => Ok(self.file(directory, name)?.stat()),
            _ => Err(SourceError::Gone),
        }
    }

    fn file(&self, directory: &str, name: &str) -> Result<&File, SourceError> {
        self.0.get(&(directory.to_owned(), name.to_owned())).ok_or(SourceError::Gone)
    }
}

/// The bytes of a seed: the same on every device that has it.
fn content(seed: u64) -> Bytes {
    let drawn = SeededEntropy::new(seed);
    let mut len = [0; 4];
    drawn.fill(&mut len);
    // Most are small, and some so small that they stand in their tree.
    let most = if len[3] < 64 { Size::kib(1) } else { FILE_BYTES_MAX };
    let mut bytes = vec![0; (u64::from(u16::from_le_bytes([len[0], len[1]])) % most.0) as usize];
    drawn.fill(&mut bytes);
    bytes.into()
}

const EPOCH: FileTime = FileTime { seconds: 1_600_000_000, nanos: 7 };

fn stat(kind: EntryKind, size: u64, inode: u64, changed: FileTime) -> Stat {
    Stat {
        kind,
        mode: 0o644,
        uid: 1_000,
        gid: 1_000,
        mtime: changed,
        ctime: changed,
        inode,
        device: 1,
        links: 1,
        size,
        stored: size,
        rdev: (0, 0),
    }
}

fn directory_stat(name: &str) -> Stat {
    stat(EntryKind::Directory, 0, 2 + u64::from(*name.as_bytes().last().unwrap_or(&0)), EPOCH)
}

impl File {
    fn stat(&self) -> Stat {
        stat(EntryKind::File, self.bytes.len() as u64, self.inode, self.changed)
    }
}

impl Source for Folder {
    fn list(&self, dir: &StoredPath) -> Result<Listing, SourceError> {
        let parts: Vec<&[u8]> = dir.components().collect();
        let mut entries = Vec::new();
        for ((directory, name), file) in self.0.iter() {
            let found = match &parts[..] {
                [] => Found { name: directory.clone().into_bytes(), stat: directory_stat(directory) },
                [asked] if *asked == directory.as_bytes() => {
                    Found { name: name.clone().into_bytes(), stat: file.stat() }
                }
                _ => continue,
            };
            if entries.last() != Some(&found) {
                entries.push(found);
            }
        }
        Ok(Listing { entries, ..Listing::default() })
    }

    fn stat(&self, path: &StoredPath) -> Result<Stat, SourceError> {
        self.find(path)
    }

    fn details(&self, path: &StoredPath, _: EntryKind) -> Result<Details, SourceError> {
        self.find(path).map(|_| Details::default())
    }

    fn open(&self, path: &StoredPath) -> Result<Box<dyn SourceFile>, SourceError> {
        let parts: Vec<String> = path.components().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        match &parts[..] {
            [directory, name] => Ok(Box::new(self.file(directory, name)?.clone())),
            _ => Err(SourceError::Gone),
        }
    }

    fn user_name(&self, _: u32) -> Arc<[u8]> {
        Arc::from(&b"somebody"[..])
    }

    fn group_name(&self, _: u32) -> Arc<[u8]> {
        Arc::from(&b"somebody"[..])
    }
}

impl SourceFile for File {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SourceError> {
        let rest = self.bytes.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(bytes.len());
        bytes[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn stat(&self) -> Result<Stat, SourceError> {
        Ok(File::stat(self))
    }

    fn xattrs(&self) -> Result<Vec<format::Xattr>, SourceError> {
        Ok(Vec::new())
    }

    fn extents(&self, size: u64) -> Result<Vec<Extent>, SourceError> {
        Ok(vec![Extent::Data(size)])
    }
}
