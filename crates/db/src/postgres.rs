//! A PostgreSQL database: a few connections that write in turn, more that read.
//! Refuses a server older than 15, a database that is not in UTF-8, and two writers at once, whichever process they are
//! in.

use crate::error::failed;
use crate::sqlite::TURN_SPAN;
use crate::{DbError, Form};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgPool, Transaction};
use std::str::FromStr as _;

/// The oldest server that is let in, as `server_version_num` counts.
const VERSION_MIN: u32 = 150_000;
/// Connections that write: one does, the others are on their way to or from it.
const WRITERS_MAX: u32 = 4;
/// Connections that read side by side.
const READERS_MAX: u32 = 8;
/// The advisory lock that a writing transaction holds: `holdfast` in ASCII.
const WRITE_LOCK: i64 = 0x686f_6c64_6661_7374;
/// What every connection asks for.
const SETTINGS: [(&str, &str); 3] = [
    // INVARIANT: acknowledged means durable, whatever the server's own setting is.
    ("synchronous_commit", "on"),
    // How long a writer waits for its turn, in milliseconds: `TURN_SPAN`.
    ("lock_timeout", "30000"),
    ("search_path", "public"),
];
/// How long a transaction may say nothing, in milliseconds. A process that is cut off from the server in the middle of
/// one holds the others up no longer than this: all of them, where it writes, and there nothing is waited for between
/// two statements. One that reads may wait for the store.
const IDLE: &str = "idle_in_transaction_session_timeout";
const WRITER_IDLE_MS: &str = "5000";
const READER_IDLE_MS: &str = "60000";

/// Each brings the tables from the form before it to its own.
static STEPS: Migrator = sqlx::migrate!("./migrations/postgres");

/// A connected database.
#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    writers: PgPool,
    readers: PgPool,
}

impl Postgres {
    /// Connects, refuses what is unfit, and brings the tables to this release's form.
    pub(crate) async fn connect(url: &str, password: Option<&str>) -> Result<Self, DbError> {
        let options = options(url, password)?;
        let op = "connect to PostgreSQL";
        let pool = |connections_max| {
            PgPoolOptions::new().max_connections(connections_max).acquire_timeout(TURN_SPAN.as_duration())
        };
        let writes = options.clone().options([(IDLE, WRITER_IDLE_MS)]);
        let writers = pool(WRITERS_MAX).connect_with(writes).await.map_err(failed(op))?;
        fit_or_refuse(&writers).await?;
        let migrated = STEPS.run(&writers).await;
        migrated.map_err(|cause| match cause {
            // It has a migration that this release does not.
            MigrateError::VersionMissing(_) => DbError::Unfit { what: "it is of a newer release" },
            cause => DbError::Migrate { cause },
        })?;
        // Without a transaction, too, a reader only reads.
        let reads = options.options([("default_transaction_read_only", "on"), (IDLE, READER_IDLE_MS)]);
        Ok(Self { writers, readers: pool(READERS_MAX).connect_lazy_with(reads) })
    }

    /// A transaction that writes. It sees everything that was committed before, and no other writes until it ends.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, sqlx::Postgres>, DbError> {
        let op = "begin a transaction";
        let mut tx = self.writers.begin_with("begin isolation level read committed").await.map_err(failed(op))?;
        // RACE: taken before anything is read, so that what this transaction reads is still true when it writes. The
        // server lets go of it after the commit is durable.
        sqlx::query("select pg_advisory_xact_lock($1)").bind(WRITE_LOCK).execute(&mut *tx).await.map_err(failed(op))?;
        Ok(tx)
    }

    /// A transaction that reads one state.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, sqlx::Postgres>, DbError> {
        let begun = self.readers.begin_with("begin isolation level repeatable read read only").await;
        begun.map_err(failed("begin to read"))
    }

    /// A connection that reads.
    pub(crate) async fn read_each(&self) -> Result<PoolConnection<sqlx::Postgres>, DbError> {
        self.readers.acquire().await.map_err(failed("begin to read"))
    }

    /// Ends every connection.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

