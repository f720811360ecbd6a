//! The trial of a recovery kit: that the key at hand opens what the store has, without the database's help. Refuses to
//! change anything but the note that it was done.

use super::kit_foreign;
use crate::audit::{self, Deed};
use crate::keys::{MasterKey, keyring};
use crate::snapshots::store_name;
use crate::{AdminActor, App, AppError};
use base::{Count, SnapshotId, Timestamp};
use format::{KeyPurpose, Keyring, Manifest, ObjectHeader, ObjectName, RepositoryKey};
use std::path::Path;

/// What a trial found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The keyring that the kit opens.
    pub keyring: u32,
    /// When that was written, by the server's clock.
    pub made_at: Timestamp,
    /// Repositories in it.
    pub repositories: Count,
    /// The newest snapshot, whose manifest opens with these keys alone; `None` when there is no snapshot yet.
    pub snapshot: Option<SnapshotId>,
}

/// Tries the key of a kit on the store, and notes that it is at hand.
///
/// # Errors
/// `kit_foreign`: it opens no keyring, or one that has not every key; `keyring_missing`; a database or a store that
/// does not answer.
pub async fn trial(app: &App, data_dir: &Path, key: &MasterKey) -> Result<Trial, AppError> {
    let found = keyring::newest(app.store.as_ref(), key).await?.ok_or_else(kit_foreign)?;
    if !keyring::is_same(&found, &keyring::wanted(app, data_dir).await?) {
        return Err(kit_foreign());
    }
    let snapshot = newest_opens(app, &found).await?;
    let now = app.clock.now();
    let during = || AppError::db("noting that the recovery kit is at hand");
    let mut tx = app.db.write().await.map_err(during())?;
    db::installation_kit_tested_update(&mut tx, Some(now)).await.map_err(during())?;
    let (subject, detail) = (found.installation.to_string(), format!("keyring {}", found.number));
    let deed = Deed { action: "recovery_test", subject, detail, ..Deed::by(&AdminActor::Command) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    let repositories = Count::of(found.repositories.len());
    Ok(Trial { keyring: found.number, made_at: found.made_at, repositories, snapshot })
}

/// Opens the manifest of the newest snapshot with the keys of the keyring alone.
async fn newest_opens(app: &App, ring: &Keyring) -> Result<Option<SnapshotId>, AppError> {
    let during = || AppError::db("reading the newest snapshot");
    let mut tx = app.db.read().await.map_err(during())?;
    let newest = db::snapshot_list(&mut tx, None, 1).await.map_err(during())?.into_iter().next();
    drop(tx);
    let Some(row) = newest else { return Ok(None) };
    let name = store_name(&ObjectName::Manifest(row.new.device, row.new.id));
    let bytes = app.store.get(&name).await.map_err(AppError::store("reading a manifest"))?;
    let header = ObjectHeader::of_manifest(&bytes).map_err(AppError::format("opening a manifest"))?;
    let keys = ring.repositories.iter().flat_map(|repository| &repository.keys);
    let mut seals = keys.filter(|key| key.purpose == KeyPurpose::Seal && key.id == header.key_id);
    let opens = seals.any(|key| {
        let key = RepositoryKey::new(key.id, key.secret.clone());
        Manifest::open(&bytes, |header| Some(key.run_key(header.run))).is_ok()
    });
    if opens { Ok(Some(row.new.id)) } else { Err(kit_foreign()) }
}
