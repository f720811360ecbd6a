//! Whether quota believes what is true: the newest snapshot of every device, and how many bytes it has, read anew from
//! its manifest, or counted in its trees where that cannot be read. What differs is listed, and mended when asked for.
//! Refuses to count by what quota goes by: the bytes of a snapshot are not taken from there, and which one is the
//! newest only where that was committed after the one whose row came last.

use crate::audit::{self, Deed};
use crate::backup::{Closure, Index};
use crate::{AdminActor, App, AppError, snapshots};
use base::{Bytes as Size, Count, DeviceId, Kind, SnapshotId, UserId};
use control::Permit;
use db::{SnapshotRow, Tx};
use format::Totals;
use std::collections::{HashMap, HashSet};

/// Devices that are listed at once.
const PAGE: u32 = 500;
/// The most differences, and the most snapshots that cannot be read, that are listed; all are counted.
pub const LISTED_MAX: usize = 10_000;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Devices that were looked at.
    pub devices: Count,
    /// Of how many quota believed something else.
    pub differences_total: Count,
    /// Of how many of them it believes what is so now.
    pub mended_total: Count,
    /// Those, at most `LISTED_MAX`.
    pub differences: Vec<Difference>,
    /// Of how many newest snapshots neither manifest nor trees can be read.
    pub unreadable_total: Count,
    /// Those, at most `LISTED_MAX`.
    pub unreadable: Vec<SnapshotId>,
}

/// One device of which quota believed something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub device: DeviceId,
    /// Whose.
    pub user: UserId,
    /// Its newest snapshot.
    pub snapshot: SnapshotId,
    /// What quota believed of it.
    pub believed: Size,
    /// What it is.
    pub found: Size,
    /// Whether it was mended.
    pub is_mended: bool,
}

/// Compares what quota believes with what the snapshots are; with `apply`, mends what differs.
///
/// # Errors
/// `not_permitted`; a database or a store that does not answer.
pub async fn check(
    app: &App,
    actor: &AdminActor,
    apply: bool,
    progress: &mut (dyn FnMut(Count) + Send),
) -> Result<Checked, AppError> {
    actor.need(Permit::RepositoryScrub)?;
    let bad = HashSet::new();
    let mut walks: HashMap<i64, Closure<'_>> = HashMap::new();
    let (mut checked, mut after) = (Checked::default(), None);
    loop {
        let mut tx = app.db.read().await.map_err(during())?;
        let page = db::snapshot_device_list(&mut tx, after, PAGE).await.map_err(during())?;
        drop(tx);
        let Some((last, _)) = page.last() else { return Ok(checked) };
        after = Some(*last);
        for (device, user) in page {
            let mut tx = app.db.read().await.map_err(during())?;
            let seen = seen(&mut tx, device).await?;
            drop(tx);
            let Some(seen) = seen else { continue };
            checked.devices += Count(1);
            let repository = seen.newest.new.repository;
            let walk = walks.entry(repository).or_insert_with(|| Closure::new(app, repository, Index::Scrub(&bad)));
            match truth(app, &seen.newest, walk).await? {
                None => checked.add_unreadable(seen.newest.new.id),
                Some(totals) if !seen.is_right(totals) => {
                    let is_mended = apply && mend(app, actor, &seen, totals).await?;
                    checked.add(seen.difference(user, totals, is_mended));
                }
                Some(_) => {}
            }
        }
        progress(checked.devices);
    }
}

impl Checked {
    /// Whether all is as it must be now. Never fails.
    pub fn is_clean(&self) -> bool {
        self.unreadable_total == Count(0) && self.differences_total == self.mended_total
    }

    fn add_unreadable(&mut self, snapshot: SnapshotId) {
        self.unreadable_total += Count(1);
        if self.unreadable.len() < LISTED_MAX {
            self.unreadable.push(snapshot);
        }
    }

