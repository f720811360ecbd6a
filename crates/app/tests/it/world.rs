//! A server without HTTP, devices with keys, and what an agent does with them: drafts of trees, packs, manifests.

use super::POSTGRES;
use app::backup::{Committed, Reported, Uploaded};
use app::init::Init;
use app::keys::MasterKey;
use app::password::Password;
use app::runs::{Begun, Purpose};
use app::snapshots::Newest;
use app::{App, AppError, Config, DeviceActor};
use async_trait::async_trait;
use base::{
    Bytes as Size, Clock, Count, DeviceId, Entropy, ManualClock, RunId, SeededEntropy, SnapshotId, Span, Timestamp,
    UserId,
};
use bytes::Bytes;
use control::{Rights, State, UserState};
use db::testing::TempDb;
use db::{Db, DeviceAbout, DeviceRow, UserRow};
use format::{
    ChunkKind, ChunkRef, Content, Entry, EntryBody, FrameSealer, IndexedChunk, List, ListRef, Manifest, Meta,
    NamingKey, ObjectHeader, PackBuilder, PackId, Page, Piece, Problems, SealedPack, StoredPath, Totals, Tree,
};
use futures::future::BoxFuture;
use futures::stream;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use store::{Fault, Memory, ObjectInfo, ObjectName, Put, Record, S3Key, Store, StoreError};
use tempfile::TempDir;

pub const USER: UserId = UserId::from_bytes([0xa1; 16]);

/// The store of a world: what passes the planned mishaps is counted, and something may happen between two steps.
pub struct TestStore {
    inner: Fault<Record<Memory>>,
    after_put: Mutex<Option<Deed>>,
    after_list: Mutex<Option<Deed>>,
}

/// Something that happens once.
type Deed = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

pub struct World {
    pub app: Arc<App>,
    pub store: Arc<TestStore>,
    pub clock: Arc<ManualClock>,
    pub entropy: Arc<SeededEntropy>,
    pub repository: i64,
    place: Place,
}

/// Keeps what goes away with the world.
enum Place {
    Disk { dir: TempDir, _temp: Option<TempDb> },
    Base { temp: TempDb },
}

/// A computer with a device key.
pub struct Device {
    pub actor: DeviceActor,
    key: Ed25519KeyPair,
}

/// An open backup run, as the agent holds it.
pub struct Run<'a> {
    pub world: &'a World,
    pub device: &'a Device,
    pub begun: Begun,
    pub naming: NamingKey,
}

/// Chunks and trees on their way into a pack.
pub struct Draft {
    naming: NamingKey,
    pub contents: Vec<(ChunkKind, Vec<u8>)>,
    pub trees: Vec<(ChunkKind, Vec<u8>)>,
}

impl TestStore {
    fn new() -> Self {
        Self {
            inner: Fault::new(Record::new(Memory::new())),
            after_put: Mutex::default(),
            after_list: Mutex::default(),
        }
    }

    /// Lets something happen once, after the next object is durable and before its caller learns of it.
    pub fn after_put(&self, deed: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static) {
        *self.after_put.lock().expect("no test panics with it") = Some(Box::new(deed));
    }
}

impl TestStore {
    /// The same after the next list is made, and before its caller has it.
    pub fn after_list(&self, deed: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static) {
        *self.after_list.lock().expect("no test panics with it") = Some(Box::new(deed));
    }
}

impl Deref for TestStore {
    type Target = Fault<Record<Memory>>;

    fn deref(&self) -> &Self::Target {
        &self.inner
    }
}

#[async_trait]
impl Store for TestStore {
    async fn put_new(&self, name: &ObjectName, bytes: Bytes) -> Result<Put, StoreError> {
        let put = self.inner.put_new(name, bytes).await?;
        let deed = self.after_put.lock().expect("no test panics with it").take();
        if let Some(deed) = deed {
            deed().await;
        }
        Ok(put)
    }

    async fn get(&self, name: &ObjectName) -> Result<Bytes, StoreError> {
        self.inner.get(name).await
    }

    async fn get_range(&self, name: &ObjectName, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        self.inner.get_range(name, offset, len).await
    }

