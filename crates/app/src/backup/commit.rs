//! Commit: a manifest becomes a snapshot, and acknowledged means durable and restorable.
//! Refuses a manifest that its device did not sign, that lies about its run or its totals, or whose trees name
//! anything that is not there; and any device that may not append at the very moment of the commit.

use super::closure::{AGAIN_SPAN, Broken, Closure, Flaw, Index, WALKS_MAX};
use super::refused;
use super::upload::put_error;
use crate::snapshots::{self, SnapshotView, store_name};
use crate::{App, AppError, DeviceActor, campaigns, cards, quota, runs};
use base::{Bytes as Size, Count, Planted, RunId, SnapshotId, Timestamp, is_planted};
use bytes::Bytes;
use control::Refusal;
use control::access::{Told, Verb};
use db::{RunCounters, RunPurpose, RunRow, RunStatus, SnapshotFate, SnapshotNew, SnapshotRow, Tx};
use format::{Manifest, ObjectName, SignedManifest};
use std::fmt;
use store::Put;

/// The snapshot is durable and restorable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The snapshot.
    pub snapshot: SnapshotView,
    /// Bytes of request bodies that were received in this run.
    pub bytes_received: Size,
    /// Chunks that this run added to the repository.
    pub chunks_new: Count,
    /// Packs that this run sent.
    pub packs: Count,
}

/// What an endpoint says of its run; believed for reports, and for nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Files that it has opened.
    pub files_opened: Option<Count>,
    /// Bytes that it has read of them.
    pub bytes_read: Option<Size>,
}

/// Makes a snapshot of a run and ends the run. The same manifest gets the same answer again.
///
/// # Errors
/// As `runs::admit`; `manifest_damaged`, `manifest_mismatch`, `tree_names_missing`; `quota_exceeded`, `store_full`; a
/// store or a database that does not answer.
pub async fn commit(
    app: &App,
    actor: &DeviceActor,
    run: RunId,
    manifest: Bytes,
    reported: Reported,
) -> Result<Committed, AppError> {
    let answer = commit_untold(app, actor, run, manifest, reported).await;
    quota::told(app, actor, answer).await
}

async fn commit_untold(
    app: &App,
    actor: &DeviceActor,
    run: RunId,
    manifest: Bytes,
    reported: Reported,
) -> Result<Committed, AppError> {
    actor.may(app.clock.now(), Verb::Append)?;
    let manifest_id = *blake3::hash(&manifest).as_bytes();
    let during = || AppError::db("reading a run");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = runs::own(db::run_get(&mut tx, run).await.map_err(during())?, actor)?;
    if let Some(committed) = again(app, actor, &mut tx, &row, &manifest_id).await? {
        return Ok(committed);
    }
    drop(tx);
    match fresh(app, actor, run, manifest, manifest_id, reported).await {
        // RACE: the same commit reached another server, too, and was faster there: both get one answer.
        Err(error) if is_overtaken(&error) => faster(app, actor, run, &manifest_id).await?.ok_or(error),
        done => done,
    }
}

/// The commit of a manifest that was not committed when it was looked at.
async fn fresh(
    app: &App,
    actor: &DeviceActor,
    run: RunId,
    manifest: Bytes,
    manifest_id: [u8; 32],
    reported: Reported,
) -> Result<Committed, AppError> {
    let row = runs::admit(app, actor, run, Some(RunPurpose::Backup), Verb::Append).await?;
    app.plane.received_add(run, Size::of(manifest.len()));
    let opened = open(app, actor, &row, &manifest).await?;
    // What is refused for sure is refused before it is walked; asked once more in the transaction that would record it.
    let mut tx = app.db.read().await.map_err(AppError::db("reading a user's usage"))?;
    quota::commit_or_refuse(&mut tx, actor, opened.totals.bytes).await?;
    drop(tx);
    let mut closure = Closure::new(app, row.new.repository, Index::Known);
    for _ in 0..WALKS_MAX {
        let totals = closure.walk(&opened.root).await?.map_err(|broken| unclosed(&broken))?;
        if totals != opened.totals {
            return Err(refused(&Refusal::ManifestMismatch, &"its totals are not those of its root"));
        }
        // ORDER: the store knows whose a device is before it has a snapshot of it.
        cards::ensure(app, actor.device, app.keys.repository(row.new.repository)?.as_ref()).await?;
        bind(app, actor, &row, &manifest_id).await?;
        if !is_planted(Planted::SnapshotBeforeManifest) {
            put(app, &opened, &manifest).await?;
        }
        if let Some(committed) = record(app, actor, &row, &opened, manifest_id, &closure, reported).await? {
            if is_planted(Planted::SnapshotBeforeManifest) {
                put(app, &opened, &manifest).await?;
            }
            return Ok(committed);
        }
    }
    Err(Refusal::ServerBusy { left: AGAIN_SPAN }.into())
}

