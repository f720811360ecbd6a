//! The server's half of a restore: locate and fetch; `runs` has begin and abort. During a backup, a device fetches
//! the trees of its newest snapshot in the same way. Refuses content to a backup, and chunks by any name but their ref.

mod fetch;
mod locate;

pub use fetch::{Parcel, fetch};
pub use locate::{NOWHERE, locate};

use crate::{App, AppError, DeviceActor, runs};
use base::RunId;
use control::Refusal;
use control::access::Verb;
use db::{RunPurpose, RunRow};

/// Looks up a run that wants to read, and what the device must be allowed for it.
///
/// # Errors
/// As `runs::admit`; `snapshot_not_yours`.
async fn admit(app: &App, actor: &DeviceActor, run: RunId) -> Result<(RunRow, Verb), AppError> {
    // The weakest right to read, so that nobody without any learns what the run is.
    let row = runs::admit(app, actor, run, None, Verb::ReadAppended).await?;
    let during = || AppError::db("reading a snapshot");
    let mut tx = app.db.read().await.map_err(during())?;
    let (snapshot, full) = match row.new.purpose {
        RunPurpose::Backup => (db::snapshot_get_newest(&mut tx, actor.device).await, Verb::ReadOwnTrees),
        RunPurpose::Restore => {
            let snapshot = row.new.snapshot.ok_or(Refusal::SnapshotNotYours)?;
            (db::snapshot_get(&mut tx, snapshot).await, Verb::Fetch)
        }
    };
    let verb = snapshot.map_err(during())?.map_or(full, |snapshot| runs::read_verb(actor, &snapshot, full));
    actor.may(app.clock.now(), verb)?;
    Ok((row, verb))
}
