//! Segments of marks: names of chunks that something needs, sorted, in objects of the store, so that a collection is
//! bounded in memory and goes on after a crash, on whichever server.
//! Refuses a block that is not what was written: a name that was lost would let its chunk be removed.
//!
//! A segment is a row of blocks of up to `BLOCK_NAMES` names, ascending through all of them. A block is its names, 16
//! bytes each (the first of the chunk's id, which sort as the ids do), and 16 bytes of BLAKE3 over the segment's name,
//! the block's number, and the names. Which segments count, and how many marks each has, is in the database. Two ids
//! that share their first 16 bytes are kept or let go together.

use crate::damage::is_damage;
use crate::{App, AppError};
use base::Count;
use bytes::Bytes;
use db::{CollectionRow, SegmentRow};
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

impl Kind {
    /// The word in the table. Never fails.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Kind::Trees => "trees",
            Kind::Contents => "contents",
        }
    }
}

/// Writes marks as a segment, sorted and each once; they are gone from `marks` then. None without marks. The name is
/// nobody else's: `writer` was drawn for this process and this part of the collection, so one that has lost its lease
/// and does not know it yet writes beside the others.
///
/// # Errors
/// `store_full`; a store that does not answer.
pub(crate) async fn write(
    app: &App,
    collection: &CollectionRow,
    (writer, number): (&str, u64),
    kind: Kind,
    marks: &mut Vec<Mark>,
) -> Result<Option<SegmentRow>, AppError> {
    marks.sort_unstable();
    marks.dedup();
    if marks.is_empty() {
        return Ok(None);
    }
    let (repository, collection, word) = (collection.repository, collection.number, kind.word());
    let name = format!("{PREFIX}{repository}/{collection}/{word}-{writer}-{number:06}");
    let name = ObjectName::new(name).expect("digits and letters make a name");
    let row = SegmentRow { kind: word.to_owned(), name: name.to_string(), marks: Count::of(marks.len()) };
    let bytes = Bytes::from(encode(&name, marks));
    marks.clear();
    app.store.put_new(&name, bytes).await.map_err(AppError::store("keeping marks"))?;
    Ok(Some(row))
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
    /// The marks of these segments. So many bytes are held of all together.
    ///
    /// # Errors
    /// `marks_damaged` where a segment is gone or has another length; a store that does not answer.
    pub(crate) async fn open(app: &'a App, segments: &[SegmentRow], memory: u64) -> Result<Self, AppError> {
        // The marks of a block take as much again as its bytes.
        let share = memory / 2 / (segments.len().max(1) as u64);
        let blocks = (share / BLOCK_LEN as u64).max(1);
        let mut merged = Self { app, readers: Vec::new(), heads: BinaryHeap::new(), last: None };
        for segment in segments {
            let name = ObjectName::new(segment.name.as_str()).map_err(AppError::store("reading marks"))?;
            let size = app.store.head(&name).await.map_err(AppError::store("looking for marks"))?;
            // INVARIANT: every mark that was counted is read, or the collection ends.
            let len =
                segment.marks.0 * NAME_LEN as u64 + segment.marks.0.div_ceil(BLOCK_NAMES as u64) * DIGEST_LEN as u64;
            if size != Some(base::Bytes(len)) {
                return Err(damaged(&name));
            }
            let marks = Vec::new().into_iter();
            merged.readers.push(Reader { name, len, at: 0, blocks, block_next: 0, marks });
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

    /// Whether this is one of them. Asked in ascending order: what lies before is left behind.
    ///
    /// # Errors
    /// As `open`.
    pub(crate) async fn has(&mut self, mark: Mark) -> Result<bool, AppError> {
        while let Some(Reverse((head, reader))) = self.heads.peek().copied() {
            if head >= mark {
                return Ok(head == mark);
            }
            self.heads.pop();
            self.advance(reader).await?;
        }
        Ok(false)
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
        let bytes = match app.store.get_range(&self.name, self.at, len).await {
            Ok(bytes) => bytes,
            Err(error) if is_damage(&error) => return Err(damaged(&self.name)),
            Err(error) => return Err(AppError::store("reading marks")(error)),
        };
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
        let Some((names, _)) = names else { return Err(damaged(&self.name)) };
        self.block_next += 1;
        let (names, _) = names.as_chunks::<NAME_LEN>();
        marks.extend(names.iter().map(|name| Mark::from_be_bytes(*name)));
        Ok(())
    }
}

fn damaged(name: &ObjectName) -> AppError {
    let sentence = format!("The marks in {name} are not those that were written: the collection begins anew.");
    AppError::damaged("marks_damaged", sentence)
}

/// The mark of an id. Never fails.
pub(crate) fn mark(id: &format::ChunkId) -> Mark {
    Mark::from_be_bytes(*id.as_bytes().first_chunk().expect("an id has 32 bytes"))
}
