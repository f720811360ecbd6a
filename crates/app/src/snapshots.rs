//! Snapshots as devices and admins see them: lists, one of them, its problems.
//! Refuses another device's snapshot, and all but the name of one that the asking credential could not read.

use crate::damage::is_damage;
use crate::error::there_is_no;
use crate::page::{Page, PageAsk, part};
use crate::{AdminActor, App, AppError, DeviceActor, runs};
use base::{Count, DeviceId, SnapshotId, Timestamp};
use control::access::{self, Told, Verb};
use control::{Permit, Refusal, State};
use db::{SnapshotRow, Tx};

pub use db::Pin;

use format::{ChunkRef, ListedProblem, Manifest, ObjectName, StoredPath, Totals};

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotView {
    /// Its name.
    pub id: SnapshotId,
    /// The device that made it.
    pub device: DeviceId,
    /// The ref of its root tree: lets its holder read it. None where the caller may list but not read.
    pub root: Option<ChunkRef>,
    /// The snapshot that it went on from.
    pub parent: Option<SnapshotId>,
    /// The device's clock when the run began.
    pub began_at: Timestamp,
    /// The device's clock when the run ended.
    pub ended_at: Timestamp,
    /// The server's clock at commit.
    pub committed_at: Timestamp,
    /// What is in it.
    pub totals: Totals,
    /// The folders that it covers.
    pub folders: Vec<StoredPath>,
    /// Is it of some folders alone, and not of all that its device is to back up?
    pub partial: bool,
    /// The computer's name at the time.
    pub host_name: String,
    /// Entries that could not be saved, or changed while they were read.
    pub problems: Count,
    /// When retention has let go of it: it is removed after the undo period.
    pub expired_at: Option<Timestamp>,
    /// When a scrub found that something of it cannot be restored.
    pub hurt_at: Option<Timestamp>,
    /// When an admin gave it up, because of that.
    pub given_up_at: Option<Timestamp>,
    /// An admin's word that it is kept.
    pub pin: Option<Pin>,
}

/// The newest snapshot of a record as its device is told of it: of those that are not partial, where there are any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Newest {
    /// All of it that the device may know.
    Shown(Box<SnapshotView>),
    /// That it is there. Its name is what a device keeps that is to bring it back once it may.
    Named(SnapshotId),
}

impl Newest {
    /// What is shown of it; `None` where it is named alone. Never fails.
    pub fn view(&self) -> Option<&SnapshotView> {
        match self {
            Newest::Shown(view) => Some(view),
            Newest::Named(_) => None,
        }
    }
}

/// The snapshots of the device, newest first: all, or those that this very credential appended where it may not see
/// more.
///
/// # Errors
/// The refusal of the device's state; `request_malformed` for a cursor that no page gave.
pub async fn list(app: &App, actor: &DeviceActor, ask: &PageAsk) -> Result<Page<SnapshotView>, AppError> {
    let now = app.clock.now();
    let epoch = match actor.may(now, Verb::ListSnapshots) {
        Ok(()) => None,
        Err(refusal) => {
            actor.may(now, Verb::ReadAppended).map_err(|_| refusal)?;
            Some(actor.epoch)
        }
    };
    let before = before(ask)?;
    let during = || AppError::db("listing snapshots");
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = match epoch {
        // What was merged into the record is read under it; a binding that only appends reads what it appended itself.
        None => db::snapshot_list_with_merged(&mut tx, actor.device, before, ask.rows()).await,
        Some(_) => db::snapshot_list_by_device(&mut tx, actor.device, epoch, before, ask.rows()).await,
    };
    let rows = rows.map_err(during())?;
    drop(tx);
    page(app, ask, rows, |row| told(actor, now, row) == Told::Whole)
}

/// One snapshot of the device.
///
/// # Errors
/// `snapshot_not_yours`; the refusal of the device's state.
pub async fn get(app: &App, actor: &DeviceActor, snapshot: SnapshotId) -> Result<SnapshotView, AppError> {
    let row = own(app, actor, snapshot).await?;
    let shown = told(actor, app.clock.now(), &row) == Told::Whole;
    view(app, row, shown)
}

