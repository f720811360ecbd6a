//! Brings the tables of a database file to this release's form; how far they are is the file's `user_version`.
//! Refuses a file of a newer release, and leaves one that it cannot bring up as it was.

use crate::error::failed;
use crate::{DbError, Form};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::path::Path;

/// Each brings the tables from the form before it to its own. One that was released is never changed.
const STEPS: [&str; 3] = [
    include_str!("../../migrations/sqlite/0001_first_light.sql"),
    include_str!("../../migrations/sqlite/0002_control_plane.sql"),
    include_str!("../../migrations/sqlite/0003_what_becomes_of_data.sql"),
];

/// Takes the steps that are missing, all or none. Whoever opens the file at the same time waits for it. Where none is
/// missing nothing is written: a file on a full disk can still be read.
///
/// # Errors
/// Unfit: a file of a newer release. What SQLite says.
pub(super) fn bring_up(conn: &mut Connection) -> Result<(), DbError> {
    let op = || failed("bring its tables to this form");
    if done(conn).map_err(op())? == STEPS.len() as i64 {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(op())?;
    // Once more: another process may have been faster.
    let missing = usize::try_from(done(&tx).map_err(op())?).ok().and_then(|done| STEPS.get(done..));
    let Some(missing) = missing else { return Err(DbError::Unfit { what: "it is of a newer release" }) };
    for step in missing {
        tx.execute_batch(step).map_err(op())?;
    }
    tx.pragma_update(None, "user_version", STEPS.len() as i64).map_err(op())?;
    tx.commit().map_err(op())
}

/// What is in the file at `path`. Blocks.
///
/// # Errors
/// A file that is no database, or cannot be read.
pub(crate) fn form(path: &Path) -> Result<Form, DbError> {
    let op = || failed("look at its tables");
    // An empty file is a database without tables.
    if std::fs::metadata(path).map_or(true, |found| found.len() == 0) {
        return Ok(Form::Empty);
    }
    // Not read-only: the log of a server that was killed is looked through with it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(op())?;
    conn.busy_timeout(super::BUSY_SPAN.as_duration()).map_err(op())?;
    let taken = done(&conn).map_err(op())?;
    let tables: i64 = conn.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).map_err(op())?;
    match (taken, tables) {
        (0, 0) => Ok(Form::Empty),
        (0, _) => Ok(Form::Foreign),
        (taken, _) => Ok(Form::by(taken, STEPS.len() as i64)),
    }
}

fn done(conn: &Connection) -> rusqlite::Result<i64> {
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_brought_up_once_and_a_newer_file_is_refused_in_words() {
        let mut conn = Connection::open_in_memory().expect("memory takes a database");
        for _ in 0..2 {
            bring_up(&mut conn).expect("nothing stands against it");
        }
        conn.pragma_update(None, "user_version", 4).expect("a number");
        let error = bring_up(&mut conn).expect_err("of a newer release");
        assert_eq!(error.to_string(), "this database cannot be used: it is of a newer release");
    }

    #[test]
    fn nothing_is_written_where_no_step_is_missing() {
        let mut conn = Connection::open_in_memory().expect("memory takes a database");
        bring_up(&mut conn).expect("nothing stands against it");
        conn.pragma_update(None, "query_only", true).expect("a switch");
        bring_up(&mut conn).expect("there is nothing to write");
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        let mut conn = Connection::open_in_memory().expect("memory takes a database");
        conn.execute_batch("create table token (id integer)").expect("an empty database");
        bring_up(&mut conn).expect_err("the second step makes a table of that name");
        let tables: i64 = conn.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).expect("a count");
        assert_eq!(tables, 1);
    }
}
