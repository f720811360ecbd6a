//! The database, whichever of the two it is, and a transaction for whoever asks.
//! Refuses a write outside a transaction that took its turn at the beginning: none fails half way for being late.

use crate::DbError;
use crate::error::failed;
use crate::postgres::Postgres;
use crate::sql::Conn;
use crate::sqlite::{Lent, Reader, Sqlite};
use sqlx::pool::PoolConnection;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// An open database. Cheap to clone; all clones share the same connections.
#[derive(Clone, Debug)]
pub struct Db {
    inner: Either,
    steps: Option<Arc<dyn Steps>>,
}

/// Waits before and after each commit of a writing transaction. The simulator lets others go on in between, and ends a
/// server there, as tests do; nobody else has any.
pub trait Steps: fmt::Debug + Send + Sync {
    /// Resolves when the step may be taken, or the next one after it. Never fails.
    fn step(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

#[derive(Clone, Debug)]
enum Either {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

/// A transaction. Dropped without `commit`, it leaves no trace. One in which a statement has failed is good for nothing
/// but to be dropped: PostgreSQL refuses its further statements.
///
/// INVARIANT: what a writing transaction reads is durable only once its `commit` has answered, since the writers before
/// it may share that commit. Whoever grants a caller something from what it has read there (an answer that is `Ok`)
/// commits first, even when it has written nothing. A refusal changes nothing and may be told without.
#[derive(Debug)]
pub struct Tx {
    inner: Inner,
    steps: Option<Arc<dyn Steps>>,
}

#[derive(Debug)]
enum Inner {
    SqliteWrite(Lent),
    SqliteRead(Reader),
    PostgresEach(PoolConnection<sqlx::Postgres>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Db {
    /// Opens the database file at `path`, makes it when there is none, and brings its tables to this release's form.
    /// Must be called in a tokio runtime, which from then on serves its writers.
    ///
    /// # Errors
    /// A path that cannot be opened, a file that is not a database, a database of a newer release.
    pub async fn open(path: &Path) -> Result<Db, DbError> {
        Ok(Db { inner: Either::Sqlite(Sqlite::open(path).await?), steps: None })
    }

    /// Connects to a PostgreSQL database and brings its tables to this release's form. `url` is
    /// `postgres://user@host:port/database?sslmode=verify-full&sslrootcert=FILE`; a `host` parameter that begins with
    /// `/` is the directory of a local socket. Without a `password` the one of the user's PGPASSFILE counts.
    ///
    /// # Errors
    /// Unfit: an address that is none, a server older than version 15, a database that is not in UTF-8. Unavailable: a
    /// server that does not answer or does not let us in. Migrate: a database of a newer release.
    pub async fn connect(url: &str, password: Option<&str>) -> Result<Db, DbError> {
        Ok(Db { inner: Either::Postgres(Postgres::connect(url, password).await?), steps: None })
    }

    /// The same database, whose commits wait for `steps`. Never fails.
    #[must_use]
    pub fn with_steps(self, steps: Arc<dyn Steps>) -> Self {
        Self { steps: Some(steps), ..self }
    }

    /// A transaction that may write. There is one at a time; the next waits for its turn.
    ///
    /// # Errors
    /// Unavailable when the turn does not come in time.
    pub async fn write(&self) -> Result<Tx, DbError> {
        let inner = match &self.inner {
            Either::Sqlite(db) => Inner::SqliteWrite(db.write().await?),
            Either::Postgres(db) => Inner::Postgres(db.write().await?),
        };
        Ok(Tx { inner, steps: self.steps.clone() })
    }

    /// A transaction that reads one state of the database, whatever is written meanwhile.
    ///
    /// # Errors
    /// Unavailable when no connection becomes free in time.
    pub async fn read(&self) -> Result<Tx, DbError> {
        let inner = match &self.inner {
            Either::Sqlite(db) => Inner::SqliteRead(db.read(true).await?),
            Either::Postgres(db) => Inner::Postgres(db.read().await?),
        };
        Ok(Tx { inner, steps: None })
    }

    /// Reads without a transaction: each statement sees the state that there is then. For a single statement, and for
    /// what is looked at again in the transaction that writes; it saves the beginning and the end of one.
    ///
    /// # Errors
    /// Unavailable when no connection becomes free in time.
    pub async fn read_each(&self) -> Result<Tx, DbError> {
        let inner = match &self.inner {
            Either::Sqlite(db) => Inner::SqliteRead(db.read(false).await?),
            Either::Postgres(db) => Inner::PostgresEach(db.read_each().await?),
        };
        Ok(Tx { inner, steps: None })
    }

    /// Copies the database to the new file `to`, for its owner alone, whole and consistent while others write; the copy
    /// is looked through before it gets its name. Gives its bytes.
    ///
    /// # Errors
    /// Unfit for PostgreSQL, which has tools of its own; Disk when the file is there or cannot be written.
    pub async fn copy(&self, to: &Path) -> Result<u64, DbError> {
        match &self.inner {
            Either::Sqlite(db) => db.copy(to).await,
            Either::Postgres(_) => Err(DbError::Unfit {
                what: "a PostgreSQL database is copied by PostgreSQL's own tools, such as pg_dump",
            }),
        }
    }

    /// Ends every connection, after the transactions that are under way. Never fails.
    pub async fn close(&self) {
        match &self.inner {
            Either::Sqlite(db) => db.close().await,
            Either::Postgres(db) => db.close().await,
        }
    }
}

impl Tx {
    /// Makes the transaction's work durable, all of it.
    ///
    /// # Errors
    /// As the database says; then none of it happened. Unavailable when a connection was lost before the answer came:
    /// then nobody knows, and whoever asks again finds in the rows whether it happened.
    pub async fn commit(self) -> Result<(), DbError> {
        let op = "commit a transaction";
        if let Some(steps) = &self.steps {
            steps.step().await;
        }
        let committed = match self.inner {
            Inner::SqliteWrite(lent) => lent.commit().await,
            // Nothing is written.
            Inner::SqliteRead(_) | Inner::PostgresEach(_) => Ok(()),
            Inner::Postgres(inner) => inner.commit().await.map_err(failed(op)),
        };
        if let Some(steps) = &self.steps {
            steps.step().await;
        }
        committed
    }

    /// The connection, for the statements of this crate. Never fails.
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match &mut self.inner {
            Inner::SqliteWrite(lent) => Conn::Sqlite(lent.conn()),
            Inner::SqliteRead(inner) => Conn::Sqlite(inner.link()),
            Inner::PostgresEach(inner) => Conn::Postgres(inner),
            Inner::Postgres(inner) => Conn::Postgres(inner),
        }
    }
}

#[cfg(test)]
mod tests;
