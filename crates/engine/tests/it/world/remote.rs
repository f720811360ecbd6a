//! The port `Remote`: one open run at the server in memory. Refuses to answer at once: every call lets others go first.

use super::server::MemoryServer;
use base::RunId;
use bytes::Bytes;
use engine::{Committed, Parcel, Remote, RemoteError, Uploaded};
use format::{ChunkRef, PackId};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use std::sync::Arc;
use tokio::task::yield_now;

pub struct MemoryRemote {
    pub server: Arc<MemoryServer>,
    pub run: RunId,
}

#[async_trait::async_trait]
impl Remote for MemoryRemote {
    async fn dedupe(&self, refs: &[ChunkRef]) -> Result<Vec<bool>, RemoteError> {
        yield_now().await;
        self.server.dedupe(self.run, refs)
    }

    async fn upload(&self, pack: PackId, bytes: Bytes) -> Result<Uploaded, RemoteError> {
        yield_now().await;
        self.server.upload(self.run, pack, &bytes)
    }

    async fn verify(&self, packs: &[PackId]) -> Result<Vec<PackId>, RemoteError> {
        yield_now().await;
        self.server.verify(self.run, packs)
    }

    async fn commit(&self, manifest: Bytes) -> Result<Committed, RemoteError> {
        yield_now().await;
        self.server.commit(self.run, &manifest)
    }

    async fn locate(&self, refs: &[ChunkRef]) -> Result<Vec<Option<u64>>, RemoteError> {
        yield_now().await;
        self.server.locate(self.run, refs)
    }

    async fn fetch(&self, refs: Vec<ChunkRef>) -> Result<BoxStream<'static, Result<Parcel, RemoteError>>, RemoteError> {
        yield_now().await;
        let parcels = self.server.fetch(self.run, &refs)?;
        let (server, run) = (Arc::clone(&self.server), self.run);
        let items = stream::iter(parcels).then(move |parcel| {
            let server = Arc::clone(&server);
            async move {
                yield_now().await;
                server.parcel(run, parcel)
            }
        });
        Ok(items.boxed())
    }
}
