//! The engine's port to the server, for one open run: dedupe, upload, verify, commit; locate, fetch.
//! Refuses answers that do not fit their question.

use super::Connection;
use super::fetch;
use super::wire;
use async_trait::async_trait;
use base::{RunId, Span};
use bytes::Bytes;
use engine::{Committed, Parcel, Remote, RemoteError, Totals, Uploaded};
use format::{ChunkRef, PackId};
use futures::stream::BoxStream;
use protocol::agent::run::{CommitReply, REFS_MAX, UploadReply};
use std::sync::Arc;

/// How long the server may take to look through a snapshot.
const COMMIT_SPAN: Span = Span::minutes(30);
/// How long it may take to verify a pack that it has whole.
const VERIFY_SPAN: Span = Span::minutes(2);

/// The server, for one run.
pub struct RunRemote {
    connection: Arc<Connection>,
    run: RunId,
    refs_max: usize,
}

impl RunRemote {
    /// For an open run; `refs_max` is what the server takes in one request. Never fails.
    pub fn new(connection: Arc<Connection>, run: RunId, refs_max: usize) -> Self {
        Self { connection, run, refs_max: refs_max.clamp(1, REFS_MAX) }
    }

    fn path(&self, step: &str) -> String {
        format!("/v1/runs/{}/{step}", self.run)
    }

    fn damaged(&self, step: &str) -> RemoteError {
        self.connection.http.damaged(&format!("the answer to {step} has the wrong length or form"))
    }

    /// Asks one bit for each name, in as many requests as it takes.
    async fn bits(&self, step: &str, names: &[&[u8; 32]]) -> Result<Vec<bool>, RemoteError> {
        let mut all = Vec::with_capacity(names.len());
        for batch in names.chunks(self.refs_max) {
            let call = wire::post_bytes(self.path(step), wire::names(batch.iter().copied()));
            let answer = self.connection.ask(&call).await?;
            all.extend(wire::bits(&answer, batch.len()).ok_or_else(|| self.damaged(step))?);
        }
        Ok(all)
    }
}

#[async_trait]
impl Remote for RunRemote {
    async fn dedupe(&self, refs: &[ChunkRef]) -> Result<Vec<bool>, RemoteError> {
        let names: Vec<&[u8; 32]> = refs.iter().map(ChunkRef::as_bytes).collect();
        self.bits("dedupe", &names).await
    }

    async fn upload(&self, pack: PackId, bytes: Bytes) -> Result<Uploaded, RemoteError> {
        let mut call = wire::put_bytes(self.path(&format!("packs/{pack}")), bytes);
        call.span = Span::ms(call.span.as_ms() + VERIFY_SPAN.as_ms());
        let reply: UploadReply = self.connection.ask_json(&call).await?;
        Ok(Uploaded { chunks_new: reply.chunks_new })
    }

    async fn verify(&self, packs: &[PackId]) -> Result<Vec<PackId>, RemoteError> {
        let names: Vec<&[u8; 32]> = packs.iter().map(PackId::as_bytes).collect();
        let missing = self.bits("verify", &names).await?;
        Ok(packs.iter().zip(missing).filter(|(_, missing)| *missing).map(|(pack, _)| *pack).collect())
    }

    async fn commit(&self, manifest: Bytes) -> Result<Committed, RemoteError> {
        let Totals { files_opened, bytes_read, .. } = self.connection.meter.totals();
        let step = format!("commit?files_opened={files_opened}&bytes_read={bytes_read}");
        let mut call = wire::post_bytes(self.path(&step), manifest);
        call.span = COMMIT_SPAN;
        let reply: CommitReply = self.connection.ask_json(&call).await?;
        Ok(Committed {
            committed_at_ms: reply.snapshot.committed_at_ms,
            bytes_received: reply.bytes_received,
            chunks_new: reply.chunks_new,
            packs: reply.packs,
        })
    }

    async fn locate(&self, refs: &[ChunkRef]) -> Result<Vec<Option<u64>>, RemoteError> {
        let mut all = Vec::with_capacity(refs.len());
        for batch in refs.chunks(self.refs_max) {
            let call = wire::post_bytes(self.path("locate"), wire::names(batch.iter().map(ChunkRef::as_bytes)));
            let answer = self.connection.ask(&call).await?;
            all.extend(wire::places(&answer, batch.len()).ok_or_else(|| self.damaged("locate"))?);
        }
        Ok(all)
    }

    async fn fetch(&self, refs: Vec<ChunkRef>) -> Result<BoxStream<'static, Result<Parcel, RemoteError>>, RemoteError> {
        fetch::parcels(Arc::clone(&self.connection), self.path("fetch"), refs, self.refs_max).await
    }
}
