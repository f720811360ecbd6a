//! The names of chunks and packs, and the key that makes the names of chunks.
//! Refuses to print a `ChunkRef`: whoever has it can claim the chunk. Text forms are 64 lower-case hex digits.

use crate::error::Error;
use base::Secret;
use std::fmt;
use std::str::FromStr;

const CHUNK_ID_CONTEXT: &str = "holdfast 2026 v1 chunk id";

/// What a chunk holds. The name of a chunk depends on it, so that a tree is never taken for content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ChunkKind {
    /// Bytes of files.
    Content = 0,
    /// The entries of a directory, see [`Tree`](crate::Tree).
    Tree = 1,
    /// The pieces of a very large file, see [`List`](crate::List).
    List = 2,
}

impl ChunkKind {
    /// The kind with this number, or None if there is none. Never fails.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            0 => Some(ChunkKind::Content),
            1 => Some(ChunkKind::Tree),
            2 => Some(ChunkKind::List),
            _ => None,
        }
    }

    const fn context(self) -> &'static str {
        match self {
            ChunkKind::Content => "holdfast 2026 v1 name content",
            ChunkKind::Tree => "holdfast 2026 v1 name tree",
            ChunkKind::List => "holdfast 2026 v1 name list",
        }
    }
}

/// The secret under which chunks get their names: one for each domain of deduplication.
#[derive(Clone, Debug)]
pub struct NamingKey {
    /// In the order of the numbers of `ChunkKind`.
    subkeys: [Secret<32>; 3],
}

impl NamingKey {
    /// Prepares the key; `secret` is what is kept and sent. Never fails.
    pub fn new(secret: &Secret<32>) -> Self {
        let subkey = |kind: ChunkKind| Secret::new(blake3::derive_key(kind.context(), secret.expose()));
        Self { subkeys: [subkey(ChunkKind::Content), subkey(ChunkKind::Tree), subkey(ChunkKind::List)] }
    }

    /// The name of a chunk of this kind with this plaintext. Never fails.
    pub fn name(&self, kind: ChunkKind, plain: &[u8]) -> ChunkRef {
        ChunkRef(*blake3::keyed_hash(self.subkeys[kind as usize].expose(), plain).as_bytes())
    }
}

/// The secret name of a chunk: keyed BLAKE3 of its kind and plaintext. Knowing it proves having had the chunk, so it
/// stands only in sealed bytes and in requests of the device. `Debug` shows 4 digits, and there is no `Display`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkRef([u8; 32]);

impl ChunkRef {
    /// The ref with these bytes. Never fails.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes. Never fails.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public name of the same chunk, from which the ref cannot be found. Never fails.
    pub fn id(&self) -> ChunkId {
        ChunkId(blake3::derive_key(CHUNK_ID_CONTEXT, &self.0))
    }
}

impl fmt::Debug for ChunkRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkRef({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// BLAKE3 of all bytes of a pack, fed in parts. For a reader that sees the pack only in passing.
#[derive(Clone, Debug, Default)]
pub struct PackHasher(blake3::Hasher);

impl PackHasher {
    /// A hasher that has seen nothing. Never fails.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the pack. Never fails.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The name of the pack that has these bytes. Never fails.
    pub fn finish(&self) -> PackId {
        PackId(*self.0.finalize().as_bytes())
    }
}

impl PackId {
    /// The name of the pack with these bytes. Never fails.
    pub fn of(pack: &[u8]) -> Self {
        Self(*blake3::hash(pack).as_bytes())
    }
}

macro_rules! public_name {
    ($name:ident, $what:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// The name with these bytes. Never fails.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes. Never fails.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Errors: anything but 64 lower-case hex digits.
            fn from_str(text: &str) -> Result<Self, Error> {
                from_hex(text).map(Self).ok_or(Error::Text { what: $what })
            }
        }
    };
}

public_name!(
    ChunkId,
    "a chunk id of 64 lower-case hex digits",
    "The public name of a chunk: BLAKE3 of its ref. For indexes, logs and listings; it claims nothing."
);
public_name!(PackId, "a pack id of 64 lower-case hex digits", "The name of a pack: BLAKE3 of all its bytes.");

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// A lower-case hex digit only: a name has one text form.
const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
