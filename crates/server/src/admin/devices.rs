//! `/api/v1/devices`: every event that an admin can put to a device is a route of its own. Refuses to decide.

use crate::admin::extract::{AtAdmin, Body, Named, Query, ask, malformed, time};
use crate::admin::{Entry, delete as remove_of, get, post};
use crate::reply::{Reply, Yes};
use app::DeviceAbout;
use app::devices::{self, DeviceAsk, DeviceMore, DeviceOrder, DeviceView};
use app::support_bundles::{self, BundleView};
use base::{DeviceId, Span, Timestamp};
use control::lifecycle::HOLD_APPEND;
use control::{Level, Permit};
use protocol::Text;
use protocol::admin::device::{self as wire, About, Deactivate, Device, DeviceQuery, Hold, ResetLevel, SupportBundle};
use protocol::admin::{Nothing, Page};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::{DeviceManage, DeviceRead, DeviceSupport};
    vec![
        get("device_list", "/api/v1/devices", DeviceRead, "Devices, by name.", list),
        get("device_show", "/api/v1/devices/{device}", DeviceRead, "One device.", show),
        post("device_deactivate", "/api/v1/devices/{device}/deactivate", DeviceManage,
            "Refuse the device's credential from now on; all its data is kept.", deactivate),
        post("device_hold", "/api/v1/devices/{device}/hold", DeviceManage,
            "Make the device activate again: until then it may append, for some days, and not read.", hold),
        post("device_reactivate", "/api/v1/devices/{device}/reactivate", DeviceManage,
            "Bring a held or deactivated device back without its doing anything, with the key that it has.",
            reactivate),
        post("device_approve", "/api/v1/devices/{device}/approve", DeviceManage,
            "Say yes to a record that waits, or to full rights for what a token has activated.", approve),
        post("device_suspend", "/api/v1/devices/{device}/suspend", DeviceManage,
            "Stop the device; its credential is kept.", suspend),
        post("device_enable", "/api/v1/devices/{device}/enable", DeviceManage,
            "End a suspension, or withdraw an order to erase.", enable),
        post("device_decommission", "/api/v1/devices/{device}/decommission", DeviceManage,
            "Have the device erase its local data; what it stored here is kept.", decommission),
        post("device_delete", "/api/v1/devices/{device}/delete", DeviceManage,
            "Delete the device and all its snapshots; for some days the deletion can be taken back.", delete),
        post("device_support_ask", "/api/v1/devices/{device}/support-bundle", DeviceSupport,
            "Ask the device for a support bundle; it takes the place of the one before.", support_ask),
        get("device_support_show", "/api/v1/devices/{device}/support-bundle", DeviceSupport,
            "The support bundle, or that it has not come yet.", support_show),
        remove_of("device_support_remove", "/api/v1/devices/{device}/support-bundle", DeviceSupport,
            "Remove the support bundle, or take the order for it back.", support_remove),
        post("device_undelete", "/api/v1/devices/{device}/undelete", DeviceManage, "Take a deletion back.", undelete),
    ]
}

async fn list(at: AtAdmin, Query(query): Query<DeviceQuery>) -> Reply<Page<Device>> {
    let DeviceQuery { after, limit, user, state, seen_before_ms, seen_from_ms, named } = query;
    let (seen_before, seen_from) = (time(seen_before_ms), time(seen_from_ms));
    let asked = DeviceAsk { user, state, seen_before, seen_from, named };
    let page = devices::page(&at.app, &at.actor, &asked, &ask(after, limit)?).await?;
    Ok(Yes(Page { items: page.items.into_iter().map(device).collect(), next: page.next }))
}

