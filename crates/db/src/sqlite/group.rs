//! Group commit: transactions that queue up for the one writing connection share one `begin … commit`, each in its own
//! savepoint, so that many writers wait for one flush of the disk. A lone writer commits at once.
//! Refuses to acknowledge anything before the shared commit is durable, and to undo more than the one that was dropped.
//!
//! One task owns the connection and lends it. Whoever holds it gives it back with a word (commit) or without (it was
//! dropped), and both work from any state in which a future may be dropped. The task never waits for anything but the
//! present holder and the database, so that a member that waits for the shared commit never keeps another from ending.

use super::{Link, Way, opened};
use crate::DbError;
use crate::error::{Cause, failed};
use crate::sqlite::TURN_SPAN;
use base::{Bytes, Span};
use std::path::PathBuf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The longest group: a commit that fails fails for this many at most.
const GROUP_MAX: usize = 64;
/// A group older than this takes in no further member. One that is in it already may take longer than that.
const GROUP_SPAN: Span = Span::ms(20);
/// Writers that wait to be taken notice of; further ones wait behind them, in the same order.
const QUEUE_MAX: usize = 1_024;
/// After groups with no pause as long as `BREATH_SPAN` between them for so long …
const STRETCH_SPAN: Span = Span::ms(200);
/// … the lock is left alone for a moment: another process that waits for it looks every millisecond (`link::waits`).
const BREATH_SPAN: Span = Span::ms(2);

/// A log longer than this is written back and cut off …
const LOG_BYTES_MAX: Bytes = Bytes::mib(4);
/// … when nobody has wanted to write for so long.
const QUIET_SPAN: Span = Span::seconds(1);

/// What the shared commit is called in an error.
const COMMIT: &str = "commit a transaction";

/// Hands out turns at the connection that writes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    asks: mpsc::Sender<Ask>,
}

/// The connection, within a transaction, for as long as one writer needs it.
#[derive(Debug)]
pub(crate) struct Lent {
    /// Absent only after it was given back.
    held: Option<(Link, oneshot::Sender<Back>)>,
}

#[derive(Debug)]
enum Ask {
    Turn(oneshot::Sender<Result<Lent, DbError>>),
    Close(oneshot::Sender<()>),
}

/// The connection comes back.
#[derive(Debug)]
struct Back {
    conn: Link,
    /// Who waits for the commit; absent when the transaction was dropped.
    answer: Option<Answer>,
}

type Answer = oneshot::Sender<Result<(), DbError>>;

impl Writer {
    /// Takes the connection to the file at `path` over; when it breaks, another is opened.
    pub(crate) fn start(conn: Link, path: PathBuf) -> Self {
        let (asks, queue) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(Owner { conn: Some(conn), path, queue, closes: None, since: None }.serve());
        Self { asks }
    }

    /// The next turn, in the order in which it was asked for.
    pub(crate) async fn turn(&self) -> Result<Lent, DbError> {
        let wait = async {
            let (turn, comes) = oneshot::channel();
            self.asks.send(Ask::Turn(turn)).await.map_err(|_| Cause::Closed)?;
            comes.await.map_err(|_| Cause::Closed)
        };
        let op = "begin a transaction";
        match tokio::time::timeout(TURN_SPAN.as_duration(), wait).await {
            Ok(turn) => turn.map_err(failed(op))?,
            Err(_) => Err(failed(op)(Cause::Late)),
        }
    }

    /// Ends the connection after the group that is under way.
    pub(crate) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.asks.send(Ask::Close(done)).await.is_ok() {
            let _closed_before = closed.await.is_err();
        }
    }
}

impl Lent {
    /// The connection.
    pub(crate) fn conn(&mut self) -> &mut Link {
        let (conn, _) = self.held.as_mut().expect("it is given back by `commit` and `drop`, which take or end it");
        conn
    }

    /// Gives the connection on, and waits until the work is durable. Dropped meanwhile, it is committed all the same.
    pub(crate) async fn commit(mut self) -> Result<(), DbError> {
        let (answer, durable) = oneshot::channel();
        if let Some((conn, back)) = self.held.take() {
            // When the owner is gone, the connection ends here and its transaction with it; so does `answer`.
            let _owner_is_gone = back.send(Back { conn, answer: Some(answer) }).is_err();
        }
        durable.await.unwrap_or_else(|_| Err(failed(COMMIT)(Cause::Closed)))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some((conn, back)) = self.held.take() {
            let _owner_is_gone = back.send(Back { conn, answer: None }).is_err();
        }
    }
}

/// The task that owns the connection.
struct Owner {
    /// Absent after it broke, until another was made.
    conn: Option<Link>,
    path: PathBuf,
    queue: mpsc::Receiver<Ask>,
    /// Who asked for the end.
    closes: Option<oneshot::Sender<()>>,
    /// Since when groups have followed each other without a pause.
    since: Option<Instant>,
}

impl Owner {
    async fn serve(mut self) {
        while self.closes.is_none() {
            let Some(turn) = self.next().await else { break };
            let mut members = Vec::new();
            let outcome = self.group(turn, &mut members).await;
            // ORDER: whoever waits hears of it after the commit, and not before.
            answer(members, outcome.as_ref().err());
            self.breathe().await;
        }
        if let Some(conn) = self.conn.take() {
            // The last one writes the log into the file, which may take its time.
            let _closed_elsewhere = base::blocking(move || drop(conn)).await.is_err();
        }
        if let Some(done) = self.closes.take() {
            let _gone = done.send(()).is_err();
        }
    }

