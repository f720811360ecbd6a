//! A device, its files, its server, and a disk to restore to: all in memory, all from one seed and one clock.
//! Refuses to let two runs begin at the same time: every run has the time that it needs to trust file times, unless a
//! test says `backup_at_once`.

pub mod cache;
mod closure;
pub mod compare;
pub mod content;
pub mod endless;
pub mod files;
pub mod heap;
mod remote;
pub mod server;
pub mod source;
pub mod target;

use self::cache::MemoryCache;
use self::files::{Files, path};
use self::remote::MemoryRemote;
use self::server::{DEVICE, KEY_ID, MemoryServer, REPOSITORY, Traffic};
use self::source::{MemorySource, Record};
use self::target::MemoryTarget;
use base::{Clock, ManualClock, RunId, SeededEntropy, SnapshotId, Span, Timestamp};
use engine::{Cpu, Ctx, EngineError, Problem, Progress, Totals, backup, restore};
use format::{ChunkRef, Content, Entry, EntryBody, List, Manifest, Piece, StoredPath, Tree, TreeBody};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::runtime::{Builder, Runtime};

pub struct World {
    pub source: MemorySource,
    pub server: Arc<MemoryServer>,
    pub cache: Arc<MemoryCache>,
    pub folders: Vec<StoredPath>,
    /// Whether backups go on from the last snapshot.
    pub uses_parent: bool,
    /// Whether the server lets the trees of the last snapshot be read.
    pub reads_parent: bool,
    /// Whether backups look only where the change journal says.
    pub uses_journal: bool,
    /// Where the journal stood when each snapshot's run began.
    positions: Mutex<HashMap<SnapshotId, usize>>,
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    cpu: Cpu,
    runtime: Runtime,
}

/// A backup that came to its end.
pub struct Backup {
    pub outcome: backup::Outcome,
    pub manifest: Manifest,
    pub source: Record,
    pub traffic: Traffic,
    pub progress: Totals,
}

/// A restore that came to its end.
pub struct Restore {
    pub problems: Vec<Problem>,
    pub traffic: Traffic,
    pub progress: Totals,
}

/// A comparison that came to its end.
pub struct Compared {
    pub outcome: engine::compare::Outcome,
    pub source: Record,
    pub traffic: Traffic,
    pub progress: Totals,
}

impl World {
    /// An empty file system, all of which is backed up. Work is done in one thread, in a fixed order.
    pub fn new() -> Self {
        Self::with(Cpu::inline(), Builder::new_current_thread().build().expect("a runtime without drivers"))
    }

