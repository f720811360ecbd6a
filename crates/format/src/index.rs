//! What a pack holds and where: its frames in order, and the chunks of each frame in order.
//! Refuses lengths that do not add up, and a chunk that stands twice in one pack.

use crate::codec::{Reader, Writer};
use crate::compress::Codec;
use crate::digest::{ChunkKind, ChunkRef, NamingKey};
use crate::error::{Error, Flaw};
use crate::header::HEADER_LEN;
use crate::limits::{
    CHUNK_MAX, FRAME_CHUNKS_MAX, FRAME_PLAIN_MAX, PACK_BYTES_MAX, PACK_FRAMES_MAX, PACK_PLAIN_MAX, up_to,
};
use crate::seal::TAG_LEN;
use std::ops::Range;

const PART: &str = "pack index";
/// Kind, ref, and a length of one byte.
const CHUNK_LEN_MIN: usize = 34;
/// Codec, three numbers of one byte, and one chunk.
const FRAME_LEN_MIN: usize = 4 + CHUNK_LEN_MIN;

/// The index of one pack, as it stands sealed behind the frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackIndex {
    /// INVARIANT: every rule of docs/format.md, "Pack index"; only `push` and `decode` add to it.
    frames: Vec<FrameEntry>,
    plain_len: u64,
}

/// One frame of a pack: several chunks, compressed and sealed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameEntry {
    /// How its plaintext is compressed.
    pub codec: Codec,
    /// Where its sealed bytes begin in the pack: 64 for the first.
    pub offset: u64,
    /// How many sealed bytes it has in the pack, tag included.
    pub sealed_len: u32,
    /// How many bytes it has in the open: the sum of its chunks.
    pub plain_len: u32,
    /// Its chunks, back to back from the beginning of its plaintext; one at least.
    pub chunks: Vec<IndexedChunk>,
}

/// One chunk of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IndexedChunk {
    /// What it holds.
    pub kind: ChunkKind,
    /// Its name.
    pub chunk: ChunkRef,
    /// Its length in bytes: 1 to 8 MiB.
    pub len: u32,
}

impl PackIndex {
    /// The frames in the order of the pack. Never fails.
    pub fn frames(&self) -> &[FrameEntry] {
        &self.frames
    }

    /// All chunks of the pack, each with the number of its frame and its range in the plaintext of that frame.
    /// Never fails.
    pub fn chunks(&self) -> impl Iterator<Item = (u32, Range<usize>, &IndexedChunk)> {
        (0..)
            .zip(&self.frames)
            .flat_map(|(frame, entry)| entry.ranges().map(move |(range, chunk)| (frame, range, chunk)))
    }

    /// How many bytes all frames have in the open. Never fails.
    pub const fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// Where the frames end and the sealed index begins, in bytes from the beginning of the pack. Never fails.
    pub fn frames_end(&self) -> u64 {
        self.frames.last().map_or(HEADER_LEN as u64, |frame| frame.offset + u64::from(frame.sealed_len))
    }

    /// The bytes of the index in the open. Never fails.
    pub fn encode(&self) -> Vec<u8> {
        let chunks: usize = self.frames.iter().map(|frame| frame.chunks.len()).sum();
        let mut out = Vec::with_capacity(self.frames.len() * 12 + chunks * 36 + 16);
        let mut writer = Writer::new(&mut out);
        writer.count(self.frames.len());
        for frame in &self.frames {
            writer.u8(frame.codec as u8);
            writer.varint(u64::from(frame.sealed_len));
            writer.varint(u64::from(frame.plain_len));
            writer.count(frame.chunks.len());
            for chunk in &frame.chunks {
                writer.u8(chunk.kind as u8);
                writer.raw(chunk.chunk.as_bytes());
                writer.varint(u64::from(chunk.len));
            }
        }
        out
    }

