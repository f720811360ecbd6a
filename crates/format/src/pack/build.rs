//! Seals frames, in any order and on any thread, and puts them together to a pack.
//! Refuses to seal one frame number twice: two plaintexts under one nonce would give the key away.

use super::{PART, TRAILER_LEN, TRAILER_MAGIC};
use crate::compress::{self, Codec};
use crate::digest::PackId;
use crate::error::{Error, Flaw};
use crate::header::{HEADER_LEN, Magic, ObjectHeader};
use crate::index::{IndexedChunk, PackIndex};
use crate::key::RunKey;
use crate::limits::{FRAME_PLAIN_MAX, PACK_BYTES_MAX, PACK_FRAMES_MAX};
use crate::seal::{SealKey, SealNonce, TAG_LEN};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Compresses and seals the frames of one pack. Clones share what they have sealed, so that threads can have one each.
#[derive(Clone)]
pub struct FrameSealer {
    shared: Arc<Shared>,
}

struct Shared {
    key: SealKey,
    header: [u8; HEADER_LEN],
    /// Which frame numbers were sealed, and whether the index was.
    sealed: Mutex<Sealed>,
}

#[derive(Default)]
struct Sealed {
    frames: Vec<bool>,
    index: bool,
}

/// One frame, ready for its pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedFrame {
    number: u32,
    codec: Codec,
    plain_len: u32,
    bytes: Vec<u8>,
}

/// A whole pack, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPack {
    /// Its name.
    pub id: PackId,
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// What it holds.
    pub index: PackIndex,
}

impl FrameSealer {
    /// The sealer of the pack with this header; make one for each header and clone it. Never fails.
    pub fn new(run_key: &RunKey, header: &ObjectHeader) -> Self {
        let key = run_key.pack_key(&header.salt);
        let shared = Shared { key, header: header.encode(Magic::Pack), sealed: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Compresses `plain` at `level` (zstd's scale) where that pays, and seals it as frame `number`, from 0. A number
    /// that was sealed before is a bug, and ends the program. Errors: no bytes, more than 16 MiB, a number above limit.
    pub fn seal(&self, number: u32, plain: &[u8], level: i32) -> Result<SealedFrame, Error> {
        let error = |flaw| Error::Encode { part: "frame", flaw };
        if plain.is_empty() {
            return Err(error(Flaw::Empty));
        }
        if plain.len() as u64 > FRAME_PLAIN_MAX.0 {
            return Err(error(Flaw::Limit { max: FRAME_PLAIN_MAX.0 }));
        }
        if u64::from(number) >= PACK_FRAMES_MAX.0 {
            return Err(error(Flaw::Limit { max: PACK_FRAMES_MAX.0 - 1 }));
        }
        self.take_number(number);
        let mut bytes = Vec::new();
        let codec = compress::compress(plain, level, TAG_LEN, &mut bytes);
        self.shared.key.seal(SealNonce::frame(number), &self.shared.header, &mut bytes, 0);
        Ok(SealedFrame { number, codec, plain_len: plain.len() as u32, bytes })
    }

    fn take_number(&self, number: u32) {
        let number = number as usize;
        let mut sealed = self.shared.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        if sealed.frames.len() <= number {
            sealed.frames.resize(number + 1, false);
        }
        assert!(!std::mem::replace(&mut sealed.frames[number], true), "frame {number} was sealed before in this pack");
    }

    fn seal_index(&self, index: &PackIndex, out: &mut Vec<u8>) {
        let mut sealed = self.shared.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!std::mem::replace(&mut sealed.index, true), "the index of this pack was sealed before");
        let from = out.len();
        out.extend_from_slice(&index.encode());
        self.shared.key.seal(SealNonce::INDEX, &self.shared.header, out, from);
    }
}

impl fmt::Debug for FrameSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameSealer")
    }
}

