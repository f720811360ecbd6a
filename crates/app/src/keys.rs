//! The keys of an installation. One master key, which is outside database and store, opens its secret; the secret opens
//! the repositories' keys, and every other key of the servers is made of it. Refuses a key file that others can read.

mod files;
pub(crate) mod keyring;
mod make;
mod master;
mod rotate;
mod sealed;

pub(crate) use files::private_or_refuse;
pub use files::{CA_KEY_FILE, KEYS_DIR, SERVER_KEY_FILE, key_file_read, key_file_write, keys_dir_create};
pub use make::make;
pub(crate) use make::restore;
pub use master::{MASTER_KEY_FILE, MASTER_KEY_VARIABLE, MasterKey};
pub(crate) use rotate::rotation_finish;
pub use rotate::{Rotated, rotate_data, rotate_master};
pub(crate) use sealed::{open, seal};

use crate::{App, AppError, backup};
use base::{Entropy, InstallationId, RepositoryId, Secret, SnapshotId, Span, Timestamp};
use control::Refusal;
use db::{Db, DbError, RepositoryKeyRow, Tx};
use format::{ChunkRef, KeyPurpose, KeyringKey, NamingKey, RepositoryKey};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// How old a repository key is before anything is sealed with it: by then every server knows it.
pub const SETTLE_SPAN: Span = Span::minutes(1);
/// How often a server looks for new keys. INVARIANT: well below `SETTLE_SPAN`.
const FOLLOW_SPAN: Span = Span::seconds(10);

/// Every key that the running server holds. Not printable.
pub struct Keys {
    /// Whose they are.
    pub installation: InstallationId,
    secret: InstallationSecret,
    /// Authenticates session tokens.
    pub token: Secret<32>,
    /// Authenticates challenges.
    pub challenge: Secret<32>,
    /// Authenticates the counters that devices present at their sessions.
    pub counter: Secret<32>,
    /// Keys the digests of activation requests, so that they tell nothing of a password to who reads the database.
    pub activation: Secret<32>,
    /// Keys which stored hash an address without a password is as costly as.
    pub address: Secret<32>,
    /// Keys the hashes of tickets.
    pub ticket: Secret<32>,
    /// Keys the digests of requests to the admin API, for the same reason.
    pub request: Secret<32>,
    /// Seals the answers of the admin API that are kept for repeated requests.
    pub answer: Secret<32>,
    repositories: RwLock<BTreeMap<i64, Arc<RepositoryKeys>>>,
}

/// What every key of the servers hangs on that is no repository's, and what seals those in the database. It stays when
/// the master key is rotated: nothing that was handed out ends by that.
#[derive(Clone)]
pub(crate) struct InstallationSecret(Secret<32>);

/// The keys of one repository, open.
pub struct RepositoryKeys {
    /// The row number.
    pub seq: i64,
    /// The repository's name.
    pub id: RepositoryId,
    /// Names chunks.
    pub naming: NamingKey,
    /// The same key as bytes, for the answer that gives it to a device.
    pub naming_secret: Secret<32>,
    naming_id: u32,
    seals: BTreeMap<u32, SealKeys>,
}

struct SealKeys {
    repository: RepositoryKey,
    secret: Secret<32>,
    root: Secret<32>,
    created_at: Timestamp,
}

/// A key of a repository as it comes from the database, sealed.
#[derive(Clone)]
struct SealedKey {
    purpose: KeyPurpose,
    id: u32,
    sealed: Vec<u8>,
    created_at: Timestamp,
}

impl Keys {
    /// Opens the keys of the installation in this database.
    ///
    /// # Errors
    /// `installation_missing`; `keys_foreign`: they do not open with this master key; `repository_keys_damaged`; the
    /// database does not answer.
    pub(crate) async fn open(db: &Db, master: &MasterKey) -> Result<Self, AppError> {
        let during = || AppError::db("reading the keys");
        let mut tx = db.read().await.map_err(during())?;
        let row = db::installation_get(&mut tx).await.map_err(during())?.ok_or_else(missing)?;
        let secret = InstallationSecret(master.open(row.id, &row.secret).ok_or_else(foreign)?);
        let repositories = repositories(&mut tx, &secret).await?;
        if repositories.is_empty() {
            return Err(keys_damaged());
        }
        Ok(Self {
            installation: row.id,
            token: secret.derive("holdfast 2026 v1 session token key"),
            challenge: secret.derive("holdfast 2026 v1 session challenge key"),
            counter: secret.derive("holdfast 2026 v1 session counter key"),
            activation: secret.derive("holdfast 2026 v1 activation digest key"),
            address: secret.derive("holdfast 2026 v1 address key"),
            ticket: secret.derive("holdfast 2026 v1 ticket key"),
            request: secret.derive("holdfast 2026 v1 admin request digest key"),
            answer: secret.derive("holdfast 2026 v1 admin answer sealing"),
            secret,
            repositories: RwLock::new(repositories),
        })
    }

