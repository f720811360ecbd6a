//! Snapshots: each manifest opens, and each tree holds to its ends, whatever was found before.
//! Refuses to trust table `closed`.

use super::{BadFrames, LISTED_MAX, Problem, ProblemCode, Progress, Report};
use crate::backup::{Closure, Index};
use crate::snapshots;
use crate::{App, AppError};
use base::{Count, Kind};
use db::SnapshotRow;
use std::collections::HashMap;

/// Rows that are read at once.
const PAGE: u32 = 1_000;
/// The most files of one snapshot that are listed.
const FILES_MAX: usize = 1_000;

/// Looks at every snapshot that is known now, newest first.
pub(super) async fn scrub(
    app: &App,
    progress: &mut (dyn FnMut(Progress) + Send),
    report: &mut Report,
    bad: &BadFrames,
) -> Result<(), AppError> {
    // What one snapshot of a repository has been found to hold need not be followed again for the next.
    let mut walks: HashMap<i64, Closure<'_>> = HashMap::new();
    let mut before = None;
    loop {
        let during = || AppError::db("listing snapshots");
        let mut tx = app.db.read().await.map_err(during())?;
        let rows = db::snapshot_list(&mut tx, before, PAGE).await.map_err(during())?;
        drop(tx);
        let Some(last) = rows.last() else { return Ok(()) };
        before = Some(last.seq);
        for row in rows {
            let repository = row.new.repository;
            let walk = walks.entry(repository).or_insert_with(|| Closure::new(app, repository, Index::Scrub(bad)));
            let flaws = [manifest(app, &row).await?, tree(app, &row, walk).await?];
            let is_hurt = flaws[1].is_some();
            for (code, sentence) in flaws.into_iter().flatten() {
                report.add(Problem { code, subject: row.new.id.to_string(), sentence });
            }
            if is_hurt {
                report.snapshots_hurt.push(row.new.id);
                files(app, &row, walk, report).await?;
            }
            if is_hurt != row.fate.hurt_at.is_some() {
                note(app, &row, is_hurt).await?;
            }
            report.snapshots += Count(1);
            progress(Progress::Snapshots { done: report.snapshots });
        }
    }
}

/// Finds out which files of a hurt snapshot are, as many as the report lists.
async fn files(app: &App, row: &SnapshotRow, walk: &Closure<'_>, report: &mut Report) -> Result<(), AppError> {
    let room = LISTED_MAX.saturating_sub(report.files_hurt.len()).min(FILES_MAX);
    let Ok(root) = app.keys.repository(row.new.repository)?.open_root(row.new.id, &row.new.root_sealed) else {
        return Ok(());
    };
    let hurt = walk.hurt(&root, room).await?;
    report.files_hurt_more |= hurt.more;
    report.files_hurt.extend(hurt.paths.into_iter().map(|path| (row.new.id, path)));
    Ok(())
}

/// Notes that a snapshot is hurt, so that it stands for no week and no month, or that it is whole again.
async fn note(app: &App, row: &SnapshotRow, is_hurt: bool) -> Result<(), AppError> {
    let during = || AppError::db("noting that a snapshot is hurt");
    let mut tx = app.db.write().await.map_err(during())?;
    let hurt_at = is_hurt.then(|| app.clock.now());
    db::snapshot_hurt_update(&mut tx, row.new.id, hurt_at).await.map_err(during())?;
    if !is_hurt {
        // What is whole again is given up by nobody.
        db::snapshot_given_up_update(&mut tx, row.new.id, None).await.map_err(during())?;
    }
    tx.commit().await.map_err(during())
}

/// What is wrong with the manifest of a snapshot. Nothing is lost with it: the database has what a restore needs.
async fn manifest(app: &App, row: &SnapshotRow) -> Result<Option<(ProblemCode, String)>, AppError> {
    let damaged = |sentence: &str| Ok(Some((ProblemCode::ManifestDamaged, sentence.to_owned())));
    let manifest = match snapshots::manifest(app, row).await {
        Ok(manifest) => manifest,
        Err(error) if error.kind() == Kind::Damaged => {
            return damaged("Its manifest is not in the store, or not the bytes that were stored.");
        }
        Err(error) => return Err(error),
    };
    let new = &row.new;
    let agree = manifest.snapshot == new.id
        && manifest.device == new.device
        && manifest.root.id() == new.root
        && manifest.totals == new.totals;
    if agree { Ok(None) } else { damaged("Its manifest says something else of it than the database.") }
}

/// What cannot be restored of a snapshot, or the first of it.
async fn tree(app: &App, row: &SnapshotRow, walk: &mut Closure<'_>) -> Result<Option<(ProblemCode, String)>, AppError> {
    let hurt = |sentence: String| Ok(Some((ProblemCode::SnapshotHurt, sentence)));
    let root = match app.keys.repository(row.new.repository)?.open_root(row.new.id, &row.new.root_sealed) {
        Ok(root) if root.id() == row.new.root => root,
        Ok(_) | Err(_) => return hurt("The name of its root tree is damaged in the database.".to_owned()),
    };
    match walk.walk(&root).await? {
        Ok(totals) if totals == row.new.totals => Ok(None),
        Ok(_) => hurt("It holds another number of entries, files or bytes than the database says.".to_owned()),
        Err(broken) => hurt(format!("It cannot be restored whole: {broken}.")),
    }
}
