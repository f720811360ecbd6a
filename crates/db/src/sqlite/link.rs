//! A connection to the database file, and its statements. A short one runs where it is asked for: it takes some
//! microseconds, and a trip to another thread would cost more than that. A long one, which reads or writes thousands of
//! rows or waits for the disk, runs on a thread that may block.
//! Refuses to run a statement of which nobody waits for the answer any more, before it has begun.

use super::BUSY_SPAN;
use crate::sql::{Text, Value};
use base::Span;
use rusqlite::types::{ToSqlOutput, Value as Cell, ValueRef};
use rusqlite::{Connection, Error, ErrorCode, ToSql, ffi};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A statement with more bytes in its parameters is long: it brings hundreds of names.
const SHORT_BYTES_MAX: usize = 8_192;

/// How often a statement that waits for another process's lock looks whether it is free. SQLite's own way comes to look
/// every 100 ms only, too seldom for the moments at which a busy server lets go of it (`group`).
const BUSY_POLL: Span = Span::ms(1);

/// A connection for one user at a time.
#[derive(Debug)]
pub(crate) struct Link {
    conn: Arc<Mutex<Connection>>,
    /// Whether each of its statements may be long.
    long: bool,
}

/// What a statement gives.
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// How many rows were inserted, updated or deleted.
    pub(crate) changes: u64,
}

/// A row; all of an answer share the names of their columns.
pub(crate) struct Row {
    names: Arc<[Box<str>]>,
    cells: Box<[Cell]>,
}

impl Link {
    pub(crate) fn new(conn: Connection) -> Self {
        Self { conn: Arc::new(Mutex::new(conn)), long: false }
    }

    /// The same connection, with statements that may all be long or may not. Never fails.
    pub(crate) fn with_long(self, long: bool) -> Self {
        Self { long, ..self }
    }

    /// Runs a short statement without parameters at once; `None` where one still runs of which nobody waits for the
    /// answer.
    pub(crate) fn now(&self, statement: &'static str) -> Option<Result<(), Error>> {
        let conn = self.conn.try_lock().ok()?;
        Some(step(&conn, statement, &[]).map(drop))
    }

    /// Runs the statements of `text`, which share their parameters; the answer is the last one's.
    pub(crate) async fn run(&self, text: impl Into<Text>, values: Vec<Value>, long: bool) -> Result<Answer, Error> {
        let text = text.into();
        // Whoever runs a great many short ones lets others have their turn in between.
        tokio::task::consume_budget().await;
        let long = long || self.long || values.iter().map(bytes).sum::<usize>() > SHORT_BYTES_MAX;
        if !long && let Ok(conn) = self.conn.try_lock() {
            return steps(&conn, &text, &values);
        }
        self.on_thread(move |conn| steps(conn, &text, &values)).await
    }

    /// Runs the statement once for each of the rows, which give its parameters in their order.
    pub(crate) async fn run_each(&self, text: String, rows: Vec<Vec<Value>>) -> Result<(), Error> {
        self.on_thread(move |conn| rows.iter().try_for_each(|row| steps(conn, &text, row).map(drop))).await
    }

