//! The switch: from one moment on the installation is at the target, and at the source no more. Refuses while a server
//! may be at work at the source, and where anything has changed there since the last pass began.

use super::claim::{self, Claim};
use super::ends::Ends;
use super::objects::changed;
use super::{Listener, Progress};
use crate::audit::{self, Deed};
use crate::{AdminActor, AppError, age, jobs, keys, standing};
use base::{Clock, Span, Timestamp};
use db::{Db, InstallationRow, MoveRow, Standing, Tx};
use format::Age;

/// How long a server that was killed is taken for one that runs.
const KILLED_SPAN: Span = Span::seconds(30);
/// How long a server that runs may hold no job: another has just been stopped and has given its own back.
const IDLE_SPAN: Span = Span::ms(jobs::RENEW.as_ms() + 2_000);
/// How often it is looked whether one does.
const LOOK_SPAN: Span = Span::seconds(1);

/// What tells whether a database was used: a server that starts comes to another age, a command leaves a row in the
/// log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    row: InstallationRow,
    log: Option<(u64, [u8; 32])>,
}

impl Seen {
    /// # Errors
    /// The database does not answer.
    pub(super) async fn of(db: &Db) -> Result<Self, AppError> {
        let mut tx = db.read().await.map_err(AppError::db("reading the installation"))?;
        Self::in_tx(&mut tx).await
    }

    async fn in_tx(tx: &mut Tx) -> Result<Self, AppError> {
        let during = || AppError::db("reading the installation");
        let row = db::installation_get(tx).await.map_err(during())?.ok_or_else(keys::missing)?;
        Ok(Self { row, log: db::audit_head_get(tx).await.map_err(during())? })
    }
}

/// Fails while a server is at work. One that runs takes every job that nobody holds: nobody must have held any for as
/// long as it takes at most until it has looked again.
///
/// # Errors
/// `servers_running`; the database does not answer.
pub(super) async fn stopped_or_refuse(db: &Db, clock: &dyn Clock, progress: &mut Listener<'_>) -> Result<(), AppError> {
    let ends = clock.now() + IDLE_SPAN;
    loop {
        progress(Progress::Watches { left: ends.since(clock.now()) });
        let mut tx = db.read().await.map_err(AppError::db("looking whether a server runs"))?;
        stopped_in_tx(&mut tx, clock.now()).await?;
        drop(tx);
        if clock.now() >= ends {
            return Ok(());
        }
        clock.sleep(LOOK_SPAN).await;
    }
}

async fn stopped_in_tx(tx: &mut Tx, now: Timestamp) -> Result<(), AppError> {
    let held = db::job_lease_held_get(tx, now).await.map_err(AppError::db("looking whether a server runs"))?;
    if held.is_none() {
        return Ok(());
    }
    let sentence = "A server still runs at the source, or was killed less than 30 seconds ago. The last pass begins \
                    when every server is stopped: stop them, and ask again. Nothing was changed.";
    Err(AppError::unavailable("servers_running", sentence, KILLED_SPAN))
}

/// Has the installation be at the target.
///
/// # Errors
/// `servers_running`, `source_changed`, `migrate_overtaken`; a database or a store that does not answer.
pub(super) async fn over(ends: &Ends, claim: &Claim, seen: &Seen, clock: &dyn Clock) -> Result<(), AppError> {
    let (source, target) = (&ends.source, &ends.target);
    let during = || AppError::db("leaving the source");
    let now = clock.now();
    let number = seen.row.age.max(age::last(source.store.as_ref()).await?.unwrap_or(0)) + 1;
    let nonce = nonce(&claim.id);
    if ends.moves.database {
        // The row as it is at the source, a further age: by that, whoever still has the source finds out.
        let mut tx = target.db.write().await.map_err(during())?;
        claim.need(&mut tx).await?;
        let moved = MoveRow { standing: Standing::Arriving, id: Some(claim.id), ..MoveRow::default() };
        let row = InstallationRow { age: number, age_nonce: nonce, age_next: None, moved, ..seen.row.clone() };
        db::installation_remove(&mut tx).await.map_err(during())?;
        db::installation_insert(&mut tx, &row).await.map_err(during())?;
        tx.commit().await.map_err(during())?;
    }
    // ORDER: the source is left before the target can be served at: at no moment both can, at some none.
    let mut tx = source.db.write().await.map_err(during())?;
    // RACE: under the write lock. A server that was started meanwhile has come to another age, and waits no longer.
    stopped_in_tx(&mut tx, now).await?;
    if Seen::in_tx(&mut tx).await? != *seen {
        return Err(changed());
    }
    let standing = if ends.moves.database { Standing::Left } else { Standing::Arriving };
    if !ends.moves.database {
        // The database is the target's too. With the next age it fits the old store no more.
        db::installation_age_taken_update(&mut tx, number, &nonce).await.map_err(during())?;
    }
    let moved = MoveRow { standing, id: Some(claim.id), to: ends.to(), at: Some(now) };
    db::installation_move_update(&mut tx, &moved).await.map_err(during())?;
    tx.commit().await.map_err(during())?;
    arrive(ends, &moved, clock).await
}

/// Goes on with a switch that was interrupted after the source was left.
///
/// # Errors
/// `installation_moved`, `migrate_unfinished`: it was another; a database or a store that does not answer.
pub(super) async fn go_on(ends: &Ends, row: &InstallationRow, clock: &dyn Clock) -> Result<(), AppError> {
    let during = || AppError::db("looking how far the target is");
    let mut tx = ends.target.db.read().await.map_err(during())?;
    let there = db::installation_get(&mut tx).await.map_err(during())?.and_then(|there| there.moved.id);
    drop(tx);
    if there.is_none() || there != row.moved.id || row.moved.to != ends.to() {
        return Err(standing::here_or_refuse(row).expect_err("it is not here"));
    }
    arrive(ends, &row.moved, clock).await
}

/// The end: the store comes to the age of its database, and the installation is there. May be repeated.
async fn arrive(ends: &Ends, moved: &MoveRow, clock: &dyn Clock) -> Result<(), AppError> {
    let target = &ends.target;
    let during = || AppError::db("arriving at the target");
    let row = target.row().await?;
    if ends.moves.store {
        claim::clear(target.store.as_ref()).await?;
    }
    if row.moved.standing == Standing::Here {
        return Ok(());
    }
    age::put(target.store.as_ref(), &Age { number: row.age, installation: row.id, nonce: row.age_nonce }).await?;
    let mut tx = target.db.write().await.map_err(during())?;
    let here = MoveRow { standing: Standing::Here, ..moved.clone() };
    db::installation_move_update(&mut tx, &here).await.map_err(during())?;
    let (subject, detail) = (row.id.to_string(), format!("to {}", moved.to));
    let deed = Deed { action: "server_migrate", subject, detail, ..Deed::by(&AdminActor::Command) };
    audit::write(&mut tx, clock.now(), deed).await?;
    tx.commit().await.map_err(during())?;
    age::clear(target.store.as_ref(), row.age).await?;
    age::compare(&target.db, target.store.as_ref()).await
}

/// The nonce of the age by which a migrate ends: known to both ends, so that each can tell whether the other has come
/// any further. Never fails.
pub(super) fn nonce(id: &[u8; 16]) -> [u8; 32] {
    blake3::derive_key("holdfast 2026 v1 age of a migrate", id)
}
