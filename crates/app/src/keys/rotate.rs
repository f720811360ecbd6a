//! Rotation: a new data key for what is written from now on, or a new master key over everything. Neither rewrites what
//! is stored. Refuses to run beside another rotation.

use super::master::MASTER_KEY_NEXT_FILE;
use super::{Keys, MASTER_KEY_FILE, MasterKey, keyring};
use crate::audit::{self, Deed};
use crate::{AdminActor, App, AppError, Config, SecretText};
use base::{RepositoryId, Secret};
use db::Db;
use format::{KeyPurpose, KeyringKey};
use std::path::Path;

/// What a rotation has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The keyring that has every key now.
    pub keyring: u32,
    /// The new data keys, by repository: their ids.
    pub keys: Vec<(RepositoryId, u32)>,
}

/// Gives every repository a new data key. What is written from a minute from now on is sealed with it; what was
/// written stays readable, and is not touched.
///
/// # Errors
/// `rotation_overtaken`; a database or a store that does not answer.
pub async fn rotate_data(app: &App, data_dir: &Path) -> Result<Rotated, AppError> {
    let now = app.clock.now();
    keyring::ensure(app, data_dir).await?;
    let mut ring = keyring::wanted(app, data_dir).await?;
    let before = ring.number;
    ring.number = before + 1;
    let mut fresh = Vec::new();
    for repository in &mut ring.repositories {
        let id = repository.keys.iter().map(|key| key.id).max().unwrap_or_default() + 1;
        let key = KeyringKey { purpose: KeyPurpose::Seal, id, secret: Secret::mint(app.entropy.as_ref()) };
        repository.keys.push(key.clone());
        fresh.push((repository.id, key));
    }
    // ORDER: the keyring is in the store before the key is in the database: nothing is ever sealed with a key that the
    // recovery kit does not open.
    keyring::put(app.store.as_ref(), &app.master, &mut ring, app.entropy.as_ref()).await?;
    let (mut tx, row) = keyring::turn(app, before, &ring).await?.ok_or_else(overtaken)?;
    let (number, during) = (ring.number, || AppError::db("adding a data key"));
    for keys in app.keys.repositories() {
        let Some((_, key)) = fresh.iter().find(|(id, _)| *id == keys.id) else { continue };
        let added = app.keys.secret.insert(&mut tx, (keys.seq, keys.id), key, app.entropy.as_ref(), now);
        added.await.map_err(during())?;
    }
    db::installation_keyring_update(&mut tx, number, &row.secret).await.map_err(during())?;
    let (subject, detail) = (row.id.to_string(), format!("keyring {number}"));
    audit::write(&mut tx, now, Deed { action: "keys_rotate_data", subject, detail, ..command() }).await?;
    tx.commit().await.map_err(during())?;
    app.keys.refresh(&app.db).await?;
    keyring::clear(app.store.as_ref(), number).await?;
    Ok(Rotated { keyring: number, keys: fresh.into_iter().map(|(id, key)| (id, key.id)).collect() })
}

