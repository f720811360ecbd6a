//! Dedupe: asks the server which chunks it lacks, by the batch, and lets only those through. A chunk that was seen
//! before in this run is neither asked for nor sent again.

use super::{NewChunk, Plan};
use crate::ctx::Ctx;
use crate::error::EngineError;
use crate::ports::Remote;
use format::ChunkRef;
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use std::collections::HashSet;
use tokio::sync::mpsc::{Receiver, Sender};

/// Questions that are under way side by side, each with a batch of 2 MiB that waits for the answer: over a round trip
/// of 200 ms no more than 60 MB/s come through here.
const QUESTIONS_MAX: usize = 6;

pub(super) async fn ask(
    ctx: &Ctx,
    plan: &Plan,
    remote: &dyn Remote,
    mut chunks: Receiver<Vec<NewChunk>>,
    missing: Sender<Vec<NewChunk>>,
) -> Result<(), EngineError> {
    let mut seen = Seen::default();
    let mut questions = FuturesOrdered::new();
    let mut is_open = true;
    while is_open || !questions.is_empty() {
        tokio::select! {
            // What was answered goes on before anything more is asked: batches are held in number only where answers
            // are late, and not where a later step is.
            biased;
            Some(answer) = questions.next() => {
                let batch: Vec<NewChunk> = answer?;
                ctx.progress.add_chunks_new(batch.len() as u64);
                // A closed queue means that a later step ended with an error, which is the one to report.
                if !batch.is_empty() && missing.send(batch).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            batch = chunks.recv(), if is_open && questions.len() < QUESTIONS_MAX => match batch {
                Some(batch) => {
                    let fresh = batch.into_iter().filter(|chunk| seen.is_first(&chunk.chunk)).collect();
                    questions.push_back(question(plan, remote, fresh));
                }
                None => is_open = false,
            },
        }
    }
    Ok(())
}

async fn question(plan: &Plan, remote: &dyn Remote, batch: Vec<NewChunk>) -> Result<Vec<NewChunk>, EngineError> {
    let mut lacking = Vec::with_capacity(batch.len());
    let refs: Vec<ChunkRef> = batch.iter().map(|chunk| chunk.chunk).collect();
    for refs in refs.chunks(plan.limits.refs.max(1)) {
        let answer = remote.dedupe(refs).await.map_err(EngineError::Remote)?;
        if answer.len() != refs.len() {
            return Err(EngineError::Answer { step: "dedupe" });
        }
        lacking.extend(answer);
    }
    Ok(batch.into_iter().zip(lacking).filter_map(|(chunk, lacks)| lacks.then_some(chunk)).collect())
}

/// Which chunks this run has come by. Half a ref is kept of each: that two refs share a half does not happen, and
/// if it did, the server would miss a chunk at commit and say so.
#[derive(Default)]
struct Seen(HashSet<[u8; 16]>);

impl Seen {
    fn is_first(&mut self, chunk: &ChunkRef) -> bool {
        let half = chunk.as_bytes()[..16].try_into().expect("a ref has 32 bytes");
        self.0.insert(half)
    }
}
