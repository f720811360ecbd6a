//! Fills a data directory with snapshots of many devices, some of them gone again. Refuses what is not empty of
//! snapshots: what it makes must be all that there is.

use app::keys::RepositoryKeys;
use app::{App, AppError};
use base::{Bytes as Size, Count, DeviceId, Entropy as _, RunId, SeededEntropy, SnapshotId, Timestamp, UserId};
use bytes::Bytes;
use control::{Rights, State, UserState};
use db::{ChunkRow, DeviceAbout, DeviceRow, FrameRow, PackNew, SnapshotNew, Tx, UserRow};
use format::{
    ChunkId, ChunkKind, ChunkRef, Content, Entry, EntryBody, FrameSealer, IndexedChunk, Meta, ObjectHeader, ObjectName,
    PackBuilder, PackId, Piece, Totals, Tree,
};
use std::sync::Arc;

/// What is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Chunks of content, about: a whole number of snapshots is made.
    pub chunks: u64,
    /// Directories of a snapshot.
    pub directories: u64,
    /// Files of a directory, each of one chunk.
    pub files: u64,
    /// One of so many snapshots is gone again; nothing needs what it had.
    pub gone_every: u64,
}

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Snapshots that are there.
    pub snapshots: Count,
    /// Chunks, with trees.
    pub chunks: Count,
    /// Packs.
    pub packs: Count,
}

/// What the names of content are drawn by.
pub(super) const NAMES_SEED: u64 = 1;
/// The length of a content chunk.
const CHUNK_LEN: u32 = 80_000;
/// Content chunks of a pack, and its frames.
const PACK_CHUNKS: usize = 100;
const PACK_FRAMES: u32 = 33;
/// Packs that are made known in one transaction.
const PACKS_MAX: usize = 64;
/// Plain bytes of a frame of trees.
const FRAME_PLAIN: usize = 256 << 10;
/// Bytes of a pack of trees.
const PACK_BYTES: usize = 8 << 20;

/// Makes the repository.
///
/// # Errors
/// A database or a store that does not answer.
pub async fn make(app: &App, plan: Plan) -> Result<Made, AppError> {
    let keys = Arc::clone(app.keys.repositories().next().expect("a data directory has a repository"));
    let (names, drawn) = (SeededEntropy::new(NAMES_SEED), SeededEntropy::new(0));
    let mut maker = Maker { app, keys, names, drawn, made: Made::default(), waiting: Vec::new() };
    let device = maker.device().await?;
    let count = plan.chunks.div_ceil(plan.directories * plan.files);
    for number in 1..=count {
        let (root, totals) = maker.snapshot(plan).await?;
        if !number.is_multiple_of(plan.gone_every) {
            maker.commit(device, &root, totals).await?;
        }
    }
    maker.flush().await?;
    Ok(maker.made)
}

struct Maker<'a> {
    app: &'a App,
    keys: Arc<RepositoryKeys>,
    /// Draws the names of content, and nothing else.
    names: SeededEntropy,
    drawn: SeededEntropy,
    made: Made,
    /// Content packs that are not in the database yet.
    waiting: Vec<Vec<ChunkRow>>,
}

