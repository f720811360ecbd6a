//! Sums over everything beneath a directory.
//! Refuses more files than entries.

use super::{Body, Entry};
use crate::codec::{Reader, Writer};
use crate::error::{Error, Flaw};
use base::{Bytes, Count};
use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// How much there is beneath a directory, itself excluded. Every name counts: a file with two hard links is two.
/// Addition saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Totals {
    /// Entries of every kind.
    pub entries: Count,
    /// Regular files among them.
    pub files: Count,
    /// The sizes of those files.
    pub bytes: Bytes,
}

impl Totals {
    /// What one entry adds, without what is beneath it. Never fails.
    pub const fn of_entry(entry: &Entry) -> Self {
        Self::of_one(&entry.body)
    }

    pub(super) const fn of_one<C, T>(body: &Body<C, T>) -> Self {
        match body {
            Body::File { size, .. } => Self { entries: Count(1), files: Count(1), bytes: Bytes(*size) },
            _ => Self { entries: Count(1), files: Count(0), bytes: Bytes(0) },
        }
    }

    /// Whether each of the three is at least as large as in `part`. Never fails.
    pub fn covers(&self, part: &Totals) -> bool {
        self.entries >= part.entries && self.files >= part.files && self.bytes >= part.bytes
    }

    pub(crate) fn check(&self) -> Result<(), Flaw> {
        let possible = self.files <= self.entries && (self.files.0 > 0 || self.bytes.0 == 0);
        if possible { Ok(()) } else { Err(Flaw::Sum) }
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        writer.varint(self.entries.0);
        writer.varint(self.files.0);
        writer.varint(self.bytes.0);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let totals =
            Self { entries: Count(reader.varint()?), files: Count(reader.varint()?), bytes: Bytes(reader.varint()?) };
        totals.check().map_err(|flaw| reader.flaw(flaw))?;
        Ok(totals)
    }
}

impl Add for Totals {
    type Output = Totals;

    fn add(self, other: Totals) -> Totals {
        Totals {
            entries: self.entries + other.entries,
            files: self.files + other.files,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        *self = *self + other;
    }
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Totals>>(items: I) -> Totals {
        items.fold(Totals::default(), Add::add)
    }
}
