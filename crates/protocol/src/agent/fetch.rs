//! Parcels: how chunks travel back to a device. A parcel carries chunks of one frame, compressed as they are
//! stored when the device asked for all of them, and nothing of its neighbours otherwise.
//!
//! `fetch` answers with parcels back to back and an end mark, so that a cut connection is never taken for the end:
//! `P` · codec u8 · 0u16 · chunk count u32 · plain length u32 · byte length u32 · (position u32, length u32) each ·
//! bytes; at the end `E` · 0u8 · 0u16 · parcel count u32. Little-endian. `position` is the ref's place in the request.

use std::fmt;

/// The most bytes that the header of one parcel and its chunks may say.
pub const PARCEL_BYTES_MAX: usize = 16 << 20;
const PARCEL: u8 = b'P';
const END: u8 = b'E';
const HEADER_LEN: usize = 16;
const END_LEN: usize = 8;

/// Chunks of one frame on their way to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// How `bytes` are compressed: the codec byte of docs/format.md.
    pub codec: u8,
    /// The length of `bytes` once decompressed.
    pub plain_len: u32,
    /// Which refs of the request, in the order of the plain bytes, and how long each is.
    pub chunks: Vec<ParcelChunk>,
    /// The chunks back to back, compressed together.
    pub bytes: Vec<u8>,
}

/// One chunk in a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParcelChunk {
    /// The place of its ref in the request, from 0.
    pub position: u32,
    /// Its length in bytes.
    pub len: u32,
}

/// A stream of parcels that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParcelError(&'static str);

impl fmt::Display for ParcelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server's answer is not a stream of parcels: {}", self.0)
    }
}

impl std::error::Error for ParcelError {}

impl Parcel {
    /// The bytes of this parcel on the wire. Never fails; the caller keeps to `PARCEL_BYTES_MAX`.
    pub fn encode(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(HEADER_LEN + self.chunks.len() * 8 + self.bytes.len());
        wire.extend_from_slice(&[PARCEL, self.codec, 0, 0]);
        wire.extend_from_slice(&(self.chunks.len() as u32).to_le_bytes());
        wire.extend_from_slice(&self.plain_len.to_le_bytes());
        wire.extend_from_slice(&(self.bytes.len() as u32).to_le_bytes());
        for chunk in &self.chunks {
            wire.extend_from_slice(&chunk.position.to_le_bytes());
            wire.extend_from_slice(&chunk.len.to_le_bytes());
        }
        wire.extend_from_slice(&self.bytes);
        wire
    }
}

/// The end mark after that many parcels. Never fails.
pub fn encode_end(parcels: u32) -> [u8; END_LEN] {
    let mut wire = [END, 0, 0, 0, 0, 0, 0, 0];
    wire[4..].copy_from_slice(&parcels.to_le_bytes());
    wire
}

/// Takes a stream apart as its bytes arrive.
#[derive(Debug, Default)]
pub struct ParcelReader {
    buffer: Vec<u8>,
    consumed: usize,
    parcels: u32,
    ended: bool,
}

impl ParcelReader {
    /// Takes the next bytes of the stream. Never fails.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole parcel; `None` when more bytes are needed or the end mark was read.
    ///
    /// # Errors
    /// A stream that breaks the form or passes `PARCEL_BYTES_MAX`.
    pub fn next_parcel(&mut self) -> Result<Option<Parcel>, ParcelError> {
        let rest = &self.buffer[self.consumed..];
        match rest.first() {
            None => Ok(None),
            Some(_) if self.ended => Err(ParcelError("bytes after the end")),
            Some(&END) => self.end(),
            Some(&PARCEL) => self.parcel(),
            Some(_) => Err(ParcelError("neither a parcel nor the end")),
        }
    }

    /// Whether the stream came to its end mark and nothing is left. Never fails.
    pub fn is_complete(&self) -> bool {
        self.ended && self.consumed == self.buffer.len()
    }

