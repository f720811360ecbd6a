//! Compression of a frame: zstd, or nothing where zstd does not pay.
//! Refuses compressed bytes that are not exactly one zstd frame of exactly the promised size.

use crate::error::Error;
use crate::limits::FRAME_PLAIN_MAX;
use std::cell::RefCell;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

/// How the plaintext of a frame is written before it is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// As it is.
    Stored = 0,
    /// One zstd frame that says its content size.
    Zstd = 1,
}

impl Codec {
    /// The codec with this number, or None if there is none. Never fails.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(Codec::Stored),
            1 => Some(Codec::Zstd),
            _ => None,
        }
    }
}

thread_local! {
    // A context is some hundred KiB of tables: it is made once for each thread, not for each frame of 256 KiB.
    static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    static PROBER: RefCell<Option<(Compressor<'static>, Vec<u8>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Replaces what is in `out` by `plain`, compressed at `level` (zstd's scale) or as it is when that does not save 3 %.
/// Leaves `spare` bytes of capacity after it. Never fails.
pub fn compress(plain: &[u8], level: i32, spare: usize, out: &mut Vec<u8>) -> Codec {
    out.clear();
    if plain.len() >= PROBED_MIN && !probe(plain) {
        out.reserve(plain.len() + spare);
        out.extend_from_slice(plain);
        return Codec::Stored;
    }
    out.reserve(zstd_safe::compress_bound(plain.len()) + spare);
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(made_for, _)| *made_for != level) {
            *slot = Some((level, Compressor::new(level).expect("zstd clamps a level to the ones that it knows")));
        }
        let (_, compressor) = slot.as_mut().expect("it was put there above");
        compressor.compress_to_buffer(plain, out).expect("the buffer has room for the worst case");
    });
    if saves_enough(plain.len(), out.len()) {
        return Codec::Zstd;
    }
    out.clear();
    out.extend_from_slice(plain);
    Codec::Stored
}

/// Anything shorter is compressed to find out.
const PROBED_MIN: usize = 512 << 10;
/// How much is looked at, and how long each stretch of it is.
const PROBE_LEN: usize = 32 << 10;
const PROBE_STRETCH_LEN: usize = 4 << 10;

/// Whether a look at stretches from all over `plain`, compressed as fast as zstd can, says that compression pays.
fn probe(plain: &[u8]) -> bool {
    const STRETCHES: usize = PROBE_LEN / PROBE_STRETCH_LEN;
    let step = (plain.len() - PROBE_STRETCH_LEN) / (STRETCHES - 1);
    PROBER.with_borrow_mut(|slot| {
        let (compressor, looked_at) = slot.get_or_insert_with(|| {
            let compressor = Compressor::new(1).expect("zstd clamps a level to the ones that it knows");
            (compressor, Vec::with_capacity(PROBE_LEN))
        });
        looked_at.clear();
        for stretch in 0..STRETCHES {
            looked_at.extend_from_slice(&plain[stretch * step..][..PROBE_STRETCH_LEN]);
        }
        let packed = compressor.compress(looked_at).expect("the buffer has room for the worst case");
        saves_enough(looked_at.len(), packed.len())
    })
}

/// Whether compression from `plain` to `packed` bytes saves at least 3 %.
const fn saves_enough(plain: usize, packed: usize) -> bool {
    packed.saturating_mul(100) <= plain.saturating_mul(97)
}

/// The plaintext of `bytes`, which must be `plain_len` bytes long.
/// Errors: not one whole zstd frame, another length, or a length above that of a frame.
pub fn decompress(codec: Codec, bytes: &[u8], plain_len: u32) -> Result<Vec<u8>, Error> {
    let error = Error::Decompress { plain_len };
    if u64::from(plain_len) > FRAME_PLAIN_MAX.0 {
        return Err(error);
    }
    if codec == Codec::Stored {
        return if bytes.len() == plain_len as usize { Ok(bytes.to_vec()) } else { Err(error) };
    }
    // The size is asked before a byte is allocated, and a second frame would be bytes that nobody counted.
    let declared = zstd_safe::get_frame_content_size(bytes).ok().flatten();
    let whole = zstd_safe::find_frame_compressed_size(bytes) == Ok(bytes.len());
    if declared != Some(u64::from(plain_len)) || !whole {
        return Err(error);
    }
    let plain = DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().expect("without a dictionary there is nothing to refuse")),
        };
        decompressor.decompress(bytes, plain_len as usize)
    });
    plain.ok().filter(|plain| plain.len() == plain_len as usize).ok_or(error)
}

#[cfg(test)]
mod tests;
