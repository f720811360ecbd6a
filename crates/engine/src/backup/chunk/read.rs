//! Reads a batch of steps on the pool: metadata of all, content of the small files among them.

use super::Made;
use crate::backup::NewChunk;
use crate::backup::assemble::OpenDirectory;
use crate::backup::scan::{BATCH_BYTES_MAX, Batch, Directory, Step};
use crate::cutter;
use crate::error::SourceError;
use crate::ports::{Details, EntryKind, Source, SourceFile, Stat};
use crate::progress::Progress;
use bytes::Bytes;
use format::{ChunkKind, Content, Entry, EntryBody, Meta, NamingKey, Piece, StoredPath, Xattr};
use std::sync::Arc;

/// Content up to this long stands in the tree itself: it costs less there than its name and place would
/// (docs/performance.md, "Inline content").
pub(super) const INLINE_BYTES_MAX: u64 = 512;

#[derive(Clone)]
pub(super) struct Reader {
    pub source: Arc<dyn Source>,
    pub naming: NamingKey,
    pub progress: Arc<Progress>,
}

impl Reader {
    pub(super) fn batch(&self, batch: Batch) -> Vec<Made> {
        let mut made = Vec::with_capacity(batch.len());
        for step in batch {
            match step {
                Step::Enter(directory) => {
                    let directory = self.directory(directory, &mut made);
                    made.push(Made::Enter(directory));
                }
                Step::Same(directory, totals) => {
                    let directory = self.directory(directory, &mut made);
                    made.push(Made::Same(directory, totals));
                }
                Step::Unchanged(entry) => made.push(Made::Known(entry)),
                Step::Untouched(entry, totals) => made.push(Made::Untouched(entry, totals)),
                Step::Changed { path, stat } => self.entry(path, &stat, &mut made),
                Step::Lacking(page) => made.push(Made::Lacking(page)),
                Step::Leave { known_entries } => made.push(Made::Leave { known_entries }),
            }
        }
        made
    }

    fn directory(&self, directory: Directory, made: &mut Vec<Made>) -> OpenDirectory {
        let Directory { path, stat, unchanged, known, entries } = directory;
        let name = path.name().unwrap_or_default().to_vec();
        let is_unchanged = unchanged.is_some();
        let meta = match unchanged {
            Some(entry) => entry.meta,
            // No tree has an entry for the root.
            None if path.is_root() => Meta::default(),
            None => self.meta(&path, &stat, made).0,
        };
        OpenDirectory::new(name, meta, is_unchanged, known, entries)
    }

    fn entry(&self, path: StoredPath, stat: &Stat, made: &mut Vec<Made>) {
        if stat.kind == EntryKind::File {
            return self.file(path, stat, made);
        }
        let (meta, target) = self.meta(&path, stat, made);
        let (major, minor) = stat.rdev;
        let body = match stat.kind {
            EntryKind::Symlink => match target {
                Some(target) => EntryBody::Symlink { target },
                // Where it points could not be read, which is reported: without that it is no link.
                None => return,
            },
            EntryKind::Fifo => EntryBody::Fifo,
            EntryKind::Socket => EntryBody::Socket,
            EntryKind::CharDevice => EntryBody::CharDevice { major, minor },
            EntryKind::BlockDevice => EntryBody::BlockDevice { major, minor },
            EntryKind::File | EntryKind::Directory => unreachable!("files are read above, directories are entered"),
        };
        push_entry(path, meta, body, Vec::new(), made);
    }

    fn file(&self, path: StoredPath, stat: &Stat, made: &mut Vec<Made>) {
        if is_large(stat) {
            made.push(Made::Large(path));
            return;
        }
        match self.small(&path, *stat) {
            Ok(Small::Read { stat, xattrs, content, chunks, changed }) => {
                let meta = self.meta_with(&path, &stat, xattrs, made);
                let size = match &content {
                    Content::Inline(bytes) => bytes.len() as u64,
                    _ => chunks.iter().map(|chunk| chunk.plain.len() as u64).sum(),
                };
                if changed {
                    made.push(changed_while_read(path.clone()));
                }
                push_entry(path, meta, EntryBody::File { size, content }, chunks, made);
            }
            Ok(Small::BecameLarge) => made.push(Made::Large(path)),
            Err(error) => made.push(Made::Problem(path, error.code(), error.to_string())),
        }
    }

    /// Reads a file that looked like `seen` when it was listed.
    fn small(&self, path: &StoredPath, mut seen: Stat) -> Result<Small, SourceError> {
        let mut changed = false;
        loop {
            let file = self.source.open(path)?;
            self.progress.add_files_opened(1);
            let bytes = read_whole(&*file, seen.size as usize)?;
            self.progress.add_bytes_read(bytes.len() as u64);
            let xattrs = file.xattrs();
            let stat = file.stat()?;
            if is_large(&stat) {
                return Ok(Small::BecameLarge);
            }
            let settled = bytes.len() as u64 == stat.size && is_same(&seen, &stat);
            if settled || changed {
                let (content, chunks) = self.content(bytes);
                return Ok(Small::Read { stat, xattrs, content, chunks, changed: !settled });
            }
            (seen, changed) = (stat, true);
        }
    }

    fn content(&self, bytes: Vec<u8>) -> (Content, Vec<NewChunk>) {
        if bytes.len() as u64 <= INLINE_BYTES_MAX {
            return (Content::Inline(bytes), Vec::new());
        }
        let chunks = self.chunks(&mut Bytes::from(bytes), true);
        (Content::Pieces(chunks.iter().map(piece_of).collect()), chunks)
    }

