//! The three ports and the tree cache, with what each promises. `Source` and `Target` block: the engine calls them
//! on its pool of threads, never on the thread that talks to the server.
//! Refuses paths of an operating system: an entry is named by its stored path.

use crate::error::{RemoteError, SourceError, TargetError};
use async_trait::async_trait;
use bytes::Bytes;
use format::{Body, ChunkRef, FileTime, Meta, PackId, StoredPath, Xattr};
use futures::stream::BoxStream;
use std::fmt;
use std::sync::Arc;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket of the local machine.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl EntryKind {
    /// The kind that an entry of a snapshot has. Never fails.
    pub const fn of<C, T>(body: &Body<C, T>) -> Self {
        match body {
            Body::File { .. } => Self::File,
            Body::Directory { .. } => Self::Directory,
            Body::Symlink { .. } => Self::Symlink,
            Body::Fifo => Self::Fifo,
            Body::Socket => Self::Socket,
            Body::CharDevice { .. } => Self::CharDevice,
            Body::BlockDevice { .. } => Self::BlockDevice,
        }
    }
}

/// What a file system tells of an entry without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, at most `0o7777`.
    pub mode: u16,
    /// Number of the owning user.
    pub uid: u32,
    /// Number of the owning group.
    pub gid: u32,
    /// When its content changed.
    pub mtime: FileTime,
    /// When its content or metadata changed.
    pub ctime: FileTime,
    /// Its number in the file system.
    pub inode: u64,
    /// The number of the file system.
    pub device: u64,
    /// How many names it has.
    pub links: u64,
    /// Bytes; 0 for all but files.
    pub size: u64,
    /// Bytes that the file system keeps for it; less than `size` where there are holes.
    pub stored: u64,
    /// Major and minor number of a device entry; 0 for all others.
    pub rdev: (u32, u32),
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name: bytes, one component.
    pub name: Vec<u8>,
    /// What the file system tells of it.
    pub stat: Stat,
}

/// A directory's entries in ascending order of name bytes, and those that could not be looked at.
#[derive(Debug, Default)]
pub struct Listing {
    /// The entries.
    pub entries: Vec<Found>,
    /// Names with the reason why they are not among the entries.
    pub problems: Vec<(Vec<u8>, SourceError)>,
    /// What comes after these, where there are too many to be held at once.
    pub more: Option<Box<dyn More>>,
}

impl Listing {
    /// What comes next, with what is left after it. Never fails: as `More::look`.
    pub fn next_of(mut more: Box<dyn More>) -> Self {
        let listing = more.look();
        Self { more: (more.left() > 0).then_some(more), ..listing }
    }

    /// How many entries there are, those included that nobody has looked at yet. Never fails.
    pub fn count(&self) -> usize {
        self.entries.len() + self.more.as_ref().map_or(0, |more| more.left())
    }
}

/// The entries of a large directory that were not looked at yet. May be asked from any thread.
pub trait More: Send + fmt::Debug {
    /// How many names are left.
    fn left(&self) -> usize;

    /// Those that come next, in ascending order, some thousands at most; all of them are behind those before. `more` is
    /// none. Never fails: what cannot be looked at is a problem.
    fn look(&mut self) -> Listing;
}

/// What is read of an entry only when it is new or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Extended attributes in ascending order of name, access lists and capabilities among them.
    pub xattrs: Vec<Xattr>,
    /// Where a symbolic link points; empty for all others.
    pub target: Vec<u8>,
}

/// A stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So many bytes that are stored.
    Data(u64),
    /// So many bytes that are not, and read as zero.
    Hole(u64),
}

/// Where a backup reads. Every call may be made from any thread.
pub trait Source: Send + Sync + 'static {
    /// The entries of a directory. A symbolic link in place of the directory is not followed.
    ///
    /// # Errors
    /// The directory is gone, is none, or cannot be read.
    fn list(&self, dir: &StoredPath) -> Result<Listing, SourceError>;

    /// What the file system tells of one entry; a symbolic link is not followed.
    ///
    /// # Errors
    /// The entry is gone or cannot be looked at.
    fn stat(&self, path: &StoredPath) -> Result<Stat, SourceError>;

    /// The extended attributes and the link target of an entry.
    ///
    /// # Errors
    /// The entry is gone or cannot be looked at. A file system without attributes has none.
    fn details(&self, path: &StoredPath, kind: EntryKind) -> Result<Details, SourceError>;

    /// Opens a regular file for reading; a symbolic link in its place is refused, anything else when it is read or
    /// looked at.
    ///
    /// # Errors
    /// The file is gone, is none, or cannot be read.
    fn open(&self, path: &StoredPath) -> Result<Box<dyn SourceFile>, SourceError>;

    /// The name of a user by number; empty when there is none. Never fails.
    fn user_name(&self, uid: u32) -> Arc<[u8]>;

    /// The name of a group by number; empty when there is none. Never fails.
    fn group_name(&self, gid: u32) -> Arc<[u8]>;

    /// The numbers that an entry's user and group have here: those of their names where they are known. Never fails.
    fn owner(&self, meta: &Meta) -> (u32, u32) {
        (meta.uid, meta.gid)
    }
}

