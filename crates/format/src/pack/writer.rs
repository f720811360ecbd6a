//! Puts chunks into packs one after the other, and says how long frames and packs are, whoever writes them. The engine
//! seals frames side by side, and fills its packs itself.
//! Refuses to put a chunk into one pack twice, and to make a pack that nobody may open.

use super::{FrameSealer, PackBuilder, SealedPack};
use crate::digest::ChunkId;
use crate::error::Error;
use crate::header::ObjectHeader;
use crate::index::IndexedChunk;
use crate::key::RunKey;
use crate::limits::FRAME_CHUNKS_MAX;
use base::{Bytes, Entropy, RunId};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// Chunks are put into one frame until it is this long (docs/performance.md, "Frame and level").
pub const FRAME_BYTES: Bytes = Bytes::kib(256);
/// A pack is closed when it is this long (docs/adr/0010-packs-of-8-mib.md).
pub const PACK_BYTES: Bytes = Bytes::mib(8);
/// … or when it holds this much in the open: what compresses to nothing must still be opened by who verifies it.
pub const PACK_PLAIN: Bytes = Bytes::mib(256);
/// How hard zstd tries.
pub const PACK_LEVEL: i32 = 3;

/// Packs of one run, one after the other. Chunks of trees and of content belong into writers of their own.
pub struct PackWriter {
    run_key: RunKey,
    key_id: u32,
    run: RunId,
    entropy: Arc<dyn Entropy>,
    sealer: FrameSealer,
    builder: PackBuilder,
    /// The next frame, and what is in it.
    plain: Vec<u8>,
    chunks: Vec<IndexedChunk>,
    /// What stands in this pack already.
    held: HashSet<ChunkId>,
}

impl PackWriter {
    /// A writer that has nothing yet. Never fails.
    pub fn new(run_key: RunKey, key_id: u32, run: RunId, entropy: Arc<dyn Entropy>) -> Self {
        let (sealer, builder) = begun(&run_key, key_id, run, entropy.as_ref());
        let (plain, chunks, held) = (Vec::new(), Vec::new(), HashSet::new());
        Self { run_key, key_id, run, entropy, sealer, builder, plain, chunks, held }
    }

    /// Adds a chunk, unless it stands in this pack already. Gives the pack that is full with it.
    /// Errors: an empty chunk, or one above the format's limit.
    pub fn add(&mut self, chunk: IndexedChunk, plain: &[u8]) -> Result<Option<SealedPack>, Error> {
        let is_full = self.plain.len() + plain.len() > FRAME_BYTES.0 as usize;
        if is_full || self.chunks.len() as u64 >= FRAME_CHUNKS_MAX.0 {
            self.seal()?;
        }
        if self.held.insert(chunk.chunk.id()) {
            self.plain.extend_from_slice(plain);
            self.chunks.push(chunk);
        }
        let is_long = (self.builder.bytes_len() + self.plain.len()) as u64 >= PACK_BYTES.0;
        if is_long || self.builder.plain_len() >= PACK_PLAIN.0 { self.finish() } else { Ok(None) }
    }

    /// Closes the pack, if anything is in it; the next chunk begins another. Errors: as `add`.
    pub fn finish(&mut self) -> Result<Option<SealedPack>, Error> {
        self.seal()?;
        if self.builder.plain_len() == 0 {
            return Ok(None);
        }
        let (sealer, builder) = begun(&self.run_key, self.key_id, self.run, self.entropy.as_ref());
        let sealer = std::mem::replace(&mut self.sealer, sealer);
        let builder = std::mem::replace(&mut self.builder, builder);
        self.held.clear();
        builder.finish(&sealer).map(Some)
    }

    /// Seals the frame that is on its way.
    fn seal(&mut self) -> Result<(), Error> {
        if !self.chunks.is_empty() {
            let frame = self.sealer.seal(self.builder.next_number(), &self.plain, PACK_LEVEL)?;
            self.builder.push(&frame, std::mem::take(&mut self.chunks))?;
            self.plain.clear();
        }
        Ok(())
    }
}

impl fmt::Debug for PackWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackWriter").field("run", &self.run).finish_non_exhaustive()
    }
}

fn begun(run_key: &RunKey, key_id: u32, run: RunId, entropy: &dyn Entropy) -> (FrameSealer, PackBuilder) {
    let header = ObjectHeader::mint(key_id, run, entropy);
    (FrameSealer::new(run_key, &header), PackBuilder::new(&header))
}
