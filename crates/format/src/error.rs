//! What can be wrong with stored bytes, or with what should become stored bytes.
//! Refuses to carry contents, names of entries or keys: an error may be logged.

use base::{Kind, RunId};

/// Why reading or writing a structure failed. Offsets are in bytes from the beginning of the structure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bytes do not decode: they are damaged, or this program would not have written them.
    #[error("the {part} is damaged at byte {offset}: {flaw}")]
    Decode {
        /// Which structure, in a word or two.
        part: &'static str,
        /// Where the reader stood.
        offset: u64,
        /// What it found there.
        flaw: Flaw,
    },
    /// A value cannot be encoded, because it breaks a rule of the format.
    #[error("the {part} cannot be written: {flaw}")]
    Encode {
        /// Which structure, in a word or two.
        part: &'static str,
        /// The rule that it breaks.
        flaw: Flaw,
    },
    /// A later Holdfast wrote it.
    #[error("the {part} has format version {version}, and this program reads up to {newest}")]
    Version {
        /// Which structure, in a word or two.
        part: &'static str,
        /// The version found.
        version: u16,
        /// The newest version that this build reads.
        newest: u16,
    },
    /// Authentication failed: the bytes were changed, moved, or sealed under another key.
    #[error("the {part} does not open: its bytes were changed, or it was sealed under another key")]
    Open {
        /// Which structure, in a word or two.
        part: &'static str,
    },
    /// Authentication of one frame of a pack failed.
    #[error("frame {frame} of the pack does not open: its bytes were changed, or it was sealed under another key")]
    Frame {
        /// The number of the frame, from 0.
        frame: u32,
    },
    /// Compressed bytes do not give what they must give.
    #[error("compressed bytes do not give the {plain_len} bytes that they stand for")]
    Decompress {
        /// How many bytes they must give.
        plain_len: u32,
    },
    /// A chunk is not what its name says.
    #[error("chunk {chunk} of frame {frame} is not what its name says")]
    Name {
        /// The number of the frame, from 0.
        frame: u32,
        /// The number of the chunk in its frame, from 0.
        chunk: u32,
    },
    /// The key that sealed an object is not at hand.
    #[error("no key with id {key_id} for {run}")]
    KeyUnknown {
        /// The id of the repository key.
        key_id: u32,
        /// The run that wrote the object.
        run: RunId,
    },
    /// The caller gave too little of the end of a pack.
    #[error("the index of the pack needs the last {need} bytes, and only {have} were given")]
    TailShort {
        /// Bytes given.
        have: u64,
        /// Bytes needed.
        need: u64,
    },
    /// The manifest was not signed with this device key.
    #[error("the manifest was not signed with this device key")]
    Signature,
    /// A text is not a name of the wanted kind.
    #[error("not {what}")]
    Text {
        /// What was wanted, with its article.
        what: &'static str,
    },
}

impl Error {
    /// What the caller should do about it. Never fails.
    pub const fn kind(&self) -> Kind {
        match self {
            Error::Decode { .. }
            | Error::Open { .. }
            | Error::Frame { .. }
            | Error::Decompress { .. }
            | Error::Name { .. }
            | Error::Signature => Kind::Damaged,
            Error::Encode { .. } | Error::Version { .. } | Error::TailShort { .. } | Error::Text { .. } => {
                Kind::Invalid
            }
            Error::KeyUnknown { .. } => Kind::NotFound,
        }
    }
}

/// The rule of the format that a value or its bytes break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The input ends inside a value.
    #[error("it ends too early")]
    Truncated,
    /// The input goes on after the last value.
    #[error("bytes are left over")]
    Trailing,
    /// A varint that is longer than its value needs.
    #[error("a number is longer than it needs to be")]
    VarintForm,
    /// A varint that does not fit in 64 bits.
    #[error("a number has more than 64 bits")]
    VarintRange,
    /// A number or a length above its limit (docs/format.md, "Limits").
    #[error("a value is above its limit of {max}")]
    Limit {
        /// The largest value allowed.
        max: u64,
    },
    /// A magic word or a reserved field is not what it must be.
    #[error("a fixed field has another value")]
    Fixed,
    /// A kind, codec, content tag or flag that this version does not know.
    #[error("a kind, codec or flag is unknown")]
    Tag,
    /// Something that must have at least one part, or one byte, has none.
    #[error("something is empty that must not be")]
    Empty,
    /// Names, owners or paths are not in strictly ascending order.
    #[error("the order is not strictly ascending")]
    Order,
    /// An entry name or a path is not allowed.
    #[error("a name is empty, too long, a dot name, or has a slash or a NUL in it")]
    Name,
    /// A text is not UTF-8, or a code is not a lower-case word.
    #[error("a text is not what it must be")]
    Text,
    /// Lengths or totals do not add up.
    #[error("lengths or totals do not add up")]
    Sum,
    /// An owner that no entry uses, or an entry that points outside the owner table.
    #[error("the owner table does not fit the entries")]
    Owner,
    /// Two holes of a file follow each other.
    #[error("two holes follow each other")]
    Holes,
    /// One chunk stands twice in one pack.
    #[error("a chunk stands twice in one pack")]
    Twice,
}
