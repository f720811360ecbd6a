//! Carries out what `control::lifecycle::step` asks for, in the transaction that stores the new state.
//! Refuses to leave one out by accident: the match over effects is total.

mod policy;

use crate::mail::{self, Audience};
use crate::{App, AppError, counters, watch};
use base::Timestamp;
use control::policy::PolicyChanges;
use control::{Effect, Refusal, State};
use db::{DeviceRow, Tx};

/// What has become of a device.
#[derive(Clone, Debug)]
pub(crate) struct CarriedOut {
    /// Its epoch afterwards.
    pub(crate) epoch: u64,
    /// What was changed of its user's own choices.
    pub(crate) changes: PolicyChanges,
}

/// Carries out `effects` for a device that comes to `state`, in order. `key` is the key that the request brings, for
/// `IssueCredential`.
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
    key: Option<&[u8; 32]>,
) -> Result<CarriedOut, AppError> {
    let during = || AppError::db("carrying out a change of a device");
    let mut epoch = device.epoch;
    let comes_back = effects.iter().any(|effect| matches!(effect, Effect::ClearUnlinked | Effect::ResetOverrides));
    let changes = if comes_back { policy::plan(tx, device).await? } else { PolicyChanges::default() };
    for effect in effects {
        match effect {
            Effect::RevokeCredential => {
                db::credential_revoke_update(tx, device.id, now).await.map_err(during())?;
            }
            Effect::IssueCredential => {
                let key = key.ok_or(Refusal::SignatureInvalid)?;
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
