//! Repair: brings the rows of the database back to what the store holds, from what the objects say themselves. Packs
//! that no row names are taken in, rows that differ from their pack are written anew, devices and snapshots that are in
//! the store alone come back. Refuses to remove anything, to change an object, and to bring back a snapshot whose run
//! the database knows to have ended: that was let go, or was never acknowledged. Says what it would do, unless it is
//! told to do it. May be repeated, and killed at any point.

mod devices;
mod packs;
mod snapshots;

use crate::audit::{self, Deed};
use crate::keys::{RepositoryKeys, keyring};
use crate::{AdminActor, App, AppError, age};
use base::{Bytes, Count, DeviceId, SnapshotId};
use std::fmt;
use std::sync::Arc;

/// The most objects that a report lists; all are counted.
pub const LISTED_MAX: usize = 1_000;

/// What is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Do it; otherwise only say what would be done.
    pub apply: bool,
    /// The name of a legal hold for every user who comes back: what held for them is not known.
    pub hold: Option<String>,
}

/// How far a repair is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many packs.
    Packs {
        /// Looked at.
        done: Count,
    },
    /// So many devices.
    Devices {
        /// Looked at.
        done: Count,
    },
    /// So many manifests.
    Snapshots {
        /// Looked at.
        done: Count,
    },
}

/// What was found, and done where that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Packs looked at.
    pub packs: Count,
    /// Packs that no row named.
    pub packs_taken: Count,
    /// Their bytes.
    pub bytes_taken: Bytes,
    /// Packs whose rows were not what the pack says.
    pub packs_reread: Count,
    /// Packs that a row names and the store lacks, or has in another length: marked, so that devices send them again.
    pub packs_missing: Count,
    /// Users that only the store knew.
    pub users_taken: Count,
    /// Devices that only the store knew: each has to be activated again.
    pub devices_taken: Count,
    /// Snapshots that only the store knew.
    pub snapshots_taken: Count,
    /// Those among them of which something cannot be restored; known only where it was done.
    pub snapshots_hurt: Vec<SnapshotId>,
    /// Manifests that stay out: of a snapshot that was let go, or of a commit that broke off.
    pub manifests_left: Count,
    /// How many objects cannot be read.
    pub unreadable_total: Count,
    /// Their names, and why, at most `LISTED_MAX`.
    pub unreadable: Vec<(String, String)>,
}

impl Report {
    /// Whether there is nothing to do. Never fails.
    pub fn is_clean(&self) -> bool {
        [self.packs_taken, self.packs_reread, self.packs_missing, self.devices_taken, self.snapshots_taken]
            == [Count(0); 5]
            && self.unreadable_total == Count(0)
    }

    fn add_unreadable(&mut self, name: &dyn fmt::Display, why: &dyn fmt::Display) {
        self.unreadable_total += Count(1);
        if self.unreadable.len() < LISTED_MAX {
            self.unreadable.push((name.to_string(), why.to_string()));
        }
    }
}

/// Looks through the store and, where `options` say so, brings the database back to it.
///
/// # Errors
/// `store_foreign`; a database or a store that does not answer. What an object lacks is no error but in the report.
pub async fn repair(
    app: &App,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, AppError> {
    age::own_or_refuse(app, options.hold.is_some()).await?;
    if options.apply {
        keyring::adopt(app, keyring::newest_maybe(app).await?.as_ref()).await?;
    }
    let mut report = Report::default();
    // ORDER: as in a backup: packs, then whose they are, then the snapshots that need both.
    packs::repair(app, options, progress, &mut report).await?;
    let cards = devices::repair(app, options, progress, &mut report).await?;
    snapshots::repair(app, options, &cards, progress, &mut report).await?;
    if options.apply {
        finish(app, &report).await?;
    }
    Ok(report)
}

/// From here on, database and store belong together again.
async fn finish(app: &App, report: &Report) -> Result<(), AppError> {
    let was_behind = age::take_over(app).await?;
    let now = app.clock.now();
    let during = || AppError::db("ending a repair");
    let mut tx = app.db.write().await.map_err(during())?;
    if was_behind {
        // What devices were handed out since the copy is not known: none is to be taken for a clone by that.
        db::device_counter_remove_all(&mut tx).await.map_err(during())?;
    }
    db::installation_rebuild_update(&mut tx, None).await.map_err(during())?;
    let Report { packs_taken, devices_taken, snapshots_taken, packs_missing, .. } = report;
    let detail = format!(
        "took in {packs_taken} packs, {devices_taken} devices, {snapshots_taken} snapshots; {packs_missing} packs \
         missing"
    );
    let deed = Deed { action: "repair", subject: "store".to_owned(), detail, ..Deed::by(&AdminActor::Command) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    age::advance(app).await
}

/// What one device has in a listing, in which everything of a device stands together.
struct ByDevice<T>(Option<(DeviceId, Vec<T>)>);

impl<T> ByDevice<T> {
    const fn new() -> Self {
        Self(None)
    }

    /// Adds the next item. Gives everything of the device before, when this one is another's.
    fn add(&mut self, device: DeviceId, item: T) -> Option<(DeviceId, Vec<T>)> {
        match &mut self.0 {
            Some((last, items)) if *last == device => {
                items.push(item);
                None
            }
            other => other.replace((device, vec![item])),
        }
    }

    /// Everything of the last device.
    fn end(self) -> Option<(DeviceId, Vec<T>)> {
        self.0
    }
}

/// The repository whose keys open something, and what it opens to.
fn opened<T>(
    app: &App,
    open: impl Fn(&RepositoryKeys) -> Result<T, format::Error>,
) -> Result<(Arc<RepositoryKeys>, T), format::Error> {
    let mut first = None;
    for keys in app.keys.repositories() {
        match open(&keys) {
            Ok(opened) => return Ok((keys, opened)),
            Err(error) => {
                first.get_or_insert(error);
            }
        }
    }
    Err(first.expect("`App::open` refuses a database without a repository"))
}
