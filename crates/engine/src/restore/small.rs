//! Small: entries that need no chunks are written as the walk comes by, some hundred with one piece of work, a few
//! pieces side by side. Refuses to go on when the disk is full or the restore has ended.

use super::work::Problems;
use super::write::{self, Errors};
use crate::cpu::Started;
use crate::ctx::Ctx;
use crate::ports::Target;
use format::{Entry, StoredPath};
use futures::FutureExt;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Entries that are written with one piece of work.
const BATCH_ENTRIES_MAX: usize = 256;
/// Pieces of work that are under way before the walk waits for the first of them.
const BATCHES_MAX: usize = 4;

/// Small entries on their way to the disk.
#[derive(Default)]
pub(super) struct Small {
    batch: Vec<(StoredPath, Entry)>,
    under_way: VecDeque<Started<Errors>>,
    /// Nothing more is to be written.
    is_over: Arc<AtomicBool>,
}

impl Small {
    pub async fn add(
        &mut self,
        ctx: &Ctx,
        target: &Arc<dyn Target>,
        problems: &Problems,
        path: StoredPath,
        entry: Entry,
    ) {
        self.batch.push((path, entry));
        if self.batch.len() >= BATCH_ENTRIES_MAX {
            self.start(ctx, target);
            self.take_ended(problems);
        }
        while self.under_way.len() > BATCHES_MAX {
            self.take_first(problems).await;
        }
    }

    /// Waits until everything is written.
    pub async fn finish(&mut self, ctx: &Ctx, target: &Arc<dyn Target>, problems: &Problems) {
        self.start(ctx, target);
        while !self.under_way.is_empty() {
            self.take_first(problems).await;
        }
    }

    /// A full disk shall be noticed before more is begun.
    fn take_ended(&mut self, problems: &Problems) {
        while let Some(errors) = self.under_way.front_mut().and_then(FutureExt::now_or_never) {
            self.under_way.pop_front();
            note(errors, problems);
        }
    }

    fn start(&mut self, ctx: &Ctx, target: &Arc<dyn Target>) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            let (target, progress) = (Arc::clone(target), Arc::clone(&ctx.progress));
            let is_over = Arc::clone(&self.is_over);
            self.under_way.push_back(ctx.cpu.start(move || write::small(&*target, &progress, batch, &is_over)));
        }
    }

    async fn take_first(&mut self, problems: &Problems) {
        let Some(first) = self.under_way.pop_front() else { return };
        note(first.await, problems);
    }
}

impl Drop for Small {
    /// The pool does what it was given whether or not anybody waits for it.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn note(errors: Errors, problems: &Problems) {
    for (path, error) in errors {
        problems.add_error(&path, &error);
    }
}