    fn end(&mut self) -> Result<Option<Parcel>, ParcelError> {
        let rest = &self.buffer[self.consumed..];
        if rest.len() < END_LEN {
            return Ok(None);
        }
        if rest[1..4] != [0, 0, 0] || u32_at(rest, 4) != self.parcels {
            return Err(ParcelError("the end counts other parcels than came"));
        }
        self.consumed += END_LEN;
        self.ended = true;
        if self.consumed < self.buffer.len() {
            return Err(ParcelError("bytes after the end"));
        }
        Ok(None)
    }

    fn parcel(&mut self) -> Result<Option<Parcel>, ParcelError> {
        let rest = &self.buffer[self.consumed..];
        if rest.len() < HEADER_LEN {
            return Ok(None);
        }
        let (count, plain_len, byte_len) = (u32_at(rest, 4) as usize, u32_at(rest, 8), u32_at(rest, 12) as usize);
        if rest[2..4] != [0, 0] || count == 0 || count > crate::agent::run::REFS_MAX {
            return Err(ParcelError("a parcel's header is wrong"));
        }
        if byte_len > PARCEL_BYTES_MAX || plain_len as usize > PARCEL_BYTES_MAX {
            return Err(ParcelError("a parcel is too large"));
        }
        let len = HEADER_LEN + count * 8 + byte_len;
        if rest.len() < len {
            return Ok(None);
        }
        let chunk = |n: usize| ParcelChunk {
            position: u32_at(rest, HEADER_LEN + n * 8),
            len: u32_at(rest, HEADER_LEN + n * 8 + 4),
        };
        let chunks: Vec<ParcelChunk> = (0..count).map(chunk).collect();
        if chunks.iter().map(|chunk| u64::from(chunk.len)).sum::<u64>() != u64::from(plain_len) {
            return Err(ParcelError("a parcel's chunks do not fill it"));
        }
        let bytes = rest[HEADER_LEN + count * 8..len].to_vec();
        let parcel = Parcel { codec: rest[1], plain_len, chunks, bytes };
        self.consumed += len;
        self.parcels += 1;
        Ok(Some(parcel))
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("the caller has looked at the length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Parcel {
        let chunks = vec![ParcelChunk { position: 3, len: 2 }, ParcelChunk { position: 0, len: 1 }];
        Parcel { codec: 0, plain_len: 3, chunks, bytes: b"abc".to_vec() }
    }

    fn read(wire: &[u8], step: usize) -> Result<(Vec<Parcel>, bool), ParcelError> {
        let mut reader = ParcelReader::default();
        let mut parcels = Vec::new();
        for bytes in wire.chunks(step) {
            reader.push(bytes);
            while let Some(parcel) = reader.next_parcel()? {
                parcels.push(parcel);
            }
        }
        Ok((parcels, reader.is_complete()))
    }

    #[test]
    fn a_stream_reads_the_same_however_it_is_cut() {
        let wire = [sample().encode(), sample().encode(), encode_end(2).to_vec()].concat();
        for step in 1..=wire.len() {
            assert_eq!(read(&wire, step), Ok((vec![sample(), sample()], true)), "in steps of {step}");
        }
    }

    #[test]
    fn a_cut_stream_is_never_complete() {
        let wire = [sample().encode(), encode_end(1).to_vec()].concat();
        for len in 0..wire.len() {
            assert!(!read(&wire[..len], 7).expect("a prefix is not wrong, only short").1, "{len} bytes");
        }
    }

    #[test]
    fn wrong_streams_are_refused() {
        let mut too_long = sample().encode();
        too_long[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut unfilled = sample().encode();
        unfilled[8] = 9;
        let cases: [(&str, Vec<u8>); 5] = [
            ("a strange mark", b"X".to_vec()),
            ("a parcel too large", too_long),
            ("chunks that do not fill it", unfilled),
            ("an end that counts wrong", encode_end(1).to_vec()),
            ("bytes after the end", [encode_end(0).to_vec(), b"P".to_vec()].concat()),
        ];
        for (what, wire) in cases {
            assert!(read(&wire, wire.len()).is_err(), "{what}");
        }
    }
}
