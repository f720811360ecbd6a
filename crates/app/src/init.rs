//! Makes a data directory: keys, own certificate authority, certificate, database, store, repository, first admin. The
//! database and the store may be elsewhere, as the configuration says.
//! Refuses a directory that holds any of it, and to leave half of it: all is made in `.init` and then moved.

mod making;

pub(crate) use making::{Admin, Making, database_file};

use crate::config::CONFIG_FILE;
use crate::keys::{self, MasterKey, SERVER_KEY_FILE, key_file_read};
use crate::password::Password;
use crate::recovery::{self, Kit};
use crate::{App, AppError, Config, Opening, SecretText, certificate, stores};
use base::{Bytes, Clock, Entropy};
use db::{Db, Form};
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
    /// The master key, where it is in no file.
    pub master_key: Option<&'a SecretText>,
}

/// What `init` has made.
#[derive(Debug)]
pub struct Initialised {
    /// SHA-256 of the authority's certificate: 64 hexadecimal digits.
    pub ca_fingerprint: String,
    /// What brings everything back, when all but the store is lost.
    pub kit: Kit,
}

/// Makes the data directory.
///
/// # Errors
/// `already_initialised`; `email_invalid`, `password_too_short`, `password_too_long`, `name_invalid`; a directory that
/// cannot be written.
pub async fn init(
    init: &Init<'_>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Initialised, AppError> {
    let admin = Admin::new(init.admin_email, init.admin_password)?;
    let making = Making::begin(init.data_dir, &[], clock.now())?;
    let is_in_file = MasterKey::is_in_file(&making.config, init.master_key);
    let master = match is_in_file {
        true => MasterKey::mint(entropy.as_ref()),
        false => MasterKey::load(init.data_dir, &making.config, init.master_key)?,
    };
    making.keys(is_in_file.then_some(&master))?;
    making.certificates(None, init.names)?;
    stores::create(&making.work, init.data_dir, &making.config, clock, entropy).await?;
    let db = making.database().await?;
    let mut tx = db.write().await.map_err(AppError::db("making the database"))?;
    keys::make(&mut tx, &master, entropy.as_ref(), making.now).await?;
    making.admin(tx, &admin, "server_init", entropy.as_ref()).await?;
    making.end(db).await?;
    let opening = Opening { master_key: init.master_key.cloned(), is_unmatched: false };
    let app = App::open_as(init.data_dir, opening, Arc::clone(clock), Arc::clone(entropy)).await?;
    recovery::prepare(&app, init.data_dir).await?;
    let kit = recovery::kit(&app, init.data_dir);
    // Closing the last connection folds the write-ahead log into the file.
    app.db.close().await;
    Ok(Initialised { ca_fingerprint: app.ca_fingerprint.clone(), kit })
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
    let password = database_password(data_dir, config)?;
    Db::connect(&config.database_url, password.as_ref().map(|line| line.as_str())).await.map_err(during)
}

/// What is in the database that the configuration names, before anything of it is changed.
///
/// # Errors
/// As `database_open`.
pub(crate) async fn database_form(data_dir: &Path, config: &Config) -> Result<Form, AppError> {
    let during = AppError::db("looking at the database");
    if config.database_url.is_empty() {
        return db::form_of_file(&data_dir.join(DATABASE_FILE)).await.map_err(during);
    }
    let password = database_password(data_dir, config)?;
    db::form_of_server(&config.database_url, password.as_ref().map(|line| line.as_str())).await.map_err(during)
}

/// The first line of `database.password_file`.
fn database_password(data_dir: &Path, config: &Config) -> Result<Option<Zeroizing<String>>, AppError> {
    if config.database_password_file.is_empty() {
        return Ok(None);
    }
    let text = Zeroizing::new(file_read(&data_dir.join(&config.database_password_file))?);
    Ok(Some(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())))
}

fn file_read(path: &Path) -> Result<String, AppError> {
    std::fs::read_to_string(path).map_err(file_error("reading", path))
}

fn file_error(during: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> AppError {
    let path = PathBuf::from(path);
    move |cause| AppError::File { during, path, cause }
}