    fn add(&mut self, difference: Difference) {
        self.differences_total += Count(1);
        self.mended_total += Count(u64::from(difference.is_mended));
        if self.differences.len() < LISTED_MAX {
            self.differences.push(difference);
        }
    }
}

/// What the database says of one device.
#[derive(PartialEq, Eq)]
struct Seen {
    device: DeviceId,
    /// The snapshot that quota takes for the newest, and its bytes.
    believed: Option<(SnapshotId, Size)>,
    /// The one that is the newest.
    newest: SnapshotRow,
}

impl Seen {
    fn is_right(&self, totals: Totals) -> bool {
        self.believed == Some((self.newest.new.id, totals.bytes)) && self.newest.new.totals == totals
    }

    fn difference(&self, user: UserId, totals: Totals, is_mended: bool) -> Difference {
        Difference {
            device: self.device,
            user,
            snapshot: self.newest.new.id,
            believed: self.believed.map_or(Size(0), |(_, bytes)| bytes),
            found: totals.bytes,
            is_mended,
        }
    }
}

/// What the database says of a device; `None` when it has no snapshot any more.
async fn seen(tx: &mut Tx, device: DeviceId) -> Result<Option<Seen>, AppError> {
    let newest = db::snapshot_get_newest(tx, device).await.map_err(during())?;
    let row = db::device_get(tx, device).await.map_err(during())?;
    let (Some(newest), Some(row)) = (newest, row) else { return Ok(None) };
    let last = match row.last_snapshot {
        Some(id) => db::snapshot_get(tx, id).await.map_err(during())?,
        None => None,
    };
    let believed = last.as_ref().map(|row| (row.new.id, row.new.totals.bytes));
    // The last row is of the last commit, whatever the clocks said; but a repair may have put an older snapshot there.
    let newest = last.filter(|last| last.new.committed_at > newest.new.committed_at).unwrap_or(newest);
    Ok(Some(Seen { device, believed, newest }))
}

/// What is in a snapshot: as its sealed manifest says, or else as its trees say; `None` when neither can be read.
async fn truth(app: &App, row: &SnapshotRow, walk: &mut Closure<'_>) -> Result<Option<Totals>, AppError> {
    match snapshots::manifest(app, row).await {
        Ok(manifest) if manifest.snapshot == row.new.id && manifest.device == row.new.device => {
            return Ok(Some(manifest.totals));
        }
        Ok(_) => {}
        Err(error) if error.kind() == Kind::Damaged => {}
        Err(error) => return Err(error),
    }
    let root = app.keys.repository(row.new.repository)?.open_root(row.new.id, &row.new.root_sealed);
    let Ok(root) = root else { return Ok(None) };
    Ok(walk.walk(&root).await?.ok())
}

/// Mends what the database says of a device. Gives whether that was still so.
async fn mend(app: &App, actor: &AdminActor, before: &Seen, totals: Totals) -> Result<bool, AppError> {
    let during = || AppError::db("mending what quota believes");
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: the device may have committed since; then the numbers of the new snapshot count, which are right.
    if seen(&mut tx, before.device).await?.as_ref() != Some(before) {
        return Ok(false);
    }
    let snapshot = before.newest.new.id;
    db::snapshot_totals_update(&mut tx, snapshot, totals).await.map_err(during())?;
    db::device_last_snapshot_update(&mut tx, before.device, snapshot).await.map_err(during())?;
    let believed = before.believed.map_or_else(|| "nothing".to_owned(), |(_, bytes)| bytes.0.to_string());
    let detail = format!("snapshot={snapshot} believed={believed} bytes={}", totals.bytes.0);
    let deed = Deed { action: "quota_mend", subject: before.device.to_string(), detail, ..Deed::by(actor) };
    audit::write(&mut tx, app.clock.now(), deed).await?;
    tx.commit().await.map_err(during())?;
    Ok(true)
}

fn during() -> impl FnOnce(db::DbError) -> AppError {
    AppError::db("comparing what quota believes")
}
