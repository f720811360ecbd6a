//! Activation without a person: finds what an installer has left, asks until the answer is final, and keeps the
//! reason where `holdfast status` shows it. Refuses to run twice, and to come back by itself after an order to erase.

pub mod env_file;
pub mod legacy;
mod plan;
mod record;
pub mod schedule;
pub mod trusted;

use crate::activation::{self, Activated, Answer, Ask, AskProof, Unanswered};
use crate::error::AgentError;
use crate::hidden::Hidden;
use crate::remote::{Around, Connection};
use crate::state::{State, StateDir};
use crate::wipe;
use base::{DeviceId, Kind, Retry, Span};
use engine::RemoteError;
use plan::{Plan, Scrub};
use protocol::Text;
use protocol::agent::activation::{Choice, Restore};
use protocol::agent::status::DeviceReply;
pub use record::{Record, look};
use std::fmt;
use std::path::{Path, PathBuf};

const LOCK_FILE: &str = "unattended.lock";
/// The word of full rights.
pub const FULL: &str = "full";
/// How long one question is tried before it counts as an attempt.
const ATTEMPT_PATIENCE: Span = Span::seconds(20);
/// The word of a state in which a device still says who it is, and has to come back all the same.
const HELD: &str = "held";
/// Nobody is there to answer a question.
const CHOICE_NEEDED: &str = "the server asks which device this computer is to be";

/// What is asked for on the command line, and where to look for the rest.
#[derive(Debug)]
pub struct Wish {
    /// What the command line says.
    pub said: Found,
    /// The environment file; one that is named must be there.
    pub env_file: Option<PathBuf>,
    /// The legacy file; one that is named must be there.
    pub legacy_file: Option<PathBuf>,
    /// Where configuration files of this person are, for the legacy file that is not named.
    pub config: Option<PathBuf>,
    /// How long to go on in all; `None` is for ever.
    pub patience: Option<Span>,
}

/// What one place says. What it does not say, the next one does.
#[derive(Debug, Default)]
pub struct Found {
    /// Which kind of place.
    pub origin: Origin,
    /// The file.
    pub path: Option<PathBuf>,
    /// Addresses of the server, the first choice first.
    pub servers: Vec<String>,
    /// A file with the certificate of its authority.
    pub ca: Option<PathBuf>,
    /// The fingerprint of its certificate.
    pub fingerprint: Option<String>,
    /// Whose device it is to be.
    pub email: Option<String>,
    /// The token.
    pub token: Option<Hidden>,
    /// Which record.
    pub choice: Option<Choice>,
    /// What is to be brought back.
    pub restore: Option<Restore>,
}

/// A kind of place that says what to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The arguments.
    #[default]
    CommandLine,
    /// The installer's environment file.
    EnvFile,
    /// The per-user file of older installers.
    LegacyFile,
}

impl Found {
    /// Nothing yet, from this file. Never fails.
    pub fn from_file(origin: Origin, path: &Path) -> Self {
        Self { origin, path: Some(path.to_owned()), ..Self::default() }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str("command line"),
        }
    }
}

/// How it came out.
#[derive(Debug)]
pub struct Ended {
    /// The device that this computer is.
    pub state: State,
    /// Whether a device that was in service before is known to have full rights.
    pub has_full_rights: bool,
    /// What the server said now; `None` when the computer was in service before, and nothing was to be done.
    pub activated: Option<Box<Activated>>,
    /// The files that a used token was taken out of.
    pub scrubbed: Vec<PathBuf>,
    /// Why the token could not be taken out; the next start tries again.
    pub unscrubbed: Option<AgentError>,
}

