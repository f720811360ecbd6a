//! Backup and restore over three ports: where files come from (`Source`), where they go (`Target`), and the
//! server (`Remote`). The same code runs at the endpoint, in the server and in the simulator.
//! Refuses to know a file system, a network or a clock of its own. The steps have one word each, here, on the
//! wire and in `app`: begin, scan, chunk, dedupe, pack, upload, verify, commit (docs/protocol.md).

pub mod backup;
mod changes;
pub mod compare;
mod cpu;
mod ctx;
pub mod cutter;
mod error;
mod named;
mod names;
mod ports;
mod progress;
mod report;
pub mod restore;
mod trees;
mod unchanged;

pub use changes::{Changes, Visit};
pub use cpu::Cpu;
pub use ctx::Ctx;
pub use error::{EngineError, RemoteError, SourceError, TargetError};
pub use names::Names;
pub use ports::{
    Committed, Details, EntryKind, Extent, Found, Listing, More, Parcel, Remote, Source, SourceFile, Stat, Target,
    TargetFile, There, TreeCache, Uploaded, write_by_part,
};
pub use progress::{Progress, Totals};
pub use report::Problem;
pub use trees::TreeReader;
