//! What a run has done so far, readable from any thread while it goes on. The rim decides how to show it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters that only grow.
#[derive(Debug, Default)]
pub struct Progress {
    files_seen: AtomicU64,
    files_opened: AtomicU64,
    bytes_seen: AtomicU64,
    bytes_read: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_fetched: AtomicU64,
    bytes_written: AtomicU64,
    chunks_new: AtomicU64,
    packs: AtomicU64,
    problems: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files that the scan came by, or that a restore has finished.
    pub files_seen: u64,
    /// Files that were opened to read their content.
    pub files_opened: u64,
    /// Logical bytes of the files seen.
    pub bytes_seen: u64,
    /// Bytes of content read from the source, or found at the target of a restore and not fetched.
    pub bytes_read: u64,
    /// Bytes of request bodies sent to the server.
    pub bytes_sent: u64,
    /// Bytes of answers fetched from the server.
    pub bytes_fetched: u64,
    /// Bytes of content written to the target.
    pub bytes_written: u64,
    /// Chunks that the server did not have.
    pub chunks_new: u64,
    /// Packs that it took.
    pub packs: u64,
    /// Entries with a problem.
    pub problems: u64,
}

macro_rules! counters {
    ($($add:ident $field:ident $what:literal;)*) => {
        impl Progress {
            $(
                #[doc = concat!("Adds ", $what, ". Never fails.")]
                pub fn $add(&self, n: u64) {
                    self.$field.fetch_add(n, Relaxed);
                }
            )*

            /// The counters now; each is exact, though not all of one moment. Never fails.
            pub fn totals(&self) -> Totals {
                Totals { $($field: self.$field.load(Relaxed)),* }
            }
        }
    };
}

counters! {
    add_files_seen files_seen "files seen";
    add_files_opened files_opened "files opened";
    add_bytes_seen bytes_seen "logical bytes of files seen";
    add_bytes_read bytes_read "bytes read from the source";
    add_bytes_sent bytes_sent "bytes sent to the server";
    add_bytes_fetched bytes_fetched "bytes fetched from the server";
    add_bytes_written bytes_written "bytes written to the target";
    add_chunks_new chunks_new "chunks that the server did not have";
    add_packs packs "packs taken by the server";
    add_problems problems "entries with a problem";
}
