//! Which trees name what: records that are sorted as memory fills, kept in blocks of a scratch file, and merged into
//! one sorted row. Refuses to hold more than a part of them in memory.

use crate::collect::segment::Mark;
use db::{DbError, GraphScratch};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The mark of what is named, and the number of the tree that names it; both begin with their highest byte, so that
/// records sort as these do.
type Record = [u8; RECORD_LEN];
const RECORD_LEN: usize = 20;
const MARK_LEN: usize = 16;
/// Records of a block: what is held of each run while they are merged.
const BLOCK: usize = 1_024;

/// Records on their way.
pub(super) struct Sorter {
    records: Vec<Record>,
    max: usize,
    runs: Vec<Run>,
}

/// Sorted blocks that follow each other.
struct Run {
    next: i64,
    blocks: u64,
}

/// All records, in their order.
pub(super) struct Merged {
    readers: Vec<Reader>,
    heads: BinaryHeap<Reverse<(Record, usize)>>,
}

struct Reader {
    run: Run,
    /// The block that is open, and how many of its records were given.
    records: Vec<Record>,
    given: usize,
}

impl Sorter {
    /// One with so many bytes of memory.
    pub(super) fn new(memory: u64) -> Self {
        let max = usize::try_from(memory / RECORD_LEN as u64).unwrap_or(usize::MAX).max(1);
        Self { records: Vec::new(), max, runs: Vec::new() }
    }

    /// Takes in that the tree with this number names it.
    ///
    /// # Errors
    /// The disk is full.
    pub(super) fn push(&mut self, scratch: &mut GraphScratch, named: Mark, tree: u32) -> Result<(), DbError> {
        let mut record = [0; RECORD_LEN];
        record[..MARK_LEN].copy_from_slice(&named.to_be_bytes());
        record[MARK_LEN..].copy_from_slice(&tree.to_be_bytes());
        self.records.push(record);
        if self.records.len() >= self.max { self.flush(scratch) } else { Ok(()) }
    }

    /// All that were taken in.
    ///
    /// # Errors
    /// The disk is full, or the file cannot be read.
    pub(super) fn merged(mut self, scratch: &mut GraphScratch) -> Result<Merged, DbError> {
        self.flush(scratch)?;
        let reader = |run| Reader { run, records: Vec::new(), given: 0 };
        let readers: Vec<Reader> = self.runs.into_iter().map(reader).collect();
        let mut merged = Merged { readers, heads: BinaryHeap::new() };
        for reader in 0..merged.readers.len() {
            merged.advance(scratch, reader)?;
        }
        Ok(merged)
    }

    fn flush(&mut self, scratch: &mut GraphScratch) -> Result<(), DbError> {
        self.records.sort_unstable();
        self.records.dedup();
        let mut run: Option<Run> = None;
        for block in self.records.chunks(BLOCK) {
            let seq = scratch.block_insert(block.as_flattened())?;
            run.get_or_insert(Run { next: seq, blocks: 0 }).blocks += 1;
        }
        self.runs.extend(run);
        self.records.clear();
        Ok(())
    }
}

impl Merged {
    /// The trees that name this; asked in ascending order. Gives how many others were passed, each counted once.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn take(
        &mut self,
        scratch: &mut GraphScratch,
        named: Mark,
        trees: &mut Vec<u32>,
    ) -> Result<u64, DbError> {
        let (mut passed, mut last) = (0, None);
        trees.clear();
        while let Some(Reverse((record, reader))) = self.heads.peek().copied() {
            let (mark, tree) = read(&record);
            if mark > named {
                break;
            }
            self.heads.pop();
            self.advance(scratch, reader)?;
            if mark == named {
                trees.push(tree);
            } else if last.replace(mark) != Some(mark) {
                passed += 1;
            }
        }
        Ok(passed)
    }

    fn advance(&mut self, scratch: &mut GraphScratch, reader: usize) -> Result<(), DbError> {
        if let Some(record) = self.readers[reader].next(scratch)? {
            self.heads.push(Reverse((record, reader)));
        }
        Ok(())
    }
}

impl Reader {
    fn next(&mut self, scratch: &mut GraphScratch) -> Result<Option<Record>, DbError> {
        if self.given == self.records.len() {
            if self.run.blocks == 0 {
                return Ok(None);
            }
            let bytes = scratch.block_get(self.run.next)?;
            (self.run.next, self.run.blocks) = (self.run.next + 1, self.run.blocks - 1);
            self.records.clear();
            self.records.extend_from_slice(bytes.as_chunks::<RECORD_LEN>().0);
            self.given = 0;
        }
        let record = self.records.get(self.given).copied();
        self.given += 1;
        Ok(record)
    }
}

fn read(record: &Record) -> (Mark, u32) {
    let mark = record.first_chunk().expect("a record begins with a mark");
    let tree = record.last_chunk().expect("a record ends with a number");
    (Mark::from_be_bytes(*mark), u32::from_be_bytes(*tree))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_memory_everything_comes_back_in_its_order() {
        for memory in [1, 60, 2_000, 1 << 20] {
            let mut scratch = GraphScratch::new(1).expect("a scratch file");
            let mut sorter = Sorter::new(memory);
            for n in 0..3_000_u32 {
                // Each of the even marks up to 198 is named by trees 0 to 29, and once more by the last.
                let (mark, tree) = (u128::from(n * 7 % 100) * 2, n / 100);
                sorter.push(&mut scratch, mark, tree).expect("room");
            }
            sorter.push(&mut scratch, 4, 29).expect("room");
            let mut merged = sorter.merged(&mut scratch).expect("readable");
            let mut trees = Vec::new();
            let mut take = |mark| {
                let passed = merged.take(&mut scratch, mark, &mut trees).expect("readable");
                let mut found = trees.clone();
                found.dedup();
                (passed, found)
            };
            let all: Vec<u32> = (0..30).collect();
            assert_eq!(take(0), (0, all.clone()), "with {memory} bytes");
            assert_eq!(take(1), (0, Vec::new()));
            assert_eq!(take(4), (1, all.clone()));
            assert_eq!(take(198), (96, all));
            assert_eq!(take(Mark::MAX), (0, Vec::new()));
        }
    }
}
