//! Puts what is needed of nearly empty packs into new ones. The old ones hold nothing that is needed then, and the
//! next collection condemns them.
//! Refuses a chunk whose name does not prove its bytes: its pack is marked as damaged and left as it is.

use super::weigh::{self, Sparse};
use super::{Pace, keep};
use crate::damage::{self, is_damage};
use crate::jobs::Held;
use crate::keys::RepositoryKeys;
use crate::snapshots::store_name;
use crate::{App, AppError, frames, scrub};
use base::{Bytes as Size, Count, Planted, RunId, is_planted};
use bytes::Bytes;
use db::{ChunkRow, CollectionRow, FrameRow, PackNew, PackRow, Place};
use format::{ChunkId, ChunkKind, IndexedChunk, ObjectName, PackIndex, PackWriter, SealedPack};
use std::collections::HashSet;
use std::sync::Arc;
use store::StoreError;

/// Packs of one collection that are repacked.
const PACKS_MAX: usize = 512;
/// Chunks of them all together: their names are in memory.
const CHUNKS_MAX: usize = 200_000;
/// Plain bytes that are read at once.
const READ_BYTES: u64 = 4 << 20;

/// Repacks the emptiest packs. Gives whether it came to the end; not so when the process ends.
///
/// # Errors
/// `job_taken_over`, `marks_damaged`, `store_full`; a database or a store that does not answer.
pub(super) async fn repack(
    app: &App,
    held: &Held<'_>,
    row: &mut CollectionRow,
    sparse: &[Sparse],
) -> Result<bool, AppError> {
    let packs: Vec<i64> = sparse.iter().take(PACKS_MAX).map(|sparse| sparse.seq).collect();
    if packs.is_empty() {
        return Ok(true);
    }
    match repack_some(app, held, row, packs).await {
        // A full store is what a collection is there for: what goes without repacking goes.
        Err(AppError::Store { cause: cause @ (StoreError::Full { .. } | StoreError::Quota { .. }), .. }) => {
            tracing::warn!("nothing is repacked: {cause}");
            Ok(true)
        }
        done => done,
    }
}

async fn repack_some(app: &App, held: &Held<'_>, row: &mut CollectionRow, packs: Vec<i64>) -> Result<bool, AppError> {
    let Some(live) = weigh::live_of(app, held, row, &packs, CHUNKS_MAX).await? else { return Ok(false) };
    let mut fresh = Fresh::new(app, held, row)?;
    let pace = Pace::new(app);
    for seq in packs {
        if !held.goes_on(app).await? {
            return Ok(false);
        }
        let Some(wanted) = live.get(&seq).filter(|wanted| !wanted.is_empty()) else { continue };
        let during = || AppError::db("reading a pack's row");
        let mut tx = app.db.read().await.map_err(during())?;
        let pack = db::pack_get_by_seq(&mut tx, seq).await.map_err(during())?;
        drop(tx);
        let Some(pack) = pack.filter(|pack| pack.damaged_at.is_none() && !pack.doomed) else { continue };
        let Some(index) = table(app, &pack).await? else { continue };
        let mut is_whole = true;
        for (places, chunks) in pieces(&pack, &index, wanted) {
            let bytes: u64 = places.iter().map(|place| u64::from(place.len)).sum();
            let plain = frames::chunks(app, &places).await?;
            if !fresh.take(&pack, chunks, plain).await? {
                // What was read of it so far is copied in vain.
                is_whole = false;
                break;
            }
            pace.read(Size(bytes)).await;
        }
        row.figures.packs_repacked += Count(u64::from(is_whole));
    }
    fresh.finish().await?;
    keep(app, held, row).await?;
    Ok(true)
}

/// The pack's own table; None when it cannot be read, which marks the pack as damaged.
async fn table(app: &App, pack: &PackRow) -> Result<Option<PackIndex>, AppError> {
    let why = match scrub::table(app, pack, &store_name(&ObjectName::Pack(pack.new.id))).await {
        Ok(Ok(index)) => return Ok(Some(index)),
        Ok(Err(flaw)) => flaw.to_string(),
        Err(error) if is_damage(&error) => error.to_string(),
        Err(error) => return Err(AppError::store("reading a pack")(error)),
    };
    damage::mark(app, pack, &why).await?;
    Ok(None)
}