    /// The keys of the repository with this row number.
    ///
    /// # Errors
    /// `Damaged`: the database names a repository that has no keys.
    pub fn repository(&self, seq: i64) -> Result<Arc<RepositoryKeys>, AppError> {
        let missing = || AppError::damaged("repository_keys_damaged", "The repository of this device has no keys.");
        let repositories = self.repositories.read().unwrap_or_else(PoisonError::into_inner);
        repositories.get(&seq).cloned().ok_or_else(missing)
    }

    /// Every open repository, by row number. Never fails.
    pub fn repositories(&self) -> Vec<Arc<RepositoryKeys>> {
        self.repositories.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Reads the repositories' keys again: another server, or a command, may have added one.
    ///
    /// # Errors
    /// As `open`.
    pub(crate) async fn refresh(&self, db: &Db) -> Result<(), AppError> {
        let mut tx = db.read().await.map_err(AppError::db("reading the keys"))?;
        let found = repositories(&mut tx, &self.secret).await?;
        *self.repositories.write().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(())
    }
}

impl InstallationSecret {
    fn derive(&self, context: &str) -> Secret<32> {
        derive(context, &self.0)
    }

    fn sealing(&self) -> Secret<32> {
        self.derive("holdfast 2026 v1 repository key sealing")
    }

    /// Adds a key to a repository of the database, sealed. `created_at` says since when servers can know it.
    async fn insert(
        &self,
        tx: &mut Tx,
        (seq, id): (i64, RepositoryId),
        key: &KeyringKey,
        entropy: &dyn Entropy,
        created_at: Timestamp,
    ) -> Result<(), DbError> {
        let sealed = self.seal(id, (key.purpose, key.id), &key.secret, entropy);
        let row = RepositoryKeyRow { purpose: key.purpose.word().to_owned(), key_id: key.id, sealed, created_at };
        db::repository_key_insert(tx, seq, &row).await
    }

    /// Seals a repository's key for the database: nonce, ciphertext, tag. Never fails.
    fn seal(
        &self,
        repository: RepositoryId,
        (purpose, id): (KeyPurpose, u32),
        secret: &Secret<32>,
        entropy: &dyn Entropy,
    ) -> Vec<u8> {
        seal(&self.sealing(), &repository_key_aad(repository, purpose, id), secret.expose(), entropy)
    }

    fn open(&self, repository: RepositoryId, key: &SealedKey) -> Result<Secret<32>, AppError> {
        let plain = open(&self.sealing(), &repository_key_aad(repository, key.purpose, key.id), &key.sealed);
        plain.and_then(|plain| plain.try_into().ok()).map(Secret::new).ok_or_else(keys_damaged)
    }
}

impl RepositoryKeys {
    /// Opens keys that came from the database.
    fn open(secret: &InstallationSecret, seq: i64, id: RepositoryId, rows: &[SealedKey]) -> Result<Self, AppError> {
        let mut naming = None;
        let mut seals = BTreeMap::new();
        for row in rows {
            let opened = secret.open(id, row)?;
            match row.purpose {
                KeyPurpose::Name => naming = Some((row.id, opened)),
                KeyPurpose::Seal => {
                    let root = derive("holdfast 2026 v1 root key", &opened);
                    let repository = RepositoryKey::new(row.id, opened.clone());
                    let keys = SealKeys { repository, secret: opened, root, created_at: row.created_at };
                    seals.insert(row.id, keys);
                }
            }
        }
        let (naming_id, naming_secret) = naming.filter(|_| !seals.is_empty()).ok_or_else(keys_damaged)?;
        Ok(Self { seq, id, naming: NamingKey::new(&naming_secret), naming_secret, naming_id, seals })
    }

    /// The key that seals what is written now. Never fails.
    pub fn newest(&self, now: Timestamp) -> &RepositoryKey {
        &self.newest_seal(now).1.repository
    }

    /// The key with this id; `None` when the repository never had one, or has it since a moment ago. Never fails.
    pub fn seal_key(&self, key_id: u32) -> Option<&RepositoryKey> {
        self.seals.get(&key_id).map(|keys| &keys.repository)
    }

