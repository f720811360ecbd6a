//! A source that holds nothing and shows as many files as it is told, and a server that takes everything and keeps
//! nothing, slowly: what is in memory meanwhile is the engine's alone. Refuses to give anything back.

use super::server::{DEVICE, KEY_ID, REPOSITORY};
use async_trait::async_trait;
use base::{Bytes as Size, ManualClock, RunId, Secret, SeededEntropy, SnapshotId, Timestamp};
use bytes::Bytes;
use engine::backup::{self, Facts, Limits, Plan};
use engine::{
    Committed, Cpu, Ctx, Details, EngineError, EntryKind, Extent, Found, Listing, More, Parcel, Remote, RemoteError,
    Source, SourceError, SourceFile, Stat, Target, TargetError, TargetFile, TreeCache, Uploaded, compare, restore,
};
use format::{ChunkRef, EntryBody, FileTime, Meta, NamingKey, PackId, RunKey, StoredPath, Xattr, limits};
use futures::stream::BoxStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

/// So many directories with so many files each, of so many bytes, all different and none compressible.
#[derive(Clone, Copy, Debug)]
pub struct Endless {
    pub directories: u64,
    pub files: u64,
    pub bytes: u64,
}

/// Turns that others get while an answer of the server is waited for.
const TURNS: usize = 200;
const BLOCK: usize = 64 << 10;

impl Endless {
    /// Backs it up, all on this thread. What the server took in packs.
    pub fn backup(self) -> Result<(backup::Outcome, Size), EngineError> {
        self.backup_with(Arc::new(NoCache))
    }

    /// The same with a cache for its trees.
    pub fn backup_with(self, cache: Arc<dyn TreeCache>) -> Result<(backup::Outcome, Size), EngineError> {
        let (runtime, ctx) = one_thread();
        let plan = Plan {
            folders: vec![StoredPath::root()],
            run: RunId::from_bytes([1; 16]),
            snapshot: SnapshotId::from_bytes([2; 16]),
            device: DEVICE,
            repository: REPOSITORY,
            naming: naming(),
            run_key: RunKey::new(Secret::new([6; 32])),
            key_id: KEY_ID,
            parent: None,
            facts: Facts { device_name: String::new(), os: String::new(), agent: String::new(), partial: false },
            limits: Limits { pack_bytes: limits::PACK_BYTES_MAX, uploads: 4, refs: 8_192 },
            sign: Arc::new(|_| [0; 64]),
        };
        let sink = Arc::new(Sink::default());
        let noise = super::content::noise(7, 1 << 20);
        let source = Arc::new(Shown { all: self, noise });
        let run = backup::run(&ctx, &plan, source, Arc::clone(&sink) as _, cache);
        let outcome = runtime.block_on(run)?;
        Ok((outcome, Size(sink.0.load(Relaxed))))
    }

    /// Compares a snapshot of it, of which the cache has all trees, with itself, on this thread.
    pub fn compare(self, root: ChunkRef, cache: Arc<dyn TreeCache>) -> Result<compare::Outcome, EngineError> {
        let (runtime, ctx) = one_thread();
        let (selection, naming) = (restore::Selection::Everything, naming());
        let plan = compare::Plan { root, naming, selection, is_in_place: true, counts_extra: true, refs_max: 8_192 };
        let source = Arc::new(Shown { all: self, noise: super::content::noise(7, 1 << 20) });
        runtime.block_on(compare::run(&ctx, &plan, Arc::new(Sink::default()), cache, source))
    }

    fn stat(self, kind: EntryKind, inode: u64) -> Stat {
        let time = FileTime { seconds: 1_600_000_000, nanos: 7 };
        let size = if kind == EntryKind::File { self.bytes } else { 0 };
        Stat {
            kind,
            mode: 0o644,
            uid: 1_000,
            gid: 1_000,
            mtime: time,
            ctime: time,
            inode,
            device: 1,
            links: 1,
            size,
            stored: size,
            rdev: (0, 0),
        }
    }

