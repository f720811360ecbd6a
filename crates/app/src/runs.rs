//! Runs: begin, the look at a run that every request of it takes, abort. A run is the lease on what it was told is
//! there. Refuses a run of another device, of a credential since replaced, that has ended or outlived its lease.

use crate::snapshots::{self, Newest};
use crate::{App, AppError, DeviceActor, quota};
use base::{Bytes, Count, Planted, RepositoryId, RunId, Secret, SnapshotId, Span, Timestamp, is_planted};
use control::Refusal;
use control::access::{self, Verb};
use db::{RunCounters, RunNew, RunPurpose, RunRow, RunStatus, SnapshotRow, Tx};
use format::RunKey;
use format::limits::PACK_BYTES_MAX;

/// The most refs or pack ids in one request: as many as one statement looks up within a few dozen milliseconds.
pub const REFS_MAX: Count = Count(8_192);
/// A lease is written when it can be extended by this much: not at every request.
const LEASE_STEP: Span = Span::minutes(1);

/// How long a run lives at most, whatever it asks: collections wait for what a run relies on. The next one of its
/// device finds all that it has sent.
const RUN_SPAN_MAX: Span = Span::days(30);

/// What a run is begun for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To append one snapshot.
    Backup,
    /// To read one snapshot.
    Restore {
        /// Which.
        snapshot: SnapshotId,
    },
}

/// A run is open.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The run.
    pub run: RunId,
    /// The repository it works on.
    pub repository: RepositoryId,
    /// Names chunks.
    pub naming_key: Secret<32>,
    /// Seals this run's packs and its manifest; None for a restore.
    pub run_key: Option<RunKey>,
    /// Which repository key the run key comes from.
    pub key_id: u32,
    /// The snapshot to go on from, or to read.
    pub snapshot: Option<Newest>,
    /// What the server takes at once.
    pub limits: Limits,
    /// How long the run lives without a request.
    pub lease: Span,
}

/// What the server takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest pack.
    pub pack_bytes: Bytes,
    /// Uploads of one run side by side.
    pub uploads: Count,
    /// Refs or pack ids in one request.
    pub refs: Count,
}

/// Opens a run. The same `request` of a device is the same run; a new backup run takes the place of the open one.
///
/// # Errors
/// The refusal of the device's state; `quota_exceeded`; `snapshot_not_yours`; `run_closed` and `run_superseded` when
/// the run of this request has ended; `run_wrong_kind` when the request began a run for something else.
pub async fn begin(app: &App, actor: &DeviceActor, request: [u8; 16], purpose: Purpose) -> Result<Begun, AppError> {
    let answer = begin_untold(app, actor, request, purpose).await;
    quota::told(app, actor, answer).await
}

async fn begin_untold(app: &App, actor: &DeviceActor, request: [u8; 16], purpose: Purpose) -> Result<Begun, AppError> {
    let now = app.clock.now();
    let during = || AppError::db("beginning a run");
    let mut tx = app.db.write().await.map_err(during())?;
    let snapshot = match purpose {
        Purpose::Backup => {
            allowed(&mut tx, actor, now, Verb::BeginBackup).await?;
            db::snapshot_get_newest(&mut tx, actor.device).await.map_err(during())?
        }
        Purpose::Restore { snapshot } => {
            let snapshot = db::snapshot_get(&mut tx, snapshot).await.map_err(during())?;
            let snapshot = snapshot.ok_or(Refusal::SnapshotNotYours)?;
            snapshots::own_or_merged(&mut tx, actor, &snapshot).await?;
            allowed(&mut tx, actor, now, read_verb(actor, &snapshot, Verb::BeginRestore)).await?;
            Some(snapshot)
        }
    };
    let run = match db::run_get_by_request(&mut tx, actor.device, &request).await.map_err(during())? {
        Some(run) => again(actor, run, purpose, now)?,
        None => {
            let run = fresh(app, actor, request, purpose, now)?;
            if purpose == Purpose::Backup {
                quota::begin_or_refuse(&mut tx, actor).await?;
                db::run_superseded_update(&mut tx, actor.device, now).await.map_err(during())?;
            }
            db::run_insert(&mut tx, &run).await.map_err(during())?;
            run
        }
    };
    tx.commit().await.map_err(during())?;
    begun(app, actor, &run, purpose, snapshot)
}

/// Ends a run of this device without a snapshot; what it sent stays. One that has ended already stays as it is.
///
/// # Errors
/// `run_not_yours`.
pub async fn abort(app: &App, actor: &DeviceActor, run: RunId) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("aborting a run");
    let mut tx = app.db.write().await.map_err(during())?;
    own(db::run_get(&mut tx, run).await.map_err(during())?, actor)?;
    let more = RunCounters { bytes_received: app.plane.received_take(run), ..RunCounters::default() };
    db::run_counters_update(&mut tx, run, more).await.map_err(during())?;
    db::run_aborted_update(&mut tx, run, now).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

