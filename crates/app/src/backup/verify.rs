//! Verify: which of the packs that a device has sent the server does not have from this run.
//! Refuses packs of other runs: what another run sent does not count here.

use super::{bitmap, few_or_refuse};
use crate::{App, AppError, DeviceActor, runs};
use base::RunId;
use control::access::Verb;
use db::RunPurpose;
use format::PackId;

/// A bitmap with a bit for each of `packs`, set when it must be sent again (bit `i` is bit `i % 8` of byte `i / 8`).
///
/// # Errors
/// As `runs::admit`; `request_too_large`.
pub async fn verify(app: &App, actor: &DeviceActor, run: RunId, packs: &[PackId]) -> Result<Vec<u8>, AppError> {
    few_or_refuse(packs.len())?;
    runs::admit(app, actor, run, Some(RunPurpose::Backup), Verb::Append).await?;
    app.plane.received_add(run, base::Bytes(packs.len() as u64 * 32));
    let during = || AppError::db("looking packs up");
    let mut tx = app.db.read().await.map_err(during())?;
    let missing = db::pack_missing_list(&mut tx, run, packs).await.map_err(during())?;
    Ok(bitmap(packs.len(), &missing))
}
