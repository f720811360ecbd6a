//! Reads one large file in windows, so that its size does not matter: one is read while the one before it is cut and
//! named on the pool, and handed on as it goes. Holes are not read. A very large file has lists of its pieces.

mod reads;

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
use reads::{Next, Reads};

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
    let Opened { file, stat, extents } = opened;
    let (mut pieces, mut carry, mut is_short) = (Vec::new(), Bytes::new(), false);
    let mut reads = Reads::begin(&ctx.cpu, &ctx.progress, file, extents);
    while let Some(next) = reads.next().await? {
        let (window, is_end) = match next {
            Next::Hole(len) => {
                pieces.push(Piece::Hole { len });
                continue;
            }
            Next::Bytes { bytes, is_end } => (bytes, is_end),
            Next::Short(bytes) => {
                is_short = true;
                (bytes, true)
            }
        };
        let reader = reader.clone();
        let cut = ctx.cpu.run(move || cut(&reader, &carry, window, is_end)).await;
        carry = cut.carry;
        reads.reuse(cut.window);
        pieces.extend(cut.chunks.iter().map(piece_of));
        for chunk in cut.chunks {
            assembler.chunk(chunk).await;
        }
    }
    let file = reads.into_file().expect("nothing is read any more");
    settle(ctx, file, stat, pieces, is_short).await
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

struct Cut {
    chunks: Vec<NewChunk>,
    /// Read, but not cut yet.
    carry: Bytes,
    /// What was read into, to be read into again.
    window: Vec<u8>,
}

/// Cuts what can be cut of what is left and what was read.
fn cut(reader: &Reader, carry: &[u8], window: Vec<u8>, is_end: bool) -> Cut {
    let mut bytes = BytesMut::with_capacity(carry.len() + window.len());
    bytes.extend_from_slice(carry);
    bytes.extend_from_slice(&window);
    let mut carry = bytes.freeze();
    let chunks = reader.chunks(&mut carry, is_end);
    Cut { chunks, carry, window }
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
