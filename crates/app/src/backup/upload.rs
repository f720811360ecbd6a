//! Upload: a pack is received, looked through, made durable, and then known; in this order.
//! Refuses a pack that is not wholly what it says, to do anything twice for a pack that is known, and to keep a pack of
//! which the repository has everything: two devices that send the same at once fill the store once.

use super::{body, contents};
use crate::snapshots::store_name;
use crate::{App, AppError, DeviceActor, quota, runs};
use base::{Bytes as Size, Count, Planted, RunId, is_planted};
use body::Body;
use bytes::Bytes;
use contents::Contents;
use control::Refusal;
use control::access::Verb;
use db::{Claims, PackNew, PackRow, RunCounters, RunPurpose, RunRow};
use format::{ChunkId, ObjectName, PackId};
use futures::Stream;
use std::io;
use std::sync::Arc;
use store::{Put, StoreError};

/// The pack is verified, and every chunk in it is durable and known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Chunks in it that the repository did not have before. Where there are none, the pack itself is not kept.
    pub chunks_new: Count,
}

/// Chunks that are looked up in one statement.
const CHUNKS_MAX: usize = 8_192;

/// Takes in a pack of a run. `len` is how long the body says it is. A pack that is known gets the same answer again.
///
/// # Errors
/// As `runs::admit`, `quota::send_or_refuse` and `body::receive`; `pack_name_mismatch`, `pack_not_of_run`,
/// `pack_damaged`, `chunk_name_mismatch`, `tree_damaged`; `store_full`; a store or a database that does not answer.
pub async fn upload<S>(
    app: &Arc<App>,
    actor: &DeviceActor,
    run: RunId,
    pack: PackId,
    len: Option<u64>,
    body: S,
) -> Result<Uploaded, AppError>
where
    S: Stream<Item = io::Result<Bytes>> + Send,
{
    let row = runs::admit(app, actor, run, Some(RunPurpose::Backup), Verb::Append).await?;
    let answer = quota::send_or_refuse(app, actor, Size(len.unwrap_or_default())).await;
    quota::told(app, actor, answer).await?;
    // The body is read even when the pack is known: a connection with an unread body would have to be closed.
    let body = body::receive(app, run, len, body).await?;
    if body.pack != pack {
        return Err(Refusal::PackNameMismatch.into());
    }
    // A pack that came whole is taken in to the end, even when the device that sent it is gone meanwhile: a request is
    // dropped with its connection, and what was received would have to be sent again.
    let taken = tokio::spawn(take_in(Arc::clone(app), actor.clone(), row, body));
    taken.await.expect("taking a pack in does not panic, and the runtime is running")
}

async fn take_in(app: Arc<App>, actor: DeviceActor, run: RunRow, body: Body) -> Result<Uploaded, AppError> {
    if let Some(known) = known(&app, &run, body.pack).await? {
        return Ok(Uploaded { chunks_new: known.chunks_new });
    }
    let contents = verify(&app, &run, &body).await?;
    // RACE: where another upload makes the same chunks known after this look, both packs are kept.
    if !has_new(&app, &run, &contents).await? {
        // The same request may have been sent twice, and the other one was faster: both get one answer.
        let chunks_new = known(&app, &run, body.pack).await?.map_or(Count(0), |known| known.chunks_new);
        return Ok(Uploaded { chunks_new });
    }
    // ORDER: the object is durable before the index names it. A crash between the two leaves an object that nothing
    // names, never a name without an object.
    if !is_planted(Planted::IndexBeforePack) {
        put(&app, body.pack, &body.bytes).await?;
    }
    let uploaded = index(&app, &actor, &run, body.pack, Size::of(body.bytes.len()), &contents).await?;
    if is_planted(Planted::IndexBeforePack) {
        put(&app, body.pack, &body.bytes).await?;
    }
    Ok(uploaded)
}

/// The pack, if this run has sent it before.
async fn known(app: &App, run: &RunRow, pack: PackId) -> Result<Option<PackRow>, AppError> {
    let during = || AppError::db("looking a pack up");
    let mut tx = app.db.read().await.map_err(during())?;
    let known = db::pack_get(&mut tx, pack).await.map_err(during())?;
    // A damaged pack is taken in anew: its bytes are here again.
    Ok(known.filter(|known| known.new.run == run.new.id && known.damaged_at.is_none()))
}