    /// The same with threads.
    pub fn with_threads() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).build().expect("two threads can be started");
        Self::with(Cpu::threads(3), runtime)
    }

    fn with(cpu: Cpu, runtime: Runtime) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_700_000_000_000)));
        Self {
            source: MemorySource::new(Files::new(Arc::clone(&clock))),
            server: Arc::new(MemoryServer::new()),
            cache: Arc::default(),
            folders: vec![StoredPath::root()],
            uses_parent: true,
            reads_parent: true,
            uses_journal: false,
            positions: Mutex::default(),
            clock,
            entropy: Arc::new(SeededEntropy::new(1)),
            cpu,
            runtime,
        }
    }

    /// A world with these files.
    pub fn of(edit: impl FnOnce(&mut Files)) -> Self {
        let world = Self::new();
        world.edit(edit);
        world
    }

    pub fn edit(&self, edit: impl FnOnce(&mut Files)) {
        edit(&mut self.source.files());
    }

    /// A backup that must make a snapshot.
    pub fn backup(&self) -> Backup {
        self.try_backup().unwrap_or_else(|error| panic!("the backup failed: {error}: {error:?}"))
    }

    /// A backup that begins in the moment of the last change.
    pub fn backup_at_once(&self) -> Backup {
        self.run_backup().unwrap_or_else(|error| panic!("the backup failed: {error}: {error:?}"))
    }

    pub fn try_backup(&self) -> Result<Backup, EngineError> {
        // A time in whole seconds is trusted after two of them.
        self.clock.advance(Span::seconds(3));
        self.run_backup()
    }

    fn run_backup(&self) -> Result<Backup, EngineError> {
        self.source.take_record();
        self.server.take_traffic();
        let (ctx, run) = (self.ctx(), RunId::mint(&*self.entropy));
        let (plan, position) = (self.plan(run), self.source.files().position());
        let remote = Arc::new(MemoryRemote { server: Arc::clone(&self.server), run });
        let (source, cache) = (Arc::new(self.source.clone()), Arc::clone(&self.cache) as _);
        let outcome = self.runtime.block_on(backup::run(&ctx, &plan, source, remote, cache))?;
        let manifest = self.manifest();
        self.positions.lock().expect("no test panics with it").insert(manifest.snapshot, position);
        assert_eq!(
            (manifest.snapshot, manifest.root, manifest.totals),
            (outcome.snapshot, outcome.root, outcome.totals),
            "the server was told something else than the caller"
        );
        assert_eq!(manifest.problems.total().0, ctx.progress.totals().problems, "every problem counts");
        let (source, traffic) = (self.source.take_record(), self.server.take_traffic());
        Ok(Backup { outcome, manifest, source, traffic, progress: ctx.progress.totals() })
    }

    fn plan(&self, run: RunId) -> backup::Plan {
        let server = Arc::clone(&self.server);
        let limits = server.limits();
        let last = server.state().snapshots.last().cloned().filter(|_| self.uses_parent);
        backup::Plan {
            folders: self.folders.clone(),
            run,
            snapshot: SnapshotId::mint(&*self.entropy),
            device: DEVICE,
            repository: REPOSITORY,
            naming: server.naming.clone(),
            run_key: server.begin(run, true),
            key_id: KEY_ID,
            parent: last.map(|last| backup::Parent {
                snapshot: last.snapshot,
                root: last.root,
                began_at: last.began_at,
                is_readable: self.reads_parent,
                changes: self.changes_since(last.snapshot),
            }),
            facts: backup::Facts {
                device_name: "desk".to_owned(),
                os: "test".to_owned(),
                agent: "0".to_owned(),
                partial: false,
            },
            limits: backup::Limits { pack_bytes: limits.pack, uploads: 2, refs: limits.refs },
            sign: Arc::new(move |bytes| server.sign(bytes)),
        }
    }

    fn changes_since(&self, snapshot: SnapshotId) -> Option<engine::Changes> {
        let position = *self.positions.lock().expect("no test panics with it").get(&snapshot)?;
        self.source.files().changes_since(position).filter(|_| self.uses_journal)
    }

    /// A restore of the last snapshot, everything, without a cache, that must go without a problem.
    pub fn restore(&self) -> MemoryTarget {
        let target = MemoryTarget::default();
        let restore = self.restore_to(&target, restore::Selection::Everything);
        let restore = restore.unwrap_or_else(|error| panic!("the restore failed: {error}: {error:?}"));
        assert_eq!(restore.problems, [], "nothing is wrong with any entry");
        target
    }

    pub fn restore_to(&self, target: &MemoryTarget, selection: restore::Selection) -> Result<Restore, EngineError> {
        self.server.take_traffic();
        let (ctx, run) = (self.ctx(), RunId::mint(&*self.entropy));
        self.server.begin(run, false);
        let naming = self.server.naming.clone();
        let (root, refs_max) = (self.manifest().root, self.server.limits().refs);
        let plan = restore::Plan { root, naming, selection, refs_max };
        let remote = Arc::new(MemoryRemote { server: Arc::clone(&self.server), run });
        let cache = Arc::new(MemoryCache::default());
        let outcome = self.runtime.block_on(restore::run(&ctx, &plan, remote, cache, Arc::new(target.clone())))?;
        let (problems, traffic) = (outcome.problems, self.server.take_traffic());
        Ok(Restore { problems, traffic, progress: ctx.progress.totals() })
    }

    /// Compares the last snapshot with the files as they are now, without a cache.
    pub fn compare(
        &self,
        selection: restore::Selection,
        is_in_place: bool,
        counts_extra: bool,
    ) -> Result<Compared, EngineError> {
        self.source.take_record();
        self.server.take_traffic();
        let (ctx, run) = (self.ctx(), RunId::mint(&*self.entropy));
        self.server.begin(run, false);
        let naming = self.server.naming.clone();
        let (root, refs_max) = (self.manifest().root, self.server.limits().refs);
        let plan = engine::compare::Plan { root, naming, selection, is_in_place, counts_extra, refs_max };
        let remote = Arc::new(MemoryRemote { server: Arc::clone(&self.server), run });
        let (cache, source) = (Arc::new(MemoryCache::default()), Arc::new(self.source.clone()));
        let outcome = self.runtime.block_on(engine::compare::run(&ctx, &plan, remote, cache, source))?;
        let (source, traffic) = (self.source.take_record(), self.server.take_traffic());
        Ok(Compared { outcome, source, traffic, progress: ctx.progress.totals() })
    }

    /// Backs up, restores, and compares.
    pub fn assert_round_trip(&self) -> Backup {
        let backup = self.backup();
        assert_eq!(backup.outcome.problems, [], "nothing is wrong with any entry");
        compare::assert_restored(&self.source.files(), &self.restore());
        backup
    }

    /// The last snapshot.
    pub fn manifest(&self) -> Manifest {
        self.server.state().snapshots.last().expect("a backup has ended").clone()
    }

    // The last snapshot as the server has it.

    /// The entries of a tree, pages joined.
    pub fn tree(&self, tree: &ChunkRef) -> Vec<Entry> {
        let plain = self.server.state().chunks[tree].plain.clone();
        match Tree::decode(&plain).expect("the server has parsed it").body {
            TreeBody::Leaf(entries) => entries,
            TreeBody::Fan(pages) => pages.iter().flat_map(|page| self.tree(&page.tree)).collect(),
        }
    }

    pub fn entry(&self, at: &str) -> Entry {
        self.find_entry(at).unwrap_or_else(|| panic!("{at} is not in the snapshot"))
    }

    pub fn find_entry(&self, at: &str) -> Option<Entry> {
        let mut tree = self.manifest().root;
        let mut found = None;
        for name in path(at).components() {
            let entry = self.tree(&tree).into_iter().find(|entry| entry.name == name)?;
            if let EntryBody::Directory { tree: below } = &entry.body {
                tree = *below;
            }
            found = Some(entry);
        }
        found
    }

    /// Every entry of the last snapshot but directories, with its path. Times are left out: no two worlds share them.
    pub fn snapshot_entries(&self) -> Vec<(StoredPath, EntryBody)> {
        let (mut entries, mut left) = (Vec::new(), vec![(StoredPath::root(), self.manifest().root)]);
        while let Some((at, tree)) = left.pop() {
            for entry in self.tree(&tree) {
                let path = at.join(&entry.name).expect("the server has checked the name");
                match entry.body {
                    EntryBody::Directory { tree } => left.push((path, tree)),
                    body => entries.push((path, body)),
                }
            }
        }
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        entries
    }

    /// The tree of a directory.
    pub fn tree_of(&self, at: &str) -> ChunkRef {
        match self.entry(at).body {
            EntryBody::Directory { tree } => tree,
            other => panic!("{at} is {other:?}"),
        }
    }

    /// The pieces of a file, lists joined.
    pub fn pieces(&self, at: &str) -> Vec<Piece> {
        match self.entry(at).body {
            EntryBody::File { content: Content::Pieces(pieces), .. } => pieces,
            EntryBody::File { content: Content::Lists(lists), .. } => {
                let state = self.server.state();
                let plain = lists.iter().map(|list| state.chunks[&list.list].plain.clone());
                plain.flat_map(|plain| List::decode(&plain).expect("the server has parsed it").pieces).collect()
            }
            other => panic!("{at} is {other:?}"),
        }
    }

    /// The chunks of a file's content.
    pub fn chunks(&self, at: &str) -> Vec<ChunkRef> {
        let data = |piece: Piece| match piece {
            Piece::Data { chunk, .. } => Some(chunk),
            Piece::Hole { .. } => None,
        };
        self.pieces(at).into_iter().filter_map(data).collect()
    }

    fn ctx(&self) -> Ctx {
        Ctx {
            cpu: self.cpu.clone(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&self.entropy) as _,
            progress: Arc::new(Progress::default()),
        }
    }
}

impl Backup {
    /// The paths and codes of what went wrong, in stored-path order.
    pub fn problems(&self) -> Vec<(String, &'static str)> {
        listed(&self.outcome.problems)
    }
}

impl Restore {
    /// The paths and codes of what went wrong, in stored-path order.
    pub fn problems(&self) -> Vec<(String, &'static str)> {
        listed(&self.problems)
    }
}

fn listed(problems: &[Problem]) -> Vec<(String, &'static str)> {
    let mut listed: Vec<&Problem> = problems.iter().collect();
    listed.sort_by(|one, other| (&one.path, one.code).cmp(&(&other.path, other.code)));
    listed.iter().map(|problem| (problem.path.to_string(), problem.code)).collect()
}

/// Shorthand for an expected list of problems.
pub fn problems(expected: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    expected.iter().map(|(path, code)| ((*path).to_owned(), *code)).collect()
}
