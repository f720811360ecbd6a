//! Objects that no row names: left by uploads and commits that ended between object and row, and by collections that
//! did not. Notes each when it is seen first, and lets it go once it cannot be named any more.
//! Refuses to let anything go that might be somebody's: an object of a run that is open, that was committed or that
//! nobody knows, and all packs of a run that left a manifest. Such objects tell of a database that is older than its
//! store, and `repair` takes them in again.

use super::segment;
use crate::jobs::Held;
use crate::scrub::is_named;
use crate::{App, AppError};
use base::{RunId, Timestamp};
use db::{CollectionPhase, RunStatus, Tx};
use format::object::MANIFESTS_PREFIX;
use format::{ObjectHeader, ObjectName as Named};
use store::ObjectName;

/// Names that are read at once.
const PAGE: usize = 1_000;

/// Looks at every object of the store, and then at the strays that were seen long enough ago.
///
/// # Errors
/// `job_taken_over`; a database or a store that does not answer.
pub(super) async fn look(app: &App, held: &Held<'_>) -> Result<(), AppError> {
    let mut after = None;
    loop {
        if !held.goes_on(app).await? {
            return Ok(());
        }
        let page = app.store.list("", after.as_ref(), PAGE).await.map_err(AppError::store("listing objects"))?;
        // The rows are read after the names: an object that was named meanwhile is no stray.
        let during = || AppError::db("looking objects up");
        let mut tx = app.db.read().await.map_err(during())?;
        let mut strays = Vec::new();
        for object in &page {
            let name = object.name.as_str();
            if !is_known(&mut tx, name).await? {
                strays.push(object.name.clone());
            }
        }
        drop(tx);
        if !strays.is_empty() {
            let now = app.clock.now();
            let mut tx = app.db.write().await.map_err(during())?;
            held.need(&mut tx).await?;
            for name in &strays {
                db::stray_insert(&mut tx, name.as_str(), now).await.map_err(during())?;
            }
            tx.commit().await.map_err(during())?;
        }
        if page.len() < PAGE {
            break;
        }
        after = page.into_iter().last().map(|object| object.name);
    }
    let_go(app, held).await
}

async fn is_known(tx: &mut Tx, name: &str) -> Result<bool, AppError> {
    let during = || AppError::db("looking an object up");
    if db::leaving_get(tx, name).await.map_err(during())?.is_some() {
        return Ok(true);
    }
    match segment_of(name) {
        Some((repository, number)) => {
            let row = db::collection_get(tx, repository, number).await.map_err(during())?;
            let marks = |phase| !matches!(phase, CollectionPhase::Ended | CollectionPhase::Abandoned);
            Ok(row.is_some_and(|row| marks(row.phase)))
        }
        None => is_named(tx, name).await,
    }
}

/// The repository and the collection that a segment belongs to.
fn segment_of(name: &str) -> Option<(i64, i64)> {
    let mut parts = name.strip_prefix(segment::PREFIX)?.split('/');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Notes of old strays that they may go, and forgets those that are none any more.
async fn let_go(app: &App, held: &Held<'_>) -> Result<(), AppError> {
    let during = || AppError::db("listing stray objects");
    let mut after = String::new();
    while held.goes_on(app).await? {
        let mut tx = app.db.read().await.map_err(during())?;
        let strays = db::stray_list(&mut tx, &after, PAGE as u32).await.map_err(during())?;
        drop(tx);
        let Some((last, _)) = strays.last() else { break };
        after.clone_from(last);
        for (name, seen_at) in &strays {
            let fate = fate(app, name, *seen_at).await?;
            if fate == Fate::Stay {
                continue;
            }
            let mut tx = app.db.write().await.map_err(during())?;
            held.need(&mut tx).await?;
            if fate == Fate::Go {
                db::leaving_insert(&mut tx, name, app.clock.now()).await.map_err(during())?;
                tracing::info!("the object {name}, which nothing names, may go");
            }
            db::stray_remove(&mut tx, name).await.map_err(during())?;
            tx.commit().await.map_err(during())?;
        }
    }
    Ok(())
}

/// What becomes of a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is none any more.
    Known,
    /// It may go.
    Go,
    /// It stays.
    Stay,
}

async fn fate(app: &App, name: &str, seen_at: Timestamp) -> Result<Fate, AppError> {
    let Ok(object) = ObjectName::new(name) else { return Ok(Fate::Known) };
    let during = || AppError::db("looking an object up");
    let mut tx = app.db.read().await.map_err(during())?;
    if is_known(&mut tx, name).await? {
        return Ok(Fate::Known);
    }
    drop(tx);
    let Some(size) = app.store.head(&object).await.map_err(AppError::store("looking at a stray object"))? else {
        return Ok(Fate::Known);
    };
    // Nobody takes longer from the object to its row than a run lives.
    if app.clock.now() < seen_at + app.config.collect_grace + app.config.run_lease {
        return Ok(Fate::Stay);
    }
    if segment_of(name).is_some() {
        return Ok(Fate::Go);
    }
    let Ok(named) = name.parse::<Named>() else { return Ok(Fate::Stay) };
    let len = (ObjectHeader::LEN as u64).min(size.0);
    let header = app.store.get_range(&object, 0, len).await.map_err(AppError::store("looking at a stray object"))?;
    let Named::Pack(_) = named else {
        // A manifest is small, and may be all that tells of a snapshot.
        return Ok(Fate::Stay);
    };
    let Ok(header) = ObjectHeader::of_pack(&header) else { return Ok(Fate::Stay) };
    if is_over(app, header.run).await? { Ok(Fate::Go) } else { Ok(Fate::Stay) }
}

/// Whether a run has ended without a snapshot, for good, and left no manifest.
async fn is_over(app: &App, run: RunId) -> Result<bool, AppError> {
    let during = || AppError::db("reading the run of a stray object");
    let mut tx = app.db.read().await.map_err(during())?;
    let Some(row) = db::run_get(&mut tx, run).await.map_err(during())? else { return Ok(false) };
    drop(tx);
    // INVARIANT: a run that has ended never opens again, so no request of it will name the object.
    if !matches!(row.status, RunStatus::Aborted | RunStatus::Superseded) {
        return Ok(false);
    }
    let prefix = format!("{MANIFESTS_PREFIX}{}/", row.new.device);
    let mut after = None;
    loop {
        let during = || AppError::store("listing manifests");
        let page = app.store.list(&prefix, after.as_ref(), PAGE).await.map_err(during())?;
        for object in &page {
            let mut tx = app.db.read().await.map_err(AppError::db("looking a manifest up"))?;
            let named = is_named(&mut tx, object.name.as_str()).await?;
            drop(tx);
            if !named {
                let len = (ObjectHeader::LEN as u64).min(object.size.0);
                let header = app.store.get_range(&object.name, 0, len).await.map_err(during())?;
                if ObjectHeader::of_manifest(&header).is_ok_and(|header| header.run == run) {
                    return Ok(false);
                }
            }
        }
        if page.len() < PAGE {
            return Ok(true);
        }
        after = page.into_iter().last().map(|object| object.name);
    }
}
