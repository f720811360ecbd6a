//! The age of an installation: a number that database and store both know, and that grows. By it a database that is an
//! old copy, a store that is one, and the store of somebody else are told before anything is written or removed.
//! Refuses to guess: whoever finds the two apart is told what they are, and serves nobody.

use crate::numbered::{self, LISTED_MAX};
use crate::snapshots::store_name;
use crate::{App, AppError, BROKEN_RETRY, chain};
use crate::{keys, standing};
use base::{Kind, Secret, Span};
use db::{Db, InstallationRow};
use format::object::AGES_PREFIX;
use format::{Age, ObjectName};
use std::cmp::Ordering;
use store::{Put, Store, StoreError};

/// How often an age comes: of two databases that are in use with one store, the second to come to one finds out.
const ADVANCE_EVERY: Span = Span::hours(1);
/// How often a server looks whether the installation is still here.
const LOOK_EVERY: Span = Span::seconds(5);
/// What says that database and store do not belong together, or no longer here.
const APART: [&str; 6] =
    ["store_foreign", "database_older", "store_older", "installation_divided", standing::UNFINISHED, standing::MOVED];
/// How often the two are looked at, at most, until nothing has come between.
const LOOKS_MAX: usize = 20;

/// Fails unless database and store have come to the same age, and the installation is whole.
///
/// # Errors
/// `store_foreign`, `database_older`, `store_older`, `installation_divided`; `rebuild_unfinished`; as
/// `standing::here_or_refuse`; a database or a store that does not answer.
pub(crate) async fn compare(db: &Db, store: &dyn Store) -> Result<(), AppError> {
    let (row, found) = both(db, store).await?;
    standing::here_or_refuse(&row)?;
    if row.rebuild_at.is_some() {
        return Err(unfinished());
    }
    fits(&row, found.as_ref())
}

/// What database and store say of one moment.
async fn both(db: &Db, store: &dyn Store) -> Result<(InstallationRow, Option<Age>), AppError> {
    let mut before = row(db).await?;
    for _ in 0..LOOKS_MAX {
        let found = newest(store).await?;
        let after = row(db).await?;
        // RACE: another server may come to the next age between the looks. Where the row is the same before and after,
        // it was so while the store was looked at.
        if after == before {
            return Ok((after, found));
        }
        before = after;
    }
    let sentence = "Database and store were changed again and again while they were compared. Ask again.";
    Err(AppError::unavailable("server_failed", sentence, BROKEN_RETRY))
}

/// Has the installation come to its next age: in the store, and then in the database.
///
/// # Errors
/// As `compare`.
pub(crate) async fn advance(app: &App) -> Result<(), AppError> {
    compare(&app.db, app.store.as_ref()).await?;
    let during = || AppError::db("noting an age");
    let mut tx = app.db.write().await.map_err(during())?;
    db::installation_age_next_update(&mut tx, Secret::<32>::mint(app.entropy.as_ref()).expose())
        .await
        .map_err(during())?;
    tx.commit().await.map_err(during())?;
    // ORDER: what the object holds is in the database before, so that what a crash leaves is known to be our own.
    let row = row(&app.db).await?;
    let Some(nonce) = row.age_next else { return Ok(()) };
    let age = Age { number: row.age + 1, installation: row.id, nonce };
    put(app.store.as_ref(), &age).await?;
    let mut tx = app.db.write().await.map_err(during())?;
    db::installation_age_update(&mut tx, row.age).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    clear(app.store.as_ref(), age.number).await
}

/// Has the installation grow older for as long as it is polled. Ends when database and store are found apart: then this
/// server must serve nobody any more. What does not answer is asked again.
pub async fn watch(app: &App) -> AppError {
    loop {
        for _ in 0..ADVANCE_EVERY.as_ms() / LOOK_EVERY.as_ms() {
            app.clock.sleep(LOOK_EVERY).await;
            if let Err(error) = row(&app.db).await.and_then(|row| standing::here_or_refuse(&row))
                && APART.contains(&error.code())
            {
                return error;
            }
        }
        match advance(app).await {
            Err(error) if APART.contains(&error.code()) => return error,
            Err(error) => tracing::warn!("whether database and store belong together is not known: {}", chain(&error)),
            Ok(()) => {}
        }
    }
}

