//! The trees of the last snapshot, in one file beside the state: so that an unchanged folder is compared without
//! asking the server. Disposable: damage of any kind is an empty cache, never an error, and nothing in it is believed
//! (the engine names every tree again).
//!
//! `trees.cache`: header · trees back to back · table of (ref 32, offset u64, length u32) in ascending order of refs ·
//! trailer. A run that did not look at everything adds its trees, and a table and a trailer for all, at the end: what
//! stands last counts. A run that did leaves out what is not needed any more. Header: magic 8 · version u32 · 0u32 ·
//! device 16 · snapshot 16 · 16 zero bytes. Trailer: offset of the table u64 · number of rows u64 · BLAKE3 of header
//! and table 32 · magic 8. Integers little-endian.

mod reader;
mod writer;

use base::{Bytes, DeviceId, SnapshotId};
use engine::TreeCache;
use format::ChunkRef;
use reader::Reader;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use writer::Writer;

/// The trees that are kept at most: what does not fit is fetched from the server when it is needed.
pub const CACHE_BYTES_MAX: Bytes = Bytes::mib(512);

const HEADER_MAGIC: &[u8; 8] = b"HFTREES\0";
const TRAILER_MAGIC: &[u8; 8] = b"HFTREEND";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 64;
const ROW_LEN: usize = 44;
const TRAILER_LEN: usize = 56;

/// The cache of one device.
pub struct FileCache {
    path: PathBuf,
    last: Option<Reader>,
    /// Trees of the last file that are not what their refs say.
    damaged: Mutex<HashSet<ChunkRef>>,
    /// Whether trees of the last file may be needed that nobody has named.
    keeps_all: AtomicBool,
    next: Mutex<Option<Writer>>,
}

impl FileCache {
    /// The cache in this file, for reading. Never fails: what cannot be used is empty.
    pub fn read_only(path: &Path, device: DeviceId) -> Self {
        Self {
            path: path.to_owned(),
            last: Reader::open(path, device),
            damaged: Mutex::default(),
            keeps_all: AtomicBool::new(false),
            next: Mutex::new(None),
        }
    }

    /// The cache in this file, and a new one beside it for the trees of `snapshot`, at most `max` of them. Never
    /// fails: where no new one can be written, nothing is kept.
    pub fn for_run(path: &Path, device: DeviceId, snapshot: SnapshotId, max: Bytes) -> Self {
        let writer = Writer::create(&new_path(path), device, snapshot, max);
        let next = writer.inspect_err(|error| tracing::debug!("no trees are kept: {error}")).ok();
        let (path, last) = (path.to_owned(), Reader::open(path, device));
        Self { path, last, damaged: Mutex::default(), keeps_all: AtomicBool::new(false), next: Mutex::new(next) }
    }

    /// Puts the trees of the run in the place of the last ones, after its commit; nothing is written when all of them
    /// were there already. Never fails: a cache that cannot be written stays as it was.
    pub fn adopt(&self) {
        let Some(writer) = self.next.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let new = new_path(&self.path);
        let adopted = match self.last.as_ref() {
            Some(last) if self.keeps_all.load(Ordering::Relaxed) => {
                writer.append_to(&self.path, &new, last).and_then(|()| std::fs::remove_file(&new))
            }
            last => writer.finish(last).and_then(|is_new| match is_new {
                true => std::fs::rename(&new, &self.path),
                false => std::fs::remove_file(&new),
            }),
        };
        if let Err(error) = adopted {
            tracing::debug!("the trees of this run are not kept: {error}");
            let _ = std::fs::remove_file(&new);
        }
    }
}

impl TreeCache for FileCache {
    fn get(&self, tree: &ChunkRef) -> Option<Vec<u8>> {
        self.last.as_ref()?.get(tree).map(<[u8]>::to_vec)
    }

    fn has(&self, tree: &ChunkRef) -> bool {
        self.last.as_ref().is_some_and(|last| last.find(tree).is_some())
    }

    fn mark_damaged(&self, tree: &ChunkRef) {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(*tree);
    }

    fn keep_again(&self, tree: &ChunkRef) -> bool {
        let is_damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner).contains(tree);
        let found = self.last.as_ref().filter(|_| !is_damaged).and_then(|last| last.find(tree));
        let Some(place) = found else { return false };
        if let Some(writer) = self.next.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            writer.keep_old(tree, place);
        }
        true
    }

    fn keep_beneath(&self, _: &ChunkRef) {
        self.keeps_all.store(true, Ordering::Relaxed);
    }

    fn keep(&self, tree: &ChunkRef, plain: &[u8]) {
        if self.keep_again(tree) {
            return;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.as_mut().is_some_and(|writer| writer.keep_new(tree, plain).is_err()) {
            *next = None;
        }
    }
}

impl Drop for FileCache {
    /// A run that did not come to its commit leaves nothing behind.
    fn drop(&mut self) {
        if self.next.get_mut().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            let _ = std::fs::remove_file(new_path(&self.path));
        }
    }
}

/// Where a tree lies in a cache file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    at: u64,
    len: u32,
}

fn new_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

#[cfg(test)]
mod tests;
