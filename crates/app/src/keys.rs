//! The server's keys: the master key from its file, and what hangs on it. Refuses a key file that others can read.
//! Nothing else in the data directory opens a stored object or a session without the master key.

use crate::{AppError, backup};
use base::{Entropy, RepositoryId, Secret, SnapshotId};
use control::Refusal;
use data_encoding::HEXLOWER;
use db::Db;
use format::{ChunkRef, NamingKey, RepositoryKey};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory of key files, for the server's account alone.
pub const KEYS_DIR: &str = "keys";
/// 32 random bytes, hexadecimal.
pub const MASTER_KEY_FILE: &str = "keys/master.key";
/// The private key of the own certificate authority.
pub const CA_KEY_FILE: &str = "keys/ca.key";
/// The private key of the server's certificate.
pub const SERVER_KEY_FILE: &str = "keys/server.key";

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Largest key file that is read; a PEM key is a few hundred bytes.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// Every key that the running server holds. Not printable.
pub struct Keys {
    /// Seals the keys of repositories.
    pub master: MasterKey,
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
    repositories: BTreeMap<i64, Arc<RepositoryKeys>>,
}

/// The key in `keys/master.key`.
pub struct MasterKey(Secret<32>);

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
    seals: BTreeMap<u32, SealKeys>,
}

struct SealKeys {
    repository: RepositoryKey,
    root: Secret<32>,
}

/// What a repository key is for: the word in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPurpose {
    /// Names chunks.
    Name,
    /// Seals packs, manifests and roots.
    Seal,
}

impl Keys {
    /// The keys that hang on this master key, and the open repositories. Never fails.
    pub fn new(master: MasterKey, repositories: Vec<RepositoryKeys>) -> Self {
        let token = master.derive("holdfast 2026 v1 session token key");
        let challenge = master.derive("holdfast 2026 v1 session challenge key");
        let counter = master.derive("holdfast 2026 v1 session counter key");
        let activation = master.derive("holdfast 2026 v1 activation digest key");
        let address = master.derive("holdfast 2026 v1 address key");
        let ticket = master.derive("holdfast 2026 v1 ticket key");
        let request = master.derive("holdfast 2026 v1 admin request digest key");
        let answer = master.derive("holdfast 2026 v1 admin answer sealing");
        let repositories = repositories.into_iter().map(|keys| (keys.seq, Arc::new(keys))).collect();
        Self { master, token, challenge, counter, activation, address, ticket, request, answer, repositories }
    }

    /// The keys of the repository with this row number.
    ///
    /// # Errors
    /// `Damaged`: the database names a repository that has no keys.
    pub fn repository(&self, seq: i64) -> Result<&Arc<RepositoryKeys>, AppError> {
        let missing = || AppError::damaged("repository_keys_damaged", "The repository of this device has no keys.");
        self.repositories.get(&seq).ok_or_else(missing)
    }

    /// Every open repository, by row number. Never fails.
    pub fn repositories(&self) -> impl Iterator<Item = &Arc<RepositoryKeys>> {
        self.repositories.values()
    }
}

impl RepositoryKeys {
    /// Opens keys that came from the database. `sealed` rows are (purpose, key id, sealed bytes).
    ///
    /// # Errors
    /// `Damaged`: a key does not open with this master key, or one of the two purposes is missing.
    pub fn open(
        master: &MasterKey,
        seq: i64,
        id: RepositoryId,
        sealed: &[(KeyPurpose, u32, Vec<u8>)],
    ) -> Result<Self, AppError> {
        let mut naming_secret = None;
        let mut seals = BTreeMap::new();
        for (purpose, key_id, bytes) in sealed {
            let secret = master.open_repository_key(id, *purpose, *key_id, bytes)?;
            match purpose {
                KeyPurpose::Name => naming_secret = Some(secret),
                KeyPurpose::Seal => {
                    let root = derive("holdfast 2026 v1 root key", &secret);
                    seals.insert(*key_id, SealKeys { repository: RepositoryKey::new(*key_id, secret), root });
                }
            }
        }
        let naming_secret = naming_secret.filter(|_| !seals.is_empty()).ok_or_else(keys_damaged)?;
        Ok(Self { seq, id, naming: NamingKey::new(&naming_secret), naming_secret, seals })
    }

