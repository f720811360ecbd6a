//! A backup as the smallest possible device makes it: one directory, one file, one pack.

use crate::world::{Device, World, sign};
use base::{DeviceId, Entropy as _, OsEntropy, RepositoryId, RunId, Secret, SnapshotId, Timestamp};
use format::{
    ChunkKind, ChunkRef, Content, Entry, EntryBody, FrameSealer, IndexedChunk, Manifest, Meta, NamingKey, ObjectHeader,
    PackBuilder, Piece, Problems, RunKey, SealedPack, StoredPath, Totals, Tree,
};
use protocol::Hex;
use protocol::agent::run::{BeginReply, BeginRequest, CommitReply, Purpose, SnapshotDetail, UploadReply};

/// A backup run and its keys.
pub struct Backup {
    pub run: RunId,
    pub repository: RepositoryId,
    pub naming: NamingKey,
    pub run_key: RunKey,
    pub key_id: u32,
    pub parent: Option<SnapshotDetail>,
    /// What the manifest says that it covers.
    pub folders: Vec<StoredPath>,
    /// What the manifest says that its computer is called.
    pub host_name: String,
    /// Whether the manifest says that it is not of all that the device is to back up.
    pub partial: bool,
}

/// A chunk on its way into a pack.
pub type Plain = (ChunkKind, ChunkRef, Vec<u8>);

impl Backup {
    /// Begins a run.
    pub async fn begin(world: &World, device: &Device) -> Backup {
        let reply: BeginReply = device.post(world, "/v1/runs", &begin_request(Purpose::Backup)).await.json();
        Backup::of(reply)
    }

    /// The run of an answer.
    pub fn of(reply: BeginReply) -> Backup {
        let key = reply.run_key.expect("a backup gets a run key");
        Backup {
            run: reply.run.0,
            repository: reply.repository.0,
            naming: NamingKey::new(&Secret::new(reply.naming_key.0)),
            run_key: RunKey::new(Secret::new(key.0)),
            key_id: reply.key_id,
            parent: reply.snapshot,
            folders: Vec::new(),
            host_name: "laptop".to_owned(),
            partial: false,
        }
    }

    /// A path of this run.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/runs/{}/{rest}", self.run)
    }

    /// A chunk with the name that it deserves.
    pub fn chunk(&self, kind: ChunkKind, plain: Vec<u8>) -> Plain {
        (kind, self.naming.name(kind, &plain), plain)
    }

    /// A tree with one file of one chunk, and its totals.
    pub fn tree(&self, content: &Plain) -> (Plain, Totals) {
        let len = content.2.len();
        let pieces = vec![Piece::Data { chunk: content.1, len: len as u32 }];
        let body = EntryBody::File { size: len as u64, content: Content::Pieces(pieces) };
        let entry = Entry { name: b"file".to_vec(), meta: Meta { mode: 0o644, ..Meta::default() }, body };
        let tree = Tree::leaf(vec![entry], Totals::default());
        (self.chunk(ChunkKind::Tree, tree.encode().expect("a good tree")), tree.totals)
    }

    /// A pack of these chunks, in one frame.
    pub fn pack(&self, chunks: &[Plain]) -> SealedPack {
        let header = ObjectHeader::mint(self.key_id, self.run, &OsEntropy);
        let sealer = FrameSealer::new(&self.run_key, &header);
        let mut builder = PackBuilder::new(&header);
        let plain: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.2.clone()).collect();
        let frame = sealer.seal(0, &plain, 1).expect("a small frame");
        let indexed = |chunk: &Plain| IndexedChunk { kind: chunk.0, chunk: chunk.1, len: chunk.2.len() as u32 };
        builder.push(&frame, chunks.iter().map(indexed).collect()).expect("a small pack");
        builder.finish(&sealer).expect("a small pack")
    }

    /// The path of a pack.
    pub fn pack_path(&self, pack: &SealedPack) -> String {
        self.path(&format!("packs/{}", pack.id))
    }

    /// A signed manifest over this root.
    pub fn manifest(&self, device: &Device, root: ChunkRef, totals: Totals) -> (SnapshotId, Vec<u8>) {
        self.manifest_of(device, device.id, root, totals)
    }

    /// The same in the name of any device.
    pub fn manifest_of(
        &self,
        signer: &Device,
        device: DeviceId,
        root: ChunkRef,
        totals: Totals,
    ) -> (SnapshotId, Vec<u8>) {
        let snapshot = SnapshotId::mint(&OsEntropy);
        let manifest = Manifest {
            snapshot,
            device,
            repository: self.repository,
            root,
            parent: self.parent.as_ref().map(|parent| parent.snapshot.0),
            began_at: Timestamp::from_ms(1_000),
            ended_at: Timestamp::from_ms(2_000),
            totals,
            partial: self.partial,
            folders: self.folders.clone(),
            device_name: self.host_name.clone(),
            os: "linux".to_owned(),
            agent_version: "0.0.0".to_owned(),
            problems: Problems::default(),
        };
        let header = ObjectHeader::mint(self.key_id, self.run, &OsEntropy);
        (snapshot, manifest.seal(&self.run_key, &header, |bytes| sign(&signer.key, bytes)).expect("a good manifest"))
    }

    /// Sends one small file and commits it. Gives the snapshot.
    pub async fn commit_small(&self, world: &World, device: &Device) -> SnapshotId {
        let mut noise = [0; 32];
        OsEntropy.fill(&mut noise);
        self.commit_content(world, device, &noise).await.snapshot.snapshot.0
    }

    /// Sends one file with this content and commits it.
    pub async fn commit_content(&self, world: &World, device: &Device, content: &[u8]) -> CommitReply {
        let content = self.chunk(ChunkKind::Content, content.to_vec());
        let (tree, totals) = self.tree(&content);
        let pack = self.pack(&[content, tree.clone()]);
        let path = self.pack_path(&pack);
        device.ask(world, "PUT", &path, pack.bytes).await.json::<UploadReply>();
        let (_, manifest) = self.manifest(device, tree.1, totals);
        device.ask(world, "POST", &self.path("commit"), manifest).await.json()
    }
}

/// A request to begin, with a fresh id.
pub fn begin_request(purpose: Purpose) -> BeginRequest {
    let mut request = [0; 16];
    OsEntropy.fill(&mut request);
    BeginRequest { request: Hex(request), purpose }
}

/// The bytes of these names.
pub fn names(refs: &[ChunkRef]) -> Vec<u8> {
    refs.iter().flat_map(|name| *name.as_bytes()).collect()
}