/// The wanted chunks of a pack, in its order, in pieces that are read at once.
fn pieces(pack: &PackRow, index: &PackIndex, wanted: &HashSet<ChunkId>) -> Vec<(Vec<Place>, Vec<IndexedChunk>)> {
    let mut pieces: Vec<(Vec<Place>, Vec<IndexedChunk>)> = Vec::new();
    let mut bytes = u64::MAX;
    for (frame, range, chunk) in index.chunks().filter(|(_, _, chunk)| wanted.contains(&chunk.chunk.id())) {
        if bytes.saturating_add(chunk.len.into()) > READ_BYTES {
            pieces.push((Vec::new(), Vec::new()));
            bytes = 0;
        }
        bytes += u64::from(chunk.len);
        let (places, chunks) = pieces.last_mut().expect("one was just begun, where there was none");
        let at = u32::try_from(range.start).expect("a frame has at most 16 MiB");
        let position = u32::try_from(places.len()).expect("a pack has fewer chunks");
        places.push(Place { position, kind: chunk.kind, pack: pack.seq, frame, at, len: chunk.len });
        chunks.push(*chunk);
    }
    pieces
}

/// New packs on their way. Trees and lists go into packs of their own, as endpoints have them.
struct Fresh<'a> {
    app: &'a App,
    held: &'a Held<'a>,
    keys: Arc<RepositoryKeys>,
    run: RunId,
    trees: PackWriter,
    contents: PackWriter,
}

impl<'a> Fresh<'a> {
    fn new(app: &'a App, held: &'a Held<'a>, row: &CollectionRow) -> Result<Self, AppError> {
        let (keys, run) = (app.keys.repository(row.repository)?, row.run);
        let newest = keys.newest(app.clock.now());
        let writer = || PackWriter::new(newest.run_key(run), newest.id(), run, Arc::clone(&app.entropy));
        let (trees, contents) = (writer(), writer());
        Ok(Self { app, held, keys, run, trees, contents })
    }

    /// Takes chunks in. False when one of them is not what its name says, which marks its pack as damaged.
    async fn take(
        &mut self,
        pack: &PackRow,
        chunks: Vec<IndexedChunk>,
        plain: Vec<Option<Bytes>>,
    ) -> Result<bool, AppError> {
        for (chunk, plain) in chunks.into_iter().zip(plain) {
            let Some(plain) = plain.filter(|plain| self.keys.naming.name(chunk.kind, plain) == chunk.chunk) else {
                damage::mark(self.app, pack, &"a chunk in it is not what its name says").await?;
                return Ok(false);
            };
            let writer = if chunk.kind == ChunkKind::Content { &mut self.contents } else { &mut self.trees };
            if let Some(sealed) = writer.add(chunk, &plain).map_err(AppError::format("repacking"))? {
                self.publish(sealed).await?;
            }
        }
        Ok(true)
    }

    /// Closes the packs that are not full.
    async fn finish(&mut self) -> Result<(), AppError> {
        let last = [self.trees.finish(), self.contents.finish()];
        for sealed in last {
            if let Some(sealed) = sealed.map_err(AppError::format("repacking"))? {
                self.publish(sealed).await?;
            }
        }
        Ok(())
    }

    /// Makes a new pack durable, and then says that its chunks lie in it.
    async fn publish(&self, sealed: SealedPack) -> Result<(), AppError> {
        let (app, repository) = (self.app, self.keys.seq);
        let (bytes, index) = (Bytes::from(sealed.bytes), sealed.index);
        // ORDER: the object is durable before a row names it.
        let name = store_name(&ObjectName::Pack(sealed.id));
        if !is_planted(Planted::RepackBeforePack) {
            self.put(&name, &bytes).await?;
        }
        let during = || AppError::db("moving chunks to a new pack");
        let (id, run, created_at) = (sealed.id, self.run, app.clock.now());
        let header = *bytes.first_chunk().expect("a pack begins with its header");
        let new = PackNew { id, repository, run, bytes: Size::of(bytes.len()), header, created_at };
        let mut tx = app.db.write().await.map_err(during())?;
        self.held.need(&mut tx).await?;
        let seq = db::pack_insert(&mut tx, &new).await.map_err(during())?;
        db::frame_insert(&mut tx, seq, &FrameRow::all(&index)).await.map_err(during())?;
        // RACE: a chunk that moved elsewhere since has two copies now; both are whole, and the row points to this one.
        let moved = db::chunk_moved_update(&mut tx, repository, seq, &ChunkRow::all(&index)).await.map_err(during())?;
        db::pack_chunks_new_update(&mut tx, seq, moved).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
        if is_planted(Planted::RepackBeforePack) { self.put(&name, &bytes).await } else { Ok(()) }
    }

    async fn put(&self, name: &store::ObjectName, bytes: &Bytes) -> Result<(), AppError> {
        let put = self.app.store.put_new(name, bytes.clone()).await;
        put.map(drop).map_err(AppError::store("storing a new pack"))
    }
}
