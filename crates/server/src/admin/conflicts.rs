//! `/api/v1/conflicts`: the conflict desk. Refuses to decide.

use crate::admin::devices::about;
use crate::admin::extract::{AtAdmin, Body, Named, Query, ask};
use crate::admin::{Entry, get, post};
use crate::reply::{Reply, Yes};
use app::conflicts::{self, Conflict, Decision, Side};
use base::{ConflictId, Timestamp};
use control::Permit;
use protocol::Text;
use protocol::admin::Page;
use protocol::admin::conflict as wire;

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{CampaignRead, DeviceManage};
    vec![
        get("conflict_list", "/api/v1/conflicts", CampaignRead, "Conflicts, the newest first.", list),
        get("conflict_show", "/api/v1/conflicts/{conflict}", CampaignRead, "One conflict, with both sides.", show),
        post("conflict_resolve", "/api/v1/conflicts/{conflict}/resolve", DeviceManage,
            "Decide a conflict; for thirty days that can be undone.", resolve),
        post("conflict_undo", "/api/v1/conflicts/{conflict}/undo", DeviceManage, "Take a decision back.", undo),
        post("conflict_merge", "/api/v1/conflicts/merge", DeviceManage,
            "Make two records of one computer one.", merge),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<wire::ConflictQuery>) -> Reply<Page<wire::Conflict>> {
    let page = conflicts::page(&at.app, &at.actor, !query.all, &ask(query.after, query.limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(conflict).collect(), next: page.next }))
}

async fn show(at: AtAdmin, Named(id): Named<ConflictId>) -> Reply<wire::Conflict> {
    Ok(Yes(conflict(conflicts::get(&at.app, &at.actor, id).await?)))
}

async fn resolve(
    at: AtAdmin,
    Named(id): Named<ConflictId>,
    Body(body): Body<wire::ConflictDecision>,
) -> Reply<wire::Conflict> {
    let decision = match body {
        wire::ConflictDecision::OneMachine => Decision::OneMachine,
        wire::ConflictDecision::TwoMachines { other_user } => {
            Decision::TwoMachines { other_user: other_user.map(|user| user.0) }
        }
        wire::ConflictDecision::Merge { keep } => Decision::Merge { keep: keep.map(|keep| keep.0) },
        wire::ConflictDecision::KeepBoth => Decision::KeepBoth,
    };
    Ok(Yes(conflict(conflicts::resolve(&at.app, &at.actor, id, decision).await?)))
}

async fn undo(at: AtAdmin, Named(id): Named<ConflictId>) -> Reply<wire::Conflict> {
    Ok(Yes(conflict(conflicts::undo(&at.app, &at.actor, id).await?)))
}

async fn merge(at: AtAdmin, Body(body): Body<wire::ConflictMerge>) -> Reply<wire::Conflict> {
    Ok(Yes(conflict(conflicts::merge(&at.app, &at.actor, body.keep.0, body.other.0).await?)))
}

fn conflict(conflict: Conflict) -> wire::Conflict {
    wire::Conflict {
        conflict: Text(conflict.id),
        kind: conflict.kind.word().to_owned(),
        status: conflict.status.word().to_owned(),
        seen_at_ms: conflict.seen_at.as_ms(),
        times: conflict.times,
        counter: conflict.counter,
        counter_seen: conflict.counter_seen,
        source: conflict.source,
        device: side(conflict.device),
        other: conflict.other.map(side),
        cut_off: conflict.cut_off,
        resolved_by: conflict.resolved_by,
        resolved_at_ms: conflict.resolved_at.map(Timestamp::as_ms),
        undo_until_ms: conflict.undo_until.map(Timestamp::as_ms),
        merge_keeps: conflict.merge_keeps.map(Text),
    }
}

fn side(side: Side) -> wire::ConflictSide {
    wire::ConflictSide {
        device: Text(side.device),
        name: side.name,
        user: side.email,
        state: side.state.word().to_owned(),
        about: about(side.about),
        seen_at_ms: side.seen_at.map(Timestamp::as_ms),
    }
}
