//! Snapshots from the device's side: list them, find the one that a person means, look into it.
//! Refuses a name that fits two.

use crate::cache::FileCache;
use crate::error::AgentError;
use crate::remote::{Around, Connection, RunRemote};
use crate::state::StateDir;
use base::{Secret, SnapshotId};
use engine::{EngineError, TreeReader};
use format::{ChunkRef, Entry, EntryBody, NamingKey, StoredPath};
use protocol::agent::run::{BeginReply, BeginRequest, Purpose, SnapshotDetail};
use protocol::{Hex, Text};
use std::sync::Arc;

/// What a person writes for the newest snapshot.
pub const LATEST: &str = "latest";
/// Letters that a shortened name has at least, after what every name begins with.
const LETTERS_MIN: usize = 4;

/// Every snapshot of this device, newest first.
///
/// # Errors
/// Not activated; the server refuses or cannot be reached.
pub async fn list(around: &Around, dir: &StateDir) -> Result<Vec<SnapshotDetail>, AgentError> {
    let (state, key) = dir.activated()?;
    let connection = Connection::of_device(dir, &state, key, around)?;
    connection.snapshots().await.map_err(AgentError::Remote)
}

/// What `ls` shows.
#[derive(Debug)]
pub struct Listed {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The folder, or the one entry.
    pub path: StoredPath,
    /// What is in the folder, or the one entry.
    pub entries: Vec<Entry>,
}

/// The entries of a folder of a snapshot; for anything but a folder, the entry itself.
///
/// # Errors
/// As `list`; a snapshot or a path that is not there.
pub async fn ls(around: &Around, dir: &StateDir, snapshot: &str, path: &StoredPath) -> Result<Listed, AgentError> {
    let (state, key) = dir.activated()?;
    let connection = Arc::new(Connection::of_device(dir, &state, key, around)?);
    let reading = Reading::begin(around, &connection, snapshot).await?;
    let cache = Arc::new(FileCache::read_only(&dir.cache_file(), state.device));
    let trees = TreeReader::new(reading.naming.clone(), reading.remote(), cache);
    let looked = look(&trees, reading.root, path).await;
    reading.end().await;
    Ok(Listed { snapshot: reading.snapshot, path: path.clone(), entries: looked.map_err(AgentError::Run)? })
}

/// A run that reads one snapshot.
pub struct Reading {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// What the server says of it.
    pub detail: SnapshotDetail,
    /// Its root tree.
    pub root: ChunkRef,
    /// Names chunks.
    pub naming: NamingKey,
    /// Refs in one request.
    pub refs_max: u32,
    run: base::RunId,
    connection: Arc<Connection>,
}

impl Reading {
    /// Opens a run that reads the snapshot which a person means by `name`.
    ///
    /// # Errors
    /// No such snapshot, or two; the server refuses or cannot be reached.
    pub async fn begin(around: &Around, connection: &Arc<Connection>, name: &str) -> Result<Self, AgentError> {
        let snapshot = find(connection, name).await?;
        let mut request = [0; 16];
        around.entropy.fill(&mut request);
        let request = BeginRequest { request: Hex(request), purpose: Purpose::Restore { snapshot: Text(snapshot) } };
        let reply: BeginReply = connection.begin(&request).await.map_err(AgentError::Remote)?;
        let detail = reply.snapshot.filter(|detail| detail.snapshot.0 == snapshot);
        let Some((root, detail)) = detail.and_then(|detail| Some((detail.root?, detail))) else {
            return Err(AgentError::answer_damaged("the answer to begin has no snapshot to read"));
        };
        Ok(Self {
            snapshot,
            detail,
            root: ChunkRef::from_bytes(root.0),
            naming: NamingKey::new(&Secret::new(reply.naming_key.0)),
            refs_max: reply.limits.refs,
            run: reply.run.0,
            connection: Arc::clone(connection),
        })
    }

    /// The engine's port for this run. Never fails.
    pub fn remote(&self) -> Arc<RunRemote> {
        Arc::new(RunRemote::new(Arc::clone(&self.connection), self.run, self.refs_max as usize))
    }

    /// Ends the run. Never fails.
    pub async fn end(&self) {
        self.connection.abort(self.run).await;
    }
}

