//! Writes a new cache file beside the last one: new trees as they come, those that the last file has at the end.
//! Refuses to grow above its maximum: what does not fit is left out.

use super::reader::Reader;
use super::{HEADER_LEN, HEADER_MAGIC, Place, ROW_LEN, TRAILER_MAGIC, VERSION};
use base::{Bytes, DeviceId, SnapshotId};
use format::ChunkRef;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

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

    /// Copies what is still in the last file and writes the table; false when no tree is new, and nothing was written.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn finish(mut self, last: Option<&Reader>) -> io::Result<bool> {
        if self.new.is_empty() {
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
        rows.sort_unstable_by_key(|(tree, place)| (*tree, place.at));
        rows.dedup_by_key(|(tree, _)| *tree);
        let table_at = self.at;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.header);
        for (tree, place) in &rows {
            let mut row = [0; ROW_LEN];
            row[..32].copy_from_slice(tree.as_bytes());
            row[32..40].copy_from_slice(&place.at.to_le_bytes());
            row[40..].copy_from_slice(&place.len.to_le_bytes());
            hasher.update(&row);
            self.append(&row)?;
        }
        self.append(&table_at.to_le_bytes())?;
        self.append(&(rows.len() as u64).to_le_bytes())?;
        self.append(hasher.finalize().as_bytes())?;
        self.append(TRAILER_MAGIC)?;
        self.file.flush()?;
        Ok(true)
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
