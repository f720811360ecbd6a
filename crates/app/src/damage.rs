//! Marks what was found damaged in the store. Refuses to do so for a store that only does not answer.

use crate::{App, AppError};
use db::PackRow;
use format::PackId;
use std::fmt;
use store::StoreError;

/// Whether the error says that the object is absent or not what was stored; anything else may pass.
pub(crate) fn is_damage(error: &StoreError) -> bool {
    match error {
        StoreError::NotFound { .. }
        | StoreError::Short { .. }
        | StoreError::TooLarge { .. }
        | StoreError::Altered { .. } => true,
        StoreError::Name { .. }
        | StoreError::Full { .. }
        | StoreError::Io { .. }
        | StoreError::List { .. }
        | StoreError::Folder { .. }
        | StoreError::NoStore { .. }
        | StoreError::StoreExists { .. }
        | StoreError::Layout { .. }
        | StoreError::Setting { .. }
        | StoreError::Bucket { .. }
        | StoreError::NoBucket { .. }
        | StoreError::NotEmpty { .. }
        | StoreError::Unfit { .. }
        | StoreError::Denied { .. }
        | StoreError::Key { .. }
        | StoreError::Quota { .. }
        | StoreError::Closing => false,
    }
}

/// Marks a pack as damaged: its chunks count as missing from now on, so that devices send them again, and no tree of
/// its repository is taken for closed before a commit has looked at it anew. A mark that is there stays.
///
/// # Errors
/// As the database says.
pub(crate) async fn mark(app: &App, pack: &PackRow, why: &(dyn fmt::Display + Sync)) -> Result<(), AppError> {
    let during = || AppError::db("marking a pack as damaged");
    let mut tx = app.db.write().await.map_err(during())?;
    if db::pack_damaged_update(&mut tx, pack.seq, Some(app.clock.now())).await.map_err(during())? {
        // INVARIANT: what is closed never outlives what it stands on. Commits under way begin their walk anew.
        db::closed_remove(&mut tx, pack.new.repository).await.map_err(during())?;
        db::repository_damages_update(&mut tx, pack.new.repository).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
        let id: PackId = pack.new.id;
        tracing::error!(pack.id = %id, "pack {id} is damaged in the store: {why}");
    }
    Ok(())
}

/// Takes the mark away: the pack was read whole and is what it was.
///
/// # Errors
/// As the database says.
pub(crate) async fn unmark(app: &App, pack: &PackRow) -> Result<(), AppError> {
    let during = || AppError::db("marking a pack as whole");
    let mut tx = app.db.write().await.map_err(during())?;
    db::pack_damaged_update(&mut tx, pack.seq, None).await.map_err(during())?;
    tx.commit().await.map_err(during())
}