/// The snapshot that a person means: its whole name, its beginning, or `latest`.
async fn find(connection: &Connection, name: &str) -> Result<SnapshotId, AgentError> {
    if let Ok(snapshot) = name.parse() {
        return Ok(snapshot);
    }
    if name == LATEST {
        let said = connection.device().await.map_err(AgentError::Remote)?;
        // Of one that may not be read now, the server says why when it is to be read.
        let newest = said.snapshot.map(|newest| newest.snapshot).or(said.unreadable);
        let none = || unknown("there is no snapshot yet: run `holdfast backup`".to_owned());
        return newest.map(|newest| newest.0).ok_or_else(none);
    }
    let beginning = beginning(name)?;
    let all = connection.snapshots().await.map_err(AgentError::Remote)?;
    choose(&beginning, all.iter().map(|detail| detail.snapshot.0))
}

/// The beginning of a snapshot's name, with `snp_`.
fn beginning(name: &str) -> Result<String, AgentError> {
    let letters = name.strip_prefix("snp_").unwrap_or(name).to_ascii_lowercase();
    if letters.len() < LETTERS_MIN || !letters.chars().all(|letter| letter.is_ascii_alphanumeric()) {
        let sentence = format!(
            "{} is no name of a snapshot: write `latest`, a name that `holdfast snapshots` shows, or its first \
             letters, {LETTERS_MIN} at least after snp_",
            name.escape_debug()
        );
        return Err(AgentError::usage("snapshot_name_invalid", sentence));
    }
    Ok(format!("snp_{letters}"))
}

fn choose(beginning: &str, all: impl Iterator<Item = SnapshotId>) -> Result<SnapshotId, AgentError> {
    let mut fitting = all.filter(|snapshot| snapshot.to_string().starts_with(beginning));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(unknown(format!("no snapshot of this device begins with {beginning}"))),
        (Some(one), Some(two)) => {
            Err(unknown(format!("{one} and {two} both begin with {beginning}: write more letters")))
        }
    }
}

fn unknown(sentence: String) -> AgentError {
    AgentError::Snapshot { sentence }
}

/// Steps down to `path`; the entries of what is there.
async fn look(trees: &TreeReader, root: ChunkRef, path: &StoredPath) -> Result<Vec<Entry>, EngineError> {
    let mut tree = root;
    let mut above = StoredPath::root();
    let mut components = path.components().peekable();
    while let Some(name) = components.next() {
        let missing = || EngineError::NotInSnapshot { path: path.to_string() };
        let entries = entries(trees, &tree, &above).await?;
        let entry = entries.into_iter().find(|entry| entry.name == name).ok_or_else(missing)?;
        match &entry.body {
            EntryBody::Directory { tree: below } => tree = *below,
            _ if components.peek().is_none() => return Ok(vec![entry]),
            _ => return Err(missing()),
        }
        above = above.join(name).map_err(|_| missing())?;
    }
    entries(trees, &tree, &above).await
}

async fn entries(trees: &TreeReader, tree: &ChunkRef, path: &StoredPath) -> Result<Vec<Entry>, EngineError> {
    let entries = trees.tree(tree).await?;
    entries.ok_or_else(|| EngineError::TreeMissing { path: path.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::SeededEntropy;

    #[test]
    fn a_beginning_of_four_letters_or_more_names_a_snapshot() {
        for (name, whole) in [("snp_0a1b", "snp_0a1b"), ("0A1B2", "snp_0a1b2")] {
            assert_eq!(beginning(name).expect(name), whole);
        }
        for name in ["", "snp_", "snp_0a1", "abc", "snp_../x", "dev_0a1b"] {
            assert!(matches!(beginning(name), Err(AgentError::Usage { .. })), "{name}");
        }
    }

    #[test]
    fn a_beginning_that_fits_two_or_none_is_refused() {
        let entropy = SeededEntropy::new(3);
        let all: Vec<SnapshotId> = (0..50).map(|_| SnapshotId::mint(&entropy)).collect();
        let one = all[7].to_string();
        assert_eq!(choose(&one[..12], all.iter().copied()).expect("one"), all[7]);
        let none = choose("snp_uuuu", all.iter().copied()).expect_err("none");
        assert!(none.to_string().contains("no snapshot"), "{none}");
        let two = choose("snp_", all.iter().copied()).expect_err("many");
        assert!(two.to_string().contains("more letters"), "{two}");
    }
}