async fn show(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Device> {
    Ok(Yes(device(devices::get(&at.app, &at.actor, id).await?)))
}

async fn deactivate(at: AtAdmin, Named(id): Named<DeviceId>, Body(body): Body<Deactivate>) -> Reply<Device> {
    let level = match body.level {
        ResetLevel::Rotate => Level::Rotate,
        ResetLevel::Revoke => Level::Revoke,
        ResetLevel::Distrust => Level::Distrust,
    };
    order(at, id, DeviceOrder::Deactivate { level }).await
}

async fn hold(at: AtAdmin, Named(id): Named<DeviceId>, Body(body): Body<Hold>) -> Reply<Device> {
    let append = body.append_days.map(Span::days);
    if append.is_some_and(|append| !HOLD_APPEND.contains(&append)) {
        let sentence = "`append_days` is a number from 1 to 365. To have the device append no more, deactivate it.";
        return Err(malformed(sentence));
    }
    order(at, id, DeviceOrder::Hold { append }).await
}

async fn reactivate(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Device> {
    order(at, id, DeviceOrder::Reactivate).await
}

async fn approve(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Device> {
    order(at, id, DeviceOrder::Approve).await
}

async fn suspend(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Device> {
    order(at, id, DeviceOrder::Suspend).await
}

async fn enable(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Device> {
    order(at, id, DeviceOrder::Enable).await
}

async fn decommission(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Device> {
    order(at, id, DeviceOrder::Decommission).await
}

async fn delete(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Device> {
    order(at, id, DeviceOrder::Delete).await
}

async fn undelete(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Device> {
    order(at, id, DeviceOrder::Undelete).await
}

async fn support_ask(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<SupportBundle> {
    Ok(Yes(bundle(support_bundles::ask(&at.app, &at.actor, id).await?)))
}

async fn support_show(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<SupportBundle> {
    Ok(Yes(bundle(support_bundles::get(&at.app, &at.actor, id).await?)))
}

async fn support_remove(at: AtAdmin, Named(id): Named<DeviceId>) -> Reply<Nothing> {
    support_bundles::remove(&at.app, &at.actor, id).await?;
    Ok(Yes(Nothing {}))
}

fn bundle(view: BundleView) -> SupportBundle {
    SupportBundle {
        device: Text(view.device),
        asked_at_ms: view.asked_at.as_ms(),
        asked_by: view.asked_by,
        sent_at_ms: view.sent_at.map(Timestamp::as_ms),
        text: view.text,
    }
}

async fn order(at: AtAdmin, id: DeviceId, order: DeviceOrder) -> Reply<Device> {
    Ok(Yes(device(devices::order(&at.app, &at.actor, id, order).await?)))
}

/// A device on the wire. Never fails.
pub(super) fn device(view: DeviceView) -> Device {
    let flat = view.state.to_flat();
    Device {
        device: Text(view.id),
        name: view.name,
        user: view.user,
        state: flat.word,
        state_was: flat.was,
        rights: flat.rights,
        level: flat.level,
        append_until_ms: flat.append_until.map(Timestamp::as_ms),
        purge_after_ms: flat.purge_after.map(Timestamp::as_ms),
        epoch: view.epoch,
        created_at_ms: view.created_at.as_ms(),
        activated_at_ms: view.activated_at.as_ms(),
        last_seen_at_ms: view.last_seen_at.map(Timestamp::as_ms),
        last_snapshot: view.last_snapshot.map(Text),
        about: about(view.about),
        more: view.more.map(|known| Box::new(more(*known))),
    }
}

fn more(known: DeviceMore) -> wire::DeviceMore {
    let came = known.came;
    let (token, token_name) = came.as_ref().and_then(|came| came.token.clone()).unzip();
    let campaign = |campaign: devices::DeviceCampaign| wire::DeviceCampaign {
        campaign: Text(campaign.id),
        name: campaign.name,
        status: campaign.status.word().to_owned(),
        place: campaign.place.word().to_owned(),
        reason: campaign.reason.word().to_owned(),
    };
    wire::DeviceMore {
        proof: came.as_ref().map(|came| came.proof.clone()),
        source: came.map(|came| came.source),
        token: token.map(Text),
        token_name,
        waits_since_ms: known.waits_since.map(Timestamp::as_ms),
        merged_into: known.merged_into.map(Text),
        catch_up_at_ms: known.catch_up_at.map(Timestamp::as_ms),
        watch_until_ms: known.watch_until.map(Timestamp::as_ms),
        conflicts: known.conflicts.into_iter().map(Text).collect(),
        campaigns: known.campaigns.into_iter().map(campaign).collect(),
    }
}

/// What a computer says of itself, on the wire. Never fails.
pub(super) fn about(about: DeviceAbout) -> About {
    let DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent } = about;
    About { host_name, serial, hardware_uuid, os_user, os, arch, agent }
}
