//! The database file: one connection that writes, a few that read.
//! Refuses a second writer of its own: writers take turns, and those that queue up share a commit (`group`).

mod group;

use crate::DbError;
use crate::error::failed;
use base::Span;
pub(crate) use group::Lent;
use group::Writer;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, SqlitePool, Transaction};
use std::path::Path;

/// How long a statement waits for a write lock that another process holds (an admin command beside the server).
const BUSY_SPAN: Span = Span::seconds(10);
/// How long a request waits for its turn at a connection.
pub(crate) const TURN_SPAN: Span = Span::seconds(30);
/// Connections that read side by side.
const READERS_MAX: u32 = 6;
/// Prepared statements that a connection keeps: more than there are in this crate, so that none is prepared twice.
const STATEMENTS_MAX: usize = 512;

/// An open database file.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    writer: Writer,
    readers: SqlitePool,
}

impl Sqlite {
    /// Opens the file, makes it when there is none, and brings its tables to this release's form.
    pub(crate) async fn open(path: &Path) -> Result<Self, DbError> {
        let op = "open its file";
        let options = options(path);
        let mut writer = options.clone().create_if_missing(true).connect().await.map_err(failed(op))?;
        let migrated = sqlx::migrate!("./migrations/sqlite").run(&mut writer).await;
        migrated.map_err(|cause| DbError::Migrate { cause })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(TURN_SPAN.as_duration())
            // A file does not go away, and to ask costs as much as a statement.
            .test_before_acquire(false)
            .connect_with(options.clone().pragma("query_only", "on"))
            .await
            .map_err(failed(op))?;
        Ok(Self { writer: Writer::start(writer, options), readers })
    }

    /// A turn to write.
    pub(crate) async fn write(&self) -> Result<Lent, DbError> {
        self.writer.turn().await
    }

    /// A transaction that reads one state.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, sqlx::Sqlite>, DbError> {
        self.readers.begin().await.map_err(failed("begin to read"))
    }

    /// A connection that reads.
    pub(crate) async fn read_each(&self) -> Result<PoolConnection<sqlx::Sqlite>, DbError> {
        self.readers.acquire().await.map_err(failed("begin to read"))
    }

    /// Ends every connection.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
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
        .statement_cache_capacity(STATEMENTS_MAX)
        .pragma("cache_size", "-8192")
        .pragma("temp_store", "memory")
        .pragma("journal_size_limit", "67108864")
        .disable_statement_logging()
}
