//! What the endpoint keeps between runs: which server, which device, which folders, and the device's key.
//! Refuses to start when others can read it, and to guess when it is damaged. Layout: docs/cli.md, "State".

mod key;
mod pending;
mod private;

use crate::error::AgentError;
use base::{Clock, DeviceId, Span};
use format::StoredPath;
pub use key::DeviceKey;
pub use pending::Pending;
pub use pin::{Pin, fingerprint_from_text, fingerprint_text};
pub(crate) use private::zero;
use private::{PrivateDir, damaged, new_name};
use protocol::{Hex, Text};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Path, PathBuf};

const STATE_FILE: &str = "state.json";
const KEY_FILE: &str = "device.key";
const PENDING_FILE: &str = "pending.json";
const PENDING_KEY_FILE: &str = "pending.key";
const CACHE_FILE: &str = "trees.cache";
const SESSION_LOCK: &str = "session.lock";
const STATE_LOCK: &str = "state.lock";
/// The version that this build writes.
const VERSION: u32 = 2;
/// The oldest that it reads: version 1 had no counter.
const VERSION_OLDEST: u32 = 1;
/// How long a command waits for another one that signs in with the same state.
const TURN_SPAN: Span = Span::minutes(3);
const TURN_STEP: Span = Span::ms(25);

/// The state directory: there, private, and ours.
#[derive(Clone, Debug)]
pub struct StateDir(PrivateDir);

/// Who this computer is to its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The server.
    pub server: Server,
    /// The record that this computer is.
    pub device: DeviceId,
    /// Which binding of a key to the record this is.
    pub epoch: u64,
    /// Whose device it is.
    pub user: String,
    /// The public half of the device's key.
    pub public_key: [u8; 32],
    /// What is backed up when no folder is named and the policy has none.
    pub folders: Vec<StoredPath>,
    /// What the next session presents: whoever shows an older one is a copy of this computer. Absent in a state that
    /// an older release has written.
    pub counter: Option<Hex<56>>,
}

/// A server, and how it is known to be the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `https://host:port`, without a final slash.
    pub url: String,
    /// What its certificate must be.
    pub pin: Pin,
}

