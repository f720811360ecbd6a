//! The answer to an activation, kept with the request that got it, and what a repeated request is told.
//! Refuses a second request with a key that belongs to another one.

use super::{Activation, Claim, OldKey, Outcome};
use crate::{App, AppError};
use base::{DeviceId, Timestamp};
use control::activation::Restore;
use control::policy::PolicyChanges;
use control::{Refusal, Rights, State};
use db::{ActivationRow, Came, DeviceAbout, Tx, WaitingRow};

/// What is known of a request and its key.
pub(super) enum Earlier {
    /// Nothing.
    Unknown,
    /// The key was bound by another request.
    Bound,
    /// This very request was carried out.
    Kept(Kept),
}

/// What an earlier request has come to.
pub(super) enum Kept {
    /// Its key was bound.
    Bound(ActivationRow),
    /// Its record waits for an admin.
    Waits(DeviceId),
}

/// What this very request has come to before. For a key that nobody knows, one look.
///
/// # Errors
/// `key_in_use` for another request with this key; `activation_refused`; the refusal of the record's state when it
/// waits no longer.
pub(super) async fn earlier(tx: &mut Tx, activation: &Activation, digest: &[u8; 32]) -> Result<Earlier, AppError> {
    let during = || AppError::db("looking for an earlier activation");
    let Activation { request, device_key, .. } = activation;
    let known = db::device_key_get(tx, request, device_key).await.map_err(during())?;
    if !known.asked {
        return Ok(if known.bound { Earlier::Bound } else { Earlier::Unknown });
    }
    match db::activation_get(tx, request, device_key).await.map_err(during())? {
        Some(row) if row.digest == *digest => return Ok(Earlier::Kept(Kept::Bound(row))),
        Some(_) => return Err(Refusal::KeyInUse.into()),
        None => {}
    }
    let Some(waiting) = db::waiting_get_by_key(tx, device_key).await.map_err(during())? else {
        // Between two looks outside of a transaction: the one that binds looks again.
        return Ok(Earlier::Unknown);
    };
    if waiting.request != *request || waiting.digest != *digest {
        return Err(Refusal::KeyInUse.into());
    }
    waits_now(tx, waiting).await.map(Earlier::Kept)
}

/// A record that waits waits as long as it is pending and nobody has refused it.
async fn waits_now(tx: &mut Tx, waiting: WaitingRow) -> Result<Kept, AppError> {
    if waiting.refused_at.is_some() {
        return Err(Refusal::ActivationRefused { reason: waiting.refusal }.into());
    }
    let record = db::device_get(tx, waiting.device).await.map_err(AppError::db("reading a record that waits"))?;
    match record.map(|record| record.state) {
        Some(State::Pending) => Ok(Kept::Waits(waiting.device)),
        Some(State::Purged) | None => Err(Refusal::DevicePurged.into()),
        Some(_) => Err(Refusal::DeviceDeleted.into()),
    }
}

/// What a binding has come to.
pub(crate) struct Binding {
    pub device: DeviceId,
    pub epoch: u64,
    pub rights: Rights,
    pub outcome: Outcome,
    pub restore: Restore,
    pub changes: PolicyChanges,
    pub came: Came,
}

/// Keeps the answer to a request whose key was bound.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn binding_keep(
    tx: &mut Tx,
    now: Timestamp,
    request: &[u8; 16],
    device_key: &[u8; 32],
    digest: &[u8; 32],
    binding: &Binding,
) -> Result<ActivationRow, AppError> {
    let row = ActivationRow {
        digest: *digest,
        device: binding.device,
        epoch: binding.epoch,
        rights: binding.rights.word().to_owned(),
        outcome: binding.outcome.word().to_owned(),
        restore: binding.restore.word().to_owned(),
        changes: binding.changes.to_text(),
    };
    let kept = db::activation_insert(tx, request, device_key, &row, &binding.came, now).await;
    kept.map_err(AppError::db("keeping the answer to an activation"))?;
    Ok(row)
}

/// Of everything in the request, the secret too. Keyed, so that the database tells nothing of a password.
pub(super) fn digest(app: &App, activation: &Activation) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(app.keys.activation.expose());
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    field(&activation.signed);
    field(&activation.signature);
    match &activation.proof {
        Claim::Password(password) => field(password.expose().as_bytes()),
        Claim::Ticket(code) => {
            field(b"ticket");
            field(code.expose().as_bytes());
        }
        Claim::Token(text) => {
            field(b"token");
            field(text.expose().as_bytes());
        }
        Claim::SignOn(code) => {
            field(b"sign-on");
            field(code.expose().as_bytes());
        }
        Claim::OldKey => {}
    }
    // The counter is left out: the same request may show a later one, after a session of another program.
    if let Some(OldKey { device, signature, counter: _ }) = &activation.old_key {
        field(device.as_bytes());
        field(signature);
    }
    let DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent } = &activation.about;
    for text in [host_name, serial, hardware_uuid, os_user, os, arch, agent] {
        field(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