/// Looks up a run for a request of it, and extends its lease.
///
/// # Errors
/// The refusal of the device's state; `run_not_yours`, `run_closed`, `run_superseded`; `run_wrong_kind`.
pub(crate) async fn admit(
    app: &App,
    actor: &DeviceActor,
    run: RunId,
    purpose: Option<RunPurpose>,
    verb: Verb,
) -> Result<RunRow, AppError> {
    let now = app.clock.now();
    actor.may(now, verb)?;
    let during = || AppError::db("reading a run");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = own(db::run_get(&mut tx, run).await.map_err(during())?, actor)?;
    drop(tx);
    if purpose.is_some_and(|purpose| purpose != row.new.purpose) {
        return Err(Refusal::RunWrongKind.into());
    }
    // Another server may have begun the run with a key that this one has not heard of.
    if app.keys.repository(row.new.repository)?.seal_key(row.new.key_id).is_none() {
        app.keys.refresh(&app.db).await?;
    }
    open(&row, actor, now)?;
    let until = (now + app.config.run_lease).min(row.new.began_at + RUN_SPAN_MAX);
    if until.since(row.new.lease_until) >= LEASE_STEP {
        let during = || AppError::db("extending a lease");
        let mut tx = app.db.write().await.map_err(during())?;
        db::run_lease_update(&mut tx, run, until).await.map_err(during())?;
        let more = RunCounters { bytes_received: app.plane.received_take(run), ..RunCounters::default() };
        db::run_counters_update(&mut tx, run, more).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
    }
    Ok(row)
}

/// Fails unless the run belongs to this device.
///
/// # Errors
/// `run_not_yours`, also for a run that does not exist.
pub(crate) fn own(run: Option<RunRow>, actor: &DeviceActor) -> Result<RunRow, AppError> {
    run.filter(|run| run.new.device == actor.device).ok_or_else(|| Refusal::RunNotYours.into())
}

/// Fails unless the run goes on.
///
/// # Errors
/// `run_superseded`; `run_closed` for one that was committed or aborted, outlived its lease, or began under a
/// credential that was replaced since.
pub(crate) fn open(run: &RunRow, actor: &DeviceActor, now: Timestamp) -> Result<(), AppError> {
    match run.status {
        RunStatus::Open if run.new.epoch == actor.epoch && now < run.new.lease_until => Ok(()),
        RunStatus::Superseded => Err(Refusal::RunSuperseded.into()),
        RunStatus::Open | RunStatus::Committed | RunStatus::Aborted => Err(Refusal::RunClosed.into()),
    }
}

/// Whether the device may do this at the very moment of the transaction, whatever was known of it before.
///
/// # Errors
/// The refusal of the device's state; `session_invalid` when another key was bound to it since.
pub(crate) async fn allowed(tx: &mut Tx, actor: &DeviceActor, now: Timestamp, verb: Verb) -> Result<(), AppError> {
    let during = || AppError::db("reading a device's state");
    let standing = db::device_standing_get(tx, actor.device).await.map_err(during())?;
    let standing = standing.ok_or(Refusal::SessionInvalid)?;
    access::may_of_user(standing.user_state, &standing.state, now, verb)?;
    if standing.epoch != actor.epoch || standing.repository != actor.repository {
        return Err(Refusal::SessionInvalid.into());
    }
    Ok(())
}

/// What a device must be allowed to read a snapshot of its own: less, when this very credential appended it.
pub(crate) fn read_verb(actor: &DeviceActor, snapshot: &SnapshotRow, full: Verb) -> Verb {
    if is_own(actor, snapshot) || is_planted(Planted::ReadsUnchecked) { Verb::ReadAppended } else { full }
}

/// Whether this very credential appended the snapshot. Never fails.
pub(crate) fn is_own(actor: &DeviceActor, snapshot: &SnapshotRow) -> bool {
    snapshot.new.device == actor.device && snapshot.new.epoch == actor.epoch
}

fn fresh(
    app: &App,
    actor: &DeviceActor,
    request: [u8; 16],
    purpose: Purpose,
    now: Timestamp,
) -> Result<RunNew, AppError> {
    let (purpose, snapshot) = match purpose {
        Purpose::Backup => (RunPurpose::Backup, None),
        Purpose::Restore { snapshot } => (RunPurpose::Restore, Some(snapshot)),
    };
    Ok(RunNew {
        id: RunId::begun(now, app.entropy.as_ref()),
        device: actor.device,
        repository: actor.repository,
        epoch: actor.epoch,
        request,
        purpose,
        key_id: app.keys.repository(actor.repository)?.newest(now).id(),
        snapshot,
        began_at: now,
        lease_until: now + app.config.run_lease,
    })
}

/// The run of a request that was made before.
fn again(actor: &DeviceActor, run: RunRow, purpose: Purpose, now: Timestamp) -> Result<RunNew, AppError> {
    open(&run, actor, now)?;
    let same = match purpose {
        Purpose::Backup => run.new.purpose == RunPurpose::Backup,
        Purpose::Restore { snapshot } => run.new.purpose == RunPurpose::Restore && run.new.snapshot == Some(snapshot),
    };
    if same { Ok(run.new) } else { Err(Refusal::RunWrongKind.into()) }
}

fn begun(
    app: &App,
    actor: &DeviceActor,
    run: &RunNew,
    purpose: Purpose,
    snapshot: Option<SnapshotRow>,
) -> Result<Begun, AppError> {
    let keys = app.keys.repository(run.repository)?;
    let run_key = match purpose {
        Purpose::Backup => {
            let key = keys.seal_key(run.key_id).ok_or_else(|| {
                AppError::damaged(
                    "repository_keys_damaged",
                    format!("The key {} of the repository is gone.", run.key_id),
                )
            })?;
            Some(key.run_key(run.id))
        }
        Purpose::Restore { .. } => None,
    };
    let now = app.clock.now();
    let snapshot = snapshot.map(|row| snapshots::newest_told(app, row, |row| snapshots::told(actor, now, row)));
    Ok(Begun {
        run: run.id,
        repository: keys.id,
        naming_key: keys.naming_secret.clone(),
        run_key,
        key_id: run.key_id,
        snapshot: snapshot.transpose()?,
        limits: Limits { pack_bytes: PACK_BYTES_MAX, uploads: Count(app.config.run_uploads_max), refs: REFS_MAX },
        lease: app.config.run_lease,
    })
}
