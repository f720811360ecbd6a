//! One restore, top to bottom: resolve what is wanted into files and pieces, window by window, less what is here
//! already by its names; locate their chunks, fetch them in the order in which they lie, open and write each once; then
//! confirm: names, metadata and links last.
//! Refuses to end for one file: what cannot be read or written is a problem in the outcome, the rest is restored.

mod confirm;
mod fetch;
mod here;
mod resolve;
mod small;
mod work;
mod write;

use crate::ctx::Ctx;
use crate::error::EngineError;
use crate::ports::{Remote, Target, TreeCache};
use crate::report::Problem;
use crate::trees::TreeReader;
use format::{ChunkRef, NamingKey, StoredPath};
use std::sync::Arc;
use tokio::sync::mpsc::channel;
use tokio::try_join;
use work::{Later, Problems};

/// Restores the selection below the target. Paths that are named land there by their last name; everything lands
/// there by its whole stored path.
///
/// # Errors
/// A path that is not in the snapshot, a server that refuses or cannot be reached, a full disk. What was restored
/// until then stays, and a second restore fetches only the rest.
pub async fn run(
    ctx: &Ctx,
    plan: &Plan,
    remote: Arc<dyn Remote>,
    cache: Arc<dyn TreeCache>,
    target: Arc<dyn Target>,
) -> Result<Outcome, EngineError> {
    let trees = TreeReader::new(plan.naming.clone(), Arc::clone(&remote), cache).with_refs_max(plan.refs_max);
    let problems = Problems::new(Arc::clone(&ctx.progress));
    let mut later = Later::default();
    let mut walk = resolve::Walk::begin(plan, &trees).await?;
    let (windows_tx, mut windows_rx) = channel(WINDOWS_MAX);
    let resolve = async {
        while let Some(window) = walk.next_window(ctx, plan, &trees, &target, &problems, &mut later).await? {
            let in_order = fetch::locate(plan, &remote, &window).await?;
            // A closed queue means that the other step ended with an error, which is the one to report.
            if windows_tx.send((window, in_order)).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        drop(windows_tx);
        Ok(())
    };
    let fetch = async {
        while let Some(window) = windows_rx.recv().await {
            fetch::window(ctx, plan, &remote, &target, &problems, window).await?;
            if problems.is_full() {
                return Err(EngineError::TargetFull);
            }
        }
        Ok(())
    };
    try_join!(resolve, fetch)?;
    confirm::finish(ctx, &target, &problems, later).await;
    if problems.is_full() {
        return Err(EngineError::TargetFull);
    }
    Ok(Outcome { problems: problems.into_list() })
}

/// Windows that are resolved ahead of the one that is fetched.
const WINDOWS_MAX: usize = 1;

/// What to restore.
pub struct Plan {
    /// The snapshot's root tree.
    pub root: ChunkRef,
    /// Names chunks: everything that comes back is named again.
    pub naming: NamingKey,
    /// Which part of it.
    pub selection: Selection,
    /// Refs in one request.
    pub refs_max: usize,
}

/// Which part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of it.
    Everything,
    /// These entries and what is beneath them; no two with the same last name.
    Paths(Vec<StoredPath>),
}

/// A restore came to its end.
#[derive(Debug)]
pub struct Outcome {
    /// What went wrong with single entries, the first so many; `Progress` has the count.
    pub problems: Vec<Problem>,
}