    /// The kind of an entry, and its number among all.
    fn look(self, path: &StoredPath) -> Stat {
        let numbers = path.components().map(|name| std::str::from_utf8(name).expect("we have named it"));
        let numbers: Vec<u64> = numbers.map(|name| name[1..].parse().expect("we have named it")).collect();
        match numbers[..] {
            [directory, file] => self.stat(EntryKind::File, 1_000_000_000 + directory * self.files + file),
            _ => self.stat(EntryKind::Directory, 1 + numbers.first().copied().unwrap_or(0)),
        }
    }
}

fn one_thread() -> (Runtime, Ctx) {
    let ctx = Ctx {
        cpu: Cpu::inline(),
        clock: Arc::new(ManualClock::at(Timestamp::from_ms(1_700_000_000_000))),
        entropy: Arc::new(SeededEntropy::new(1)),
        progress: Arc::default(),
    };
    (Builder::new_current_thread().build().expect("a runtime without drivers"), ctx)
}

fn naming() -> NamingKey {
    NamingKey::new(&Secret::new([5; 32]))
}

/// Restores a snapshot whose content stands in its trees, of which the cache has all, to nowhere, on this thread. How
/// many files were written.
pub fn restore_to_nowhere(root: ChunkRef, cache: Arc<dyn TreeCache>) -> Result<u64, EngineError> {
    let (runtime, ctx) = one_thread();
    let plan = restore::Plan { root, naming: naming(), selection: restore::Selection::Everything, refs_max: 8_192 };
    let nowhere = Arc::new(Nowhere::default());
    let run = restore::run(&ctx, &plan, Arc::new(Sink::default()), cache, Arc::clone(&nowhere) as _);
    let outcome = runtime.block_on(run)?;
    assert_eq!(outcome.problems, []);
    Ok(nowhere.0.load(Relaxed))
}

/// A target that counts whole files and keeps nothing.
#[derive(Default)]
struct Nowhere(AtomicU64);

type Noted = Result<Vec<TargetError>, TargetError>;

impl Target for Nowhere {
    fn make_directory(&self, _: &StoredPath) -> Result<bool, TargetError> {
        Ok(true)
    }

    fn open_part(&self, path: &StoredPath, _: u64) -> Result<Box<dyn TargetFile>, TargetError> {
        unreachable!("{path} has its content in a tree")
    }

    fn write_file(&self, _: &StoredPath, _: u64, _: &[u8], _: &Meta) -> Noted {
        self.0.fetch_add(1, Relaxed);
        Ok(Vec::new())
    }

    fn finish_file(&self, path: &StoredPath, _: u64, _: &Meta) -> Noted {
        unreachable!("{path} has no part")
    }

    fn discard_part(&self, _: &StoredPath) {}

    fn make_special(&self, path: &StoredPath, _: &EntryBody, _: &Meta) -> Noted {
        unreachable!("{path} is a file")
    }

    fn hard_link(&self, _: &StoredPath, path: &StoredPath) -> Result<(), TargetError> {
        unreachable!("{path} has one name")
    }

    fn finish_directory(&self, _: &StoredPath, _: &Meta) -> Noted {
        Ok(Vec::new())
    }
}

struct Shown {
    all: Endless,
    noise: Bytes,
}

/// What nobody has looked at yet of a directory.
#[derive(Debug)]
struct Rest {
    all: Endless,
    dir: StoredPath,
    letter: char,
    left: std::ops::Range<u64>,
}

/// As many as the endpoint shows at once.
const LISTED_MAX: u64 = 16_384;

impl More for Rest {
    fn left(&self) -> usize {
        self.left.clone().count()
    }

    fn look(&mut self) -> Listing {
        let entry = |number: u64| {
            let name = format!("{}{number:07}", self.letter).into_bytes();
            let stat = self.all.look(&self.dir.join(&name).expect("a plain name"));
            Found { name, stat }
        };
        let entries = self.left.by_ref().take(LISTED_MAX as usize).map(entry).collect();
        Listing { entries, ..Listing::default() }
    }
}

impl Source for Shown {
    fn list(&self, dir: &StoredPath) -> Result<Listing, SourceError> {
        let (letter, count) = if dir.is_root() { ('d', self.all.directories) } else { ('f', self.all.files) };
        let mut rest = Rest { all: self.all, dir: dir.clone(), letter, left: 0..count };
        match count > LISTED_MAX {
            true => Ok(Listing { more: Some(Box::new(rest)), ..Listing::default() }),
            false => Ok(rest.look()),
        }
    }

