//! Taking a switch back: the installation is at the source again, as it was. Refuses once a server has been started at
//! the target, for what it has acknowledged is there alone: `migrate` from there takes it along.

use super::ends::{Ends, Side};
use super::turn::nonce;
use crate::audit::{self, Deed};
use crate::{AdminActor, AppError, age};
use base::{Clock, Entropy, Secret};
use db::{InstallationRow, MoveRow, Standing};
use format::Age;

/// Takes the switch back, at both ends.
///
/// # Errors
/// `nothing_moved`, `target_used`; a database or a store that does not answer.
pub async fn take_back(ends: &Ends, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<(), AppError> {
    let row = left_or_refuse(&ends.source).await?;
    if ends.moves.database {
        // ORDER: nobody can be served at the target before somebody can at the source.
        close(ends, &row).await?;
    }
    open_again(&ends.source, row, clock, entropy).await
}

/// The same where the target is lost: it is not asked, and must never come back.
///
/// # Errors
/// As `take_back`.
pub async fn take_back_alone(source: &Side, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<(), AppError> {
    let row = left_or_refuse(source).await?;
    open_again(source, row, clock, entropy).await
}

/// A source that was left; or the database of one of which only the store was on its way elsewhere.
async fn left_or_refuse(source: &Side) -> Result<InstallationRow, AppError> {
    let row = source.row().await?;
    match row.moved.standing {
        Standing::Left => Ok(row),
        // That of a database that is a target says nothing of a place.
        Standing::Arriving if !row.moved.to.is_empty() => Ok(row),
        Standing::Here | Standing::Arriving => Err(nothing()),
    }
}

async fn open_again(
    source: &Side,
    row: InstallationRow,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<(), AppError> {
    let during = || AppError::db("taking a migrate back");
    let store = source.store.as_ref();
    // Beyond whatever age the target may have come to in a store that both have.
    let number = age::last(store).await?.unwrap_or(0).max(row.age + 2) + 1;
    let nonce = *Secret::<32>::mint(entropy).expose();
    let mut tx = source.db.write().await.map_err(during())?;
    db::installation_age_taken_update(&mut tx, number, &nonce).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    age::put(store, &Age { number, installation: row.id, nonce }).await?;
    let mut tx = source.db.write().await.map_err(during())?;
    db::installation_move_update(&mut tx, &MoveRow::default()).await.map_err(during())?;
    let (subject, detail) = (row.id.to_string(), format!("from {}", row.moved.to));
    let deed = Deed { action: "server_migrate_back", subject, detail, ..Deed::by(&AdminActor::Command) };
    audit::write(&mut tx, clock.now(), deed).await?;
    tx.commit().await.map_err(during())?;
    age::clear(store, number).await?;
    age::compare(&source.db, store).await
}

/// Has the target be one again at which nobody is served, unless somebody was.
async fn close(ends: &Ends, row: &InstallationRow) -> Result<(), AppError> {
    let during = || AppError::db("closing the target");
    let mut tx = ends.target.db.write().await.map_err(during())?;
    let Some(there) = db::installation_get(&mut tx).await.map_err(during())? else { return Ok(()) };
    if there.id != row.id || there.moved.id != row.moved.id {
        return Err(AppError::conflict(
            "target_used",
            "The target of --to is not the one that this installation was moved to, or was moved on from there. \
             Nothing was changed.",
        ));
    }
    let is_as_left = row.moved.id.is_some_and(|id| there.age_nonce == nonce(&id)) && there.age_next.is_none();
    if !is_as_left {
        let sentence = "A server was started at the target since the migrate, and what it has acknowledged is there \
                        alone. Nothing was changed. To go back with all of it, stop it, and `migrate` from there to \
                        here.";
        return Err(AppError::conflict("target_used", sentence));
    }
    let closed = MoveRow { standing: Standing::Arriving, ..there.moved };
    db::installation_move_update(&mut tx, &closed).await.map_err(during())?;
    tx.commit().await.map_err(during())
}

fn nothing() -> AppError {
    let sentence = "No migrate has taken this installation's database elsewhere: there is nothing to take back. Where \
                    only the store was moved, `migrate` with the configuration of before moves it back.";
    AppError::conflict("nothing_moved", sentence)
}
