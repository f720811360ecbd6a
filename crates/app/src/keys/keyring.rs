//! The keyring: every key, sealed by the master key, in the store. With it and the recovery kit an installation comes
//! back that has lost its database. Refuses to be older than the database: it is written before a new key is used.

use super::{CA_KEY_FILE, MasterKey, RepositoryKeys, key_file_read};
use crate::damage::is_damage;
use crate::init::CA_FILE;
use crate::snapshots::store_name;
use crate::{App, AppError};
use base::{Entropy, SecretBytes};
use db::Tx;
use format::object::KEYRINGS_PREFIX;
use format::{KeyPurpose, Keyring, KeyringKey, KeyringRepository, ObjectName};
use std::path::Path;
use store::{Put, Store};

/// Keyrings that are listed at once; there are two at most, but for a moment.
const LISTED_MAX: usize = 1_000;

/// Has the store hold one keyring with every key, and the database every key that a keyring has. A keyring that has
/// more was written by a rotation that was interrupted, or after this database was copied: its keys are taken over.
///
/// # Errors
/// `keys_foreign`: the master key was rotated meanwhile; a database or a store that does not answer.
pub(crate) async fn ensure(app: &App, data_dir: &Path) -> Result<(), AppError> {
    let found = found(app.store.as_ref(), &app.master).await?;
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
    let number = put(app.store.as_ref(), &app.master, wanted.clone(), app.entropy.as_ref()).await?;
    let during = || AppError::db("noting a keyring");
    let mut tx = app.db.write().await.map_err(during())?;
    // RACE: another server that starts, or a rotation, has come between: what that has written counts.
    let is_now =
        self::now(&mut tx, app, data_dir).await.is_ok_and(|now| now.number == before && has_all(&wanted, &now));
    if !is_now {
        drop(tx);
        return remove(app.store.as_ref(), number).await;
    }
    let row = db::installation_get(&mut tx).await.map_err(during())?.ok_or_else(super::missing)?;
    db::installation_keyring_update(&mut tx, number, &row.secret).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    clear(app.store.as_ref(), number).await
}

/// Adds the keys of a keyring that the database does not have. Nothing is lost by a key too many.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn adopt(app: &App, ring: Option<&Keyring>) -> Result<(), AppError> {
    let Some(ring) = ring else { return Ok(()) };
    app.keys.refresh(&app.db).await?;
    let during = || AppError::db("taking a key over");
    let mut tx = app.db.write().await.map_err(during())?;
    let mut is_new = false;
    for keys in app.keys.repositories() {
        let known = keys.ring();
        let theirs = ring.repositories.iter().find(|repository| repository.id == keys.id);
        for key in theirs.iter().flat_map(|repository| &repository.keys) {
            if known.keys.iter().any(|own| (own.purpose, own.id) == (key.purpose, key.id)) {
                continue;
            }
            let sealed = app.keys.secret.seal(keys.id, (key.purpose, key.id), &key.secret, app.entropy.as_ref());
            let purpose = key.purpose.word().to_owned();
            let row = db::RepositoryKeyRow { purpose, key_id: key.id, sealed, created_at: app.clock.now() };
            db::repository_key_insert(&mut tx, keys.seq, &row).await.map_err(during())?;
            tracing::warn!(key.id, "a data key of the keyring {} was not in the database, and is now", ring.number);
            is_new = true;
        }
    }
    tx.commit().await.map_err(during())?;
    if is_new { app.keys.refresh(&app.db).await } else { Ok(()) }
}

/// The keyring with the highest number that opens; `None` where there is none.
///
/// # Errors
/// A store that does not answer.
pub(crate) async fn newest_maybe(app: &App) -> Result<Option<Keyring>, AppError> {
    Ok(found(app.store.as_ref(), &app.master).await?.newest)
}

/// What the store has of keyrings.
struct Found {
    /// The one with the highest number that opens.
    newest: Option<Keyring>,
    /// The highest number of all.
    last: u32,
}

async fn found(store: &dyn Store, master: &MasterKey) -> Result<Found, AppError> {
    let listed = store.list(KEYRINGS_PREFIX, None, LISTED_MAX).await.map_err(AppError::store("listing keyrings"))?;
    let number = |object: &store::ObjectInfo| match object.name.as_str().parse() {
        Ok(ObjectName::Keyring(number)) => Some(number),
        _ => None,
    };
    let last = listed.iter().filter_map(number).max().unwrap_or_default();
    let newest = if listed.is_empty() { None } else { newest(store, master).await? };
    Ok(Found { newest, last })
}

