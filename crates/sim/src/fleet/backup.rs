//! A backup as small as one can be: one folder with one tiny file in it. Refuses to send what the server has: the
//! second backup of a device sends its manifest alone, as that of any device does whose files are as they were.

use super::SimError;
use super::device::sign;
use super::life::{Life, Request};
use base::{Entropy, Secret, SnapshotId};
use format::{
    ChunkKind, ChunkRef, Content, Entry, EntryBody, FrameSealer, IndexedChunk, Manifest, Meta, NamingKey, ObjectHeader,
    PackBuilder, Problems, RunKey, SealedPack, Totals, Tree,
};
use protocol::Hex;
use protocol::agent::run::{BeginReply, BeginRequest, CommitReply, Purpose, UploadReply};

/// How much zstd is to try: nothing here is worth it.
const LEVEL: i32 = 1;

impl Life<'_> {
    /// Commits a snapshot, in the slot that the server has assigned where it has.
    ///
    /// # Errors
    /// The server's refusal.
    pub(super) async fn commit(&mut self) -> Result<(), SimError> {
        if let Some(slot) = self.device.catch_up_at_ms.take() {
            self.wait_until(slot).await;
        }
        if self.device.bearer.is_none() {
            self.open().await?;
        }
        let entropy = self.device.entropy_at(self.crowd.clock.now());
        let mut request = self.device.made(self.device.generation).request;
        entropy.fill(&mut request[..8]);
        let asked = BeginRequest { request: Hex(request), purpose: Purpose::Backup };
        let begun: BeginReply = self.post("begin", "/v1/runs", &asked, true).await?;
        let Some(Hex(run_key)) = begun.run_key else { return Err(unclear("/v1/runs")) };
        let run_key = RunKey::new(Secret::new(run_key));
        let (name, plain, totals) = self.tree(&NamingKey::new(&Secret::new(begun.naming_key.0)));
        let path = |rest: &str| format!("/v1/runs/{}/{rest}", begun.run.0);
        let missing = self.send("dedupe", "POST", &path("dedupe"), name.as_bytes().to_vec()).await?;
        let fresh = missing.first().is_some_and(|bits| bits & 1 == 1);
        if fresh {
            let pack = pack(&begun, &run_key, name, &plain, &entropy);
            let to = path(&format!("packs/{}", pack.id));
            let sent = Request { word: "upload", method: "PUT", path: &to, body: pack.bytes, signed_in: true };
            self.json::<UploadReply>(sent).await?;
            self.send("verify", "POST", &path("verify"), pack.id.as_bytes().to_vec()).await?;
        }
        let manifest = self.manifest(&begun, &run_key, name, totals, &entropy)?;
        // Its one file is read for what the server does not have yet, and never again.
        let (opened, read) = if fresh { (1, totals.bytes.0) } else { (0, 0) };
        let commit = path(&format!("commit?files_opened={opened}&bytes_read={read}"));
        let bytes = self.send("commit", "POST", &commit, manifest).await?;
        serde_json::from_slice::<CommitReply>(&bytes).map(drop).map_err(|_| unclear("commit"))
    }

    async fn send(
        &mut self,
        word: &'static str,
        method: &'static str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, SimError> {
        self.bytes(Request { word, method, path, body, signed_in: true }).await
    }

    /// The device's one folder: its name, its bytes, its totals.
    fn tree(&self, naming: &NamingKey) -> (ChunkRef, Vec<u8>, Totals) {
        let content = format!("device {} of fleet {}\n", self.device.number, self.device.seed).into_bytes();
        let body = EntryBody::File { size: content.len() as u64, content: Content::Inline(content) };
        let entry = Entry { name: b"note".to_vec(), meta: Meta { mode: 0o644, ..Meta::default() }, body };
        let tree = Tree::leaf(vec![entry], Totals::default());
        let plain = tree.encode().expect("one entry is a good tree");
        (naming.name(ChunkKind::Tree, &plain), plain, tree.totals)
    }

    fn manifest(
        &self,
        begun: &BeginReply,
        run_key: &RunKey,
        root: ChunkRef,
        totals: Totals,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, SimError> {
        let device = &self.device;
        let now = self.crowd.clock.now();
        let manifest = Manifest {
            snapshot: SnapshotId::mint(entropy),
            device: device.record.ok_or(SimError::NoProof)?.0,
            repository: begun.repository.0,
            root,
            parent: begun.snapshot.as_ref().map(|parent| parent.snapshot.0),
            began_at: now,
            ended_at: now,
            totals,
            partial: false,
            folders: Vec::new(),
            device_name: device.evidence("").host_name,
            os: "linux".to_owned(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            problems: Problems::default(),
        };
        let key = device.made(device.generation).key;
        let header = ObjectHeader::mint(begun.key_id, begun.run.0, entropy);
        Ok(manifest.seal(run_key, &header, |bytes| sign(&key, bytes)).expect("a manifest without folders is small"))
    }
}

fn pack(begun: &BeginReply, run_key: &RunKey, name: ChunkRef, plain: &[u8], entropy: &dyn Entropy) -> SealedPack {
    let header = ObjectHeader::mint(begun.key_id, begun.run.0, entropy);
    let sealer = FrameSealer::new(run_key, &header);
    let mut builder = PackBuilder::new(&header);
    let frame = sealer.seal(0, plain, LEVEL).expect("one small frame");
    let len = u32::try_from(plain.len()).expect("one small tree");
    builder.push(&frame, vec![IndexedChunk { kind: ChunkKind::Tree, chunk: name, len }]).expect("one small frame");
    builder.finish(&sealer).expect("one frame with one chunk")
}

fn unclear(path: &str) -> SimError {
    SimError::Answer { path: path.to_owned() }
}
