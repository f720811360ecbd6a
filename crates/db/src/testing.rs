//! Real databases for tests of this crate and of those above it (feature `testing`): one of each kind, empty but for
//! the tables, gone with the test. Refuses to skip one: without PostgreSQL's programs a test fails and says so.
//!
//! The PostgreSQL server is started by the first test of a binary that asks, in a directory of its own and on a local
//! socket there; it ends with the binary, however that ends.

#![expect(missing_docs, reason = "helpers of tests are named by what they do")]

mod server;

use crate::{Db, DeviceRow, Tx};
use base::DeviceId;
use std::sync::Arc;
use tempfile::TempDir;

/// A database that goes away with the test.
pub struct TempDb {
    /// `sqlite` or `postgres`, for what a test says when it fails.
    pub name: &'static str,
    pub db: Db,
    place: Place,
}

enum Place {
    File(TempDir),
    Server(server::Database),
}

impl TempDb {
    /// The same database, as another process opens it.
    pub async fn again(&self) -> Db {
        let opened = match &self.place {
            Place::File(dir) => Db::open(&dir.path().join(FILE)).await,
            Place::Server(database) => Db::connect(database.url(), None).await,
        };
        opened.expect("it was opened before")
    }

    /// Its address, as a configuration file has it; `None` for a file.
    pub fn url(&self) -> Option<&str> {
        match &self.place {
            Place::File(_) => None,
            Place::Server(database) => Some(database.url()),
        }
    }
}

const FILE: &str = "holdfast.db";

/// One database of each kind.
pub async fn databases() -> Vec<TempDb> {
    vec![sqlite().await, postgres().await]
}

/// An SQLite file in a directory of its own.
pub async fn sqlite() -> TempDb {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let db = Db::open(&dir.path().join(FILE)).await.expect("an empty directory takes a database");
    TempDb { name: "sqlite", db, place: Place::File(dir) }
}

/// A database of the test binary's PostgreSQL server.
pub async fn postgres() -> TempDb {
    let database = server::database().await;
    let db = Db::connect(database.url(), None).await.expect("the server was just asked for it");
    TempDb { name: "postgres", db, place: Place::Server(database) }
}

/// A PostgreSQL server of one test alone, which it may crash.
pub struct OwnServer {
    server: Arc<server::Server>,
}

impl OwnServer {
    /// Ends every process of the server as a crash would, and gives it back when it answers again.
    pub async fn crash(&self) {
        let server = Arc::clone(&self.server);
        base::blocking(move || server.crash()).await.expect("the server starts again");
    }
}

/// A database in a PostgreSQL server of the test's own.
pub async fn postgres_alone() -> (OwnServer, TempDb) {
    let (server, database) = server::alone().await;
    let db = Db::connect(database.url(), None).await.expect("the server was just asked for it");
    let own = OwnServer { server: Arc::new(server) };
    (own, TempDb { name: "postgres", db, place: Place::Server(database) })
}

/// An empty database without tables, by its address, in a PostgreSQL server of the test's own.
pub async fn postgres_empty() -> (OwnServer, String) {
    let (server, database) = server::alone_empty().await;
    (OwnServer { server: Arc::new(server) }, database.url().to_owned())
}

/// Runs a statement of the test's own and gives how many rows it changed: for states that no function makes.
pub async fn execute(tx: &mut Tx, statement: &'static str) -> u64 {
    crate::sql::query(statement).execute(tx.conn()).await.expect("the test's statement is right").rows_affected()
}

/// Puts a device into a state and an epoch that no step of its lifecycle has made.
pub async fn device_put(tx: &mut Tx, id: DeviceId, change: impl FnOnce(&mut DeviceRow)) {
    let mut row = crate::device_get(tx, id).await.expect("readable").expect("the device is there");
    change(&mut row);
    crate::device_update(tx, &row).await.expect("writable");
}

#[cfg(test)]
pub(crate) use fixture::*;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod schema;