    async fn head(&self, name: &ObjectName) -> Result<Option<Size>, StoreError> {
        self.inner.head(name).await
    }

    async fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectName>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StoreError> {
        let listed = self.inner.list(prefix, after, limit).await;
        let deed = self.after_list.lock().expect("no test panics with it").take();
        if let Some(deed) = deed {
            deed().await;
        }
        listed
    }

    async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        self.inner.remove(name).await
    }
}

impl World {
    pub async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_750_000_000_000)));
        Self::with(clock.clone(), clock, Config::default()).await
    }

    /// A world whose passwords cost little.
    pub async fn quick() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ms(1_750_000_000_000)));
        let config = Config::parse("password.memory_mib = 1\npassword.passes = 1").expect("good text");
        Self::with(clock.clone(), clock, config).await
    }

    pub async fn with(clock: Arc<dyn Clock>, manual: Arc<ManualClock>, config: Config) -> Self {
        let temp = if POSTGRES { db::testing::postgres().await } else { db::testing::sqlite().await };
        Self::on(temp.db.clone(), temp, clock, manual, config).await
    }

    /// The same on this way to this database.
    pub async fn on(db: Db, temp: TempDb, clock: Arc<dyn Clock>, manual: Arc<ManualClock>, config: Config) -> Self {
        let entropy = Arc::new(SeededEntropy::new(7));
        let master = MasterKey::mint(entropy.as_ref());
        let repository = repository(&db, &master, entropy.as_ref()).await;
        let store = Arc::new(TestStore::new());
        let app = App::with(db, store.clone(), clock, entropy.clone(), master, config).await.expect("the keys open");
        let world = Self { app: Arc::new(app), store, clock: manual, entropy, repository, place: Place::Base { temp } };
        world.user().await;
        world
    }

    /// Another server on the same database and store, as another process opens them.
    pub async fn beside(&self) -> Arc<App> {
        let Place::Base { temp } = &self.place else { panic!("a data directory is one server's") };
        // Its master key is the first that this world's entropy has given; what it draws itself is of its own.
        let (master, entropy) = (MasterKey::mint(&SeededEntropy::new(7)), Arc::new(SeededEntropy::new(8)));
        let (store, clock, config) = (self.store.clone(), self.app.clock.clone(), self.app.config.clone());
        let app = App::with(temp.again().await, store, clock, entropy, master, config).await;
        Arc::new(app.expect("the keys open"))
    }

    /// A world in a data directory, as `init` makes it, on a store of files. Its `store` is not used.
    pub async fn on_disk() -> Self {
        Self::on_disk_with("", None).await.expect("an empty directory")
    }

    /// The same with other randomness: another installation.
    pub async fn on_disk_of(seed: u64) -> Self {
        Self::on_disk_from(seed, "", None).await.expect("an empty directory")
    }

    /// The same with these lines in its configuration, and a key file beside it.
    pub async fn on_disk_with(lines: &str, key: Option<&S3Key>) -> Result<Self, AppError> {
        Self::on_disk_from(7, lines, key).await
    }

    async fn on_disk_from(seed: u64, lines: &str, key: Option<&S3Key>) -> Result<Self, AppError> {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let (clock, entropy) = (Arc::new(ManualClock::at(Timestamp::from_ms(1))), Arc::new(SeededEntropy::new(seed)));
        let data_dir = dir.path().join("data");
        std::fs::create_dir(&data_dir).expect("the directory is ours");
        let temp = if POSTGRES { Some(db::testing::postgres().await) } else { None };
        let url = temp.as_ref().and_then(TempDb::url);
        let database = url.map(|url| format!("database.url = \"{url}\"\n")).unwrap_or_default();
        if !database.is_empty() || !lines.is_empty() {
            let text = format!("{database}{lines}");
            std::fs::write(data_dir.join(app::config::CONFIG_FILE), text).expect("the directory is ours");
        }
        if let Some(key) = key {
            key_file(&data_dir, key);
        }
        let made = Self::initialised(dir, temp, clock, entropy).await?;
        made.user().await;
        Ok(made)
    }

    async fn initialised(
        dir: TempDir,
        temp: Option<TempDb>,
        clock: Arc<ManualClock>,
        entropy: Arc<SeededEntropy>,
    ) -> Result<Self, AppError> {
        let (data_dir, password) = (dir.path().join("data"), Password::new("a long enough password".to_owned()));
        let init = Init {
            data_dir: &data_dir,
            admin_email: "a@example.org",
            admin_password: &password,
            names: &[],
            master_key: None,
        };
        let (time, drawn): (Arc<dyn Clock>, Arc<dyn Entropy>) = (clock.clone(), entropy.clone());
        app::init::init(&init, &time, &drawn).await?;
        let app = App::open(&data_dir, time, drawn).await.expect("it was just made");
        let repository = app.keys.repositories().first().expect("init makes one").seq;
        let (store, place) = (Arc::new(TestStore::new()), Place::Disk { dir, _temp: temp });
        Ok(Self { app: Arc::new(app), store, clock, entropy, repository, place })
    }

    /// The data directory of a world on disk.
    pub fn data_dir(&self) -> std::path::PathBuf {
        let Place::Disk { dir, .. } = &self.place else { panic!("only a world on disk has one") };
        dir.path().join("data")
    }

    /// The same data directory in a new process.
    pub async fn reopened(self) -> Self {
        self.app.db.close().await;
        let Place::Disk { dir, .. } = &self.place else { panic!("only a world on disk can be reopened") };
        let app = App::open(&dir.path().join("data"), self.clock.clone(), self.entropy.clone()).await;
        Self { app: Arc::new(app.expect("nothing has changed")), ..self }
    }

    /// The same people, devices and clock, served elsewhere.
    pub fn served_by(self, app: App) -> Self {
        Self { app: Arc::new(app), ..self }
    }

    async fn user(&self) {
        let mut tx = self.app.db.write().await.expect("nobody else writes");
        let user = UserRow {
            id: USER,
            email: "u@example.org".to_owned(),
            state: UserState::Active,
            repository: self.repository,
            password_hash: String::new(),
            created_at: Timestamp::from_ms(0),
        };
        db::user_insert(&mut tx, &user).await.expect("the user is new");
        tx.commit().await.expect("nothing stands against it");
    }

    pub fn clock_now(&self) -> Timestamp {
        self.app.clock.now()
    }

    pub async fn device(&self, seed: u8) -> Device {
        self.device_with(seed, Rights::Full).await
    }

    pub async fn device_with(&self, seed: u8, rights: Rights) -> Device {
        let id = DeviceId::from_bytes([seed; 16]);
        let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes are a seed");
        let state = State::Active { rights };
        let now = self.app.clock.now();
        let made = DeviceRow::new(id, USER, format!("device {seed}"), DeviceAbout::default(), now);
        let row = DeviceRow { state: state.clone(), epoch: 1, ..made };
        let mut tx = self.app.db.write().await.expect("nobody else writes");
        db::device_insert(&mut tx, &row).await.expect("the device is new");
        let public = key.public_key().as_ref().try_into().expect("a public key has 32 bytes");
        db::credential_insert(&mut tx, id, 1, &public, now).await.expect("the key is new");
        tx.commit().await.expect("nothing stands against it");
        let user_state = UserState::Active;
        let repository = self.repository;
        let actor = DeviceActor { device: id, user: USER, user_state, epoch: 1, state, repository, source: None };
        Device { actor, key }
    }

    /// Puts a device into another state, as an admin's command in another process would.
    pub async fn state_set(&self, device: &mut Device, state: State) {
        let mut tx = self.app.db.write().await.expect("nobody else writes");
        db::testing::device_put(&mut tx, device.actor.device, |row| row.state = state.clone()).await;
        tx.commit().await.expect("nothing stands against it");
        device.actor.state = state;
    }

    pub async fn begin<'a>(&'a self, device: &'a Device) -> Run<'a> {
        let mut request = [0; 16];
        self.entropy.fill(&mut request);
        let begun = app::runs::begin(&self.app, &device.actor, request, Purpose::Backup).await.expect("a run begins");
        let naming = NamingKey::new(&begun.naming_key);
        Run { world: self, device, begun, naming }
    }

    pub async fn begin_restore(&self, device: &Device, snapshot: SnapshotId) -> Result<RunId, AppError> {
        let mut request = [0; 16];
        self.entropy.fill(&mut request);
        let purpose = Purpose::Restore { snapshot };
        app::runs::begin(&self.app, &device.actor, request, purpose).await.map(|begun| begun.run)
    }

    /// A whole backup of one small tree: its snapshot, and the pack that holds it.
    pub async fn backup(&self, device: &Device) -> (SnapshotId, SealedPack) {
        let run = self.begin(device).await;
        let (draft, root, totals) = sample(&run.naming);
        let pack = run.pack(&draft);
        run.upload(&pack).await.expect("the pack is good");
        let committed = run.commit(&run.manifest(root, totals)).await.expect("the snapshot is good");
        (committed.snapshot.id, pack)
    }

    /// Changes an object behind the server's back.
    pub async fn object_replace(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let name = ObjectName::new(name).expect("a name");
        let mut bytes = self.store.inner().get(&name).await.expect("the object is there").to_vec();
        change(&mut bytes);
        self.store.inner().remove(&name).await.expect("memory does not fail");
        self.store.inner().put_new(&name, bytes.into()).await.expect("memory does not fail");
    }

    pub async fn object_remove(&self, name: &str) {
        let name = ObjectName::new(name).expect("a name");
        self.store.inner().remove(&name).await.expect("memory does not fail");
    }
}

