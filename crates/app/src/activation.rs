//! Activation: who asks is proved (`prove`), `control::activation::decide` says which record it is, and one
//! transaction binds the key (`bind`). Refuses to answer one request in two ways: the answer is kept with it (`keep`).
//! Rules: docs/control.md.

mod bind;
mod keep;
mod prove;
mod question;
mod standing;

pub(crate) use keep::{Binding, binding_keep};
pub use question::{Preview, Question, Replaceable};

use crate::password::Password;
use crate::secret_text::{SecretText, TEXT_BYTES_MAX};
use crate::snapshots::{self, Newest};
use crate::tokens::refused;
use crate::{App, AppError, campaigns, counters, session};
use base::{DeviceId, Span, Timestamp};
use bind::{Bound, Done};
use control::access::Told;
use control::activation::Basis;
use control::activation::{Choice, Evidence, Restore};
use control::desk::WAITING_POLL;
use control::policy::PolicyChanges;
use control::{Event, Refusal, Rights, access};
use db::{ActivationRow, DeviceAbout, SnapshotRow};
use keep::{Earlier, Kept};
use std::net::IpAddr;

/// The longest text that a computer may say of itself in one field.
const ABOUT_BYTES_MAX: usize = 256;

/// A request as it came; nothing of it is believed yet.
#[derive(Debug)]
pub struct Activation {
    /// Drawn by the endpoint; repeated when the request is.
    pub request: [u8; 16],
    /// Who asks, as typed; empty with an old key, and mostly with a ticket or a token.
    pub email: String,
    /// How that is proved.
    pub proof: Claim,
    /// The key that this computer used before, beside the proof.
    pub old_key: Option<OldKey>,
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
    /// Whether a person is there who can answer a question.
    pub can_ask: bool,
    /// Whether it is shown first what would change.
    pub preview: control::activation::Preview,
    /// What is to be brought back, where the user has said so.
    pub restore: Option<Restore>,
    /// Where the request comes from.
    pub source: IpAddr,
}

/// How a request claims to prove who asks.
#[derive(Debug)]
pub enum Claim {
    /// The user's password, here or in the directory.
    Password(Password),
    /// A one-time code for one user, as typed.
    Ticket(Password),
    /// The text of a deployment token.
    Token(SecretText),
    /// A code of the provider of single sign-on.
    SignOn(SecretText),
    /// Nothing but `old_key`.
    OldKey,
}

/// The key that a computer used before.
#[derive(Clone, Debug)]
pub struct OldKey {
    /// The record that the key was bound to.
    pub device: DeviceId,
    /// By the old key over `signed`.
    pub signature: [u8; 64],
    /// What this computer would present at its next session with that key.
    pub counter: Option<[u8; 56]>,
}

/// The answer to an activation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The key is bound.
    Activated(Box<Activated>),
    /// Nothing has happened; a person has to choose.
    Question(Question),
    /// Nothing has happened; this would change.
    Changes(Preview),
    /// The record waits for an admin.
    Waiting(Waiting),
}

/// A device that is in service now.
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
    /// The newest snapshot of the record at this moment, as far as this binding may know it.
    pub snapshot: Option<Newest>,
    /// What is to be brought back now.
    pub restore: Restore,
    /// What it has changed of the user's own choices.
    pub changes: PolicyChanges,
    /// What the device presents at its first session.
    pub counter: [u8; 56],
    /// The slot for what it has missed.
    pub catch_up_at: Option<Timestamp>,
}

/// A record that waits for an admin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The record.
    pub device: DeviceId,
    /// When to ask again.
    pub left: Span,
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

/// Carries out an activation. The same request with the same key gets the same answer for ever, but for `Question`,
/// `Changes` and `Waiting`, which bind nothing.
///
/// # Errors
/// `request_malformed`; `signature_invalid`; `wrong_credentials` for an unknown user and a wrong password alike, after
/// the same work; `account_locked`, `password_expired`; `ticket_invalid`; the refusals of a token, and of whose
/// computer it is; `too_many_requests`; `key_in_use` for another request with a key that was bound before;
/// `activation_refused`; the refusals of `control::activation::decide`.
pub async fn activate(app: &App, activation: &Activation) -> Result<Answer, AppError> {
    well_formed(activation)?;
    session::signature_verify(&activation.device_key, &activation.signed, &activation.signature)?;
    let digest = keep::digest(app, activation);
    // Whatever is found here is looked at again in the transaction that binds.
    let mut look = app.db.read_each().await.map_err(AppError::db("looking for an earlier activation"))?;
    let done = match keep::earlier(&mut look, activation, &digest).await? {
        Earlier::Kept(kept) => Done::Kept(kept),
        Earlier::Unknown | Earlier::Bound => {
            let proved = prove::prove(app, activation, look).await?;
            // After the proof: those who wait for the hash of a password hold nobody up who has a token or a key.
            let _turn = app.lanes.activation.turn().await?;
            match bind::bind(app, activation, &digest, &proved).await {
                Err(AppError::Refused(refusal)) if proved.token().is_some() => {
                    campaigns::refused(app, proved.old_key.map(|bound| bound.device), &refusal).await?;
                    return Err(refused::remember(app, activation, proved.token(), refusal).await?.into());
                }
                bound => bound?,
            }
        }
    };
    match done {
        Done::Bound(bound, _) => Ok(Answer::Activated(Box::new(activated(app, *bound).await?))),
        Done::Kept(Kept::Bound(row)) => Ok(Answer::Activated(Box::new(activated(app, reread(app, row).await?).await?))),
        Done::Kept(Kept::Waits(device)) => Ok(Answer::Waiting(Waiting { device, left: WAITING_POLL })),
        Done::Asks(question) => Ok(Answer::Question(question::detail(app, question).await?)),
        Done::Shows(preview) => Ok(Answer::Changes(preview)),
    }
}

