//! Segments of marks: names of chunks that something needs, sorted, in objects of the store, so that a collection is
//! bounded in memory and goes on after a crash, on whichever server.
//! Refuses a block that is not what was written: a name that was lost would let its chunk be removed.
//!
//! A segment is a row of blocks of up to `BLOCK_NAMES` names, ascending through all of them. A block is its names, 16
//! bytes each (the first of the chunk's id, which sort as the ids do), and 16 bytes of BLAKE3 over the segment's name,
//! the block's number, and the names. Two ids that share their first 16 bytes are kept together: that is the safe side.

use crate::{App, AppError};
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use store::ObjectName;

/// The prefix of the names of all segments.
pub(crate) const PREFIX: &str = "collect/";
/// Names in a block.
const BLOCK_NAMES: usize = 256;
const NAME_LEN: usize = 16;
const DIGEST_LEN: usize = 16;
const BLOCK_LEN: usize = BLOCK_NAMES * NAME_LEN + DIGEST_LEN;
/// What is hashed of a block begins with this.
const CONTEXT: &str = "holdfast 2026 v1 block of marks";

/// The first 16 bytes of an id, as a number that sorts alike.
pub(crate) type Mark = u128;

/// What a segment is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Trees and lists: what was followed.
    Trees,
    /// Content.
    Contents,
}

/// The object of a segment. Never fails.
pub(crate) fn name(repository: i64, collection: i64, number: u64, kind: Kind) -> ObjectName {
    let letter = match kind {
        Kind::Trees => 't',
        Kind::Contents => 'c',
    };
    let text = format!("{PREFIX}{repository}/{collection}/{letter}{number:06}");
    ObjectName::new(text).expect("digits and letters make a name")
}

/// Writes marks as a segment, sorted and each once; they are gone from `marks` then. Without marks nothing is written.
///
/// # Errors
/// `store_full`; a store that does not answer.
pub(crate) async fn write(app: &App, name: &ObjectName, marks: &mut Vec<Mark>) -> Result<(), AppError> {
    marks.sort_unstable();
    marks.dedup();
    if marks.is_empty() {
        return Ok(());
    }
    let bytes = Bytes::from(encode(name, marks));
    marks.clear();
    // Whoever was here before a crash may have written other marks under this name: they are not counted as written.
    let during = || AppError::store("keeping marks");
    app.store.remove(name).await.map_err(during())?;
    app.store.put_new(name, bytes).await.map_err(during())?;
    Ok(())
}

fn encode(name: &ObjectName, marks: &[Mark]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(marks.len().div_ceil(BLOCK_NAMES) * BLOCK_LEN);
    for (number, block) in (0_u64..).zip(marks.chunks(BLOCK_NAMES)) {
        let from = bytes.len();
        block.iter().for_each(|mark| bytes.extend_from_slice(&mark.to_be_bytes()));
        let digest = digest(name, number, &bytes[from..]);
        bytes.extend_from_slice(&digest);
    }
    bytes
}

fn digest(name: &ObjectName, number: u64, names: &[u8]) -> [u8; DIGEST_LEN] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(name.as_str().as_bytes()).update(&number.to_le_bytes()).update(names);
    *hasher.finalize().as_bytes().first_chunk().expect("a digest of 32 bytes has 16")
}

/// The marks of several segments as one sorted row, each once.
pub(crate) struct Merged<'a> {
    app: &'a App,
    readers: Vec<Reader>,
    /// The next mark of each segment that has one.
    heads: BinaryHeap<Reverse<(Mark, usize)>>,
    last: Option<Mark>,
}

/// A segment on its way.
struct Reader {
    name: ObjectName,
    len: u64,
    /// How much of it was asked for.
    at: u64,
    /// How many blocks are asked for at once.
    blocks: u64,
    block_next: u64,
    marks: std::vec::IntoIter<Mark>,
}

impl<'a> Merged<'a> {
    /// The marks of these segments; those that were never written have none. So many bytes are held of all together.
    ///
    /// # Errors
    /// `marks_damaged`; a store that does not answer.
    pub(crate) async fn open(app: &'a App, names: Vec<ObjectName>, memory: u64) -> Result<Self, AppError> {
        // The marks of a block take as much again as its bytes.
        let share = memory / 2 / (names.len().max(1) as u64);
        let blocks = (share / BLOCK_LEN as u64).max(1);
        let mut merged = Self { app, readers: Vec::new(), heads: BinaryHeap::new(), last: None };
        for name in names {
            let size = app.store.head(&name).await.map_err(AppError::store("looking for marks"))?;
            let Some(size) = size else { continue };
            let marks = Vec::new().into_iter();
            merged.readers.push(Reader { name, len: size.0, at: 0, blocks, block_next: 0, marks });
        }
        for reader in 0..merged.readers.len() {
            merged.advance(reader).await?;
        }
        Ok(merged)
    }

    /// The next mark; `None` after the last.
    ///
    /// # Errors
    /// As `open`.
    pub(crate) async fn next(&mut self) -> Result<Option<Mark>, AppError> {
        while let Some(Reverse((mark, reader))) = self.heads.pop() {
            self.advance(reader).await?;
            if self.last.replace(mark) != Some(mark) {
                return Ok(Some(mark));
            }
        }
        Ok(None)
    }

    async fn advance(&mut self, reader: usize) -> Result<(), AppError> {
        if let Some(mark) = self.readers[reader].next(self.app).await? {
            self.heads.push(Reverse((mark, reader)));
        }
        Ok(())
    }
}

impl Reader {
    async fn next(&mut self, app: &App) -> Result<Option<Mark>, AppError> {
        if let Some(mark) = self.marks.next() {
            return Ok(Some(mark));
        }
        let len = (self.len - self.at).min(self.blocks * BLOCK_LEN as u64);
        if len == 0 {
            return Ok(None);
        }
        let bytes = app.store.get_range(&self.name, self.at, len).await;
        let bytes = bytes.map_err(AppError::store("reading marks"))?;
        self.at += len;
        let mut marks = Vec::with_capacity(bytes.len() / NAME_LEN);
        for block in bytes.chunks(BLOCK_LEN) {
            self.open_block(block, &mut marks)?;
        }
        self.marks = marks.into_iter();
        Ok(self.marks.next())
    }

    fn open_block(&mut self, block: &[u8], marks: &mut Vec<Mark>) -> Result<(), AppError> {
        let names = block.split_last_chunk::<DIGEST_LEN>().filter(|(names, found)| {
            names.len().is_multiple_of(NAME_LEN) && digest(&self.name, self.block_next, names) == **found
        });
        let Some((names, _)) = names else {
            let sentence =
                format!("The marks in {} are not those that were written: the collection begins anew.", self.name);
            return Err(AppError::damaged("marks_damaged", sentence));
        };
        self.block_next += 1;
        let (names, _) = names.as_chunks::<NAME_LEN>();
        marks.extend(names.iter().map(|name| Mark::from_be_bytes(*name)));
        Ok(())
    }
}

/// The mark of an id. Never fails.
pub(crate) fn mark(id: &format::ChunkId) -> Mark {
    Mark::from_be_bytes(*id.as_bytes().first_chunk().expect("an id has 32 bytes"))
}