async fn verify(app: &App, run: &RunRow, body: &Body) -> Result<Contents, AppError> {
    let _turn = app.plane.verifiers.acquire().await.expect("the semaphore is never closed");
    let (keys, run, bytes) = (app.keys.repository(run.new.repository)?, run.clone(), body.bytes.clone());
    let verified = base::blocking(move || contents::verify(&keys, &run, &bytes));
    verified.await.expect("looking through a pack does not panic, and the runtime is running")
}

/// Whether the pack brings a chunk that the repository lacks, or has in a pack that is damaged or condemned.
async fn has_new(app: &App, run: &RunRow, contents: &Contents) -> Result<bool, AppError> {
    let during = || AppError::db("looking the chunks of a pack up");
    let mut tx = app.db.read().await.map_err(during())?;
    for chunks in contents.chunks.chunks(CHUNKS_MAX) {
        let ids: Vec<ChunkId> = chunks.iter().map(|chunk| chunk.id).collect();
        let claims = db::chunk_claim_list(&mut tx, run.new.repository, &ids).await.map_err(during())?;
        if claims != Claims::default() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the object durable.
async fn put(app: &App, pack: PackId, bytes: &Bytes) -> Result<(), AppError> {
    let name = store_name(&ObjectName::Pack(pack));
    if app.store.put_new(&name, bytes.clone()).await.map_err(put_error)? == Put::Created {
        return Ok(());
    }
    // An upload that ended before its row was written has left the object, or another one goes on beside this one.
    // The object is compared, because nobody has vouched for it since; nothing names it, so it may be replaced.
    match app.store.get(&name).await {
        Ok(found) if found == *bytes => Ok(()),
        Ok(_) | Err(StoreError::NotFound { .. } | StoreError::Short { .. } | StoreError::Altered { .. }) => {
            app.store.remove(&name).await.map_err(put_error)?;
            app.store.put_new(&name, bytes.clone()).await.map(|_| ()).map_err(put_error)
        }
        Err(error) => Err(put_error(error)),
    }
}

/// Makes the pack and its chunks known.
async fn index(
    app: &App,
    actor: &DeviceActor,
    run: &RunRow,
    pack: PackId,
    bytes: Size,
    contents: &Contents,
) -> Result<Uploaded, AppError> {
    let now = app.clock.now();
    let (repository, id) = (run.new.repository, run.new.id);
    let during = || AppError::db("making a pack known");
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: a deactivation or a newer run that came while the body did is seen here, under the write lock.
    runs::allowed(&mut tx, actor, now, Verb::Append).await?;
    let row = runs::own(db::run_get(&mut tx, id).await.map_err(during())?, actor)?;
    runs::open(&row, actor, now)?;
    let seq = match db::pack_get(&mut tx, pack).await.map_err(during())? {
        // RACE: the same pack was sent twice at once, and the other was faster.
        // ORDER: committed before it is answered, since the other may share this commit and not be durable yet.
        Some(known) => {
            db::pack_damaged_update(&mut tx, known.seq, None).await.map_err(during())?;
            tx.commit().await.map_err(during())?;
            return Ok(Uploaded { chunks_new: known.chunks_new });
        }
        None => {
            let new = PackNew { id: pack, repository, run: id, bytes, header: contents.header, created_at: now };
            db::pack_insert(&mut tx, &new).await.map_err(during())?
        }
    };
    db::frame_insert(&mut tx, seq, &contents.frames).await.map_err(during())?;
    let chunks_new = db::chunk_insert(&mut tx, repository, seq, &contents.chunks).await.map_err(during())?;
    db::pack_chunks_new_update(&mut tx, seq, chunks_new).await.map_err(during())?;
    let more = RunCounters { bytes_received: app.plane.received_take(id), chunks_new, packs: Count(1) };
    db::run_counters_update(&mut tx, id, more).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    Ok(Uploaded { chunks_new })
}

/// The store's "full" is said to the device in words that help there, and to the admin in the log.
pub(crate) fn put_error(error: StoreError) -> AppError {
    if let StoreError::Full { .. } | StoreError::Quota { .. } = &error {
        tracing::error!("{error}");
        return Refusal::StoreFull.into();
    }
    AppError::store("storing an object")(error)
}
