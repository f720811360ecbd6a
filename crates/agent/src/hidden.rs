//! A text that nobody may see: a password, a ticket, a token. Wiped when it is dropped.
//! Refuses to be printed.

use std::fmt;
use zeroize::Zeroizing;

/// A text that is not shown.
#[derive(Clone)]
pub struct Hidden(Zeroizing<String>);

impl Hidden {
    /// Takes the text over; the caller should not keep a copy. Never fails.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself, for the one place that sends it. Never fails.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}
