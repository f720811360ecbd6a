//! Objects that no row names: left by uploads and commits that ended between object and row, and by collections that
//! did not. Notes each when it is seen first, and lets it go once it cannot be named any more.
//! Refuses to let anything go that might be somebody's: a pack or a manifest of a run that is open, that was committed
//! or that nobody knows. The last two tell of a database that is older than its store; while there is one, no pack
//! goes.

use super::remove::RUN_AHEAD_MAX;
use super::{is_on_its_way, segment};
use crate::jobs::Held;
use crate::listing::{PAGE, Pages};
use crate::{App, AppError, scrub};
use base::{RunId, Timestamp};
use db::{RunStatus, Tx};
use format::{ObjectHeader, ObjectName as Named};
use store::ObjectName;

/// Looks at every object of the store, and then at the strays that were seen long enough ago.
///
/// # Errors
/// `job_taken_over`; a database or a store that does not answer.
pub(super) async fn look(app: &App, held: &Held<'_>) -> Result<(), AppError> {
    // A run that has outlived its lease ends for good: only then is it certain that it brings nothing more.
    let during = || AppError::db("ending runs");
    let mut tx = app.db.write().await.map_err(during())?;
    held.need(&mut tx).await?;
    let now = app.clock.now();
    db::run_expired_update(&mut tx, now, now + RUN_AHEAD_MAX).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    let mut pages = Pages::new(app.store.as_ref(), "", "listing objects");
    loop {
        if !held.goes_on(app).await? {
            return Ok(());
        }
        let Some(page) = pages.next().await? else { break };
        // The rows are read after the names: an object that was named meanwhile is no stray.
        let during = || AppError::db("looking objects up");
        let mut tx = app.db.read().await.map_err(during())?;
        let mut strays = Vec::new();
        let names: Vec<&str> = page.iter().map(|object| object.name.as_str()).collect();
        for name in scrub::strays(&mut tx, &names).await? {
            if !is_in_use(&mut tx, name).await? {
                strays.push(name);
            }
        }
        drop(tx);
        if !strays.is_empty() {
            let now = app.clock.now();
            let mut tx = app.db.write().await.map_err(during())?;
            held.need(&mut tx).await?;
            for name in &strays {
                db::stray_insert(&mut tx, name, now).await.map_err(during())?;
            }
            tx.commit().await.map_err(during())?;
        }
    }
    let_go(app, held).await
}

/// Whether it is a segment of a collection that goes on.
async fn is_in_use(tx: &mut Tx, name: &str) -> Result<bool, AppError> {
    let Some((repository, number)) = segment_of(name) else { return Ok(false) };
    let row = db::collection_get(tx, repository, number).await.map_err(AppError::db("looking a segment up"))?;
    Ok(row.is_some_and(|row| is_on_its_way(row.phase)))
}

/// The repository and the collection that a segment belongs to.
fn segment_of(name: &str) -> Option<(i64, i64)> {
    let mut parts = name.strip_prefix(segment::PREFIX)?.split('/');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Notes of old strays that they may go, and removes the notes of those that are none any more.
async fn let_go(app: &App, held: &Held<'_>) -> Result<(), AppError> {
    let during = || AppError::db("listing stray objects");
    let (mut after, mut go, mut known, mut is_doubtful) = (String::new(), Vec::new(), Vec::new(), false);
    loop {
        if !held.goes_on(app).await? {
            return Ok(());
        }
        let mut tx = app.db.read().await.map_err(during())?;
        let strays = db::stray_list(&mut tx, &after, PAGE as u32).await.map_err(during())?;
        drop(tx);
        let Some((last, _)) = strays.last() else { break };
        after.clone_from(last);
        for (name, seen_at) in strays {
            match fate(app, &name, seen_at).await? {
                Fate::Known => known.push(name),
                Fate::Go if go.len() < GO_MAX => go.push(name),
                Fate::Go | Fate::Stay => {}
                Fate::Doubtful => is_doubtful = true,
            }
        }
    }
    // INVARIANT: as long as one object tells of a database that is older than its store, no pack goes: what another run
    // has committed, and the database does not know, may rely on it.
    if is_doubtful {
        go.retain(|name| segment_of(name).is_some());
    }
    let all: Vec<(String, bool)> =
        go.into_iter().map(|name| (name, true)).chain(known.into_iter().map(|name| (name, false))).collect();
    for part in all.chunks(PAGE) {
        let mut tx = app.db.write().await.map_err(during())?;
        held.need(&mut tx).await?;
        for (name, goes) in part {
            if *goes {
                db::leaving_insert(&mut tx, name, app.clock.now()).await.map_err(during())?;
                tracing::info!("the object {name}, which nothing names, may go");
            }
            db::stray_remove(&mut tx, name).await.map_err(during())?;
        }
        tx.commit().await.map_err(during())?;
    }
    Ok(())
}

/// Strays that one look lets go.
const GO_MAX: usize = 10_000;

/// What becomes of a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is none any more.
    Known,
    /// It may go.
    Go,
    /// It stays.
    Stay,
    /// It stays, and says that the database may be older than the store.
    Doubtful,
}

