//! What a reactivation does to what the device's user has chosen, carried out. Refuses to touch what admins have set.
//! Rules: docs/control.md, "Policies".

use crate::AppError;
use crate::policy::{self, revision_grow};
use control::policy::{PolicyChanges, reactivation};
use db::{DeviceRow, PolicySubject, Tx};

/// What a reactivation of this device would change, by what holds now, for somebody who takes its settings over or not.
///
/// # Errors
/// The database does not answer, or a stored value is damaged.
pub(super) async fn plan(tx: &mut Tx, device: &DeviceRow, takes_settings: bool) -> Result<PolicyChanges, AppError> {
    let during = || AppError::db("reading what a device's user has chosen");
    let loaded = policy::levels(tx, device.user, Some(device.id)).await?;
    let folders = db::folder_list_by_levels(tx, loaded.profile.id, device.user, Some(device.id)).await;
    let unlinked = db::unlinked_list(tx, device.id).await.map_err(during())?;
    Ok(reactivation(&loaded.levels, &folders.map_err(during())?, &unlinked, takes_settings))
}

/// Links every folder of the device again, unless the plan keeps them.
///
/// # Errors
/// The database does not answer.
pub(super) async fn unlinked_clear(tx: &mut Tx, device: &DeviceRow, plan: &PolicyChanges) -> Result<(), AppError> {
    if plan.kept {
        return Ok(());
    }
    db::unlinked_remove_by_device(tx, device.id).await.map_err(AppError::db("linking folders again"))?;
    revision_grow(tx, PolicySubject::Device(device.id)).await
}

/// Takes the user's own values back, unless the plan keeps them.
///
/// # Errors
/// The database does not answer.
pub(super) async fn overrides_reset(tx: &mut Tx, device: &DeviceRow, plan: &PolicyChanges) -> Result<(), AppError> {
    if plan.kept || plan.values.is_empty() {
        return Ok(());
    }
    let subject = PolicySubject::Device(device.id);
    for change in &plan.values {
        let removed = db::policy_value_remove(tx, subject, change.key).await;
        removed.map_err(AppError::db("taking a user's values back"))?;
    }
    revision_grow(tx, subject).await
}