impl Device {
    /// A computer with this key, in a session of this actor.
    pub fn new(actor: DeviceActor, key: Ed25519KeyPair) -> Self {
        Self { actor, key }
    }

    /// A signature by the device key.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).as_ref().try_into().expect("a signature has 64 bytes")
    }
}

impl Run<'_> {
    pub fn id(&self) -> RunId {
        self.begun.run
    }

    pub fn header(&self) -> ObjectHeader {
        ObjectHeader::mint(self.begun.key_id, self.begun.run, self.world.entropy.as_ref())
    }

    /// A pack with two frames: the contents and the trees of the draft.
    pub fn pack(&self, draft: &Draft) -> SealedPack {
        self.pack_of(&[&draft.contents, &draft.trees])
    }

    /// A pack with these chunks in these frames, under their right names.
    pub fn pack_of(&self, frames: &[&[(ChunkKind, Vec<u8>)]]) -> SealedPack {
        let named = frames.iter().filter(|frame| !frame.is_empty()).map(|frame| {
            let plain: Vec<u8> = frame.iter().flat_map(|(_, bytes)| bytes).copied().collect();
            let chunk = |(kind, bytes): &(ChunkKind, Vec<u8>)| IndexedChunk {
                kind: *kind,
                chunk: self.naming.name(*kind, bytes),
                len: bytes.len() as u32,
            };
            (plain, frame.iter().map(chunk).collect())
        });
        self.pack_as(named.collect())
    }

    /// A pack with these frames, and what is said of them.
    pub fn pack_as(&self, frames: Vec<(Vec<u8>, Vec<IndexedChunk>)>) -> SealedPack {
        let header = self.header();
        let sealer = FrameSealer::new(self.begun.run_key.as_ref().expect("a backup has a key"), &header);
        let mut pack = PackBuilder::new(&header);
        for (number, (plain, chunks)) in frames.into_iter().enumerate() {
            let frame = sealer.seal(number as u32, &plain, 3).expect("a small frame");
            pack.push(&frame, chunks).expect("lengths add up");
        }
        pack.finish(&sealer).expect("a small pack")
    }

    pub async fn dedupe(&self, refs: &[ChunkRef]) -> Result<Vec<bool>, AppError> {
        let bits = app::backup::dedupe(&self.world.app, &self.device.actor, self.id(), refs).await?;
        Ok((0..refs.len()).map(|n| bits[n / 8] >> (n % 8) & 1 == 1).collect())
    }

    pub async fn upload(&self, pack: &SealedPack) -> Result<Uploaded, AppError> {
        self.upload_bytes(pack.id, pack.bytes.clone()).await
    }

    pub async fn upload_bytes(&self, pack: PackId, bytes: Vec<u8>) -> Result<Uploaded, AppError> {
        let (app, actor, len) = (&self.world.app, &self.device.actor, bytes.len() as u64);
        app::backup::upload(app, actor, self.id(), pack, Some(len), body(bytes)).await
    }

    pub async fn verify(&self, packs: &[PackId]) -> Result<Vec<u8>, AppError> {
        app::backup::verify(&self.world.app, &self.device.actor, self.id(), packs).await
    }

    pub async fn commit(&self, manifest: &Manifest) -> Result<Committed, AppError> {
        self.commit_bytes(self.seal(manifest)).await
    }

    pub async fn commit_bytes(&self, manifest: Bytes) -> Result<Committed, AppError> {
        app::backup::commit(&self.world.app, &self.device.actor, self.id(), manifest, Reported::default()).await
    }

    pub fn manifest(&self, root: ChunkRef, totals: Totals) -> Manifest {
        Manifest {
            snapshot: SnapshotId::mint(self.world.entropy.as_ref()),
            device: self.device.actor.device,
            repository: self.begun.repository,
            root,
            parent: self.begun.snapshot.as_ref().and_then(Newest::view).map(|snapshot| snapshot.id),
            began_at: Timestamp::from_ms(1),
            ended_at: Timestamp::from_ms(2),
            totals,
            partial: false,
            folders: vec![path("home")],
            device_name: "laptop".to_owned(),
            os: "linux".to_owned(),
            agent_version: "0.0.0".to_owned(),
            problems: Problems::default(),
        }
    }

    pub fn seal(&self, manifest: &Manifest) -> Bytes {
        let key = self.begun.run_key.as_ref().expect("a backup has a key");
        let sign = |bytes: &[u8]| self.device.key.sign(bytes).as_ref().try_into().expect("a signature has 64 bytes");
        manifest.seal(key, &self.header(), sign).expect("a small manifest").into()
    }
}