impl SealedFrame {
    /// Its number in the pack, from 0. Never fails.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// How its plaintext is compressed. Never fails.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// How many bytes it had in the open. Never fails.
    pub const fn plain_len(&self) -> u32 {
        self.plain_len
    }

    /// How many bytes it takes in the pack. Never fails.
    pub const fn sealed_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Takes sealed frames in the order of their numbers, and makes a pack of them.
#[derive(Debug)]
pub struct PackBuilder {
    bytes: Vec<u8>,
    index: PackIndex,
    /// An upper bound of the encoded index.
    index_len: usize,
}

impl PackBuilder {
    /// A pack with this header and no frames. Never fails.
    pub fn new(header: &ObjectHeader) -> Self {
        let index = PackIndex::with_capacity(64);
        Self { bytes: header.encode(Magic::Pack).to_vec(), index, index_len: VARINT_U32_LEN_MAX }
    }

    /// The number that the next frame must have. Never fails.
    pub fn next_number(&self) -> u32 {
        u32::try_from(self.index.frames().len()).expect("a pack has at most 65,536 frames")
    }

    /// At most how many bytes the pack would have if it were finished now. Never fails.
    pub const fn bytes_len(&self) -> usize {
        self.bytes.len() + self.index_len + TAG_LEN + TRAILER_LEN
    }

    /// How many bytes its frames have in the open. Never fails.
    pub const fn plain_len(&self) -> u64 {
        self.index.plain_len()
    }

    /// Adds a frame behind the last; `chunks` are back to back in its plaintext.
    /// Errors: a number other than `next_number`, lengths that do not add up, or a limit of the pack; the pack is then
    /// as before.
    pub fn push(&mut self, frame: &SealedFrame, chunks: Vec<IndexedChunk>) -> Result<(), Error> {
        let error = |flaw| Error::Encode { part: PART, flaw };
        if frame.number as usize != self.index.frames().len() {
            return Err(error(Flaw::Order));
        }
        let row_len = FRAME_ROW_LEN_MAX + chunks.len() * CHUNK_ROW_LEN_MAX;
        if (self.bytes_len() + frame.bytes.len() + row_len) as u64 > PACK_BYTES_MAX.0 {
            return Err(error(Flaw::Limit { max: PACK_BYTES_MAX.0 }));
        }
        let sealed_len = u32::try_from(frame.bytes.len()).expect("a frame is far below 4 GiB");
        self.index.push(frame.codec, sealed_len, frame.plain_len, chunks).map_err(error)?;
        self.index_len += row_len;
        self.bytes.extend_from_slice(&frame.bytes);
        Ok(())
    }

    /// Seals the index and closes the pack; `sealer` is the one that sealed the frames, and another is a bug that ends
    /// the program. Errors: no frame, or a chunk that stands twice.
    pub fn finish(self, sealer: &FrameSealer) -> Result<SealedPack, Error> {
        assert!(self.bytes.starts_with(&sealer.shared.header), "the frames and the index of a pack have one header");
        self.index.check_whole().map_err(|flaw| Error::Encode { part: PART, flaw })?;
        let Self { mut bytes, index, .. } = self;
        let frames_end = bytes.len();
        sealer.seal_index(&index, &mut bytes);
        let sealed_len = u32::try_from(bytes.len() - frames_end).expect("push has kept the pack below 64 MiB");
        bytes.extend_from_slice(&sealed_len.to_le_bytes());
        bytes.extend_from_slice(TRAILER_MAGIC);
        Ok(SealedPack { id: PackId::of(&bytes), bytes, index })
    }
}

const VARINT_U32_LEN_MAX: usize = 5;
/// Codec and three numbers.
const FRAME_ROW_LEN_MAX: usize = 1 + 3 * VARINT_U32_LEN_MAX;
/// Kind, ref and a length.
const CHUNK_ROW_LEN_MAX: usize = 1 + 32 + VARINT_U32_LEN_MAX;
