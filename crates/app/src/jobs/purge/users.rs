//! Purges deleted users with all their records, and removes what is left of them once those are gone. Refuses to free
//! an address while anything of its user is still there. What stays: docs/control.md, "Users and passwords".

use super::Budget;
use crate::audit::{self, Deed};
use crate::{App, AppError, effects, users};
use base::{Count, DeviceId, Timestamp, UserId};
use control::{Effect, Event, UserEvent, lifecycle, user};
use db::Tx;

/// Purges the users whose undo period is over: from here on nothing brings them back.
///
/// # Errors
/// The database does not answer when it is asked who they are. One who fails is logged, and meets the next tick.
pub(super) async fn purge_over(app: &App) -> Result<(), AppError> {
    let mut tx = app.db.read().await.map_err(AppError::db("listing who is to be purged"))?;
    let over = db::user_list_over(&mut tx, app.clock.now()).await;
    let over = over.map_err(AppError::db("listing who is to be purged"))?;
    drop(tx);
    let mut budget = Budget::new();
    for user in over {
        if budget.is_spent(user, purge(app, user).await) {
            break;
        }
    }
    Ok(())
}

/// Removes what is left of purged users whose records are gone.
///
/// # Errors
/// As `purge_over`.
pub(super) async fn remove_rest(app: &App) -> Result<(), AppError> {
    let mut tx = app.db.read().await.map_err(AppError::db("listing what is left of users"))?;
    let rest = db::user_list_purged_rest(&mut tx).await.map_err(AppError::db("listing what is left of users"))?;
    drop(tx);
    let mut budget = Budget::new();
    for (user, email) in rest {
        if budget.is_spent(user, remove(app, user, &email).await) {
            break;
        }
    }
    Ok(())
}

async fn remove(app: &App, user: UserId, email: &str) -> Result<(), AppError> {
    let during = || AppError::db("removing what is left of a user");
    let mut tx = app.db.write().await.map_err(during())?;
    db::user_rest_remove(&mut tx, user, email, &users::address_digest(email)).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

async fn purge(app: &App, id: UserId) -> Result<(), AppError> {
    let now = app.clock.now();
    let during = || AppError::db("purging a user");
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: an admin may have undeleted the user since it was listed; then the rule refuses.
    let Some(row) = db::user_listed_get(&mut tx, id).await.map_err(during())? else { return Ok(()) };
    let before = row.user.state;
    let standing = user::Standing { state: before, was: row.was, purge_after: row.purge_after };
    let Ok(state) = user::step(now, standing, UserEvent::Purge) else { return Ok(()) };
    // RACE: a legal hold may have come since, too.
    if db::hold_count_get_by_user(&mut tx, id).await.map_err(during())? > Count(0) {
        return Ok(());
    }
    db::user_state_update(&mut tx, id, state, None, None).await.map_err(during())?;
    let devices = db::device_list_kept_by_user(&mut tx, id).await.map_err(during())?;
    for device in &devices {
        delete(app, &mut tx, now, *device).await?;
    }
    let (subject, detail) = (id.to_string(), format!("{before} to {state}, with {} records", devices.len()));
    let deed = Deed { actor: "server".to_owned(), action: "user_purge", subject, detail, ..Deed::default() };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    // ORDER: said after the commit, or a request in between would remember the old state.
    devices.into_iter().for_each(|device| app.states.changed(device));
    tracing::info!(user.id = %id, "user {id} is purged");
    Ok(())
}

/// Deletes one record of a purged user; the job that purges records finds it by its state.
async fn delete(app: &App, tx: &mut Tx, now: Timestamp, id: DeviceId) -> Result<(), AppError> {
    let during = || AppError::db("deleting the records of a user");
    let Some(device) = db::device_get(tx, id).await.map_err(during())? else { return Ok(()) };
    let (state, mut effects) = lifecycle::step(now, &device.state, &Event::Delete { purge_after: now })?;
    // There is nobody left to tell.
    effects.retain(|effect| !matches!(effect, Effect::NotifyUser(_)));
    let carried = effects::carry_out(app, tx, now, device, (state, effects), None).await?;
    let (subject, detail) = (id.to_string(), format!("{}: its user is purged", carried.states()));
    let deed = Deed { actor: "server".to_owned(), action: "device_delete", subject, detail, ..Deed::default() };
    audit::write(tx, now, deed).await
}
