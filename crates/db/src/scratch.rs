//! A set of names, and a pile of them, that may outgrow the memory: tables in a file of their own, which goes with the
//! process.
//! Refuses to be shared, and to be kept: nothing in it is needed twice.

mod graph;
mod sets;

pub use graph::GraphScratch;
pub use sets::SetScratch;

use crate::error::{Cause, failed};
use crate::{DbError, sqlite};
use rusqlite::Connection;

const OP: &str = "keep names in a scratch file";

/// A set of names of 16 bytes, of which only some MB are in memory.
#[derive(Debug)]
pub struct Scratch {
    conn: Connection,
}

impl Scratch {
    /// An empty set with so much of it in memory, in MiB. SQLite makes the file where `SQLITE_TMPDIR` says, or else in
    /// `/var/tmp`, once the set has outgrown the memory; it has no name there, and goes with the process.
    ///
    /// # Errors
    /// No file can be made.
    pub fn new(memory_mib: u32) -> Result<Self, DbError> {
        let tables = "create table name (id blob primary key) without rowid; \
                      create table pending (seq integer primary key, id blob not null)";
        Ok(Self { conn: open(memory_mib, tables)? })
    }

    /// Adds names, and gives for each whether it was new. The same name twice is new once. Blocks.
    ///
    /// # Errors
    /// The disk is full.
    pub fn insert(&mut self, names: &[[u8; 16]]) -> Result<Vec<bool>, DbError> {
        // In their order they go into the table from left to right, not at random.
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_unstable_by_key(|position| (names[*position], *position));
        let mut new = vec![false; names.len()];
        let add = || {
            let mut statement = self.conn.prepare_cached("insert or ignore into name (id) values (?1)")?;
            for position in order {
                new[position] = statement.execute([&names[position][..]])? == 1;
            }
            Ok(())
        };
        said(add())?;
        Ok(new)
    }

    /// Puts names aside that are looked at later. Blocks.
    ///
    /// # Errors
    /// The disk is full.
    pub fn put_aside(&mut self, names: &[[u8; 32]]) -> Result<(), DbError> {
        let put = || {
            let mut statement = self.conn.prepare_cached("insert into pending (id) values (?1)")?;
            names.iter().try_for_each(|name| statement.execute([&name[..]]).map(|_| ()))
        };
        said(put())
    }

    /// Takes up to so many names back, of those that were put aside last. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn take_back(&mut self, limit: u32) -> Result<Vec<[u8; 32]>, DbError> {
        let take = || {
            let mut statement = self.conn.prepare_cached("select seq, id from pending order by seq desc limit ?1")?;
            let rows = statement.query_map([limit], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?)))?;
            let rows = rows.collect::<Result<Vec<(i64, [u8; 32])>, rusqlite::Error>>()?;
            if let Some((first, _)) = rows.last() {
                self.conn.prepare_cached("delete from pending where seq >= ?1")?.execute([first])?;
            }
            Ok(rows.into_iter().map(|(_, name)| name).collect())
        };
        said(take())
    }
}

/// A file of its own with these tables, of which so much is in memory.
fn open(memory_mib: u32, tables: &str) -> Result<Connection, DbError> {
    said((|| {
        let conn = Connection::open("")?;
        sqlite::steady(&conn)?;
        conn.execute_batch(&format!(
            "pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive; \
             pragma page_size = 8192; pragma cache_size = -{}; {tables}; begin",
            u64::from(memory_mib) * 1_024
        ))?;
        Ok(conn)
    })())
}

/// The result of a statement on a scratch file.
fn said<T>(result: Result<T, rusqlite::Error>) -> Result<T, DbError> {
    result.map_err(|error| failed(OP)(Cause::from(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_new_once_also_beyond_the_memory() {
        let mut scratch = Scratch::new(1).expect("a scratch file");
        let name = |n: u64| {
            let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            [mixed.to_be_bytes(), n.to_be_bytes()].concat().try_into().expect("16 bytes")
        };
        assert_eq!(scratch.insert(&[name(1), name(2), name(1)]).expect("room"), [true, true, false]);
        for round in 0..2 {
            for batch in 0..100_u64 {
                let names: Vec<[u8; 16]> = (0..1_000).map(|n| name(3 + batch * 1_000 + n)).collect();
                let new = scratch.insert(&names).expect("room");
                assert!(new.iter().all(|new| *new == (round == 0)), "batch {batch} of round {round}");
            }
        }
        assert_eq!(scratch.insert(&[]).expect("nothing to do"), [false; 0]);
    }

    #[test]
    fn what_was_put_aside_last_is_taken_back_first_and_once() {
        let mut scratch = Scratch::new(1).expect("a scratch file");
        let name = |n: u8| [n; 32];
        scratch.put_aside(&[name(1), name(2), name(3)]).expect("room");
        scratch.put_aside(&[name(4)]).expect("room");
        assert_eq!(scratch.take_back(2).expect("readable"), [name(4), name(3)]);
        scratch.put_aside(&[name(5)]).expect("room");
        assert_eq!(scratch.take_back(9).expect("readable"), [name(5), name(2), name(1)]);
        assert_eq!(scratch.take_back(9).expect("readable"), [[0; 32]; 0]);
    }
}
