//! The pieces of a file: chunks and holes, in the order in which they stand in it.
//! Refuses empty pieces, chunks above their limit, and two holes in a row.

use crate::codec::{Reader, Row, Writer};
use crate::digest::ChunkRef;
use crate::error::{Error, Flaw};
use crate::limits::{CHUNK_MAX, FILE_SIZE_MAX};

/// One stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Piece {
    /// The bytes of a content chunk.
    Data {
        /// The chunk.
        chunk: ChunkRef,
        /// Its length in bytes: 1 to 8 MiB.
        len: u32,
    },
    /// Zeroes that take no room.
    Hole {
        /// How many bytes: 1 to 2^63 - 1.
        len: u64,
    },
}

/// The pieces of a file where they lie.
pub type Pieces<'a> = Row<'a, Piece>;

impl Piece {
    /// How many bytes of the file it covers. Never fails.
    pub const fn len(&self) -> u64 {
        match self {
            Piece::Data { len, .. } => *len as u64,
            Piece::Hole { len } => *len,
        }
    }

    /// Whether it covers nothing: no encoded piece does. Never fails.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The bytes that all pieces cover. The flaw: a rule for pieces that these break.
pub(crate) fn covered(pieces: impl IntoIterator<Item = Piece>) -> Result<u64, Flaw> {
    let mut sum = 0_u64;
    let mut after_hole = false;
    for piece in pieces {
        let (max, hole) = match piece {
            Piece::Data { .. } => (CHUNK_MAX.0, false),
            Piece::Hole { .. } => (FILE_SIZE_MAX.0, true),
        };
        if piece.is_empty() {
            return Err(Flaw::Empty);
        }
        if piece.len() > max {
            return Err(Flaw::Limit { max });
        }
        if hole && after_hole {
            return Err(Flaw::Holes);
        }
        after_hole = hole;
        sum = sum.checked_add(piece.len()).filter(|sum| *sum <= FILE_SIZE_MAX.0).ok_or(Flaw::Sum)?;
    }
    Ok(sum)
}

/// Writes the count and the pieces, which `covered` has accepted.
pub(crate) fn write(writer: &mut Writer<'_>, pieces: &[Piece]) {
    writer.count(pieces.len());
    for piece in pieces {
        match piece {
            Piece::Data { chunk, len } => {
                writer.varint(u64::from(*len) << 1);
                writer.raw(chunk.as_bytes());
            }
            Piece::Hole { len } => writer.varint(len << 1 | 1),
        }
    }
}

/// Reads at least one piece and at most `max`, and the bytes that they cover.
pub(crate) fn view<'a>(reader: &mut Reader<'a>, max: u64) -> Result<(Pieces<'a>, u64), Error> {
    let count = reader.count(max, 1)?;
    if count == 0 {
        return Err(reader.flaw(Flaw::Empty));
    }
    let pieces = Row::read(reader, count, one)?;
    let sum = covered(pieces.clone()).map_err(|flaw| reader.flaw(flaw))?;
    Ok((pieces, sum))
}

fn one(reader: &mut Reader<'_>) -> Result<Piece, Error> {
    let word = reader.varint()?;
    let len = word >> 1;
    if word & 1 == 1 {
        return Ok(Piece::Hole { len });
    }
    if len > CHUNK_MAX.0 {
        return Err(reader.flaw(Flaw::Limit { max: CHUNK_MAX.0 }));
    }
    Ok(Piece::Data { len: len as u32, chunk: ChunkRef::from_bytes(reader.array()?) })
}
