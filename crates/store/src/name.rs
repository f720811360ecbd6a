//! The names of objects: short, plain, the same on every kind of store.
//! Refuses whatever a file system or a web address would read in its own way. Names in use: format's object module.

use crate::StoreError;
use std::borrow::Borrow;
use std::fmt;

/// The longest name, in bytes: every file system takes that much in one component.
pub const NAME_BYTES_MAX: usize = 200;

/// A name such as `packs/0a1b…`: 1 to `NAME_BYTES_MAX` of the letters `a-z 0-9 _ . -`, in components parted by `/`.
/// No component is empty, and none begins or ends with a dot. Compares byte by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// Takes the text as a name.
    ///
    /// # Errors
    /// `StoreError::Name` with the rule that the text breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, StoreError> {
        let text = text.into();
        match broken_rule(&text) {
            Some(rule) => Err(StoreError::Name { text, rule }),
            None => Ok(Self(text)),
        }
    }

    /// The name as text. Never fails.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a component of a name may have this letter.
    pub(crate) fn has_letter(byte: u8) -> bool {
        matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-')
    }

    /// The components before the last, with their final `/` (empty when there is only one), and the last.
    pub(crate) fn split_last(&self) -> (&str, &str) {
        self.0.split_at(self.0.rfind('/').map_or(0, |slash| slash + 1))
    }
}

fn broken_rule(text: &str) -> Option<&'static str> {
    let known = |byte: u8| byte == b'/' || ObjectName::has_letter(byte);
    if text.is_empty() {
        Some("it is empty")
    } else if text.len() > NAME_BYTES_MAX {
        Some("it is longer than 200 bytes")
    } else if !text.bytes().all(known) {
        Some("it has a character outside a-z 0-9 _ . - /")
    } else if text.split('/').any(str::is_empty) {
        Some("it has an empty component")
    } else if text.split('/').any(|component| component.starts_with('.') || component.ends_with('.')) {
        Some("one of its components begins or ends with a dot")
    } else {
        None
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ObjectName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_taken_and_come_back_as_text() {
        for text in ["a", "packs/0a1b", "manifests/dev_0a/snp_1b", "a-b.c_d/0", &"x".repeat(NAME_BYTES_MAX)] {
            assert_eq!(ObjectName::new(text).expect("a plain name").to_string(), text);
        }
    }

    #[test]
    fn every_broken_rule_is_named() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let rows = [
            ("", "empty"),
            (long.as_str(), "longer than 200"),
            ("A", "outside"),
            ("a b", "outside"),
            ("a\\b", "outside"),
            ("a+b", "outside"),
            ("é", "outside"),
            ("a\0", "outside"),
            ("/a", "empty component"),
            ("a/", "empty component"),
            ("a//b", "empty component"),
            (".", "dot"),
            ("..", "dot"),
            ("a/../b", "dot"),
            ("a/.b", "dot"),
            ("a./b", "dot"),
        ];
        for (text, rule) in rows {
            let error = ObjectName::new(text).expect_err(text);
            assert_eq!(error.kind(), base::Kind::Invalid);
            assert!(error.to_string().contains(rule), "{text}: {error}");
        }
    }
}
