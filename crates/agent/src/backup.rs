//! `holdfast backup`: begins a run, builds the ports, lets the engine work, keeps the trees for the next time.
//! Refuses to run beside another backup of the same state.

use crate::cache::{CACHE_BYTES_MAX, FileCache};
use crate::error::AgentError;
use crate::evidence;
use crate::files::{FilteredSource, FolderSource, Selection};
use crate::journal::{self, Basis, Doubt, Mark, Told};
use crate::parent::{self, Kept};
use crate::places::Places;
use crate::policy::{self, Wanted};
use crate::remote::{Around, Connection, RunRemote};
use crate::state::{DeviceKey, State, StateDir};
use base::{Bytes, RunId, Secret, SnapshotId, Span, Timestamp};
use engine::backup::{Facts, Limits, Outcome, Parent, Plan};
use engine::{Changes, Cpu, Ctx, EngineError, Totals};
use format::{ChunkRef, NamingKey, RunKey, StoredPath};
use protocol::Hex;
use protocol::agent::run::{BeginReply, BeginRequest, Purpose, SnapshotDetail};
use std::path::Path;
use std::sync::Arc;

const LOCK_FILE: &str = "backup.lock";
/// No slot is further away than this, whatever a server says.
const SLOT_WAIT_MAX: Span = Span::days(1);

/// A snapshot was made.
#[derive(Debug)]
pub struct BackedUp {
    /// The run.
    pub run: RunId,
    /// The snapshot that it went on from.
    pub parent: Option<SnapshotId>,
    /// What was backed up.
    pub folders: Vec<StoredPath>,
    /// Whether that is less than what this computer is to back up.
    pub partial: bool,
    /// This computer's clock when it began.
    pub began_at: Timestamp,
    /// How long it took.
    pub took: Span,
    /// What the engine says.
    pub outcome: Outcome,
    /// What was read and sent.
    pub totals: Totals,
    /// Entries that the policy leaves out, of the directories that were looked at; what lies beneath one is not
    /// counted.
    pub excluded: u64,
    /// How many paths the change journal named to be looked at; why everything was, where it was.
    pub changes: Result<usize, Doubt>,
    /// The revision of the policy that was followed; absent when none was known.
    pub policy_revision: Option<u64>,
}

/// Backs up `given`, else the folders of the policy, else those of the state. The first folders ever given are
/// remembered. `begun` is called with the snapshot to go on from where it covers the same folders, and with what is
/// taken of them, so that progress knows about how much there is.
///
/// # Errors
/// Not activated, already running, nothing to back up; the server refuses or cannot be reached.
pub async fn run(
    around: &Around,
    dir: &StateDir,
    places: &Places,
    given: &[StoredPath],
    begun: impl FnOnce(Option<&SnapshotDetail>, &Arc<Selection>),
) -> Result<BackedUp, AgentError> {
    let (state, key) = dir.activated()?;
    let _lock = dir.lock(LOCK_FILE, "a backup")?;
    let began_at = around.clock.now();
    let connection = Arc::new(Connection::of_device(dir, &state, key.clone(), around)?);
    // The server says again at the beginning of the run why it refuses, if it does: here its silence only means that
    // the policy of last time holds.
    let known = policy::fetch(around, dir, &state, &connection).await.ok();
    let reply = known.as_ref().map(|known| &known.policy);
    let Wanted { selection, problems, partial } = policy::wanted(reply, places, given, &state.folders)?;
    if selection.folders().is_empty() {
        let sentence = problems.first().map(|problem| problem.sentence.clone()).unwrap_or_default();
        return Err(AgentError::Run(EngineError::NothingToRead { sentence }));
    }
    if state.folders.is_empty() && !given.is_empty() {
        dir.change(&state.public_key, |state| state.folders = given.to_vec())?;
    }
    let folders = selection.folders();
    let selection = Arc::new(selection);
    let attempt = Attempt {
        around,
        dir,
        state: &state,
        key: &key,
        folders: &folders,
        selection: &selection,
        partial,
        connection: &connection,
    };
    let mut done = attempt.make(true, begun).await;
    if let Err(AgentError::Run(error)) = &done
        && error.code() == TREE_NAMES_MISSING
    {
        // What the parent snapshot takes for granted is damaged at the server: a run that reads everything heals it.
        done = attempt.make(false, |_, _| ()).await;
    }
    let Made { run, parent, mut outcome, excluded, changes } = done?;
    around.progress.add_problems(problems.len() as u64);
    outcome.problems.splice(0..0, problems);
    let (took, totals) = (around.clock.now().since(began_at), around.progress.totals());
    let policy_revision = reply.map(|policy| policy.revision);
    Ok(BackedUp { run, parent, folders, partial, began_at, took, outcome, totals, excluded, changes, policy_revision })
}

