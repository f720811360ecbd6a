//! Activation: who asks is proved here, `control::activation::decide` says which record it is, and one transaction
//! binds the key. Refuses to answer one request in two ways: the answer is kept with it. Rules: docs/control.md.

use crate::audit::{self, Deed};
use crate::password::Password;
use crate::snapshots::{self, SnapshotView};
use crate::{App, AppError, effects, policy, session, users};
use base::{DeviceId, Timestamp, UserId};
use control::access::Verb;
use control::activation::{Candidate, Choice, Decision, Evidence, Request, decide};
use control::policy::PolicyChanges;
use control::{Event, Refusal, Rights, State, access, lifecycle};
use db::{ActivationRow, DeviceAbout, DeviceRow, Tx, UserRow};

/// The longest text that a computer may say of itself in one field.
const ABOUT_BYTES_MAX: usize = 256;

/// A request as it came; nothing of it is believed yet.
#[derive(Debug)]
pub struct Activation {
    /// Drawn by the endpoint; repeated when the request is.
    pub request: [u8; 16],
    /// Who asks, as typed; empty with an old key.
    pub email: String,
    /// How that is proved.
    pub proof: Claim,
    /// The public half of the key to bind (Ed25519).
    pub device_key: [u8; 32],
    /// By `device_key` over `signed`.
    pub signature: [u8; 64],
    /// What both keys sign, as the protocol puts it together: everything that decides, but the proof's secret.
    pub signed: Vec<u8>,
    /// What the computer says of itself.
    pub about: DeviceAbout,
    /// Which record is asked for.
    pub choice: Choice,
}

/// How a request claims to prove who asks.
#[derive(Debug)]
pub enum Claim {
    /// The user's password.
    Password(Password),
    /// The key that this computer used before.
    OldKey {
        /// The record that the key was bound to.
        device: DeviceId,
        /// By the old key over `signed`.
        signature: [u8; 64],
    },
}

/// The answer to an activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Activated {
    /// The record that the device is now.
    pub device: DeviceId,
    /// Which binding of a key to the record this is.
    pub epoch: u64,
    /// What the device may do.
    pub rights: Rights,
    /// How the device came to the record.
    pub outcome: Outcome,
    /// The address of its user.
    pub user: String,
    /// The newest snapshot of the record at this moment; its root only while this binding may read.
    pub snapshot: Option<SnapshotView>,
    /// What it has changed of the user's own choices.
    pub changes: PolicyChanges,
}

/// How a device came to its record. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The record was made for it.
    New,
    /// It took the record over.
    Replaced,
    /// It came back to its own record.
    Reactivated,
}

/// Carries out an activation. The same request with the same key gets the same answer for ever.
///
/// # Errors
/// `request_malformed`; `signature_invalid`; `wrong_credentials` for an unknown user and a wrong password alike, after
/// the same work; `account_locked`; `key_in_use` for another request with a key that was bound before; the refusals
/// of `control::activation::decide`.
pub async fn activate(app: &App, activation: &Activation) -> Result<Activated, AppError> {
    well_formed(activation)?;
    session::signature_verify(&activation.device_key, &activation.signed, &activation.signature)?;
    let digest = digest(app, activation);
    let during = || AppError::db("looking for an earlier activation");
    let mut tx = app.db.read().await.map_err(during())?;
    let earlier = earlier(&mut tx, activation, &digest).await?;
    drop(tx);
    let row = match earlier {
        Some(row) => row,
        None => {
            let proved = prove(app, activation).await?;
            // After the proof: those who wait for the hash of a password hold nobody up who has a token or a key.
            let _turn = app.lanes.activation.turn().await?;
            bind(app, activation, &digest, proved).await?
        }
    };
    answer(app, row).await
}

/// Who asks, and what shows it.
struct Proved {
    user: UserId,
    proof: control::Proof,
    by: ProvedBy,
}

enum ProvedBy {
    /// The hash that the password was compared with.
    Password { hash: String, address: [u8; 32] },
    /// The key that signed, which was the newest one of this record.
    OldKey { device: DeviceId, key: [u8; 32] },
}

