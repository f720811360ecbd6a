//! Objects of the store that nothing names: left by uploads and commits that ended between object and row.
//! Refuses to remove them: a backup that goes on may be about to name one.

use super::{Progress, Report};
use crate::collect::segment;
use crate::listing::Pages;
use crate::{App, AppError};
use base::Count;
use db::Tx;
use format::ObjectName;

/// Lists every object and looks for the row that names it.
pub(super) async fn scrub(
    app: &App,
    progress: &mut (dyn FnMut(Progress) + Send),
    report: &mut Report,
) -> Result<(), AppError> {
    let mut pages = Pages::new(app.store.as_ref(), "", "listing objects");
    let mut done = Count(0);
    while let Some(page) = pages.next().await? {
        // The rows are read after the names: an object that was named meanwhile is no orphan.
        let mut tx = app.db.read().await.map_err(AppError::db("looking objects up"))?;
        for object in &page {
            let name = object.name.as_str();
            let leaves = db::leaving_get(&mut tx, name).await.map_err(AppError::db("looking objects up"))?.is_some();
            if !leaves && !name.starts_with(segment::PREFIX) && !is_named(&mut tx, name).await? {
                report.add_orphan(object.name.to_string());
            }
        }
        drop(tx);
        done += Count::of(page.len());
        progress(Progress::Objects { done });
    }
    Ok(())
}

/// Whether a row names the object.
///
/// # Errors
/// The database does not answer.
pub(crate) async fn is_named(tx: &mut Tx, name: &str) -> Result<bool, AppError> {
    let during = || AppError::db("looking an object up");
    Ok(match name.parse() {
        Ok(ObjectName::Pack(pack)) => db::pack_get(tx, pack).await.map_err(during())?.is_some(),
        Ok(ObjectName::Manifest(device, snapshot)) => {
            let row = db::snapshot_get(tx, snapshot).await.map_err(during())?;
            row.is_some_and(|row| row.new.device == device)
        }
        Ok(ObjectName::Card(device, number)) => {
            let card = db::device_card_get(tx, device).await.map_err(during())?;
            card.is_some_and(|card| number >= card.number)
        }
        // What is newer than the row was written before a row that is on its way, or before a crash.
        Ok(ObjectName::Keyring(number)) => {
            let row = db::installation_get(tx).await.map_err(during())?;
            row.is_some_and(|row| number >= row.keyring)
        }
        Ok(ObjectName::Age(number)) => {
            let row = db::installation_get(tx).await.map_err(during())?;
            row.is_some_and(|row| number >= row.age)
        }
        Err(_) => false,
    })
}