/// A file that is open for reading.
pub trait SourceFile: Send {
    /// Reads at `offset` until `bytes` is full or the file ends; how many were read.
    ///
    /// # Errors
    /// The medium or the file system fails, or what is open cannot be read at an offset.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SourceError>;

    /// What the file system tells of the open file now.
    ///
    /// # Errors
    /// It is no regular file, or the file system fails.
    fn stat(&self) -> Result<Stat, SourceError>;

    /// Its extended attributes, as `Source::details` has them.
    ///
    /// # Errors
    /// The file system fails. One without attributes has none.
    fn xattrs(&self) -> Result<Vec<Xattr>, SourceError>;

    /// The stretches of the first `size` bytes in order, no two holes side by side; one `Data` where the file
    /// system does not tell.
    ///
    /// # Errors
    /// The file system fails.
    fn extents(&self, size: u64) -> Result<Vec<Extent>, SourceError>;
}

/// Where a restore writes. Every call may be made from any thread. Nothing is ever written through a symbolic link.
pub trait Target: Send + Sync + 'static {
    /// Whether what has an entry's name already is to stay as it is, and the entry is passed over. Never fails.
    fn keeps_what_is_there(&self) -> bool {
        false
    }

    /// Whether something has this name. Asked only where `keeps_what_is_there`. Never fails.
    fn is_there(&self, _path: &StoredPath) -> bool {
        false
    }

    /// Makes a directory, if it is not there, readable and writable for its owner until `finish`. Whether it was made
    /// now: nothing is in it then.
    ///
    /// # Errors
    /// Something else has the name, or the place cannot be written.
    fn make_directory(&self, path: &StoredPath) -> Result<bool, TargetError>;

    /// The file that has this name already, if it has this size and time, so that it may be the very one that is to be
    /// restored, and may be dressed as it. Never fails: what cannot be read is not there.
    fn there(&self, _path: &StoredPath, _size: u64, _meta: &Meta) -> Option<Box<dyn There>> {
        None
    }

    /// The part of a file that an earlier restore has left, taken over: `open_part` goes on with it. `None` where there
    /// is none, or another one might be writing it still. Never fails.
    fn part_left(&self, _path: &StoredPath, _size: u64) -> Option<Box<dyn SourceFile>> {
        None
    }

    /// Opens the part of a file of this size that is under way beneath another name; made where it is not there.
    ///
    /// # Errors
    /// The place cannot be written.
    fn open_part(&self, path: &StoredPath, size: u64) -> Result<Box<dyn TargetFile>, TargetError>;

    /// Makes a file of this size at once: these bytes, and zeros after them. As `open_part`, `write_at` and
    /// `finish_file` do it; leaves no part where it fails.
    ///
    /// # Errors
    /// The place cannot be written.
    fn write_file(
        &self,
        path: &StoredPath,
        size: u64,
        bytes: &[u8],
        meta: &Meta,
    ) -> Result<Vec<TargetError>, TargetError> {
        write_by_part(self, path, size, bytes, meta)
    }

    /// Gives the finished part its size, metadata and name, in this order; replaces what has the name.
    ///
    /// # Errors
    /// The part is gone or the place cannot be written.
    fn finish_file(&self, path: &StoredPath, size: u64, meta: &Meta) -> Result<Vec<TargetError>, TargetError>;

    /// Takes the part of a file away that will not be finished. Never fails: what cannot be taken away stays.
    fn discard_part(&self, path: &StoredPath);

    /// Makes a symbolic link, FIFO, socket or device with its metadata.
    ///
    /// # Errors
    /// The place cannot be written, or the caller may not make such an entry.
    fn make_special(
        &self,
        path: &StoredPath,
        body: &format::EntryBody,
        meta: &Meta,
    ) -> Result<Vec<TargetError>, TargetError>;

    /// Gives a finished file one more name.
    ///
    /// # Errors
    /// The place cannot be written or the file system has no hard links.
    fn hard_link(&self, existing: &StoredPath, path: &StoredPath) -> Result<(), TargetError>;

    /// Gives a directory its metadata, after everything in it is finished.
    ///
    /// # Errors
    /// The directory is gone.
    fn finish_directory(&self, path: &StoredPath, meta: &Meta) -> Result<Vec<TargetError>, TargetError>;
}