impl Draft {
    pub fn new(naming: &NamingKey) -> Self {
        Self { naming: naming.clone(), contents: Vec::new(), trees: Vec::new() }
    }

    pub fn naming(&self) -> &NamingKey {
        &self.naming
    }

    /// A content chunk; one that is there is not added again.
    pub fn content(&mut self, bytes: &[u8]) -> Piece {
        let chunk = (ChunkKind::Content, bytes.to_vec());
        if !self.contents.contains(&chunk) {
            self.contents.push(chunk);
        }
        Piece::Data { chunk: self.naming.name(ChunkKind::Content, bytes), len: bytes.len() as u32 }
    }

    pub fn file(&mut self, name: &str, pieces: &[&[u8]]) -> Entry {
        let pieces: Vec<Piece> = pieces.iter().map(|bytes| self.content(bytes)).collect();
        let size = pieces.iter().map(Piece::len).sum();
        entry(name, EntryBody::File { size, content: Content::Pieces(pieces) })
    }

    /// A file whose pieces stand in lists, each with these pieces.
    pub fn file_of_lists(&mut self, name: &str, lists: &[&[&[u8]]]) -> Entry {
        let mut size = 0;
        let mut refs = Vec::new();
        for pieces in lists {
            let list = List { pieces: pieces.iter().map(|bytes| self.content(bytes)).collect() };
            let plain = list.encode().expect("a small list");
            let chunk = self.naming.name(ChunkKind::List, &plain);
            refs.push(ListRef { list: chunk, pieces: list.count().0, bytes: list.covered().0 });
            size += list.covered().0;
            self.trees.push((ChunkKind::List, plain));
        }
        entry(name, EntryBody::File { size, content: Content::Lists(refs) })
    }

