//! Makes a data directory: keys, own certificate authority, certificate, database, store, repository, first admin. The
//! database and the store may be elsewhere, as the configuration says.
//! Refuses a directory that holds any of it, and to leave half of it: all is made in `.init` and then moved.

use crate::config::CONFIG_FILE;
use crate::keys::{
    CA_KEY_FILE, KEYS_DIR, KeyPurpose, MasterKey, SERVER_KEY_FILE, key_file_read, key_file_write, keys_dir_create,
};
use crate::password::{Password, Passwords, hash_now};
use crate::{AdminActor, AppError, Config, audit, certificate, stores, users};
use argon2::Params;
use base::{AdminId, Bytes, Clock, Entropy, RepositoryId, Secret, Timestamp};
use control::password::PasswordPolicy;
use db::{AdminRow, Db, RepositoryKeyRow};
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Disk;
use zeroize::Zeroizing;

/// The database in the data directory.
pub const DATABASE_FILE: &str = "holdfast.db";
/// The folder of objects in the data directory.
pub const STORE_DIR: &str = "store";
/// The certificate that devices pin.
pub const CA_FILE: &str = "ca.pem";
/// The server's certificate.
pub const SERVER_FILE: &str = "server.pem";

const INIT_DIR: &str = ".init";
const FIRST_KEY_ID: u32 = 1;
/// What a fresh configuration file says.
const CONFIG_TEXT: &str = "\
# Holdfast server. Every key has a default; `holdfast-server config` lists keys, defaults and meanings.
";

/// What `init` is told.
#[derive(Debug)]
pub struct Init<'a> {
    /// The data directory: absent, or empty but for a `holdfast.toml`, which then says where the database is.
    pub data_dir: &'a Path,
    /// The first admin's address.
    pub admin_email: &'a str,
    /// The first admin's password.
    pub admin_password: &'a Password,
    /// Names and addresses that the server's certificate is good for, besides those of this machine.
    pub names: &'a [String],
}

/// Makes the data directory. Gives the fingerprint of the certificate authority.
///
/// # Errors
/// `already_initialised`; `email_invalid`, `password_too_short`, `password_too_long`, `name_invalid`; a directory that
/// cannot be written.
pub async fn init(init: &Init<'_>, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Result<String, AppError> {
    let email = users::email_parse(init.admin_email)?;
    PasswordPolicy::default().accepts(init.admin_password.expose())?;
    vacant_or_refuse(init.data_dir)?;
    // An operator who wants PostgreSQL has written the configuration before.
    let is_configured = init.data_dir.join(CONFIG_FILE).exists();
    let config = Config::load(init.data_dir)?;
    let work = init.data_dir.join(INIT_DIR);
    if work.exists() {
        // A former `init` was interrupted: nothing of it has been used.
        std::fs::remove_dir_all(&work).map_err(file_error("removing", &work))?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&work).map_err(file_error("making the directory", &work))?;
    let now = clock.now();
    keys_dir_create(&work)?;
    let master = MasterKey::mint(entropy.as_ref());
    master.store(&work)?;
    let certificates = certificate::issue(now, init.names)?;
    key_file_write(&work, CA_KEY_FILE, &certificates.ca_key)?;
    key_file_write(&work, SERVER_KEY_FILE, &certificates.server_key)?;
    file_write(&work.join(CA_FILE), &certificates.ca)?;
    file_write(&work.join(SERVER_FILE), &certificates.server)?;
    if !is_configured {
        file_write(&work.join(CONFIG_FILE), CONFIG_TEXT)?;
    }
    stores::create(&work, init.data_dir, &config, clock, entropy).await?;
    let db = match config.database_url.is_empty() {
        true => database_file(&work.join(DATABASE_FILE)).await?,
        false => database_open(init.data_dir, &config).await?,
    };
    let price = Passwords::new(&config, entropy.as_ref()).params();
    database(db, now, &master, &email, (init.admin_password, price), entropy.as_ref()).await?;
    move_out(&work, init.data_dir)?;
    Ok(certificates.ca_fingerprint)
}

/// The certificates and the key of a data directory, as PEM text, for the listener.
pub struct TlsFiles {
    /// The server's certificate and the authority's.
    pub chain: String,
    /// The private key of the server's certificate.
    pub key: String,
    /// SHA-256 of the authority's certificate, for a person to compare: 64 hexadecimal digits.
    pub ca_fingerprint: String,
}

/// Reads what the listener needs.
///
/// # Errors
/// `keys_exposed`; a file that cannot be read; `certificate_damaged`.
pub fn tls_files(data_dir: &Path) -> Result<TlsFiles, AppError> {
    let ca = file_read(&data_dir.join(CA_FILE))?;
    let server = file_read(&data_dir.join(SERVER_FILE))?;
    let key = key_file_read(data_dir, SERVER_KEY_FILE)?;
    let ca_fingerprint = certificate::fingerprint(&ca)?;
    Ok(TlsFiles { chain: format!("{server}{ca}"), key, ca_fingerprint })
}

/// How much less is free on the disk under the store than is kept in reserve; `None` while there is room, and for a
/// bucket. While it is
/// so, every backup is refused.
///
/// # Errors
/// The disk cannot be asked.
pub async fn room_missing(data_dir: &Path, config: &Config) -> Result<Option<Bytes>, AppError> {
    if !config.s3_bucket.is_empty() {
        return Ok(None);
    }
    let free = Disk::free(data_dir.join(STORE_DIR)).await.map_err(AppError::store("asking the disk for room"))?;
    let missing = config.store_reserve.0.saturating_sub(free.0);
    Ok((missing > 0).then_some(Bytes(missing)))
}

