//! Opens a pack: the index from the end of a file, frames one by one, or all of a pack in memory.
//! Refuses bytes that were changed, moved or cut off, and lengths that do not account for every byte of the file.

use super::{PART, TRAILER_LEN, TRAILER_MAGIC};
use crate::compress;
use crate::error::{Error, Flaw};
use crate::header::{HEADER_LEN, Magic, ObjectHeader};
use crate::index::{FrameEntry, PackIndex};
use crate::key::RunKey;
use crate::limits::PACK_BYTES_MAX;
use crate::seal::{SealKey, SealNonce};
use std::fmt;

/// Opens all of a pack that is in memory; `run_key_for` finds the key that its header asks for.
/// Errors: anything but a pack as it was sealed; the frames are opened, and can be refused, later.
pub fn open_pack(
    bytes: &[u8],
    run_key_for: impl FnOnce(&ObjectHeader) -> Option<RunKey>,
) -> Result<OpenPack<'_>, Error> {
    let (header, opener, index) = open_index(run_key_for, bytes.len() as u64, bytes, bytes)?;
    Ok(OpenPack { bytes, header, opener, index })
}

/// How many bytes from the end of a pack hold its sealed index and trailer, told by its last 8 bytes or more.
/// Errors: no trailer.
pub fn index_tail_len(tail: &[u8]) -> Result<u64, Error> {
    let damaged = |flaw| Error::Decode { part: "pack trailer", offset: 0, flaw };
    let trailer = tail.last_chunk::<TRAILER_LEN>().ok_or(damaged(Flaw::Truncated))?;
    let [a, b, c, d, magic @ ..] = *trailer;
    if magic != *TRAILER_MAGIC {
        return Err(damaged(Flaw::Fixed));
    }
    Ok(u64::from(u32::from_le_bytes([a, b, c, d])) + TRAILER_LEN as u64)
}

impl PackIndex {
    /// Opens the index of a pack of `file_len` bytes, given its first 64 bytes or more and enough of its last ones;
    /// `run_key_for` finds the key that the header asks for.
    /// Errors: `TailShort` says how many last bytes are needed; otherwise anything but a pack as it was sealed.
    pub fn open(
        run_key_for: impl FnOnce(&ObjectHeader) -> Option<RunKey>,
        file_len: u64,
        header: &[u8],
        tail: &[u8],
    ) -> Result<PackIndex, Error> {
        open_index(run_key_for, file_len, header, tail).map(|(_, _, index)| index)
    }
}

fn open_index(
    run_key_for: impl FnOnce(&ObjectHeader) -> Option<RunKey>,
    file_len: u64,
    head: &[u8],
    tail: &[u8],
) -> Result<(ObjectHeader, FrameOpener, PackIndex), Error> {
    let damaged = |flaw| Error::Decode { part: PART, offset: file_len, flaw };
    if file_len > PACK_BYTES_MAX.0 {
        return Err(damaged(Flaw::Limit { max: PACK_BYTES_MAX.0 }));
    }
    let header = ObjectHeader::of_pack(head)?;
    let need = index_tail_len(tail)?;
    if need + HEADER_LEN as u64 > file_len {
        return Err(damaged(Flaw::Sum));
    }
    let have = tail.len() as u64;
    if need > have {
        return Err(Error::TailShort { have, need });
    }
    let sealed = &tail[tail.len() - need as usize..tail.len() - TRAILER_LEN];
    let run_key = run_key_for(&header).ok_or(Error::KeyUnknown { key_id: header.key_id, run: header.run })?;
    let opener = FrameOpener::new(&run_key, &header);
    let plain = opener.key.open(SealNonce::INDEX, &opener.header, sealed).ok_or(Error::Open { part: "pack index" })?;
    let index = PackIndex::decode(&plain)?;
    if index.frames_end() + need != file_len {
        return Err(damaged(Flaw::Sum));
    }
    Ok((header, opener, index))
}

/// Opens frames of one pack.
pub struct FrameOpener {
    key: SealKey,
    header: [u8; HEADER_LEN],
}

impl FrameOpener {
    /// The opener for the pack with this header. Never fails: a wrong key shows at the first frame.
    pub fn new(run_key: &RunKey, header: &ObjectHeader) -> Self {
        Self { key: run_key.pack_key(&header.salt), header: header.encode(Magic::Pack) }
    }

    /// The plaintext of frame `number`, from its sealed bytes and its entry in the index: its chunks, back to back.
    /// Errors: another length, bytes that do not open, or that do not decompress to what the index says.
    pub fn open(&self, number: u32, sealed: &[u8], entry: &FrameEntry) -> Result<Vec<u8>, Error> {
        let packed = self.open_compressed(number, sealed, entry)?;
        match entry.codec {
            compress::Codec::Stored => Ok(packed),
            compress::Codec::Zstd => compress::decompress(entry.codec, &packed, entry.plain_len),
        }
    }

    /// The same, still compressed: for a reader that passes it on to someone who has no key.
    /// Errors: another length, or bytes that do not open.
    pub fn open_compressed(&self, number: u32, sealed: &[u8], entry: &FrameEntry) -> Result<Vec<u8>, Error> {
        if sealed.len() != entry.sealed_len as usize {
            return Err(Error::Frame { frame: number });
        }
        self.key.open(SealNonce::frame(number), &self.header, sealed).ok_or(Error::Frame { frame: number })
    }
}

impl fmt::Debug for FrameOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FrameOpener")
    }
}

/// A pack in memory whose index has been opened.
#[derive(Debug)]
pub struct OpenPack<'a> {
    bytes: &'a [u8],
    header: ObjectHeader,
    opener: FrameOpener,
    index: PackIndex,
}

impl OpenPack<'_> {
    /// What its header says. Never fails.
    pub const fn header(&self) -> &ObjectHeader {
        &self.header
    }

    /// What it holds. Never fails.
    pub const fn index(&self) -> &PackIndex {
        &self.index
    }

    /// The index, taken out. Never fails.
    pub fn into_index(self) -> PackIndex {
        self.index
    }

    /// The plaintext of frame `number`, from 0: its chunks, back to back. Errors: as [`FrameOpener::open`], or no such
    /// frame.
    pub fn frame(&self, number: u32) -> Result<Vec<u8>, Error> {
        let (sealed, entry) = self.sealed(number)?;
        self.opener.open(number, sealed, entry)
    }

    /// The same, still compressed. Errors: as [`FrameOpener::open_compressed`], or no such frame.
    pub fn frame_compressed(&self, number: u32) -> Result<Vec<u8>, Error> {
        let (sealed, entry) = self.sealed(number)?;
        self.opener.open_compressed(number, sealed, entry)
    }

    fn sealed(&self, number: u32) -> Result<(&[u8], &FrameEntry), Error> {
        let entry = self.index.frames().get(number as usize).ok_or(Error::Frame { frame: number })?;
        let begin = entry.offset as usize;
        let sealed = self.bytes.get(begin..begin + entry.sealed_len as usize);
        Ok((sealed.expect("open_index has compared the lengths with the file"), entry))
    }
}
