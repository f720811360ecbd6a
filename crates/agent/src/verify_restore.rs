//! `holdfast verify-restore`: opens a run that reads a snapshot and lets the engine compare it with this computer.
//! Refuses to write anything here, and to fetch content: what is here is named, and its names are compared.

use crate::backup::context;
use crate::cache::FileCache;
use crate::error::AgentError;
use crate::files::FolderSource;
use crate::remote::{Around, Connection};
use crate::restore::distinct;
use crate::snapshots::Reading;
use crate::state::StateDir;
use base::{SnapshotId, Span};
use engine::compare::{Counts, Difference, Plan};
use engine::restore::Selection;
use engine::{Problem, Totals};
use format::StoredPath;
use protocol::agent::run::SnapshotDetail;
use std::path::PathBuf;
use std::sync::Arc;

/// A comparison came to its end.
#[derive(Debug)]
pub struct Verified {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The folder below which its entries were looked for.
    pub at: PathBuf,
    /// What was asked for; empty for everything.
    pub paths: Vec<StoredPath>,
    /// How long it took.
    pub took: Span,
    /// What was fetched, and how many problems there are.
    pub totals: Totals,
    /// How much was compared, and how it came out.
    pub counts: Counts,
    /// Whether entries that the snapshot does not have were counted.
    pub counts_extra: bool,
    /// Entries that differ, the first so many.
    pub differences: Vec<Difference>,
    /// Entries that could not be compared, the first so many.
    pub problems: Vec<Problem>,
}

impl Verified {
    /// How many entries differ, those that are missing among them. Never fails.
    pub fn difference_count(&self) -> u64 {
        self.counts.missing + self.counts.different
    }
}

/// What to compare with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What a person calls the snapshot.
    pub snapshot: String,
    /// Entries of it; empty for everything.
    pub paths: Vec<StoredPath>,
    /// The folder into which it was restored; `None` for where everything was.
    pub to: Option<PathBuf>,
    /// Whether entries that the snapshot does not have are counted.
    pub counts_extra: bool,
}

/// Compares. `begun` is called with what the server says of the snapshot, so that progress knows how much there is.
///
/// # Errors
/// Not activated; two paths that a restore would put in one place; a snapshot or path that is not there; the server
/// refuses or cannot be reached; there is no such folder.
pub async fn run(
    around: &Around,
    dir: &StateDir,
    wanted: Wanted,
    begun: impl FnOnce(&SnapshotDetail),
) -> Result<Verified, AgentError> {
    let Wanted { snapshot, paths, to, counts_extra } = wanted;
    let (state, key) = dir.activated()?;
    let paths = if to.is_some() { distinct(paths)? } else { each_once(paths) };
    let began_at = around.clock.now();
    let at = to.clone().unwrap_or_else(|| PathBuf::from("/"));
    let source = FolderSource::below(&at).map_err(AgentError::file("opening the folder", &at))?;
    let source = Arc::new(match to {
        Some(_) => source,
        // What Holdfast keeps for itself is in no snapshot.
        None => source.without(dir.path()),
    });
    let connection = Arc::new(Connection::of_device(dir, &state, key, around)?);
    let reading = Reading::begin(around, &connection, &snapshot).await?;
    begun(&reading.detail);

    let selection = if paths.is_empty() { Selection::Everything } else { Selection::Paths(paths.clone()) };
    let plan = Plan {
        root: reading.root,
        naming: reading.naming.clone(),
        selection,
        is_in_place: to.is_none(),
        counts_extra,
        refs_max: reading.refs_max as usize,
    };
    let cache = Arc::new(FileCache::read_only(&dir.cache_file(), state.device));
    let ran = engine::compare::run(&context(around), &plan, reading.remote(), cache, source).await;
    reading.end().await;
    let engine::compare::Outcome { counts, differences, problems } = ran.map_err(AgentError::Run)?;
    let (took, totals) = (around.clock.now().since(began_at), around.progress.totals());
    let snapshot = reading.snapshot;
    Ok(Verified { snapshot, at, paths, took, totals, counts, counts_extra, differences, problems })
}

/// The paths, without those that lie below another one. The root is the same as naming nothing.
fn each_once(mut paths: Vec<StoredPath>) -> Vec<StoredPath> {
    paths.sort();
    // In stored-path order a directory stands right before everything in it.
    paths.dedup_by(|path, above| path.starts_with(above));
    paths.retain(|path| !path.is_root());
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_another_one_is_compared_once_and_the_root_is_everything() {
        let path = |text: &str| StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path");
        let given = vec![path("a/b"), path("c/d"), path("a"), path("a-b"), path("a/b/c"), path("c/d")];
        assert_eq!(each_once(given), vec![path("a"), path("a-b"), path("c/d")]);
        assert_eq!(each_once(vec![path("a"), path("")]), vec![]);
    }
}