    pub fn tree(&mut self, entries: Vec<Entry>, below: Totals) -> (ChunkRef, Totals) {
        self.put(&Tree::leaf(entries, below))
    }

    /// A very large directory, of these pages.
    pub fn fan(&mut self, pages: Vec<Vec<Entry>>) -> (ChunkRef, Totals) {
        let mut totals = Totals::default();
        let mut refs = Vec::new();
        for entries in pages {
            let first = entries[0].name.clone();
            let (tree, page_totals) = self.tree(entries, Totals::default());
            totals += page_totals;
            refs.push(Page { first, tree });
        }
        self.put(&Tree::fan(refs, totals))
    }

    pub fn put(&mut self, tree: &Tree) -> (ChunkRef, Totals) {
        let plain = tree.encode().expect("a small tree");
        let chunk = self.naming.name(ChunkKind::Tree, &plain);
        if !self.trees.contains(&(ChunkKind::Tree, plain.clone())) {
            self.trees.push((ChunkKind::Tree, plain));
        }
        (chunk, tree.totals)
    }
}

/// A tree with a directory, files, one of them of lists, and a fan: the draft, its root and totals.
pub fn sample(naming: &NamingKey) -> (Draft, ChunkRef, Totals) {
    sample_of(naming, 0)
}

/// The same with other contents for every seed: a pack that brings nothing new is not kept.
pub fn sample_of(naming: &NamingKey, seed: u64) -> (Draft, ChunkRef, Totals) {
    let noise = |number: u64, len| noise(10 * seed + number, len);
    let mut draft = Draft::new(naming);
    let a = draft.file("a", &[&noise(1, 5_000), &noise(2, 300)]);
    let b = draft.file_of_lists("b", &[&[&noise(3, 700), &noise(4, 800)], &[&noise(5, 900)]]);
    let (docs, docs_totals) = draft.tree(vec![a, b], Totals::default());
    let (first, second) = (draft.file("m", &[&noise(6, 100)]), draft.file("z", &[&noise(7, 100)]));
    let (many, many_totals) = draft.fan(vec![vec![first], vec![second]]);
    let entries = vec![directory("docs", docs), directory("many", many), entry("pipe", EntryBody::Fifo)];
    let (root, totals) = draft.tree(entries, docs_totals + many_totals);
    (draft, root, totals)
}

