//! What this device is to do: fetched from the server, kept for the days when it does not answer, and turned into the
//! folders and patterns of a backup. Refuses to decide: the server says what is mandatory and who may change what.

use crate::error::AgentError;
use crate::files::{BadPattern, Selection};
use crate::folders::path_text;
use crate::places::Places;
use crate::remote::{Around, Connection};
use crate::state::{State, StateDir};
use base::{DeviceId, FolderId, Kind};
use engine::{EngineError, Problem, RemoteError};
use format::StoredPath;
use protocol::Text;
use protocol::agent::policy::{FolderRequest, PolicyFolder, PolicyReply, ValuesRequest};
use serde::{Deserialize, Serialize};

const POLICY_FILE: &str = "policy.json";
const VERSION: u32 = 1;
/// The word of this operating system in a policy.
const OS: &str = std::env::consts::OS;
const ANY_OS: &str = "any";
/// The server's word for a folder that the policy has already.
const FOLDER_EXISTS: &str = "folder_exists";

/// The effective policy, and how old it is.
#[derive(Clone, Debug)]
pub struct Known {
    /// What the server said.
    pub policy: PolicyReply,
    /// When, by this computer's clock, in milliseconds since 1970.
    pub fetched_at_ms: i64,
    /// Why it is the one of last time; `None` when the server has just said it.
    pub stale: Option<RemoteError>,
    /// Its folders that this computer would back up and does not have, as the policy writes them.
    pub absent: Vec<String>,
}

impl Known {
    /// The same, with those of its folders that this computer does not have. Never fails.
    #[must_use]
    pub fn looked_for_in(mut self, places: &Places) -> Self {
        let ours = self.policy.folders.iter().filter(|one| is_ours(one) && is_taken(one) && places.lacks(&one.path));
        self.absent = ours.map(|one| one.path.clone()).collect();
        self
    }
}

/// A change of the policy, as far as its user may make it.
#[derive(Clone, Debug)]
pub enum Change {
    /// Sets a value, or takes it back to what the profile says.
    Value {
        /// The policy's word.
        key: String,
        /// The value; `None` takes it back.
        value: Option<String>,
    },
    /// Adds a folder of the user's own.
    Add(FolderRequest),
    /// Removes a folder of the user's own.
    Remove {
        /// Its name, or its path as it was written or as it is here.
        folder: String,
    },
    /// Takes a folder out of this device's backup, or back in.
    Link {
        /// Its name, or its path as it was written or as it is here.
        folder: String,
        /// Whether it is to be backed up.
        is_linked: bool,
    },
}

/// The policy as it is now. Fetches it; where that fails, takes the one that is kept.
///
/// # Errors
/// Not activated; the server does not say it and none is kept.
pub async fn look(around: &Around, dir: &StateDir) -> Result<Known, AgentError> {
    let (state, key) = dir.activated()?;
    let connection = Connection::of_device(dir, &state, key, around)?;
    fetch(around, dir, &state, &connection).await
}

/// As `look`, over a connection that is there already.
///
/// # Errors
/// As `look`.
pub async fn fetch(
    around: &Around,
    dir: &StateDir,
    state: &State,
    connection: &Connection,
) -> Result<Known, AgentError> {
    match connection.policy().await {
        Ok(policy) => Ok(keep(around, dir, state, policy)),
        Err(error) => match kept(dir, state.device) {
            Some(known) => Ok(Known { stale: Some(error), ..known }),
            None => Err(AgentError::Remote(error)),
        },
    }
}

/// What the server has just said.
fn keep(around: &Around, dir: &StateDir, state: &State, policy: PolicyReply) -> Known {
    let known = Known { policy, fetched_at_ms: around.clock.now().as_ms(), stale: None, absent: Vec::new() };
    // A disk that cannot keep it is no reason to fail: it is fetched again.
    let _ = dir.keep_beside(POLICY_FILE, &render(state.device, &known));
    known
}

/// The policy of last time, if it is this device's. One that is damaged is none. Never fails otherwise.
pub fn kept(dir: &StateDir, device: DeviceId) -> Option<Known> {
    let bytes = dir.read_beside(POLICY_FILE).ok().flatten()?;
    let file: PolicyFile = serde_json::from_slice(&bytes).ok()?;
    let fits = file.version == VERSION && file.device.0 == device;
    fits.then_some(Known { policy: file.policy, fetched_at_ms: file.fetched_at_ms, stale: None, absent: Vec::new() })
}

