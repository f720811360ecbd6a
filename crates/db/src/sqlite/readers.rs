//! Connections that read the database file, side by side, each for one reader at a time.
//! Refuses to write, and to keep more than a few: a reader waits for its turn.

use super::link::Link;
use super::{TURN_SPAN, Way, opened};
use crate::DbError;
use crate::error::{Cause, failed};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that read side by side.
const READERS_MAX: u32 = 6;

/// What the beginning of a reader is called in an error.
const BEGIN: &str = "begin to read";

/// The connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Readers {
    path: Arc<Path>,
    turns: Arc<Semaphore>,
    free: Arc<Mutex<Vec<Link>>>,
}

/// A connection that reads, for as long as one reader needs it.
#[derive(Debug)]
pub(crate) struct Reader {
    /// Absent only after it was given back.
    link: Option<Link>,
    /// Whether it is in a transaction.
    begun: bool,
    free: Arc<Mutex<Vec<Link>>>,
    _turn: OwnedSemaphorePermit,
}

impl Readers {
    /// None is opened before somebody reads.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path: path.into(), turns: Arc::new(Semaphore::new(READERS_MAX as usize)), free: Arc::default() }
    }

    /// A connection: for one state of the database, where `begun`, with statements that may be long; else for short
    /// ones, each of which sees the state that there is then.
    pub(super) async fn reader(&self, begun: bool) -> Result<Reader, DbError> {
        let turn = tokio::time::timeout(TURN_SPAN.as_duration(), Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| failed(BEGIN)(Cause::Late))?.map_err(|_| failed(BEGIN)(Cause::Closed))?;
        let free = locked(&self.free).pop();
        let link = match free {
            Some(link) => link,
            None => opened(&self.path, Way::Read).await?,
        };
        let link = link.with_long(begun);
        if begun && let Some(Err(error)) = link.now("BEGIN") {
            return Err(failed(BEGIN)(error));
        }
        Ok(Reader { link: Some(link), begun, free: Arc::clone(&self.free), _turn: turn })
    }

    /// Ends every connection, after the readers that are under way.
    pub(super) async fn close(&self) {
        let all = self.turns.acquire_many(READERS_MAX).await;
        self.turns.close();
        drop(all);
        locked(&self.free).clear();
    }
}

impl Reader {
    /// The connection.
    pub(crate) fn link(&mut self) -> &mut Link {
        self.link.as_mut().expect("it is given back by `drop`, which ends it")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        // Where a statement still runs, or the end is refused, the connection ends with that; another is opened then.
        let end = if self.begun { "ROLLBACK" } else { "select 1" };
        if let Some(Ok(())) = link.now(end) {
            locked(&self.free).push(link);
        }
    }
}

fn locked(free: &Mutex<Vec<Link>>) -> std::sync::MutexGuard<'_, Vec<Link>> {
    free.lock().unwrap_or_else(PoisonError::into_inner)
}
