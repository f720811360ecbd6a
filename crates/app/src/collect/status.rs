//! What collections found and did, what can be had back now, and when the rest; and the word that starts one.
//! Refuses estimates where there are facts: a date is given for what is condemned, and a reason for what waits.

use super::job;
use crate::audit::{self, Deed};
use crate::jobs::due;
use crate::{AdminActor, App, AppError};
use base::{Bytes as Size, Count, RepositoryId, Span, Timestamp};
use control::Permit;
use db::{CollectionPhase, CollectionRow, RunAwaitedRow};

/// Collections of a repository that are shown.
const SHOWN: u32 = 10;

/// How things stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// When the next collection begins; `None` where only an admin starts one.
    pub next_at: Option<Timestamp>,
    /// The collections of every repository, the newest first.
    pub collections: Vec<Collected>,
    /// What is condemned and not removed yet, the oldest first.
    pub waiting: Vec<Waiting>,
}

/// One collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The repository.
    pub repository: RepositoryId,
    /// How far it is, and what it found and did.
    pub row: CollectionRow,
}

/// What a collection has condemned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The repository.
    pub repository: RepositoryId,
    /// The number of the collection.
    pub number: i64,
    /// Packs that are still condemned.
    pub packs: Count,
    /// Their bytes.
    pub bytes: Size,
    /// When the grace is over.
    pub after: Timestamp,
    /// How many runs that began before are open.
    pub runs: Count,
    /// The one of them that began first.
    pub oldest: Option<RunAwaitedRow>,
}

/// How collections stand.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn status(app: &App, actor: &AdminActor) -> Result<Status, AppError> {
    actor.need(Permit::RepositoryCollect)?;
    let during = || AppError::db("reading how collections stand");
    let mut tx = app.db.read().await.map_err(during())?;
    let now = app.clock.now();
    let (mut next_at, mut collections, mut waiting) = (None, Vec::new(), Vec::new());
    for keys in app.keys.repositories() {
        let (repository, seq) = (keys.id, keys.seq);
        let state = db::job_state_get(&mut tx, &job(seq)).await.map_err(during())?;
        let due = state.map(|state| state.due).filter(|at| *at != due::FAR);
        next_at = next_at.into_iter().chain(due).min();
        let rows = db::collection_list(&mut tx, seq, SHOWN).await.map_err(during())?;
        collections.extend(rows.into_iter().map(|row| Collected { repository, row }));
        for row in db::collection_list_open(&mut tx, seq).await.map_err(during())? {
            if !matches!(row.phase, CollectionPhase::Wait | CollectionPhase::Remove) {
                continue;
            }
            let number = row.number;
            let (packs, bytes) = db::pack_condemned_get(&mut tx, seq, number).await.map_err(during())?;
            if packs == Count(0) {
                // Whoever used it has taken all of it back.
                continue;
            }
            let (runs, oldest) = db::run_awaited_get(&mut tx, seq, number, now).await.map_err(during())?;
            let grace = if row.phase == CollectionPhase::Wait { app.config.collect_grace } else { Span::ZERO };
            let after = row.phase_at + grace;
            waiting.push(Waiting { repository, number, packs, bytes, after, runs, oldest });
        }
    }
    Ok(Status { next_at, collections, waiting })
}

/// Has a collection begin as soon as none is under way.
///
/// # Errors
/// `not_permitted`; the database does not answer.
pub async fn start(app: &App, actor: &AdminActor) -> Result<(), AppError> {
    actor.need(Permit::RepositoryCollect)?;
    let now = app.clock.now();
    let during = || AppError::db("starting a collection");
    let mut tx = app.db.write().await.map_err(during())?;
    for keys in app.keys.repositories() {
        due::set(&mut tx, &job(keys.seq), now, now).await?;
    }
    let deed = Deed { action: "collection_start", subject: "repository".to_owned(), ..Deed::by(actor) };
    audit::write(&mut tx, now, deed).await?;
    tx.commit().await.map_err(during())
}
