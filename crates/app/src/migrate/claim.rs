//! The mark by which a target is known to be this migrate's: a row of its database that says that nobody is served
//! there yet, an object of its store. Refuses a target that holds anything else, and one that is the source under
//! another name.

use super::ends::{Ends, Side, same};
use crate::{AppError, age};
use base::{Entropy, InstallationId};
use db::{InstallationRow, MoveRow, Standing, Tx};
use format::Age;
use store::{ObjectName, Store};

/// What the names of claims begin with.
pub(super) const PREFIX: &str = "migrate/";
/// What is said in one, for whoever finds it.
const TEXT: &[u8] = b"holdfast-server migrate is not finished\n";
/// Claims that are listed at once; there is one.
const LISTED_MAX: usize = 100;

/// Which migrate it is: the last that was begun to this target goes on, others end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) id: [u8; 16],
}

impl Claim {
    /// Fails, in a transaction that writes at the target, when another migrate to it was begun since.
    ///
    /// # Errors
    /// `migrate_overtaken`; the database does not answer.
    pub(super) async fn need(&self, tx: &mut Tx) -> Result<(), AppError> {
        let row = db::installation_get(tx).await.map_err(AppError::db("looking whose the target is"))?;
        let is_own = |row: &InstallationRow| (row.moved.standing, row.moved.id) == (Standing::Arriving, Some(self.id));
        if row.as_ref().is_some_and(is_own) {
            return Ok(());
        }
        let sentence = "Another `holdfast-server migrate` to the same target was begun after this one and goes on; \
                        this one has ended, and has harmed nothing.";
        Err(AppError::conflict("migrate_overtaken", sentence))
    }
}

/// Claims the target: what of it moves.
///
/// # Errors
/// `target_taken`, `target_same`, `target_newer`; a database or a store that does not answer.
pub(super) async fn make(ends: &Ends, entropy: &dyn Entropy) -> Result<Claim, AppError> {
    let mut id = [0; 16];
    entropy.fill(&mut id);
    let (source, target, claim) = (&ends.source, &ends.target, Claim { id });
    let row = source.row().await?;
    // ORDER: both are looked at before either is claimed; and the database is first, for it says what this is.
    let filled = if ends.moves.database { vacant_or_refuse(target, &row).await? } else { None };
    if ends.moves.store {
        let there = age::newest(source.store.as_ref()).await?;
        store_or_refuse(target.store.as_ref(), &row, there.as_ref()).await?;
    }
    let name = name(row.id);
    if ends.moves.database {
        let during = || AppError::db("claiming the database of the target");
        let mut tx = target.db.write().await.map_err(during())?;
        if filled.is_some() {
            db::installation_remove(&mut tx).await.map_err(during())?;
        }
        let moved = MoveRow { standing: Standing::Arriving, id: Some(claim.id), ..MoveRow::default() };
        db::installation_insert(&mut tx, &InstallationRow { moved, ..row }).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
    }
    if ends.moves.store {
        let put = target.store.put_new(&name, TEXT.into()).await;
        put.map_err(AppError::store("claiming the store of the target"))?;
    }
    Ok(claim)
}

/// Takes every claim out of a store.
///
/// # Errors
/// The store does not answer.
pub(super) async fn clear(store: &dyn Store) -> Result<(), AppError> {
    let during = || AppError::store("taking the claim out of the store of the target");
    for claim in store.list(PREFIX, None, LISTED_MAX).await.map_err(during())? {
        store.remove(&claim.name).await.map_err(during())?;
    }
    Ok(())
}

/// Never fails.
pub(super) fn taken(what: &str) -> AppError {
    let said = format!("The target is taken: {what}. Nothing of it was changed; give an empty one.");
    AppError::conflict("target_taken", said)
}

/// The claim that a database has already.
async fn vacant_or_refuse(target: &Side, row: &InstallationRow) -> Result<Option<InstallationRow>, AppError> {
    let during = || AppError::db("looking at the database of the target");
    let mut tx = target.db.read().await.map_err(during())?;
    if let Some(found) = db::installation_get(&mut tx).await.map_err(during())? {
        return match found.moved.standing {
            _ if found.id != row.id => Err(taken("its database is another installation's")),
            Standing::Here => Err(same("The target's database is this installation's own, or a whole copy of it")),
            Standing::Left => Err(taken(
                "its database is the one that this installation has left, which stays until you move it away",
            )),
            Standing::Arriving => Ok(Some(found)),
        };
    }
    for table in db::table_list(&mut tx).await.map_err(during())? {
        let ours = !table.name.starts_with("_sqlx");
        if ours && db::table_filled_get(&mut tx, &table).await.map_err(during())? {
            return Err(taken("its database has rows already"));
        }
    }
    Ok(None)
}

/// A store is empty, or claimed for this installation, or one that it was in before and that is older.
async fn store_or_refuse(store: &dyn Store, row: &InstallationRow, there: Option<&Age>) -> Result<(), AppError> {
    let during = || AppError::store("looking at the store of the target");
    let own = name(row.id);
    let claims = store.list(PREFIX, None, LISTED_MAX).await.map_err(during())?;
    if claims.iter().any(|claim| claim.name != own) {
        return Err(taken("another installation is on its way into its store"));
    }
    match age::newest(store).await? {
        Some(found) if found.installation != row.id => Err(taken("its store is another installation's")),
        Some(found) if Some(&found) == there => {
            Err(same("The target's store is this installation's own, or a whole copy of it"))
        }
        Some(found) if there.is_none_or(|there| found.number >= there.number) => Err(newer()),
        Some(_) => Ok(()),
        None if !claims.is_empty() => Ok(()),
        None => match store.list("", None, 1).await.map_err(during())?.first() {
            None => Ok(()),
            Some(object) => Err(taken(&format!("its store has objects already, such as {}", object.name))),
        },
    }
}

fn newer() -> AppError {
    let sentence = "The store of the target is newer than the source: the installation has been served there since. \
                    Nothing was changed. Is the direction the right one?";
    AppError::conflict("target_newer", sentence)
}

fn name(installation: InstallationId) -> ObjectName {
    ObjectName::new(format!("{PREFIX}{installation}")).expect("an identifier has the letters of a name")
}