/// Takes over the age that the store has come to: the database knows all that the store has, or has been told. Gives
/// whether the database was behind.
///
/// # Errors
/// `store_foreign`; a database or a store that does not answer.
pub(crate) async fn take_over(app: &App) -> Result<bool, AppError> {
    let row = row(&app.db).await?;
    let found = lenient(app).await?;
    let was_behind = found.as_ref().is_some_and(|found| found.number > row.age);
    let age = match found {
        Some(found) if found.installation != row.id => return Err(foreign(&found)),
        Some(found) if found.number >= row.age => found,
        // Of a store that is older, or has lost it, the database's number counts: it never falls.
        Some(_) | None => {
            let number = last(app.store.as_ref()).await?.map_or(row.age, |last| row.age.max(last)) + 1;
            Age { number, installation: row.id, nonce: *Secret::<32>::mint(app.entropy.as_ref()).expose() }
        }
    };
    let during = || AppError::db("taking over an age");
    let mut tx = app.db.write().await.map_err(during())?;
    db::installation_age_taken_update(&mut tx, age.number, &age.nonce).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    put(app.store.as_ref(), &age).await?;
    Ok(was_behind)
}

/// Fails where the store is another installation's, or the database is being rebuilt by somebody else than the caller.
///
/// # Errors
/// `store_foreign`, `rebuild_unfinished`; a database or a store that does not answer.
pub(crate) async fn own_or_refuse(app: &App, rebuilds: bool) -> Result<(), AppError> {
    let row = row(&app.db).await?;
    standing::here_or_refuse(&row)?;
    if row.rebuild_at.is_some() && !rebuilds {
        return Err(unfinished());
    }
    match lenient(app).await? {
        Some(found) if found.installation != row.id => Err(foreign(&found)),
        Some(_) | None => Ok(()),
    }
}

/// The newest age, for who mends: one that cannot be read is as good as none.
async fn lenient(app: &App) -> Result<Option<Age>, AppError> {
    match newest(app.store.as_ref()).await {
        Err(error) if error.kind() == Kind::Damaged => Ok(None),
        found => found,
    }
}

/// The number of the last age that the store lists.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn last(store: &dyn Store) -> Result<Option<u32>, AppError> {
    let listed = store.list(AGES_PREFIX, None, LISTED_MAX).await.map_err(AppError::store("listing ages"))?;
    Ok(listed.last().and_then(|object| match object.name.as_str().parse() {
        Ok(ObjectName::Age(number)) => Some(number),
        _ => None,
    }))
}

/// The newest age in the store.
///
/// # Errors
/// A store that does not answer, an age that cannot be read.
pub(crate) async fn newest(store: &dyn Store) -> Result<Option<Age>, AppError> {
    let during = || AppError::store("reading the age of the store");
    loop {
        let listed = store.list(AGES_PREFIX, None, LISTED_MAX).await.map_err(during())?;
        let Some(last) = listed.last() else { return Ok(None) };
        match store.get(&last.name).await {
            Ok(bytes) => {
                return Age::decode(&bytes).map(Some).map_err(AppError::format("reading the age of the store"));
            }
            // RACE: another server has come to a newer one, and has removed this one.
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(during()(error)),
        }
    }
}

/// Puts an age into the store.
///
/// # Errors
/// `installation_divided`; the store does not answer.
pub(crate) async fn put(store: &dyn Store, age: &Age) -> Result<(), AppError> {
    let name = store_name(&ObjectName::Age(age.number));
    let bytes = age.encode().to_vec();
    let during = || AppError::store("writing the age of the store");
    if store.put_new(&name, bytes.clone().into()).await.map_err(during())? == Put::Created {
        return Ok(());
    }
    // Another server of this installation writes the same bytes; with other ones another database is at work.
    match store.get(&name).await {
        Ok(found) if found == bytes => Ok(()),
        // It has come to a newer one and removed this one: so it has this database, and its row says so.
        Err(StoreError::NotFound { .. }) => Ok(()),
        Ok(_) => Err(divided(age.number)),
        Err(error) => Err(during()(error)),
    }
}

/// Removes every age before `number`.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn clear(store: &dyn Store, number: u32) -> Result<(), AppError> {
    numbered::remove(store, AGES_PREFIX, |found| found < number, "removing an age of the store").await
}

fn fits(row: &InstallationRow, found: Option<&Age>) -> Result<(), AppError> {
    let Some(found) = found else {
        // A new installation has not come to its first age yet.
        return if row.age == 0 { Ok(()) } else { Err(store_older(row, 0)) };
    };
    if found.installation != row.id {
        return Err(foreign(found));
    }
    match found.number.cmp(&row.age) {
        Ordering::Equal if found.nonce == row.age_nonce => Ok(()),
        Ordering::Equal => Err(divided(row.age)),
        Ordering::Less => Err(store_older(row, found.number)),
        // It was being written when a server ended, or is being written.
        Ordering::Greater if found.number == row.age + 1 && row.age_next == Some(found.nonce) => Ok(()),
        Ordering::Greater => Err(database_older(row.age, found.number)),
    }
}

