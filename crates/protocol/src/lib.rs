//! The only place where a Rust type promises a wire form: messages between endpoint and server, version 1, and
//! those of the admin API.
//! Refuses rules and I/O. Every message is described in docs/protocol.md or docs/openapi.json and frozen.

pub mod admin;
pub mod agent;
mod path_text;
mod problem;
mod text;
mod version;

pub use path_text::{path_from_text, path_to_text};
pub use problem::{Problem, RetryWord};
pub use text::{Hex, HexBytes, Text};
pub use version::{PROTOCOL_VERSION, Versions};
