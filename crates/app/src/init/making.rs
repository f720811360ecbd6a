//! The making of a data directory, for a new installation and for one that comes back. All is made in `.init` and then
//! moved. Refuses a directory that holds any of it.

use super::{CA_FILE, DATABASE_FILE, SERVER_FILE, STORE_DIR, database_open, file_error};
use crate::audit::{self, Deed};
use crate::config::CONFIG_FILE;
use crate::keys::{
    CA_KEY_FILE, KEYS_DIR, MASTER_KEY_FILE, MasterKey, SERVER_KEY_FILE, key_file_write, keys_dir_create,
};
use crate::password::{Password, Passwords, hash_now};
use crate::{AdminActor, AppError, Config, certificate, users};
use base::{AdminId, Entropy, Timestamp};
use control::password::PasswordPolicy;
use db::{AdminRow, Db, Tx};
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

const INIT_DIR: &str = ".init";
/// What a fresh configuration file says.
const CONFIG_TEXT: &str = "\
# Holdfast server. Every key has a default; `holdfast-server config` lists keys, defaults and meanings.
";
/// All that is made, in the order in which it is moved.
const MADE: [&str; 6] = [KEYS_DIR, CA_FILE, SERVER_FILE, STORE_DIR, DATABASE_FILE, CONFIG_FILE];

/// A data directory that is being made.
pub(crate) struct Making<'a> {
    data_dir: &'a Path,
    /// Where it is made.
    pub(crate) work: PathBuf,
    /// What the operator has written before: where database and store are.
    pub(crate) config: Config,
    /// The server's clock.
    pub(crate) now: Timestamp,
    is_configured: bool,
}

/// The first admin.
pub(crate) struct Admin<'a> {
    email: String,
    password: &'a Password,
}

impl<'a> Admin<'a> {
    /// # Errors
    /// `email_invalid`; `password_too_short`, `password_too_long`.
    pub(crate) fn new(email: &str, password: &'a Password) -> Result<Self, AppError> {
        let email = users::email_parse(email)?;
        PasswordPolicy::default().accepts(password.expose())?;
        Ok(Self { email, password })
    }
}

impl<'a> Making<'a> {
    /// Begins in a directory that holds nothing but a configuration file and what is in `kept`.
    ///
    /// # Errors
    /// `already_initialised`; `config_invalid`; a directory that cannot be made.
    pub(crate) fn begin(data_dir: &'a Path, kept: &[&str], now: Timestamp) -> Result<Self, AppError> {
        vacant_or_refuse(data_dir, kept)?;
        let is_configured = data_dir.join(CONFIG_FILE).exists();
        let config = Config::load(data_dir)?;
        let work = data_dir.join(INIT_DIR);
        if work.exists() {
            // A former attempt was interrupted: nothing of it has been used.
            std::fs::remove_dir_all(&work).map_err(file_error("removing", &work))?;
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&work)
            .map_err(file_error("making the directory", &work))?;
        Ok(Self { data_dir, work, config, now, is_configured })
    }

    /// The directory of keys, with the master key where it is in a file.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(crate) fn keys(&self, master: Option<&MasterKey>) -> Result<(), AppError> {
        keys_dir_create(&self.work)?;
        master.map_or(Ok(()), |master| master.store(&self.work, MASTER_KEY_FILE))
    }

    /// The certificates: under this authority (its certificate and its key), or under a new one.
    ///
    /// # Errors
    /// `name_invalid`; `certificate_damaged`; a file that cannot be written.
    pub(crate) fn certificates(&self, authority: Option<(&str, &str)>, names: &[String]) -> Result<(), AppError> {
        let made = certificate::issue(self.now, authority, names)?;
        key_file_write(&self.work, CA_KEY_FILE, &made.ca_key)?;
        key_file_write(&self.work, SERVER_KEY_FILE, &made.server_key)?;
        file_write(&self.work.join(CA_FILE), &made.ca)?;
        file_write(&self.work.join(SERVER_FILE), &made.server)
    }

    /// The database, empty.
    ///
    /// # Errors
    /// A database that cannot be made or opened.
    pub(crate) async fn database(&self) -> Result<Db, AppError> {
        match self.config.database_url.is_empty() {
            true => database_file(&self.work.join(DATABASE_FILE)).await,
            false => database_open(self.data_dir, &self.config).await,
        }
    }

    /// Adds the first admin and commits.
    ///
    /// # Errors
    /// The database does not answer.
    pub(crate) async fn admin(
        &self,
        mut tx: Tx,
        admin: &Admin<'_>,
        action: &str,
        entropy: &dyn Entropy,
    ) -> Result<(), AppError> {
        let during = || AppError::db("making the database");
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let price = Passwords::new(&self.config, entropy).params();
        let password_hash = hash_now(admin.password, price, &salt);
        let (id, email, permits) = (AdminId::mint(entropy), admin.email.clone(), "all".to_owned());
        let row = AdminRow { id, email, password_hash, permits, created_at: self.now, disabled_at: None };
        db::admin_insert(&mut tx, &row).await.map_err(during())?;
        let (subject, detail) = (id.to_string(), "first admin".to_owned());
        let deed = Deed { action, subject, detail, ..Deed::by(&AdminActor::Command) };
        audit::write(&mut tx, self.now, deed).await?;
        tx.commit().await.map_err(during())
    }

    /// Closes the database and moves everything to its place.
    ///
    /// # Errors
    /// A file that cannot be written or moved.
    pub(crate) async fn end(self, db: Db) -> Result<(), AppError> {
        if !self.is_configured {
            file_write(&self.work.join(CONFIG_FILE), CONFIG_TEXT)?;
        }
        // Closing the last connection folds the write-ahead log into the file, so that the file alone can be moved.
        db.close().await;
        self.move_out()
    }

    /// ORDER: the configuration file is moved last, and the database before it: where they lie, everything else does.
    /// An operator's configuration file lies there already, and PostgreSQL's database has no file.
    fn move_out(&self) -> Result<(), AppError> {
        for name in MADE {
            let (from, to) = (self.work.join(name), self.data_dir.join(name));
            if !from.exists() {
                continue;
            }
            std::fs::rename(&from, &to).map_err(file_error("making", &to))?;
        }
        std::fs::remove_dir(&self.work).map_err(file_error("removing", &self.work))?;
        let directory = std::fs::File::open(self.data_dir).and_then(|directory| directory.sync_all());
        directory.map_err(file_error("writing", self.data_dir))
    }
}

fn vacant_or_refuse(data_dir: &Path, kept: &[&str]) -> Result<(), AppError> {
    let mut others = MADE.iter().filter(|name| **name != CONFIG_FILE && !kept.contains(name));
    match others.find(|name| data_dir.join(name).exists()) {
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
///
/// # Errors
/// It cannot be made, or is there.
pub(crate) async fn database_file(path: &Path) -> Result<Db, AppError> {
    // The file is made before the database is: SQLite gives its own files the permissions that it finds.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(file_error("making", path))?;
    Db::open(path).await.map_err(AppError::db("making the database"))
}

fn file_write(path: &Path, text: &str) -> Result<(), AppError> {
    let write = || {
        let mut file = std::fs::File::create_new(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(file_error("writing", path))
}