/// The problems that the snapshot's manifest lists: at most 1,000, the others are only counted.
///
/// # Errors
/// As `get`; `stored_data_damaged` for a manifest that does not open; a store that does not answer.
pub async fn problems(app: &App, actor: &DeviceActor, snapshot: SnapshotId) -> Result<Vec<ListedProblem>, AppError> {
    let row = own(app, actor, snapshot).await?;
    Ok(manifest(app, &row).await?.problems.listed().to_vec())
}

/// The newest snapshot of a device, and how many there are that it may know of, for its status: all, or those that
/// this very credential appended.
///
/// # Errors
/// As the database says.
pub async fn standing(app: &App, actor: &DeviceActor) -> Result<(Option<Newest>, Count), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("reading the newest snapshot");
    let mut tx = app.db.read().await.map_err(during())?;
    let epoch = actor.may(now, Verb::ListSnapshots).is_err().then_some(actor.epoch);
    let count = db::snapshot_count_get(&mut tx, actor.device, epoch).await.map_err(during())?;
    let row = db::snapshot_get_whole(&mut tx, actor.device).await.map_err(during())?;
    drop(tx);
    let newest = row.map(|row| newest_told(app, row, |row| told(actor, now, row)));
    Ok((newest.transpose()?, count))
}

/// The snapshot of a device that an activation brings back, for its answer. `told` says how much of it is told.
///
/// # Errors
/// As the database says.
pub(crate) async fn newest(
    app: &App,
    device: DeviceId,
    told: impl FnOnce(&SnapshotRow) -> Told,
) -> Result<Option<Newest>, AppError> {
    let during = || AppError::db("reading the newest snapshot");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::snapshot_get_whole(&mut tx, device).await.map_err(during())?;
    drop(tx);
    row.map(|row| newest_told(app, row, told)).transpose()
}

/// A snapshot, as far as a device is told of it: `told` says how far that is.
///
/// # Errors
/// `root_damaged`.
pub(crate) fn newest_told(
    app: &App,
    row: SnapshotRow,
    told: impl FnOnce(&SnapshotRow) -> Told,
) -> Result<Newest, AppError> {
    match told(&row) {
        Told::Name => Ok(Newest::Named(row.new.id)),
        told @ (Told::Facts | Told::Whole) => Ok(Newest::Shown(Box::new(view(app, row, told == Told::Whole)?))),
    }
}

/// The snapshots of one device or of all, newest first, as an admin sees them: without roots.
///
/// # Errors
/// `not_permitted`; `request_malformed` for a cursor that no page gave.
pub async fn admin_list(
    app: &App,
    actor: &AdminActor,
    device: Option<DeviceId>,
    ask: &PageAsk,
) -> Result<Page<SnapshotView>, AppError> {
    actor.need(Permit::SnapshotRead)?;
    let before = before(ask)?;
    let during = || AppError::db("listing snapshots");
    let mut tx = app.db.read().await.map_err(during())?;
    let rows = match device {
        Some(device) => db::snapshot_list_with_merged(&mut tx, device, before, ask.rows()).await,
        None => db::snapshot_list(&mut tx, before, ask.rows()).await,
    };
    drop(tx);
    page(app, ask, rows.map_err(during())?, |_| false)
}

/// One snapshot as an admin sees it: without its root.
///
/// # Errors
/// `not_permitted`; `snapshot_unknown`.
pub async fn admin_get(app: &App, actor: &AdminActor, snapshot: SnapshotId) -> Result<SnapshotView, AppError> {
    actor.need(Permit::SnapshotRead)?;
    let during = || AppError::db("reading a snapshot");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::snapshot_get(&mut tx, snapshot).await.map_err(during())?;
    drop(tx);
    let unknown =
        || AppError::not_found("snapshot_unknown", there_is_no(format_args!("snapshot {snapshot}"), "snapshot list"));
    view(app, row.ok_or_else(unknown)?, false)
}

/// What this actor is told of the snapshot now. Whoever knows the ref of a root can name it in a snapshot of its own
/// and read it there, or under another account: so who may not read is shown none, whether it appends only, is held, is
/// one of two machines with one key, or is being erased.
pub(crate) fn told(actor: &DeviceActor, now: Timestamp, row: &SnapshotRow) -> Told {
    access::told(actor.user_state, &actor.state, now, runs::is_own(actor, row))
}

