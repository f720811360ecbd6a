//! A pack: header, sealed frames, sealed index, trailer. Layout: docs/format.md, "Pack".
//! Refuses, on opening, whatever was changed, moved, cut off, or sealed for another run.

mod build;
mod open;
mod writer;

pub use build::{FrameSealer, PackBuilder, SealedFrame, SealedPack};
pub use open::{FrameOpener, OpenPack, index_tail_len, open_pack};
pub use writer::{FRAME_BYTES, PACK_BYTES, PACK_LEVEL, PACK_PLAIN, PackWriter};

const PART: &str = "pack";
const TRAILER_LEN: usize = 8;
const TRAILER_MAGIC: &[u8; 4] = b"HFPE";

#[cfg(test)]
mod tests;
