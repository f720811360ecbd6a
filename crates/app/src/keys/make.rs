//! The keys of a new installation, and those of one that comes back from its keyring. Refuses a database that has one.

use super::{InstallationSecret, MasterKey};
use crate::AppError;
use base::{Entropy, InstallationId, RepositoryId, Secret, Timestamp};
use db::{InstallationRow, Tx};
use format::{KeyPurpose, Keyring, KeyringKey, KeyringRepository};

const FIRST_KEY_ID: u32 = 1;

/// Makes an installation with one repository. Gives the repository's row number.
///
/// # Errors
/// `already_initialised`; the database does not answer.
pub async fn make(tx: &mut Tx, master: &MasterKey, entropy: &dyn Entropy, now: Timestamp) -> Result<i64, AppError> {
    let key = |purpose| KeyringKey { purpose, id: FIRST_KEY_ID, secret: Secret::mint(entropy) };
    let keys = vec![key(KeyPurpose::Name), key(KeyPurpose::Seal)];
    let repository = KeyringRepository { id: RepositoryId::mint(entropy), keys };
    let secret = InstallationSecret(Secret::mint(entropy));
    let row = InstallationRow::new(InstallationId::mint(entropy), now);
    let made = insert(tx, (master, &secret), row, std::slice::from_ref(&repository), entropy, now).await?;
    Ok(made[0])
}

/// Brings an installation back from its keyring. Nobody is served before its rebuild is finished.
///
/// # Errors
/// As `make`.
pub(crate) async fn restore(
    tx: &mut Tx,
    master: &MasterKey,
    keyring: &Keyring,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<(), AppError> {
    let secret = InstallationSecret(keyring.secret.clone());
    let row = InstallationRow {
        keyring: keyring.number,
        kit_tested_at: Some(now),
        rebuild_at: Some(now),
        ..InstallationRow::new(keyring.installation, now)
    };
    // As old as the keyring: the newest of them is known wherever it was used.
    let made_at = keyring.made_at.min(now);
    insert(tx, (master, &secret), row, &keyring.repositories, entropy, made_at).await.map(|_| ())
}

async fn insert(
    tx: &mut Tx,
    (master, secret): (&MasterKey, &InstallationSecret),
    row: InstallationRow,
    repositories: &[KeyringRepository],
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<Vec<i64>, AppError> {
    let during = || AppError::db("making the installation");
    if db::installation_get(tx).await.map_err(during())?.is_some() {
        let sentence = "The database of `database.url` holds a server already: nothing was changed. Give another.";
        return Err(AppError::conflict("already_initialised", sentence));
    }
    let sealed = master.seal(row.id, &secret.0, entropy);
    db::installation_insert(tx, &InstallationRow { secret: sealed, ..row }).await.map_err(during())?;
    let mut made = Vec::with_capacity(repositories.len());
    for repository in repositories {
        let seq = db::repository_insert(tx, repository.id, now).await.map_err(during())?;
        for key in &repository.keys {
            secret.insert(tx, (seq, repository.id), key, entropy, now).await.map_err(during())?;
        }
        made.push(seq);
    }
    Ok(made)
}