    /// The key that seals what is written now. Never fails.
    pub fn newest(&self) -> &RepositoryKey {
        &self.newest_seal().1.repository
    }

    /// The key with this id; `None` when the repository never had one. Never fails.
    pub fn seal_key(&self, key_id: u32) -> Option<&RepositoryKey> {
        self.seals.get(&key_id).map(|keys| &keys.repository)
    }

    /// Seals the root ref of a snapshot for the database: key id (4 bytes, little-endian), nonce, ciphertext, tag.
    /// Never fails.
    pub fn seal_root(&self, snapshot: SnapshotId, root: &ChunkRef, entropy: &dyn Entropy) -> Vec<u8> {
        let (key_id, keys) = self.newest_seal();
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

    fn newest_seal(&self) -> (u32, &SealKeys) {
        let (key_id, keys) = self.seals.last_key_value().expect("`open` refuses a repository without a seal key");
        (*key_id, keys)
    }

    fn root_aad(&self, snapshot: SnapshotId) -> Vec<u8> {
        [&self.id.as_bytes()[..], snapshot.as_bytes()].concat()
    }
}

impl MasterKey {
    /// A fresh master key. Never fails.
    pub fn mint(entropy: &dyn Entropy) -> Self {
        Self(Secret::mint(entropy))
    }

