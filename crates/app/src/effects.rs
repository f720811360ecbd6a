//! Carries out what `control::lifecycle::step` asks for, in the transaction that stores the new state.
//! Refuses to leave one out by accident: the match over effects is total.

use crate::{App, AppError, counters, watch};
use base::Timestamp;
use control::{Effect, Refusal};
use db::{DeviceRow, Tx};

/// Carries out `effects` for a device, in order; the answer is its epoch afterwards. `key` is the key that the
/// request brings, for `IssueCredential`.
///
/// # Errors
/// The database does not answer; `signature_invalid` when a key must be bound and none is there.
pub(crate) async fn carry_out(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: &DeviceRow,
    effects: &[Effect],
    key: Option<&[u8; 32]>,
) -> Result<u64, AppError> {
    let during = || AppError::db("carrying out a change of a device");
    let mut epoch = device.epoch;
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
            // Unlinked folders and overrides live with the device as long as profiles do not exist:
            // nothing of them is stored here that could be changed.
            Effect::ClearUnlinked | Effect::ResetOverrides => {}
            Effect::ScheduleCatchUp => watch::begin(app, tx, now, device.id, epoch).await?,
            // A device learns of these two by its state, which every request looks at.
            Effect::WipeLocal | Effect::WithdrawWipe => {}
            // The job that purges finds its work by the state.
            Effect::PurgeData => {}
            Effect::NotifyUser(notice) => {
                let word = notice.word();
                tracing::info!(device.id = %device.id, notice = word, "the user is to be told: {word}");
            }
            Effect::NotifyAdmins(notice) => {
                let word = notice.word();
                tracing::info!(device.id = %device.id, notice = word, "admins are to be told: {word}");
            }
        }
    }
    Ok(epoch)
}
