//! Carries out what `control::lifecycle::step` asks for, in the transaction that stores the new state.
//! Refuses to leave one out by accident: the match over effects is total.

mod policy;

use crate::mail::{self, Audience};
use crate::{App, AppError, counters, watch};
use base::Timestamp;
use control::policy::PolicyChanges;
use control::{Effect, Refusal, State};
use db::{DeviceRow, Tx};

/// A computer that comes to a record by an activation, or by an admin's yes to one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comer<'a> {
    /// The key that it brings, for `IssueCredential`.
    pub(crate) key: &'a [u8; 32],
    /// Whether it takes over the settings that the record's user has made.
    pub(crate) takes_settings: bool,
}

/// What has become of a device.
#[derive(Clone, Debug)]
pub(crate) struct CarriedOut {
    /// Its epoch afterwards.
    pub(crate) epoch: u64,
    /// What was changed of its user's own choices.
    pub(crate) changes: PolicyChanges,
}

/// Carries out `effects` for a device that comes to `state`, in order. `comer` is who comes by it, if anybody.
///
/// # Errors
/// The database does not answer; `signature_invalid` when a key must be bound and none is there.
pub(crate) async fn carry_out(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: &DeviceRow,
    state: &State,
    effects: &[Effect],
    comer: Option<Comer<'_>>,
) -> Result<CarriedOut, AppError> {
    let during = || AppError::db("carrying out a change of a device");
    let mut epoch = device.epoch;
    let changes = changes(tx, device, effects, comer.is_some_and(|comer| comer.takes_settings)).await?;
    for effect in effects {
        match effect {
            Effect::RevokeCredential => {
                db::credential_revoke_update(tx, device.id, now).await.map_err(during())?;
            }
            Effect::IssueCredential => {
                let key = comer.ok_or(Refusal::SignatureInvalid)?.key;
                epoch += 1;
                db::credential_insert(tx, device.id, epoch, key, now).await.map_err(during())?;
                counters::begin(app, tx, device.id, epoch).await?;
            }
            Effect::RenewCredential => {
                let newest = db::credential_get_newest(tx, device.id).await.map_err(during())?;
                let newest = newest.ok_or(Refusal::SignatureInvalid)?;
                epoch += 1;
                db::credential_insert(tx, device.id, epoch, &newest.public_key, now).await.map_err(during())?;
                // The device learns nothing of this: it presents what it was given under the former binding.
                db::device_counter_remove(tx, device.id).await.map_err(during())?;
            }
            Effect::CancelRuns => {
                db::run_aborted_update_by_device(tx, device.id, now).await.map_err(during())?;
            }
            Effect::CancelRestores => {
                db::restore_aborted_update_by_device(tx, device.id, now).await.map_err(during())?;
            }
            Effect::ClearUnlinked => policy::unlinked_clear(tx, device, &changes).await?,
            Effect::ResetOverrides => policy::overrides_reset(tx, device, &changes).await?,
            Effect::ScheduleCatchUp => watch::begin(app, tx, now, device.id, epoch).await?,
            // A device learns of these two by its state, which every request looks at.
            Effect::WipeLocal | Effect::WithdrawWipe => {}
            // The job that purges finds its work by the state.
            Effect::PurgeData => {}
            Effect::NotifyUser(notice) => {
                mail::notice_queue(app, tx, now, device, state, Audience::User, *notice).await?;
            }
            Effect::NotifyAdmins(notice) => {
                mail::notice_queue(app, tx, now, device, state, Audience::Admins, *notice).await?;
            }
        }
    }
    Ok(CarriedOut { epoch, changes })
}

/// What these effects would change of what the device's user has chosen. `takes_settings`: whoever comes to the record
/// asks for that, so it is kept.
///
/// # Errors
/// The database does not answer, or a stored value is damaged.
pub(crate) async fn changes(
    tx: &mut Tx,
    device: &DeviceRow,
    effects: &[Effect],
    takes_settings: bool,
) -> Result<PolicyChanges, AppError> {
    let comes_back = effects.iter().any(|effect| matches!(effect, Effect::ClearUnlinked | Effect::ResetOverrides));
    // Who takes over a device in service changes none of it either, and is told what there is.
    match comes_back || (takes_settings && device.state != State::Pending) {
        true => policy::plan(tx, device, takes_settings).await,
        false => Ok(PolicyChanges::default()),
    }
}
