//! What brings an installation back: the keyring and the age in the store, the recovery kit in somebody's hands, and
//! the rebuild of a lost database from the two. Refuses to serve anybody before database, store and keys fit each
//! other.

mod kit;
mod rebuild;
mod trial;

pub use kit::Kit;
pub use rebuild::{HOLD, Rebuild, Rebuilt, rebuild};
pub use trial::{Trial, trial};

use crate::keys::keyring;
use crate::{App, AppError, age, chain, stores};
use control::Refusal;
use std::path::Path;

/// Has the store hold what a rebuild needs, before anybody is served.
///
/// # Errors
/// As `age::compare`; a file, a database or a store that does not answer. A store that is full is no error: what it has
/// can be read all the same.
pub async fn prepare(app: &App, data_dir: &Path) -> Result<(), AppError> {
    let prepared = async {
        age::advance(app).await?;
        keyring::ensure(app, data_dir).await
    };
    match prepared.await {
        Err(error) if error.code() == Refusal::StoreFull.code() => {
            tracing::warn!("the store is not prepared for a recovery: {}", chain(&error));
            Ok(())
        }
        prepared => prepared,
    }
}

/// The recovery kit of this installation. Never fails.
pub fn kit(app: &App, data_dir: &Path) -> Kit {
    Kit {
        installation: app.keys.installation,
        made_at: app.clock.now(),
        ca_fingerprint: app.ca_fingerprint.clone(),
        store: stores::place(data_dir, &app.config),
        key: Kit::key_text(&app.master),
    }
}

fn kit_foreign() -> AppError {
    let sentence = "This kit does not open the store: it is another installation's, or the master key was rotated \
                    since it was printed. `holdfast-server recovery kit` prints the one that counts.";
    AppError::conflict("kit_foreign", sentence)
}
