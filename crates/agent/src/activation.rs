//! Activation from the endpoint's side: proves who asks, obeys the answer, and keeps it. Asking again after a lost
//! answer is the same question with the same key. Refuses to decide which record this computer is.

use crate::error::AgentError;
use crate::evidence;
use crate::hidden::Hidden;
use crate::remote::{Around, Connection};
use crate::state::{DeviceKey, Pending, Server, State, StateDir};
use base::{DeviceId, Span};
use format::StoredPath;
use protocol::agent::activation::{
    ActivationAnswer, ActivationChanges, ActivationQuestion, ActivationReply, ActivationRequest, ActivationWaiting,
    Choice, OldKey, Preview, Proof, Restore,
};
use protocol::{Hex, Text, Versions};

const LOCK_FILE: &str = "activation.lock";

/// What is asked for, by a person or an installer.
#[derive(Debug)]
pub struct Ask {
    /// Which server.
    pub server: Server,
    /// How it is proved who asks.
    pub proof: AskProof,
    /// Which record is wanted.
    pub choice: Choice,
    /// What is to be brought back afterwards; `None` leaves it to the server.
    pub restore: Option<Restore>,
    /// Whether somebody is there who can answer a question.
    pub can_ask: bool,
    /// Whether it is shown first what would change.
    pub preview: Preview,
    /// What is to be backed up from now on; as before when there is none.
    pub folders: Vec<StoredPath>,
}

/// How it is proved who asks.
#[derive(Debug)]
pub enum AskProof {
    /// With the user's password.
    Password {
        /// Whose.
        email: String,
        /// As typed.
        password: Hidden,
    },
    /// With a one-time code.
    Ticket {
        /// Whose.
        email: String,
        /// As typed.
        code: Hidden,
    },
    /// With an installer's deployment token.
    Token {
        /// Whose device it is to be; empty where the server finds that out.
        email: String,
        /// Its text.
        token: Hidden,
    },
    /// With the key that this computer has.
    OldKey,
}

/// What the server says.
#[derive(Debug)]
pub enum Answer {
    /// The device's key and state are durable here.
    Activated(Box<Activated>),
    /// Nothing has happened: somebody has to choose.
    Question(ActivationQuestion),
    /// Nothing has happened: this would change.
    Changes(ActivationChanges),
    /// The record waits for an admin.
    Waiting(ActivationWaiting),
}

/// This computer is a device of the server now.
#[derive(Debug)]
pub struct Activated {
    /// What was kept.
    pub state: State,
    /// What the server said.
    pub reply: ActivationReply,
}

/// A "no", and how long the server has asked to wait before the next question.
#[derive(Debug)]
pub struct Unanswered {
    /// Why.
    pub error: AgentError,
    /// At least so long; `None` where the server has not said.
    pub wait: Option<Span>,
}

/// Asks the server, and keeps its answer: the device's key and state are durable when this returns.
///
/// # Errors
/// The server refuses or cannot be reached; with an old key, there is none; the state cannot be kept.
pub async fn run(around: &Around, dir: &StateDir, ask: &Ask) -> Result<Answer, AgentError> {
    attempt(around, dir, ask).await.map_err(|no| no.error)
}

/// As `run`; a "no" comes with the wait that the server has asked for.
///
/// # Errors
/// As `run`.
pub async fn attempt(around: &Around, dir: &StateDir, ask: &Ask) -> Result<Answer, Unanswered> {
    let early = |error| Unanswered { error, wait: None };
    let _lock = dir.lock(LOCK_FILE, "an activation").map_err(early)?;
    // The counter that is shown with the old key must be the last one until the answer is here: a session of another
    // command in between would make this computer look like a copy of itself.
    let _turn = dir.turn(&*around.clock).await.map_err(early)?;
    let before = before(dir, ask).map_err(early)?;
    let connection = Connection::to(&ask.server, around).map_err(early)?;
    let late = |error| Unanswered { error: AgentError::Remote(error), wait: connection.asked_to_wait() };
    agree(connection.hello().await.map_err(late)?.protocol).map_err(early)?;

    let (pending, key) = pending(around, dir, ask).map_err(early)?;
    let request = request(pending, &key, ask, before.as_ref());
    let reply = match connection.activate(&request).await.map_err(late)? {
        ActivationAnswer::Activated(reply) => *reply,
        ActivationAnswer::Question(question) => return Ok(Answer::Question(question)),
        ActivationAnswer::Changes(changes) => return Ok(Answer::Changes(changes)),
        ActivationAnswer::Waiting(waiting) => return Ok(Answer::Waiting(waiting)),
    };
    let kept = before.map(|(state, _)| state.folders).unwrap_or_default();
    let state = State {
        server: ask.server.clone(),
        device: reply.device.0,
        epoch: reply.epoch,
        user: reply.user.clone(),
        public_key: key.public(),
        folders: if ask.folders.is_empty() { kept } else { ask.folders.clone() },
        counter: Some(reply.counter),
    };
    dir.adopt(&state).map_err(early)?;
    Ok(Answer::Activated(Box::new(Activated { state, reply })))
}

