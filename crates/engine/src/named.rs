//! Bytes that are here already, told apart by their names: what has the name of a piece is that piece, wherever it
//! came from, and need not be fetched. Refuses to believe sizes and times. Runs on the pool.

use crate::error::SourceError;
use crate::ports::{Extent, SourceFile};
use format::{ChunkKind, NamingKey, Piece};

/// So much is read at once where only zeroes are looked for.
const ZEROES_BYTES: usize = 256 << 10;

/// Calls `found` for each piece, with its offset and whether the file has it there, for as long as `found` says so.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn each(
    file: &dyn SourceFile,
    naming: &NamingKey,
    pieces: &[Piece],
    mut found: impl FnMut(u64, &Piece, bool) -> bool,
) -> Result<(), SourceError> {
    let mut buffer = Vec::new();
    let mut extents = None;
    let mut at = 0;
    for piece in pieces {
        let is_there = match piece {
            Piece::Data { chunk, len } => {
                buffer.resize(*len as usize, 0);
                let read = file.read_at(at, &mut buffer)?;
                read == buffer.len() && naming.name(ChunkKind::Content, &buffer) == *chunk
            }
            Piece::Hole { len } => {
                let size = pieces.iter().map(Piece::len).sum();
                let extents = match &extents {
                    Some(extents) => extents,
                    None => extents.insert(file.extents(size)?),
                };
                are_zeroes(file, extents, at, *len, &mut buffer)?
            }
        };
        if !found(at, piece, is_there) {
            break;
        }
        at += piece.len();
    }
    Ok(())
}

/// Whether the file has all of these pieces.
///
/// # Errors
/// It cannot be read.
pub(crate) fn all(file: &dyn SourceFile, naming: &NamingKey, pieces: &[Piece]) -> Result<bool, SourceError> {
    let mut has_all = true;
    each(file, naming, pieces, |_, _, is_there| {
        has_all = is_there;
        has_all
    })?;
    Ok(has_all)
}

/// Whether a stretch reads as zeroes. What the file system itself calls a hole is not read.
fn are_zeroes(
    file: &dyn SourceFile,
    extents: &[Extent],
    at: u64,
    len: u64,
    buffer: &mut Vec<u8>,
) -> Result<bool, SourceError> {
    let mut begin = 0;
    for extent in extents {
        let (Extent::Data(extent_len) | Extent::Hole(extent_len)) = extent;
        let end = begin + extent_len;
        if matches!(extent, Extent::Data(_)) {
            let (mut from, to) = (begin.max(at), end.min(at + len));
            while from < to {
                buffer.resize(ZEROES_BYTES.min((to - from) as usize), 0);
                let read = file.read_at(from, buffer)?;
                if buffer[..read].iter().any(|byte| *byte != 0) {
                    return Ok(false);
                }
                // Past its end a file reads as what it will be when it gets its size.
                if read < buffer.len() {
                    break;
                }
                from += read as u64;
            }
        }
        begin = end;
    }
    Ok(true)
}
