//! Varints, byte strings and fixed integers: a writer over a `Vec`, and a reader that knows where it stands.
//! Refuses numbers longer than they need to be, lengths beyond the input, and bytes left over.

use crate::error::{Error, Flaw};

/// A varint has at most this many bytes: ten times seven bits hold 64.
pub const VARINT_LEN_MAX: usize = 10;

/// Appends values to a buffer. Never fails.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`. Never fails.
    pub const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// One byte. Never fails.
    pub fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    /// The bytes as they are, without a length. Never fails.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// An unsigned LEB128 number in its shortest form. Never fails.
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    /// A signed number: zigzag, then varint, so that small magnitudes are short. Never fails.
    pub fn zigzag(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// A byte string: its length as a varint, then its bytes. Never fails.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    /// A count or a length as a varint. Never fails.
    pub fn count(&mut self, count: usize) {
        self.varint(count as u64);
    }
}

/// Reads values from a slice, and remembers the offset for the error.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    part: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader over all of `bytes`; `part` is the structure's name in errors. Never fails.
    pub const fn new(part: &'static str, bytes: &'a [u8]) -> Self {
        Self { part, bytes, at: 0 }
    }

    /// Bytes read so far. Never fails.
    pub const fn offset(&self) -> usize {
        self.at
    }

    /// Bytes not yet read. Never fails.
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The error for a flaw where the reader stands. Never fails.
    #[cold]
    pub const fn flaw(&self, flaw: Flaw) -> Error {
        Error::Decode { part: self.part, offset: self.at as u64, flaw }
    }

    /// Ends the reading. Errors: bytes are left over.
    pub const fn finish(self) -> Result<(), Error> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.flaw(Flaw::Trailing)) }
    }

    /// One byte. Errors: the input ends.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Error> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.flaw(Flaw::Truncated))?;
        self.at += 1;
        Ok(byte)
    }

    /// The next `len` bytes. Errors: the input ends.
    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.at..];
        let bytes = rest.get(..len).ok_or_else(|| self.flaw(Flaw::Truncated))?;
        self.at += len;
        Ok(bytes)
    }

    /// The next `N` bytes, copied. Errors: the input ends.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let rest = &self.bytes[self.at..];
        let bytes = *rest.first_chunk::<N>().ok_or_else(|| self.flaw(Flaw::Truncated))?;
        self.at += N;
        Ok(bytes)
    }

    /// The version byte that begins a structure. Errors: the input ends, zero, or newer than `newest`.
    pub fn version(&mut self, newest: u8) -> Result<u8, Error> {
        match self.u8()? {
            0 => Err(self.flaw(Flaw::Fixed)),
            version if version <= newest => Ok(version),
            version => Err(Error::Version { part: self.part, version: version.into(), newest: newest.into() }),
        }
    }

    /// A varint. Errors: the input ends, more than 64 bits, or not the shortest form.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Error> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.varint_long(),
        }
    }

    fn varint_long(&mut self) -> Result<u64, Error> {
        let mut value = 0_u64;
        for position in 0..VARINT_LEN_MAX {
            let Some(&byte) = self.bytes.get(self.at + position) else {
                return Err(self.flaw(Flaw::Truncated));
            };
            // The tenth byte has room for the 64th bit only.
            if position == VARINT_LEN_MAX - 1 && byte > 1 {
                return Err(self.flaw(Flaw::VarintRange));
            }
            value |= u64::from(byte & 0x7f) << (7 * position);
            if byte < 0x80 {
                if byte == 0 && position > 0 {
                    return Err(self.flaw(Flaw::VarintForm));
                }
                self.at += position + 1;
                return Ok(value);
            }
        }
        Err(self.flaw(Flaw::VarintRange))
    }

    /// A varint not above `max`. Errors: as `varint`, or above it.
    #[inline]
    pub fn varint_to(&mut self, max: u64) -> Result<u64, Error> {
        let at = self.at;
        let value = self.varint()?;
        if value > max {
            self.at = at;
            return Err(self.flaw(Flaw::Limit { max }));
        }
        Ok(value)
    }

    /// A 32-bit number as a varint. Errors: as `varint`, or above 32 bits.
    #[inline]
    pub fn varint_u32(&mut self) -> Result<u32, Error> {
        let value = self.varint_to(u64::from(u32::MAX))?;
        Ok(value as u32)
    }

    /// A signed number: zigzag, then varint. Errors: as `varint`.
    #[inline]
    pub fn zigzag(&mut self) -> Result<i64, Error> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    /// How many values follow, each of at least `each_min` bytes (not zero).
    /// Errors: as `varint`, above `max`, or more than the rest of the input can hold.
    pub fn count(&mut self, max: u64, each_min: usize) -> Result<usize, Error> {
        let count = self.varint_to(max)?;
        let room = self.remaining() / each_min;
        match usize::try_from(count) {
            Ok(count) if count <= room => Ok(count),
            _ => Err(self.flaw(Flaw::Truncated)),
        }
    }

    /// A byte string of at most `max` bytes. Errors: as `varint`, longer than `max`, or the input ends.
    #[inline]
    pub fn bytes(&mut self, max: u64) -> Result<&'a [u8], Error> {
        let len = self.varint_to(max)?;
        match usize::try_from(len) {
            Ok(len) => self.take(len),
            Err(_) => Err(self.flaw(Flaw::Truncated)),
        }
    }

    /// A text of at most `max` bytes. Errors: as `bytes`, or not UTF-8.
    pub fn text(&mut self, max: u64) -> Result<&'a str, Error> {
        let bytes = self.bytes(max)?;
        std::str::from_utf8(bytes).map_err(|_| self.flaw(Flaw::Text))
    }
}

/// Values that stand one after the other and have been read once, so that they read well again.
#[derive(Clone, Debug)]
pub struct Row<'a, T> {
    reader: Reader<'a>,
    left: usize,
    read: fn(&mut Reader<'a>) -> Result<T, Error>,
}

impl<'a, T> Row<'a, T> {
    /// Reads so many values over. Errors: as `read`.
    pub fn read(
        reader: &mut Reader<'a>,
        count: usize,
        read: fn(&mut Reader<'a>) -> Result<T, Error>,
    ) -> Result<Self, Error> {
        let start = reader.clone();
        for _ in 0..count {
            read(reader)?;
        }
        Ok(Self { reader: start, left: count, read })
    }
}

impl<T> Iterator for Row<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        (self.read)(&mut self.reader).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests;