/// The state and key of last time.
fn before(dir: &StateDir, ask: &Ask) -> Result<Option<(State, DeviceKey)>, AgentError> {
    match (&ask.proof, dir.load()) {
        (AskProof::OldKey, loaded) => loaded?.ok_or(AgentError::NotActivated).map(Some),
        // The other proofs need nothing of what is damaged; a new answer puts it right.
        (_, Err(AgentError::State { code: "state_damaged" | "state_version", .. })) => Ok(None),
        (_, loaded) => loaded,
    }
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
fn pending(around: &Around, dir: &StateDir, ask: &Ask) -> Result<(Pending, DeviceKey), AgentError> {
    let mut request = [0; 16];
    around.entropy.fill(&mut request);
    let pending = Pending {
        request: Hex(request),
        url: ask.server.url.clone(),
        email: ask.proof.email().to_owned(),
        evidence: evidence::gather(),
        choice: ask.choice.clone(),
        restore: ask.restore,
        can_ask: ask.can_ask,
        preview: ask.preview,
        proof: ask.proof.word().to_owned(),
    };
    if let Some(kept) = dir.pending()?.filter(|(kept, _)| kept.asks_the_same(&pending)) {
        return Ok(kept);
    }
    let key = DeviceKey::mint(&*around.entropy);
    // ORDER: the key is on the disk before the server hears of it, or an answer could bind a key that is lost.
    dir.keep_pending(&pending, &key)?;
    Ok((pending, key))
}

fn request(pending: Pending, key: &DeviceKey, ask: &Ask, before: Option<&(State, DeviceKey)>) -> ActivationRequest {
    let mut request = ActivationRequest {
        request: pending.request,
        email: pending.email,
        proof: ask.proof.on_the_wire(),
        device_key: Hex(key.public()),
        signature: Hex([0; 64]),
        evidence: pending.evidence,
        platform: evidence::platform(),
        choice: pending.choice,
        can_ask: pending.can_ask,
        preview: pending.preview,
        restore: pending.restore,
        old_key: None,
    };
    // Neither proof nor signatures are among the signed bytes, so the signatures are put in afterwards.
    let signed = request.signed_bytes();
    request.signature = Hex(key.sign(&signed));
    request.old_key =
        before.filter(|(state, _)| is_theirs(ask, state) && wants(&ask.choice, state.device)).map(|(state, old)| {
            let signature = Hex(old.sign(&signed));
            OldKey { device: Text(state.device), signature, counter: state.counter }
        });
    request
}

/// Whether the key of last time is one of this server: by its address, or by its certificate where that has moved.
fn is_theirs(ask: &Ask, state: &State) -> bool {
    matches!(ask.proof, AskProof::OldKey) || state.server.url == ask.server.url || state.server.pin == ask.server.pin
}

/// Whether the record that this computer was may be what is wanted now.
fn wants(choice: &Choice, own: DeviceId) -> bool {
    match choice {
        Choice::Auto => true,
        Choice::Add => false,
        Choice::Replace { device } => device.0 == own,
    }
}

impl AskProof {
    fn email(&self) -> &str {
        match self {
            AskProof::Password { email, .. } | AskProof::Ticket { email, .. } | AskProof::Token { email, .. } => email,
            AskProof::OldKey => "",
        }
    }

    fn word(&self) -> &'static str {
        match self {
            AskProof::Password { .. } => "password",
            AskProof::Ticket { .. } => "ticket",
            AskProof::Token { .. } => "token",
            AskProof::OldKey => "old_key",
        }
    }

    fn on_the_wire(&self) -> Proof {
        match self {
            AskProof::Password { password, .. } => Proof::Password { password: password.expose().to_owned() },
            AskProof::Ticket { code, .. } => Proof::Ticket { code: code.expose().to_owned() },
            AskProof::Token { token, .. } => Proof::Token { token: token.expose().to_owned() },
            AskProof::OldKey => Proof::OldKey,
        }
    }
}