async fn prove(app: &App, activation: &Activation) -> Result<Proved, AppError> {
    match &activation.proof {
        Claim::Password(password) => {
            let signed_in = users::sign_in(app, &activation.email, password).await?;
            let by =
                ProvedBy::Password { hash: signed_in.password_hash, address: users::address_digest(&activation.email) };
            Ok(Proved { user: signed_in.user, proof: control::Proof::Password, by })
        }
        Claim::OldKey { device, signature } => {
            let during = || AppError::db("looking for an old key");
            let mut tx = app.db.read().await.map_err(during())?;
            let record = db::device_get(&mut tx, *device).await.map_err(during())?;
            let credential = db::credential_get_newest(&mut tx, *device).await.map_err(during())?;
            let (Some(record), Some(credential)) = (record, credential) else {
                return Err(Refusal::SignatureInvalid.into());
            };
            session::signature_verify(&credential.public_key, &activation.signed, signature)?;
            let by = ProvedBy::OldKey { device: *device, key: credential.public_key };
            Ok(Proved { user: record.user, proof: control::Proof::OldKey, by })
        }
    }
}

/// One transaction: decide, carry out, keep the answer, write the audit row.
async fn bind(
    app: &App,
    activation: &Activation,
    digest: &[u8; 32],
    proved: Proved,
) -> Result<ActivationRow, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("binding a device key");
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: the same request may have been carried out since `activate` looked.
    if let Some(row) = earlier(&mut tx, activation, digest).await? {
        // ORDER: committed before it is answered: the other may share this commit, and not be durable yet.
        tx.commit().await.map_err(during())?;
        return Ok(row);
    }
    if db::credential_key_get(&mut tx, &activation.device_key).await.map_err(during())?.is_some() {
        return Err(Refusal::KeyInUse.into());
    }
    let user = still_proved(&mut tx, &proved).await?;
    if let ProvedBy::Password { address, .. } = &proved.by {
        db::sign_in_failure_remove(&mut tx, address).await.map_err(during())?;
    }
    let result = match decide_now(&mut tx, now, activation, &proved, &user).await? {
        Ok(decision) => {
            let bound = carry_out(app, &mut tx, now, activation, &user, decision).await?;
            Ok((keep(&mut tx, now, activation, digest, &bound).await?, bound.resembles))
        }
        Err(refusal) => Err(refusal),
    };
    let (subject, detail) = match &result {
        Ok((row, twin)) => {
            let twin = twin.map_or_else(String::new, |twin| format!(", resembles {twin}"));
            let changes = PolicyChanges::from_text(&row.changes).filter(|changes| !changes.is_empty());
            let changes = changes.map_or_else(String::new, |changes| format!("; {changes}"));
            let detail = format!("{} by {}, epoch {}{twin}{changes}", row.outcome, proved.proof, row.epoch);
            (row.device.to_string(), detail)
        }
        Err(refusal) => (user.email.clone(), format!("refused: {}", refusal.code())),
    };
    let (actor, proof) = (format!("user {}", user.id), proved.proof.to_string());
    let deed = Deed { actor, action: "device_activate", subject, detail, proof, ..Deed::default() };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    let (row, _) = result?;
    // ORDER: said after the commit, or a request in between would remember the old state.
    app.states.changed(row.device);
    let device = row.device;
    tracing::info!(device.id = %device, user.id = %user.id, "device {device} was activated: {}", row.outcome);
    Ok(row)
}

/// The user of a proof, read again under the write lock: a password or key that was changed meanwhile proves nothing.
async fn still_proved(tx: &mut Tx, proved: &Proved) -> Result<UserRow, AppError> {
    let during = || AppError::db("reading a user");
    let user = db::user_get(tx, proved.user).await.map_err(during())?;
    match &proved.by {
        ProvedBy::Password { hash, .. } => {
            Ok(user.filter(|user| user.password_hash == *hash).ok_or(Refusal::WrongCredentials)?)
        }
        ProvedBy::OldKey { device, key } => {
            let newest = db::credential_get_newest(tx, *device).await.map_err(during())?;
            if newest.is_none_or(|newest| newest.public_key != *key) {
                return Err(Refusal::SignatureInvalid.into());
            }
            Ok(user.ok_or(Refusal::SignatureInvalid)?)
        }
    }
}

