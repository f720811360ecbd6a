//! The database file: one connection that writes, a few that read, and a transaction for whoever asks.
//! Refuses a write outside a transaction that took the write lock at its beginning: none fails half way for being late.

use crate::DbError;
use crate::error::failed;
use base::Span;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Sqlite, SqlitePool, Transaction};
use std::path::Path;

/// How long a statement waits for a write lock that another process holds (an admin command beside the server).
const BUSY_SPAN: Span = Span::seconds(10);
/// How long a request waits for its turn at a connection.
const TURN_SPAN: Span = Span::seconds(30);
/// Connections that read side by side.
const READERS_MAX: u32 = 6;

/// An open database. Cheap to clone; all clones share the same connections.
#[derive(Clone, Debug)]
pub struct Db {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// A transaction. Dropped without `commit`, it leaves no trace.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Sqlite>,
}

impl Db {
    /// Opens the database file at `path`, makes it when there is none, and brings its tables to this release's form.
    ///
    /// # Errors
    /// A path that cannot be opened, a file that is not a database, a database of a newer release.
    pub async fn open(path: &Path) -> Result<Db, DbError> {
        let op = "open its file";
        let options = options(path);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(TURN_SPAN.as_duration())
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone().create_if_missing(true))
            .await
            .map_err(failed(op))?;
        sqlx::migrate!("./migrations").run(&writer).await.map_err(|cause| DbError::Migrate { cause })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(TURN_SPAN.as_duration())
            .connect_with(options.pragma("query_only", "on"))
            .await
            .map_err(failed(op))?;
        Ok(Db { writer, readers })
    }

    /// A transaction that may write. There is one at a time; the next waits for its turn.
    ///
    /// # Errors
    /// Unavailable when the turn does not come in time.
    pub async fn write(&self) -> Result<Tx, DbError> {
        // RACE: the lock is taken at the beginning, so that what this transaction reads is still true when it writes.
        let inner = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed("begin a transaction"))?;
        Ok(Tx { inner })
    }

    /// A transaction that reads one state of the database, whatever is written meanwhile.
    ///
    /// # Errors
    /// Unavailable when no connection becomes free in time.
    pub async fn read(&self) -> Result<Tx, DbError> {
        let inner = self.readers.begin().await.map_err(failed("begin to read"))?;
        Ok(Tx { inner })
    }

    /// Ends every connection, after the transactions that are under way. Never fails.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl Tx {
    /// Makes the transaction's work durable, all of it.
    ///
    /// # Errors
    /// As the database says; then none of it happened.
    pub async fn commit(self) -> Result<(), DbError> {
        self.inner.commit().await.map_err(failed("commit a transaction"))
    }

    /// The connection, for the statements of this crate. Never fails.
    pub(crate) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // INVARIANT: acknowledged means durable. WAL with anything less than FULL may lose the newest commits.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_SPAN.as_duration())
        .pragma("cache_size", "-32768")
        .pragma("temp_store", "memory")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}

#[cfg(test)]
mod tests;