impl Maker<'_> {
    async fn device(&self) -> Result<DeviceId, AppError> {
        let (id, user, now) = (DeviceId::from_bytes([1; 16]), UserId::from_bytes([1; 16]), self.app.clock.now());
        let during = || AppError::db("making a device");
        let mut tx = self.app.db.write().await.map_err(during())?;
        let row = UserRow {
            id: user,
            email: "repository@example.test".to_owned(),
            state: UserState::Active,
            repository: self.keys.seq,
            password_hash: String::new(),
            created_at: now,
        };
        db::user_insert(&mut tx, &row).await.map_err(during())?;
        let made = DeviceRow::new(id, user, "repository".to_owned(), DeviceAbout::default(), now);
        let row = DeviceRow { state: State::Active { rights: Rights::Full }, epoch: 1, ..made };
        db::device_insert(&mut tx, &row).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
        Ok(id)
    }

    /// A tree of directories with files; its trees are stored, its content is known.
    async fn snapshot(&mut self, plan: Plan) -> Result<(ChunkRef, Totals), AppError> {
        let keys = Arc::clone(&self.keys);
        let mut trees = Trees::new(&keys, self.app);
        let (mut entries, mut below, mut contents) = (Vec::new(), Totals::default(), Vec::new());
        for directory in 0..plan.directories {
            let mut files = Vec::with_capacity(plan.files as usize);
            for file in 0..plan.files {
                let mut bytes = [0; 32];
                self.names.fill(&mut bytes);
                let chunk = ChunkRef::from_bytes(bytes);
                contents.push(chunk.id());
                let content = Content::Pieces(vec![Piece::Data { chunk, len: CHUNK_LEN }]);
                let body = EntryBody::File { size: CHUNK_LEN.into(), content };
                files.push(Entry { name: format!("file{file:06}").into_bytes(), meta: Meta::default(), body });
            }
            let (tree, totals) = trees.add(&Tree::leaf(files, Totals::default()));
            below += totals;
            let name = format!("directory{directory:06}").into_bytes();
            entries.push(Entry { name, meta: Meta::default(), body: EntryBody::Directory { tree } });
            for pack in trees.full() {
                self.tree_pack(pack).await?;
            }
        }
        let root = trees.add(&Tree::leaf(entries, below));
        for pack in trees.rest() {
            self.tree_pack(pack).await?;
        }
        for chunks in contents.chunks(PACK_CHUNKS) {
            let row = |(at, id): (usize, &ChunkId)| ChunkRow {
                id: *id,
                kind: ChunkKind::Content,
                frame: at as u32 / 3,
                at: at as u32 % 3 * CHUNK_LEN,
                len: CHUNK_LEN,
            };
            self.waiting.push(chunks.iter().enumerate().map(row).collect());
            if self.waiting.len() >= PACKS_MAX {
                self.flush().await?;
            }
        }
        Ok(root)
    }

    /// A pack of trees, with its object.
    async fn tree_pack(&mut self, pack: format::SealedPack) -> Result<(), AppError> {
        let name = store::ObjectName::new(ObjectName::Pack(pack.id).to_string()).expect("our names are names");
        let bytes = Bytes::from(pack.bytes);
        self.app.store.put_new(&name, bytes.clone()).await.map_err(AppError::store("storing trees"))?;
        let frames = (0..).zip(pack.index.frames()).map(|(number, frame)| FrameRow {
            number,
            codec: frame.codec as u8,
            at: frame.offset,
            sealed_len: frame.sealed_len,
            plain_len: frame.plain_len,
        });
        let chunk = |(frame, range, chunk): (u32, std::ops::Range<usize>, &IndexedChunk)| ChunkRow {
            id: chunk.chunk.id(),
            kind: chunk.kind,
            frame,
            at: range.start as u32,
            len: chunk.len,
        };
        let chunks: Vec<ChunkRow> = pack.index.chunks().map(chunk).collect();
        let header = *bytes.first_chunk().expect("a pack has a header");
        let during = || AppError::db("making trees known");
        let mut tx = self.app.db.write().await.map_err(during())?;
        let frames: Vec<FrameRow> = frames.collect();
        self.known(&mut tx, pack.id, Size::of(bytes.len()), header, &frames, &chunks).await?;
        tx.commit().await.map_err(during())
    }

    /// Makes the content packs known that wait. They have no objects.
    async fn flush(&mut self) -> Result<(), AppError> {
        let frame = |number: u32| FrameRow {
            number,
            codec: 0,
            at: 64 + u64::from(number) * 240_016,
            sealed_len: 240_016,
            plain_len: 240_000,
        };
        let frames: Vec<FrameRow> = (0..PACK_FRAMES + 1).map(frame).collect();
        let during = || AppError::db("making content known");
        let mut tx = self.app.db.write().await.map_err(during())?;
        for chunks in std::mem::take(&mut self.waiting) {
            let (mut id, mut header) = ([0; 32], [0; 64]);
            self.drawn.fill(&mut id);
            self.drawn.fill(&mut header);
            self.known(&mut tx, PackId::from_bytes(id), Size(8_000_000), header, &frames, &chunks).await?;
        }
        tx.commit().await.map_err(during())
    }

    async fn known(
        &mut self,
        tx: &mut Tx,
        id: PackId,
        bytes: Size,
        header: [u8; 64],
        frames: &[FrameRow],
        chunks: &[ChunkRow],
    ) -> Result<(), AppError> {
        let (repository, run, created_at) = (self.keys.seq, RunId::from_bytes([1; 16]), Timestamp::from_ms(0));
        let during = || AppError::db("making a pack known");
        let new = PackNew { id, repository, run, bytes, header, created_at };
        let seq = db::pack_insert(tx, &new).await.map_err(during())?;
        db::frame_insert(tx, seq, frames).await.map_err(during())?;
        self.made.chunks += db::chunk_insert(tx, repository, seq, chunks).await.map_err(during())?;
        self.made.packs += Count(1);
        Ok(())
    }

    async fn commit(&mut self, device: DeviceId, root: &ChunkRef, totals: Totals) -> Result<(), AppError> {
        let id = SnapshotId::mint(&self.drawn);
        let now = self.app.clock.now();
        let new = SnapshotNew {
            id,
            device,
            repository: self.keys.seq,
            run: RunId::mint(&self.drawn),
            epoch: 1,
            parent: None,
            root_sealed: self.keys.seal_root(id, root, &self.drawn),
            root: root.id(),
            manifest_id: [0; 32],
            began_at: now,
            ended_at: now,
            committed_at: now,
            totals,
            folders: Vec::new(),
            partial: false,
            host_name: String::new(),
            problems: Count(0),
        };
        let during = || AppError::db("committing a snapshot");
        let mut tx = self.app.db.write().await.map_err(during())?;
        db::snapshot_insert(&mut tx, &new).await.map_err(during())?;
        self.made.snapshots += Count(1);
        tx.commit().await.map_err(during())
    }
}

