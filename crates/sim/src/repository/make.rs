//! Fills a data directory with snapshots of some devices, some of them gone again. Refuses one that it filled before:
//! what it makes must be all that there is.

use app::keys::RepositoryKeys;
use app::{App, AppError};
use base::{Bytes as Size, Count, DeviceId, Entropy as _, RunId, SeededEntropy, SnapshotId, Timestamp, UserId};
use bytes::Bytes;
use control::{Rights, State, UserState};
use db::{ChunkRow, DeviceAbout, DeviceRow, FrameRow, PackNew, SnapshotNew, Tx, UserRow};
use format::{
    ChunkId, ChunkKind, ChunkRef, Content, Entry, EntryBody, IndexedChunk, Meta, ObjectName, PackId, PackWriter, Piece,
    SealedPack, Totals, Tree,
};
use std::collections::HashMap;
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
    /// Devices, of a user each, to which the snapshots go in turn.
    pub devices: u64,
    /// One of so many directories has the same content in every snapshot, under other names; 0: none.
    pub shared_every: u64,
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
/// The run that has written all packs.
const RUN: RunId = RunId::from_bytes([1; 16]);
/// The length of a content chunk.
const CHUNK_LEN: u32 = 80_000;
/// Content chunks of a pack, and its frames.
const PACK_CHUNKS: usize = 100;
const PACK_FRAMES: u32 = 33;
/// The bytes of a pack of content: its header, its frames, and about what its table takes.
const CONTENT_PACK: Size = Size(64 + 34 * 240_016 + 9_000);
/// Packs that are made known in one transaction.
const PACKS_MAX: usize = 64;

/// Makes the repository.
///
/// # Errors
/// A database or a store that does not answer.
pub async fn make(app: &App, plan: Plan) -> Result<Made, AppError> {
    let keys = app.keys.repositories().into_iter().next().expect("a data directory has a repository");
    let (names, drawn) = (SeededEntropy::new(NAMES_SEED), SeededEntropy::new(0));
    let newest = keys.newest(app.clock.now());
    let trees = PackWriter::new(newest.run_key(RUN), newest.id(), RUN, Arc::clone(&app.entropy));
    let (made, waiting, common) = (Made::default(), Vec::new(), HashMap::new());
    let mut maker = Maker { app, keys, names, drawn, trees, made, waiting, common };
    let mut devices = Vec::new();
    for number in 1..=plan.devices {
        devices.push(maker.device(number).await?);
    }
    let count = plan.chunks.div_ceil(plan.directories * plan.files);
    for number in 1..=count {
        let (root, totals) = maker.snapshot(plan, number).await?;
        if !number.is_multiple_of(plan.gone_every) {
            maker.commit(devices[(number % plan.devices) as usize], &root, totals).await?;
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
    trees: PackWriter,
    made: Made,
    /// Content packs that are not in the database yet.
    waiting: Vec<Vec<ChunkRow>>,
    /// The content of the directories that every snapshot has.
    common: HashMap<u64, Vec<ChunkRef>>,
}

impl Maker<'_> {
    async fn device(&self, number: u64) -> Result<DeviceId, AppError> {
        let mut bytes = [1; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let (id, user, now) = (DeviceId::from_bytes(bytes), UserId::from_bytes(bytes), self.app.clock.now());
        let during = || AppError::db("making a device");
        let mut tx = self.app.db.write().await.map_err(during())?;
        let row = UserRow {
            id: user,
            email: format!("repository-{number}@example.test"),
            state: UserState::Active,
            repository: self.keys.seq,
            password_hash: String::new(),
            created_at: now,
        };
        db::user_insert(&mut tx, &row).await.map_err(during())?;
        let made = DeviceRow::new(id, user, format!("repository {number}"), DeviceAbout::default(), now);
        let row = DeviceRow { state: State::Active { rights: Rights::Full }, epoch: 1, ..made };
        db::device_insert(&mut tx, &row).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
        Ok(id)
    }

    /// A tree of directories with files; its trees are stored, its content is known.
    async fn snapshot(&mut self, plan: Plan, number: u64) -> Result<(ChunkRef, Totals), AppError> {
        let (mut entries, mut below, mut contents) = (Vec::new(), Totals::default(), Vec::new());
        for directory in 0..plan.directories {
            let is_common = directory.checked_rem(plan.shared_every) == Some(0);
            let chunks = match self.common.get(&directory) {
                Some(chunks) => chunks.clone(),
                None => {
                    let chunks: Vec<ChunkRef> = (0..plan.files).map(|_| self.drawn_ref()).collect();
                    contents.extend(chunks.iter().map(ChunkRef::id));
                    chunks
                }
            };
            if is_common {
                self.common.entry(directory).or_insert_with(|| chunks.clone());
            }
            let mut files = Vec::with_capacity(plan.files as usize);
            for (file, chunk) in chunks.into_iter().enumerate() {
                let content = Content::Pieces(vec![Piece::Data { chunk, len: CHUNK_LEN }]);
                let body = EntryBody::File { size: CHUNK_LEN.into(), content };
                files.push(Entry { name: format!("file{file:06}-{number}").into_bytes(), meta: Meta::default(), body });
            }
            let (tree, totals) = self.tree(&Tree::leaf(files, Totals::default())).await?;
            below += totals;
            let name = format!("directory{directory:06}").into_bytes();
            entries.push(Entry { name, meta: Meta::default(), body: EntryBody::Directory { tree } });
        }
        let root = self.tree(&Tree::leaf(entries, below)).await?;
        // The trees of a snapshot that is gone again share no pack with those of one that is not.
        if let Some(pack) = self.trees.finish().expect("small trees") {
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

    fn drawn_ref(&mut self) -> ChunkRef {
        let mut bytes = [0; 32];
        self.names.fill(&mut bytes);
        ChunkRef::from_bytes(bytes)
    }

    /// Puts a tree into the pack of trees that is on its way.
    async fn tree(&mut self, tree: &Tree) -> Result<(ChunkRef, Totals), AppError> {
        let plain = tree.encode().expect("a small tree");
        let chunk = self.keys.naming.name(ChunkKind::Tree, &plain);
        let indexed = IndexedChunk { kind: ChunkKind::Tree, chunk, len: plain.len() as u32 };
        if let Some(pack) = self.trees.add(indexed, &plain).expect("a small tree") {
            self.tree_pack(pack).await?;
        }
        Ok((chunk, tree.totals))
    }

    /// A pack of trees, with its object.
    async fn tree_pack(&mut self, pack: SealedPack) -> Result<(), AppError> {
        let name = store::ObjectName::new(ObjectName::Pack(pack.id).to_string()).expect("our names are names");
        let bytes = Bytes::from(pack.bytes);
        self.app.store.put_new(&name, bytes.clone()).await.map_err(AppError::store("storing trees"))?;
        let (frames, chunks) = (FrameRow::all(&pack.index), ChunkRow::all(&pack.index));
        let header = *bytes.first_chunk().expect("a pack has a header");
        let during = || AppError::db("making trees known");
        let mut tx = self.app.db.write().await.map_err(during())?;
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
            self.known(&mut tx, PackId::from_bytes(id), CONTENT_PACK, header, &frames, &chunks).await?;
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
        let (repository, run, created_at) = (self.keys.seq, RUN, Timestamp::from_ms(0));
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
            root_sealed: self.keys.seal_root(id, root, now, &self.drawn),
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
