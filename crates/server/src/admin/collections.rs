//! `/api/v1/collections`: how they stand, the word that starts one, and what one would find. Refuses to remove anything
//! in a request: that is a job.

use crate::admin::describe::Made;
use crate::admin::extract::AtAdmin;
use crate::admin::lines::{Lines, streamed};
use crate::admin::{Entry, get, post};
use crate::reply::{No, Reply, Yes};
use app::collect::{self, Collected, Found, Progress, Waiting};
use base::Timestamp;
use control::Permit;
use protocol::Text;
use protocol::admin::collection::{Collection, CollectionFound, CollectionLine, CollectionWaiting, Collections};

#[rustfmt::skip]
pub(super) fn routes() -> Vec<Entry> {
    use Permit::RepositoryCollect;
    vec![
        get("collection_list", "/api/v1/collections", RepositoryCollect,
            "The last collections, what they have found, and what waits to be removed.", list),
        post("collection_start", "/api/v1/collections/start", RepositoryCollect,
            "Have a collection begin as soon as none is under way.", start),
        post("collection_dry_run", "/api/v1/collections/dry-run", RepositoryCollect,
            "Find out what a collection would find now, and change nothing. The answer goes on.", dry_run).streamed(),
    ]
}

async fn list(at: AtAdmin) -> Reply<Collections> {
    collections(&at).await
}

async fn start(at: AtAdmin) -> Reply<Collections> {
    collect::start(&at.app, &at.actor).await?;
    collections(&at).await
}

async fn collections(at: &AtAdmin) -> Reply<Collections> {
    let status = collect::status(&at.app, &at.actor).await?;
    Ok(Yes(Collections {
        next_at_ms: status.next_at.map(Timestamp::as_ms),
        waiting: status.waiting.iter().map(waiting).collect(),
        collections: status.collections.into_iter().map(collection).collect(),
    }))
}

async fn dry_run(at: AtAdmin) -> Result<Made<Lines<CollectionLine>>, No> {
    let failed = |code, sentence| CollectionLine::Failed { code, sentence };
    Ok(streamed(at, FAILED, failed, |at, mut show| {
        Box::pin(async move {
            let mut show = |progress| {
                show(match progress {
                    Progress::Marks => CollectionLine::Marks,
                    Progress::Weighs { snapshots } => CollectionLine::Weighs { snapshots: snapshots.0 },
                });
            };
            Ok(CollectionLine::Found(found(collect::dry_run(&at.app, &at.actor, &mut show).await?)))
        })
    }))
}

const FAILED: &str = "The dry run ended early: the database or the store did not answer. The server's log says why.";

fn found(found: Found) -> CollectionFound {
    CollectionFound {
        snapshots: found.snapshots.0,
        flaws: found.flaws.0,
        chunks: found.chunks.0,
        chunks_live: found.chunks_live.0,
        bytes: found.bytes.0,
        packs_dead: found.packs_dead.0,
        bytes_dead: found.bytes_dead.0,
        bytes_waste: found.bytes_waste.0,
        packs_sparse: found.packs_sparse.0,
    }
}

fn waiting(waiting: &Waiting) -> CollectionWaiting {
    let oldest = waiting.oldest;
    CollectionWaiting {
        repository: Text(waiting.repository),
        number: waiting.number,
        packs: waiting.packs.0,
        bytes: waiting.bytes.0,
        after_ms: waiting.after.as_ms(),
        runs: waiting.runs.0,
        oldest_run: oldest.map(|oldest| Text(oldest.run)),
        oldest_device: oldest.map(|oldest| Text(oldest.device)),
        oldest_began_at_ms: oldest.map(|oldest| oldest.began_at.as_ms()),
        oldest_lease_until_ms: oldest.map(|oldest| oldest.lease_until.as_ms()),
    }
}

fn collection(Collected { repository, row }: Collected) -> Collection {
    let figures = row.figures;
    Collection {
        repository: Text(repository),
        number: row.number,
        phase: row.phase.word().to_owned(),
        begun_at_ms: row.begun_at.as_ms(),
        phase_at_ms: row.phase_at.as_ms(),
        snapshots: figures.snapshots.0,
        flaws: figures.flaws.0,
        chunks: figures.chunks.0,
        chunks_live: figures.chunks_live.0,
        bytes: figures.bytes.0,
        packs_condemned: figures.packs_condemned.0,
        bytes_condemned: figures.bytes_condemned.0,
        bytes_waste: figures.bytes_waste.0,
        packs_repacked: figures.packs_repacked.0,
        packs_removed: figures.packs_removed.0,
        bytes_removed: figures.bytes_removed.0,
    }
}
