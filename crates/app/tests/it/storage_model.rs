//! Random snapshots over few chunks, and what each of them needs, counted one by one: what a storage report must say.

use super::world::{Device, Draft, Run, World, directory, noise};
use app::page::PageAsk;
use app::storage::{self, Report, StorageFigures, StorageLevel, StorageShareRow};
use app::{AdminActor, DeviceActor};
use base::{Bytes, Count, DeviceId, Entropy as _, ProfileId, SeededEntropy, SnapshotId, Span, Timestamp, UserId};
use control::{Level, Rights, State, UserState};
use db::{DeviceAbout, DeviceRow, ProfileRow, UserRow};
use format::{ChunkId, ChunkRef, Totals};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::Store as _;

pub const ADMIN: AdminActor = AdminActor::Command;

/// A report that is made now.
pub async fn fresh(world: &World) -> Report {
    let status = storage::fresh(&world.app, &ADMIN, &mut |_| {}).await.expect("permitted");
    status.report.expect("it was just made")
}

/// What the subjects of a level take by the last report.
pub async fn rows(world: &World, level: StorageLevel) -> Vec<StorageShareRow> {
    storage::page(&world.app, &ADMIN, level, &PageAsk::first()).await.expect("permitted").items
}

/// Directories beneath each other.
const DEPTH: u64 = 3;

/// Where a chunk lies: at, length, sealed and plain bytes of its frame.
type Place = (u64, u64, u64, u64);

/// What was done to a world, in plain maps.
pub struct Model<'a> {
    world: &'a World,
    drawn: SeededEntropy,
    devices: BTreeMap<usize, Device>,
    chunks: HashMap<ChunkId, Place>,
    snapshots: Vec<Snapshot>,
    merged: BTreeMap<usize, usize>,
    deleted: BTreeSet<usize>,
    framing: u64,
}

struct Snapshot {
    id: SnapshotId,
    device: usize,
    bytes: u64,
    needs: BTreeSet<ChunkId>,
    /// Whether retention let go of it.
    is_gone: bool,
}

impl<'a> Model<'a> {
    pub async fn new(world: &'a World, seed: u64) -> Self {
        let mut tx = world.app.db.write().await.expect("nobody else writes");
        for number in 0..2 {
            let profile = ProfileRow {
                id: profile_of(2 * number),
                name: format!("profile {number}"),
                is_default: false,
                created_at: Timestamp::from_ms(0),
                revision: 1,
            };
            assert!(db::profile_insert(&mut tx, &profile).await.expect("writable"));
        }
        tx.commit().await.expect("nothing stands against it");
        Self {
            world,
            drawn: SeededEntropy::new(seed),
            devices: BTreeMap::new(),
            chunks: HashMap::new(),
            snapshots: Vec::new(),
            merged: BTreeMap::new(),
            deleted: BTreeSet::new(),
            framing: 0,
        }
    }

    /// A new device; two of them in a row are one user's, and four are one profile's.
    pub async fn device(&mut self, number: usize) {
        let (world, user, seed) = (self.world, user_of(number), 0x40 + number as u8);
        let mut tx = world.app.db.write().await.expect("nobody else writes");
        if db::user_get(&mut tx, user).await.expect("readable").is_none() {
            let row = UserRow {
                id: user,
                email: format!("{}@model", number / 2),
                state: UserState::Active,
                repository: world.repository,
                password_hash: String::new(),
                created_at: Timestamp::from_ms(0),
            };
            db::user_insert(&mut tx, &row).await.expect("new");
            db::user_profile_update(&mut tx, user, profile_of(number), 1).await.expect("there");
        }
        let (id, now) = (device_of(number), world.clock_now());
        let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes are a seed");
        let state = State::Active { rights: Rights::Full };
        let made = DeviceRow::new(id, user, format!("computer {number}"), DeviceAbout::default(), now);
        db::device_insert(&mut tx, &DeviceRow { state: state.clone(), epoch: 1, ..made }).await.expect("new");
        let public = key.public_key().as_ref().try_into().expect("a public key has 32 bytes");
        db::credential_insert(&mut tx, id, 1, &public, now).await.expect("new");
        tx.commit().await.expect("nothing stands against it");
        let (user_state, repository) = (UserState::Active, world.repository);
        let actor = DeviceActor { device: id, user, user_state, epoch: 1, state, repository, source: None };
        self.devices.insert(number, Device::new(actor, key));
    }

    /// A backup of a random tree.
    pub async fn snapshot(&mut self, number: usize) {
        let (tree, partial) = (self.below(12), self.below(4) == 0);
        let run = self.world.begin(&self.devices[&number]).await;
        let (draft, root, totals) = draft(&run, tree);
        let needs = upload(&run, &draft, &mut self.chunks, &mut self.framing).await;
        let mut manifest = run.manifest(root, totals);
        manifest.partial = partial;
        let id = run.commit(&manifest).await.expect("the snapshot is good").snapshot.id;
        self.snapshots.push(Snapshot { id, device: number, bytes: totals.bytes.0, needs, is_gone: false });
    }

