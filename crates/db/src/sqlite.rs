//! The database file: one connection that writes, a few that read.
//! Refuses a second writer of its own: writers take turns, and those that queue up share a commit (`group`).

mod copy;
mod group;
mod link;
mod readers;
mod tables;

use crate::DbError;
use crate::error::failed;
use base::Span;
pub(crate) use group::Lent;
use group::Writer;
pub(crate) use link::{Link, Row};
pub(crate) use readers::Reader;
use readers::Readers;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
pub(crate) use tables::form;

/// How long a statement waits for a write lock that another process holds (an admin command beside the server).
const BUSY_SPAN: Span = Span::seconds(10);
/// How long a request waits for its turn at a connection.
pub(crate) const TURN_SPAN: Span = Span::seconds(30);
/// Prepared statements that a connection keeps: more than there are in this crate, so that none is prepared twice.
const STATEMENTS_MAX: usize = 512;
/// What every connection is told. INVARIANT: acknowledged means durable: WAL with anything less than FULL may lose the
/// newest commits. The log is written back every 8,000 pages (32 MiB), less often than SQLite's own 1,000, so that a
/// page which many transactions change is written once: docs/performance.md.
const SETTINGS: &str = "
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma foreign_keys = on;
    pragma cache_size = -8192;
    pragma temp_store = memory;
    pragma journal_size_limit = 67108864;
    pragma wal_autocheckpoint = 8000;
";

/// An open database file.
#[derive(Clone, Debug)]
pub(crate) struct Sqlite {
    path: PathBuf,
    writer: Writer,
    readers: Readers,
}

impl Sqlite {
    /// Opens the file, makes it when there is none, and brings its tables to this release's form.
    pub(crate) async fn open(path: &Path) -> Result<Self, DbError> {
        let writer = opened(path, Way::Write).await?;
        let path = path.to_owned();
        Ok(Self { writer: Writer::start(writer, path.clone()), readers: Readers::new(path.clone()), path })
    }

    /// A turn to write.
    pub(crate) async fn write(&self) -> Result<Lent, DbError> {
        self.writer.turn().await
    }

    /// A connection that reads: one state, in a transaction with statements that may be long, where `begun`; else what
    /// there is at each statement, all of them short.
    pub(crate) async fn read(&self, begun: bool) -> Result<Reader, DbError> {
        self.readers.reader(begun).await
    }

    /// Copies the database to a new file, whole and consistent, and gives the copy's bytes.
    pub(crate) async fn copy(&self, to: &Path) -> Result<u64, DbError> {
        let (from, to) = (self.path.clone(), to.to_owned());
        let copied = base::blocking(move || copy::copy(&from, &to)).await;
        copied.map_err(|_| failed("copy its file")(crate::error::Cause::Closed))?
    }

    /// Ends every connection.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Read,
    Write,
}

/// A new connection to the file. One that writes makes it where there is none, and brings its tables to this form.
async fn opened(path: &Path, way: Way) -> Result<Link, DbError> {
    let path = path.to_owned();
    let open = move || {
        let op = || failed("open its file");
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, way == Way::Write);
        let mut conn = Connection::open_with_flags(path, flags).map_err(op())?;
        conn.busy_handler(Some(link::waits)).map_err(op())?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        steady(&conn).map_err(op())?;
        conn.execute_batch(SETTINGS).map_err(op())?;
        match way {
            Way::Read => conn.pragma_update(None, "query_only", true).map_err(op())?,
            Way::Write => tables::bring_up(&mut conn)?,
        }
        Ok(Link::new(conn))
    };
    base::blocking(open).await.map_err(|_| failed("open its file")(crate::error::Cause::Closed))?
}

/// Has a statement be prepared once. Without this SQLite looks at what is bound to a `limit`, and prepares the
/// statement anew each time that something is: docs/performance.md. The price: a partial index is used only where its
/// condition stands in the statement's text, and not where it is bound.
pub(crate) fn steady(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}