    fn stat(&self, path: &StoredPath) -> Result<Stat, SourceError> {
        Ok(self.all.look(path))
    }

    fn details(&self, _: &StoredPath, _: EntryKind) -> Result<Details, SourceError> {
        Ok(Details::default())
    }

    fn open(&self, path: &StoredPath) -> Result<Box<dyn SourceFile>, SourceError> {
        Ok(Box::new(OpenFile { stat: self.all.look(path), noise: self.noise.clone() }))
    }

    fn user_name(&self, _: u32) -> Arc<[u8]> {
        Arc::from(&b"ann"[..])
    }

    fn group_name(&self, _: u32) -> Arc<[u8]> {
        Arc::from(&b"staff"[..])
    }
}

struct OpenFile {
    stat: Stat,
    noise: Bytes,
}

impl SourceFile for OpenFile {
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SourceError> {
        let len = self.stat.size.saturating_sub(offset).min(bytes.len() as u64) as usize;
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (block, within) = (at / BLOCK as u64, at as usize % BLOCK);
            let part = (BLOCK - within).min(len - done);
            // Another stretch of the noise for each file and block.
            let start = (block * BLOCK as u64 + self.stat.inode * 1_013) % (self.noise.len() - BLOCK) as u64;
            let from = start as usize + within;
            bytes[done..done + part].copy_from_slice(&self.noise[from..from + part]);
            if within == 0 && part >= 16 {
                bytes[done..done + 8].copy_from_slice(&self.stat.inode.to_le_bytes());
                bytes[done + 8..done + 16].copy_from_slice(&block.to_le_bytes());
            }
            done += part;
        }
        Ok(len)
    }

    fn stat(&self) -> Result<Stat, SourceError> {
        Ok(self.stat)
    }

    fn xattrs(&self) -> Result<Vec<Xattr>, SourceError> {
        Ok(Vec::new())
    }

    fn extents(&self, size: u64) -> Result<Vec<Extent>, SourceError> {
        Ok(vec![Extent::Data(size)])
    }
}

/// Counts the bytes of packs.
#[derive(Default)]
struct Sink(AtomicU64);

impl Sink {
    async fn wait(&self) {
        for _ in 0..TURNS {
            yield_now().await;
        }
    }
}

#[async_trait]
impl Remote for Sink {
    async fn dedupe(&self, refs: &[ChunkRef]) -> Result<Vec<bool>, RemoteError> {
        self.wait().await;
        Ok(vec![true; refs.len()])
    }

    async fn upload(&self, _: PackId, bytes: Bytes) -> Result<Uploaded, RemoteError> {
        self.wait().await;
        self.0.fetch_add(bytes.len() as u64, Relaxed);
        Ok(Uploaded { chunks_new: 0 })
    }

    async fn verify(&self, _: &[PackId]) -> Result<Vec<PackId>, RemoteError> {
        Ok(Vec::new())
    }

    async fn commit(&self, _: Bytes) -> Result<Committed, RemoteError> {
        Ok(Committed { committed_at_ms: 0, bytes_received: 0, chunks_new: 0, packs: 0 })
    }

    async fn locate(&self, refs: &[ChunkRef]) -> Result<Vec<Option<u64>>, RemoteError> {
        Ok(vec![None; refs.len()])
    }

    async fn fetch(&self, _: Vec<ChunkRef>) -> Result<BoxStream<'static, Result<Parcel, RemoteError>>, RemoteError> {
        Ok(Box::pin(futures::stream::empty()))
    }
}

/// A cache that keeps nothing.
struct NoCache;

impl TreeCache for NoCache {
    fn get(&self, _: &ChunkRef) -> Option<Vec<u8>> {
        None
    }

    fn has(&self, _: &ChunkRef) -> bool {
        false
    }

    fn mark_damaged(&self, _: &ChunkRef) {}

    fn keep_again(&self, _: &ChunkRef) -> bool {
        false
    }

    fn keep_beneath(&self, _: &ChunkRef) {}

    fn keep(&self, _: &ChunkRef, _: &[u8]) {}
}
