//! Chunk: reads what is new or changed, cuts it, and names the chunks by what they hold. Small files are read by the
//! batch on the pool; a large file goes through in windows. Results come out in the scan's order, so that trees can
//! be put together (`assemble`). A file that changes while it is read is read once more, then reported.

mod large;
mod read;

use super::assemble::{Assembler, OpenDirectory};
use super::problems::Problems;
use super::scan::Batch;
use super::{NewChunk, Plan};
use crate::ctx::Ctx;
use crate::error::EngineError;
use crate::ports::{Source, TreeCache};
use format::{ChunkRef, Entry, StoredPath, Totals};
use futures::{StreamExt, stream};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender};

/// Batches that are read side by side, each at most about 4 MiB.
const READS_AHEAD_MAX: usize = 3;

/// What a step of the scan became.
enum Made {
    Enter(OpenDirectory),
    /// An entry as the parent snapshot has it.
    Known(Entry),
    /// A directory as the parent snapshot has it, and how much is beneath it.
    Untouched(Entry, Totals),
    /// The same of one that was looked at.
    Same(OpenDirectory, Totals),
    Entry(Entry, Vec<NewChunk>),
    /// A file too large, or too full of holes, to be read in one go.
    Large(StoredPath),
    /// An entry that could not be read.
    Problem(StoredPath, &'static str, String),
    /// A page of the parent's tree that could not be had.
    Lacking(ChunkRef),
    Leave {
        known_entries: usize,
    },
}

pub(super) async fn cut(
    ctx: &Ctx,
    plan: &Plan,
    source: &Arc<dyn Source>,
    cache: &dyn TreeCache,
    problems: &Problems,
    steps: Receiver<Batch>,
    chunks: Sender<Vec<NewChunk>>,
) -> Result<(ChunkRef, Totals), EngineError> {
    let mut assembler = Assembler::new(&plan.naming, cache, chunks);
    let reader =
        read::Reader { source: Arc::clone(source), naming: plan.naming.clone(), progress: Arc::clone(&ctx.progress) };
    let batches = stream::unfold(steps, async |mut steps| Some((steps.recv().await?, steps)));
    let read = batches.map(|batch| {
        let reader = reader.clone();
        ctx.cpu.run(move || reader.batch(batch))
    });
    let mut read = std::pin::pin!(read.buffered(READS_AHEAD_MAX));
    while let Some(batch) = read.next().await {
        for made in batch {
            match made {
                Made::Enter(directory) => assembler.enter(directory),
                Made::Leave { known_entries } => assembler.leave(known_entries).await?,
                Made::Lacking(page) => assembler.lacking(&page),
                Made::Problem(path, code, sentence) => problems.add(path, code, sentence),
                Made::Known(entry) => assembler.known(entry).await?,
                Made::Untouched(entry, totals) => assembler.untouched(entry, totals).await?,
                Made::Same(directory, totals) => assembler.same(directory, totals).await?,
                Made::Large(path) => large::read(ctx, &reader, problems, &path, &mut assembler).await?,
                Made::Entry(entry, chunks) => {
                    assembler.entry(entry).await?;
                    for chunk in chunks {
                        assembler.chunk(chunk).await;
                    }
                }
            }
        }
    }
    Ok(assembler.finish().await)
}
