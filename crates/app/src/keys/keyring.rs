//! The keyring: every key, sealed by the master key, in the store. With it and the recovery kit an installation comes
//! back that has lost its database. Refuses to be older than the database: it is written before a new key is used.

use super::{CA_KEY_FILE, MasterKey, RepositoryKeys, key_file_read};
use crate::damage::is_damage;
use crate::init::CA_FILE;
use crate::numbered::{self, LISTED_MAX};
use crate::snapshots::store_name;
use crate::{App, AppError};
use base::{Entropy, SecretBytes};
use db::{InstallationRow, Tx};
use format::object::KEYRINGS_PREFIX;
use format::{KeyPurpose, Keyring, KeyringKey, KeyringRepository, ObjectName};
use std::path::Path;
use std::sync::Arc;
use store::{Put, Store};

/// Has the store hold one keyring with every key, and the database every key that a keyring has. A keyring that has
/// more was written by a rotation that was interrupted, or after this database was copied: its keys are taken over.
///
/// # Errors
/// `keys_foreign`: the master key was rotated meanwhile; a database or a store that does not answer.
pub(crate) async fn ensure(app: &App, data_dir: &Path) -> Result<(), AppError> {
    let found = found(app.store.as_ref(), &app.master).await?.unwrap_or_default();
    adopt(app, found.newest.as_ref()).await?;
    let mut wanted = wanted(app, data_dir).await?;
    let before = wanted.number;
    if let Some(newest) = &found.newest {
        // INVARIANT: what devices pin is never lost because a server has no such file.
        if wanted.authority.is_empty() {
            (wanted.authority, wanted.authority_key) = (newest.authority.clone(), newest.authority_key.clone());
        }
        if found.last == before && newest.number == before && is_same(newest, &wanted) {
            return Ok(());
        }
    }
    // Above every other one, so that it is the one that counts.
    wanted.number = found.last.max(before) + 1;
    put(app.store.as_ref(), &app.master, &mut wanted, app.entropy.as_ref()).await?;
    // What another server that starts, or a rotation, has written meanwhile counts.
    let Some((mut tx, row)) = turn(app, before, &wanted).await? else { return Ok(()) };
    let during = || AppError::db("noting a keyring");
    db::installation_keyring_update(&mut tx, wanted.number, &row.secret).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    clear(app.store.as_ref(), wanted.number).await
}

/// The transaction in which a keyring that is in the store comes to count, and the installation as it is in it. `None`
/// when it must not: the number is not `before` any more, the master key is another one, or there is a key that the
/// keyring has not. Then it is gone from the store again.
///
/// # Errors
/// The database or the store does not answer.
pub(super) async fn turn(app: &App, before: u32, ring: &Keyring) -> Result<Option<(Tx, InstallationRow)>, AppError> {
    let mut tx = app.db.write().await.map_err(AppError::db("having a keyring count"))?;
    // RACE: others wrote between the look that the keyring was made of and this lock.
    match held(&mut tx, app).await {
        Ok((row, repositories)) if row.keyring == before && has_all(ring, &repositories) => return Ok(Some((tx, row))),
        Err(error) if error.code() != super::foreign().code() => return Err(error),
        Ok(_) | Err(_) => drop(tx),
    }
    let name = store_name(&ObjectName::Keyring(ring.number));
    app.store.remove(&name).await.map_err(AppError::store("removing a keyring"))?;
    Ok(None)
}

/// Adds the keys of a keyring that the database does not have. Nothing is lost by a key too many.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn adopt(app: &App, ring: Option<&Keyring>) -> Result<(), AppError> {
    let Some(ring) = ring else { return Ok(()) };
    app.keys.refresh(&app.db).await?;
    let mut missing = Vec::new();
    for keys in app.keys.repositories() {
        let known = keys.ring();
        let theirs = ring.repositories.iter().filter(|repository| repository.id == keys.id);
        let is_known = |key: &KeyringKey| known.keys.iter().any(|own| (own.purpose, own.id) == (key.purpose, key.id));
        let fresh = theirs.flat_map(|repository| &repository.keys).filter(|key| !is_known(key));
        missing.extend(fresh.map(|key| (Arc::clone(&keys), key)));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let during = || AppError::db("taking a key over");
    let mut tx = app.db.write().await.map_err(during())?;
    for (keys, key) in missing {
        let added = app.keys.secret.insert(&mut tx, (keys.seq, keys.id), key, app.entropy.as_ref(), app.clock.now());
        added.await.map_err(during())?;
        tracing::warn!(key.id, "a data key of the keyring {} was not in the database, and is now", ring.number);
    }
    tx.commit().await.map_err(during())?;
    app.keys.refresh(&app.db).await
}

/// The keyring with the highest number that this master key opens; `None` when it opens none.
///
/// # Errors
/// `keyring_missing` when the store has none at all; a store that does not answer.
pub(crate) async fn newest(store: &dyn Store, master: &MasterKey) -> Result<Option<Keyring>, AppError> {
    let sentence = "The store has no keyring: it is none of Holdfast, or was never used by a server.";
    let missing = || AppError::not_found("keyring_missing", sentence);
    Ok(found(store, master).await?.ok_or_else(missing)?.newest)
}

/// The same, and `None` also where there is none.
///
/// # Errors
/// A store that does not answer.
pub(crate) async fn newest_maybe(app: &App) -> Result<Option<Keyring>, AppError> {
    Ok(found(app.store.as_ref(), &app.master).await?.and_then(|found| found.newest))
}

/// What the store has of keyrings.
#[derive(Default)]
struct Found {
    /// The one with the highest number that opens.
    newest: Option<Keyring>,
    /// The highest number of all.
    last: u32,
}