impl Activation {
    /// Where it comes from, as it is kept. Never fails.
    pub(crate) fn source_text(&self) -> String {
        self.source.to_canonical().to_string()
    }

    /// What the computer says of itself, as the rules take it. Never fails.
    pub(crate) fn evidence(&self) -> Evidence {
        evidence(&self.about)
    }
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

    /// What an event has been to the device; `None` is the basis of a record that was made for it.
    fn of(event: &Event, basis: Option<Basis>) -> Self {
        match event {
            // Whoever has the record's key is who the record was bound to, whatever its state.
            Event::Replace { .. } if basis == Some(Basis::OldKey) => Outcome::Reactivated,
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

/// What an answer that is kept is of now.
async fn reread(app: &App, row: ActivationRow) -> Result<Bound, AppError> {
    let during = || AppError::db("reading an activated device");
    let mut tx = app.db.read().await.map_err(during())?;
    let device = db::device_get(&mut tx, row.device).await.map_err(during())?.ok_or_else(damaged)?;
    let user = db::user_get(&mut tx, device.user).await.map_err(during())?.ok_or_else(damaged)?;
    Ok(Bound { row, device, user })
}

async fn activated(app: &App, bound: Bound) -> Result<Activated, AppError> {
    let Bound { row, device, user } = bound;
    let rights = Rights::from_word(&row.rights).ok_or_else(damaged)?;
    let outcome = Outcome::from_word(&row.outcome).ok_or_else(damaged)?;
    let restore = Restore::from_word(&row.restore).ok_or_else(damaged)?;
    let changes = PolicyChanges::from_text(&row.changes).ok_or_else(damaged)?;
    // A repeated request must not be a way to read after the binding has ended.
    let told = |newest: &SnapshotRow| match device.epoch == row.epoch {
        true => access::told(user.state, &device.state, app.clock.now(), newest.new.epoch == row.epoch),
        false => Told::Name,
    };
    let snapshot = match device.last_snapshot {
        Some(_) => snapshots::newest(app, row.device, told).await?,
        None => None,
    };
    let (device, epoch, catch_up_at) = (row.device, row.epoch, device.catch_up_at);
    let (user, counter) = (user.email, counters::first(app, device, epoch));
    Ok(Activated { device, epoch, rights, outcome, user, snapshot, restore, changes, counter, catch_up_at })
}

fn damaged() -> AppError {
    AppError::damaged("row_damaged", "A stored activation cannot be read.")
}

/// What a computer has said of itself, as the rules take it. Never fails.
pub(crate) fn evidence(about: &DeviceAbout) -> Evidence {
    Evidence {
        host_name: about.host_name.clone(),
        serial: about.serial.clone(),
        hardware_uuid: about.hardware_uuid.clone(),
        os_user: about.os_user.clone(),
    }
}

fn well_formed(activation: &Activation) -> Result<(), AppError> {
    let DeviceAbout { host_name, serial, hardware_uuid, os_user, os, arch, agent } = &activation.about;
    let plain = [host_name, serial, hardware_uuid, os_user, os, arch, agent, &activation.email]
        .into_iter()
        .all(|text| text.len() <= ABOUT_BYTES_MAX && !text.chars().any(char::is_control));
    let proof = match &activation.proof {
        Claim::Ticket(code) => code.expose().len() <= TEXT_BYTES_MAX,
        Claim::OldKey => activation.old_key.is_some(),
        Claim::Password(_) | Claim::Token(_) | Claim::SignOn(_) => true,
    };
    if plain && proof { Ok(()) } else { Err(Refusal::RequestMalformed.into()) }
}