async fn decide_now(
    tx: &mut Tx,
    now: Timestamp,
    activation: &Activation,
    proved: &Proved,
    user: &UserRow,
) -> Result<Result<Decision, Refusal>, AppError> {
    let records = db::device_list_by_user(tx, user.id).await.map_err(AppError::db("listing a user's devices"))?;
    let candidate = |record: DeviceRow| Candidate {
        device: record.id,
        owner: record.user,
        state: record.state,
        evidence: evidence(&record.about),
    };
    let candidates: Vec<Candidate> = records.into_iter().map(candidate).collect();
    let request = Request {
        user: user.id,
        user_state: user.state,
        proof: proved.proof,
        old_key: match &proved.by {
            ProvedBy::OldKey { device, .. } => Some(*device),
            ProvedBy::Password { .. } => None,
        },
        map_row: None,
        choice: activation.choice,
        can_ask: false,
        evidence: evidence(&activation.about),
    };
    let rules = policy::activation_rules(tx, user.id).await?;
    Ok(decide(now, &request, &rules, &candidates))
}

/// What a decision has made of a record.
struct Bound {
    device: DeviceId,
    epoch: u64,
    rights: Rights,
    outcome: Outcome,
    /// A record of the user that is of the same machine all the same.
    resembles: Option<DeviceId>,
    changes: PolicyChanges,
}

async fn carry_out(
    app: &App,
    tx: &mut Tx,
    now: Timestamp,
    activation: &Activation,
    user: &UserRow,
    decision: Decision,
) -> Result<Bound, AppError> {
    let during = || AppError::db("binding a device key");
    let (record, event, resembles) = match decision {
        Decision::Add { event: Some(event), resembles } => {
            let record = record_new(app, now, activation, user);
            db::device_insert(tx, &record).await.map_err(during())?;
            (record, event, resembles)
        }
        Decision::Attach { device, event, .. } => {
            let record = db::device_get(tx, device).await.map_err(during())?;
            (record.ok_or(Refusal::DeviceNotYours)?, event, None)
        }
        // Only a deployment token's record waits, and only an endpoint that can ask is asked: neither came here.
        Decision::Add { event: None, resembles: _ } | Decision::Ask(_) => return Err(Refusal::SignInNeeded.into()),
    };
    let (state, effects) = lifecycle::step(now, &record.state, &event)?;
    let carried = effects::carry_out(tx, now, &record, &effects, Some(&activation.device_key)).await?;
    let (epoch, changes) = (carried.epoch, carried.changes);
    db::device_state_update(tx, record.id, &state).await.map_err(during())?;
    db::device_binding_update(tx, record.id, epoch, &activation.about, now).await.map_err(during())?;
    assert!(epoch > record.epoch, "every way into service that a device asks for issues a credential");
    let rights = state.rights().expect("an activation leads to an active device, which has rights");
    Ok(Bound { device: record.id, epoch, rights, outcome: Outcome::of(&event), resembles, changes })
}

async fn keep(
    tx: &mut Tx,
    now: Timestamp,
    activation: &Activation,
    digest: &[u8; 32],
    bound: &Bound,
) -> Result<ActivationRow, AppError> {
    let row = ActivationRow {
        digest: *digest,
        device: bound.device,
        epoch: bound.epoch,
        rights: bound.rights.word().to_owned(),
        outcome: bound.outcome.word().to_owned(),
        changes: bound.changes.to_text(),
    };
    let kept = db::activation_insert(tx, &activation.request, &activation.device_key, &row, now).await;
    kept.map_err(AppError::db("keeping the answer to an activation"))?;
    Ok(row)
}

/// The answer that this very request got before.
async fn earlier(tx: &mut Tx, activation: &Activation, digest: &[u8; 32]) -> Result<Option<ActivationRow>, AppError> {
    let row = db::activation_get(tx, &activation.request, &activation.device_key).await;
    match row.map_err(AppError::db("looking for an earlier activation"))? {
        Some(row) if row.digest == *digest => Ok(Some(row)),
        Some(_) => Err(Refusal::KeyInUse.into()),
        None => Ok(None),
    }
}