    /// Cuts as many chunks from the front of `bytes` as there are for certain.
    pub(super) fn chunks(&self, bytes: &mut Bytes, is_end: bool) -> Vec<NewChunk> {
        let mut chunks = Vec::new();
        while let Some(len) = cutter::first_cut(bytes, is_end) {
            let plain = bytes.split_to(len);
            chunks.push(NewChunk {
                kind: ChunkKind::Content,
                chunk: self.naming.name(ChunkKind::Content, &plain),
                plain,
            });
        }
        chunks
    }

    /// The metadata of an entry that is no file, and where it points when it is a link: `None` when that cannot be
    /// read. What cannot be read is a problem, not an end.
    fn meta(&self, path: &StoredPath, stat: &Stat, made: &mut Vec<Made>) -> (Meta, Option<Vec<u8>>) {
        let (xattrs, target) = match self.source.details(path, stat.kind) {
            Ok(Details { xattrs, target }) => (Ok(xattrs), Some(target)),
            Err(error) => (Err(error), None),
        };
        (self.meta_with(path, stat, xattrs, made), target)
    }

    /// The metadata of an entry with attributes that were read.
    pub(super) fn meta_with(&self, path: &StoredPath, stat: &Stat, xattrs: Xattrs, made: &mut Vec<Made>) -> Meta {
        let xattrs = xattrs.unwrap_or_else(|error| {
            made.push(Made::Problem(path.clone(), error.code(), format!("its attributes: {error}")));
            Vec::new()
        });
        let (xattrs, are_all) = storable(xattrs);
        if !are_all {
            let sentence = "some extended attributes are larger than can be stored and are left out".to_owned();
            made.push(Made::Problem(path.clone(), "xattrs_too_large", sentence));
        }
        let is_linked = stat.links > 1 && stat.kind != EntryKind::Directory;
        Meta {
            mode: stat.mode,
            uid: stat.uid,
            user: self.source.user_name(stat.uid),
            gid: stat.gid,
            group: self.source.group_name(stat.gid),
            mtime: stat.mtime,
            ctime: stat.ctime,
            inode: stat.inode,
            device: is_linked.then_some(stat.device),
            xattrs,
        }
    }
}

/// The attributes of a file, or why they could not be read.
type Xattrs = Result<Vec<Xattr>, SourceError>;

enum Small {
    Read { stat: Stat, xattrs: Xattrs, content: Content, chunks: Vec<NewChunk>, changed: bool },
    BecameLarge,
}

/// Whether a file is read in windows: it does not fit a batch, or a good part of it is holes.
fn is_large(stat: &Stat) -> bool {
    stat.size > BATCH_BYTES_MAX || (stat.size > HOLE_BYTES_MIN && stat.stored < stat.size / 2)
}

/// Holes are looked for in files larger than this.
const HOLE_BYTES_MIN: u64 = 64 << 10;

/// Whether nothing has touched the file between two looks at it.
pub(super) fn is_same(before: &Stat, after: &Stat) -> bool {
    (before.size, before.mtime, before.ctime, before.inode) == (after.size, after.mtime, after.ctime, after.inode)
}

pub(super) fn changed_while_read(path: StoredPath) -> Made {
    let sentence =
        "it changed while it was read, twice: what is saved may be a mixture, the next backup reads it again";
    Made::Problem(path, "file_changed", sentence.to_owned())
}

/// One entry that breaks a rule of the format must not end the run: it is a problem, and left out.
fn push_entry(path: StoredPath, meta: Meta, body: EntryBody, chunks: Vec<NewChunk>, made: &mut Vec<Made>) {
    let entry = Entry { name: name_of(&path), meta, body };
    made.push(match entry.check() {
        Ok(()) => Made::Entry(entry, chunks),
        Err(error) => unstorable(path, &error),
    });
}

pub(super) fn unstorable(path: StoredPath, error: &format::Error) -> Made {
    Made::Problem(path, "entry_unstorable", format!("it is left out: {error}"))
}

pub(super) fn piece_of(chunk: &NewChunk) -> Piece {
    Piece::Data { chunk: chunk.chunk, len: chunk.plain.len() as u32 }
}

pub(super) fn name_of(path: &StoredPath) -> Vec<u8> {
    path.name().unwrap_or_default().to_vec()
}

fn read_whole(file: &dyn SourceFile, size: usize) -> Result<Vec<u8>, SourceError> {
    let mut bytes = vec![0; size];
    let len = file.read_at(0, &mut bytes)?;
    bytes.truncate(len);
    Ok(bytes)
}

/// Those attributes that the format takes, in order, and whether that is all of them.
fn storable(xattrs: Vec<Xattr>) -> (Vec<Xattr>, bool) {
    let count = xattrs.len();
    let mut room = format::limits::XATTRS_BYTES_MAX.0;
    let fits = |(name, value): &Xattr| {
        let bytes = (name.len() + value.len()) as u64;
        let fits = !name.is_empty() && name.len() as u64 <= format::limits::XATTR_NAME_MAX.0 && bytes <= room;
        room -= if fits { bytes } else { 0 };
        fits
    };
    let mut kept: Vec<_> = xattrs.into_iter().filter(fits).collect();
    kept.sort();
    kept.dedup_by(|one, other| one.0 == other.0);
    let are_all = kept.len() == count;
    (kept, are_all)
}
