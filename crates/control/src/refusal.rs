//! Every "no" of the domain: a stable code, one sentence for a person, what kind it is, and when to ask again.
//! Refuses to say who exists: what a stranger could learn from is worded alike. The list: docs/control.md, "Refusals".

mod make;
mod table;

pub use table::Refusal;

use base::Span;
use std::fmt;

/// Whether and when the same request may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Asking for the same again never helps.
    Never,
    /// Time alone may help: ask again after this span.
    After(Span),
    /// Somebody has to change something first, as the sentence says; asking again before that does not help.
    WhenChanged,
}

impl Refusal {
    /// How long to wait before asking again; `None` where time alone changes nothing. Never fails.
    pub fn retry_after(&self) -> Option<Span> {
        match self.retry() {
            Retry::After(span) => Some(span),
            Retry::Never | Retry::WhenChanged => None,
        }
    }
}

impl fmt::Display for Refusal {
    /// The sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Retry {
    /// As docs/control.md writes it: `never`, `after 5 s`, `when changed`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Retry::Never => f.write_str("never"),
            Retry::After(span) => write!(f, "after {span}"),
            Retry::WhenChanged => f.write_str("when changed"),
        }
    }
}

#[cfg(test)]
mod tests;