    /// Begins a transaction that writes, once no other process does; after `BUSY_SPAN` it gives up. It waits without a
    /// thread: two databases of one process, as the simulator has them, must not wait for each other on the same one.
    pub(crate) async fn begin(&self) -> Result<(), Error> {
        const BEGIN: &str = "BEGIN IMMEDIATE";
        let begun = |conn: &Connection| {
            conn.busy_handler(None)?;
            let begun = steps(conn, BEGIN, &[]).map(drop);
            conn.busy_handler(Some(waits))?;
            begun
        };
        for _ in 0..BUSY_SPAN.as_ms() / BUSY_POLL.as_ms() {
            // Mostly nobody holds the lock.
            let tried = match self.conn.try_lock().ok().map(|conn| begun(&conn)) {
                Some(tried) => tried,
                None => self.on_thread(begun).await,
            };
            if tried.as_ref().err().and_then(Error::sqlite_error_code) != Some(ErrorCode::DatabaseBusy) {
                return tried;
            }
            #[expect(clippy::disallowed_methods, reason = "what is waited for is another process, not a Clock")]
            tokio::time::sleep(BUSY_POLL.as_duration()).await;
        }
        Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None))
    }

    /// Writes the log back into the file and cuts it off. Waits for nobody: while somebody reads, it stays as it is.
    pub(crate) async fn cut_log(&self) -> Result<(), Error> {
        let cut = |conn: &Connection| {
            conn.busy_handler(None)?;
            let cut = steps(conn, "pragma wal_checkpoint(truncate)", &[]);
            conn.busy_handler(Some(waits))?;
            cut.map(drop)
        };
        self.on_thread(cut).await
    }

    /// Runs it on a thread that may block. Dropped meanwhile, it runs to its end if it has begun, and not otherwise.
    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let wanted = Wanted(Arc::new(AtomicBool::new(true)));
        let (is_wanted, conn) = (Arc::clone(&wanted.0), Arc::clone(&self.conn));
        let done = base::blocking(move || {
            let conn = lock(&conn);
            // RACE: looked at under the lock. Whoever comes after a dropped one waits for the lock, and finds this
            // statement done, or never begun: none slips into the transaction of the next.
            if is_wanted.load(Ordering::SeqCst) { work(&conn) } else { Err(interrupted()) }
        });
        match done.await {
            Ok(outcome) => outcome,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends.
                Err(_) => Err(interrupted()),
            },
        }
    }
}

/// Somebody waits for the answer, as long as this is there.
struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Row {
    /// The value of a column; `None` when the row has none of that name. Never fails.
    pub(crate) fn cell(&self, column: &str) -> Option<&Cell> {
        let at = self.names.iter().position(|name| **name == *column)?;
        self.cells.get(at)
    }

    /// The values in their order. Never fails.
    pub(crate) fn into_cells(self) -> Box<[Cell]> {
        self.cells
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, Error> {
        let value = match self {
            Value::Int(Some(number)) => ValueRef::Integer(*number),
            Value::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Value::Octets(Some(bytes)) => ValueRef::Blob(bytes),
            Value::Int(None) | Value::Text(None) | Value::Octets(None) => ValueRef::Null,
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// Whether a statement that has met another process's lock `times` times goes on waiting, after a while.
pub(super) fn waits(times: i32) -> bool {
    std::thread::sleep(BUSY_POLL.as_duration());
    u64::try_from(times).is_ok_and(|times| times < BUSY_SPAN.as_ms() / BUSY_POLL.as_ms())
}

/// A thread that panicked has left the connection as SQLite has it, which is whole.
fn lock(conn: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    conn.lock().unwrap_or_else(PoisonError::into_inner)
}

fn interrupted() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None)
}

fn bytes(value: &Value) -> usize {
    match value {
        Value::Int(_) | Value::Text(None) | Value::Octets(None) => 0,
        Value::Text(Some(text)) => text.len(),
        Value::Octets(Some(bytes)) => bytes.len(),
    }
}

fn steps(conn: &Connection, text: &str, values: &[Value]) -> Result<Answer, Error> {
    let mut answer = Answer { rows: Vec::new(), changes: 0 };
    for statement in text.split("; ") {
        answer = step(conn, statement, values)?;
    }
    Ok(answer)
}

fn step(conn: &Connection, statement: &str, values: &[Value]) -> Result<Answer, Error> {
    let mut statement = conn.prepare_cached(statement)?;
    for place in 1..=statement.parameter_count() {
        // SQLite counts `$7` by where it stands, and the texts by their number.
        let number = statement.parameter_name(place).and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok());
        let value = number.and_then(|number| values.get(number.checked_sub(1)?));
        statement.raw_bind_parameter(place, value.ok_or(Error::InvalidParameterCount(values.len(), place))?)?;
    }
    let columns = statement.column_count();
    let mut rows = Vec::new();
    let mut names: Option<Arc<[Box<str>]>> = None;
    let named = |statement: &rusqlite::Statement<'_>| statement.column_names().into_iter().map(Box::from).collect();
    let mut found = statement.raw_query();
    while let Some(row) = found.next()? {
        let names = Arc::clone(names.get_or_insert_with(|| named(row.as_ref())));
        let cells = (0..columns).map(|at| row.get::<_, Cell>(at)).collect::<Result<_, _>>()?;
        rows.push(Row { names, cells });
    }
    Ok(Answer { rows, changes: conn.changes() })
}
