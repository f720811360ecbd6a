//! Where an entry stands in a snapshot: components joined by `/`, bytes, the root empty.
//! Refuses empty components, dot names, NUL, and a `/` at either end.

use crate::codec::Reader;
use crate::error::{Error, Flaw};
use crate::limits::{NAME_MAX, PATH_MAX};
use std::cmp::Ordering;
use std::fmt::{self, Write};

const PART: &str = "path";

/// A path inside a snapshot. Its order is that of its components, each by its bytes: a directory comes right before
/// what is in it, so `a` < `a/b` < `a-b`. `Display` is for people: it is lossy, and shows control characters escaped.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct StoredPath(Vec<u8>);

impl StoredPath {
    /// The root: the path without components. Never fails.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The path with these bytes. Errors: a component that is not an entry name.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.is_empty() || bytes.split(|byte| *byte == b'/').all(is_entry_name) {
            Ok(Self(bytes))
        } else {
            Err(Error::Encode { part: PART, flaw: Flaw::Name })
        }
    }

    /// Reads a byte string that is a path. Errors: longer than a manifest allows, or a component that is no entry name.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let bytes = reader.bytes(PATH_MAX.0)?;
        Self::from_bytes(bytes.to_vec()).map_err(|_| reader.flaw(Flaw::Name))
    }

    /// The bytes. Never fails.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, taken out. Never fails.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Whether this is the root. Never fails.
    pub const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Steps down to `name`. Errors: not an entry name; the path is then as before.
    pub fn push(&mut self, name: &[u8]) -> Result<(), Error> {
        if !is_entry_name(name) {
            return Err(Error::Encode { part: PART, flaw: Flaw::Name });
        }
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name);
        Ok(())
    }

    /// Steps up; false at the root, which stays as it is. Never fails.
    pub fn pop(&mut self) -> bool {
        if self.is_root() {
            return false;
        }
        self.0.truncate(self.parent_len());
        true
    }

    /// The path with `name` below this one. Errors: not an entry name.
    pub fn join(&self, name: &[u8]) -> Result<Self, Error> {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.len());
        bytes.extend_from_slice(&self.0);
        let mut path = Self(bytes);
        path.push(name)?;
        Ok(path)
    }

    /// The path one step up; None at the root. Never fails.
    pub fn parent(&self) -> Option<Self> {
        (!self.is_root()).then(|| Self(self.0[..self.parent_len()].to_vec()))
    }

    /// The last component; None at the root. Never fails.
    pub fn name(&self) -> Option<&[u8]> {
        self.0.rsplit(|byte| *byte == b'/').next().filter(|name| !name.is_empty())
    }

    /// The components from the top down; none at the root. Never fails.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
    }

    /// Whether this is `other` or below it. Never fails.
    pub fn starts_with(&self, other: &StoredPath) -> bool {
        match self.0.strip_prefix(other.0.as_slice()) {
            Some(rest) => other.is_root() || rest.is_empty() || rest[0] == b'/',
            None => false,
        }
    }

    fn parent_len(&self) -> usize {
        self.0.iter().rposition(|byte| *byte == b'/').unwrap_or(0)
    }
}

/// Whether an entry may have this name: 1 to 4,096 bytes, no `/`, no NUL, neither `.` nor `..`. Never fails.
pub fn is_entry_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() as u64 <= NAME_MAX.0
        && name != b"."
        && name != b".."
        && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}

impl Ord for StoredPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // `/` ends a component, so it sorts before every byte of a longer one. Names have no NUL that could equal it.
        let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        self.0.iter().map(rank).cmp(other.0.iter().map(rank))
    }
}

impl PartialOrd for StoredPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for StoredPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in String::from_utf8_lossy(&self.0).chars() {
            if char.is_control() || reorders(char) {
                write!(f, "{}", char.escape_default())?;
            } else {
                f.write_char(char)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for StoredPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Characters that change the direction of the text after them, and so could make a name look like another.
const fn reorders(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