    /// Reads the key file of a data directory.
    ///
    /// # Errors
    /// `keys_exposed` when the directory or the file is open to others; a file that cannot be read or is not 64
    /// hexadecimal digits.
    pub fn load(data_dir: &Path) -> Result<Self, AppError> {
        let text = key_file_read(data_dir, MASTER_KEY_FILE)?;
        let bytes = HEXLOWER.decode(text.trim_end().as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        let wrong = || AppError::damaged("master_key_damaged", format!("{MASTER_KEY_FILE} is not a master key."));
        bytes.map(|bytes| Self(Secret::new(bytes))).ok_or_else(wrong)
    }

    /// Writes the key file of a new data directory.
    ///
    /// # Errors
    /// As `key_file_write`.
    pub fn store(&self, data_dir: &Path) -> Result<(), AppError> {
        key_file_write(data_dir, MASTER_KEY_FILE, &format!("{}\n", HEXLOWER.encode(self.0.expose())))
    }

    /// Seals a repository's key for the database: nonce, ciphertext, tag. Never fails.
    pub fn seal_repository_key(
        &self,
        repository: RepositoryId,
        purpose: KeyPurpose,
        key_id: u32,
        secret: &Secret<32>,
        entropy: &dyn Entropy,
    ) -> Vec<u8> {
        seal(&self.sealing(), &repository_key_aad(repository, purpose, key_id), secret.expose(), entropy)
    }

    fn open_repository_key(
        &self,
        repository: RepositoryId,
        purpose: KeyPurpose,
        key_id: u32,
        sealed: &[u8],
    ) -> Result<Secret<32>, AppError> {
        let plain = open(&self.sealing(), &repository_key_aad(repository, purpose, key_id), sealed);
        plain.and_then(|plain| plain.try_into().ok()).map(Secret::new).ok_or_else(keys_damaged)
    }

    fn sealing(&self) -> Secret<32> {
        self.derive("holdfast 2026 v1 repository key sealing")
    }

    fn derive(&self, context: &str) -> Secret<32> {
        derive(context, &self.0)
    }
}

impl KeyPurpose {
    /// The word in the database. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            KeyPurpose::Name => "name",
            KeyPurpose::Seal => "seal",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [KeyPurpose::Name, KeyPurpose::Seal].into_iter().find(|purpose| purpose.word() == word)
    }
}

/// Opens the keys of every repository in the database.
///
/// # Errors
/// `Damaged`: there is no repository, or its keys do not open with this master key; the database does not answer.
pub(crate) async fn repositories_open(db: &Db, master: &MasterKey) -> Result<Vec<RepositoryKeys>, AppError> {
    let during = || AppError::db("reading the repositories' keys");
    let mut tx = db.read().await.map_err(during())?;
    let mut repositories = Vec::new();
    for repository in db::repository_list(&mut tx).await.map_err(during())? {
        let rows = db::repository_key_list(&mut tx, repository.seq).await.map_err(during())?;
        let mut sealed = Vec::with_capacity(rows.len());
        for row in rows {
            let purpose = KeyPurpose::from_word(&row.purpose).ok_or_else(keys_damaged)?;
            sealed.push((purpose, row.key_id, row.sealed));
        }
        repositories.push(RepositoryKeys::open(master, repository.seq, repository.id, &sealed)?);
    }
    if repositories.is_empty() { Err(keys_damaged()) } else { Ok(repositories) }
}

/// Makes `keys/`, for the server's account alone.
///
/// # Errors
/// The directory cannot be made, or is there.
pub fn keys_dir_create(data_dir: &Path) -> Result<(), AppError> {
    let path = data_dir.join(KEYS_DIR);
    DirBuilder::new().mode(DIR_MODE).create(&path).map_err(file_error("making the directory", &path))
}

/// Writes a new file of `keys/`, durably, for the server's account alone.
///
/// # Errors
/// The file cannot be written, or is there.
pub fn key_file_write(data_dir: &Path, name: &'static str, text: &str) -> Result<(), AppError> {
    let path = data_dir.join(name);
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(file_error("writing", &path))
}

/// Reads a file of `keys/`.
///
/// # Errors
/// `keys_exposed` when the directory or the file is open to others than its owner; a file that cannot be read.
pub fn key_file_read(data_dir: &Path, name: &'static str) -> Result<String, AppError> {
    private_or_refuse(&data_dir.join(KEYS_DIR), DIR_MODE)?;
    let path = data_dir.join(name);
    private_or_refuse(&path, FILE_MODE)?;
    let mut text = String::new();
    let file = File::open(&path).map_err(file_error("reading", &path))?;
    file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(file_error("reading", &path))?;
    Ok(text)
}

/// Fails when others than its owner have rights to the file or directory beyond `mode`.
///
/// # Errors
/// `keys_exposed`; it cannot be looked at.
pub(crate) fn private_or_refuse(path: &Path, mode: u32) -> Result<(), AppError> {
    let found = std::fs::metadata(path).map_err(file_error("reading", path))?.permissions().mode() & 0o777;
    if found & !mode & 0o077 == 0 {
        return Ok(());
    }
    Err(AppError::invalid(
        "keys_exposed",
        format!(
            "{} can be opened by others (mode {found:04o}): run `chmod {mode:04o} {}`, and set up a new server if \
             anybody may have read it.",
            path.display(),
            path.display()
        ),
    ))
}

fn file_error(during: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AppError {
    let path = PathBuf::from(path);
    move |cause| AppError::File { during, path, cause }
}

fn keys_damaged() -> AppError {
    AppError::damaged(
        "repository_keys_damaged",
        "The repository's keys do not open with keys/master.key: it is another server's, or the database is damaged.",
    )
}

fn repository_key_aad(repository: RepositoryId, purpose: KeyPurpose, key_id: u32) -> Vec<u8> {
    [&repository.as_bytes()[..], purpose.word().as_bytes(), &key_id.to_le_bytes()].concat()
}

fn derive(context: &str, secret: &Secret<32>) -> Secret<32> {
    Secret::new(blake3::derive_key(context, secret.expose()))
}

/// Nonce, ciphertext, tag. Random nonces: a key seals far fewer than 2^32 values in its life.
pub(crate) fn seal(key: &Secret<32>, aad: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut nonce);
    let mut sealed = plain.to_vec();
    aead(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut sealed)
        .expect("keys and answers are far below the limit of the cipher");
    [&nonce[..], &sealed].concat()
}

/// What `seal` has sealed with the same key and data; `None` for anything else. Never fails.
pub(crate) fn open(key: &Secret<32>, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut bytes = sealed.to_vec();
    let plain = aead(key).open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(aad), &mut bytes).ok()?;
    Some(plain.to_vec())
}

fn aead(key: &Secret<32>) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose()).expect("the key has the cipher's 32 bytes"))
}

#[cfg(test)]
mod tests;
