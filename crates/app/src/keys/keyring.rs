//! The keyring: every key, sealed by the master key, in the store. With it and the recovery kit an installation comes
//! back that has lost its database. Refuses to be older than the database: it is written before a new key is used.

use super::{CA_KEY_FILE, Keys, MasterKey, RepositoryKeys, key_file_read};
use crate::damage::is_damage;
use crate::init::CA_FILE;
use crate::snapshots::store_name;
use crate::{App, AppError};
use base::{Entropy, SecretBytes, Timestamp};
use format::object::KEYRINGS_PREFIX;
use format::{KeyPurpose, Keyring, KeyringKey, KeyringRepository, ObjectName};
use std::path::Path;
use store::{Put, Store, StoreError};

/// Keyrings that are listed at once; there are two at most, but for a moment.
const LISTED_MAX: usize = 1_000;

/// Writes the keyring anew where the store has none that holds every key.
///
/// # Errors
/// A database or a store that does not answer.
pub(crate) async fn ensure(app: &App, data_dir: &Path) -> Result<(), AppError> {
    let wanted = wanted(app, data_dir).await?;
    let before = wanted.number;
    let name = store_name(&ObjectName::Keyring(before));
    match app.store.get(&name).await {
        Ok(bytes) => match Keyring::open(&bytes, app.master.secret()) {
            Ok(found) if is_same(&found, &wanted) => return Ok(()),
            Ok(_) | Err(_) => tracing::warn!("the keyring {name} is not what it must be, and is written anew"),
        },
        Err(StoreError::NotFound { .. }) if before == 0 => {}
        Err(error) if is_damage(&error) => {
            tracing::warn!("the keyring {name} is not in the store, and is written anew");
        }
        Err(error) => return Err(AppError::store("reading the keyring")(error)),
    }
    let wanted = Keyring { number: before + 1, ..wanted };
    let number = put(app.store.as_ref(), &app.master, wanted, app.entropy.as_ref()).await?;
    let during = || AppError::db("noting a keyring");
    let mut tx = app.db.write().await.map_err(during())?;
    let now = db::installation_get(&mut tx).await.map_err(during())?.ok_or_else(super::missing)?;
    // RACE: another server that starts, or a rotation, has written one meanwhile: that one counts.
    if now.keyring == before {
        db::installation_keyring_update(&mut tx, number, &now.secret).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
        clear(app.store.as_ref(), number).await?;
    }
    Ok(())
}

/// The keyring that the store must have now.
///
/// # Errors
/// A file that cannot be read; the database does not answer.
pub(crate) async fn wanted(app: &App, data_dir: &Path) -> Result<Keyring, AppError> {
    let during = || AppError::db("reading the installation");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::installation_get(&mut tx).await.map_err(during())?.ok_or_else(super::missing)?;
    compose(&app.keys, data_dir, row.keyring, app.clock.now())
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

/// Every key that this server holds, as a keyring with this number.
///
/// # Errors
/// The certificate of the authority cannot be read.
pub(super) fn compose(keys: &Keys, data_dir: &Path, number: u32, now: Timestamp) -> Result<Keyring, AppError> {
    let path = data_dir.join(CA_FILE);
    let (authority, authority_key) = match std::fs::read_to_string(&path) {
        Ok(authority) => (authority, key_file_read(data_dir, CA_KEY_FILE)?.into_bytes()),
        // Where certificates come from elsewhere there is no authority to bring back.
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => (String::new(), Vec::new()),
        Err(cause) => return Err(super::files::file_error("reading", &path)(cause)),
    };
    let mut repositories: Vec<_> = keys.repositories().iter().map(|keys| keys.ring()).collect();
    repositories.sort_by_key(|repository| repository.id);
    Ok(Keyring {
        number,
        installation: keys.installation,
        made_at: now,
        secret: keys.secret.0.clone(),
        repositories,
        authority,
        authority_key: SecretBytes::new(authority_key),
    })
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
