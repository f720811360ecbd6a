//! Rebuild: a data directory and a database anew, from the store and the recovery kit. Refuses a directory and a
//! database that hold anything, and to serve anybody before it is finished. One that was interrupted goes on where it
//! was.

use crate::init::{self, Admin, Making};
use crate::keys::{self, MasterKey, keyring};
use crate::password::Password;
use crate::repair::{Options, Progress, Report, repair};
use crate::{App, AppError, Opening, SecretText, stores};
use base::{Clock, Entropy};
use std::path::Path;
use std::sync::Arc;

/// What a rebuild is told.
pub struct Rebuild<'a> {
    /// The data directory: it holds the `store` of before, or a `holdfast.toml` that names the bucket; and nothing
    /// else.
    pub data_dir: &'a Path,
    /// The first admin's address.
    pub admin_email: &'a str,
    /// The first admin's password.
    pub admin_password: &'a Password,
    /// Names and addresses that the server's certificate is good for.
    pub names: &'a [String],
    /// The key of the recovery kit.
    pub key: &'a MasterKey,
    /// The master key, where it is in no file; it must be the kit's.
    pub master_key: Option<&'a SecretText>,
}

/// What came back.
#[derive(Debug)]
pub struct Rebuilt {
    /// SHA-256 of the certificate that devices pin: the same as before.
    pub ca_fingerprint: String,
    /// What the store had.
    pub report: Report,
}

/// The name of the legal hold that keeps everything that came back: which policies held is not known.
pub const HOLD: &str = "recovered from the store";

/// Makes the data directory anew, and takes in everything that the store has.
///
/// # Errors
/// `already_initialised`; `keyring_missing`, `kit_foreign`; `email_invalid`, `password_too_short`, `name_invalid`; a
/// directory, a database or a store that cannot be used.
pub async fn rebuild(
    rebuild: &Rebuild<'_>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Rebuilt, AppError> {
    if !is_under_way(rebuild, clock, entropy).await? {
        make(rebuild, clock, entropy).await?;
    }
    let app = open(rebuild, clock, entropy).await?;
    let options = Options { apply: true, hold: Some(HOLD.to_owned()) };
    let report = repair(&app, &options, progress).await?;
    super::prepare(&app, rebuild.data_dir).await?;
    app.db.close().await;
    Ok(Rebuilt { ca_fingerprint: app.ca_fingerprint.clone(), report })
}

/// Whether an earlier rebuild of this directory was interrupted after it had made the database.
async fn is_under_way(
    rebuild: &Rebuild<'_>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<bool, AppError> {
    if init::initialised_or_refuse(rebuild.data_dir).is_err() || !rebuild.data_dir.join(keys::KEYS_DIR).exists() {
        return Ok(false);
    }
    let app = open(rebuild, clock, entropy).await?;
    let during = || AppError::db("reading the installation");
    let mut tx = app.db.read().await.map_err(during())?;
    let row = db::installation_get(&mut tx).await.map_err(during())?;
    drop(tx);
    app.db.close().await;
    // A whole one is refused by whoever makes one.
    Ok(row.is_some_and(|row| row.rebuild_at.is_some()))
}

/// The directory and the database, with the keys of the keyring and an admin.
async fn make(rebuild: &Rebuild<'_>, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Result<(), AppError> {
    let admin = Admin::new(rebuild.admin_email, rebuild.admin_password)?;
    let making = Making::begin(rebuild.data_dir, &[init::STORE_DIR], clock.now())?;
    let store = stores::open(rebuild.data_dir, &making.config, clock, entropy).await?;
    let ring = keyring::newest(store.as_ref(), rebuild.key).await?.ok_or_else(super::kit_foreign)?;
    let is_in_file = MasterKey::is_in_file(&making.config, rebuild.master_key);
    making.keys(is_in_file.then_some(rebuild.key))?;
    let authority_key = std::str::from_utf8(ring.authority_key.expose()).unwrap_or_default();
    let authority = (!ring.authority.is_empty()).then_some((ring.authority.as_str(), authority_key));
    making.certificates(authority, rebuild.names)?;
    let db = making.database().await?;
    let mut tx = db.write().await.map_err(AppError::db("making the database"))?;
    keys::restore(&mut tx, rebuild.key, &ring, entropy.as_ref(), making.now).await?;
    making.admin(tx, &admin, "recovery_rebuild", entropy.as_ref()).await?;
    making.end(db).await
}

async fn open(rebuild: &Rebuild<'_>, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Result<App, AppError> {
    let opening = Opening { master_key: rebuild.master_key.cloned(), is_unmatched: true };
    App::open_as(rebuild.data_dir, opening, Arc::clone(clock), Arc::clone(entropy)).await
}