/// Whether an error is one that a commit meets whose run was committed meanwhile.
fn is_overtaken(error: &AppError) -> bool {
    [Refusal::RunClosed.code(), Refusal::ManifestMismatch.code()].contains(&error.code())
}

/// The answer that the same commit got elsewhere while this one went on; None when the run is not committed.
async fn faster(
    app: &App,
    actor: &DeviceActor,
    run: RunId,
    manifest_id: &[u8; 32],
) -> Result<Option<Committed>, AppError> {
    let during = || AppError::db("reading a run that was committed meanwhile");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = runs::own(db::run_get(&mut tx, run).await.map_err(during())?, actor)?;
    let committed = again(app, actor, &mut tx, &row, manifest_id).await?;
    // ORDER: committed before it is answered: the other may share this commit, and not be durable yet.
    tx.commit().await.map_err(during())?;
    Ok(committed)
}

/// The answer that a committed run got; None for one that goes on.
async fn again(
    app: &App,
    actor: &DeviceActor,
    tx: &mut Tx,
    run: &RunRow,
    manifest_id: &[u8; 32],
) -> Result<Option<Committed>, AppError> {
    let (RunStatus::Committed, Some(snapshot)) = (run.status, run.new.snapshot) else { return Ok(None) };
    let during = || AppError::db("reading a snapshot");
    let snapshot = db::snapshot_get(tx, snapshot).await.map_err(during())?;
    let snapshot = snapshot.filter(|row| row.new.manifest_id == *manifest_id).ok_or(Refusal::RunClosed)?;
    answer(app, actor, snapshot, run.counters).map(Some)
}

/// Opens a manifest and compares it with what the server knows of its device and run.
async fn open(app: &App, actor: &DeviceActor, run: &RunRow, manifest: &[u8]) -> Result<Manifest, AppError> {
    let keys = app.keys.repository(run.new.repository)?;
    let damaged = |error: format::Error| refused(&Refusal::ManifestDamaged, &error);
    let signed: SignedManifest = Manifest::open(manifest, |header| {
        let is_of_run = header.run == run.new.id && header.key_id == run.new.key_id;
        keys.seal_key(header.key_id).filter(|_| is_of_run).map(|key| key.run_key(header.run))
    })
    .map_err(damaged)?;
    let during = || AppError::db("reading what a manifest names");
    let mut tx = app.db.read().await.map_err(during())?;
    let credential = db::credential_get_live(&mut tx, actor.device).await.map_err(during())?;
    let credential = credential.filter(|live| live.epoch == actor.epoch).ok_or(Refusal::SessionInvalid)?;
    let manifest = signed.verify(&credential.public_key).map_err(damaged)?;
    let mismatch = |found: &dyn fmt::Display| Err(refused(&Refusal::ManifestMismatch, found));
    if manifest.device != actor.device {
        return mismatch(&"it names another device");
    }
    if manifest.repository != keys.id {
        return mismatch(&"it names another repository");
    }
    if let Some(parent) = manifest.parent {
        let parent = db::snapshot_get(&mut tx, parent).await.map_err(during())?;
        if parent.is_none_or(|parent| parent.new.device != actor.device) {
            return mismatch(&"the snapshot that it goes on from is none of this device");
        }
    }
    if db::snapshot_get(&mut tx, manifest.snapshot).await.map_err(during())?.is_some() {
        return mismatch(&"its snapshot exists already");
    }
    Ok(manifest)
}

/// Binds the run to this manifest, for good: whichever servers its commits reach, and whichever of them die, no object
/// of another manifest is written for it.
async fn bind(app: &App, actor: &DeviceActor, run: &RunRow, manifest_id: &[u8; 32]) -> Result<(), AppError> {
    if run.manifest_id == Some(*manifest_id) {
        return Ok(());
    }
    let now = app.clock.now();
    let during = || AppError::db("binding a run to its manifest");
    let mut tx = app.db.write().await.map_err(during())?;
    let row = runs::own(db::run_get(&mut tx, run.new.id).await.map_err(during())?, actor)?;
    runs::open(&row, actor, now)?;
    if !db::run_manifest_update(&mut tx, run.new.id, manifest_id).await.map_err(during())? {
        return Err(refused(&Refusal::ManifestMismatch, &"its run was sealed otherwise before"));
    }
    // ORDER: the binding is durable before the object: an object that nothing names is one that its run was bound to.
    tx.commit().await.map_err(during())
}

/// Makes the manifest durable. A snapshot has one manifest, for ever.
async fn put(app: &App, manifest: &Manifest, bytes: &Bytes) -> Result<(), AppError> {
    // ORDER: the object is durable before its row. A crash between the two leaves an object that nothing names.
    let name = store_name(&ObjectName::Manifest(manifest.device, manifest.snapshot));
    if app.store.put_new(&name, bytes.clone()).await.map_err(put_error)? == Put::Created {
        return Ok(());
    }
    // A commit that ended before its row was written has left it, and comes again; or the same one goes on at another
    // server. Another manifest never takes its place: what one run replaces, another may be committing at that moment.
    let found = app.store.get(&name).await.map_err(AppError::store("reading a manifest"))?;
    if found == *bytes {
        return Ok(());
    }
    Err(refused(&Refusal::ManifestMismatch, &"its snapshot was sealed otherwise before"))
}