/// Makes a whole file by way of its part: what `Target::write_file` does where a target knows no better way.
///
/// # Errors
/// As `Target::write_file`.
pub fn write_by_part<T: Target + ?Sized>(
    target: &T,
    path: &StoredPath,
    size: u64,
    bytes: &[u8],
    meta: &Meta,
) -> Result<Vec<TargetError>, TargetError> {
    let part = target.open_part(path, size)?;
    let written = if bytes.is_empty() { Ok(()) } else { part.write_at(0, bytes) };
    drop(part);
    written.and_then(|()| target.finish_file(path, size, meta)).inspect_err(|_| target.discard_part(path))
}

/// A file that was at the target before the restore.
pub trait There: SourceFile {
    /// Gives it its metadata, where it has another; what could not be set. Nothing else that has its content changes.
    fn dress(&self, meta: &Meta) -> Vec<TargetError>;
}

/// A file that is being restored, under another name.
pub trait TargetFile: Send + Sync {
    /// Writes at `offset`. What is never written reads as zero.
    ///
    /// # Errors
    /// The disk is full or fails.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), TargetError>;
}

/// What the server says of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Chunks of the pack that the server did not have.
    pub chunks_new: u64,
}

/// What the server says of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The server's clock, milliseconds since 1970.
    pub committed_at_ms: i64,
    /// Bytes of request bodies that the server counted in this run.
    pub bytes_received: u64,
    /// Chunks that this run added.
    pub chunks_new: u64,
    /// Packs that this run added.
    pub packs: u64,
}

/// Chunks of one frame on their way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// How `bytes` are compressed.
    pub codec: format::Codec,
    /// The length of `bytes` once decompressed.
    pub plain_len: u32,
    /// Place of the ref in the request, and length in bytes, in the order of the plain bytes.
    pub chunks: Vec<(u32, u32)>,
    /// The chunks back to back.
    pub bytes: Bytes,
}

/// The server, for one open run. Every call may be repeated: the answer is the same and nothing is done twice.
/// Lost connections are the port's business: an error that comes out of here ends the run.
#[async_trait]
pub trait Remote: Send + Sync + 'static {
    /// For each ref, whether the server lacks the chunk. What it has stays until the run ends.
    ///
    /// # Errors
    /// The server refuses or cannot be reached.
    async fn dedupe(&self, refs: &[ChunkRef]) -> Result<Vec<bool>, RemoteError>;

    /// Sends a pack; when this returns, all in it is verified, durable and known to `dedupe`. A pack that brought no
    /// new chunk is not kept, and unknown to `verify`.
    ///
    /// # Errors
    /// The server refuses the pack or cannot be reached.
    async fn upload(&self, pack: PackId, bytes: Bytes) -> Result<Uploaded, RemoteError>;

    /// Which of these packs the server does not have from this run.
    ///
    /// # Errors
    /// The server refuses or cannot be reached.
    async fn verify(&self, packs: &[PackId]) -> Result<Vec<PackId>, RemoteError>;

    /// Hands in the manifest; when this returns, the snapshot is durable and restorable.
    ///
    /// # Errors
    /// The server refuses the snapshot or cannot be reached.
    async fn commit(&self, manifest: Bytes) -> Result<Committed, RemoteError>;

    /// Where each chunk lies: equal numbers share a frame, near numbers a pack; `None` where the server lacks it.
    ///
    /// # Errors
    /// The server refuses or cannot be reached.
    async fn locate(&self, refs: &[ChunkRef]) -> Result<Vec<Option<u64>>, RemoteError>;

    /// The chunks themselves, by frame, in any order. What the server cannot read is left out.
    ///
    /// # Errors
    /// The server refuses or cannot be reached; an item of the stream may be such an error too.
    async fn fetch(&self, refs: Vec<ChunkRef>) -> Result<BoxStream<'static, Result<Parcel, RemoteError>>, RemoteError>;
}

/// The trees of the last snapshot, kept at the endpoint. Disposable: what it gives is named again before it is
/// used, so a damaged cache costs a fetch and is never believed.
pub trait TreeCache: Send + Sync + 'static {
    /// The plain bytes kept under a tree's ref, if any. Never fails.
    fn get(&self, tree: &ChunkRef) -> Option<Vec<u8>>;

    /// Whether there is anything under a tree's ref. Never fails.
    fn has(&self, tree: &ChunkRef) -> bool;

    /// What was given under this ref is something else: damaged, and not to be kept on. Never fails.
    fn mark_damaged(&self, tree: &ChunkRef);

    /// Keeps a tree of the last snapshot for the one that is being made too, and says whether it has it. Never fails.
    fn keep_again(&self, tree: &ChunkRef) -> bool;

    /// Keeps a tree of the last snapshot and all beneath it, none of which is asked for singly. Never fails.
    fn keep_beneath(&self, tree: &ChunkRef);

    /// Keeps a tree of the snapshot that is being made. A cache that cannot keep it forgets it. Never fails.
    fn keep(&self, tree: &ChunkRef, plain: &[u8]);
}
