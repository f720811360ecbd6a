//! Purges deleted users and records whose undo period is over, and removes what is left of purged ones. Refuses to lose
//! the row of a snapshot before its manifest object is gone; packs stay for the collector.

mod users;

use crate::audit::{self, Deed};
use crate::snapshots::store_name;
use crate::{App, AppError, effects};
use base::DeviceId;
use control::{Event, lifecycle};
use format::ObjectName;

/// Records in one tick.
const RECORDS: u32 = 50;
/// Snapshots removed in one transaction.
const SNAPSHOTS: u32 = 100;

/// One tick. May be repeated and killed at any point.
///
/// # Errors
/// The database or the store does not answer; what was removed stays removed.
pub(super) async fn tick(app: &App) -> Result<(), AppError> {
    let during = || AppError::db("listing what is to be purged");
    users::purge_over(app).await?;
    let mut tx = app.db.read().await.map_err(during())?;
    let over = db::device_list_over(&mut tx, app.clock.now(), RECORDS).await.map_err(during())?;
    drop(tx);
    for device in over {
        purge(app, device).await?;
    }
    let mut tx = app.db.read().await.map_err(during())?;
    let rest = db::device_list_purged_rest(&mut tx, RECORDS).await.map_err(during())?;
    drop(tx);
    for device in rest {
        remove(app, device).await?;
    }
    users::remove_rest(app).await
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
    let Ok((state, effects)) = lifecycle::step(now, &device.state, &Event::Purge) else {
        return tx.commit().await.map_err(during());
    };
    effects::carry_out(app, &mut tx, now, &device, &state, &effects, None).await?;
    db::device_state_update(&mut tx, id, &state).await.map_err(during())?;
    let detail = format!("{} to {state}", device.state);
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
    let mut tx = app.db.write().await.map_err(during())?;
    db::device_rest_remove(&mut tx, id).await.map_err(during())?;
    tx.commit().await.map_err(during())
}