/// What is in the database.
pub(crate) async fn form(url: &str, password: Option<&str>) -> Result<Form, DbError> {
    let op = || failed("look at its tables");
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(TURN_SPAN.as_duration());
    let pool = pool.connect_with(options(url, password)?).await.map_err(op())?;
    fit_or_refuse(&pool).await?;
    let tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')";
    let tables: i64 = sqlx::query_scalar(tables).fetch_one(&pool).await.map_err(op())?;
    let known = "select to_regclass('public._sqlx_migrations') is not null";
    let known: bool = sqlx::query_scalar(known).fetch_one(&pool).await.map_err(op())?;
    let taken: i64 = match known {
        true => {
            let taken = "select coalesce(max(version), 0) from _sqlx_migrations where success";
            sqlx::query_scalar(taken).fetch_one(&pool).await.map_err(op())?
        }
        false => 0,
    };
    pool.close().await;
    let last = STEPS.iter().map(|step| step.version).max().unwrap_or(0);
    Ok(match (taken, tables) {
        (0, 0) => Form::Empty,
        (0, _) => Form::Foreign,
        (taken, _) => Form::by(taken, last),
    })
}

/// The way to a database, in the settings that every connection has.
fn options(url: &str, password: Option<&str>) -> Result<PgConnectOptions, DbError> {
    // The cause repeats parts of the address, and with them maybe a password: it is left out.
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| DbError::Unfit { what: "its address is not one of the form postgres://user@host/name" })?
        .application_name("holdfast")
        .options(SETTINGS)
        .disable_statement_logging();
    Ok(match password {
        Some(password) => options.password(password),
        None => options,
    })
}

async fn fit_or_refuse(pool: &PgPool) -> Result<(), DbError> {
    let op = "look at PostgreSQL's version";
    let conn = pool.acquire().await.map_err(failed(op))?;
    version_or_refuse(conn.server_version_num())?;
    drop(conn);
    let encoding: String =
        sqlx::query_scalar("select current_setting('server_encoding')").fetch_one(pool).await.map_err(failed(op))?;
    if encoding != "UTF8" {
        return Err(DbError::Unfit { what: "it is not in UTF-8: create it with `encoding 'UTF8' template template0`" });
    }
    Ok(())
}

fn version_or_refuse(version: Option<u32>) -> Result<(), DbError> {
    match version {
        Some(version) if version >= VERSION_MIN => Ok(()),
        Some(_) | None => Err(DbError::Unfit { what: "its PostgreSQL is older than version 15" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Db, testing};
    use base::Span;

    #[test]
    fn a_server_older_than_15_is_refused_in_words() {
        for (version, fit) in [(None, false), (Some(90_624), false), (Some(140_012), false), (Some(150_000), true)] {
            assert_eq!(version_or_refuse(version).is_ok(), fit, "{version:?}");
        }
        let error = version_or_refuse(Some(140_012)).expect_err("too old");
        assert_eq!(error.to_string(), "this database cannot be used: its PostgreSQL is older than version 15");
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_refused_without_repeating_it() {
        let error = Postgres::connect("postgres://me:secret@[::", None).await.expect_err("no address");
        assert!(!std::format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[tokio::test]
    async fn a_database_of_a_newer_release_is_refused_in_words() {
        let (_server, url) = testing::postgres_empty().await;
        let own = Postgres::connect(&url, None).await.expect("empty");
        let later = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                     values (999, 'later', true, '', 0)";
        sqlx::query(later).execute(&own.writers).await.expect("the table is there");
        let error = Postgres::connect(&url, None).await.map(|_| ()).expect_err("of a newer release");
        assert_eq!(error.to_string(), "this database cannot be used: it is of a newer release");
    }

    #[tokio::test]
    async fn a_writer_that_says_nothing_more_loses_its_turn_to_another_process() {
        let temp = testing::postgres().await;
        let other = temp.again().await;
        // As a server whose line is dead: its connection is there, and nothing comes of it.
        let mut silent = temp.db.write().await.expect("nobody else writes");
        let idle = Span::ms(WRITER_IDLE_MS.parse().expect("a number"));
        let turn = tokio::time::timeout(idle.as_duration() * 2, other.write()).await.expect("in time");
        turn.expect("it is its turn").commit().await.expect("nothing stands against it");
        let error = crate::job_lease_get(&mut silent, "mail").await.expect_err("it was ended");
        assert_eq!(error.kind(), base::Kind::Unavailable);
        drop(silent);
        temp.db.write().await.expect("with another connection").commit().await.expect("nothing stands against it");
    }

    #[tokio::test]
    async fn servers_that_start_at_the_same_time_bring_an_empty_database_to_this_form_once() {
        let (_server, url) = testing::postgres_empty().await;
        let mut starting = tokio::task::JoinSet::new();
        for _ in 0..5 {
            let url = url.clone();
            starting.spawn(async move { Db::connect(&url, None).await });
        }
        for db in starting.join_all().await {
            let mut tx = db.expect("each waits for its turn").write().await.expect("each in turn");
            assert_eq!(crate::repository_list(&mut tx).await.expect("the tables are there"), []);
        }
    }
}
