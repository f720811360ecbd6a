//! `verify-restore`: compares a snapshot with what is on the disk where it would be restored to. Content is cut by the
//! snapshot's pieces and named; a name is the proof, so none of it is fetched, and nothing but trees and lists is.
//! Refuses to write: it is given a `Source` and no `Target`. What the server's own bytes are is for its scrub.

mod entry;
mod here;
mod walk;

use crate::ctx::Ctx;
use crate::error::EngineError;
use crate::ports::{Remote, Source, TreeCache};
use crate::report::Problem;
use crate::restore::Selection;
use crate::trees::TreeReader;
use format::{ChunkRef, NamingKey, StoredPath};
use std::sync::Arc;
use walk::Walk;

/// Compares the selection with what `source` has. Ends only for what makes it impossible to go on: an entry that
/// differs is a difference, one that cannot be read is a problem.
///
/// # Errors
/// A path that is not in the snapshot, a server that refuses or cannot be reached.
pub async fn run(
    ctx: &Ctx,
    plan: &Plan,
    remote: Arc<dyn Remote>,
    cache: Arc<dyn TreeCache>,
    source: Arc<dyn Source>,
) -> Result<Outcome, EngineError> {
    let trees = TreeReader::new(plan.naming.clone(), remote, cache).with_refs_max(plan.refs_max);
    let mut walk = Walk::begin(ctx, plan, &trees, source).await?;
    while walk.step(&trees).await? {}
    Ok(walk.end().await)
}

/// What to compare.
pub struct Plan {
    /// The snapshot's root tree.
    pub root: ChunkRef,
    /// Names chunks: local content is named with it.
    pub naming: NamingKey,
    /// Which part of the snapshot.
    pub selection: Selection,
    /// Whether paths that are named are looked for where they were, and not by their last names as a restore of them
    /// puts them.
    pub is_in_place: bool,
    /// Whether entries that the snapshot does not have are counted.
    pub counts_extra: bool,
    /// Refs in one request.
    pub refs_max: usize,
}

/// A comparison came to its end.
#[derive(Debug)]
pub struct Outcome {
    /// How much was compared, and how it came out.
    pub counts: Counts,
    /// Entries that are not as in the snapshot, in stored-path order, the first so many.
    pub differences: Vec<Difference>,
    /// Entries that could not be compared, the first so many; `Progress` has the count.
    pub problems: Vec<Problem>,
}

/// How much was compared, and how it came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries of the snapshot that were looked for.
    pub entries: u64,
    /// The regular files among them.
    pub files: u64,
    /// Bytes of their content that were read and named, or found to be zeroes.
    pub bytes: u64,
    /// Entries that are not there; what is beneath a folder that is not there is counted with it.
    pub missing: u64,
    /// Entries that are there and not as in the snapshot.
    pub different: u64,
    /// Entries that the snapshot does not have, each without what is beneath it; 0 unless they are asked for. Without
    /// those in a folder of which the server lacks a part.
    pub extra: u64,
}

/// An entry that is not as in the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it would be restored to.
    pub path: StoredPath,
    /// In what; at least one.
    pub what: Vec<Aspect>,
}

/// In what an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// It is not there.
    Missing,
    /// Another kind of entry has its name; nothing else was compared.
    Kind,
    /// The file is longer or shorter; its content was not read.
    Size,
    /// The bytes of the file.
    Content,
    /// Where the link points.
    LinkTarget,
    /// Major or minor number of a device entry.
    Numbers,
    /// It is one file with other entries here and not in the snapshot, or the other way round.
    HardLink,
    /// Permission bits.
    Mode,
    /// Owning user.
    User,
    /// Owning group.
    Group,
    /// When its content changed.
    Mtime,
    /// Extended attributes.
    Xattrs,
}

impl Aspect {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Aspect::Missing => "missing",
            Aspect::Kind => "kind",
            Aspect::Size => "size",
            Aspect::Content => "content",
            Aspect::LinkTarget => "link_target",
            Aspect::Numbers => "numbers",
            Aspect::HardLink => "hard_link",
            Aspect::Mode => "mode",
            Aspect::User => "user",
            Aspect::Group => "group",
            Aspect::Mtime => "mtime",
            Aspect::Xattrs => "xattrs",
        }
    }
}