/// The keyring that the store must have now.
///
/// # Errors
/// `keys_foreign`; a file that cannot be read; the database does not answer.
pub(crate) async fn wanted(app: &App, data_dir: &Path) -> Result<Keyring, AppError> {
    let mut tx = app.db.read().await.map_err(AppError::db("reading the installation"))?;
    now(&mut tx, app, data_dir).await
}

/// The same, as it is in this transaction: number and keys of one moment, and the master key still the one.
pub(super) async fn now(tx: &mut Tx, app: &App, data_dir: &Path) -> Result<Keyring, AppError> {
    let during = || AppError::db("reading the installation");
    let row = db::installation_get(tx).await.map_err(during())?.ok_or_else(super::missing)?;
    app.master.open(row.id, &row.secret).ok_or_else(super::foreign)?;
    let keys = super::repositories(tx, &app.keys.secret).await?;
    compose(app, keys.values().map(|keys| keys.ring()).collect(), data_dir, row.keyring)
}

/// The keyring with the highest number that this master key opens; `None` when it opens none.
///
/// # Errors
/// `keyring_missing` when the store has none at all; a store that does not answer.
pub(crate) async fn newest(store: &dyn Store, master: &MasterKey) -> Result<Option<Keyring>, AppError> {
    let listed = store.list(KEYRINGS_PREFIX, None, LISTED_MAX).await.map_err(AppError::store("listing keyrings"))?;
    if listed.is_empty() {
        let sentence = "The store has no keyring: it is none of Holdfast, or was never used by a server.";
        return Err(AppError::not_found("keyring_missing", sentence));
    }
    for object in listed.iter().rev() {
        let bytes = match store.get(&object.name).await {
            Ok(bytes) => bytes,
            Err(error) if is_damage(&error) => continue,
            Err(error) => return Err(AppError::store("reading a keyring")(error)),
        };
        if let Ok(keyring) = Keyring::open(&bytes, master.secret()) {
            return Ok(Some(keyring));
        }
    }
    Ok(None)
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

/// Removes a keyring that does not count.
///
/// # Errors
/// A store that does not answer.
pub(super) async fn remove(store: &dyn Store, number: u32) -> Result<(), AppError> {
    let name = store_name(&ObjectName::Keyring(number));
    store.remove(&name).await.map_err(AppError::store("removing a keyring"))
}

/// Puts a keyring into the store, under its number or the next free one. Gives the number.
///
/// # Errors
/// A store that does not answer.
pub(super) async fn put(
    store: &dyn Store,
    master: &MasterKey,
    mut keyring: Keyring,
    entropy: &dyn Entropy,
) -> Result<u32, AppError> {
    loop {
        let mut salt = [0; 32];
        entropy.fill(&mut salt);
        let sealed = keyring.seal(master.secret(), salt).map_err(AppError::format("sealing the keyring"))?;
        let name = store_name(&ObjectName::Keyring(keyring.number));
        let put = store.put_new(&name, sealed.into()).await.map_err(AppError::store("writing the keyring"))?;
        if put == Put::Created {
            return Ok(keyring.number);
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
    let listed = store.list(KEYRINGS_PREFIX, None, LISTED_MAX).await.map_err(AppError::store("listing keyrings"))?;
    for object in listed {
        let is_older = matches!(object.name.as_str().parse(), Ok(ObjectName::Keyring(found)) if found < number);
        if is_older {
            store.remove(&object.name).await.map_err(AppError::store("removing a keyring"))?;
        }
    }
    Ok(())
}

/// Whether a keyring has every key of another one.
fn has_all(ring: &Keyring, other: &Keyring) -> bool {
    let keys = |ring: &Keyring| -> Vec<_> {
        let all = ring.repositories.iter().flat_map(|one| one.keys.iter().map(move |key| (one.id, key)));
        all.map(|(id, key)| (id, key.purpose, key.id, *key.secret.expose())).collect()
    };
    let own = keys(ring);
    keys(other).iter().all(|key| own.contains(key))
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