/// Makes a change, and tells the policy that is in force then.
///
/// # Errors
/// Not activated, no such folder, or the server refuses: the profile does not let its users change this.
pub async fn change(around: &Around, dir: &StateDir, places: &Places, change: Change) -> Result<Known, AgentError> {
    let (state, key) = dir.activated()?;
    let connection = Connection::of_device(dir, &state, key, around)?;
    let before = || async { connection.policy().await.map_err(AgentError::Remote) };
    let made = match change {
        Change::Value { key, value } => {
            let made = connection.set_values(&ValuesRequest { values: [(key, value)].into() }).await;
            return Ok(keep(around, dir, &state, made.map_err(AgentError::Remote)?));
        }
        Change::Add(request) => connection.add_folder(&request).await,
        Change::Remove { folder } => {
            let folder = find(&before().await?, places, &folder, true)?;
            connection.remove_folder(folder).await
        }
        Change::Link { folder, is_linked } => {
            let folder = find(&before().await?, places, &folder, false)?;
            connection.link_folder(folder, is_linked).await
        }
    };
    made.map_err(AgentError::Remote)?;
    fetch(around, dir, &state, &connection).await
}

/// What became of a folder that was chosen at an activation.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The folder.
    pub folder: StoredPath,
    /// Why the policy does not have it; `None` when it has.
    pub refused: Option<RemoteError>,
}

/// Puts folders that a person has named at the activation among their own, as far as the server lets them.
///
/// # Errors
/// The state cannot be used.
pub async fn choose(
    around: &Around,
    dir: &StateDir,
    places: &Places,
    folders: &[StoredPath],
) -> Result<Vec<Chosen>, AgentError> {
    if folders.is_empty() {
        return Ok(Vec::new());
    }
    let (state, key) = dir.activated()?;
    let connection = Connection::of_device(dir, &state, key, around)?;
    let there = connection.policy().await.map(|policy| policy.folders).unwrap_or_default();
    let mut chosen = Vec::new();
    for folder in folders {
        let is_there = there.iter().any(|one| is_ours(one) && places.folder(&one.path).ok().as_ref() == Some(folder));
        let request = FolderRequest { path: path_text(folder), include: Vec::new(), exclude: Vec::new() };
        let added = if is_there { Ok(()) } else { connection.add_folder(&request).await };
        let refused = added.err().filter(|error| error.code != FOLDER_EXISTS);
        chosen.push(Chosen { folder: folder.clone(), refused });
    }
    let _ = fetch(around, dir, &state, &connection).await;
    Ok(chosen)
}

/// What a backup takes.
#[derive(Debug)]
pub struct Wanted {
    /// The folders with their patterns.
    pub selection: Selection,
    /// Folders and patterns of the policy that mean nothing here.
    pub problems: Vec<Problem>,
    /// Whether it is less than what this computer is to back up.
    pub partial: bool,
}