async fn answer(app: &App, row: ActivationRow) -> Result<Activated, AppError> {
    let damaged = || AppError::damaged("activation_damaged", "A stored activation cannot be read.");
    let rights = Rights::from_word(&row.rights).ok_or_else(damaged)?;
    let outcome = Outcome::from_word(&row.outcome).ok_or_else(damaged)?;
    let changes = PolicyChanges::from_text(&row.changes).ok_or_else(damaged)?;
    let during = || AppError::db("reading an activated device");
    let mut tx = app.db.read().await.map_err(during())?;
    let device = db::device_get(&mut tx, row.device).await.map_err(during())?.ok_or_else(damaged)?;
    let user = db::user_get(&mut tx, device.user).await.map_err(during())?.ok_or_else(damaged)?;
    drop(tx);
    // A repeated request must not be a way to read after the binding has ended.
    let reads = device.epoch == row.epoch
        && access::may_of_user(user.state, &device.state, app.clock.now(), Verb::ReadOwnTrees).is_ok();
    let snapshot = snapshots::newest(app, row.device, reads).await?;
    Ok(Activated { device: row.device, epoch: row.epoch, rights, outcome, user: user.email, snapshot, changes })
}

impl Outcome {
    /// The stable word. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Outcome::New => "new",
            Outcome::Replaced => "replaced",
            Outcome::Reactivated => "reactivated",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Outcome::New, Outcome::Replaced, Outcome::Reactivated].into_iter().find(|outcome| outcome.word() == word)
    }

    fn of(event: &Event) -> Self {
        match event {
            Event::Activate { .. } => Outcome::New,
            Event::Reactivate { .. } => Outcome::Reactivated,
            Event::Replace { .. } => Outcome::Replaced,
            Event::Approve
            | Event::Hold { .. }
            | Event::Deactivate { .. }
            | Event::Suspend
            | Event::Enable
            | Event::Conflict
            | Event::Resolve { .. }
            | Event::Decommission
            | Event::ConfirmWipe
            | Event::Delete { .. }
            | Event::Undelete
            | Event::Purge => unreachable!("`decide` puts only activate, reactivate and replace to a record"),
        }
    }
}

fn record_new(app: &App, now: Timestamp, activation: &Activation, user: &UserRow) -> DeviceRow {
    let id = DeviceId::mint(app.entropy.as_ref());
    let name = match activation.about.host_name.trim() {
        "" => id.to_string(),
        name => name.to_owned(),
    };
    DeviceRow {
        id,
        user: user.id,
        name,
        state: State::Pending,
        epoch: 0,
        about: activation.about.clone(),
        created_at: now,
        activated_at: now,
        last_seen_at: None,
        last_snapshot: None,
    }
}

fn evidence(about: &DeviceAbout) -> Evidence {
    Evidence {
        host_name: about.host_name.clone(),
        serial: about.serial.clone(),
        hardware_uuid: about.hardware_uuid.clone(),
        os_user: about.os_user.clone(),
    }
}

fn well_formed(activation: &Activation) -> Result<(), AppError> {
    let DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent } = &activation.about;
    for text in [host_name, serial, hardware_uuid, os_user, os, arch, agent, &activation.email] {
        if text.len() > ABOUT_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(Refusal::RequestMalformed.into());
        }
    }
    Ok(())
}

/// Of everything in the request, the secret too. Keyed, so that the database tells nothing of a password.
fn digest(app: &App, activation: &Activation) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(app.keys.activation.expose());
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    field(&activation.signed);
    field(&activation.signature);
    match &activation.proof {
        Claim::Password(password) => field(password.expose().as_bytes()),
        Claim::OldKey { device, signature } => {
            field(device.as_bytes());
            field(signature);
        }
    }
    let DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent } = &activation.about;
    for text in [host_name, serial, hardware_uuid, os_user, os, arch, agent] {
        field(text.as_bytes());
    }
    *hasher.finalize().as_bytes()
}
