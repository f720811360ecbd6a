//! The three words that say whether and when asking for the same again may help.
//! Refuses to be worked out from a sentence or a status: whoever says no says this too.

use crate::{Kind, Span};
use std::fmt;

/// When to ask again after a "no" of the kind `unavailable` that names no span.
const SOON: Span = Span::minutes(1);

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

impl Retry {
    /// What holds for a "no" of this kind that has no rule of its own: a request that is wrong, or names what is not
    /// there, is another request once it is mended. Never fails.
    pub const fn usual(kind: Kind) -> Self {
        match kind {
            Kind::Invalid | Kind::NotFound => Retry::Never,
            Kind::Refused | Kind::Conflict | Kind::Damaged => Retry::WhenChanged,
            Kind::Unavailable => Retry::After(SOON),
        }
    }

    /// The stable word on the wire and for machines: `never`, `when_changed`, `later`. Never fails.
    pub const fn word(self) -> &'static str {
        match self {
            Retry::Never => "never",
            Retry::WhenChanged => "when_changed",
            Retry::After(_) => "later",
        }
    }

    /// How long to wait before asking again; `None` where time alone changes nothing. Never fails.
    pub const fn after(self) -> Option<Span> {
        match self {
            Retry::After(span) => Some(span),
            Retry::Never | Retry::WhenChanged => None,
        }
    }
}

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
