//! Looks trees up in a cache file: two small reads for each, a few hundred bytes of memory for a thousand trees.
//! Refuses a file that is damaged, cut short, of another version or of another device.

use super::{HEADER_LEN, HEADER_MAGIC, Place, ROW_LEN, TRAILER_LEN, TRAILER_MAGIC, VERSION};
use base::DeviceId;
use format::ChunkRef;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Rows of the table that are read together; the first ref of each group stays in memory.
const GROUP_ROWS: usize = 64;

#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    /// The first ref of every group, ascending.
    firsts: Vec<[u8; 32]>,
    table_at: u64,
    rows: u64,
}

impl Reader {
    /// Opens the file; `None` when there is none that can be used. Never fails otherwise.
    pub fn open(path: &Path, device: DeviceId) -> Option<Self> {
        let no_follow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(no_follow).open(path).ok()?;
        let len = file.metadata().ok()?.len();
        let mut header = [0; HEADER_LEN];
        let mut trailer = [0; TRAILER_LEN];
        file.read_exact_at(&mut header, 0).ok()?;
        file.read_exact_at(&mut trailer, len.checked_sub(TRAILER_LEN as u64)?).ok()?;
        let table_at = u64::from_le_bytes(trailer[..8].try_into().ok()?);
        let rows = u64::from_le_bytes(trailer[8..16].try_into().ok()?);
        let is_ours = header[..8] == *HEADER_MAGIC
            && header[8..12] == VERSION.to_le_bytes()
            && header[16..32] == *device.as_bytes()
            && trailer[48..] == *TRAILER_MAGIC;
        let table_len = rows.checked_mul(ROW_LEN as u64)?;
        let end = table_at.checked_add(table_len)?.checked_add(TRAILER_LEN as u64)?;
        if !is_ours || table_at < HEADER_LEN as u64 || end != len {
            return None;
        }
        let mut reader = Self { file, firsts: Vec::new(), table_at, rows };
        let digest = reader.look_through(&header)?;
        // `blake3::Hash` compares in constant time, which does no harm.
        (digest == <[u8; 32]>::try_from(&trailer[16..48]).ok()?).then_some(reader)
    }

    /// The tree's bytes as they lie there; `None` when it is not there or cannot be read. Never fails otherwise.
    pub fn get(&self, tree: &ChunkRef) -> Option<Vec<u8>> {
        self.read(self.find(tree)?)
    }

    /// Where a tree lies. Never fails: what cannot be read is not there.
    pub fn find(&self, tree: &ChunkRef) -> Option<Place> {
        let group = self.firsts.partition_point(|first| first <= tree.as_bytes()).checked_sub(1)?;
        let table = self.group(group)?;
        let (rows, _) = table.as_chunks::<ROW_LEN>();
        let found = rows.binary_search_by(|row| row[..32].cmp(tree.as_bytes())).ok()?;
        Some(place_of(&rows[found]))
    }

    /// The bytes at a place. Never fails: what cannot be read is not there.
    pub fn read(&self, place: Place) -> Option<Vec<u8>> {
        // The table's digest vouches for the length, so that it is never one that memory could not hold.
        let mut plain = vec![0; place.len as usize];
        self.file.read_exact_at(&mut plain, place.at).ok()?;
        Some(plain)
    }

    /// Reads the table once: remembers where groups begin; the digest of header and table, if every row is in order.
    fn look_through(&mut self, header: &[u8; HEADER_LEN]) -> Option<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(header);
        let mut last: Option<[u8; 32]> = None;
        for group in 0..usize::try_from(self.rows).ok()?.div_ceil(GROUP_ROWS) {
            let table = self.group(group)?;
            hasher.update(&table);
            for (number, row) in table.as_chunks::<ROW_LEN>().0.iter().enumerate() {
                let tree: [u8; 32] = row[..32].try_into().ok()?;
                let Place { at, len } = place_of(row);
                let is_inside = at >= HEADER_LEN as u64 && at.checked_add(len.into())? <= self.table_at;
                if !is_inside || last.is_some_and(|last| last >= tree) {
                    return None;
                }
                if number == 0 {
                    self.firsts.push(tree);
                }
                last = Some(tree);
            }
        }
        Some(hasher.finalize())
    }

    fn group(&self, number: usize) -> Option<Vec<u8>> {
        let first = (number * GROUP_ROWS) as u64;
        let rows = self.rows.checked_sub(first)?.min(GROUP_ROWS as u64);
        let mut table = vec![0; rows as usize * ROW_LEN];
        self.file.read_exact_at(&mut table, self.table_at + first * ROW_LEN as u64).ok()?;
        Some(table)
    }
}

fn place_of(row: &[u8; ROW_LEN]) -> Place {
    let (at, len) = row[32..].split_at(8);
    Place {
        at: u64::from_le_bytes(at.try_into().expect("a row ends with 8 and 4 bytes")),
        len: u32::from_le_bytes(len.try_into().expect("a row ends with 8 and 4 bytes")),
    }
}
