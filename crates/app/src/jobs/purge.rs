//! Purges deleted users and records whose undo period is over, and removes what is left of purged ones. Refuses to lose
//! the row of a snapshot before its manifest object is gone, and to have one that fails hold up the others; packs stay
//! for the collector.

mod users;

use crate::audit::{self, Deed};
use crate::snapshots::store_name;
use crate::{App, AppError, cards, chain, effects};
use base::DeviceId;
use control::{Event, lifecycle};
use format::ObjectName;
use std::fmt::Display;

/// Records, or users, that are done with in one tick.
const TICK_MAX: usize = 50;
/// Snapshots removed in one transaction.
const SNAPSHOTS: u32 = 100;

/// One tick. May be repeated and killed at any point.
///
/// # Errors
/// The database does not answer when it is asked what there is to do; what was removed stays removed. One that fails is
/// logged, and meets the next tick.
pub(super) async fn tick(app: &App) -> Result<(), AppError> {
    let during = || AppError::db("listing what is to be purged");
    users::purge_over(app).await?;
    let mut tx = app.db.read().await.map_err(during())?;
    let over = db::device_list_over(&mut tx, app.clock.now()).await.map_err(during())?;
    drop(tx);
    let mut budget = Budget::new();
    for device in over {
        if budget.is_spent(device, purge(app, device).await) {
            break;
        }
    }
    let mut tx = app.db.read().await.map_err(during())?;
    let rest = db::device_list_purged_rest(&mut tx).await.map_err(during())?;
    drop(tx);
    let mut budget = Budget::new();
    for device in rest {
        if budget.is_spent(device, remove(app, device).await) {
            break;
        }
    }
    users::remove_rest(app).await
}

/// What a tick does of one kind. Those that fail do not count against it: or they would take the turn of the others at
/// every tick.
struct Budget {
    done: usize,
}

impl Budget {
    fn new() -> Self {
        Self { done: 0 }
    }

    /// Takes how it went with one of them, and says whether that was the last of this tick.
    fn is_spent(&mut self, id: impl Display, result: Result<(), AppError>) -> bool {
        match result {
            Ok(()) => self.done += 1,
            Err(error) => {
                tracing::warn!(code = error.code(), "{id} could not be purged and is tried again: {}", chain(&error));
            }
        }
        self.done >= TICK_MAX
    }
}

/// The step of the lifecycle: from here on nothing brings the record back.
async fn purge(app: &App, id: DeviceId) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("purging a device");
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: an admin may have undeleted it since it was listed; then the lifecycle refuses.
    let Some(device) = db::device_get(&mut tx, id).await.map_err(during())? else {
        return tx.commit().await.map_err(during());
    };
    let Ok(step) = lifecycle::step(now, &device.state, &Event::Purge) else {
        return tx.commit().await.map_err(during());
    };
    // RACE: a legal hold may have come since, too.
    if !db::hold_list_by_device(&mut tx, id).await.map_err(during())?.is_empty() {
        return tx.commit().await.map_err(during());
    }
    let detail = effects::carry_out(app, &mut tx, now, device, step, None).await?.states();
    let deed =
        Deed { actor: "server".to_owned(), action: "device_purge", subject: id.to_string(), detail, ..Deed::default() };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    app.states.changed(id);
    tracing::info!(device.id = %id, "device {id} is purged");
    Ok(())
}

/// Removes the snapshots of a purged record in batches, and then the rest of it.
async fn remove(app: &App, id: DeviceId) -> Result<(), AppError> {
    let during = || AppError::db("removing what was purged");
    loop {
        let mut tx = app.db.read().await.map_err(during())?;
        let rows = db::snapshot_list_by_device(&mut tx, id, None, None, SNAPSHOTS).await.map_err(during())?;
        drop(tx);
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            // ORDER: the object goes before its row: a crash between the two is made good by the next tick, and the
            // other way round would leave an object that nothing names.
            let name = store_name(&ObjectName::Manifest(row.new.device, row.new.id));
            app.store.remove(&name).await.map_err(AppError::store("removing a manifest"))?;
        }
        let mut tx = app.db.write().await.map_err(during())?;
        for row in &rows {
            db::snapshot_remove(&mut tx, row.new.id).await.map_err(during())?;
        }
        tx.commit().await.map_err(during())?;
    }
    cards::remove_all(app, id).await?;
    let mut tx = app.db.write().await.map_err(during())?;
    db::device_rest_remove(&mut tx, id).await.map_err(during())?;
    tx.commit().await.map_err(during())
}
