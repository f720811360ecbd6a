//! Puts a report into the database, part by part, and lets the older ones go.
//! Refuses to show one before all of it is there.

use super::subjects::Subjects;
use super::{StorageFigures, StorageLevel, StorageTotals};
use crate::jobs::Held;
use crate::{App, AppError};

/// Rows that are written in one transaction.
const ROWS: usize = 1_000;

/// Writes a report; without subjects that take nothing.
///
/// # Errors
/// `job_taken_over`; the database does not answer.
pub(super) async fn write(
    app: &App,
    held: &Held<'_>,
    subjects: &Subjects,
    whole: &StorageFigures,
    totals: &StorageTotals,
) -> Result<(), AppError> {
    let during = || AppError::db("keeping a storage report");
    let mut tx = app.db.write().await.map_err(during())?;
    held.need(&mut tx).await?;
    let number = db::storage_report_insert(&mut tx, subjects.as_of, totals).await.map_err(during())?;
    db::storage_share_insert(&mut tx, number, StorageLevel::Whole, &[], whole).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    let Subjects { devices, users, profiles, .. } = subjects;
    for (level, of) in [(StorageLevel::Profile, profiles), (StorageLevel::User, users), (StorageLevel::Device, devices)]
    {
        let rows = of.ids.iter().zip(&of.figures).filter(|(_, figures)| **figures != StorageFigures::default());
        for part in rows.collect::<Vec<_>>().chunks(ROWS) {
            let mut tx = app.db.write().await.map_err(during())?;
            held.need(&mut tx).await?;
            for (id, figures) in part {
                db::storage_share_insert(&mut tx, number, level, &id[..], figures).await.map_err(during())?;
            }
            tx.commit().await.map_err(during())?;
        }
    }
    // ORDER: all of its rows are there before it is shown.
    let mut tx = app.db.write().await.map_err(during())?;
    held.need(&mut tx).await?;
    db::storage_report_ended_update(&mut tx, number, app.clock.now()).await.map_err(during())?;
    let old = db::storage_report_list_old(&mut tx).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    for number in old {
        let mut tx = app.db.write().await.map_err(during())?;
        db::storage_report_remove(&mut tx, number).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
    }
    Ok(())
}
