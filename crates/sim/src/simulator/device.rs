//! A simulated device: what it keeps on its disk, and what it does by itself, as the endpoint does it: it activates,
//! opens sessions, backs up with the engine, restores, comes back after a reset, and is switched off in the middle.

mod activate;
mod cache;
mod line;
mod restore;

use super::clock::{self, MachineClock};
use super::folder::{Folder, Past};
use super::server;
use super::world::World;
use app::runs::{Begun, Purpose};
use app::snapshots::Newest;
use base::{Clock as _, DeviceId, Entropy as _, SeededEntropy, SnapshotId, Span, Timestamp};
use cache::Cache;
use control::access::Verb;
use engine::backup::{Facts, Limits, Outcome, Parent, Plan};
use engine::{Cpu, Ctx, EngineError, RemoteError};
use format::{ChunkRef, NamingKey, StoredPath};
use line::Line;
use ring::signature::Ed25519KeyPair;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long a device waits between two backups at most.
const WAIT_SPAN: Span = Span::hours(52);
/// After how long one is switched off in the middle of a backup, at most.
const OFF_SPAN: Span = Span::seconds(20);

/// What a device sends at most that sends nothing but names and a manifest.
const UNCHANGED_BYTES_MAX: u64 = 16 << 10;

/// A device.
pub(super) struct Device {
    pub(super) number: u64,
    pub(super) clock: Arc<MachineClock>,
    entropy: Arc<SeededEntropy>,
    disk: Arc<Mutex<Disk>>,
}

/// What is there after it was switched off.
#[derive(Default)]
struct Disk {
    folder: Folder,
    past: Past,
    /// The record that it is, and the key bound to it.
    bound: Option<Bound>,
    /// The key and the request of an activation that is not answered yet, and since when it is asked for.
    asking: Option<([u8; 32], [u8; 16], Span)>,
    counter: Option<[u8; 56]>,
    /// The snapshot that it has made last.
    kept: Option<Kept>,
    /// The one that it had made last when it was bound anew.
    former: Option<Kept>,
    cache: Arc<Cache>,
    /// What it has backed up last, as far as it was told.
    last: Option<Folder>,
}

#[derive(Clone, Copy)]
struct Bound {
    device: DeviceId,
    key: [u8; 32],
    epoch: u64,
}

#[derive(Clone, Copy)]
struct Kept {
    snapshot: SnapshotId,
    root: ChunkRef,
    began_at: Timestamp,
}

/// The devices of the plan. Never fails.
pub(super) fn fleet(world: &World) -> Vec<Arc<Device>> {
    let device = |number| {
        let entropy = Arc::new(SeededEntropy::new(world.dice.seed()));
        let clock = Arc::new(MachineClock::new(world.began));
        Arc::new(Device { number, clock, entropy, disk: Arc::default() })
    };
    (0..u64::from(world.plan.devices)).map(device).collect()
}

/// The device's days. Never fails: what does not work is tried again later.
pub(super) async fn live(world: &Arc<World>, device: &Device) {
    let dice = &world.dice;
    while world.passed() < world.plan.span() {
        clock::pause(dice.span(WAIT_SPAN)).await;
        if !dice.once_in(4) {
            let mut disk = device.disk();
            let Disk { folder, past, .. } = &mut *disk;
            folder.change(past, dice, device.clock.now());
        }
        if world.faults.once_in(25) {
            // Somebody tidies up, or the disk is full: what is only a cache is gone.
            let mut disk = device.disk();
            (disk.cache, disk.kept) = (Arc::default(), disk.kept.filter(|_| dice.once_in(2)));
        }
        let off = if world.faults.once_in(12) { dice.span(OFF_SPAN) } else { Span::days(1) };
        let done = tokio::select! {
            biased;
            done = device.be_backed_up(world) => done,
            () = clock::pause(off) => {
                world.say(format_args!("device {} is switched off", device.number));
                continue;
            }
        };
        if let Err(error) = done {
            world.oracle.count(|figures| figures.given_up += 1);
            device.judge(world, &error);
        } else if dice.once_in(5) {
            device.restore_any(world).await;
        }
    }
}