pub fn entry(name: &str, body: EntryBody) -> Entry {
    Entry { name: name.as_bytes().to_vec(), meta: Meta::default(), body }
}

pub fn directory(name: &str, tree: ChunkRef) -> Entry {
    entry(name, EntryBody::Directory { tree })
}

pub fn path(text: &str) -> StoredPath {
    StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a literal path is good")
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    SeededEntropy::new(seed).fill(&mut bytes);
    bytes
}

/// A body in pieces of at most 1,000 bytes.
pub fn body(bytes: Vec<u8>) -> impl futures::Stream<Item = std::io::Result<Bytes>> + Send {
    let bytes = Bytes::from(bytes);
    let pieces: Vec<Bytes> =
        (0..bytes.len()).step_by(1_000).map(|at| bytes.slice(at..(at + 1_000).min(bytes.len()))).collect();
    stream::iter(pieces.into_iter().map(Ok))
}

/// The stable code of an error.
pub fn code<T: std::fmt::Debug>(result: Result<T, AppError>) -> &'static str {
    match result.expect_err("a refusal") {
        AppError::Refused(refusal) => refusal.code(),
        AppError::Said { code, .. } => code,
        error => panic!("neither refused nor said: {error}: {:?}", std::error::Error::source(&error)),
    }
}

pub fn totals(entries: u64, files: u64, bytes: u64) -> Totals {
    Totals { entries: Count(entries), files: Count(files), bytes: Size(bytes) }
}

/// More than the state cache's memory of a device.
pub const CACHE_SPAN: Span = Span::ms(600);

/// Writes the file with an access key, for its owner alone.
pub fn key_file(data_dir: &std::path::Path, key: &S3Key) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = data_dir.join("s3.key");
    std::fs::write(&path, format!("{}\n{}\n", key.id, key.secret.as_str())).expect("the directory is ours");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("own file");
}

async fn repository(db: &Db, master: &MasterKey, entropy: &dyn Entropy) -> i64 {
    let mut tx = db.write().await.expect("nobody else writes");
    let made = app::keys::make(&mut tx, master, entropy, Timestamp::from_ms(0)).await;
    let seq = made.expect("the database is empty");
    tx.commit().await.expect("nothing stands against it");
    seq
}
