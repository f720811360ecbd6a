//! Writes a new cache file beside the last one: new trees as they come, those that the last file has at the end; or
//! adds the new ones to the last file, where nobody knows which of its trees are needed still. Refuses to grow above
//! its maximum: what does not fit is left out.

use super::reader::Reader;
use super::{HEADER_LEN, HEADER_MAGIC, Place, ROW_LEN, TRAILER_LEN, TRAILER_MAGIC, VERSION, no_follow};
use base::{Bytes, DeviceId, SnapshotId};
use format::ChunkRef;
use std::cmp::Reverse;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Of a cache this small, nobody minds what is in it for nothing.
const WASTE_BYTES_MAX: u64 = 1 << 20;
const BUFFER_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Writer {
    file: BufWriter<File>,
    header: [u8; HEADER_LEN],
    /// Where the next tree goes.
    at: u64,
    /// What the trees take up, those included that are still in the last file.
    bytes: u64,
    max: u64,
    new: Vec<(ChunkRef, Place)>,
    /// Trees that the last file has, with their places there.
    old: Vec<(ChunkRef, Place)>,
}

impl Writer {
    /// An empty file in place of whatever is at `path`.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn create(path: &Path, device: DeviceId, snapshot: SnapshotId, max: Bytes) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(HEADER_MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[16..32].copy_from_slice(device.as_bytes());
        header[32..48].copy_from_slice(snapshot.as_bytes());
        let mut file = BufWriter::with_capacity(BUFFER_BYTES, file);
        file.write_all(&header)?;
        Ok(Self { file, header, at: HEADER_LEN as u64, bytes: 0, max: max.0, new: Vec::new(), old: Vec::new() })
    }

    /// Keeps a tree that the last file does not have.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn keep_new(&mut self, tree: &ChunkRef, plain: &[u8]) -> io::Result<()> {
        let Ok(len) = u32::try_from(plain.len()) else { return Ok(()) };
        if !self.has_room(len) {
            return Ok(());
        }
        self.new.push((*tree, Place { at: self.at, len }));
        self.append(plain)
    }

    /// Keeps a tree that the last file has at `place`. Never fails: what does not fit is left out.
    pub fn keep_old(&mut self, tree: &ChunkRef, place: Place) {
        if self.has_room(place.len) {
            self.old.push((*tree, place));
        }
    }

    /// Copies what is still in the last file and writes the table; false when there was no need, and nothing was
    /// written: no tree is new, and the last file is not half full of what nobody needs.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn finish(mut self, last: Option<&Reader>) -> io::Result<bool> {
        if self.new.is_empty() && last.is_none_or(|last| last.len() <= 2 * self.bytes + WASTE_BYTES_MAX) {
            return Ok(false);
        }
        let mut rows = std::mem::take(&mut self.new);
        let mut old = std::mem::take(&mut self.old);
        old.sort_unstable_by_key(|(_, place)| place.at);
        for (tree, place) in old {
            if let Some(plain) = last.and_then(|last| last.read(place)) {
                rows.push((tree, Place { at: self.at, len: place.len }));
                self.append(plain)?;
            }
        }
        self.file.write_all(&table(&self.header, self.at, rows))?;
        self.file.flush()?;
        Ok(true)
    }

    /// Adds the new trees, which stand in the file at `new`, to the last one at `path`, with a table of both. Nothing
    /// is added that does not fit.
    ///
    /// # Errors
    /// The disk is full or fails; the last file is then as it was.
    pub fn append_to(mut self, path: &Path, new: &Path, last: &Reader) -> io::Result<()> {
        self.file.flush()?;
        let shift = last.len() - HEADER_LEN as u64;
        let moved = self.new.iter().map(|(tree, Place { at, len })| (*tree, Place { at: at + shift, len: *len }));
        let rows: Vec<(ChunkRef, Place)> = last.rows().chain(moved).collect();
        let end = self.at + shift;
        if self.new.is_empty() || end + (rows.len() * ROW_LEN) as u64 > self.max {
            return Ok(());
        }
        let header = last.header();
        let mut staged = File::open(new)?;
        staged.seek(SeekFrom::Start(HEADER_LEN as u64))?;
        let mut file = OpenOptions::new().append(true).custom_flags(no_follow()).open(path)?;
        let added = io::copy(&mut staged, &mut file).and_then(|_| file.write_all(&table(header, end, rows)));
        added.inspect_err(|_| drop(file.set_len(last.len())))
    }

    fn has_room(&mut self, len: u32) -> bool {
        let bytes = self.bytes + u64::from(len) + ROW_LEN as u64;
        let has_room = bytes <= self.max;
        if has_room {
            self.bytes = bytes;
        }
        has_room
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// The table of these trees at this offset, and the trailer. Of a tree that is named twice, the one that was written
/// last counts: the other was found damaged.
fn table(header: &[u8; HEADER_LEN], table_at: u64, mut rows: Vec<(ChunkRef, Place)>) -> Vec<u8> {
    rows.sort_unstable_by_key(|(tree, place)| (*tree, Reverse(place.at)));
    rows.dedup_by_key(|(tree, _)| *tree);
    let mut bytes = Vec::with_capacity(rows.len() * ROW_LEN + TRAILER_LEN);
    for (tree, place) in &rows {
        bytes.extend_from_slice(tree.as_bytes());
        bytes.extend_from_slice(&place.at.to_le_bytes());
        bytes.extend_from_slice(&place.len.to_le_bytes());
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(header).update(&bytes);
    bytes.extend_from_slice(&table_at.to_le_bytes());
    bytes.extend_from_slice(&(rows.len() as u64).to_le_bytes());
    bytes.extend_from_slice(hasher.finalize().as_bytes());
    bytes.extend_from_slice(TRAILER_MAGIC);
    bytes
}
