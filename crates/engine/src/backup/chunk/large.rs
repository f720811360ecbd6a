//! Reads one large file in windows, so that its size does not matter: cut and named on the pool, handed on as it
//! goes. Holes are not read. A very large file's pieces go into lists of their own.

use super::Made;
use super::read::{Reader, changed_while_read, is_same, name_of, piece_of, unstorable};
use crate::backup::NewChunk;
use crate::backup::assemble::Assembler;
use crate::backup::problems::Problems;
use crate::ctx::Ctx;
use crate::error::{EngineError, SourceError};
use crate::ports::{Extent, SourceFile, Stat};
use bytes::{Bytes, BytesMut};
use format::{ChunkKind, Content, Entry, EntryBody, List, ListRef, Piece, StoredPath, Xattr};

/// Bytes read in one go.
const WINDOW_BYTES: u64 = 4 << 20;
/// More pieces than this go into lists.
const PIECES_MAX: usize = 1_024;
/// A list ends after this many pieces at the least, and at the most.
const LIST_PIECES_MIN: usize = 256;
const LIST_PIECES_MAX: usize = 8_192;

pub(super) async fn read(
    ctx: &Ctx,
    reader: &Reader,
    problems: &Problems,
    path: &StoredPath,
    assembler: &mut Assembler<'_>,
) -> Result<(), EngineError> {
    let mut again = false;
    loop {
        match once(ctx, reader, path, assembler).await {
            Err(error) => {
                problems.add(path.clone(), error.code(), error.to_string());
                return Ok(());
            }
            Ok(whole) if whole.is_settled || again => {
                return enter(ctx, reader, problems, path, whole, assembler).await;
            }
            Ok(_) => again = true,
        }
    }
}

/// A file that was read from end to end.
struct Whole {
    stat: Stat,
    xattrs: Result<Vec<Xattr>, SourceError>,
    pieces: Vec<Piece>,
    is_settled: bool,
}

async fn once(
    ctx: &Ctx,
    reader: &Reader,
    path: &StoredPath,
    assembler: &mut Assembler<'_>,
) -> Result<Whole, SourceError> {
    let opened = {
        let (reader, path) = (reader.clone(), path.clone());
        ctx.cpu.run(move || open(&reader, &path)).await?
    };
    let Opened { mut file, stat, extents } = opened;
    let mut pieces = Vec::new();
    let mut at = 0;
    for extent in extents {
        match extent {
            Extent::Hole(len) => {
                pieces.push(Piece::Hole { len });
                at += len;
            }
            Extent::Data(len) => {
                let end = at + len;
                let mut carry = Bytes::new();
                while at < end {
                    let reader = reader.clone();
                    let window = ctx.cpu.run(move || window(&reader, file, at, end, &carry)).await?;
                    file = window.file;
                    carry = window.carry;
                    pieces.extend(window.chunks.iter().map(piece_of));
                    for chunk in window.chunks {
                        assembler.chunk(chunk).await;
                    }
                    if window.at == at || window.is_short {
                        return settle(ctx, file, stat, pieces, true).await;
                    }
                    at = window.at;
                }
            }
        }
    }
    settle(ctx, file, stat, pieces, false).await
}

struct Opened {
    file: Box<dyn SourceFile>,
    stat: Stat,
    extents: Vec<Extent>,
}

fn open(reader: &Reader, path: &StoredPath) -> Result<Opened, SourceError> {
    let file = reader.source.open(path)?;
    reader.progress.add_files_opened(1);
    let stat = file.stat()?;
    let extents = file.extents(stat.size)?;
    Ok(Opened { file, stat, extents })
}

struct Window {
    file: Box<dyn SourceFile>,
    /// Up to where the file is read.
    at: u64,
    /// Read, but not cut yet.
    carry: Bytes,
    chunks: Vec<NewChunk>,
    /// The file ended before the stretch did.
    is_short: bool,
}