/// Held while a command works with the state; released when dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl StateDir {
    /// Opens the directory, made when it is not there.
    ///
    /// # Errors
    /// It cannot be made, belongs to somebody else, or can be read by others.
    pub fn open(path: &Path) -> Result<Self, AgentError> {
        PrivateDir::open(path).map(Self)
    }

    /// Where it is. Never fails.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The state and the device's key; `None` when this computer was never activated.
    ///
    /// # Errors
    /// A file that others can read, or that is damaged: the sentence says what to do.
    pub fn load(&self) -> Result<Option<(State, DeviceKey)>, AgentError> {
        let Some(state) = self.read_state()? else { return Ok(None) };
        let key = self.key_of(&state)?;
        Ok(Some((state, key)))
    }

    /// The state and key of a device that is activated.
    ///
    /// # Errors
    /// `not_activated`, and as `load`.
    pub fn activated(&self) -> Result<(State, DeviceKey), AgentError> {
        self.load()?.ok_or(AgentError::NotActivated)
    }

    /// Replaces the state; durable when this returns.
    ///
    /// # Errors
    /// The disk is full or fails; the state is then as before.
    pub fn store(&self, state: &State) -> Result<(), AgentError> {
        let _lock = self.wait_for(STATE_LOCK)?;
        self.0.replace(STATE_FILE, &render(state))
    }

    /// Changes the state, if it still is the one of this key; durable when this returns.
    ///
    /// # Errors
    /// As `load` and `store`.
    pub fn change(&self, public_key: &[u8; 32], change: impl FnOnce(&mut State)) -> Result<(), AgentError> {
        // RACE: another command may have stored a counter or a new activation since the caller has looked.
        let _lock = self.wait_for(STATE_LOCK)?;
        let Some(mut state) = self.read_state()?.filter(|state| state.public_key == *public_key) else { return Ok(()) };
        change(&mut state);
        self.0.replace(STATE_FILE, &render(&state))
    }

    /// What the next session of this key presents.
    ///
    /// # Errors
    /// As `load`.
    pub fn counter(&self, public_key: &[u8; 32]) -> Result<Option<Hex<56>>, AgentError> {
        let state = self.read_state()?.filter(|state| state.public_key == *public_key);
        Ok(state.and_then(|state| state.counter))
    }

    /// The turn to sign in: two commands at once must not look like two computers.
    ///
    /// # Errors
    /// Another command has had it for minutes, or the lock file cannot be made.
    pub async fn turn(&self, clock: &dyn Clock) -> Result<Lock, AgentError> {
        let began_at = clock.now();
        loop {
            match self.lock(SESSION_LOCK, "a sign-in") {
                Err(AgentError::Busy { .. }) if clock.now().since(began_at) < TURN_SPAN => {
                    clock.sleep(TURN_STEP).await;
                }
                taken => return taken,
            }
        }
    }

    /// Makes a pending activation the device's state.
    ///
    /// # Errors
    /// The disk is full or fails; the same activation can then be asked for again, with the same answer.
    pub fn adopt(&self, state: &State) -> Result<(), AgentError> {
        // ORDER: the state says which key it needs; `key_of` finds it under either name when we die between the two.
        self.store(state)?;
        self.0.rename(PENDING_KEY_FILE, KEY_FILE)?;
        self.0.remove(PENDING_FILE)
    }

    /// The activation that was asked for last and never answered, if any. One that is damaged is none.
    ///
    /// # Errors
    /// A file that others can read.
    pub fn pending(&self) -> Result<Option<(Pending, DeviceKey)>, AgentError> {
        let (Some(bytes), Some(key)) = (self.0.read(PENDING_FILE)?, self.0.read(PENDING_KEY_FILE)?) else {
            return Ok(None);
        };
        Ok(Pending::parse(&bytes).zip(DeviceKey::from_pkcs8(&key)))
    }

    /// Keeps an activation that is about to be asked for; durable when this returns.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn keep_pending(&self, pending: &Pending, key: &DeviceKey) -> Result<(), AgentError> {
        // ORDER: a request is only ever repeated with the key that it was made for, so the old request goes first.
        self.0.remove(PENDING_FILE)?;
        self.0.replace(PENDING_KEY_FILE, &key.to_pkcs8())?;
        self.0.replace(PENDING_FILE, &pending.render())
    }

    /// Where the trees of the last snapshot are kept. Never fails.
    pub fn cache_file(&self) -> PathBuf {
        self.0.join(CACHE_FILE)
    }

    /// Takes the lock of one kind of work; `what` names it for people: `a backup`.
    ///
    /// # Errors
    /// `already_running`, or the lock file cannot be made.
    pub fn lock(&self, file: &str, what: &'static str) -> Result<Lock, AgentError> {
        let path = self.0.join(file);
        let lock = self.0.open_lock(file)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock(lock)),
            Err(Errno::WOULDBLOCK) => Err(AgentError::Busy { what }),
            Err(error) => Err(AgentError::file("locking", path)(error.into())),
        }
    }

    /// The bytes of one of the small files beside the state; `None` when it is not there.
    ///
    /// # Errors
    /// A file that others can read, or that is too large.
    pub fn read_beside(&self, file: &str) -> Result<Option<Vec<u8>>, AgentError> {
        self.0.read(file)
    }

    /// Writes one of the small files beside the state; durable when this returns.
    ///
    /// # Errors
    /// The disk is full or fails; the file is then as before.
    pub fn keep_beside(&self, file: &str, bytes: &[u8]) -> Result<(), AgentError> {
        self.0.replace(file, bytes)
    }

    /// Takes one of the files of this directory away, if it is there; durable when this returns.
    ///
    /// # Errors
    /// `file_unusable`.
    pub fn remove_beside(&self, file: &str) -> Result<(), AgentError> {
        self.0.remove(file)?;
        self.0.sync()
    }

    /// Overwrites a file (of a large one, the beginning) and takes it away, if it is there, and with it what a crash
    /// has left of writing it; durable when this returns. A file system that keeps old blocks elsewhere (snapshots,
    /// flash) may have a copy all the same.
    ///
    /// # Errors
    /// `file_unusable`.
    pub fn erase_beside(&self, file: &str) -> Result<(), AgentError> {
        for name in [&new_name(file), file] {
            self.0.overwrite(name)?;
            self.0.remove(name)?;
        }
        self.0.sync()
    }

    fn wait_for(&self, file: &str) -> Result<Lock, AgentError> {
        let path = self.0.join(file);
        let lock = self.0.open_lock(file)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| AgentError::file("locking", path)(error.into()))?;
        Ok(Lock(lock))
    }

    fn read_state(&self) -> Result<Option<State>, AgentError> {
        let Some(bytes) = self.0.read(STATE_FILE)? else { return Ok(None) };
        parse(&bytes).map(Some).map_err(|flaw| flaw.about(&self.0.join(STATE_FILE)))
    }

    fn key_of(&self, state: &State) -> Result<DeviceKey, AgentError> {
        let fits = |key: &DeviceKey| key.public() == state.public_key;
        let stored = self.0.read(KEY_FILE)?.and_then(|bytes| DeviceKey::from_pkcs8(&bytes));
        if let Some(key) = stored.filter(fits) {
            return Ok(key);
        }
        let pending = self.0.read(PENDING_KEY_FILE)?.and_then(|bytes| DeviceKey::from_pkcs8(&bytes));
        let flaw = "it is not the key that the server knows";
        let key = pending.filter(fits).ok_or_else(|| damaged(&self.0.join(KEY_FILE), flaw))?;
        self.0.rename(PENDING_KEY_FILE, KEY_FILE)?;
        self.0.remove(PENDING_FILE)?;
        Ok(key)
    }
}

