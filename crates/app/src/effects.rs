//! Carries out a step of the lifecycle in the transaction that audits it: stores the record as it is to be, in one
//! statement, and does what `control::lifecycle::step` asks for beside that. Refuses to leave an effect out by
//! accident: the match over effects is total.

mod policy;

use crate::mail::{self, Audience};
use crate::{App, AppError, counters, watch};
use base::Timestamp;
use control::lifecycle::{self, Step};
use control::policy::PolicyChanges;
use control::{Effect, Event, Refusal, State};
use db::{DeviceRow, Tx};

/// A computer that comes to a record by an activation, or by an admin's yes to one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Comer<'a> {
    /// The key that it brings, for `IssueCredential`.
    pub(crate) key: &'a [u8; 32],
    /// Whether the record is made for it.
    pub(crate) record_new: bool,
    /// Whether it takes over the settings that the record's user has made.
    pub(crate) takes_settings: bool,
}

/// What has become of a device.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// The record as it is now.
    pub(crate) device: DeviceRow,
    /// The state that it was in.
    pub(crate) was: State,
    /// What was done, as words.
    effects: String,
    /// What was changed of its user's own choices.
    pub(crate) changes: PolicyChanges,
}

impl Changed {
    /// From which state to which, for the audit log. Never fails.
    pub(crate) fn states(&self) -> String {
        format!("{} to {}", self.was, self.device.state)
    }

    /// The same with what was done. Never fails.
    pub(crate) fn detail(&self) -> String {
        format!("{}: {}", self.states(), self.effects)
    }
}

/// Puts an event to a record, and carries out what the lifecycle says.
///
/// # Errors
/// The refusal of the lifecycle; as `carry_out`.
pub(crate) async fn put(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: DeviceRow,
    event: &Event,
) -> Result<Changed, AppError> {
    let step = lifecycle::step(now, &device.state, event)?;
    carry_out(app, tx, now, device, step, None).await
}

/// Carries out a step of a record. What a request itself sets in the record, `device` has already. `comer` is who
/// comes by it, if anybody.
///
/// # Errors
/// The database does not answer; `signature_invalid` when a key must be bound and none is there.
pub(crate) async fn carry_out(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    device: DeviceRow,
    step: Step,
    comer: Option<Comer<'_>>,
) -> Result<Changed, AppError> {
    let during = || AppError::db("carrying out a change of a device");
    let (state, effects) = step;
    let changes = changes(tx, &device, &effects, comer.is_some_and(|comer| comer.takes_settings)).await?;
    let was = device.state.clone();
    let device = as_it_is_to_be(app, tx, now, DeviceRow { state, ..device }, &effects).await?;
    // ORDER: the record comes before its credential, which refers to it.
    match comer {
        Some(Comer { record_new: true, .. }) => db::device_insert(tx, &device).await.map_err(during())?,
        Some(_) | None => db::device_update(tx, &device).await.map_err(during())?,
    }
    for effect in &effects {
        match effect {
            Effect::RevokeCredential => {
                db::credential_revoke_update(tx, device.id, now).await.map_err(during())?;
            }
            Effect::IssueCredential => {
                let key = comer.ok_or(Refusal::SignatureInvalid)?.key;
                db::credential_insert(tx, device.id, device.epoch, key, now).await.map_err(during())?;
            }
            Effect::RenewCredential => {
                let newest = db::credential_get_newest(tx, device.id).await.map_err(during())?;
                let key = newest.ok_or(Refusal::SignatureInvalid)?.public_key;
                db::credential_insert(tx, device.id, device.epoch, &key, now).await.map_err(during())?;
            }
            Effect::CancelRuns => {
                db::run_aborted_update_by_device(tx, device.id, now).await.map_err(during())?;
            }
            Effect::CancelRestores => {
                db::restore_aborted_update_by_device(tx, device.id, now).await.map_err(during())?;
            }
            Effect::ClearUnlinked => policy::unlinked_clear(tx, &device, &changes).await?,
            Effect::ResetOverrides => policy::overrides_reset(tx, &device, &changes).await?,
            // It is in the record.
            Effect::ScheduleCatchUp => {}
            // A device learns of these two by its state, which every request looks at.
            Effect::WipeLocal | Effect::WithdrawWipe => {}
            // The job that purges finds its work by the state.
            Effect::PurgeData => {}
            Effect::NotifyUser(notice) => {
                mail::notice_queue(app, tx, now, &device, &device.state, Audience::User, *notice).await?;
            }
            Effect::NotifyAdmins(notice) => {
                mail::notice_queue(app, tx, now, &device, &device.state, Audience::Admins, *notice).await?;
            }
        }
    }
    let words: Vec<String> = effects.iter().map(ToString::to_string).collect();
    Ok(Changed { device, was, effects: words.join(" "), changes })
}

/// What the effects make of the record itself: its epoch, its counter, its slot and its watch.
async fn as_it_is_to_be(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    mut device: DeviceRow,
    effects: &[Effect],
) -> Result<DeviceRow, AppError> {
    for effect in effects {
        match effect {
            Effect::IssueCredential => {
                device.epoch += 1;
                device.counter = counters::begun(app, device.id, device.epoch);
            }
            Effect::RenewCredential => {
                device.epoch += 1;
                // The device learns nothing of this: it presents what it was given under the former binding.
                device.counter.remembered = None;
            }
            Effect::ScheduleCatchUp => watch::begin(app, tx, now, &mut device).await?,
            Effect::RevokeCredential
            | Effect::CancelRuns
            | Effect::CancelRestores
            | Effect::ClearUnlinked
            | Effect::ResetOverrides
            | Effect::WipeLocal
            | Effect::WithdrawWipe
            | Effect::PurgeData
            | Effect::NotifyUser(_)
            | Effect::NotifyAdmins(_) => {}
        }
    }
    Ok(device)
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