async fn fate(app: &App, name: &str, seen_at: Timestamp) -> Result<Fate, AppError> {
    let Ok(object) = ObjectName::new(name) else { return Ok(Fate::Known) };
    let during = || AppError::db("looking an object up");
    let mut tx = app.db.read().await.map_err(during())?;
    if scrub::strays(&mut tx, &[name]).await?.is_empty() || is_in_use(&mut tx, name).await? {
        return Ok(Fate::Known);
    }
    drop(tx);
    // Nobody takes longer from the object to its row than a run lives.
    if app.clock.now() < seen_at + app.config.collect_grace + app.config.run_lease {
        return Ok(Fate::Stay);
    }
    let Some(size) = app.store.head(&object).await.map_err(AppError::store("looking at a stray object"))? else {
        return Ok(Fate::Known);
    };
    match name.parse() {
        // It may be all that tells of a device.
        Ok(Named::Card(device, _)) => {
            let mut tx = app.db.read().await.map_err(during())?;
            let is_known = db::device_card_get(&mut tx, device).await.map_err(during())?.is_some();
            Ok(if is_known { Fate::Go } else { Fate::Doubtful })
        }
        // A newer one has taken its place.
        Ok(Named::Keyring(_) | Named::Age(_)) => Ok(Fate::Go),
        Ok(named @ (Named::Pack(_) | Named::Manifest(..))) => {
            let len = (ObjectHeader::LEN as u64).min(size.0);
            let read = app.store.get_range(&object, 0, len).await;
            let read = read.map_err(AppError::store("looking at a stray object"))?;
            let is_pack = matches!(named, Named::Pack(_));
            match if is_pack { ObjectHeader::of_pack(&read) } else { ObjectHeader::of_manifest(&read) } {
                Ok(header) => of_run(app, header.run).await,
                // What is neither was never taken in; it is left for a person to look at.
                Err(_) => Ok(Fate::Stay),
            }
        }
        Err(_) if segment_of(name).is_some() => Ok(Fate::Go),
        Err(_) => Ok(Fate::Stay),
    }
}

/// What becomes of an old stray of this run.
async fn of_run(app: &App, run: RunId) -> Result<Fate, AppError> {
    let during = || AppError::db("reading the run of a stray object");
    let mut tx = app.db.read().await.map_err(during())?;
    if let Some(row) = db::collection_get_by_run(&mut tx, run).await.map_err(during())? {
        return Ok(if is_on_its_way(row.phase) { Fate::Stay } else { Fate::Go });
    }
    let row = db::run_get(&mut tx, run).await.map_err(during())?;
    Ok(match row.map(|row| row.status) {
        // INVARIANT: a run that has ended never opens again, so no request of it will name the object.
        Some(RunStatus::Aborted | RunStatus::Superseded) => Fate::Go,
        Some(RunStatus::Open) => Fate::Stay,
        Some(RunStatus::Committed) | None => Fate::Doubtful,
    })
}