/// What a backup takes: the folders that are given; else those of the policy; else, where that has none for this
/// system, `fallback`. The exclusions of the policy hold in every case.
///
/// Folders that this computer does not have are passed over: `Places::lacks`.
///
/// # Errors
/// `no_folders`; `nothing_to_read` where this computer has none of them.
pub fn wanted(
    policy: Option<&PolicyReply>,
    places: &Places,
    given: &[StoredPath],
    fallback: &[StoredPath],
) -> Result<Wanted, AgentError> {
    let ours: Vec<&PolicyFolder> =
        policy.iter().flat_map(|policy| &policy.folders).filter(|one| is_ours(one)).collect();
    let mut wanted = Wanted { selection: Selection::default(), problems: Vec::new(), partial: false };
    if !given.is_empty() {
        wanted.selection = Selection::of(given);
        // Where nothing is to be backed up, what is given is all of it.
        let all = self::wanted(policy, places, &[], fallback).map(|all| all.selection.folders()).unwrap_or_default();
        wanted.partial = !all.iter().all(|folder| given.iter().any(|one| folder.starts_with(one)));
    } else if ours.is_empty() {
        wanted.selection = Selection::of(fallback);
    } else {
        let (absent, here): (Vec<&PolicyFolder>, _) =
            ours.into_iter().filter(|one| is_taken(one)).partition(|one| places.lacks(&one.path));
        here.iter().for_each(|folder| wanted.add(folder, places));
        if here.is_empty() && !absent.is_empty() {
            let all = absent.iter().map(|one| one.path.as_str()).collect::<Vec<_>>().join(", ");
            let sentence = format!("no folder of the policy is on this computer: {all}");
            return Err(AgentError::Run(EngineError::NothingToRead { sentence }));
        }
    }
    if wanted.selection.folders().is_empty() && wanted.problems.is_empty() {
        let sentence = match ours_is_unlinked(policy) {
            true => "every folder of the policy is taken out: `holdfast folders link PATH` takes one back in",
            false => "no folder is chosen yet: name one, as in `holdfast backup /home/me`",
        };
        return Err(AgentError::usage("no_folders", sentence));
    }
    let exclusions = policy.map(|policy| policy.exclusions.as_slice()).unwrap_or_default();
    let bad = wanted.selection.exclude_everywhere(exclusions);
    wanted.problems.extend(bad.iter().map(|bad| bad_pattern(&StoredPath::root(), bad)));
    Ok(wanted)
}

impl Wanted {
    fn add(&mut self, folder: &PolicyFolder, places: &Places) {
        let root = match places.folder(&folder.path) {
            Ok(root) => root,
            Err(error) => {
                let code = if error.code() == "variable_unknown" { "variable_unknown" } else { "path_invalid" };
                self.problems.push(Problem { path: StoredPath::root(), code, sentence: error.sentence() });
                return;
            }
        };
        let bad = self.selection.add(root.clone(), &folder.include, &folder.exclude);
        self.problems.extend(bad.iter().map(|bad| bad_pattern(&root, bad)));
    }
}

fn ours_is_unlinked(policy: Option<&PolicyReply>) -> bool {
    policy.is_some_and(|policy| policy.folders.iter().any(is_ours))
}

fn is_ours(folder: &PolicyFolder) -> bool {
    folder.os == OS || folder.os == ANY_OS
}

/// Whether it is to be backed up.
fn is_taken(folder: &PolicyFolder) -> bool {
    folder.linked || folder.mandatory
}

fn bad_pattern(folder: &StoredPath, bad: &BadPattern) -> Problem {
    let sentence = format!("the pattern {} cannot be read and leaves nothing out: {}", bad.pattern, bad.why);
    Problem { path: folder.clone(), code: "pattern_invalid", sentence }
}

/// The folder that a person means: by its name, by its path as it was written, or by where that is here. Where the
/// profile has the same one, the device's own is meant by who removes, and the profile's by who takes out or in.
fn find(policy: &PolicyReply, places: &Places, text: &str, of_device: bool) -> Result<FolderId, AgentError> {
    let typed = crate::folders::folder(std::path::Path::new(text)).ok();
    let is_meant = |one: &&PolicyFolder| {
        one.folder.0.to_string() == text
            || one.path == text
            || (is_ours(one) && typed.is_some() && places.folder(&one.path).ok() == typed)
    };
    let found = policy.folders.iter().filter(is_meant).min_by_key(|one| (one.from == "device") != of_device);
    let found = found.map(|one| one.folder.0);
    found.ok_or_else(|| {
        let sentence = format!("the policy has no folder {text}: `holdfast folders` lists those that it has");
        AgentError::Remote(RemoteError::new("folder_unknown", sentence, Kind::NotFound))
    })
}

/// `policy.json`.
#[derive(Serialize, Deserialize)]
struct PolicyFile {
    version: u32,
    device: Text<DeviceId>,
    fetched_at_ms: i64,
    policy: PolicyReply,
}

fn render(device: DeviceId, known: &Known) -> Vec<u8> {
    let file = PolicyFile {
        version: VERSION,
        device: Text(device),
        fetched_at_ms: known.fetched_at_ms,
        policy: known.policy.clone(),
    };
    serde_json::to_vec_pretty(&file).expect("a struct of texts and numbers is always JSON")
}

#[cfg(test)]
mod tests;
