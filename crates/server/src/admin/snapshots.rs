//! `/api/v1/snapshots`. Refuses roots: an admin sees that a snapshot is there, not what is in it.

use crate::admin::extract::{AtAdmin, Named, Query, ask};
use crate::admin::{Entry, get};
use crate::reply::{Reply, Yes};
use app::snapshots::{self, SnapshotView};
use base::SnapshotId;
use control::Permit;
use protocol::admin::Page;
use protocol::admin::snapshot::{Snapshot, SnapshotQuery, SnapshotTotals};
use protocol::{Text, path_to_text};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    vec![
        get("snapshot_list", "/api/v1/snapshots", Permit::SnapshotRead, "Snapshots, the newest first.", list),
        get("snapshot_show", "/api/v1/snapshots/{snapshot}", Permit::SnapshotRead, "One snapshot.", show),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<SnapshotQuery>) -> Reply<Page<Snapshot>> {
    let SnapshotQuery { after, limit, device } = query;
    let device = device.map(|device| device.0);
    let page = snapshots::admin_list(&at.app, &at.actor, device, &ask(after, limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(snapshot).collect(), next: page.next }))
}

async fn show(at: AtAdmin, Named(id): Named<SnapshotId>) -> Reply<Snapshot> {
    Ok(Yes(snapshot(snapshots::admin_get(&at.app, &at.actor, id).await?)))
}

fn snapshot(view: SnapshotView) -> Snapshot {
    let totals = view.totals;
    Snapshot {
        snapshot: Text(view.id),
        device: Text(view.device),
        parent: view.parent.map(Text),
        began_at_ms: view.began_at.as_ms(),
        ended_at_ms: view.ended_at.as_ms(),
        committed_at_ms: view.committed_at.as_ms(),
        totals: SnapshotTotals { entries: totals.entries.0, files: totals.files.0, bytes: totals.bytes.0 },
        folders: view.folders.iter().map(|folder| path_to_text(folder.as_bytes())).collect(),
        partial: view.partial,
        host_name: view.host_name,
        problems: view.problems.0,
    }
}