/// Waits for the slot that the server has given for what was missed, where there is one: thousands of computers that
/// have come back at once would begin at once. By the server's clock. `said` is called before a wait.
///
/// # Errors
/// The state cannot be used. A server that says nothing is the business of the backup itself.
pub async fn await_slot(around: &Around, dir: &StateDir, said: impl FnOnce(Span)) -> Result<(), AgentError> {
    let (state, key) = dir.activated()?;
    let connection = Connection::of_device(dir, &state, key, around)?;
    let Ok(device) = connection.device().await else { return Ok(()) };
    let now = Timestamp::from_ms(device.now_ms);
    let wait = device.catch_up_at_ms.map_or(Span::ZERO, |at| Timestamp::from_ms(at).since(now));
    if wait > Span::ZERO {
        said(wait);
        around.clock.sleep(wait.min(SLOT_WAIT_MAX)).await;
    }
    Ok(())
}

/// The server's word for a snapshot that needs what the repository does not have.
const TREE_NAMES_MISSING: &str = "tree_names_missing";

/// One try of a backup: one run.
struct Attempt<'a> {
    around: &'a Around,
    dir: &'a StateDir,
    state: &'a State,
    key: &'a DeviceKey,
    folders: &'a [StoredPath],
    selection: &'a Arc<Selection>,
    partial: bool,
    connection: &'a Arc<Connection>,
}

struct Made {
    run: RunId,
    parent: Option<SnapshotId>,
    outcome: Outcome,
    excluded: u64,
    changes: Result<usize, Doubt>,
}

impl Attempt<'_> {
    /// The newest snapshot in which all folders of this run are; the newest of all where there is none. Who backs up
    /// another folder once has not given up the trees of the ones before.
    async fn parent(&self, newest: Option<SnapshotDetail>) -> Option<SnapshotDetail> {
        let newest = newest?;
        if holds(&newest, self.folders) {
            return Some(newest);
        }
        // Where the others cannot be had, the newest is still better than none.
        let all = self.connection.snapshots().await.unwrap_or_default();
        all.into_iter().find(|one| one.root.is_some() && holds(one, self.folders)).or(Some(newest))
    }

    /// What the change journal says since the last snapshot that was made here. Asked before the run begins to look:
    /// what changes from here on is told to the next one.
    async fn ask_journal(&self, mark: Option<&Mark>) -> Option<Told> {
        let (dir, folders) = (self.dir.path().to_owned(), self.folders.to_vec());
        let since = mark.map(|mark| mark.position);
        base::blocking(move || journal::ask(&dir, &folders, since.as_ref())).await.ok().flatten()
    }

    /// What says which entries a snapshot is made of, and how.
    fn basis(&self) -> Basis {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.selection.digest()).update(evidence::RELEASE.as_bytes());
        *hasher.finalize().as_bytes()
    }

    async fn make(
        &self,
        uses_parent: bool,
        begun: impl FnOnce(Option<&SnapshotDetail>, &Arc<Selection>),
    ) -> Result<Made, AgentError> {
        let source = FolderSource::whole().map_err(AgentError::file("opening", Path::new("/")))?;
        let source = Arc::new(FilteredSource::new(source.without(self.dir.path()), Arc::clone(self.selection)));
        let mut request = [0; 16];
        self.around.entropy.fill(&mut request);
        let request = BeginRequest { request: Hex(request), purpose: Purpose::Backup };
        let mut reply = self.connection.begin(&request).await.map_err(AgentError::Remote)?;
        let newest = if uses_parent { self.parent(reply.snapshot.take()).await } else { None };
        begun(newest.as_ref().filter(|parent| covers(parent, self.folders)), self.selection);
        let unreadable = reply.unreadable.as_ref().filter(|_| uses_parent).map(|named| named.0);
        let kept = parent::look(self.dir, self.state.device);
        let mut goes_on_from = go_on_from(newest.as_ref(), unreadable, kept.clone());
        // A journal was asked when the last snapshot was made here: of another one it knows nothing.
        let is_parent = |kept: &Kept| goes_on_from.as_ref().is_some_and(|parent| parent.snapshot == kept.snapshot);
        let mark = kept.filter(is_parent).and_then(|kept| kept.mark);
        let told = self.ask_journal(mark.as_ref()).await;
        let changes = journal::changes(mark.as_ref(), told.clone(), &self.basis(), self.around.clock.now());
        let looked_at = changes.as_ref().map(Changes::count).map_err(|doubt| *doubt);
        if let Some(parent) = &mut goes_on_from {
            parent.changes = changes.ok();
        }
        let run = reply.run.0;
        let what = (self.folders.to_vec(), goes_on_from);
        let plan = plan(self.around, self.state, self.key.clone(), &reply, what, self.partial)?;
        let parent = plan.parent.as_ref().map(|parent| parent.snapshot);

        let cache_file = self.dir.cache_file();
        let cache = Arc::new(FileCache::for_run(&cache_file, self.state.device, plan.snapshot, CACHE_BYTES_MAX));
        let remote = Arc::new(RunRemote::new(Arc::clone(self.connection), run, plan.limits.refs));
        let ctx = context(self.around);
        match engine::backup::run(&ctx, &plan, Arc::clone(&source) as _, remote, Arc::clone(&cache) as _).await {
            Ok(outcome) => {
                cache.adopt();
                // ORDER: after the trees. Where this is not reached, it names another snapshot, and all is read.
                let Outcome { snapshot, root, began_at, .. } = outcome;
                let walked_at = mark.filter(|_| looked_at.is_ok()).map_or(began_at, |mark| mark.walked_at);
                let mark = told.zip(journal::again(&outcome.problems)).map(|(Told { position, .. }, again)| {
                    let basis = self.basis();
                    Mark { position, basis, walked_at, again }
                });
                parent::keep(self.dir, self.state.device, &Kept { snapshot, root, began_at, mark });
                Ok(Made { run, parent, outcome, excluded: source.excluded(), changes: looked_at })
            }
            Err(error) => {
                self.connection.abort(run).await;
                Err(AgentError::Run(error))
            }
        }
    }
}