    /// The next that asks for a turn; none when the database was closed or is no longer used.
    async fn next(&mut self) -> Option<oneshot::Sender<Result<Lent, DbError>>> {
        let idle = Instant::now();
        let ask = loop {
            match self.queue.try_recv() {
                Ok(ask) => break ask,
                Err(_) if !self.is_log_long() => break self.queue.recv().await?,
                Err(_) => match tokio::time::timeout(QUIET_SPAN.as_duration(), self.queue.recv()).await {
                    Ok(ask) => break ask?,
                    Err(_) => self.cut_log().await,
                },
            }
        };
        if idle.elapsed() >= BREATH_SPAN.as_duration() {
            self.since = None;
        }
        self.turn_of(ask)
    }

    fn is_log_long(&self) -> bool {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        std::fs::metadata(log).is_ok_and(|found| found.len() > LOG_BYTES_MAX.0)
    }

    /// Never fails: a log that cannot be cut off now is tried again, and is no harm until then.
    async fn cut_log(&self) {
        if let Some(conn) = &self.conn {
            let _not_now = conn.cut_log().await.is_err();
        }
    }

    fn turn_of(&mut self, ask: Ask) -> Option<oneshot::Sender<Result<Lent, DbError>>> {
        match ask {
            Ask::Turn(turn) => Some(turn),
            Ask::Close(done) => {
                self.closes = Some(done);
                None
            }
        }
    }

    /// One `begin … commit`. `members` become those who wait for it; the outcome is theirs.
    async fn group(
        &mut self,
        first: oneshot::Sender<Result<Lent, DbError>>,
        members: &mut Vec<Answer>,
    ) -> Result<(), DbError> {
        let began = Instant::now();
        self.since.get_or_insert(began);
        let mut conn = match self.begin().await {
            Ok(conn) => conn,
            Err(error) => {
                let _gone = first.send(Err(error)).is_err();
                return Ok(());
            }
        };
        let mut next = Some(first);
        let mut whole = Ok(());
        while let Some(turn) = next {
            // The first member needs no savepoint: dropped, it takes the whole transaction with it.
            let saved = !members.is_empty();
            match member(conn, turn, saved, members).await {
                Some((back, outcome)) => (conn, whole) = (back, outcome),
                // The holder was forgotten together with the connection, and the transaction ended with that.
                None => return Err(failed(COMMIT)(Cause::Closed)),
            }
            let goes_on = whole.is_ok() && members.len() < GROUP_MAX && began.elapsed() < GROUP_SPAN.as_duration();
            next = match goes_on && !members.is_empty() {
                true => self.queue.try_recv().ok().and_then(|ask| self.turn_of(ask)),
                false => None,
            };
        }
        if whole.is_ok() && !members.is_empty() {
            whole = conn.run("COMMIT", Vec::new(), true).await.map(drop).map_err(failed(COMMIT));
        }
        // With nothing to keep or after a failure, what is left is undone. A connection that cannot do even that is
        // given up; one that SQLite has rolled back already says so here, and it may as well.
        let undone = if whole.is_ok() && !members.is_empty() { Ok(()) } else { run(&mut conn, "ROLLBACK").await };
        self.conn = undone.is_ok().then_some(conn);
        whole
    }

    async fn begin(&mut self) -> Result<Link, DbError> {
        let op = "begin a transaction";
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => opened(&self.path, Way::Write).await?,
        };
        // RACE: the lock is taken at the beginning, so that what a transaction reads is still true when it writes.
        match conn.begin().await {
            Ok(()) => Ok(conn),
            Err(cause) => {
                // What SQLite says leaves the connection as it was.
                self.conn = Some(conn);
                Err(failed(op)(cause))
            }
        }
    }

    /// Leaves the lock to other processes for a moment when groups have followed each other for long.
    async fn breathe(&mut self) {
        if self.since.is_some_and(|since| since.elapsed() >= STRETCH_SPAN.as_duration()) {
            #[expect(clippy::disallowed_methods, reason = "what is waited for is another process, not a Clock")]
            tokio::time::sleep(BREATH_SPAN.as_duration()).await;
            self.since = None;
        }
    }
}

/// One member's turn. Gives the connection back, and whether what the group has done so far still stands.
async fn member(
    mut conn: Link,
    turn: oneshot::Sender<Result<Lent, DbError>>,
    saved: bool,
    members: &mut Vec<Answer>,
) -> Option<(Link, Result<(), DbError>)> {
    if turn.is_closed() {
        // It was dropped while it waited.
        return Some((conn, Ok(())));
    }
    if saved && let Err(error) = run(&mut conn, "SAVEPOINT member").await {
        return Some((conn, Err(error)));
    }
    let (back, comes) = oneshot::channel();
    // RACE: one that is dropped at this very moment gives the connection back by being dropped.
    drop(turn.send(Ok(Lent { held: Some((conn, back)) })));
    let Back { mut conn, answer } = comes.await.ok()?;
    let stands = match (&answer, saved) {
        (Some(_), true) => run(&mut conn, "RELEASE member").await,
        (None, true) => run(&mut conn, "ROLLBACK TO member; RELEASE member").await,
        (Some(_) | None, false) => Ok(()),
    };
    members.extend(answer);
    Some((conn, stands))
}

async fn run(conn: &mut Link, statement: &'static str) -> Result<(), DbError> {
    conn.run(statement, Vec::new(), false).await.map(drop).map_err(failed(COMMIT))
}

fn answer(members: Vec<Answer>, error: Option<&DbError>) {
    for member in members {
        let _gone = member.send(error.map_or(Ok(()), |error| Err(error.again()))).is_err();
    }
}

#[cfg(test)]
mod tests;