    /// A backup that is never committed.
    pub async fn upload_only(&mut self, number: usize) {
        let run = self.world.begin(&self.devices[&number]).await;
        let (draft, ..) = draft(&run, 1_000);
        upload(&run, &draft, &mut self.chunks, &mut self.framing).await;
    }

    /// Removes a random snapshot that is not its device's newest.
    pub async fn let_go_one(&mut self) {
        let last = |snapshot: &Snapshot| self.snapshots.iter().rposition(|other| other.device == snapshot.device);
        let old = |(place, snapshot): &(usize, &Snapshot)| !snapshot.is_gone && last(snapshot) != Some(*place);
        let old: Vec<usize> = self.snapshots.iter().enumerate().filter(old).map(|(place, _)| place).collect();
        if old.is_empty() {
            return;
        }
        let place = old[self.below(old.len() as u64) as usize];
        self.snapshots[place].is_gone = true;
        let mut tx = self.world.app.db.write().await.expect("nobody else writes");
        db::snapshot_remove(&mut tx, self.snapshots[place].id).await.expect("there");
        tx.commit().await.expect("nothing stands against it");
    }

    pub async fn merge(&mut self, number: usize, into: usize) {
        let mut tx = self.world.app.db.write().await.expect("nobody else writes");
        let into_id = Some(device_of(into));
        db::device_merged_update(&mut tx, device_of(number), into_id).await.expect("there");
        tx.commit().await.expect("nothing stands against it");
        self.merged.insert(number, into);
    }

    pub async fn delete(&mut self, number: usize) {
        let was = Box::new(State::Deactivated { rights: Rights::Full, level: Level::Revoke });
        let state = State::Deleted { was, purge_after: self.world.clock_now() + Span::days(7) };
        let mut tx = self.world.app.db.write().await.expect("nobody else writes");
        db::testing::device_put(&mut tx, device_of(number), |row| row.state = state).await;
        tx.commit().await.expect("nothing stands against it");
        self.deleted.insert(number);
    }

    /// Compares a fresh report with what is known here.
    pub async fn check(&self, when: &str) {
        let report = fresh(self.world).await;
        let figures = report.row.figures;
        assert_eq!(figures.chunks, Count(self.chunks.len() as u64), "{when}");
        assert_eq!((figures.missing, figures.flaws, figures.condemned), (Count(0), Count(0), Bytes(0)), "{when}");
        let objects = self.world.store.inner().list("packs/", None, 9_999).await.expect("memory does not fail");
        assert_eq!(figures.packs, Count(objects.len() as u64), "{when}");
        assert_eq!(figures.bytes, objects.iter().map(|object| object.size).sum(), "{when}");
        assert_eq!(figures.framing, Bytes(self.framing), "{when}");
        let everybody = |_: usize| Vec::new();
        let whole = self.expected(everybody);
        assert_eq!(whole.get(&Vec::new()), Some(&report.whole), "{when}");
        assert_eq!(figures.unneeded.0, figures.bytes.0 - figures.framing.0 - report.whole.stored.0, "{when}");
        assert!(report.whole.plain > Bytes(5_000), "{when}: there is something to count");
        let user = |number: usize| user_of(number).as_bytes().to_vec();
        let profile = |number: usize| profile_of(number).as_bytes().to_vec();
        let device = |number: usize| device_of(number).as_bytes().to_vec();
        self.level(StorageLevel::Device, device, when).await;
        self.level(StorageLevel::User, user, when).await;
        self.level(StorageLevel::Profile, profile, when).await;
    }

    async fn level(&self, level: StorageLevel, subject: impl Fn(usize) -> Vec<u8>, when: &str) {
        let found = rows(self.world, level).await;
        let found: BTreeMap<Vec<u8>, StorageFigures> =
            found.into_iter().map(|row| (row.subject, row.figures)).collect();
        assert_eq!(found, self.expected(subject), "{level:?}, {when}");
        // Of a profile nearly everything is shared, of a device alone nearly nothing; something of each there must be.
        let has = |of: fn(&StorageFigures) -> Bytes| found.values().any(|figures| of(figures) > Bytes(500));
        assert!(has(|figures| figures.shared) || found.len() == 1, "{level:?}, {when}");
    }