/// Asks until the answer is final. `said` is called after every attempt that was not.
///
/// # Errors
/// Nothing says what to do, a refusal that does not pass, the patience is at an end, or another one runs: the reason
/// is kept in the record, but for the last.
pub async fn run(
    around: &Around,
    dir: &StateDir,
    wish: &Wish,
    mut said: impl FnMut(&Record),
) -> Result<Ended, AgentError> {
    let _lock = dir.lock(LOCK_FILE, "an unattended activation")?;
    if let Some(wiped) = wipe::look(dir) {
        let sentence = format!("this computer was retired as {}, and does not come back by itself", wiped.device);
        return Err(AgentError::state("device_wiped", format!("{sentence}: activate it by hand")));
    }
    let before = loaded(dir)?.map(|(state, _)| state);
    let plan = match plan::find(wish, before.as_ref()) {
        Ok(plan) => plan,
        Err(error) => {
            note(dir, around, "", "", &error)?;
            return Err(error);
        }
    };
    if let Some((state, said)) = in_service(around, dir, &plan).await? {
        let has_full_rights = said.is_some_and(|said| said.rights == FULL);
        return Ok(Ended { has_full_rights, ..end(dir, &plan.scrub, state, None) });
    }
    // Without a token, the key of last time is tried: a rotation asks for no more.
    let has_key = before.is_some_and(|before| plan.servers.contains(&before.server.url));
    if plan.proof.is_none() && !has_key {
        let error = plan::no_token();
        note(dir, around, &plan.servers[0], &plan.found_in, &error)?;
        return Err(error);
    }
    let done = ask(around, dir, &plan, has_key, wish.patience, &mut said).await?;
    Ok(end(dir, &plan.scrub, done.state.clone(), Some(Box::new(done))))
}

/// The state of last time; one that is damaged is none, for an activation puts it right.
fn loaded(dir: &StateDir) -> Result<Option<(State, crate::state::DeviceKey)>, AgentError> {
    match dir.load() {
        Err(AgentError::State { code: "state_damaged" | "state_version", .. }) => Ok(None),
        loaded => loaded,
    }
}

/// The device that this computer is, where that needs nothing of us, and what the server says of it.
async fn in_service(
    around: &Around,
    dir: &StateDir,
    plan: &Plan,
) -> Result<Option<(State, Option<DeviceReply>)>, AgentError> {
    let Some((state, key)) = loaded(dir)?.filter(|(state, _)| plan.servers.contains(&state.server.url)) else {
        return Ok(None);
    };
    let around = Around { patience: ATTEMPT_PATIENCE, ..around.clone() };
    let connection = Connection::of_device(dir, &state, key, &around)?;
    match connection.device().await {
        // It may still append until a date, and comes back before that.
        Ok(said) if said.state == HELD => Ok(None),
        Ok(said) => Ok(Some((state, Some(said)))),
        Err(error) if schedule::comes_back_from(&error.code) => Ok(None),
        // A server that is away, or that has something else to say, is the business of the next backup.
        Err(_) => Ok(Some((state, None))),
    }
}

/// The key alone, where the token is refused for good: after a reset that asks for no more than new keys, a token that
/// has ended is no hindrance.
async fn by_key(once: &Around, dir: &StateDir, ask: Ask) -> Option<Activated> {
    match activation::attempt(once, dir, &Ask { proof: AskProof::OldKey, ..ask }).await {
        Ok(Answer::Activated(done)) => Some(*done),
        Ok(Answer::Question(_) | Answer::Changes(_) | Answer::Waiting(_)) | Err(_) => None,
    }
}