impl Device {
    /// What is on its disk. Never fails.
    fn disk(&self) -> MutexGuard<'_, Disk> {
        opened(&self.disk)
    }

    /// The record that it is.
    pub(super) fn record(&self) -> Option<DeviceId> {
        self.disk().bound.map(|bound| bound.device)
    }

    /// Activates where it must, and backs up.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub(super) async fn be_backed_up(&self, world: &Arc<World>) -> Result<(), RemoteError> {
        if self.record().is_none() || self.disk().asking.is_some() {
            self.activate(world).await?;
        }
        match self.back_up(world).await {
            Err(error) if activate::comes_back_from(&error.code) => {
                self.activate(world).await?;
                self.back_up(world).await
            }
            done => done,
        }
    }

    async fn back_up(&self, world: &Arc<World>) -> Result<(), RemoteError> {
        let line = Line::open(world, self).await?;
        if world.faults.once_in(world.plan.collect_once_in) {
            world.spawn(server::collect_beside(Arc::clone(world)));
        }
        let request = self.bytes();
        let begun = line.begin(request, Purpose::Backup, Verb::BeginBackup).await?;
        let folder = self.disk().folder.clone();
        let cache = Arc::new(Cache::beside(&self.disk().cache));
        let plan = self.plan(&line, &begun);
        let remote = Arc::new(line.remote(begun.run, plan.snapshot, folder.clone()));
        let source = Arc::new(folder.clone());
        let ctx = self.ctx();
        let run = engine::backup::run(&ctx, &plan, source, Arc::clone(&remote) as _, Arc::clone(&cache) as _);
        let outcome = match run.await {
            Ok(outcome) => outcome,
            Err(error) => {
                remote.abort().await;
                return Err(plain(error));
            }
        };
        self.made(world, &plan, &outcome, folder, cache);
        Ok(())
    }

    /// A snapshot was made.
    fn made(&self, world: &World, plan: &Plan, outcome: &Outcome, folder: Folder, cache: Arc<Cache>) {
        let (id, new) = (outcome.snapshot, outcome.committed.chunks_new);
        world.say(format_args!("device {} has made {id}, {new} chunks new", self.number));
        if !outcome.problems.is_empty() {
            world.broken(format_args!("device {} could not read its own files: {:?}", self.number, outcome.problems));
        }
        let mut disk = self.disk();
        let received = outcome.committed.bytes_received;
        if disk.last.as_ref() == Some(&folder) && (new > 0 || received > UNCHANGED_BYTES_MAX) {
            let sent = format_args!("{new} chunks, {received} bytes");
            world.broken(format_args!("device {} has sent again what was there, for {id}: {sent}", self.number));
        }
        disk.kept = Some(Kept { snapshot: plan.snapshot, root: outcome.root, began_at: outcome.began_at });
        (disk.cache, disk.last) = (cache, Some(folder));
    }

    fn plan(&self, line: &Line, begun: &Begun) -> Plan {
        let key = line.bound.key;
        Plan {
            folders: vec![StoredPath::root()],
            run: begun.run,
            snapshot: SnapshotId::mint(&*self.entropy),
            device: line.bound.device,
            repository: begun.repository,
            naming: NamingKey::new(&begun.naming_key),
            run_key: begun.run_key.clone().expect("a backup has a key"),
            key_id: begun.key_id,
            parent: begun.snapshot.as_ref().and_then(|newest| self.parent(newest)),
            facts: Facts {
                device_name: format!("laptop-{}", self.number),
                os: "linux".to_owned(),
                agent: "simulated".to_owned(),
                partial: false,
            },
            limits: Limits {
                pack_bytes: begun.limits.pack_bytes,
                uploads: begun.limits.uploads.0 as usize,
                refs: begun.limits.refs.0 as usize,
            },
            sign: Arc::new(move |bytes| sign(&key, bytes)),
        }
    }

    /// What the run goes on from: as the endpoint has it.
    fn parent(&self, newest: &Newest) -> Option<Parent> {
        let named = match newest {
            Newest::Shown(view) => {
                if let Some(root) = view.root {
                    let (snapshot, began_at) = (view.id, view.began_at);
                    return Some(Parent { snapshot, root, began_at, is_readable: true, changes: None });
                }
                view.id
            }
            Newest::Named(id) => *id,
        };
        let Kept { snapshot, root, began_at } = self.disk().kept.filter(|kept| kept.snapshot == named)?;
        Some(Parent { snapshot, root, began_at, is_readable: false, changes: None })
    }

    fn ctx(&self) -> Ctx {
        Ctx {
            cpu: Cpu::inline(),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::clone(&self.entropy) as _,
            progress: Arc::default(),
        }
    }

    /// What must never be said to an honest device.
    fn judge(&self, world: &World, error: &RemoteError) {
        world.say(format_args!("device {} gives up: {}", self.number, error.code));
        if error.kind == base::Kind::Damaged {
            world.broken(format_args!("device {} is told of damage: {}: {}", self.number, error.code, error.sentence));
        }
    }

    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }
}

fn opened(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A signature by the key of this seed.
fn sign(seed: &[u8; 32], bytes: &[u8]) -> [u8; 64] {
    pair(seed).sign(bytes).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
}

fn pair(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("32 bytes are a seed")
}

/// What ended the engine, in the form of what the server says.
fn plain(error: EngineError) -> RemoteError {
    match error {
        EngineError::Remote(remote) => remote,
        other => {
            let (code, kind, retry) = (other.code().to_owned(), other.kind(), other.retry());
            RemoteError { code, sentence: other.to_string(), kind, retry }
        }
    }
}
