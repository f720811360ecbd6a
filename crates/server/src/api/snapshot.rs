//! The device's snapshots: a page of them, one, and what went wrong with single entries of it.

use crate::extract::{AtDevice, Named, Query};
use crate::reply::{Reply, Yes};
use app::page::{LIMIT_MAX, PageAsk};
use app::snapshots::{self, Newest, SnapshotView};
use base::SnapshotId;
use format::{ListedProblem, StoredPath, Totals};
use protocol::agent::run::{self as wire, EntryProblem, SnapshotDetail, SnapshotListReply};
use protocol::{Hex, HexBytes, Text, path_to_text};
use serde::Deserialize;

/// The query of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// `next` of the page before.
    after: Option<String>,
    /// How many; as many as a page may have when it is not said.
    limit: Option<u64>,
}

/// `GET /v1/snapshots`.
pub(crate) async fn list(at: AtDevice, Query(page): Query<Page>) -> Reply<SnapshotListReply> {
    let ask = PageAsk::new(page.after, Some(page.limit.unwrap_or(LIMIT_MAX.into())))?;
    let page = snapshots::list(&at.app, &at.actor, &ask).await?;
    Ok(Yes(SnapshotListReply { snapshots: page.items.iter().map(detail).collect(), next: page.next }))
}

/// `GET /v1/snapshots/{snapshot}`.
pub(crate) async fn show(at: AtDevice, Named(snapshot): Named<SnapshotId>) -> Reply<SnapshotDetail> {
    let snapshot = snapshots::get(&at.app, &at.actor, snapshot).await?;
    Ok(Yes(detail(&snapshot)))
}

/// `GET /v1/snapshots/{snapshot}/problems`.
pub(crate) async fn problems(at: AtDevice, Named(snapshot): Named<SnapshotId>) -> Reply<Vec<EntryProblem>> {
    let problems = snapshots::problems(&at.app, &at.actor, snapshot).await?;
    Ok(Yes(problems.into_iter().map(problem).collect()))
}

/// The newest snapshot on the wire: what is shown of it, or its name alone. Never fails.
pub(crate) fn newest(told: Option<&Newest>) -> (Option<SnapshotDetail>, Option<Text<SnapshotId>>) {
    match told {
        Some(Newest::Shown(view)) => (Some(detail(view)), None),
        Some(Newest::Named(id)) => (None, Some(Text(*id))),
        None => (None, None),
    }
}

/// A snapshot on the wire. Never fails.
pub(crate) fn detail(view: &SnapshotView) -> SnapshotDetail {
    let SnapshotView {
        id,
        device,
        root,
        parent: _,
        began_at,
        ended_at,
        committed_at,
        totals: Totals { entries, files, bytes },
        folders,
        partial,
        host_name,
        problems,
        expired_at: _,
        hurt_at: _,
        given_up_at: _,
        pin: _,
    } = view;
    SnapshotDetail {
        snapshot: Text(*id),
        device: Text(*device),
        root: root.as_ref().map(|root| Hex(*root.as_bytes())),
        began_at_ms: began_at.as_ms(),
        ended_at_ms: ended_at.as_ms(),
        committed_at_ms: committed_at.as_ms(),
        totals: wire::Totals { entries: entries.0, files: files.0, bytes: bytes.0 },
        folders: folders.iter().map(|folder: &StoredPath| path_to_text(folder.as_bytes())).collect(),
        partial: *partial,
        host_name: host_name.clone(),
        problems: problems.0,
    }
}

fn problem(problem: ListedProblem) -> EntryProblem {
    let ListedProblem { path, code, sentence } = problem;
    EntryProblem { path: HexBytes(path.into_bytes()), code, sentence }
}