/// Puts a new master key in the place of the one in use: a fresh one in the file of the data directory, or `next`,
/// where the environment (`given`) or a command gives it. Servers that run go on; each needs the new key at its next
/// start, and the recovery kit is another one.
///
/// # Errors
/// `master_key_elsewhere`: `next` is wanted, or not, the other way round; `rotation_overtaken`; a file, a database or a
/// store that cannot be written.
pub async fn rotate_master(
    app: &App,
    data_dir: &Path,
    given: Option<&SecretText>,
    next: Option<MasterKey>,
) -> Result<Rotated, AppError> {
    let is_in_file = MasterKey::is_in_file(&app.config, given);
    let next = match (is_in_file, next) {
        (true, None) => MasterKey::mint(app.entropy.as_ref()),
        (false, Some(next)) => next,
        (true, Some(_)) => return Err(elsewhere("is in a file of the data directory: give no other file")),
        (false, None) => return Err(elsewhere("is given by the environment or a command: give the new one in a file")),
    };
    keyring::ensure(app, data_dir).await?;
    if is_in_file {
        // One that a rotation before has left was never used: this master key still opens the database.
        remove_if_there(&data_dir.join(MASTER_KEY_NEXT_FILE))?;
        next.store(data_dir, MASTER_KEY_NEXT_FILE)?;
    }
    // ORDER: file, keyring, database, and then the file gets its place. Whatever a crash leaves, one of the two files
    // opens the database, and the next start finds out which.
    let mut ring = keyring::wanted(app, data_dir).await?;
    let before = ring.number;
    ring.number = before + 1;
    keyring::put(app.store.as_ref(), &next, &mut ring, app.entropy.as_ref()).await?;
    let now = app.clock.now();
    let (mut tx, row) = keyring::turn(app, before, &ring).await?.ok_or_else(overtaken)?;
    let (number, during) = (ring.number, || AppError::db("changing the master key"));
    let sealed = next.seal(row.id, &app.keys.secret.0, app.entropy.as_ref());
    db::installation_keyring_update(&mut tx, number, &sealed).await.map_err(during())?;
    // The kit at hand is the one before.
    db::installation_kit_tested_update(&mut tx, None).await.map_err(during())?;
    let (subject, detail) = (row.id.to_string(), format!("keyring {number}"));
    audit::write(&mut tx, now, Deed { action: "keys_rotate_master", subject, detail, ..command() }).await?;
    tx.commit().await.map_err(during())?;
    if is_in_file {
        take_place(data_dir)?;
    }
    keyring::clear(app.store.as_ref(), number).await?;
    Ok(Rotated { keyring: number, keys: Vec::new() })
}

/// The master key that opens this database, and what it opens. A rotation that was interrupted after it had changed the
/// database is finished.
///
/// # Errors
/// As `MasterKey::load`; `keys_foreign` when the key does not open the database.
pub(crate) async fn rotation_finish(
    data_dir: &Path,
    config: &Config,
    given: Option<&SecretText>,
    db: &Db,
) -> Result<(MasterKey, Keys), AppError> {
    let master = MasterKey::load(data_dir, config, given)?;
    let foreign = match Keys::open(db, &master).await {
        Err(error) if error.code() == super::foreign().code() => error,
        Err(error) => return Err(error),
        Ok(keys) => return Ok((master, keys)),
    };
    let path = data_dir.join(MASTER_KEY_NEXT_FILE);
    if !MasterKey::is_in_file(config, given) || !path.exists() {
        return Err(foreign);
    }
    let next = MasterKey::parse(&super::key_file_read(data_dir, MASTER_KEY_NEXT_FILE)?, MASTER_KEY_NEXT_FILE)?;
    let keys = Keys::open(db, &next).await.map_err(|_| foreign)?;
    take_place(data_dir)?;
    Ok((next, keys))
}

/// Durably gives the next key's file the place of the other.
fn take_place(data_dir: &Path) -> Result<(), AppError> {
    let (from, to) = (data_dir.join(MASTER_KEY_NEXT_FILE), data_dir.join(MASTER_KEY_FILE));
    let renamed = std::fs::rename(from, &to).and_then(|()| {
        let keys = std::fs::File::open(data_dir.join(super::KEYS_DIR))?;
        keys.sync_all()
    });
    renamed.map_err(super::files::file_error("writing", &to))
}

fn remove_if_there(path: &Path) -> Result<(), AppError> {
    match std::fs::remove_file(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(super::files::file_error("removing", path)(cause))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn command() -> Deed<'static> {
    Deed::by(&AdminActor::Command)
}

fn elsewhere(what: &str) -> AppError {
    AppError::conflict("master_key_elsewhere", format!("The master key of this installation {what}."))
}

fn overtaken() -> AppError {
    let sentence = "Another rotation has come between: nothing was changed by this one.";
    AppError::conflict("rotation_overtaken", sentence)
}
