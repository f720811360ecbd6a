//! Snapshots: those that only the store knows come back by their manifests, device by device in the order in which
//! their runs began. Refuses one whose run the database knows to have ended: it was let go, or was never acknowledged.

use super::{ByDevice, Options, Progress, Report, devices, opened};
use crate::backup::{Closure, Index};
use crate::damage::is_damage;
use crate::keys::RepositoryKeys;
use crate::listing::Pages;
use crate::scrub::run_key;
use crate::{App, AppError};
use base::{Count, DeviceId, RunId, Timestamp, UserId};
use control::State;
use db::{RunStatus, SnapshotNew, Tx};
use format::object::MANIFESTS_PREFIX;
use format::{Card, Manifest, ObjectHeader, ObjectName};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use store::ObjectInfo;

/// The address of the user to whom devices go whose card is lost.
const NOBODY: &str = "recovered@localhost";

/// Looks at every manifest of the store. `cards` are the devices that were taken in, or would be.
pub(super) async fn repair(
    app: &App,
    options: &Options,
    cards: &HashSet<DeviceId>,
    progress: &mut (dyn FnMut(Progress) + Send),
    report: &mut Report,
) -> Result<(), AppError> {
    // What one snapshot of a repository has been found to hold need not be followed again for the next.
    let mut walks = HashMap::new();
    let mut pages = Pages::new(app.store.as_ref(), MANIFESTS_PREFIX, "listing manifests");
    let (mut done, mut held) = (Count(0), ByDevice::new());
    while let Some(page) = pages.next().await? {
        for object in &page {
            let Some((device, found)) = look(app, object, report).await? else { continue };
            if let Some((_, all)) = held.add(device, found) {
                take_all(app, options, cards, all, &mut walks, report).await?;
            }
            done += Count(1);
            progress(Progress::Snapshots { done });
        }
    }
    match held.end() {
        Some((_, all)) => take_all(app, options, cards, all, &mut walks, report).await,
        None => Ok(()),
    }
}

/// Walks that go on from one snapshot to the next, by repository.
type Walks<'a> = HashMap<i64, Closure<'a>>;

/// A manifest that no row names.
struct Found {
    manifest: Manifest,
    /// BLAKE3 of the object.
    id: [u8; 32],
    run: RunId,
    keys: Arc<RepositoryKeys>,
}

/// Reads a manifest that no row names; `None` for every other.
async fn look(app: &App, object: &ObjectInfo, report: &mut Report) -> Result<Option<(DeviceId, Found)>, AppError> {
    let Ok(ObjectName::Manifest(device, snapshot)) = object.name.as_str().parse() else { return Ok(None) };
    let during = || AppError::db("looking a snapshot up");
    let mut tx = app.db.read().await.map_err(during())?;
    let is_known = db::snapshot_get(&mut tx, snapshot).await.map_err(during())?.is_some()
        || db::leaving_get(&mut tx, object.name.as_str()).await.map_err(during())?.is_some();
    drop(tx);
    if is_known {
        return Ok(None);
    }
    let bytes = match app.store.get(&object.name).await {
        Ok(bytes) => bytes,
        Err(error) if is_damage(&error) => {
            report.add_unreadable(&object.name, &error);
            return Ok(None);
        }
        Err(error) => return Err(AppError::store("reading a manifest")(error)),
    };
    let read = opened(app, |keys| {
        let signed = Manifest::open(&bytes, |header| run_key(keys)(header))?;
        Ok((ObjectHeader::of_manifest(&bytes)?, signed.unverified().clone()))
    });
    match read {
        // Whoever sealed it had the key of its run: the device, for which the server has it checked at the commit.
        Ok((keys, (header, manifest)))
            if (manifest.device, manifest.snapshot, manifest.repository) == (device, snapshot, keys.id) =>
        {
            let id = *blake3::hash(&bytes).as_bytes();
            Ok(Some((device, Found { manifest, id, run: header.run, keys })))
        }
        Ok(_) => {
            report.add_unreadable(&object.name, &"It is another snapshot's");
            Ok(None)
        }
        Err(error) => {
            report.add_unreadable(&object.name, &error);
            Ok(None)
        }
    }
}

/// Takes the snapshots of one device in, the oldest first.
async fn take_all<'a>(
    app: &'a App,
    options: &Options,
    cards: &HashSet<DeviceId>,
    mut all: Vec<Found>,
    walks: &mut Walks<'a>,
    report: &mut Report,
) -> Result<(), AppError> {
    let Some(first) = all.first() else { return Ok(()) };
    let (device, keys) = (first.manifest.device, Arc::clone(&first.keys));
    let during = || AppError::db("reading whose a snapshot is");
    let mut tx = app.db.read().await.map_err(during())?;
    let record = db::device_get(&mut tx, device).await.map_err(during())?;
    drop(tx);
    match record {
        None if cards.contains(&device) => {}
        None => devices::take_in(app, options, &card(app, &keys, &first.manifest), report).await?,
        Some(record) if matches!(record.state, State::Purged) => {
            report.manifests_left += Count::of(all.len());
            return Ok(());
        }
        Some(_) => {}
    }
    let total = all.len();
    all.sort_by_key(|found| (found.run.begun_at(), found.manifest.snapshot));
    all.dedup_by_key(|found| found.run);
    report.manifests_left += Count::of(total - all.len());
    for found in &all {
        let mut tx = app.db.read().await.map_err(during())?;
        let fits = fits(&mut tx, found).await?;
        drop(tx);
        let taken = fits && (!options.apply || take_in(app, found, walks, report).await?);
        *(if taken { &mut report.snapshots_taken } else { &mut report.manifests_left }) += Count(1);
    }
    Ok(())
}