/// Makes the snapshot known and ends the run, in one transaction. None when the walk was overtaken.
async fn record(
    app: &App,
    actor: &DeviceActor,
    run: &RunRow,
    manifest: &Manifest,
    manifest_id: [u8; 32],
    closure: &Closure<'_>,
    reported: Reported,
) -> Result<Option<Committed>, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("committing a snapshot");
    let id = run.new.id;
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: the run of a revoked device never commits: its state is looked at under the write lock.
    runs::allowed(&mut tx, actor, now, Verb::Append).await?;
    let row = runs::own(db::run_get(&mut tx, id).await.map_err(during())?, actor)?;
    // RACE: the same commit may have reached another server, which was faster: then the run is closed.
    runs::open(&row, actor, now)?;
    // RACE: a pack that was marked as damaged since the walk began, or is about to be removed, may hold what the walk
    // has found.
    if !closure.hold(&mut tx).await? {
        return Ok(None);
    }
    quota::commit(app, &mut tx, actor, manifest.totals.bytes).await?;
    db::closed_insert(&mut tx, row.new.repository, &closure.fresh()).await.map_err(during())?;
    let new = snapshot(app, &row, manifest, manifest_id, now)?;
    let seq = db::snapshot_insert(&mut tx, &new).await.map_err(during())?;
    db::device_last_snapshot_update(&mut tx, actor.device, new.id).await.map_err(during())?;
    let more = RunCounters { bytes_received: app.plane.received_take(id), ..RunCounters::default() };
    db::run_counters_update(&mut tx, id, more).await.map_err(during())?;
    db::run_committed_update(&mut tx, id, new.id, now).await.map_err(during())?;
    let Reported { files_opened, bytes_read } = reported;
    db::run_reported_update(&mut tx, id, files_opened, bytes_read).await.map_err(during())?;
    let counters = db::run_get(&mut tx, id).await.map_err(during())?.unwrap_or(row).counters;
    if !manifest.partial {
        campaigns::backed_up(&mut tx, &new, &counters, bytes_read).await?;
    }
    if is_planted(Planted::CommitUnkept) {
        drop(tx);
    } else {
        tx.commit().await.map_err(during())?;
    }
    let (device, files) = (new.device, new.totals.files);
    tracing::info!(
        run.id = %id, device.id = %device, snapshot.id = %new.id, upload_bytes = counters.bytes_received.0,
        "run {id} of {device} became snapshot {} with {files} files", new.id
    );
    answer(app, actor, SnapshotRow { seq, new, fate: SnapshotFate::default() }, counters).map(Some)
}

fn snapshot(
    app: &App,
    run: &RunRow,
    manifest: &Manifest,
    manifest_id: [u8; 32],
    now: Timestamp,
) -> Result<SnapshotNew, AppError> {
    let keys = app.keys.repository(run.new.repository)?;
    let id: SnapshotId = manifest.snapshot;
    Ok(SnapshotNew {
        id,
        device: run.new.device,
        repository: run.new.repository,
        run: run.new.id,
        epoch: run.new.epoch,
        parent: manifest.parent,
        root_sealed: keys.seal_root(id, &manifest.root, now, app.entropy.as_ref()),
        root: manifest.root.id(),
        manifest_id,
        began_at: manifest.began_at,
        ended_at: manifest.ended_at,
        committed_at: now,
        totals: manifest.totals,
        folders: manifest.folders.clone(),
        partial: manifest.partial,
        host_name: manifest.device_name.clone(),
        problems: manifest.problems.total(),
    })
}

fn answer(app: &App, actor: &DeviceActor, snapshot: SnapshotRow, counters: RunCounters) -> Result<Committed, AppError> {
    let shown = snapshots::told(actor, app.clock.now(), &snapshot) == Told::Whole;
    let RunCounters { bytes_received, chunks_new, packs } = counters;
    Ok(Committed { snapshot: snapshots::view(app, snapshot, shown)?, bytes_received, chunks_new, packs })
}

/// The refusal of a snapshot with the place where its trees do not hold.
fn unclosed(broken: &Broken) -> AppError {
    let refusal = match broken.flaw {
        Flaw::Missing | Flaw::Damaged => Refusal::TreeNamesMissing { count: Count(1) },
        Flaw::Totals | Flaw::Page | Flaw::TooLarge => Refusal::ManifestMismatch,
    };
    // The sentence of the refusal speaks of a pack: here it is a snapshot that does not come about.
    AppError::Said {
        kind: refusal.kind(),
        code: refusal.code(),
        sentence: format!("There is no new snapshot: {broken}. The next backup sends what is missing again."),
        retry: refusal.retry(),
    }
}