/// Trees on their way into packs.
struct Trees<'a> {
    keys: &'a RepositoryKeys,
    app: &'a App,
    sealer: FrameSealer,
    builder: PackBuilder,
    plain: Vec<u8>,
    chunks: Vec<IndexedChunk>,
    full: Vec<format::SealedPack>,
}

impl<'a> Trees<'a> {
    fn new(keys: &'a RepositoryKeys, app: &'a App) -> Self {
        let (sealer, builder) = begun(keys, app);
        Self { keys, app, sealer, builder, plain: Vec::new(), chunks: Vec::new(), full: Vec::new() }
    }

    fn add(&mut self, tree: &Tree) -> (ChunkRef, Totals) {
        let plain = tree.encode().expect("a small tree");
        let chunk = self.keys.naming.name(ChunkKind::Tree, &plain);
        if self.plain.len() + plain.len() > FRAME_PLAIN {
            self.seal();
        }
        self.chunks.push(IndexedChunk { kind: ChunkKind::Tree, chunk, len: plain.len() as u32 });
        self.plain.extend_from_slice(&plain);
        if self.builder.bytes_len() > PACK_BYTES {
            self.close();
        }
        (chunk, tree.totals)
    }

    fn seal(&mut self) {
        if !self.chunks.is_empty() {
            let frame = self.sealer.seal(self.builder.next_number(), &self.plain, 3).expect("a small frame");
            self.builder.push(&frame, std::mem::take(&mut self.chunks)).expect("lengths add up");
            self.plain.clear();
        }
    }

    fn close(&mut self) {
        self.seal();
        let (sealer, builder) = begun(self.keys, self.app);
        let (sealer, builder) =
            (std::mem::replace(&mut self.sealer, sealer), std::mem::replace(&mut self.builder, builder));
        if builder.plain_len() > 0 {
            self.full.push(builder.finish(&sealer).expect("no tree stands twice"));
        }
    }

    fn full(&mut self) -> Vec<format::SealedPack> {
        std::mem::take(&mut self.full)
    }

    fn rest(mut self) -> Vec<format::SealedPack> {
        self.close();
        self.full
    }
}

fn begun(keys: &RepositoryKeys, app: &App) -> (FrameSealer, PackBuilder) {
    let (newest, run) = (keys.newest(), RunId::from_bytes([1; 16]));
    let header = ObjectHeader::mint(newest.id(), run, app.entropy.as_ref());
    (FrameSealer::new(&newest.run_key(run), &header), PackBuilder::new(&header))
}