/// Whether a snapshot may come back. A run that the database knows tells: one that has ended has its snapshot, or had
/// one that was let go, or was refused it; one that is open commits what it is bound to. What a run is bound to, or the
/// run itself, that it does not know of came after the database was copied.
async fn fits(tx: &mut Tx, found: &Found) -> Result<bool, AppError> {
    let during = || AppError::db("reading the run of a snapshot");
    if db::snapshot_get(tx, found.manifest.snapshot).await.map_err(during())?.is_some() {
        return Ok(false);
    }
    let Some(run) = db::run_get(tx, found.run).await.map_err(during())? else { return Ok(true) };
    Ok(run.status == RunStatus::Open && run.manifest_id.is_none_or(|bound| bound == found.id))
}

/// Makes a snapshot known, as its commit has or would have. Gives whether it still had to be.
async fn take_in<'a>(
    app: &'a App,
    found: &Found,
    walks: &mut Walks<'a>,
    report: &mut Report,
) -> Result<bool, AppError> {
    let Found { manifest, keys, .. } = found;
    let walk = walks.entry(keys.seq).or_insert_with(|| Closure::new(app, keys.seq, Index::Known));
    loop {
        let walked = walk.walk(&manifest.root).await?;
        let is_whole = matches!(walked, Ok(totals) if totals == manifest.totals);
        let during = || AppError::db("taking a snapshot in");
        let mut tx = app.db.write().await.map_err(during())?;
        // RACE: a pack that the walk has found may be about to go: then it is walked anew. What is lost already is no
        // reason to lose the rest: it is restored file by file.
        if is_whole && !walk.hold(&mut tx).await? {
            continue;
        }
        // RACE: its commit may be under way, and be faster.
        if !fits(&mut tx, found).await? {
            return Ok(false);
        }
        let now = app.clock.now();
        let new = row(app, found, now);
        let newest = db::snapshot_get_newest(&mut tx, new.device).await.map_err(during())?;
        if is_whole {
            db::closed_insert(&mut tx, keys.seq, &walk.fresh()).await.map_err(during())?;
        }
        db::snapshot_insert(&mut tx, &new).await.map_err(during())?;
        db::run_committed_update(&mut tx, new.run, new.id, now).await.map_err(during())?;
        if newest.is_none_or(|newest| newest.new.committed_at <= new.committed_at) {
            db::device_last_snapshot_update(&mut tx, new.device, new.id).await.map_err(during())?;
        }
        if !is_whole {
            db::snapshot_hurt_update(&mut tx, new.id, Some(now)).await.map_err(during())?;
            report.snapshots_hurt.push(new.id);
        } else if !new.partial {
            db::device_good_update(&mut tx, new.device, new.committed_at).await.map_err(during())?;
        }
        tx.commit().await.map_err(during())?;
        return Ok(true);
    }
}

fn row(app: &App, Found { manifest, id, run, keys }: &Found, now: Timestamp) -> SnapshotNew {
    SnapshotNew {
        id: manifest.snapshot,
        device: manifest.device,
        repository: keys.seq,
        run: *run,
        // Under which binding it was appended is not known: it is read by who may read everything of the device.
        epoch: 0,
        parent: manifest.parent,
        root_sealed: keys.seal_root(manifest.snapshot, &manifest.root, now, app.entropy.as_ref()),
        root: manifest.root.id(),
        manifest_id: *id,
        began_at: manifest.began_at,
        ended_at: manifest.ended_at,
        // The server's own clock at the begin of the run, which the device could not choose.
        committed_at: run.begun_at().min(now),
        totals: manifest.totals,
        folders: manifest.folders.clone(),
        partial: manifest.partial,
        host_name: manifest.device_name.clone(),
        problems: manifest.problems.total(),
    }
}

/// A card for a device whose own is lost: what its snapshot says of it, and a user who is nobody.
fn card(app: &App, keys: &RepositoryKeys, manifest: &Manifest) -> Card {
    let unknown = String::new;
    Card {
        device: manifest.device,
        number: 0,
        repository: keys.id,
        created_at: app.clock.now(),
        user: UserId::mint(app.entropy.as_ref()),
        key: None,
        email: NOBODY.to_owned(),
        name: manifest.device_name.clone(),
        evidence: [manifest.device_name.clone(), unknown(), unknown(), unknown(), unknown(), unknown()],
    }
}