/// `None` when the store lists none.
async fn found(store: &dyn Store, master: &MasterKey) -> Result<Option<Found>, AppError> {
    let listed = store.list(KEYRINGS_PREFIX, None, LISTED_MAX).await.map_err(AppError::store("listing keyrings"))?;
    if listed.is_empty() {
        return Ok(None);
    }
    let last = listed.iter().filter_map(numbered::number).max().unwrap_or_default();
    for object in listed.iter().rev() {
        let bytes = match store.get(&object.name).await {
            Ok(bytes) => bytes,
            Err(error) if is_damage(&error) => continue,
            Err(error) => return Err(AppError::store("reading a keyring")(error)),
        };
        if let Ok(keyring) = Keyring::open(&bytes, master.secret()) {
            return Ok(Some(Found { newest: Some(keyring), last }));
        }
    }
    Ok(Some(Found { newest: None, last }))
}

/// The keyring that the store must have now.
///
/// # Errors
/// `keys_foreign`; a file that cannot be read; the database does not answer.
pub(crate) async fn wanted(app: &App, data_dir: &Path) -> Result<Keyring, AppError> {
    let mut tx = app.db.read().await.map_err(AppError::db("reading the installation"))?;
    let (row, repositories) = held(&mut tx, app).await?;
    drop(tx);
    compose(app, repositories, data_dir, row.keyring)
}

/// The installation of this database and every key of its repositories, of one moment. `keys_foreign` when the master
/// key is another one by now.
async fn held(tx: &mut Tx, app: &App) -> Result<(InstallationRow, Vec<KeyringRepository>), AppError> {
    let during = || AppError::db("reading the installation");
    let row = db::installation_get(tx).await.map_err(during())?.ok_or_else(super::missing)?;
    app.master.open(row.id, &row.secret).ok_or_else(super::foreign)?;
    let keys = super::repositories(tx, &app.keys.secret).await?;
    Ok((row, keys.values().map(|keys| keys.ring()).collect()))
}

fn compose(
    app: &App,
    mut repositories: Vec<KeyringRepository>,
    data_dir: &Path,
    number: u32,
) -> Result<Keyring, AppError> {
    let path = data_dir.join(CA_FILE);
    let (authority, authority_key) = match std::fs::read_to_string(&path) {
        Ok(authority) => (authority, key_file_read(data_dir, CA_KEY_FILE)?.into_bytes()),
        // Where certificates come from elsewhere there is no authority to bring back.
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => (String::new(), Vec::new()),
        Err(cause) => return Err(super::files::file_error("reading", &path)(cause)),
    };
    repositories.sort_by_key(|repository| repository.id);
    Ok(Keyring {
        number,
        installation: app.keys.installation,
        made_at: app.clock.now(),
        secret: app.keys.secret.0.clone(),
        repositories,
        authority,
        authority_key: SecretBytes::new(authority_key),
    })
}

/// Puts a keyring into the store, under its number or the next free one: then that is its number.
///
/// # Errors
/// A store that does not answer.
pub(super) async fn put(
    store: &dyn Store,
    master: &MasterKey,
    keyring: &mut Keyring,
    entropy: &dyn Entropy,
) -> Result<(), AppError> {
    loop {
        let mut salt = [0; 32];
        entropy.fill(&mut salt);
        let sealed = keyring.seal(master.secret(), salt).map_err(AppError::format("sealing the keyring"))?;
        let name = store_name(&ObjectName::Keyring(keyring.number));
        let put = store.put_new(&name, sealed.into()).await.map_err(AppError::store("writing the keyring"))?;
        if put == Put::Created {
            return Ok(());
        }
        // One that was written before a crash, and that no row names.
        keyring.number += 1;
    }
}

/// Removes every keyring before `number`.
///
/// # Errors
/// A store that does not answer.
pub(super) async fn clear(store: &dyn Store, number: u32) -> Result<(), AppError> {
    numbered::remove(store, KEYRINGS_PREFIX, |found| found < number, "removing a keyring").await
}

/// Whether a keyring has every key of these repositories.
fn has_all(ring: &Keyring, repositories: &[KeyringRepository]) -> bool {
    let keys = |repositories: &[KeyringRepository]| -> Vec<_> {
        let all = repositories.iter().flat_map(|one| one.keys.iter().map(move |key| (one.id, key)));
        all.map(|(id, key)| (id, key.purpose, key.id, *key.secret.expose())).collect()
    };
    let own = keys(&ring.repositories);
    keys(repositories).iter().all(|key| own.contains(key))
}

/// Whether two keyrings hold the same keys, whenever they were made.
pub(crate) fn is_same(one: &Keyring, other: &Keyring) -> bool {
    let keys = |repository: &KeyringRepository| -> Vec<_> {
        repository.keys.iter().map(|key| (key.purpose, key.id, *key.secret.expose())).collect()
    };
    let all = |keyring: &Keyring| -> Vec<_> { keyring.repositories.iter().map(|one| (one.id, keys(one))).collect() };
    one.installation == other.installation
        && one.secret.expose() == other.secret.expose()
        && all(one) == all(other)
        && one.authority == other.authority
        && one.authority_key.expose() == other.authority_key.expose()
}

impl RepositoryKeys {
    /// Its keys as a keyring holds them.
    fn ring(&self) -> KeyringRepository {
        let naming = KeyringKey { purpose: KeyPurpose::Name, id: self.naming_id, secret: self.naming_secret.clone() };
        let seals = self.seals.iter();
        let seals =
            seals.map(|(id, keys)| KeyringKey { purpose: KeyPurpose::Seal, id: *id, secret: keys.secret.clone() });
        KeyringRepository { id: self.id, keys: std::iter::once(naming).chain(seals).collect() }
    }
}