    /// Reads an index in the open; where it stands in a file is for `open` to compare.
    /// Errors: anything that `encode` would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(PART, bytes);
        let count = reader.count(PACK_FRAMES_MAX.0, FRAME_LEN_MIN)?;
        let mut index = PackIndex::with_capacity(count);
        for _ in 0..count {
            let codec = Codec::from_u8(reader.u8()?).ok_or_else(|| reader.flaw(Flaw::Tag))?;
            let sealed_len = reader.varint_u32()?;
            let plain_len = reader.varint_u32()?;
            let chunks = chunks(&mut reader)?;
            index.push(codec, sealed_len, plain_len, chunks).map_err(|flaw| reader.flaw(flaw))?;
        }
        index.check_whole().map_err(|flaw| reader.flaw(flaw))?;
        reader.finish()?;
        Ok(index)
    }

    /// An index without frames, which `check_whole` does not accept.
    pub(crate) fn with_capacity(frames: usize) -> Self {
        Self { frames: Vec::with_capacity(frames), plain_len: 0 }
    }

    /// Adds a frame behind the last. The flaw: a rule that it breaks; the index is then as before.
    pub(crate) fn push(
        &mut self,
        codec: Codec,
        sealed_len: u32,
        plain_len: u32,
        chunks: Vec<IndexedChunk>,
    ) -> Result<(), Flaw> {
        let frame = FrameEntry { codec, offset: self.frames_end(), sealed_len, plain_len, chunks };
        frame.check()?;
        up_to(self.frames.len() as u64 + 1, PACK_FRAMES_MAX.0)?;
        up_to(frame.offset + u64::from(sealed_len), PACK_BYTES_MAX.0)?;
        up_to(self.plain_len + u64::from(plain_len), PACK_PLAIN_MAX.0)?;
        self.plain_len += u64::from(plain_len);
        self.frames.push(frame);
        Ok(())
    }

    /// What can be told only when all frames are there: one at least, and no chunk twice.
    pub(crate) fn check_whole(&self) -> Result<(), Flaw> {
        if self.frames.is_empty() {
            return Err(Flaw::Empty);
        }
        let mut refs: Vec<&ChunkRef> = self.chunks().map(|(_, _, chunk)| &chunk.chunk).collect();
        refs.sort_unstable();
        if refs.is_sorted_by(|one, next| one < next) { Ok(()) } else { Err(Flaw::Twice) }
    }
}

fn chunks(reader: &mut Reader<'_>) -> Result<Vec<IndexedChunk>, Error> {
    let count = reader.count(FRAME_CHUNKS_MAX.0, CHUNK_LEN_MIN)?;
    let mut chunks = Vec::with_capacity(count);
    for _ in 0..count {
        let kind = ChunkKind::from_u8(reader.u8()?).ok_or_else(|| reader.flaw(Flaw::Tag))?;
        let chunk = ChunkRef::from_bytes(reader.array()?);
        chunks.push(IndexedChunk { kind, chunk, len: reader.varint_u32()? });
    }
    Ok(chunks)
}

impl FrameEntry {
    /// Where its sealed bytes are in the pack. Never fails.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + u64::from(self.sealed_len)
    }

    /// Its chunks, each with its range in the plaintext of the frame. Never fails.
    pub fn ranges(&self) -> impl Iterator<Item = (Range<usize>, &IndexedChunk)> {
        let mut begin = 0;
        self.chunks.iter().map(move |chunk| {
            let range = begin..begin + chunk.len as usize;
            begin = range.end;
            (range, chunk)
        })
    }

    /// Compares every chunk in `plain`, the plaintext of this frame, with its name; `number` is the frame's, for the
    /// error. Errors: another length, or a chunk that is not what its name says.
    pub fn verify(&self, number: u32, naming: &NamingKey, plain: &[u8]) -> Result<(), Error> {
        if plain.len() != self.plain_len as usize {
            return Err(Error::Decompress { plain_len: self.plain_len });
        }
        for (position, (range, chunk)) in (0..).zip(self.ranges()) {
            if naming.name(chunk.kind, &plain[range]) != chunk.chunk {
                return Err(Error::Name { frame: number, chunk: position });
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Flaw> {
        up_to(u64::from(self.plain_len), FRAME_PLAIN_MAX.0)?;
        let packed_len = self.sealed_len.checked_sub(TAG_LEN as u32).ok_or(Flaw::Sum)?;
        let fits = match self.codec {
            Codec::Stored => packed_len == self.plain_len,
            Codec::Zstd => 0 < packed_len && packed_len < self.plain_len,
        };
        if !fits {
            return Err(Flaw::Sum);
        }
        if self.chunks.is_empty() {
            return Err(Flaw::Empty);
        }
        up_to(self.chunks.len() as u64, FRAME_CHUNKS_MAX.0)?;
        let mut sum = 0;
        for chunk in &self.chunks {
            if chunk.len == 0 {
                return Err(Flaw::Empty);
            }
            up_to(u64::from(chunk.len), CHUNK_MAX.0)?;
            sum += u64::from(chunk.len);
        }
        if sum == u64::from(self.plain_len) { Ok(()) } else { Err(Flaw::Sum) }
    }
}

#[cfg(test)]
mod tests;
