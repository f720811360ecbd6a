//! The only place where a Rust type promises a wire form: messages between endpoint and server, version 1.
//! Refuses rules and I/O. Every message is described in docs/protocol.md and frozen in testdata/protocol.

pub mod agent;
mod path_text;
mod problem;
mod text;
mod version;

pub use path_text::{path_from_text, path_to_text};
pub use problem::Problem;
pub use text::{Hex, HexBytes, Text};
pub use version::{PROTOCOL_VERSION, Versions};
