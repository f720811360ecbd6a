//! The use cases: what an activation, a backup, a restore or an admin's command does, from permit to audit row.
//! Refuses HTTP, wire types and rules: rules are in `control`, statements in `db`, bytes in `format` and `store`.
//! Use cases are free functions that take `&App`; `App` holds what is constructed once.

pub mod activation;
mod actor;
pub mod admins;
pub mod age;
pub mod audit;
pub mod backup;
pub mod campaigns;
mod cards;
mod certificate;
pub mod collect;
pub mod config;
pub mod conflicts;
mod counters;
pub mod credentials;
pub mod csv;
mod damage;
pub mod database;
pub mod desk;
pub mod device_map;
pub mod devices;
mod effects;
mod error;
pub mod folders;
mod frames;
pub mod guard;
pub mod holds;
pub mod idempotency;
pub mod identity;
pub mod init;
pub mod jobs;
pub mod keys;
pub mod lanes;
mod listing;
pub mod mail;
pub mod migrate;
mod numbered;
pub mod page;
pub mod password;
pub mod passwords;
pub mod plane;
pub mod policy;
pub mod profiles;
pub mod quota;
pub mod rates;
mod recent;
pub mod recovery;
pub mod repair;
pub mod restore;
pub mod retention;
pub mod runs;
pub mod scrub;
mod secret_text;
pub mod session;
pub mod snapshots;
mod standing;
pub mod states;
pub mod storage;
mod stores;
pub mod support_bundles;
pub mod tickets;
pub mod tokens;
pub mod users;
pub mod watch;

pub use actor::{AdminActor, CredentialActor, DeviceActor, Doer};
pub use config::Config;
pub use db::{ConflictKind, ConflictStatus, DeviceAbout, PolicySubject};
pub use error::{AppError, BROKEN_RETRY, chain, retry_said, there_is_no};
pub use secret_text::SecretText;

use base::{Clock, Entropy};
use db::Db;
use std::path::Path;
use std::sync::Arc;
use store::Store;

/// What is constructed once and lent to every use case.
pub struct App {
    /// The database.
    pub db: Db,
    /// The object store.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The keys, open.
    pub keys: keys::Keys,
    /// What opens them.
    pub(crate) master: keys::MasterKey,
    /// What the operator chose.
    pub config: Config,
    /// What is known of devices' states for a moment.
    pub states: states::DeviceStates,
    /// And of credentials of the admin API.
    pub credentials: credentials::Credentials,
    /// What computes the hashes of passwords.
    pub passwords: password::Passwords,
    /// What uploads, commits and restores share.
    pub plane: plane::DataPlane,
    /// How many requests of each kind are worked on.
    pub lanes: lanes::Lanes,
    /// Who else knows people.
    pub identity: identity::Identity,
    /// The way to the mail server; `None` when none is set, and no mail is sent.
    pub mailer: Option<Arc<dyn mail::Mailer>>,
    /// SHA-256 of the certificate that devices pin, as 64 hexadecimal digits; empty where there is none to be read.
    pub ca_fingerprint: String,
}

/// How a data directory is opened.
#[derive(Debug, Default)]
pub struct Opening {
    /// The master key, where it is in no file: 64 hexadecimal digits.
    pub master_key: Option<SecretText>,
    /// Whether database and store may be apart: for what looks at that, or mends it.
    pub is_unmatched: bool,
}

impl App {
    /// Opens a data directory that `init` has made, of which database and store belong together.
    ///
    /// # Errors
    /// `not_initialised`; `keys_exposed`, `keys_foreign`; as `age::compare`; a configuration, key, database or store
    /// that cannot be read.
    pub async fn open(data_dir: &Path, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<App, AppError> {
        Self::open_as(data_dir, Opening::default(), clock, entropy).await
    }

    /// The same, with the master key from elsewhere, or whether or not database and store belong together.
    ///
    /// # Errors
    /// As `open`.
    pub async fn open_as(
        data_dir: &Path,
        opening: Opening,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<App, AppError> {
        init::initialised_or_refuse(data_dir)?;
        let config = Config::load(data_dir)?;
        let store = stores::open(data_dir, &config, &clock, &entropy).await?;
        let db = init::database_open(data_dir, &config).await?;
        standing::opened_or_refuse(&db).await?;
        let (master, keys) = keys::rotation_finish(data_dir, &config, opening.master_key.as_ref(), &db).await?;
        if !opening.is_unmatched {
            age::compare(&db, store.as_ref()).await?;
        }
        // Without it people are told less. What cannot go on without the certificates says so when it reads them.
        let ca_fingerprint = init::tls_files(data_dir).map(|files| files.ca_fingerprint).unwrap_or_default();
        let app = App::assembled(db, store, clock, entropy, (master, keys), config).await?;
        Ok(App { ca_fingerprint, ..app })
    }

    /// The same from parts, for tests and the simulator: the database has an installation, sealed by `master`.
    ///
    /// # Errors
    /// A repository whose keys do not open.
    pub async fn with(
        db: Db,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        master: keys::MasterKey,
        config: Config,
    ) -> Result<App, AppError> {
        let keys = keys::Keys::open(&db, &master).await?;
        App::assembled(db, store, clock, entropy, (master, keys), config).await
    }

    async fn assembled(
        db: Db,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        (master, keys): (keys::MasterKey, keys::Keys),
        config: Config,
    ) -> Result<App, AppError> {
        profiles::default_make(&db, entropy.as_ref(), clock.now()).await?;
        let passwords = password::Passwords::new(&config, entropy.as_ref());
        let states = states::DeviceStates::default();
        let credentials = credentials::Credentials::default();
        let plane = plane::DataPlane::new(&config);
        let lanes = lanes::Lanes::new(&config, &clock, &entropy);
        let identity = identity::Identity::default();
        let mailer = mail::SmtpSettings::of(&config)?.map(|settings| Arc::new(mail::Smtp::new(settings)) as _);
        Ok(App {
            db,
            store,
            clock,
            entropy,
            keys,
            master,
            config,
            states,
            credentials,
            passwords,
            plane,
            lanes,
            identity,
            mailer,
            ca_fingerprint: String::new(),
        })
    }
}