/// The snapshot that a run goes on from. What the server does not say of it, because this device may not read it, this
/// computer knows itself where it was the last to make one: of that very snapshot and of no other.
fn go_on_from(newest: Option<&SnapshotDetail>, unreadable: Option<SnapshotId>, kept: Option<Kept>) -> Option<Parent> {
    let snapshot = newest.map(|detail| detail.snapshot.0).or(unreadable)?;
    if let Some(SnapshotDetail { root: Some(root), began_at_ms, .. }) = newest {
        let (root, began_at) = (ChunkRef::from_bytes(root.0), Timestamp::from_ms(*began_at_ms));
        return Some(Parent { snapshot, root, began_at, is_readable: true, changes: None });
    }
    let Kept { root, began_at, .. } = kept.filter(|kept| kept.snapshot == snapshot)?;
    Some(Parent { snapshot, root, began_at, is_readable: false, changes: None })
}

/// Whether every one of the folders is in the snapshot, by itself or beneath another.
fn holds(snapshot: &SnapshotDetail, folders: &[StoredPath]) -> bool {
    let decoded = snapshot.folders.iter().filter_map(|text| protocol::path_from_text(text));
    let held: Vec<StoredPath> = decoded.filter_map(|bytes| StoredPath::from_bytes(bytes).ok()).collect();
    folders.iter().all(|folder| held.iter().any(|one| folder.starts_with(one)))
}

/// Whether a snapshot is of just these folders: it then tells about how much there is.
fn covers(snapshot: &SnapshotDetail, folders: &[StoredPath]) -> bool {
    snapshot.folders.len() == folders.len()
        && folders.iter().all(|folder| snapshot.folders.contains(&protocol::path_to_text(folder.as_bytes())))
}

/// Threads, clock, randomness and counters for the engine. Never fails.
pub fn context(around: &Around) -> Ctx {
    const THREADS_MAX: usize = 16;
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, THREADS_MAX);
    Ctx {
        cpu: Cpu::threads(threads),
        clock: Arc::clone(&around.clock),
        entropy: Arc::clone(&around.entropy),
        progress: Arc::clone(&around.progress),
    }
}

fn plan(
    around: &Around,
    state: &State,
    key: DeviceKey,
    reply: &BeginReply,
    (folders, parent): (Vec<StoredPath>, Option<Parent>),
    partial: bool,
) -> Result<Plan, AgentError> {
    let Some(run_key) = &reply.run_key else {
        return Err(AgentError::answer_damaged("the answer to begin has no key for the run"));
    };
    Ok(Plan {
        folders,
        run: reply.run.0,
        snapshot: SnapshotId::mint(&*around.entropy),
        device: state.device,
        repository: reply.repository.0,
        naming: NamingKey::new(&Secret::new(reply.naming_key.0)),
        run_key: RunKey::new(Secret::new(run_key.0)),
        key_id: reply.key_id,
        parent,
        facts: Facts {
            device_name: evidence::host_name(),
            os: evidence::os_text(),
            agent: format!("holdfast {}", evidence::RELEASE),
            partial,
        },
        limits: Limits {
            pack_bytes: Bytes(reply.limits.pack_bytes),
            uploads: reply.limits.uploads as usize,
            refs: reply.limits.refs as usize,
        },
        sign: Arc::new(move |message| key.sign(message)),
    })
}
