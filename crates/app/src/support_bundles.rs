//! Support bundles: an admin asks a device for one, the device sends it, an admin reads it. Refuses what was not
//! asked for, and to look into it: it is a text that a person reads. Rules: docs/control.md, "Support bundles".

use crate::audit::{self, Deed};
use crate::{AdminActor, App, AppError, DeviceActor};
use base::{Bytes, DeviceId, Timestamp};
use control::access::Verb;
use control::{Permit, Refusal, State};
use db::{SupportBundleRow, Tx};

/// The longest bundle that a device may send.
pub const BUNDLE_BYTES_MAX: Bytes = Bytes::kib(256);

/// A bundle that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleView {
    /// Of which device.
    pub device: DeviceId,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// By whom, as the audit log writes it.
    pub asked_by: String,
    /// When it came; `None` while the device has not answered.
    pub sent_at: Option<Timestamp>,
    /// What came: JSON for a person to read.
    pub text: Option<String>,
}

/// Asks a device for a bundle, which it sends when it looks next. That takes the place of one that is there.
///
/// # Errors
/// `device_unknown`, `device_purged`; `not_permitted`.
pub async fn ask(app: &App, actor: &AdminActor, id: DeviceId) -> Result<BundleView, AppError> {
    actor.need(Permit::DeviceSupport)?;
    let now = app.clock.now();
    let during = || AppError::db("asking for a support bundle");
    let mut tx = app.db.write().await.map_err(during())?;
    let device = db::device_get(&mut tx, id).await.map_err(during())?.ok_or_else(|| AppError::device_unknown(id))?;
    if device.state == State::Purged {
        return Err(Refusal::DevicePurged.into());
    }
    db::support_bundle_update(&mut tx, id, now, &actor.to_string()).await.map_err(during())?;
    written(&mut tx, now, Deed::by(actor), "device_support_ask", id, String::new()).await?;
    let row = known(&mut tx, id).await?;
    tx.commit().await.map_err(during())?;
    view(id, row)
}

/// A device's bundle, or that it was asked for and has not come. That somebody has read it is audited.
///
/// # Errors
/// `bundle_unknown`; `not_permitted`.
pub async fn get(app: &App, actor: &AdminActor, id: DeviceId) -> Result<BundleView, AppError> {
    actor.need(Permit::DeviceSupport)?;
    let now = app.clock.now();
    let during = || AppError::db("reading a support bundle");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = known(&mut tx, id).await?;
    if row.sent_at.is_some() {
        written(&mut tx, now, Deed::by(actor), "device_support_read", id, String::new()).await?;
    }
    tx.commit().await.map_err(during())?;
    view(id, row)
}

/// Removes a device's bundle, or takes the order back.
///
/// # Errors
/// `bundle_unknown`; `not_permitted`.
pub async fn remove(app: &App, actor: &AdminActor, id: DeviceId) -> Result<(), AppError> {
    actor.need(Permit::DeviceSupport)?;
    let now = app.clock.now();
    let during = || AppError::db("removing a support bundle");
    let mut tx = app.db.write().await.map_err(during())?;
    if !db::support_bundle_remove(&mut tx, id).await.map_err(during())? {
        return Err(unknown(id));
    }
    written(&mut tx, now, Deed::by(actor), "device_support_remove", id, String::new()).await?;
    tx.commit().await.map_err(during())
}

/// A device sends the bundle that it was asked for.
///
/// # Errors
/// The refusal of the device's state; `bundle_not_asked`; `request_malformed` for what is no text,
/// `request_too_large`.
pub async fn receive(app: &App, actor: &DeviceActor, body: &[u8]) -> Result<(), AppError> {
    let now = app.clock.now();
    actor.may(now, Verb::SendBundle)?;
    let bytes = Bytes::of(body.len());
    if bytes > BUNDLE_BYTES_MAX {
        return Err(Refusal::RequestTooLarge.into());
    }
    if str::from_utf8(body).is_err() {
        return Err(Refusal::RequestMalformed.into());
    }
    let during = || AppError::db("keeping a support bundle");
    let mut tx = app.db.write().await.map_err(during())?;
    if !db::support_bundle_sent_update(&mut tx, actor.device, body, now).await.map_err(during())? {
        return Err(Refusal::BundleNotAsked.into());
    }
    let detail = format!("{} bytes", bytes.0);
    written(&mut tx, now, Deed::by(actor), "device_support_send", actor.device, detail).await?;
    tx.commit().await.map_err(during())?;
    tracing::info!(device.id = %actor.device, "device {} has sent its support bundle", actor.device);
    Ok(())
}

async fn written(
    tx: &mut Tx,
    now: Timestamp,
    by: Deed<'static>,
    action: &str,
    id: DeviceId,
    detail: String,
) -> Result<(), AppError> {
    audit::write(tx, now, Deed { action, subject: id.to_string(), detail, ..by }).await
}

async fn known(tx: &mut Tx, id: DeviceId) -> Result<SupportBundleRow, AppError> {
    let row = db::support_bundle_get(tx, id).await.map_err(AppError::db("reading a support bundle"))?;
    row.ok_or_else(|| unknown(id))
}

fn unknown(id: DeviceId) -> AppError {
    AppError::not_found(
        "bundle_unknown",
        format!("Nobody has asked the device {id} for a support bundle: `device support-bundle` asks."),
    )
}

fn view(device: DeviceId, row: SupportBundleRow) -> Result<BundleView, AppError> {
    let damaged = |_| AppError::damaged("row_damaged", "A stored support bundle is no text.");
    let text = row.body.map(String::from_utf8).transpose().map_err(damaged)?;
    Ok(BundleView { device, asked_at: row.asked_at, asked_by: row.asked_by, sent_at: row.sent_at, text })
}
