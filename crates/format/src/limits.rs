//! Every limit of the format, in one place. Frozen: a value may rise only with a new format version.
//! Refused above these, on writing and on reading. Table: docs/format.md, "Limits".

use crate::error::Flaw;
use base::{Bytes, Count};

/// A whole pack, header and trailer included.
pub const PACK_BYTES_MAX: Bytes = Bytes::mib(64);
/// What all frames of one pack may hold in the open: it bounds the work of whoever verifies a pack.
pub const PACK_PLAIN_MAX: Bytes = Bytes::mib(1_024);
/// What one frame may hold in the open.
pub const FRAME_PLAIN_MAX: Bytes = Bytes::mib(16);
/// Frames of one pack.
pub const PACK_FRAMES_MAX: Count = Count(65_536);
/// Chunks of one frame.
pub const FRAME_CHUNKS_MAX: Count = Count(65_536);
/// One chunk: content, tree or list.
pub const CHUNK_MAX: Bytes = Bytes::mib(8);
/// Content that stands in the entry itself.
pub const INLINE_MAX: Bytes = Bytes(4_096);
/// The name of an entry.
pub const NAME_MAX: Bytes = Bytes(4_096);
/// A stored path in a manifest.
pub const PATH_MAX: Bytes = Bytes::kib(64);
/// The target of a symbolic link.
pub const SYMLINK_TARGET_MAX: Bytes = Bytes::kib(64);
/// The size of a file, and the length of a hole: 2^63 - 1.
pub const FILE_SIZE_MAX: Bytes = Bytes(i64::MAX as u64);
/// The name of a user or a group.
pub const OWNER_NAME_MAX: Bytes = Bytes(1_024);
/// The name of an extended attribute.
pub const XATTR_NAME_MAX: Bytes = Bytes(1_024);
/// The names and values of all extended attributes of one entry together.
pub const XATTRS_BYTES_MAX: Bytes = Bytes::mib(1);
/// Pieces that stand in the entry itself; a file of more has lists.
pub const ENTRY_PIECES_MAX: Count = Count(16_384);
/// Lists of one file.
pub const ENTRY_LISTS_MAX: Count = Count(16_384);
/// A whole manifest, header included.
pub const MANIFEST_BYTES_MAX: Bytes = Bytes::mib(4);
/// Folders named by a manifest.
pub const FOLDERS_MAX: Count = Count(4_096);
/// Problems that a manifest lists; it counts them all.
pub const PROBLEMS_LISTED_MAX: Count = Count(1_000);
/// What the listed problems may take up together, as they are encoded.
pub const PROBLEMS_BYTES_MAX: Bytes = Bytes::mib(1);
/// The code of a problem.
pub const PROBLEM_CODE_MAX: Bytes = Bytes(64);
/// The sentence of a problem.
pub const PROBLEM_SENTENCE_MAX: Bytes = Bytes(1_024);
/// The device's name, its operating system and the agent's version: each.
pub const LABEL_MAX: Bytes = Bytes(1_024);

/// A whole keyring, header included.
pub const KEYRING_BYTES_MAX: Bytes = Bytes::mib(16);
/// Repositories of a keyring; keys of one of them: each.
pub const KEYRING_KEYS_MAX: Count = Count(65_536);
/// The certificate of the authority and its private key, in a keyring: each.
pub const AUTHORITY_BYTES_MAX: Bytes = Bytes::kib(64);
/// A whole card, header included.
pub const CARD_BYTES_MAX: Bytes = Bytes::kib(64);

/// The flaw of a value above its limit.
pub(crate) const fn up_to(value: u64, max: u64) -> Result<(), Flaw> {
    if value <= max { Ok(()) } else { Err(Flaw::Limit { max }) }
}