/// Fails unless `data_dir` was made by `init`.
///
/// # Errors
/// `not_initialised`, with the command that makes one.
pub fn initialised_or_refuse(data_dir: &Path) -> Result<(), AppError> {
    // ORDER: what is looked for here is what `move_out` moves last.
    let there = |name: &str| data_dir.join(name).exists();
    if there(CONFIG_FILE) {
        let config = Config::load(data_dir)?;
        let last = match (config.database_url.is_empty(), config.s3_bucket.is_empty()) {
            (true, _) => DATABASE_FILE,
            (false, true) => STORE_DIR,
            (false, false) => SERVER_FILE,
        };
        if there(last) {
            return Ok(());
        }
    }
    Err(AppError::not_found(
        "not_initialised",
        format!(
            "{} is not a data directory of Holdfast: make one with `holdfast-server init --data {}`.",
            data_dir.display(),
            data_dir.display()
        ),
    ))
}

/// Opens the database that the configuration names: the file of the data directory, or PostgreSQL.
///
/// # Errors
/// `database.password_file` cannot be read; the database cannot be opened or does not fit.
pub(crate) async fn database_open(data_dir: &Path, config: &Config) -> Result<Db, AppError> {
    let during = AppError::db("opening the database");
    if config.database_url.is_empty() {
        return Db::open(&data_dir.join(DATABASE_FILE)).await.map_err(during);
    }
    let password = match config.database_password_file.as_str() {
        "" => None,
        file => Some(Zeroizing::new(file_read(&data_dir.join(file))?)),
    };
    let line = password.as_ref().map(|text| text.lines().next().unwrap_or_default());
    Db::connect(&config.database_url, line).await.map_err(during)
}

const MADE: [&str; 6] = [KEYS_DIR, CA_FILE, SERVER_FILE, STORE_DIR, DATABASE_FILE, CONFIG_FILE];

fn vacant_or_refuse(data_dir: &Path) -> Result<(), AppError> {
    match MADE.iter().find(|name| **name != CONFIG_FILE && data_dir.join(name).exists()) {
        None => Ok(()),
        Some(name) => Err(AppError::conflict(
            "already_initialised",
            format!(
                "{} holds `{name}` already: nothing was changed. Give another directory, or start this server with \
                 `holdfast-server run --data {}`.",
                data_dir.display(),
                data_dir.display()
            ),
        )),
    }
}

/// A new database file.
async fn database_file(path: &Path) -> Result<Db, AppError> {
    // The file is made before the database is: SQLite gives its own files the permissions that it finds.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(file_error("making", path))?;
    Db::open(path).await.map_err(AppError::db("making the database"))
}

/// Writes the repository, its keys and the first admin into an empty database, and closes it.
async fn database(
    db: Db,
    now: Timestamp,
    master: &MasterKey,
    email: &str,
    (password, price): (&Password, Params),
    entropy: &dyn Entropy,
) -> Result<(), AppError> {
    let during = || AppError::db("making the database");
    let mut tx = db.write().await.map_err(during())?;
    if !db::repository_list(&mut tx).await.map_err(during())?.is_empty() {
        let sentence = "The database of `database.url` holds a server already: nothing was changed. Give another.";
        return Err(AppError::conflict("already_initialised", sentence));
    }
    let repository = RepositoryId::mint(entropy);
    let seq = db::repository_insert(&mut tx, repository, now).await.map_err(during())?;
    for purpose in [KeyPurpose::Name, KeyPurpose::Seal] {
        let secret = Secret::mint(entropy);
        let sealed = master.seal_repository_key(repository, purpose, FIRST_KEY_ID, &secret, entropy);
        let key = RepositoryKeyRow { purpose: purpose.word().to_owned(), key_id: FIRST_KEY_ID, sealed };
        db::repository_key_insert(&mut tx, seq, &key, now).await.map_err(during())?;
    }
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    let password_hash = hash_now(password, price, &salt);
    let (id, permits) = (AdminId::mint(entropy), "all".to_owned());
    let admin = AdminRow { id, email: email.to_owned(), password_hash, permits, created_at: now, disabled_at: None };
    db::admin_insert(&mut tx, &admin).await.map_err(during())?;
    let deed = audit::Deed {
        action: "server_init",
        subject: repository.to_string(),
        detail: format!("first admin {id}"),
        ..audit::Deed::by(&AdminActor::Command)
    };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())?;
    // Closing the last connection folds the write-ahead log into the file, so that the file alone can be moved.
    db.close().await;
    Ok(())
}

/// ORDER: the configuration file is moved last, and the database before it: where they lie, everything else does. An
/// operator's configuration file lies there already, and PostgreSQL's database has no file.
fn move_out(work: &Path, data_dir: &Path) -> Result<(), AppError> {
    for name in MADE {
        let (from, to) = (work.join(name), data_dir.join(name));
        if !from.exists() {
            continue;
        }
        std::fs::rename(&from, &to).map_err(file_error("making", &to))?;
    }
    std::fs::remove_dir(work).map_err(file_error("removing", work))?;
    let directory = std::fs::File::open(data_dir).and_then(|directory| directory.sync_all());
    directory.map_err(file_error("writing", data_dir))
}

fn file_write(path: &Path, text: &str) -> Result<(), AppError> {
    use std::io::Write as _;
    let write = || {
        let mut file = std::fs::File::create_new(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(file_error("writing", path))
}

fn file_read(path: &Path) -> Result<String, AppError> {
    std::fs::read_to_string(path).map_err(file_error("reading", path))
}

fn file_error(during: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AppError {
    let path = PathBuf::from(path);
    move |cause| AppError::File { during, path, cause }
}
