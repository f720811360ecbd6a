//! Commits per second for 1, 8 and 64 writers side by side, then the statements that look up and insert chunks by the
//! thousand. `cargo run --release --example group_commit -p db -- DIR|postgres://…`; refuses nothing: it is a ruler.

#![expect(clippy::print_stdout, reason = "what it finds out is for a person")]

use base::{Bytes, Entropy, RepositoryId, RunId, SeededEntropy, Timestamp};
use db::{ChunkRow, Db, PackNew};
use format::{ChunkId, ChunkKind, PackId};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

const SPAN: Duration = Duration::from_secs(3);
const CHUNKS: usize = 20_000;
const LOOKUPS: usize = 8_192;

#[tokio::main]
async fn main() -> Result<(), db::DbError> {
    let place = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let db = match place.starts_with("postgres:") {
        true => Db::connect(&place, None).await?,
        false => Db::open(&Path::new(&place).join("group_commit.db")).await?,
    };
    let entropy = Arc::new(SeededEntropy::new(std::process::id().into()));
    for writers in [1, 8, 64] {
        let (commits, slowest) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let began = Instant::now();
        let task = |_| {
            let (db, entropy) = (db.clone(), Arc::clone(&entropy));
            let (commits, slowest) = (Arc::clone(&commits), Arc::clone(&slowest));
            tokio::spawn(async move {
                while began.elapsed() < SPAN {
                    let asked = Instant::now();
                    commit(&db, entropy.as_ref()).await?;
                    commits.fetch_add(1, Ordering::Relaxed);
                    slowest.fetch_max(asked.elapsed().as_micros() as u64, Ordering::Relaxed);
                }
                Ok::<(), db::DbError>(())
            })
        };
        let tasks: Vec<_> = (0..writers).map(task).collect();
        for task in tasks {
            task.await.expect("no writer panics")?;
        }
        let rate = commits.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
        let slowest = slowest.load(Ordering::Relaxed) as f64 / 1e3;
        println!("{writers:>3} writers: {rate:>8.0} commits a second, the slowest in {slowest:.1} ms");
    }
    batches(&db, entropy.as_ref()).await
}

/// One small transaction, as a session or a commit of a run has it.
async fn commit(db: &Db, entropy: &dyn Entropy) -> Result<(), db::DbError> {
    let mut tx = db.write().await?;
    db::repository_insert(&mut tx, RepositoryId::mint(entropy), Timestamp::from_ms(0)).await?;
    tx.commit().await
}

async fn batches(db: &Db, entropy: &dyn Entropy) -> Result<(), db::DbError> {
    let mut tx = db.write().await?;
    let repository = db::repository_insert(&mut tx, RepositoryId::mint(entropy), Timestamp::from_ms(0)).await?;
    let random = || {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        bytes
    };
    let pack = PackNew {
        id: PackId::from_bytes(random()),
        repository,
        run: RunId::mint(entropy),
        bytes: Bytes(1),
        header: [0; 64],
        created_at: Timestamp::from_ms(0),
    };
    let pack = db::pack_insert(&mut tx, &pack).await?;
    let chunk = |_| ChunkRow { id: ChunkId::from_bytes(random()), kind: ChunkKind::Content, frame: 1, at: 2, len: 3 };
    let chunks: Vec<ChunkRow> = (0..CHUNKS).map(chunk).collect();
    let began = Instant::now();
    db::chunk_insert(&mut tx, repository, pack, &chunks).await?;
    println!("{CHUNKS} chunks inserted in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    tx.commit().await?;
    let mut tx = db.read().await?;
    let asked: Vec<ChunkId> = chunks.iter().take(LOOKUPS).map(|chunk| chunk.id).collect();
    for _ in 0..3 {
        let began = Instant::now();
        let missing = db::chunk_claim_list(&mut tx, repository, &asked).await?.missing;
        println!("{LOOKUPS} look-ups in {:.1} ms, {} missing", began.elapsed().as_secs_f64() * 1e3, missing.len());
    }
    Ok(())
}