/// Reads on from `at` to at most `end`, and cuts what can be cut.
fn window(reader: &Reader, file: Box<dyn SourceFile>, at: u64, end: u64, carry: &[u8]) -> Result<Window, SourceError> {
    let wanted = (end - at).min(WINDOW_BYTES) as usize;
    let mut bytes = BytesMut::with_capacity(carry.len() + wanted);
    bytes.extend_from_slice(carry);
    bytes.resize(carry.len() + wanted, 0);
    let len = file.read_at(at, &mut bytes[carry.len()..])?;
    bytes.truncate(carry.len() + len);
    reader.progress.add_bytes_read(len as u64);
    let is_short = len < wanted;
    let at = at + len as u64;
    let mut carry = bytes.freeze();
    let chunks = reader.chunks(&mut carry, is_short || at == end);
    Ok(Window { file, at, carry, chunks, is_short })
}

async fn settle(
    ctx: &Ctx,
    file: Box<dyn SourceFile>,
    stat: Stat,
    pieces: Vec<Piece>,
    is_short: bool,
) -> Result<Whole, SourceError> {
    let (xattrs, after) = ctx.cpu.run(move || (file.xattrs(), file.stat())).await;
    let is_settled = !is_short && is_same(&stat, &after?);
    Ok(Whole { stat, xattrs, pieces, is_settled })
}

async fn enter(
    ctx: &Ctx,
    reader: &Reader,
    problems: &Problems,
    path: &StoredPath,
    whole: Whole,
    assembler: &mut Assembler<'_>,
) -> Result<(), EngineError> {
    let Whole { stat, xattrs, pieces, is_settled } = whole;
    let (meta, mut noted) = {
        let (reader, path) = (reader.clone(), path.clone());
        let look = move || {
            let mut noted = Vec::new();
            (reader.meta_with(&path, &stat, xattrs, &mut noted), noted)
        };
        ctx.cpu.run(look).await
    };
    if !is_settled {
        noted.push(changed_while_read(path.clone()));
    }
    let size = pieces.iter().map(Piece::len).sum();
    let content = match pieces.len() {
        0 => Content::Inline(Vec::new()),
        1..=PIECES_MAX => Content::Pieces(pieces),
        _ => Content::Lists(lists(reader, pieces, assembler).await?),
    };
    let entry = Entry { name: name_of(path), meta, body: EntryBody::File { size, content } };
    match entry.check() {
        Ok(()) => assembler.entry(entry).await?,
        Err(error) => noted.push(unstorable(path.clone(), &error)),
    }
    for made in noted {
        if let Made::Problem(path, code, sentence) = made {
            problems.add(path, code, sentence);
        }
    }
    Ok(())
}

/// Cuts the pieces into lists where the chunks' names say, so that an edit changes one list and no other.
async fn lists(
    reader: &Reader,
    pieces: Vec<Piece>,
    assembler: &mut Assembler<'_>,
) -> Result<Vec<ListRef>, EngineError> {
    let mut lists = Vec::new();
    let mut open = Vec::new();
    let mut pieces = pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        let is_boundary = matches!(piece, Piece::Data { chunk, .. } if chunk.as_bytes()[0] == 0);
        open.push(piece);
        // Two holes never follow each other in a file, and must not across two lists either.
        let is_full = open.len() >= LIST_PIECES_MAX && matches!(piece, Piece::Data { .. });
        if (is_boundary && open.len() >= LIST_PIECES_MIN) || is_full || pieces.peek().is_none() {
            let list = List { pieces: std::mem::take(&mut open) };
            let plain = list.encode().map_err(|cause| EngineError::Format { what: "list", cause })?;
            let chunk = reader.naming.name(ChunkKind::List, &plain);
            lists.push(ListRef { list: chunk, pieces: list.count().0, bytes: list.covered().0 });
            assembler.chunk(NewChunk { kind: ChunkKind::List, chunk, plain: Bytes::from(plain) }).await;
        }
    }
    Ok(lists)
}
