//! The two ends of a migrate: what the configuration of the data directory names, and what another file names that has
//! the same keys. Refuses tables of another release at either end, before anything is changed, and a target that is the
//! source.

use super::files;
use crate::init::{self, DATABASE_FILE};
use crate::keys::{self, Keys, MasterKey};
use crate::{AppError, Config, SecretText, stores};
use base::{Clock, Entropy};
use db::{Db, Form, InstallationRow};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Store;

/// What is to be moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// The database.
    pub database: bool,
    /// The store.
    pub store: bool,
}

/// One end: a database, a store, and the files of the data directory.
pub struct Side {
    /// The data directory: where the configuration lies, and every file that it names without a full path.
    pub data_dir: PathBuf,
    /// Its configuration.
    pub config: Config,
    /// The database.
    pub db: Db,
    /// The store.
    pub store: Arc<dyn Store>,
}

/// From where and where to. Where only one of database and store moves, both ends have the other.
pub struct Ends {
    /// Where the installation is.
    pub source: Side,
    /// Where it is to be.
    pub target: Side,
    /// What differs.
    pub moves: Moves,
    /// The master key, for a target whose configuration keeps it in a file; none from `Ends::of`.
    pub(super) master: Option<MasterKey>,
}

impl Ends {
    /// Opens both: the data directory, and what the file `to` names. Paths in that file count from where it lies, which
    /// is the target's data directory; what a data directory has by itself, the file of the database and the folder of
    /// objects, is there too.
    ///
    /// # Errors
    /// `not_initialised`, `config_invalid`; `target_same`, `target_taken`, `database_form_differs`; `keys_foreign`; a
    /// database or a store that does not answer or does not do.
    pub async fn open(
        data_dir: &Path,
        to: &Path,
        given: Option<&SecretText>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, AppError> {
        init::initialised_or_refuse(data_dir)?;
        let (config, next) = (Config::load(data_dir)?, Config::load_file(to)?);
        let lies_in = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (here, there) = (resolved(data_dir)?, resolved(lies_in)?);
        let moves = Moves {
            database: !is_same_database((&here, &config), (&there, &next)),
            store: !stores::is_same((&here, &config), (&there, &next)),
        };
        if moves == Moves::default() {
            return Err(same("Database and store of the target are those of the source"));
        }
        let form = if moves.database { init::database_form(&there, &next).await? } else { Form::Own };
        fits_or_refuse(form)?;
        let (source, master) = Side::open(data_dir, given, clock, entropy).await?;
        let (db, store) = (&source.db, &source.store);
        if !MasterKey::is_in_file(&next, given) {
            Keys::open(db, &MasterKey::load(&there, &next, given)?).await?;
        }
        let target_store = match moves.store {
            true => stores::open_or_create(&there, &next, clock, entropy).await?,
            false => Arc::clone(store),
        };
        let target_db = match moves.database {
            true => made(&there, &next).await?,
            false => db.clone(),
        };
        let master = MasterKey::is_in_file(&next, given).then_some(master);
        let target = Side { data_dir: there, config: next, db: target_db, store: target_store };
        Ok(Self { source, target, moves, master })
    }

    /// The same from parts, for tests: data directories are left alone. Never fails.
    pub fn of(source: Side, target: Side, moves: Moves) -> Self {
        Self { source, target, moves, master: None }
    }

    /// Where what moves goes, for a person. Never fails.
    pub(super) fn to(&self) -> String {
        let (database, store) = self.target.places();
        match (self.moves.database, self.moves.store) {
            (true, true) => format!("{database} and {store}"),
            (true, false) => database,
            (false, _) => store,
        }
    }

    /// Whether the ends share their data directory.
    pub(super) fn is_one_directory(&self) -> bool {
        self.source.data_dir == self.target.data_dir
    }

    /// Ends every connection. Never fails.
    pub async fn close(&self) {
        self.source.db.close().await;
        if self.moves.database {
            self.target.db.close().await;
        }
    }
}

impl Side {
    /// Opens the data directory where an installation is, or was, and gives its master key.
    ///
    /// # Errors
    /// As `Ends::open`.
    pub async fn open(
        data_dir: &Path,
        given: Option<&SecretText>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<(Self, MasterKey), AppError> {
        init::initialised_or_refuse(data_dir)?;
        let (data_dir, config) = (resolved(data_dir)?, Config::load(data_dir)?);
        own_or_refuse(init::database_form(&data_dir, &config).await?)?;
        let store = stores::open(&data_dir, &config, clock, entropy).await?;
        let db = init::database_open(&data_dir, &config).await?;
        let (master, _) = keys::rotation_finish(&data_dir, &config, given, &db).await?;
        Ok((Self { data_dir, config, db, store }, master))
    }

    /// Where database and store are, for a person. Never fails.
    pub fn places(&self) -> (String, String) {
        let database = match self.config.database_url.split(['?', '#']).next().unwrap_or_default() {
            "" => format!("the file {}", self.data_dir.join(DATABASE_FILE).display()),
            url => url.to_owned(),
        };
        (database, stores::place(&self.data_dir, &self.config))
    }

    /// What the database knows of its installation.
    pub(super) async fn row(&self) -> Result<InstallationRow, AppError> {
        let during = || AppError::db("reading the installation");
        let mut tx = self.db.read().await.map_err(during())?;
        db::installation_get(&mut tx).await.map_err(during())?.ok_or_else(keys::missing)
    }
}

/// Never fails.
pub(super) fn same(what: &str) -> AppError {
    let said = format!("{what}: there is nothing to move. Nothing was changed. Have --to name another place.");
    AppError::conflict("target_same", said)
}

fn resolved(folder: &Path) -> Result<PathBuf, AppError> {
    let failed = |cause| AppError::File { during: "looking at", path: folder.to_owned(), cause };
    std::fs::canonicalize(folder).map_err(failed)
}

fn is_same_database(one: (&Path, &Config), other: (&Path, &Config)) -> bool {
    match (one.1.database_url.as_str(), other.1.database_url.as_str()) {
        ("", "") => one.0 == other.0,
        (one, other) => one == other,
    }
}

/// The database of the target, made where there is none.
async fn made(data_dir: &Path, config: &Config) -> Result<Db, AppError> {
    let file = data_dir.join(DATABASE_FILE);
    if config.database_url.is_empty() && !file.exists() {
        return init::database_file(&file).await;
    }
    init::database_open(data_dir, config).await
}

/// The source is as this release has it, and is not brought there by the way: its servers may be of the one before.
fn own_or_refuse(form: Form) -> Result<(), AppError> {
    let said = match form {
        Form::Own => return Ok(()),
        Form::Empty | Form::Foreign => return Err(keys::missing()),
        Form::Older => "of an older release than this program: start its server once with this release, then migrate",
        Form::Newer => "of a newer release than this program: migrate with that release",
    };
    Err(differs("source", said))
}

fn fits_or_refuse(form: Form) -> Result<(), AppError> {
    match form {
        Form::Empty | Form::Own => Ok(()),
        Form::Foreign => Err(super::claim::taken("its database has tables that are none of Holdfast's")),
        Form::Older => Err(differs("target", "of an older release than this program: give an empty one")),
        Form::Newer => Err(differs("target", "of a newer release than this program: give an empty one")),
    }
}

fn differs(end: &str, said: &str) -> AppError {
    let sentence = format!("The database of the {end} is {said}. Nothing was changed.");
    AppError::conflict("database_form_differs", sentence)
}

/// Where the key files go. A place of its own, so that `Ends` need not be looked into.
pub(super) fn directories(ends: &Ends) -> Option<files::Directories<'_>> {
    if ends.is_one_directory() {
        return None;
    }
    Some(files::Directories { from: &ends.source.data_dir, to: &ends.target.data_dir, master: ends.master.as_ref() })
}
