//! Trees with numbers, which of them name which, and blocks of sorted records, in a file of its own that goes with the
//! process. Refuses to be shared, and to be kept: nothing in it is needed twice.

use super::{open, said};
use crate::DbError;
use rusqlite::Connection;

/// What a walk has met, of which only some MB are in memory.
#[derive(Debug)]
pub struct GraphScratch {
    conn: Connection,
    /// How many trees have a number.
    trees: u32,
}

impl GraphScratch {
    /// An empty one with so much of it in memory, in MiB.
    ///
    /// # Errors
    /// No file can be made.
    pub fn new(memory_mib: u32) -> Result<Self, DbError> {
        let tables = "create table mark (mark blob primary key, number integer not null) without rowid; \
                      create table tree (number integer primary key, id blob not null); \
                      create table child (number integer primary key, below blob not null); \
                      create table block (seq integer primary key, bytes blob not null)";
        Ok(Self { conn: open(memory_mib, tables)?, trees: 0 })
    }

    /// How many trees have a number: the numbers are those below it. Never fails.
    pub fn trees(&self) -> u32 {
        self.trees
    }

    /// The numbers of these trees; one that has none gets the next. Two that share their first 16 bytes are one.
    /// Blocks.
    ///
    /// # Errors
    /// The disk is full.
    pub fn tree_number(&mut self, ids: &[[u8; 32]]) -> Result<Vec<u32>, DbError> {
        // In their order they go into the table from left to right, not at random.
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_unstable_by_key(|position| (ids[*position], *position));
        let mut numbers = vec![0; ids.len()];
        let mut new: Vec<(u32, &[u8; 32])> = Vec::new();
        let mut trees = self.trees;
        let give = || {
            let mut get = self.conn.prepare_cached("select number from mark where mark = ?1")?;
            let mut put = self.conn.prepare_cached("insert into mark (mark, number) values (?1, ?2)")?;
            for position in order {
                let mark = &ids[position][..16];
                numbers[position] = match get.query_row([mark], |row| row.get(0)) {
                    Ok(number) => number,
                    Err(rusqlite::Error::QueryReturnedNoRows) => {
                        put.execute((mark, trees))?;
                        new.push((trees, &ids[position]));
                        trees += 1;
                        trees - 1
                    }
                    Err(error) => return Err(error),
                };
            }
            let mut put = self.conn.prepare_cached("insert into tree (number, id) values (?1, ?2)")?;
            new.iter().try_for_each(|(number, id)| put.execute((number, &id[..])).map(drop))
        };
        said(give())?;
        self.trees = trees;
        Ok(numbers)
    }

    /// The trees with numbers from `from` on, in their order, at most `limit`. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn tree_list(&mut self, from: u32, limit: u32) -> Result<Vec<[u8; 32]>, DbError> {
        said((|| {
            let mut list =
                self.conn.prepare_cached("select id from tree where number >= ?1 order by number limit ?2")?;
            list.query_map((from, limit), |row| row.get(0))?.collect()
        })())
    }

    /// Keeps which trees a tree names, by their numbers. Blocks.
    ///
    /// # Errors
    /// The disk is full.
    pub fn child_insert(&mut self, number: u32, below: &[u32]) -> Result<(), DbError> {
        let bytes: Vec<u8> = below.iter().flat_map(|number| number.to_le_bytes()).collect();
        said((|| {
            let mut put = self.conn.prepare_cached("insert into child (number, below) values (?1, ?2)")?;
            put.execute((number, bytes)).map(drop)
        })())
    }

    /// Which trees a tree names; none of which that was never said. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn child_list(&mut self, number: u32) -> Result<Vec<u32>, DbError> {
        said((|| {
            let mut get = self.conn.prepare_cached("select below from child where number = ?1")?;
            let mut rows = get.query([number])?;
            let Some(row) = rows.next()? else { return Ok(Vec::new()) };
            let bytes: Vec<u8> = row.get(0)?;
            Ok(bytes.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number)).collect())
        })())
    }

    /// Keeps a block of records, and gives its number: they grow by one. Blocks.
    ///
    /// # Errors
    /// The disk is full.
    pub fn block_insert(&mut self, bytes: &[u8]) -> Result<i64, DbError> {
        said((|| {
            self.conn.prepare_cached("insert into block (bytes) values (?1)")?.execute([bytes])?;
            Ok(self.conn.last_insert_rowid())
        })())
    }

    /// The block with this number. Blocks.
    ///
    /// # Errors
    /// There is none; the file cannot be read.
    pub fn block_get(&mut self, seq: i64) -> Result<Vec<u8>, DbError> {
        said((|| {
            self.conn.prepare_cached("select bytes from block where seq = ?1")?.query_row([seq], |row| row.get(0))
        })())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_one_number_and_the_children_that_were_said_of_it() {
        let mut graph = GraphScratch::new(1).expect("a scratch file");
        let id = |n: u8| [n; 32];
        assert_eq!(graph.tree_number(&[id(9), id(3), id(9)]).expect("room"), [1, 0, 1], "in the order of the names");
        assert_eq!(graph.tree_number(&[id(4), id(3)]).expect("room"), [2, 0]);
        assert_eq!((graph.trees(), graph.tree_number(&[]).expect("nothing to do")), (3, Vec::new()));
        assert_eq!(graph.tree_list(1, 9).expect("readable"), [id(9), id(4)]);
        assert_eq!(graph.tree_list(0, 1).expect("readable"), [id(3)]);
        graph.child_insert(1, &[2, 0, u32::MAX]).expect("room");
        assert_eq!(graph.child_list(1).expect("readable"), [2, 0, u32::MAX]);
        assert_eq!(graph.child_list(0).expect("readable"), [0_u32; 0]);
    }

    #[test]
    fn blocks_come_back_by_their_numbers_also_beyond_the_memory() {
        let mut graph = GraphScratch::new(1).expect("a scratch file");
        let block = |n: i64| vec![n as u8; 20_000];
        for n in 1..=200 {
            assert_eq!(graph.block_insert(&block(n)).expect("room"), n);
        }
        for n in [200, 1, 77] {
            assert_eq!(graph.block_get(n).expect("there"), block(n));
        }
        assert!(graph.block_get(201).is_err());
    }
}
