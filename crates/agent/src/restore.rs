//! `holdfast restore`: opens a run that reads a snapshot, builds the ports, lets the engine work.
//! Refuses two paths that would land under one name.

use crate::backup::context;
use crate::cache::FileCache;
use crate::error::AgentError;
use crate::files::FolderTarget;
use crate::remote::{Around, Connection};
use crate::snapshots::Reading;
use crate::state::StateDir;
use base::{SnapshotId, Span};
use engine::restore::{Plan, Selection};
use engine::{Problem, Totals};
use format::StoredPath;
use protocol::agent::run::SnapshotDetail;
use std::path::PathBuf;
use std::sync::Arc;

/// A restore came to its end.
#[derive(Debug)]
pub struct Restored {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Where its entries are now.
    pub to: PathBuf,
    /// What was asked for; empty for everything.
    pub paths: Vec<StoredPath>,
    /// Entries that were left out because something had their name; 0 where such are replaced.
    pub kept: u64,
    /// How long it took.
    pub took: Span,
    /// What was fetched and written.
    pub totals: Totals,
    /// What went wrong with single entries, the first so many.
    pub problems: Vec<Problem>,
}

/// Where a restore writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder.
    pub to: PathBuf,
    /// Whether what is there stays as it is; else files of the same name are replaced.
    pub keep: bool,
}

impl Place {
    /// Where everything was when it was backed up, with what is there now as it is. Never fails.
    pub fn original() -> Self {
        Self { to: PathBuf::from("/"), keep: true }
    }
}

/// Restores `paths` of a snapshot, or all of it, at `to`. `begun` is called with what the server says of the
/// snapshot, so that progress knows how much there is.
///
/// # Errors
/// Not activated; two paths with one last name; a snapshot or path that is not there; the server refuses or cannot be
/// reached; `to` cannot be written or its disk is full.
pub async fn run(
    around: &Around,
    dir: &StateDir,
    snapshot: &str,
    paths: Vec<StoredPath>,
    to: &Place,
    begun: impl FnOnce(&SnapshotDetail),
) -> Result<Restored, AgentError> {
    let (state, key) = dir.activated()?;
    let paths = distinct(paths)?;
    let began_at = around.clock.now();
    let connection = Arc::new(Connection::of_device(dir, &state, key, around)?);
    let reading = Reading::begin(around, &connection, snapshot).await?;
    // ORDER: the folder is made only now that there is something to put in it.
    let target = FolderTarget::open(&to.to).map_err(AgentError::file("opening the folder", &to.to))?;
    let target = Arc::new(if to.keep { target.keeping() } else { target });
    begun(&reading.detail);

    let selection = if paths.is_empty() { Selection::Everything } else { Selection::Paths(paths.clone()) };
    let plan =
        Plan { root: reading.root, naming: reading.naming.clone(), selection, refs_max: reading.refs_max as usize };
    let cache = Arc::new(FileCache::read_only(&dir.cache_file(), state.device));
    let ran = engine::restore::run(&context(around), &plan, reading.remote(), cache, Arc::clone(&target) as _).await;
    reading.end().await;
    let problems = ran.map_err(AgentError::Run)?.problems;
    let took = around.clock.now().since(began_at);
    let totals = around.progress.totals();
    let (to, kept) = (to.to.clone(), target.kept());
    Ok(Restored { snapshot: reading.snapshot, to, paths, kept, took, totals, problems })
}

/// The paths, each once. The root is the same as naming nothing.
///
/// # Errors
/// Two of them end in the same name.
pub(crate) fn distinct(mut paths: Vec<StoredPath>) -> Result<Vec<StoredPath>, AgentError> {
    paths.sort();
    paths.dedup();
    if paths.iter().any(StoredPath::is_root) {
        return Ok(Vec::new());
    }
    let mut names: Vec<&[u8]> = paths.iter().filter_map(StoredPath::name).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let sentence = format!(
            "two of the paths end in {} and would land in the same place: restore them into two folders",
            String::from_utf8_lossy(pair[0]).escape_debug()
        );
        return Err(AgentError::usage("same_name", sentence));
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> StoredPath {
        StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path")
    }

    #[test]
    fn paths_with_one_last_name_are_refused_and_the_root_is_everything() {
        assert_eq!(distinct(vec![path("a/b"), path("a/b"), path("c")]).expect("two"), vec![path("a/b"), path("c")]);
        assert_eq!(distinct(vec![path("a"), path("")]).expect("all"), vec![]);
        let refused = distinct(vec![path("a/doc"), path("b/doc")]).expect_err("one place");
        assert_eq!(refused.code(), "same_name");
    }
}