async fn ask(
    around: &Around,
    dir: &StateDir,
    plan: &Plan,
    has_key: bool,
    patience: Option<Span>,
    said: &mut impl FnMut(&Record),
) -> Result<Activated, AgentError> {
    let began_at = around.clock.now();
    let before = record::look(dir).filter(|record| plan.servers.contains(&record.server));
    let asked_before = before.map_or(0, |record| record.attempts);
    let once = Around { patience: ATTEMPT_PATIENCE, ..around.clone() };
    let mut server = 0;
    for attempt in 1_u32.. {
        let url = plan.servers[server % plan.servers.len()].clone();
        let ask = plan.ask(&url);
        let no = match activation::attempt(&once, dir, &ask).await {
            Ok(Answer::Activated(done)) => return Ok(*done),
            Ok(Answer::Waiting(waiting)) => {
                let wait = Span::ms(waiting.retry_after_ms);
                let pending = RemoteError::new("device_pending", waiting.detail, Kind::Refused);
                let error = AgentError::Remote(RemoteError { retry: Retry::After(wait), ..pending });
                Unanswered { error, wait: Some(wait) }
            }
            Ok(Answer::Question(_) | Answer::Changes(_)) => Unanswered {
                error: AgentError::Remote(RemoteError::new("choice_needed", CHOICE_NEEDED, Kind::Refused)),
                wait: None,
            },
            Err(no) => no,
        };
        if no.error.code() == "server_unreachable" {
            server += 1;
        }
        let now = around.clock.now();
        let wait = schedule::wait_after(attempt, no.wait, &*around.entropy);
        let is_over = patience.is_some_and(|patience| now.since(began_at).as_ms() + wait.as_ms() > patience.as_ms());
        let passes = schedule::may_pass(no.error.kind(), no.error.code(), no.wait);
        if !passes
            && has_key
            && matches!(ask.proof, AskProof::Token { .. })
            && let Some(done) = by_key(&once, dir, ask).await
        {
            return Ok(done);
        }
        let goes_on = passes && !is_over;
        let record = Record {
            server: url,
            found_in: plan.found_in.clone(),
            attempts: asked_before.saturating_add(attempt),
            tried_at_ms: now.as_ms(),
            next_at_ms: goes_on.then(|| (now + wait).as_ms()),
            may_pass: passes,
            code: no.error.code().to_owned(),
            sentence: no.error.sentence(),
        };
        record::keep(dir, &record)?;
        if !goes_on {
            return Err(for_good(no.error));
        }
        said(&record);
        around.clock.sleep(wait).await;
    }
    Err(AgentError::Interrupted)
}

/// What was left for the activation is used up. The activation holds whether that can be cleared away or not.
fn end(dir: &StateDir, scrub: &Scrub, state: State, activated: Option<Box<Activated>>) -> Ended {
    let mut ended = Ended { state, has_full_rights: false, activated, scrubbed: Vec::new(), unscrubbed: None };
    let of_legacy = |path: &PathBuf| {
        legacy::scrub(path).map(|was_there| was_there.then(|| path.clone()).into_iter().collect::<Vec<_>>())
    };
    let env = scrub.env.as_deref().map(env_file::scrub);
    for done in [env, scrub.legacy.as_ref().map(of_legacy)].into_iter().flatten() {
        match done {
            Ok(files) => ended.scrubbed.extend(files),
            Err(error) => ended.unscrubbed = Some(error),
        }
    }
    if let Err(error) = record::remove(dir) {
        tracing::debug!("the record of the unattended activation stays: {error}");
    }
    ended
}

fn note(dir: &StateDir, around: &Around, server: &str, found_in: &str, error: &AgentError) -> Result<(), AgentError> {
    let record = Record {
        server: server.to_owned(),
        found_in: found_in.to_owned(),
        attempts: 0,
        tried_at_ms: around.clock.now().as_ms(),
        next_at_ms: None,
        may_pass: false,
        code: error.code().to_owned(),
        sentence: error.sentence(),
    };
    record::keep(dir, &record)
}

/// Whatever the server says for good is a refusal to whoever waits for this computer.
fn for_good(error: AgentError) -> AgentError {
    match error {
        AgentError::Remote(error) if matches!(error.kind, Kind::Invalid | Kind::NotFound | Kind::Conflict) => {
            AgentError::Remote(RemoteError { kind: Kind::Refused, ..error })
        }
        other => other,
    }
}

/// Which record, as it is written on the command line and in files: `auto`, `add`, or a device's name.
///
/// # Errors
/// What is wrong, as a phrase.
pub fn choice_from(text: &str) -> Result<Choice, String> {
    match text {
        "auto" => Ok(Choice::Auto),
        "add" => Ok(Choice::Add),
        device => match device.parse::<DeviceId>() {
            Ok(device) => Ok(Choice::Replace { device: Text(device) }),
            Err(error) => Err(format!("neither auto nor add, and {error}")),
        },
    }
}

/// What is to be brought back, as it is written on the command line and in files.
///
/// # Errors
/// What is wrong, as a phrase.
pub fn restore_from(text: &str) -> Result<Restore, String> {
    match text {
        "none" => Ok(Restore::None),
        "data" => Ok(Restore::Data),
        "settings" => Ok(Restore::Settings),
        "all" => Ok(Restore::All),
        _ => Err("neither none, data, settings nor all".to_owned()),
    }
}
