//! Activation from the endpoint's side: proves who asks, obeys the answer, and keeps it. Asking again after a lost
//! answer is the same question with the same key. Refuses to decide which record this computer is.

use crate::error::AgentError;
use crate::evidence;
use crate::remote::{Around, Connection};
use crate::state::{DeviceKey, Pending, Server, State, StateDir};
use base::DeviceId;
use format::StoredPath;
use protocol::agent::activation::{ActivationAnswer, ActivationReply, ActivationRequest, Choice, OldKey, Proof};
use protocol::{Hex, Text, Versions};

const LOCK_FILE: &str = "activation.lock";

/// What a person asks for.
pub struct Ask {
    /// Which server.
    pub server: Server,
    /// How they prove who they are.
    pub proof: AskProof,
    /// Which record they want.
    pub choice: Choice,
    /// What is to be backed up from now on; as before when there is none.
    pub folders: Vec<StoredPath>,
}

/// How a person proves who they are.
pub enum AskProof {
    /// With their password.
    Password {
        /// Whose.
        email: String,
        /// As typed.
        password: String,
    },
    /// With the key that this computer has.
    OldKey,
}

/// This computer is a device of the server now.
#[derive(Debug)]
pub struct Activated {
    /// What was kept.
    pub state: State,
    /// What the server said.
    pub reply: ActivationReply,
}

/// Asks the server, and keeps its answer: the device's key and state are durable when this returns.
///
/// # Errors
/// The server refuses or cannot be reached; with an old key, there is none; the state cannot be kept.
pub async fn run(around: &Around, dir: &StateDir, ask: Ask) -> Result<Activated, AgentError> {
    let _lock = dir.lock(LOCK_FILE, "an activation")?;
    let before = match (&ask.proof, dir.load()) {
        // A password needs nothing of what is damaged; a new answer puts it right.
        (AskProof::Password { .. }, Err(AgentError::State { code: "state_damaged" | "state_version", .. })) => None,
        (_, loaded) => loaded?,
    };
    let (email, prover) = match (ask.proof, &before) {
        (AskProof::Password { email, password }, _) => (email, Prover::Password(password)),
        (AskProof::OldKey, Some((state, key))) => (String::new(), Prover::OldKey(state.device, key.clone())),
        (AskProof::OldKey, None) => return Err(AgentError::NotActivated),
    };
    let connection = Connection::to(&ask.server, around)?;
    agree(connection.hello().await.map_err(AgentError::Remote)?.protocol)?;

    let (pending, key) = pending(around, dir, &ask.server.url, &email, &ask.choice)?;
    let request = request(pending, &key, prover);
    let reply = match connection.activate(&request).await.map_err(AgentError::Remote)? {
        ActivationAnswer::Activated(reply) => *reply,
        // Not asked for: this release cannot ask a person, nor wait.
        ActivationAnswer::Question(_) => {
            let sentence = "the server asks which device this computer is: name it with --choice";
            return Err(AgentError::state("activation_question", sentence));
        }
        ActivationAnswer::Waiting(waiting) => return Err(AgentError::state("activation_waiting", waiting.detail)),
    };

    let kept = before.map(|(state, _)| state.folders).unwrap_or_default();
    let folders = if ask.folders.is_empty() { kept } else { ask.folders };
    let state = State {
        server: ask.server,
        device: reply.device.0,
        epoch: reply.epoch,
        user: reply.user.clone(),
        public_key: key.public(),
        folders,
    };
    dir.adopt(&state)?;
    Ok(Activated { state, reply })
}

/// What puts the proof in a request.
enum Prover {
    Password(String),
    OldKey(DeviceId, DeviceKey),
}

/// Refuses a server that speaks another protocol.
fn agree(theirs: Versions) -> Result<(), AgentError> {
    let ours = Versions::ours();
    if ours.agree(theirs).is_some() {
        return Ok(());
    }
    let who = if theirs.max < ours.min { "the server" } else { "this computer" };
    let sentence = format!(
        "the server speaks protocol {} to {} and this computer {} to {}: update Holdfast on {who}",
        theirs.min, theirs.max, ours.min, ours.max
    );
    Err(AgentError::state("protocol_mismatch", sentence))
}

/// The question and its key: those of last time when it is the same question, for the server may have answered it.
fn pending(
    around: &Around,
    dir: &StateDir,
    url: &str,
    email: &str,
    choice: &Choice,
) -> Result<(Pending, DeviceKey), AgentError> {
    let kept = dir.pending()?;
    if let Some(kept) = kept.filter(|(pending, _)| pending.asks_the_same(url, email, choice)) {
        return Ok(kept);
    }
    let mut request = [0; 16];
    around.entropy.fill(&mut request);
    let pending = Pending {
        request: Hex(request),
        url: url.to_owned(),
        email: email.to_owned(),
        evidence: evidence::gather(),
        choice: choice.clone(),
    };
    let key = DeviceKey::mint(&*around.entropy);
    // ORDER: the key is on the disk before the server hears of it, or an answer could bind a key that is lost.
    dir.keep_pending(&pending, &key)?;
    Ok((pending, key))
}

fn request(pending: Pending, key: &DeviceKey, prover: Prover) -> ActivationRequest {
    let mut request = ActivationRequest {
        request: pending.request,
        email: pending.email,
        proof: Proof::Password { password: String::new() },
        device_key: Hex(key.public()),
        signature: Hex([0; 64]),
        evidence: pending.evidence,
        platform: evidence::platform(),
        choice: pending.choice,
        can_ask: false,
        restore: None,
        old_key: None,
    };
    // Neither proof nor signature is among the signed bytes, so both are put in afterwards.
    let signed = request.signed_bytes();
    request.signature = Hex(key.sign(&signed));
    match prover {
        Prover::Password(password) => request.proof = Proof::Password { password },
        Prover::OldKey(device, old) => {
            request.proof = Proof::OldKey;
            request.old_key = Some(OldKey { device: Text(device), signature: Hex(old.sign(&signed)) });
        }
    }
    request
}