/// `state.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    version: u32,
    server: ServerFile,
    device: Text<DeviceId>,
    epoch: u64,
    user: String,
    public_key: Hex<32>,
    folders: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counter: Option<Hex<56>>,
}

/// The version alone: a later version may have other fields.
#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerFile {
    url: String,
    pin: PinFile,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum PinFile {
    Ca { pem: String },
    Fingerprint { sha256: Hex<32> },
}

/// What is wrong with the bytes of `state.json`.
enum Flaw {
    Damaged(String),
    Version(u32),
}

impl Flaw {
    fn about(self, path: &Path) -> AgentError {
        match self {
            Flaw::Damaged(what) => damaged(path, &what),
            Flaw::Version(version) => {
                let sentence =
                    format!("{} has version {version}, and this program reads up to {VERSION}", path.display());
                let advice = "install the release that wrote it, or activate again";
                AgentError::state("state_version", format!("{sentence}: {advice}"))
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<State, Flaw> {
    let json = |error: serde_json::Error| Flaw::Damaged(error.to_string());
    let found: VersionOnly = serde_json::from_slice(bytes).map_err(json)?;
    if !(VERSION_OLDEST..=VERSION).contains(&found.version) {
        return Err(Flaw::Version(found.version));
    }
    let file: StateFile = serde_json::from_slice(bytes).map_err(json)?;
    let folder = |text: &String| {
        let bytes = protocol::path_from_text(text)?;
        StoredPath::from_bytes(bytes).ok()
    };
    let folders = file.folders.iter().map(folder).collect::<Option<Vec<_>>>();
    let folders = folders.ok_or_else(|| Flaw::Damaged("a folder is not a path".to_owned()))?;
    let pin = match file.server.pin {
        PinFile::Ca { pem } => Pin::Ca(pem),
        PinFile::Fingerprint { sha256 } => Pin::Fingerprint(sha256.0),
    };
    Ok(State {
        server: Server { url: file.server.url, pin },
        device: file.device.0,
        epoch: file.epoch,
        user: file.user,
        public_key: file.public_key.0,
        folders,
        counter: file.counter,
    })
}

fn render(state: &State) -> Vec<u8> {
    let pin = match &state.server.pin {
        Pin::Ca(pem) => PinFile::Ca { pem: pem.clone() },
        Pin::Fingerprint(sha256) => PinFile::Fingerprint { sha256: Hex(*sha256) },
    };
    let file = StateFile {
        version: VERSION,
        server: ServerFile { url: state.server.url.clone(), pin },
        device: Text(state.device),
        epoch: state.epoch,
        user: state.user.clone(),
        public_key: Hex(state.public_key),
        folders: state.folders.iter().map(|folder| protocol::path_to_text(folder.as_bytes())).collect(),
        counter: state.counter,
    };
    let mut bytes = serde_json::to_vec_pretty(&file).expect("a struct of texts and numbers is always JSON");
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
impl State {
    /// A device's, for tests.
    pub(crate) fn sample() -> Self {
        Self {
            server: Server { url: "https://backup.example.com:8471".to_owned(), pin: Pin::Fingerprint([0; 32]) },
            device: DeviceId::from_bytes([0x22; 16]),
            epoch: 1,
            user: "anna@example.com".to_owned(),
            public_key: [0; 32],
            folders: vec![],
            counter: None,
        }
    }
}

#[cfg(test)]
mod tests;
