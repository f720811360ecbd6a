//! The file system of this computer as the engine's two ports: `FolderSource` reads, `FolderTarget` writes.
//! Refuses to follow a symbolic link on any way, and to build a path longer than the kernel takes. Linux.

mod beneath;
mod filter;
mod meta;
mod owners;
mod source;
mod target;

pub use filter::{BadPattern, FilteredSource, Selection};
pub use source::FolderSource;
pub use target::FolderTarget;