    /// Seals the root ref of a snapshot for the database: key id (4 bytes, little-endian), nonce, ciphertext, tag.
    /// Never fails.
    pub fn seal_root(&self, snapshot: SnapshotId, root: &ChunkRef, now: Timestamp, entropy: &dyn Entropy) -> Vec<u8> {
        let (key_id, keys) = self.newest_seal(now);
        let mut sealed = key_id.to_le_bytes().to_vec();
        sealed.extend(seal(&keys.root, &self.root_aad(snapshot), root.as_bytes(), entropy));
        sealed
    }

    /// Opens what `seal_root` made for the same snapshot.
    ///
    /// # Errors
    /// `Damaged`: other bytes, another snapshot's, or a key that is not there.
    pub fn open_root(&self, snapshot: SnapshotId, sealed: &[u8]) -> Result<ChunkRef, AppError> {
        let open = || {
            let (key_id, sealed) = sealed.split_first_chunk::<4>()?;
            let keys = self.seals.get(&u32::from_le_bytes(*key_id))?;
            let plain = open(&keys.root, &self.root_aad(snapshot), sealed)?;
            Some(ChunkRef::from_bytes(plain.try_into().ok()?))
        };
        open().ok_or_else(|| {
            backup::refused(&Refusal::StoredDataDamaged, &format_args!("the root of snapshot {snapshot}"))
        })
    }

    /// The newest key that every server knows. Where all are younger, the first: that one is from `init`.
    fn newest_seal(&self, now: Timestamp) -> (u32, &SealKeys) {
        let settled = self.seals.iter().rev().find(|(_, keys)| now.since(keys.created_at) >= SETTLE_SPAN);
        let first = || self.seals.first_key_value();
        let (key_id, keys) = settled.or_else(first).expect("`open` refuses a repository without a seal key");
        (*key_id, keys)
    }

    fn root_aad(&self, snapshot: SnapshotId) -> Vec<u8> {
        [&self.id.as_bytes()[..], snapshot.as_bytes()].concat()
    }
}

/// Follows what other servers and commands do to the keys, for as long as it is polled. A database that does not answer
/// is asked again.
pub async fn follow(app: &App) {
    let mut known = None;
    loop {
        let found = async {
            let mut tx = app.db.read().await?;
            Ok::<_, DbError>(db::installation_get(&mut tx).await?.map(|row| row.keyring))
        };
        if let Ok(found) = found.await
            && known != found
            && app.keys.refresh(&app.db).await.is_ok()
        {
            known = found;
        }
        app.clock.sleep(FOLLOW_SPAN).await;
    }
}

/// The repositories of the database and their keys, open.
async fn repositories(
    tx: &mut Tx,
    secret: &InstallationSecret,
) -> Result<BTreeMap<i64, Arc<RepositoryKeys>>, AppError> {
    let during = || AppError::db("reading the repositories' keys");
    let mut repositories = BTreeMap::new();
    for repository in db::repository_list(tx).await.map_err(during())? {
        let rows = db::repository_key_list(tx, repository.seq).await.map_err(during())?;
        let sealed = |row: RepositoryKeyRow| {
            let purpose = KeyPurpose::from_word(&row.purpose).ok_or_else(keys_damaged)?;
            Ok(SealedKey { purpose, id: row.key_id, sealed: row.sealed, created_at: row.created_at })
        };
        let rows: Vec<_> = rows.into_iter().map(sealed).collect::<Result<_, AppError>>()?;
        let keys = RepositoryKeys::open(secret, repository.seq, repository.id, &rows)?;
        repositories.insert(repository.seq, Arc::new(keys));
    }
    Ok(repositories)
}

pub(crate) fn missing() -> AppError {
    AppError::damaged("installation_missing", "The database belongs to no installation: `init` has not made it.")
}

fn foreign() -> AppError {
    AppError::conflict(
        "keys_foreign",
        "The database does not open with this master key: it is another installation's, or the master key was rotated \
         on another server. Copy keys/master.key from there.",
    )
}

fn keys_damaged() -> AppError {
    AppError::damaged("repository_keys_damaged", "The repository's keys do not open: the database is damaged.")
}

fn repository_key_aad(repository: RepositoryId, purpose: KeyPurpose, key_id: u32) -> Vec<u8> {
    [&repository.as_bytes()[..], purpose.word().as_bytes(), &key_id.to_le_bytes()].concat()
}

fn derive(context: &str, secret: &Secret<32>) -> Secret<32> {
    Secret::new(blake3::derive_key(context, secret.expose()))
}

#[cfg(test)]
mod tests;
