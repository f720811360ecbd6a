//! The device map: which machine is whose before it asks, by a number that the machine will give.
//! Refuses rows whose number tells no two machines apart. Rules: docs/control.md, "Device map".

use crate::activation::{Evidence, Match, comparable};
use base::{Bytes, Count};

/// The longest upload.
pub const UPLOAD_BYTES_MAX: Bytes = Bytes::mib(10);
/// The most rows of one upload.
pub const ROWS_MAX: Count = Count(100_000);
/// The longest field.
pub const FIELD_BYTES_MAX: Bytes = Bytes(512);

/// What a row knows a machine by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which number.
    pub kind: Match,
    /// As it is compared.
    pub value: String,
}

impl Key {
    /// The kinds and their words in an upload, strongest first.
    pub const KINDS: [(Match, &'static str); 3] =
        [(Match::Serial, "serial"), (Match::HardwareUuid, "uuid"), (Match::HostName, "host_name")];

    /// The key of a row; fails with what is wrong, as a sentence.
    pub fn parse(kind: &str, value: &str) -> Result<Self, &'static str> {
        let found = Self::KINDS.into_iter().find(|(_, word)| *word == kind.trim().to_lowercase());
        let (kind, _) = found.ok_or("The type of the device's number is none of serial, uuid, host_name.")?;
        let value = comparable(kind, value).ok_or("The device's number is empty, or one that many devices have.")?;
        Ok(Self { kind, value })
    }

    /// What a machine may be found by, strongest first. Never fails.
    pub fn of(evidence: &Evidence) -> Vec<Self> {
        let text = |kind| match kind {
            Match::Serial => &evidence.serial,
            Match::HardwareUuid => &evidence.hardware_uuid,
            Match::HostName => &evidence.host_name,
        };
        let key = |(kind, _)| comparable(kind, text(kind)).map(|value| Self { kind, value });
        Self::KINDS.into_iter().filter_map(key).collect()
    }

    /// The word of the kind, as uploads and the database have it. Never fails.
    pub const fn word(&self) -> &'static str {
        match self.kind {
            Match::Serial => "serial",
            Match::HardwareUuid => "uuid",
            Match::HostName => "host_name",
        }
    }
}

/// A cell that no spreadsheet takes for a formula: one that begins like one gets an apostrophe before it. Never fails.
pub fn neutral(cell: &str) -> String {
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{cell}"),
        Some(_) | None => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_compared_as_evidence_is() {
        let machine = Evidence {
            serial: "pf-2xyz".to_owned(),
            hardware_uuid: "4C4C4544-0051".to_owned(),
            host_name: "Anna-Laptop.example.org".to_owned(),
            os_user: String::new(),
        };
        let keys = Key::of(&machine);
        for (row, key) in
            [("serial", " PF-2XYZ"), ("UUID", "{4c4c4544-0051}"), ("host_name", "anna-laptop")].iter().zip(&keys)
        {
            assert_eq!(Key::parse(row.0, row.1).as_ref(), Ok(key));
        }
        assert_eq!(keys.len(), 3);
        let unfilled = Evidence { serial: "To Be Filled By O.E.M.".to_owned(), ..Evidence::default() };
        assert_eq!(Key::of(&unfilled), []);
        assert!(Key::parse("serial", "None").is_err() && Key::parse("mac", "00:11").is_err());
    }

    #[test]
    fn a_cell_that_begins_like_a_formula_is_a_text() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"] {
            assert_eq!(neutral(cell), format!("'{cell}"));
        }
        for cell in ["", "anna", "1=1", " =1"] {
            assert_eq!(neutral(cell), cell);
        }
    }
}
