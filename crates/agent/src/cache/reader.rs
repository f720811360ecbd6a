//! Looks trees up in a cache file that is mapped into memory: what is not looked at takes none.
//! Refuses a file that is damaged, cut short, of another version or of another device.

use super::{HEADER_LEN, HEADER_MAGIC, Place, ROW_LEN, TRAILER_LEN, TRAILER_MAGIC, VERSION, no_follow};
use base::DeviceId;
use format::ChunkRef;
use memmap2::{Mmap, UncheckedAdvice};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be in memory of what was looked at.
const IN_MEMORY_MAX: usize = 16 << 20;
/// What Linux maps around a byte that is looked at (`fault_around_bytes`).
const MAPPED_AROUND: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Reader {
    map: Mmap,
    /// How much was looked at since the last time that memory was given back.
    looked_at: AtomicUsize,
    table_at: usize,
    rows: usize,
}

impl Reader {
    /// Opens the file; `None` when there is none that can be used. Never fails otherwise.
    pub fn open(path: &Path, device: DeviceId) -> Option<Self> {
        let file = OpenOptions::new().read(true).custom_flags(no_follow()).open(path).ok()?;
        let map = map(&file)?;
        let header = map.first_chunk::<HEADER_LEN>()?;
        let trailer = map.last_chunk::<TRAILER_LEN>()?;
        let number = |at: usize| usize::try_from(u64::from_le_bytes(trailer[at..at + 8].try_into().ok()?)).ok();
        let (table_at, rows) = (number(0)?, number(8)?);
        let is_ours = header[..8] == *HEADER_MAGIC
            && header[8..12] == VERSION.to_le_bytes()
            && header[16..32] == *device.as_bytes()
            && trailer[48..] == *TRAILER_MAGIC;
        let end = table_at.checked_add(rows.checked_mul(ROW_LEN)?)?.checked_add(TRAILER_LEN)?;
        if !is_ours || table_at < HEADER_LEN || end != map.len() {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(header).update(&map[table_at..end - TRAILER_LEN]);
        let digest = <[u8; 32]>::try_from(&trailer[16..48]).ok()?;
        let reader = Self { table_at, rows, looked_at: AtomicUsize::new(0), map };
        // `blake3::Hash` compares in constant time, which does no harm.
        (hasher.finalize() == digest && reader.is_in_order()).then_some(reader)
    }

    /// The tree's bytes as they lie there; `None` when it is not there. Never fails otherwise.
    pub fn get(&self, tree: &ChunkRef) -> Option<&[u8]> {
        self.read(self.find(tree)?)
    }

    /// Where a tree lies. Never fails.
    pub fn find(&self, tree: &ChunkRef) -> Option<Place> {
        let table = self.table();
        let found = table.binary_search_by(|row| row[..32].cmp(tree.as_bytes())).ok()?;
        Some(place_of(&table[found]))
    }

    /// The bytes at a place of this file. Never fails: what is outside of it is not there.
    pub fn read(&self, place: Place) -> Option<&[u8]> {
        let (at, len) = (usize::try_from(place.at).ok()?, place.len as usize);
        let bytes = self.map.get(at..at.checked_add(len)?)?;
        let mapped = len.next_multiple_of(MAPPED_AROUND);
        if self.looked_at.fetch_add(mapped, Ordering::Relaxed) + mapped > IN_MEMORY_MAX {
            self.looked_at.store(0, Ordering::Relaxed);
            give_back(&self.map);
        }
        Some(bytes)
    }

    /// All trees with their places, in ascending order. Never fails.
    pub fn rows(&self) -> impl Iterator<Item = (ChunkRef, Place)> {
        self.table().iter().map(|row| {
            let tree = row.first_chunk().expect("a row begins with 32 bytes");
            (ChunkRef::from_bytes(*tree), place_of(row))
        })
    }

    /// What the digest of the table begins with.
    pub fn header(&self) -> &[u8; HEADER_LEN] {
        self.map.first_chunk().expect("a file without a header is not opened")
    }

    /// How long the file is.
    pub fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Whether the rows ascend and name places between header and table.
    fn is_in_order(&self) -> bool {
        let is_inside = |row: &[u8; ROW_LEN]| {
            let Place { at, len } = place_of(row);
            let end = at.checked_add(len.into());
            at >= HEADER_LEN as u64 && end.is_some_and(|end| end <= self.table_at as u64)
        };
        let table = self.table();
        table.iter().all(is_inside) && table.is_sorted_by(|one, next| one[..32] < next[..32])
    }

    fn table(&self) -> &[[u8; ROW_LEN]] {
        self.map[self.table_at..self.table_at + self.rows * ROW_LEN].as_chunks().0
    }
}

/// The file in memory; `None` where it cannot be mapped.
#[expect(unsafe_code, reason = "nothing else can map a file")]
fn map(file: &File) -> Option<Mmap> {
    // SAFETY: the bytes must not change while they are looked at. The file lies in a directory that only its owner and
    // root can reach, and this program changes no byte of one that has its name: it adds to its end, beyond what is
    // mapped, or writes another one and renames it, while the one that is mapped stays whole until it is let go of.
    // What could not be added whole is cut off again; who maps the file in between finds no trailer, and lets go of it.
    unsafe { Mmap::map(file) }.ok()
}

/// Lets go of the memory of a map. What is looked at again comes from the system's own memory of the file.
#[expect(unsafe_code, reason = "nothing else can give it back")]
fn give_back(map: &Mmap) {
    // SAFETY: the map is of a file, read only and shared, so its bytes are the file's whether they are in memory or
    // not. Advice only: where it is not taken, more memory is used.
    let _ = unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) };
}

fn place_of(row: &[u8; ROW_LEN]) -> Place {
    let (at, len) = row[32..].split_at(8);
    Place {
        at: u64::from_le_bytes(at.try_into().expect("a row ends with 8 and 4 bytes")),
        len: u32::from_le_bytes(len.try_into().expect("a row ends with 8 and 4 bytes")),
    }
}
