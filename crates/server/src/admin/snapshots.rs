//! `/api/v1/snapshots`, and what becomes of those of a device. Refuses roots: an admin sees that a snapshot is there,
//! not what is in it.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask};
use crate::admin::{Entry, delete, get, put};
use crate::reply::{Reply, Yes};
use app::retention::{Instead, Previewed, preview};
use app::snapshots::{self, SnapshotView};
use base::{DeviceId, SnapshotId, Timestamp};
use control::Permit;
use control::retention::Reason;
use protocol::admin::Nothing;
use protocol::admin::Page;
use protocol::admin::snapshot::{
    Retention, RetentionQuery, RetentionReason, RetentionSnapshot, Snapshot, SnapshotPin, SnapshotPinSet,
    SnapshotQuery, SnapshotTotals,
};
use protocol::{Text, path_to_text};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    vec![
        get("snapshot_list", "/api/v1/snapshots", Permit::SnapshotRead, "Snapshots, the newest first.", list),
        get("snapshot_show", "/api/v1/snapshots/{snapshot}", Permit::SnapshotRead, "One snapshot.", show),
        put("snapshot_pin", "/api/v1/snapshots/{snapshot}/pin", Permit::SnapshotManage,
            "Pin a snapshot: it is kept until that is taken back.", pin),
        delete("snapshot_unpin", "/api/v1/snapshots/{snapshot}/pin", Permit::SnapshotManage,
            "Take a pin back.", unpin),
        put("snapshot_give_up", "/api/v1/snapshots/{snapshot}/given-up", Permit::SnapshotManage,
            "Give a hurt snapshot up: it is let go of, whatever the policy says.", give_up),
        delete("snapshot_keep", "/api/v1/snapshots/{snapshot}/given-up", Permit::SnapshotManage,
            "Take that back, while it is there.", keep),
        get("retention_show", "/api/v1/devices/{device}/retention", Permit::SnapshotRead,
            "What becomes of each snapshot of a device and why, by its policy or by other rules.", retention),
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

async fn pin(at: AtAdmin, Named(id): Named<SnapshotId>, Body(body): Body<SnapshotPinSet>) -> Reply<Snapshot> {
    app::retention::pin(&at.app, &at.actor, id, &body.note).await?;
    Ok(Yes(snapshot(snapshots::admin_get(&at.app, &at.actor, id).await?)))
}

async fn unpin(at: AtAdmin, Named(id): Named<SnapshotId>) -> Reply<Snapshot> {
    app::retention::unpin(&at.app, &at.actor, id).await?;
    Ok(Yes(snapshot(snapshots::admin_get(&at.app, &at.actor, id).await?)))
}

async fn give_up(at: AtAdmin, Named(id): Named<SnapshotId>, Body(_): Body<Nothing>) -> Reply<Snapshot> {
    app::retention::give_up(&at.app, &at.actor, id).await?;
    Ok(Yes(snapshot(snapshots::admin_get(&at.app, &at.actor, id).await?)))
}

async fn keep(at: AtAdmin, Named(id): Named<SnapshotId>) -> Reply<Snapshot> {
    app::retention::keep(&at.app, &at.actor, id).await?;
    Ok(Yes(snapshot(snapshots::admin_get(&at.app, &at.actor, id).await?)))
}

async fn retention(at: AtAdmin, Named(id): Named<DeviceId>, Query(query): Query<RetentionQuery>) -> Reply<Retention> {
    let RetentionQuery { days, weeks, months } = query;
    let preview = preview(&at.app, &at.actor, id, Instead { days, weeks, months }).await?;
    Ok(Yes(Retention {
        days: preview.rules.days,
        weeks: preview.rules.weeks,
        months: preview.rules.months,
        now_ms: preview.now.as_ms(),
        holds: preview.holds,
        snapshots: preview.snapshots.iter().map(previewed).collect(),
    }))
}

fn previewed(view: &Previewed) -> RetentionSnapshot {
    let reason = |reason: &Reason| RetentionReason {
        reason: reason.word().to_owned(),
        text: reason.to_string(),
        until_ms: reason.until().map(Timestamp::as_ms),
    };
    RetentionSnapshot {
        snapshot: Text(view.id),
        committed_at_ms: view.committed_at.as_ms(),
        partial: view.partial,
        hurt: view.hurt,
        reasons: view.reasons.iter().map(reason).collect(),
        until_ms: view.until.map(Timestamp::as_ms),
        expired_at_ms: view.expired_at.map(Timestamp::as_ms),
        removed_after_ms: view.removed_after.map(Timestamp::as_ms),
    }
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
        expired_at_ms: view.expired_at.map(Timestamp::as_ms),
        hurt_at_ms: view.hurt_at.map(Timestamp::as_ms),
        given_up_at_ms: view.given_up_at.map(Timestamp::as_ms),
        pin: view.pin.map(|pin| SnapshotPin { at_ms: pin.at.as_ms(), by: pin.by, note: pin.note }),
    }
}
