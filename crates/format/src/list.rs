//! A list: the pieces of one stretch of a very large file, kept out of the tree so that trees stay small.
//! Refuses an empty list, and one that does not fit in a chunk.

use crate::codec::{Reader, Writer};
use crate::error::{Error, Flaw};
use crate::limits::CHUNK_MAX;
use crate::piece::{self, Piece};
use base::{Bytes, Count};

const PART: &str = "list";
const VERSION: u8 = 1;

/// The plaintext of a chunk of kind `List`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct List {
    /// The pieces in the order of the file: at least one. A writer never splits a hole over two lists.
    pub pieces: Vec<Piece>,
}

impl List {
    /// How many pieces there are. Never fails.
    pub fn count(&self) -> Count {
        Count::of(self.pieces.len())
    }

    /// How many bytes of the file they cover. Never fails.
    pub fn covered(&self) -> Bytes {
        self.pieces.iter().map(|piece| Bytes(piece.len())).sum()
    }

    /// The bytes of the list. Errors: no piece, a piece that breaks a rule, more than 8 MiB.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::with_capacity(8 + self.pieces.len() * 36);
        self.encode_into(&mut out)?;
        Ok(out)
    }

    /// Appends the bytes of the list to `out`. Errors: as `encode`; `out` is then as before.
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let error = |flaw| Error::Encode { part: PART, flaw };
        if self.pieces.is_empty() {
            return Err(error(Flaw::Empty));
        }
        piece::covered(self.pieces.iter().copied()).map_err(error)?;
        let from = out.len();
        let mut writer = Writer::new(out);
        writer.u8(VERSION);
        piece::write(&mut writer, &self.pieces);
        if (out.len() - from) as u64 > CHUNK_MAX.0 {
            out.truncate(from);
            return Err(error(Flaw::Limit { max: CHUNK_MAX.0 }));
        }
        Ok(())
    }

    /// Reads the bytes of a list. Errors: anything that `encode` would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(PART, bytes);
        if bytes.len() as u64 > CHUNK_MAX.0 {
            return Err(reader.flaw(Flaw::Limit { max: CHUNK_MAX.0 }));
        }
        reader.version(VERSION)?;
        let (pieces, _) = piece::view(&mut reader, CHUNK_MAX.0)?;
        reader.finish()?;
        Ok(Self { pieces: pieces.collect() })
    }
}

#[cfg(test)]
mod tests;
