//! Every byte that Holdfast stores, and nothing else: no I/O, no async, no clock, no randomness of its own.
//! Refuses, on reading, whatever it would not itself have written. The bytes are specified in docs/format.md.
//!
//! From the outside in:
//!
//! | object | module | holds |
//! |---|---|---|
//! | pack | [`pack`](open_pack), `index` | sealed frames of chunks, and a sealed index of them |
//! | manifest | `manifest` | the sealed and signed root record of a snapshot |
//! | keyring | `keyring` | every key of an installation, sealed by its master key |
//! | card | `card` | whose a device is, sealed |
//! | age | `age` | how far database and store have come together |
//!
//! | chunk | module | holds |
//! |---|---|---|
//! | content | – | bytes of files |
//! | tree | `tree` | the entries of one directory, or the pages of a very large one |
//! | list | `list` | the pieces of a very large file |
//!
//! Below them: `codec` (varints, byte strings), `digest` (names), `key` (keys), `seal` (encryption), `compress`,
//! `path`, `object` (where in the store), `limits`.

mod age;
mod card;
pub mod codec;
pub mod compress;
mod digest;
mod error;
mod header;
mod index;
mod key;
mod keyring;
pub mod limits;
mod list;
mod manifest;
pub mod object;
mod pack;
mod path;
mod piece;
mod seal;
mod tree;

pub use age::Age;
pub use card::Card;
pub use compress::Codec;
pub use digest::{ChunkId, ChunkKind, ChunkRef, NamingKey, PackHasher, PackId};
pub use error::{Error, Flaw};
pub use header::ObjectHeader;
pub use index::{FrameEntry, IndexedChunk, PackIndex};
pub use key::{RepositoryKey, RunKey};
pub use keyring::{KeyPurpose, Keyring, KeyringKey, KeyringRepository};
pub use list::List;
pub use manifest::{ListedProblem, Manifest, Problems, SignedManifest};
pub use object::ObjectName;
pub use pack::{
    FRAME_BYTES, FrameOpener, FrameSealer, OpenPack, PACK_BYTES, PACK_LEVEL, PACK_PLAIN, PackBuilder, PackWriter,
    SealedFrame, SealedPack, index_tail_len, open_pack,
};
pub use path::{StoredPath, is_entry_name};
pub use piece::{Piece, Pieces};
pub use tree::{
    Body, BodyView, Content, ContentView, Entry, EntryBody, EntryView, FileTime, LeafView, ListRef, Meta, Page, Totals,
    Tree, TreeBody, TreeView, Xattr,
};