    /// What everybody takes, where `subject` says whose a computer is.
    fn expected(&self, subject: impl Fn(usize) -> Vec<u8>) -> BTreeMap<Vec<u8>, StorageFigures> {
        let mut all: BTreeMap<Vec<u8>, StorageFigures> = BTreeMap::new();
        let mut needed: BTreeMap<ChunkId, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for snapshot in self.snapshots.iter().filter(|snapshot| !snapshot.is_gone) {
            let subject = subject(self.computer(snapshot.device));
            let figures = all.entry(subject.clone()).or_default();
            figures.snapshots += Count(1);
            figures.logical += Bytes(snapshot.bytes);
            for chunk in &snapshot.needs {
                needed.entry(*chunk).or_default().insert(subject.clone());
            }
        }
        for number in self.devices.keys().filter(|number| self.computer(**number) == **number) {
            if let Some(bytes) = self.newest(*number) {
                all.entry(subject(*number)).or_default().newest += Bytes(bytes);
            }
        }
        let mut sums: BTreeMap<BTreeSet<Vec<u8>>, (u64, u64)> = BTreeMap::new();
        for (chunk, subjects) in needed {
            let (at, len, sealed, plain) = self.chunks[&chunk];
            let until = |end: u64| (u128::from(end) * u128::from(sealed) / u128::from(plain)) as u64;
            let sum = sums.entry(subjects).or_default();
            sum.0 += len;
            sum.1 += until(at + len) - until(at);
        }
        for (subjects, (plain, stored)) in sums {
            let count = subjects.len() as u64;
            for (place, subject) in (0..).zip(&subjects) {
                let figures = all.entry(subject.clone()).or_default();
                figures.plain += Bytes(plain / count + u64::from(place < plain % count));
                figures.stored += Bytes(stored / count + u64::from(place < stored % count));
                if count == 1 {
                    figures.unique += Bytes(plain);
                    figures.unique_stored += Bytes(stored);
                } else {
                    figures.shared += Bytes(plain);
                }
            }
        }
        all
    }

    fn computer(&self, number: usize) -> usize {
        self.merged.get(&number).copied().unwrap_or(number)
    }

    /// What quota counts of a computer: the newest snapshot of its records that are not deleted, while it counts.
    fn newest(&self, computer: usize) -> Option<u64> {
        let counts = |snapshot: &&Snapshot| {
            self.computer(snapshot.device) == computer && !self.deleted.contains(&snapshot.device)
        };
        let newest = self.snapshots.iter().rfind(counts).filter(|_| !self.deleted.contains(&computer));
        newest.map(|snapshot| snapshot.bytes)
    }

    fn below(&self, end: u64) -> u64 {
        let mut drawn = [0; 8];
        self.drawn.fill(&mut drawn);
        u64::from_le_bytes(drawn) % end
    }
}

pub fn device_of(number: usize) -> DeviceId {
    DeviceId::from_bytes([0x40 + number as u8; 16])
}

fn user_of(number: usize) -> UserId {
    UserId::from_bytes([0x10 + (number / 2) as u8; 16])
}

fn profile_of(number: usize) -> ProfileId {
    ProfileId::from_bytes([0x20 + (number / 2 % 2) as u8; 16])
}

/// The tree with this number, and all that it needs: the same number is the same tree, and others have parts of it.
fn draft(run: &Run<'_>, number: u64) -> (Draft, ChunkRef, Totals) {
    let mut draft = Draft::new(&run.naming);
    let (root, totals) = tree(&mut draft, number, DEPTH);
    let mut seen = BTreeSet::new();
    draft.trees.retain(|(_, plain)| seen.insert(plain.clone()));
    (draft, root, totals)
}

fn tree(draft: &mut Draft, number: u64, depth: u64) -> (ChunkRef, Totals) {
    let drawn = SeededEntropy::new(1_000 * number + depth);
    let below = |end: u64| {
        let mut bytes = [0; 8];
        drawn.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    };
    let (mut entries, mut totals) = (Vec::new(), Totals::default());
    // A root has something in any case.
    let least = u64::from(depth == DEPTH);
    for name in 0..if depth == 0 { 0 } else { 2 * least + below(3) } {
        let (tree, more) = tree(draft, below(9), depth - 1);
        entries.push(directory(&format!("d{name}"), tree));
        totals += more;
    }
    let content = |number: u64| {
        let len = 100 + (number * 397 % 1_000) as usize;
        if number.is_multiple_of(3) { vec![number as u8; len] } else { noise(number, len) }
    };
    for name in 0..least + below(4) {
        let pieces: Vec<Vec<u8>> = (0..1 + below(3)).map(|_| content(below(25))).collect();
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let name = format!("f{name}");
        let is_large = below(3) == 0;
        entries.push(if is_large { draft.file_of_lists(&name, &[&pieces]) } else { draft.file(&name, &pieces) });
    }
    draft.tree(entries, totals)
}

/// Sends a draft as one pack, and gives what is in it.
async fn upload(
    run: &Run<'_>,
    draft: &Draft,
    chunks: &mut HashMap<ChunkId, Place>,
    framing: &mut u64,
) -> BTreeSet<ChunkId> {
    let pack = run.pack(draft);
    let uploaded = run.upload(&pack).await.expect("the pack is good");
    let frames: Vec<(u64, u64)> =
        pack.index.frames().iter().map(|frame| (frame.sealed_len.into(), frame.plain_len.into())).collect();
    let mut ids = BTreeSet::new();
    for (frame, range, chunk) in pack.index.chunks() {
        let (sealed, plain) = frames[frame as usize];
        let place = (range.start as u64, chunk.len.into(), sealed, plain);
        chunks.entry(chunk.chunk.id()).or_insert(place);
        ids.insert(chunk.chunk.id());
    }
    if uploaded.chunks_new > Count(0) {
        *framing += pack.bytes.len() as u64 - frames.iter().map(|(sealed, _)| sealed).sum::<u64>();
    }
    ids
}
