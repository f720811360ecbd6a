//! Sets with numbers, and how much is counted for each, in a file of its own that goes with the process.
//! Refuses to know what is in a set: equal bytes are the same set.

use super::{open, said};
use crate::DbError;
use base::Bytes;
use rusqlite::Connection;

/// Sets, of which only some MB are in memory.
#[derive(Debug)]
pub struct SetScratch {
    conn: Connection,
    sets: u32,
}

impl SetScratch {
    /// No set yet, and so much of them in memory, in MiB.
    ///
    /// # Errors
    /// No file can be made.
    pub fn new(memory_mib: u32) -> Result<Self, DbError> {
        let tables = "create table named (digest blob primary key, number integer not null) without rowid; \
                      create table members (number integer primary key, bytes blob not null); \
                      create table counted (number integer primary key, \
                      plain integer not null, stored integer not null)";
        Ok(Self { conn: open(memory_mib, tables)?, sets: 0 })
    }

    /// The number of the set with these members, from 0; one that has none gets the next. `digest` is of them. Blocks.
    ///
    /// # Errors
    /// The disk is full.
    pub fn set_number(&mut self, digest: &[u8; 16], members: &[u8]) -> Result<u32, DbError> {
        let sets = self.sets;
        let number = said((|| {
            let mut get = self.conn.prepare_cached("select number from named where digest = ?1")?;
            match get.query_row([&digest[..]], |row| row.get(0)) {
                Err(rusqlite::Error::QueryReturnedNoRows) => {}
                found => return found,
            }
            let mut put = self.conn.prepare_cached("insert into named (digest, number) values (?1, ?2)")?;
            put.execute((&digest[..], sets))?;
            let mut put = self.conn.prepare_cached("insert into members (number, bytes) values (?1, ?2)")?;
            put.execute((sets, members))?;
            Ok(sets)
        })())?;
        self.sets = self.sets.max(number + 1);
        Ok(number)
    }

    /// The members of the set with this number. Blocks.
    ///
    /// # Errors
    /// There is none; the file cannot be read.
    pub fn set_get(&mut self, number: u32) -> Result<Vec<u8>, DbError> {
        said((|| {
            self.conn
                .prepare_cached("select bytes from members where number = ?1")?
                .query_row([number], |row| row.get(0))
        })())
    }

    /// Counts so many bytes more for a set. Blocks.
    ///
    /// # Errors
    /// The disk is full.
    pub fn set_count(&mut self, number: u32, plain: Bytes, stored: Bytes) -> Result<(), DbError> {
        let (plain, stored) = (crate::row::int(plain.0), crate::row::int(stored.0));
        said((|| {
            self.conn
                .prepare_cached(
                    "insert into counted (number, plain, stored) values (?1, ?2, ?3) on conflict (number) \
                     do update set plain = counted.plain + ?2, stored = counted.stored + ?3",
                )?
                .execute((number, plain, stored))
                .map(drop)
        })())
    }

    /// The sets with numbers above `after` for which anything was counted, in their order, at most `limit`: number,
    /// plain bytes, stored bytes. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn counted_list(&mut self, after: Option<u32>, limit: u32) -> Result<Vec<(u32, Bytes, Bytes)>, DbError> {
        said((|| {
            let statement = "select number, plain, stored from counted where number > ?1 order by number limit ?2";
            let mut list = self.conn.prepare_cached(statement)?;
            let bytes = |number: i64| Bytes(u64::try_from(number).unwrap_or_default());
            list.query_map((after.map_or(-1, i64::from), limit), |row| {
                Ok((row.get(0)?, bytes(row.get(1)?), bytes(row.get(2)?)))
            })?
            .collect()
        })())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sets_are_one_and_what_is_counted_for_it_adds_up() {
        let mut sets = SetScratch::new(1).expect("a scratch file");
        let number = |sets: &mut SetScratch, n: u8| sets.set_number(&[n; 16], &[n, n]).expect("room");
        assert_eq!([1, 2, 1, 3].map(|n| number(&mut sets, n)), [0, 1, 0, 2]);
        assert_eq!(sets.set_get(1).expect("there"), [2, 2]);
        assert!(sets.set_get(3).is_err());
        for (set, plain, stored) in [(2, 10, 1), (0, 5, 5), (2, 7, 2)] {
            sets.set_count(set, Bytes(plain), Bytes(stored)).expect("room");
        }
        let counted = [(0, Bytes(5), Bytes(5)), (2, Bytes(17), Bytes(3))];
        assert_eq!(sets.counted_list(None, 9).expect("readable"), counted);
        assert_eq!(sets.counted_list(Some(0), 9).expect("readable"), counted[1..]);
        assert_eq!(sets.counted_list(None, 1).expect("readable"), counted[..1]);
    }
}