/// A row as it is shown.
///
/// # Errors
/// `root_damaged`.
pub(crate) fn view(app: &App, row: SnapshotRow, root_shown: bool) -> Result<SnapshotView, AppError> {
    let new = row.new;
    let open = || app.keys.repository(new.repository)?.open_root(new.id, &new.root_sealed);
    let root = if root_shown { Some(open()?) } else { None };
    Ok(SnapshotView {
        id: new.id,
        device: new.device,
        root,
        parent: new.parent,
        began_at: new.began_at,
        ended_at: new.ended_at,
        committed_at: new.committed_at,
        totals: new.totals,
        folders: new.folders,
        partial: new.partial,
        host_name: new.host_name,
        problems: new.problems,
        expired_at: row.fate.expired_at,
        hurt_at: row.fate.hurt_at,
        given_up_at: row.fate.given_up_at,
        pin: row.fate.pin,
    })
}

/// The manifest of a snapshot, from the store. Its bytes are those whose signature was checked at commit.
///
/// # Errors
/// `stored_data_damaged`; a store that does not answer.
pub(crate) async fn manifest(app: &App, row: &SnapshotRow) -> Result<Manifest, AppError> {
    let name = store_name(&ObjectName::Manifest(row.new.device, row.new.id));
    let bytes = match app.store.get(&name).await {
        Ok(bytes) => bytes,
        Err(error) if is_damage(&error) => return Err(Refusal::StoredDataDamaged.into()),
        Err(error) => return Err(AppError::store("reading a manifest")(error)),
    };
    if blake3::hash(&bytes).as_bytes() != &row.new.manifest_id {
        return Err(Refusal::StoredDataDamaged.into());
    }
    let keys = app.keys.repository(row.new.repository)?;
    let opened = Manifest::open(&bytes, |header| keys.seal_key(header.key_id).map(|key| key.run_key(header.run)));
    opened.map(|signed| signed.unverified().clone()).map_err(|_| Refusal::StoredDataDamaged.into())
}

/// The name of an object for the store.
pub(crate) fn store_name(name: &ObjectName) -> store::ObjectName {
    store::ObjectName::new(name.to_string()).expect("the names of docs/format.md are names for every store")
}

async fn own(app: &App, actor: &DeviceActor, snapshot: SnapshotId) -> Result<SnapshotRow, AppError> {
    let during = || AppError::db("reading a snapshot");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::snapshot_get(&mut tx, snapshot).await.map_err(during())?;
    let row = row.ok_or(Refusal::SnapshotNotYours)?;
    own_or_merged(&mut tx, actor, &row).await?;
    actor.may(app.clock.now(), runs::read_verb(actor, &row, Verb::ListSnapshots))?;
    Ok(row)
}

/// Is the snapshot one of this device, or of a record that was merged into it and is not deleted?
///
/// # Errors
/// `snapshot_not_yours`; the database does not answer.
pub(crate) async fn own_or_merged(tx: &mut Tx, actor: &DeviceActor, row: &SnapshotRow) -> Result<(), AppError> {
    if row.new.device == actor.device {
        return Ok(());
    }
    let during = || AppError::db("reading a merged record");
    let merged = db::device_merged_get(tx, row.new.device).await.map_err(during())?;
    let other = db::device_get(tx, row.new.device).await.map_err(during())?;
    let kept = other.is_some_and(|other| !matches!(other.state, State::Deleted { .. } | State::Purged));
    if kept && merged == Some(actor.device) { Ok(()) } else { Err(Refusal::SnapshotNotYours.into()) }
}

/// The number before which a page begins; `None` at the beginning of the list.
fn before(ask: &PageAsk) -> Result<Option<i64>, AppError> {
    let Some([seq]) = ask.key()? else { return Ok(None) };
    part(seq.try_into().ok().map(i64::from_le_bytes)).map(Some)
}

fn page(
    app: &App,
    ask: &PageAsk,
    rows: Vec<SnapshotRow>,
    shown: impl Fn(&SnapshotRow) -> bool,
) -> Result<Page<SnapshotView>, AppError> {
    let key = |row: &SnapshotRow| [row.seq.to_le_bytes().to_vec()];
    let Page { items, next } = ask.page(rows, key, |row| {
        let shown = shown(&row);
        view(app, row, shown)
    });
    Ok(Page { items: items.into_iter().collect::<Result<_, _>>()?, next })
}
