//! The server's half of a backup: dedupe, upload, verify, commit; `runs` has begin and abort.
//! Refuses to believe a device: every pack is opened and every name recomputed before anything in it is known, and
//! every tree is followed to its end before a snapshot is. What is durable before what: docs/ordering.md.

mod body;
mod closure;
mod commit;
mod contents;
mod dedupe;
mod upload;
mod verify;

pub(crate) use closure::{Closure, Index};
pub use commit::{Committed, Reported, commit};
pub(crate) use contents::verify_frame;
pub use dedupe::{claims, dedupe};
pub(crate) use upload::put_error;
pub use upload::{Uploaded, upload};
pub use verify::verify;

use crate::AppError;
use control::Refusal;
use std::fmt;

/// A refusal with what exactly was found, for whoever looks into it: code, kind and advice stay the refusal's.
pub(crate) fn refused(refusal: &Refusal, found: &dyn fmt::Display) -> AppError {
    AppError::Said {
        kind: refusal.kind(),
        code: refusal.code(),
        sentence: format!("{refusal} Found: {found}."),
        retry: refusal.retry(),
    }
}

/// A bitmap of `len` bits in which those at `positions` are set: bit `i` is bit `i % 8` of byte `i / 8`.
fn bitmap(len: usize, positions: &[u32]) -> Vec<u8> {
    let mut bits = vec![0; len.div_ceil(8)];
    for position in positions {
        bits[*position as usize / 8] |= 1 << (position % 8);
    }
    bits
}

/// Fails when one request carries more refs or ids than it may.
fn few_or_refuse(count: usize) -> Result<(), AppError> {
    if count as u64 > crate::runs::REFS_MAX.0 { Err(Refusal::RequestTooLarge.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_has_a_bit_for_each_position_and_no_byte_too_many() {
        assert_eq!(bitmap(0, &[]), [0_u8; 0]);
        assert_eq!(bitmap(8, &[0, 7]), [0b1000_0001]);
        assert_eq!(bitmap(9, &[1, 8]), [0b0000_0010, 0b0000_0001]);
    }
}