async fn row(db: &Db) -> Result<InstallationRow, AppError> {
    let during = || AppError::db("reading the installation");
    let mut tx = db.read().await.map_err(during())?;
    db::installation_get(&mut tx).await.map_err(during())?.ok_or_else(keys::missing)
}

fn unfinished() -> AppError {
    let sentence = "The database is being rebuilt from the store, and that is not finished: `recovery rebuild` goes on \
                    with it.";
    AppError::conflict("rebuild_unfinished", sentence)
}

fn foreign(found: &Age) -> AppError {
    AppError::conflict(
        "store_foreign",
        format!(
            "The store belongs to another installation ({}): nothing was touched. Have the configuration name the \
             store of this database, or the database of that store.",
            found.installation
        ),
    )
}

fn database_older(here: u32, there: u32) -> AppError {
    AppError::conflict(
        "database_older",
        format!(
            "The database is older than its store: it is a copy of age {here}, and the store has come to {there}. \
             `holdfast-server repair` says what the store has that the database does not know, and takes it in."
        ),
    )
}

fn store_older(row: &InstallationRow, there: u32) -> AppError {
    let (here, to) = (row.age, &row.moved.to);
    let sentence = match to.is_empty() {
        true => format!(
            "The store is older than its database: it is a copy of age {there}, or not all there, and the database has \
             come to {here}. `holdfast-server repair` says what is missing, and has devices send it again."
        ),
        // Repair would have them send what is elsewhere.
        false => format!(
            "The store is older than its database: of age {there}, and the database has come to {here}. A `migrate` \
             has taken the installation to {to}: use the configuration by which it is served there. Where this is that \
             place and its store is a copy, or not all there, `holdfast-server repair` says what is missing."
        ),
    };
    AppError::conflict("store_older", sentence)
}

fn divided(age: u32) -> AppError {
    AppError::conflict(
        "installation_divided",
        format!(
            "Another copy of this database has been in use with this store since age {age}. Stop the servers on one of \
             the two; then `holdfast-server repair` on the other takes in what the store has."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{InstallationId, Timestamp};

    const OWN: InstallationId = InstallationId::from_bytes([1; 16]);

    fn row(age: u32, nonce: u8, next: Option<u8>) -> InstallationRow {
        InstallationRow {
            keyring: 1,
            age,
            age_nonce: [nonce; 32],
            age_next: next.map(|nonce| [nonce; 32]),
            ..InstallationRow::new(OWN, Timestamp::from_ms(0))
        }
    }

    #[test]
    fn only_the_same_age_fits_or_the_next_one_that_is_our_own() {
        let age = |number, nonce| Age { number, installation: OWN, nonce: [nonce; 32] };
        let other = Age { installation: InstallationId::from_bytes([2; 16]), ..age(5, 7) };
        let check = |row: &InstallationRow, found: Option<Age>| fits(row, found.as_ref()).map_err(|error| error.code());
        assert_eq!(check(&row(0, 0, None), None), Ok(()), "a new installation");
        assert_eq!(check(&row(0, 0, Some(7)), Some(age(1, 7))), Ok(()), "its first age, in the middle");
        assert_eq!(check(&row(5, 7, None), Some(age(5, 7))), Ok(()));
        assert_eq!(check(&row(4, 6, Some(7)), Some(age(5, 7))), Ok(()), "in the middle");
        assert_eq!(check(&row(5, 7, Some(8)), Some(age(5, 7))), Ok(()), "before the object");
        assert_eq!(check(&row(0, 0, None), Some(age(1, 7))), Err("database_older"));
        assert_eq!(check(&row(4, 6, Some(8)), Some(age(5, 7))), Err("database_older"), "not our own");
        assert_eq!(check(&row(3, 6, Some(7)), Some(age(5, 7))), Err("database_older"));
        assert_eq!(check(&row(5, 8, None), Some(age(5, 7))), Err("installation_divided"));
        assert_eq!(check(&row(6, 7, None), Some(age(5, 7))), Err("store_older"));
        assert_eq!(check(&row(6, 7, None), None), Err("store_older"));
        assert_eq!(check(&row(5, 7, None), Some(other)), Err("store_foreign"));
    }
}
